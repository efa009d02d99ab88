"""Old logs of tasks, found while others remove some too."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from nightshift.orchestration import old_logs


def test_a_folder_that_goes_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    for run in ("run_1", "run_2"):
        written(tmp_path, run, date(1970, 1, 1))
    written(tmp_path, "run_3", date(2013, 2, 8))
    scandir = os.scandir

    def too_late(folder: str | Path = ".") -> Iterator[os.DirEntry[str]]:
        if Path(folder) == tmp_path / "run_1" / "task_id=score":
            (Path(folder) / "attempt=1.log").unlink()
            Path(folder).rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", too_late)
    taken = old_logs.clear(date(2013, 2, 8), 30, dry_run=False)
    assert (taken["things"], taken["bytes"]) == (1, 7)
    assert not (tmp_path / "run_2").exists()


def written(folder: Path, run: str, day: date) -> None:
    """Write a log of a run, seven bytes, on a day."""
    file = folder / run / "task_id=score" / "attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 7)
    stamp = (day - date(1970, 1, 1)).days * 86400
    os.utime(file, (stamp, stamp))


@pytest.mark.parametrize("as_of", [date(2013, 2, 8), date(2062, 2, 8)])
def test_a_night_that_has_not_come_yet_makes_no_log_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_of: date
) -> None:
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    for run, day in {
        "old": date(2013, 1, 1),
        "young": date(2013, 1, 20),
        "its own": date(2013, 2, 8),
    }.items():
        written(tmp_path, run, day)
    taken = old_logs.clear(as_of, 30, dry_run=False)
    assert (taken["things"], taken["oldest_kept"]) == (1, "2013-01-20")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["its own", "young"]
