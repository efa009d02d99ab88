"""The table of types: what a declared type is in pandas, in Arrow and in PostgreSQL. One of each, everywhere.

Rows that were validated, rows of the warehouse, what ``build()`` is given and what is kept of what it returns,
snapshots: a column of a declared type has the dtype of this table, whatever its values are, on every night. So no
value depends on what stands beside it, and an integer never passes through a float. COPY in binary form is exact
because Arrow's type and the column's are of one width.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class Type(NamedTuple):
    """One declared type."""

    pandas: Any
    arrow: pa.DataType
    postgres: str


TYPES = {
    "string": Type("str", pa.string(), "text"),
    "integer": Type("Int64", pa.int64(), "bigint"),
    "float": Type("float64", pa.float64(), "double precision"),
    "boolean": Type("boolean", pa.bool_(), "boolean"),
    "date": Type("datetime64[s]", pa.date32(), "date"),
    "timestamp": Type("datetime64[us, UTC]", pa.timestamp("us", tz="UTC"), "timestamp with time zone"),
    # No spec declares it. Not jsonb: its binary form is not plain text.
    "json": Type("str", pa.string(), "json"),
}
DTYPES = {name: kind.pandas for name, kind in TYPES.items()}
ARROW = {name: kind.arrow for name, kind in TYPES.items()}
POSTGRES = {name: kind.postgres for name, kind in TYPES.items()}
# Dates and timestamps hold the years 1 to 9999: what Python, ISO 8601 and PostgreSQL all can say.
EARLIEST = pd.Timestamp("0001-01-01", tz="UTC").as_unit("us")
LATEST = pd.Timestamp("9999-12-31T23:59:59.999999", tz="UTC").as_unit("us")
_EXTENSIONS = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def to_arrow(frame: pd.DataFrame, columns: Mapping[str, str]) -> pa.Table:
    """Return ``columns`` (names to declared types) of ``frame`` as Arrow, in exactly the table's types.

    Raises:
        TypeError: a column holds what its type cannot hold; the message names it.
    """
    arrays = [_array(frame[name], name, kind) for name, kind in columns.items()]
    return pa.Table.from_arrays(arrays, schema=pa.schema([(n, ARROW[k]) for n, k in columns.items()]))


def declared(frame: pd.DataFrame) -> dict[str, str]:
    """Return the declared type of each column of a typed frame, by its dtype."""
    kinds = {str(dtype): name for name, dtype in DTYPES.items() if name != "json"}
    # NumPy's own: what is computed beside typed columns, such as a label.
    plain = {"i": "integer", "f": "float", "b": "boolean"}
    return {str(name): kinds.get(str(dtype)) or plain[dtype.kind] for name, dtype in frame.dtypes.items()}


def to_parquet(frame: pd.DataFrame, **about: object) -> bytes:
    """Return a typed frame as Parquet, with ``about`` in its metadata. The same rows and facts give the same bytes."""
    sink = io.BytesIO()
    facts = {name: str(value) for name, value in about.items()}
    table = to_arrow(frame, declared(frame)).replace_schema_metadata(facts)
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def from_parquet(content: bytes) -> pd.DataFrame:
    """Return the frame that :func:`to_parquet` wrote."""
    return to_frame(pq.read_table(io.BytesIO(content)))


def content_sha256(frame: pd.DataFrame) -> str:
    """Return the hash of the rows of a typed frame, whatever their order, and of the columns' names and types.

    ``2-`` before it says how it was made: of Arrow's values, so that no version of pandas counts.
    """
    kinds = declared(frame)
    names = sorted(kinds)
    table = to_arrow(frame, {name: kinds[name] for name in names})
    if names:
        table = table.sort_by([(name, "ascending") for name in names])
    digest = hashlib.sha256(json.dumps([[name, kinds[name]] for name in names]).encode())
    for column in table.combine_chunks().columns:
        for part in _bytes_of(column):
            digest.update(part)
    return f"2-{digest.hexdigest()}"


def _bytes_of(column: pa.ChunkedArray) -> Iterator[bytes]:
    """Yield which values are there, and the values; nothing as zero, for what lies below a null is anything."""
    yield np.packbits(column.is_valid().to_numpy()).tobytes()
    if column.type == pa.string():
        yield pc.fill_null(pc.binary_length(column), -1).to_numpy().astype("<i4").tobytes()
        yield "".join(text for text in column.to_pylist() if text is not None).encode()
    else:
        filled = pc.fill_null(column, pa.scalar(False if column.type == pa.bool_() else 0, column.type))
        yield filled.to_numpy().astype("<f8" if column.type == pa.float64() else "<i8").tobytes()


def _array(values: pd.Series, name: str, kind: str) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, type=ARROW[kind], from_pandas=True, safe=True)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise TypeError(f"column '{name}' ({values.dtype}) does not read as {kind}: {error}") from error


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table that has this module's Arrow types as a frame that has its dtypes."""
    frame = table.to_pandas(types_mapper=_EXTENSIONS.get, date_as_object=False, ignore_metadata=True)
    dates = [field.name for field in table.schema if field.type == ARROW["date"]]
    return frame.astype(dict.fromkeys(dates, DTYPES["date"])) if dates else frame


def as_text(values: pd.Series) -> pd.Series:
    """Return typed values as identifiers are spelled: entities, and what labels are joined by.

    ``7``, ``0.5``, ``True``, ``2013-02-08``, ``2013-02-08 05:00:00+00:00``; never by what else the column holds.
    """
    if not isinstance(values.dtype, pd.DatetimeTZDtype) and values.dtype.kind != "M":
        return values.astype("str")
    zoned = isinstance(values.dtype, pd.DatetimeTZDtype)
    known = values[values.notna()]
    instants = (known.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else known).to_numpy()
    text = np.datetime_as_string(instants, unit="us" if zoned else "D")
    spelled = pd.Series(text, index=known.index, dtype="str", name=values.name)
    if zoned:
        spelled = spelled.str.replace("T", " ").str.removesuffix(".000000") + "+00:00"
    return spelled.reindex(values.index)


def as_numbers(features: pd.DataFrame) -> pd.DataFrame:
    """Return features as an estimator takes them: integers and booleans as float64, nothing as NaN.

    The door: before it a feature is exact, behind it an integer beyond 2**53 is the nearest float.
    """
    numbers = [name for name, dtype in features.dtypes.items() if dtype.kind in "iub"]
    return features.astype(dict.fromkeys(numbers, "float64"))
