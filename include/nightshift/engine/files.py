"""Files that are named by their content: the same content is the same file, whoever writes it and however often."""

import hashlib
import io
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.artifacts import check_sha256


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


def content(file: Path, what: str) -> bytes:
    """Return what is in a file. Raises ArtifactRefused, naming ``what`` it is, if that is not what was written."""
    found = file.read_bytes()
    check_sha256(found, file.stem, f"{what} {file.name}")
    return found
