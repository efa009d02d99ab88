"""Files: landed batches, training snapshots, reports. Any fsspec URL; a local folder by default.

A reader never sees half a file: it is written beside its place and moved there.
"""

import errno
import hashlib
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO
from uuid import uuid4

import fsspec

from nightshift.errors import Unreachable
from nightshift.freeform import Json

PART = ".part"
CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256(content: bytes) -> str:
    """Return the hex SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


def sha256_of(file: Path) -> str:
    """Return the hex SHA-256 of what a file holds, however large."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@dataclass(frozen=True)
class Objects:
    """Files below a root URL, named by keys such as ``landed/weather/2013-02-01/ab12.parquet``."""

    root: str

    def put(self, key: str, content: bytes) -> str:
        """Write ``content`` at ``key``, replacing what was there; return its URI.

        Raises:
            Unreachable: the disk is full, or our share of it.
        """
        return self._placed(key, len(content), lambda files, beside: files.pipe_file(beside, content))

    def put_file(self, key: str, file: Path) -> str:
        """Write what a file holds, however large, at ``key``; else as :meth:`put`."""
        return self._placed(key, file.stat().st_size, lambda files, beside: files.put_file(str(file), beside))

    def _placed(self, key: str, size: int, write: Callable[[fsspec.AbstractFileSystem, str], object]) -> str:
        filesystem, path = self._locate(key)
        filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        beside = f"{path}.{uuid4().hex}{PART}"
        try:
            write(filesystem, beside)
            filesystem.mv(beside, path)
        except BaseException as error:
            with suppress(OSError):  # what went wrong first is what is told
                filesystem.rm_file(beside)
            if isinstance(error, OSError) and error.errno in FULL:
                raise Unreachable(
                    f"{self.uri(key)}: no room is left there for {size:,} bytes; make some (`nightshift "
                    "retention` says what is old). Nothing was replaced; it is tried again"
                ) from error
            raise
        return self.uri(key)

    def put_once(self, prefix: str, content: bytes | Path, suffix: str) -> tuple[str, str]:
        """Write ``content``, or what a file holds, under its own hash; return (key, sha256).

        The same content is the same file, written anew: who looks at when it was written does not take it for old.
        """
        digest = sha256(content) if isinstance(content, bytes) else sha256_of(content)
        key = f"{prefix}/{digest}{suffix}"
        self.put(key, content) if isinstance(content, bytes) else self.put_file(key, content)
        return key, digest

    def get(self, key: str) -> bytes:
        """Return the content at ``key``. Raises FileNotFoundError naming its URI."""
        filesystem, path = self._locate(key)
        try:
            return bytes(filesystem.cat_file(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.uri(key)}: no such object") from error

    @contextmanager
    def opened(self, key: str) -> Iterator[IO[bytes]]:
        """Yield the file at ``key``, to be read here and there. Raises FileNotFoundError naming its URI."""
        filesystem, path = self._locate(key)
        try:
            file = filesystem.open(path, "rb")
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.uri(key)}: no such object") from error
        with file:
            yield file

    def find(self, key: str) -> bytes | None:
        """Return the content at ``key``, or None."""
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the content at ``key`` by the megabyte. Raises FileNotFoundError."""
        filesystem, path = self._locate(key)
        with filesystem.open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def delete(self, prefix: str) -> None:
        """Delete every file below ``prefix``."""
        filesystem, path = self._locate(prefix)
        if filesystem.exists(path):
            filesystem.rm(path, recursive=True)

    def remove(self, key: str) -> None:
        """Delete the file at ``key``; none is as good."""
        filesystem, path = self._locate(key)
        with suppress(FileNotFoundError):
            filesystem.rm_file(path)

    def written(self, key: str) -> datetime | None:
        """Return when the file at ``key`` was written; None if there is none, or its store does not say."""
        filesystem, path = self._locate(key)
        try:
            return _written(filesystem.info(path))
        except FileNotFoundError:
            return None

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the files below ``prefix`` by their keys, each with its size in bytes."""
        return self.listed(prefix).sizes

    def listed(self, prefix: str) -> "Listing":
        """Return the files below ``prefix``, looked at once."""
        return Listing(self._listed(prefix))

    def _listed(self, prefix: str) -> dict[str, Json]:
        filesystem, path = self._locate(prefix)
        if not filesystem.exists(path):
            return {}
        found = filesystem.find(path, detail=True)
        below, root = f"{prefix}/" if prefix else "", path.rstrip("/") + "/"
        return {f"{below}{file.rpartition(root)[2]}": info for file, info in found.items()}

    def copy(self, prefix: str, to: str, *, dry_run: bool = False) -> int:
        """Copy every file below ``prefix`` to below ``to``; return how many there are."""
        filesystem, path = self._locate(prefix)
        files = filesystem.find(path) if filesystem.exists(path) else []
        for file in [] if dry_run else files:
            self.put(f"{to}/{file.rpartition(path.rstrip('/') + '/')[2]}", filesystem.cat_file(file))
        return len(files)

    def uri(self, key: str) -> str:
        """Return the full URI of ``key``."""
        return posixpath.join(self.root, key)

    def _locate(self, key: str) -> tuple[fsspec.AbstractFileSystem, str]:
        if ".." in key.split("/") or key.startswith("/"):
            raise ValueError(f"object key {key!r} leaves the store")
        return fsspec.core.url_to_fs(self.uri(key))


@dataclass(frozen=True)
class Listing:
    """Files by their keys, each with what its store says of it."""

    files: dict[str, Json]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each in bytes."""
        return {key: int(info["size"]) for key, info in self.files.items()}

    @cached_property
    def written(self) -> dict[str, datetime]:
        """When each was written; nothing of those of which the store does not say it."""
        found = {key: _written(info) for key, info in self.files.items()}
        return {key: at for key, at in found.items() if at is not None}


def _written(info: Json) -> datetime | None:
    at = info.get("mtime", info.get("LastModified"))
    return datetime.fromtimestamp(at, UTC) if isinstance(at, float | int) else at
