"""The files of a backup, beside its databases."""

import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nightshift.errors import NotReady
from nightshift.objects import Objects, sha256
from nightshift.runtime import backups, restoring
from nightshift.runtime.backups import Content, Manifest, Place


def test_a_large_file_is_backed_up_and_restored_without_being_held(tmp_path: Path) -> None:
    there, back = Objects(str(tmp_path / "there")), Objects(str(tmp_path / "back"))
    (tmp_path / "backup" / "files").mkdir(parents=True)
    there.put("landed/large.parquet", bytes(range(256)) * (1 << 17))
    tracemalloc.start()
    try:
        found = backups._stored(there, tmp_path / "backup")
        restoring._write(back, tmp_path / "backup", found)
        restoring._compare(back, "landed/large.parquet", found["landed/large.parquet"].sha256)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found["landed/large.parquet"].bytes == 1 << 25
    assert peak < 1 << 23, "a quarter of it"
    assert back.get("landed/large.parquet") == there.get("landed/large.parquet")


class Meddled(Objects):
    """A store in which somebody replaces one file and removes another between two looks."""

    looks = 0

    def chunks(self, key: str) -> Iterator[bytes]:
        Meddled.looks += 1
        if Meddled.looks == 2:
            self.put("a.html", b"second")
            self.remove("gone.html")
        return super().chunks(key)


def test_of_a_file_that_is_replaced_meanwhile_the_later_content_is_kept(tmp_path: Path) -> None:
    there = Meddled(str(tmp_path / "there"))
    (tmp_path / "files").mkdir()
    for key in ("a.html", "gone.html"):
        there.put(key, b"first")
    second = sha256(b"second")
    assert backups._stored(there, tmp_path) == {"a.html": Content(second, 6)}
    assert [file.name for file in (tmp_path / "files").rglob("*") if file.is_file()] == [second]


@pytest.mark.parametrize("damaged", [b"", b"firsd", b"first and more"])
def test_what_an_earlier_backup_wrote_and_a_disk_forgot_is_written_anew(
    tmp_path: Path, damaged: bytes
) -> None:
    there, folder = Objects(str(tmp_path / "there")), tmp_path / "backup"
    (folder / "files").mkdir(parents=True)
    there.put("a.html", b"first")
    [content] = backups._stored(there, folder).values()
    kept = backups.content_path(folder, content.sha256)
    written = kept.stat().st_mtime_ns
    backups._stored(there, folder)
    assert kept.stat().st_mtime_ns == written, "what is whole is left alone"
    kept.write_bytes(damaged)
    assert backups._stored(there, folder) == {"a.html": content}
    backups.check(folder, "", Manifest("", {}, {"objects": {"a.html": content}}))
    assert [file.name for file in kept.parent.iterdir()] == [content.sha256]


class Torn(Objects):
    """A store that breaks off in the middle of the copy."""

    looks = 0

    def chunks(self, key: str) -> Iterator[bytes]:
        Torn.looks += 1
        yield b"first"
        if Torn.looks == 2:
            raise OSError(5, "Input/output error")


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    there = Torn(str(tmp_path / "there"))
    (tmp_path / "files").mkdir()
    there.put("a.html", b"first")
    with pytest.raises(OSError, match="Input/output"):
        backups._stored(there, tmp_path)
    assert not [file for file in (tmp_path / "files").rglob("*") if file.is_file()]


NOW = datetime(2026, 3, 8, tzinfo=UTC)


def nowhere(folder: Path) -> Place:
    return Place(
        {name: f"postgresql://me:secret@127.0.0.1:1/{name}" for name in backups.ORDER},
        {"objects": str(folder)},
    )


def test_a_database_that_is_away_and_a_folder_that_is_none_are_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"cannot be backed up: connection to server .* refused") as told:
        backups.make(nowhere(tmp_path), tmp_path / "backup", NOW)
    assert "secret" not in str(told.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match=r"file.*: .*; no backup was made"):
        backups.make(nowhere(tmp_path), tmp_path / "file", NOW)


def test_what_a_killed_backup_left_goes_a_day_later(tmp_path: Path) -> None:
    for name, hours in (("20260305T000000Z", 72), ("20260307T230000Z", 1)):
        (tmp_path / f"{name}.part").mkdir()
        (tmp_path / f"{name}.part" / "warehouse.dump").write_text("half")
        then = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(tmp_path / f"{name}.part", (then, then))
        content = tmp_path / "files" / "ab" / f"abc.{name}.part"
        content.parent.mkdir(parents=True, exist_ok=True)
        content.write_text("half")
        os.utime(content, (then, then))
    with pytest.raises(NotReady):
        backups.make(nowhere(tmp_path), tmp_path, NOW)
    left = sorted(part.name for part in tmp_path.rglob("*.part"))
    assert left == ["20260307T230000Z.part", "abc.20260307T230000Z.part"]


@pytest.mark.parametrize("content", ["", "[]", '{"files": {}}', '{"files": {"objects": {"a": {}}}}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "20260305T000000Z").mkdir()
    (tmp_path / "20260305T000000Z" / "manifest.json").write_text(content)
    with pytest.raises(NotReady, match=r"20260305T000000Z/manifest.json: damaged"):
        backups.read(tmp_path)
