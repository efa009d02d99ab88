"""The file of a landing: what a source delivered, to the value, as Parquet. The same rows give the same bytes.

A column of one kind that Arrow can hold exactly is stored as such. Any other (several kinds in one column, integers
beyond 64 bits, decimals of several scales, nested values, half a surrogate pair) is stored as JSON text, a value
each, and its field says so: what a row holds never depends on the rows beside it. What JSON has no type for stands
in an object of one key: ``{"$decimal": "1.50"}``; see TAGS.
"""

import io
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.errors import SourceError
from nightshift.exact import kind_of

FIELD = {b"nightshift.values": b"json"}
UNREADABLE = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Other:
    """A value of a type that no column can be declared as: its type's name, and its text."""

    kind: str
    text: str

    def __str__(self) -> str:
        """Return the text."""
        return self.text


def parquet(frame: pd.DataFrame) -> bytes:
    """Return the rows as delivered.

    Raises:
        SourceError: a value is nested too deeply to be written down.
    """
    frame = frame.set_axis(apart(map(str, frame.columns)), axis=1)
    spelled_out = [name for name in frame.columns if not _is_plain(frame[name])]
    table = pa.Table.from_pandas(
        frame.assign(**{name: _as_json(frame[name]) for name in spelled_out}), preserve_index=False
    )
    for name in spelled_out:
        place = table.schema.get_field_index(name)
        table = table.cast(table.schema.set(place, table.schema.field(place).with_metadata(FIELD)))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def rows_of(content: bytes) -> pd.DataFrame:
    """Return the rows that :func:`parquet` wrote."""
    table = pq.read_table(io.BytesIO(content))
    frame = table.to_pandas(integer_object_nulls=True)
    for field in table.schema:
        if FIELD.items() <= (field.metadata or {}).items():
            frame[field.name] = _from_json(frame[field.name])
    return frame


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


def _is_plain(values: pd.Series) -> bool:
    """Return whether Arrow holds these values as they are."""
    if values.dtype != object:
        return True
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


def _as_json(values: pd.Series) -> pd.Series:
    texts = []
    for number, value in enumerate(values, start=1):
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
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
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
    return {"$other": [type(value).__name__, spelled(str(value))]}


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
    "$nanoseconds": ((pd.Timestamp,), pd.Timestamp.isoformat, pd.Timestamp),
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
