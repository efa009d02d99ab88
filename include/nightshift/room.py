"""Which rows PostgreSQL has no room for: a key too long for its index, a row too wide for a page."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nightshift.specs.tables import (
    HEADER_BYTES,
    INLINE_BYTES,
    KEY_BYTES,
    MOVED_BYTES,
    OUR_KEY_BYTES,
    ROW_BYTES,
    WIDTHS,
    row_bytes,
)

# A value's header and what aligns it.
OVERHEAD_BYTES = 16


def key_bytes(columns: int) -> int:
    """Return the most bytes that the texts of a key of so many columns may have together."""
    return KEY_BYTES - OUR_KEY_BYTES - OVERHEAD_BYTES * columns


def long_keys(frame: pd.DataFrame, texts: Sequence[str], columns: int) -> np.ndarray:
    """Return the mask of rows whose key is too long. ``texts``: which of its ``columns`` are text."""
    size = np.zeros(len(frame), dtype=np.int64)
    for name in texts:
        size += _bytes(frame[name])
    return size > key_bytes(columns)


def wide_rows(frame: pd.DataFrame, kinds: Mapping[str, str], ours: Sequence[str] = ()) -> np.ndarray:
    """Return the mask of rows that fit no page. ``kinds``: the table's columns and types, ``ours``: types of ours.

    Long texts are moved out of the row and leave 18 bytes; what is null takes no room.
    """
    types = [*kinds.values(), *ours]
    texts = sum(kind == "string" for kind in types)
    if row_bytes(types) + texts * INLINE_BYTES <= ROW_BYTES:
        return np.zeros(len(frame), dtype=bool)
    size = np.full(len(frame), HEADER_BYTES + len(types) // 8 + 8 + sum(8 for _ in ours), dtype=np.int64)
    for name, kind in kinds.items():
        width, alignment = WIDTHS[kind]
        present = frame[name].notna().to_numpy()
        taken = _inline(frame[name]) if kind == "string" else np.full(len(frame), width)
        size = np.where(present, -(-size // alignment) * alignment + taken, size)
    return -(-size // 8) * 8 > ROW_BYTES


def _inline(values: pd.Series) -> np.ndarray:
    size = _bytes(values)
    return np.where(size > INLINE_BYTES, MOVED_BYTES, size + 1)


def _bytes(values: pd.Series) -> np.ndarray:
    text = pa.array(values, type=pa.large_string(), from_pandas=True)
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    return pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
