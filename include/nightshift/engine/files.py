"""Files that are named by their content: the same content is the same file, whoever writes it and however often."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.artifacts import check_sha256, require_same_sha256


def filed(content: bytes | memoryview, folder: Path, kind: str) -> Path:
    """Write ``<sha256>.<kind>``; return it. It is whole or not there: others may be writing the same."""
    file = folder / f"{hashlib.sha256(content).hexdigest()}.{kind}"
    half = folder / f".{uuid4().hex}"
    half.write_bytes(content)
    half.replace(file)
    return file


def filed_rows(rows: pa.Table, folder: Path, kind: str) -> Path:
    """Write rows as Parquet, as :func:`filed`."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="lz4")
    return filed(sink.getbuffer(), folder, kind)


def named(half: Path, kind: str) -> Path:
    """Rename a file that was written a piece at a time to ``<sha256>.<kind>`` beside it; return it."""
    with half.open("rb") as written:
        return half.replace(half.with_name(f"{_sha256(written)}.{kind}"))


def stream(sink: IO[bytes], schema: pa.Schema) -> pa.RecordBatchStreamWriter:
    """Return what writes rows to be read a piece at a time, as :func:`pieces` does."""
    return pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def pieces(file: Path, what: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a stream, none of it held. Raises ArtifactRefused as :func:`content`, before the first."""
    with file.open("rb") as written:
        require_same_sha256(_sha256(written), file.stem, f"{what} {file.name}")
        written.seek(0)
        yield from pa.ipc.open_stream(written)


def rows_of(file: Path, what: str) -> pa.Table:
    """Return the rows of :func:`filed_rows`. Raises ArtifactRefused as :func:`content`."""
    return pq.read_table(pa.BufferReader(content(file, what)))


def _sha256(written: IO[bytes]) -> str:
    return hashlib.file_digest(written, "sha256").hexdigest()  # type: ignore[arg-type]


def content(file: Path, what: str) -> bytes:
    """Return what is in a file. Raises ArtifactRefused, naming ``what`` it is, if that is not what was written."""
    found = file.read_bytes()
    check_sha256(found, file.stem, f"{what} {file.name}")
    return found
