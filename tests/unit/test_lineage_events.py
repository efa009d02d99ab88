"""Lineage events on their way to the file: lines of tasks at once do not mix, and plain tasks stay as they are."""

import multiprocessing
from pathlib import Path

from nightshift.orchestration.lineage import WholeLines, traced

LONG = 40_000  # far beyond a buffered file's buffer


def write(path: str, letter: str) -> None:
    for _ in range(50):
        with WholeLines().open(path, "a") as file:
            file.write(letter * LONG + "\n")


def test_lines_of_many_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(str(path), letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = path.read_text().splitlines()
    assert sorted(lines) == ["a" * LONG] * 50 + ["b" * LONG] * 50


def test_what_is_no_task_is_left_alone() -> None:
    assert traced("a value", reads=["raw.flights"]) == "a value"
