"""The files of a backup, beside its databases."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from nightshift.objects import Objects, sha256
from nightshift.runtime import backups, restoring
from nightshift.runtime.backups import Content


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
