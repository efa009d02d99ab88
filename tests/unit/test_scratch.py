"""Files of a task lie in a folder of its own, which is gone with it, also if it was killed."""

import fcntl
import os
import signal
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import IO

import pytest

from nightshift.platform.scratch import scratch

FORK = get_context("fork")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def killed_in_its_folder() -> None:
    with scratch("score") as folder:
        (folder / "rows").write_bytes(b"1")
        os.kill(os.getpid(), signal.SIGKILL)


def run(work: Callable[[], None]) -> None:
    process = FORK.Process(target=work)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def test_a_folder_goes_with_its_block(place: Path) -> None:
    with scratch("score") as folder:
        assert folder.parent == place
        assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []


def test_what_a_killed_one_left_is_removed_by_the_next_of_its_kind_and_nothing_else(place: Path) -> None:
    run(killed_in_its_folder)
    [left] = place.iterdir()
    (place / "nightshift-score-made-just-now").mkdir()
    (place / "nightshift-fit-x").mkdir()
    with scratch("score") as running, scratch("score") as second:
        names = {path.name for path in place.iterdir()}
        assert names == {running.name, second.name, "nightshift-score-made-just-now", "nightshift-fit-x"}
    assert not left.exists()


def test_a_folder_that_is_just_being_made_is_nobodys_to_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task of the same kind looks between the file's making and its lock."""
    real, looked = fcntl.flock, []

    def late(file: IO[str], how: int) -> None:
        if not looked:
            looked.append(file.name)
            with scratch("probe", tmp_path):
                pass
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch("probe", tmp_path) as folder:
        assert folder.exists()
    assert looked
