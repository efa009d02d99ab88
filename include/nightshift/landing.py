"""The file of a landing: what a source delivered, to the value, as Parquet. The same rows give the same bytes.

A column of one kind that Arrow can hold exactly is stored as such. Any other (several kinds in one column, integers
beyond 64 bits, decimals of several scales, nested values, half a surrogate pair) is stored as JSON text, a value
each, and its field says so: what a row holds never depends on the rows beside it. What JSON has no type for stands
in an object of one key: ``{"$decimal": "1.50"}``; see TAGS.

A night of many rows is written and read a block at a time, each a row group of its own. What its columns are stored as
is known with the last block: until then the blocks wait in files.
"""

import io
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.errors import SourceError
from nightshift.exact import kind_of

FIELD = {b"nightshift.values": b"json"}
UNREADABLE = (pa.ArrowException, ValueError, TypeError, OverflowError)
COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Other:
    """A value of a type that no column can be declared as: its type's name, and its text."""

    kind: str
    text: str

    def __str__(self) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True)
class Delivered:
    """The rows of a night as delivered. ``each`` yields them anew each time, in blocks; of none an empty one."""

    rows: int
    columns: tuple[str, ...]
    each: Callable[[], Iterator[pd.DataFrame]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Delivered":
        """Return the rows of a frame that is in memory: one block."""
        return cls(len(frame), tuple(apart(map(str, frame.columns))), lambda: iter([frame]))


def parquet(frame: pd.DataFrame) -> bytes:
    """Return the rows as delivered.

    Raises:
        SourceError: a value is nested too deeply to be written down.
    """
    sink = io.BytesIO()
    pq.write_table(_encoded(frame), sink, compression="zstd")
    return sink.getvalue()


def landed_file(blocks: Iterable[pd.DataFrame], folder: Path) -> tuple[int, bytes | Path]:
    """Return how many rows blocks have, and their file: what :func:`parquet` makes of one; of several, in ``folder``.

    The columns of the file are those of all blocks. Raises as :func:`parquet`.
    """
    coming = iter(blocks)
    first, second = next(coming), next(coming, None)
    if second is None:
        return len(first), parquet(first)
    coming = chain((first, second), coming)
    del first, second  # held no longer than the others
    rows, files = 0, []
    kinds: dict[str, set[pa.DataType | None]] = {}
    for block in coming:
        table = _encoded(block, before=rows)
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(None if _is_json(field) else field.type)
        files.append(folder / f"{uuid4().hex}.block")
        with pa.ipc.new_file(str(files[-1]), table.schema, options=COMPRESSED) as waiting:
            waiting.write_table(table)
        rows += len(block)
    schema = pa.schema([_field(name, found) for name, found in kinds.items()])
    whole = folder / f"{uuid4().hex}.parquet"
    with pq.ParquetWriter(whole, schema, compression="zstd") as writer:
        for file in files:
            with pa.OSFile(str(file)) as waiting:
                table = pa.ipc.open_file(waiting).read_all()
            writer.write_table(_fitted(table, schema), row_group_size=max(len(table), 1))
            file.unlink()
    return rows, whole


def delivered(file: Callable[[], AbstractContextManager[IO[bytes]]], most: int) -> Delivered:
    """Return the rows of a landing's file, at most so many a block. ``file`` opens it, anew each time."""

    def each() -> Iterator[pd.DataFrame]:
        with file() as opened, pq.ParquetFile(opened) as found:
            if found.metadata.num_rows <= most:
                yield _decoded(found.read())
                return
            for batch in found.iter_batches(most):
                yield _decoded(pa.Table.from_batches([batch]))

    with file() as opened, pq.ParquetFile(opened) as found:
        return Delivered(found.metadata.num_rows, tuple(found.schema_arrow.names), each)


def rows_of(content: bytes) -> pd.DataFrame:
    """Return the rows that :func:`parquet` wrote."""
    return _decoded(pq.read_table(io.BytesIO(content)))


def same_rows(one: bytes | Path, other: bytes | Path, most: int) -> bool:
    """Return whether two landings' files hold the same rows to the value, looked at so many at a time.

    Their bytes may differ: they tell of what wrote them, and of rows of other nights that were read with these.
    """
    with _file(one) as first, _file(other) as second:
        if first.metadata.num_rows != second.metadata.num_rows:
            return False
        pairs = zip(first.iter_batches(most), second.iter_batches(most), strict=False)
        return all(_are_same(*map(pa.Table.from_batches, ([a], [b]))) for a, b in pairs)


def _file(file: bytes | Path) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(file) if isinstance(file, bytes) else file)


def _are_same(one: pa.Table, other: pa.Table) -> bool:
    kinds = [[(field.name, _is_json(field)) for field in table.schema] for table in (one, other)]
    return kinds[0] == kinds[1] and all(
        # Of nothing but nulls no type is told, and what it is comes from rows of other nights.
        a.null_count == len(a) == b.null_count or _to_the_bit(a).equals(_to_the_bit(b))
        for a, b in zip(one.columns, other.columns, strict=True)
    )


def _to_the_bit(column: pa.ChunkedArray) -> pa.Array:
    """Return the values as what they are judged as, floats as their bits: 0.0 is not -0.0."""
    plain = _plainly(column).combine_chunks()
    # A library of tomorrow may write another unit; a number that does not fit is its own.
    with suppress(pa.ArrowInvalid):
        plain = plain.cast(_finest(_widest(plain.type)))
    return plain.view(f"int{plain.type.bit_width}") if pa.types.is_floating(plain.type) else plain


def in_blocks(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of frames, ``rows`` at a time, the last ones fewer; one block without any where there are none."""
    held: list[pd.DataFrame] = []
    count = 0
    for frame in frames:
        held.append(frame)
        count += len(frame)
        if count > rows:
            whole = stacked(held)
            last = (count - 1) // rows * rows  # a row at least is left, for the end
            for start in range(0, last, rows):
                yield whole.iloc[start : start + rows].reset_index(drop=True)
            held, count = [whole.iloc[last:].reset_index(drop=True)], count - last
    yield stacked(held)


def stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all frames, each value as its frame holds it."""
    filled = [frame for frame in frames if len(frame)]
    if len(filled) < 2:
        return (filled or frames)[0]
    dtypes: dict[str, list[Any]] = {}
    for frame in filled:
        for name, dtype in frame.dtypes.items():
            dtypes.setdefault(str(name), []).append(dtype)
    # Left to pandas, integers beside floats of another frame, or beside rows without any, would all become floats.
    mixed = [
        name
        for name, found in dtypes.items()
        if len(set(map(str, found))) > 1 or (len(found) < len(filled) and found[0].kind in "iu")
    ]
    # Only where it changes something: to ask for no other dtype still copies every column.
    alike = [
        frame.astype({name: object for name in mixed if name in frame.columns}) if mixed else frame
        for frame in filled
    ]
    return pd.concat(alike, ignore_index=True)


def apart(names: Iterable[str]) -> list[str]:
    """Return column names as they can be written; a repeated one as ``name (2)``: an unknown column, and named so."""
    seen: dict[str, int] = {}
    unique = []
    for name in map(spelled, names):
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def spelled(text: str) -> str:
    """Return ``text`` with half surrogate pairs, which JSON can hold and UTF-8 cannot, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _encoded(frame: pd.DataFrame, before: int = 0) -> pa.Table:
    """Return the rows as they are stored, the columns that are spelled out as such. ``before``: rows above them."""
    frame = frame.set_axis(apart(map(str, frame.columns)), axis=1)
    spelled_out = [name for name in frame.columns if not _is_plain(frame[name])]
    table = pa.Table.from_pandas(
        frame.assign(**{name: _as_json(frame[name], before) for name in spelled_out}), preserve_index=False
    )
    for name in spelled_out:
        place = table.schema.get_field_index(name)
        table = table.cast(table.schema.set(place, table.schema.field(place).with_metadata(FIELD)))
    return table


def without_dictionaries(table: pa.Table) -> pa.Table:
    """Return the table with each value in full: pandas would make categories of texts, which are read otherwise."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = _plainly(table.column(place))
            table = table.set_column(place, field.with_type(values.type), values)
    return table


def _decoded(table: pa.Table) -> pd.DataFrame:
    frame = without_dictionaries(table).to_pandas(integer_object_nulls=True)
    for field in table.schema:
        if _is_json(field):
            frame[field.name] = _from_json(frame[field.name])
    return frame


def _is_json(field: pa.Field) -> bool:
    return bool(FIELD.items() <= (field.metadata or {}).items())


def _field(name: str, kinds: set[pa.DataType | None]) -> pa.Field:
    """Return what a column of blocks of these types is stored as; None: one that is spelled out."""
    kind = None if None in kinds else _common({kind for kind in kinds if kind is not None})
    return pa.field(name, pa.string(), metadata=FIELD) if kind is None else pa.field(name, kind)


def _common(kinds: set[pa.DataType]) -> pa.DataType | None:
    """Return the type that holds every value of these as it is, or None: integers beside floats have no such."""
    found = {_widest(kind) for kind in kinds if not pa.types.is_null(kind)}
    if (
        len(found) > 1
        and all(map(pa.types.is_decimal128, found))
        and len({kind.scale for kind in found}) == 1
    ):
        return max(found, key=lambda kind: kind.precision)
    if len(found) > 1:
        return None
    return found.pop() if found else pa.null()


def _widest(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):  # each block has its own
        return _widest(kind.value_type)
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    return pa.large_string() if kind == pa.string() else kind


def _finest(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("ns", kind.tz) if pa.types.is_timestamp(kind) else kind


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a block as those of its file: nothing where it has none."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(len(table), field.type))
        elif _is_json(field) and not _is_json(table.field(field.name)):
            values = table.select([field.name]).to_pandas(integer_object_nulls=True)[field.name]
            columns.append(pa.array(_as_json(values), type=field.type, from_pandas=True))
        else:
            columns.append(_plainly(table[field.name]).cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _plainly(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _is_plain(values: pd.Series) -> bool:
    """Return whether Arrow holds these values as they are."""
    if values.dtype != object:
        # Clocks of before time zones were minutes and seconds from UTC; Arrow knows minutes.
        return not isinstance(values.dtype, pd.DatetimeTZDtype) or _is_readable(values)
    kind = kind_of(values)
    if kind in ("text", "integer"):
        return _is_readable(values)
    return kind in ("float", "boolean", "date", "empty") or (kind in ONE_WAY and _are_alike(values, kind))


def _is_readable(values: pd.Series) -> bool:
    try:
        pa.array(values, from_pandas=True)
    except UNREADABLE:
        return False
    return True


def _are_alike(values: pd.Series, kind: str) -> bool:
    return _is_readable(values) and len({ONE_WAY[kind](value) for value in values[values.notna()]}) == 1


# Arrow would give all of a column one scale, or one zone.
ONE_WAY: dict[str, Callable[[Any], object]] = {
    "decimal": lambda value: value.as_tuple().exponent,
    "timestamp": lambda value: (type(value), value.tzinfo),
}


def _as_json(values: pd.Series, before: int = 0) -> pd.Series:
    texts = []
    for number, value in enumerate(values, start=before + 1):
        try:
            texts.append(None if _is_absent(value) else json.dumps(_tagged(value), separators=(",", ":")))
        except RecursionError as error:
            raise SourceError(
                f"column '{values.name}', row {number}: nested too deeply to be kept; flatten it upstream"
            ) from error
    return pd.Series(texts, index=values.index, dtype="str")


def _from_json(texts: pd.Series) -> pd.Series:
    values = [json.loads(text, object_hook=_untagged) if isinstance(text, str) else None for text in texts]
    return pd.Series(values, index=texts.index, dtype=object)


def _is_absent(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _tagged(value: Any) -> Any:
    """Return ``value`` as what JSON can say."""
    value = _python(value)
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_tagged(part) for part in value]
    if isinstance(value, dict):
        pairs = [[_tagged(key), _tagged(part)] for key, part in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return dict(pairs) if plain else {"$object": pairs}
    for tag, (kinds, write, _) in TAGS.items():
        if isinstance(value, kinds):
            return {tag: write(value)}
    kind = value.kind if isinstance(value, Other) else type(value).__name__
    return {"$other": [kind, spelled(str(value))]}


def _python(value: Any) -> Any:
    """Return a value of numpy as Python's, and so an instant whose offset has seconds: pandas cannot read its own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    offset = value.utcoffset() if isinstance(value, pd.Timestamp) else None
    return value.to_pydatetime(warn=False) if offset and offset.total_seconds() % 60 else value


def _timestamp(text: str) -> datetime:
    try:
        return pd.Timestamp(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _untagged(found: dict[str, Any]) -> Any:
    tag = next(iter(found), None)
    if tag == "$object":
        return dict(found[tag])
    if tag == "$other":
        return Other(*found[tag])
    return TAGS[tag][2](found[tag]) if tag in TAGS else found


Tag = tuple[tuple[type, ...], Callable[[Any], str], Callable[[str], Any]]
# In this order: a timestamp is a date to Python, and pandas' is Python's.
TAGS: dict[str, Tag] = {
    "$decimal": ((Decimal,), str, Decimal),
    "$uuid": ((UUID,), str, UUID),
    "$bytes": ((bytes, bytearray, memoryview), lambda v: b64encode(bytes(v)).decode(), b64decode),
    "$nanoseconds": ((pd.Timestamp,), pd.Timestamp.isoformat, _timestamp),
    "$timestamp": ((datetime,), datetime.isoformat, datetime.fromisoformat),
    "$date": ((date,), date.isoformat, date.fromisoformat),
    "$time": ((time,), time.isoformat, time.fromisoformat),
    "$interval": (
        (timedelta,),
        lambda v: str(v // timedelta(microseconds=1)),
        lambda text: timedelta(microseconds=int(text)),
    ),
    "$float": ((float,), repr, float),
}
