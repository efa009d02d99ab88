"""Receipts: what is served of a block, by the hash of its file, with the counts that sum."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.engine.files import content, filed_rows, rows_of
from nightshift.engine.work import Served
from nightshift.errors import ArtifactRefused
from nightshift.monitor import profile, sketches
from nightshift.records.profile import Profile
from nightshift.records.sketches import Counted, Edges, Sketch
from nightshift.types import to_frame

WHAT = "what is served,"


@dataclass(frozen=True)
class Receipt:
    """``file``: named by the hash of its content. The same block gives the same receipt, however often."""

    file: Path
    rows: int
    sketch: Sketch
    counted: Counted | None


def written(served: Served, folder: Path) -> Receipt:
    """Write what is served of a block; return its receipt."""
    file = filed_rows(served.rows, folder, "parquet")
    return Receipt(file, served.rows.num_rows, served.sketch, served.counted)


def checked(receipt: Receipt, folder: Path, rows: int) -> Receipt:
    """Return a receipt from elsewhere.

    Raises:
        ArtifactRefused: its file is not in ``folder``, not what it says, or not of so many rows.
    """
    if receipt.file.parent != folder or receipt.rows != rows:
        raise ArtifactRefused(
            f"receipt of {receipt.file}, {receipt.rows} rows: expected a file in {folder} of {rows}"
        )
    _content(receipt)
    return receipt


def _content(receipt: Receipt) -> pa.BufferReader:
    """Return what is in a receipt's file. Raises ArtifactRefused if that is not what was written."""
    return pa.BufferReader(content(receipt.file, WHAT))


def read(receipts: Sequence[Receipt]) -> pd.DataFrame:
    """Return the rows behind receipts in their order, as one frame."""
    return to_frame(pa.concat_tables(rows_of(receipt.file, WHAT) for receipt in receipts))


def pieces(
    receipts: Sequence[Receipt], schema: pa.Schema, rows: int, **alike: str | int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows behind receipts in their order, at most so many at a time; ``alike``: columns of one value."""
    for receipt in receipts:
        for piece in pq.ParquetFile(_content(receipt)).iter_batches(rows):
            yield pa.RecordBatch.from_arrays(
                [_column(piece, field, alike) for field in schema], schema=schema
            )


def _column(piece: pa.RecordBatch, field: pa.Field, alike: Mapping[str, str | int]) -> pa.Array:
    if field.name in alike:
        return pa.repeat(pa.scalar(alike[field.name], field.type), piece.num_rows)
    return piece.column(field.name)


def summed(receipts: Sequence[Receipt], edges: Edges, of: Profile | None) -> tuple[Sketch, Counted | None]:
    """Return the sketch and the counts of all rows; no counts where those of a block do not fit."""
    counts = [receipt.counted for receipt in receipts]
    known = [each for each in counts if each]
    fits = of is not None and len(known) == len(counts)
    return (
        sketches.summed((receipt.sketch for receipt in receipts), edges),
        profile.summed(known, of) if of and fits else None,
    )
