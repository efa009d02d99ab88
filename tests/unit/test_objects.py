"""Files named by keys: whole or absent, and never outside the store."""

import os
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from nightshift.errors import Unreachable
from nightshift.objects import Objects, sha256


@pytest.fixture
def store(tmp_path: Path) -> Objects:
    return Objects(str(tmp_path / "store"))


def files(store: Objects) -> list[str]:
    root = Path(store.root)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_put_comes_back(store: Objects) -> None:
    uri = store.put("reports/late/2013-02-08.html", b"<p>")
    assert store.get("reports/late/2013-02-08.html") == b"<p>"
    assert uri == f"{store.root}/reports/late/2013-02-08.html"


def test_a_second_put_replaces_the_first_and_leaves_nothing_beside_it(store: Objects) -> None:
    for content in (b"old", b"new"):
        store.put("a/b", content)
    assert store.get("a/b") == b"new"
    assert files(store) == ["a/b"]


def test_the_same_content_is_the_same_file_and_new_again(store: Objects) -> None:
    key, digest = store.put_once("snapshots/late", b"rows", ".parquet")
    assert digest == sha256(b"rows")
    assert key == f"snapshots/late/{digest}.parquet"
    os.utime(Path(store.root) / key, (0, 0))
    assert store.written(key) == datetime(1970, 1, 1, tzinfo=UTC)
    assert store.put_once("snapshots/late", b"rows", ".parquet") == (key, digest)
    assert store.listed("").written[key] == store.written(key) > datetime(2020, 1, 1, tzinfo=UTC)
    assert files(store) == [key]


def test_a_write_cut_short_leaves_the_old_file(store: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", b"old")

    def full(self: LocalFileSystem, path: str, value: bytes, **_: object) -> None:
        Path(path).write_bytes(value[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalFileSystem, "pipe_file", full)
    for write in (lambda: store.put("a", b"new"), lambda: store.put_once("b", b"new", "")):
        with pytest.raises(Unreachable, match="no room is left there for 3 bytes"):
            write()
    assert store.get("a") == b"old"
    assert files(store) == ["a"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a/..", "/etc/passwd", "//x", ".."])
def test_a_key_that_leaves_the_store_is_refused(store: Objects, key: str) -> None:
    for call in (lambda: store.get(key), lambda: store.put(key, b""), lambda: store.put_once(key, b"", "")):
        with pytest.raises(ValueError, match="leaves the store"):
            call()
    assert not (Path(store.root).parent / "x").exists()


def test_a_key_with_dots_in_its_name_stays(store: Objects) -> None:
    store.put("data_docs/late/2013-02-01..2013-02-08.html", b"docs")
    assert store.get("data_docs/late/2013-02-01..2013-02-08.html") == b"docs"


def test_what_is_not_there_is_named(store: Objects) -> None:
    with pytest.raises(FileNotFoundError, match=f"{store.root}/landed/none: no such object"):
        store.get("landed/none")


def test_any_fsspec_url_will_do() -> None:
    store = Objects("memory://nightshift-tests")
    key, _ = store.put_once("a", b"content", ".bin")
    assert store.get(key) == b"content"
    fsspec.filesystem("memory").rm("/nightshift-tests", recursive=True)
