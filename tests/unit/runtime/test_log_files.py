"""Logs have an end: what writes them goes on writing, and nobody is told."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightshift.runtime import log_files


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "LARGEST", 1000)
    monkeypatch.setattr(log_files, "SHARES", {"tasks": 3000, "dag-files": 3000})


@pytest.mark.parametrize(
    "name", ["scheduler.log", "openlineage.jsonl", "dag-files/2013-02-08/collect.py.log"]
)
def test_a_log_that_grew_too_long_starts_again_under_the_hands_of_its_writer(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab", buffering=0) as writer:
        writer.write(b"old " * 500 + b"the end")
        log_files.bound(tmp_path)
        writer.write(b"new")
    assert file.read_bytes() == b"new"
    kept = file.with_name(f"{file.name}.1")
    assert kept.stat().st_size == 1000
    assert kept.read_bytes().endswith(b"the end")
    assert kept.stat().st_mode & 0o077 == 0


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "scheduler.log").write_bytes(b"x" * 1000)
    log_files.bound(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["scheduler.log"]


def test_of_the_logs_of_tasks_the_oldest_go(tmp_path: Path) -> None:
    for number in range(5):
        file = tmp_path / "tasks" / f"run_{number}" / "attempt=1.log"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 1000)
        os.utime(file, (number, number))
    log_files.bound(tmp_path)
    left = [path.name for path in (tmp_path / "tasks").iterdir()]
    assert sorted(left) == ["run_2", "run_3", "run_4"], "a folder goes with the last that lay in it"


def test_what_retention_removes_under_our_feet_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tasks/run_1/attempt=1.log", "tasks/run_2/attempt=1.log", "dag-files/run_1/dag.py.log"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x" * 5000)
    scandir = os.scandir

    def too_late(folder: str | Path = ".") -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "run_1":
            for file in Path(folder).iterdir():
                file.unlink()
            Path(folder).rmdir()
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", too_late)
    log_files.bound(tmp_path)
    assert not [file for kind in ("tasks", "dag-files") for file in (tmp_path / kind).iterdir()]


def test_a_disk_without_room_for_a_copy_gets_its_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_files.shutil, "copyfileobj", full)
    file = tmp_path / "scheduler.log"
    file.write_bytes(b"x" * 2000)
    log_files.bound(tmp_path)
    assert file.read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["scheduler.log"]


def test_a_disk_that_is_nearly_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert log_files.nearly_full(tmp_path / "not made yet") == []
    usage = type("Usage", (), {"total": 100 << 30, "free": 100 << 20})
    monkeypatch.setattr(log_files.shutil, "disk_usage", lambda _: usage)
    (words,) = log_files.nearly_full(tmp_path)
    assert words == f"{tmp_path}: only 100 MB of 102400 MB are free on this disk"
