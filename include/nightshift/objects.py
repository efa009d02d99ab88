"""Files: landed batches, training snapshots, reports. Any fsspec URL; a local folder by default.

A reader never sees half a file: it is written beside its place and moved there.
"""

import hashlib
import posixpath
from dataclasses import dataclass
from uuid import uuid4

import fsspec


def sha256(content: bytes) -> str:
    """Return the hex SHA-256 of ``content``."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Objects:
    """Files below a root URL, named by keys such as ``landed/weather/2013-02-01/ab12.parquet``."""

    root: str

    def put(self, key: str, content: bytes) -> str:
        """Write ``content`` at ``key``, replacing what was there; return its URI."""
        filesystem, path = self._locate(key)
        filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        beside = f"{path}.{uuid4().hex}.part"
        filesystem.pipe_file(beside, content)
        filesystem.mv(beside, path)
        return self.uri(key)

    def put_once(self, prefix: str, content: bytes, suffix: str) -> tuple[str, str]:
        """Write ``content`` under its own hash; return (key, sha256). The same content is the same file."""
        digest = sha256(content)
        key = f"{prefix}/{digest}{suffix}"
        filesystem, path = self._locate(key)
        if not filesystem.exists(path):
            self.put(key, content)
        return key, digest

    def get(self, key: str) -> bytes:
        """Return the content at ``key``. Raises FileNotFoundError naming its URI."""
        filesystem, path = self._locate(key)
        try:
            return bytes(filesystem.cat_file(path))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{self.uri(key)}: no such object") from error

    def find(self, key: str) -> bytes | None:
        """Return the content at ``key``, or None."""
        try:
            return self.get(key)
        except FileNotFoundError:
            return None

    def delete(self, prefix: str) -> None:
        """Delete every file below ``prefix``."""
        filesystem, path = self._locate(prefix)
        if filesystem.exists(path):
            filesystem.rm(path, recursive=True)

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
