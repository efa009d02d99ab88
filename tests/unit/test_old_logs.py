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
        file = tmp_path / run / "task_id=score" / "attempt=1.log"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 7)
        os.utime(file, (1, 1))
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
