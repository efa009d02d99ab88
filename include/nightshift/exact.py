"""Values of any Python type as a declared type: exactly, or not at all.

What counts is each value's own type, not the dtype that pandas chose for the column: what a value reads as never
depends on the values beside it. A float holds the nearest double of a number with more digits.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import infer_dtype

from nightshift.types import DTYPES, EARLIEST, LATEST

KINDS = {
    "string": "text",
    "integer": "integer",
    "floating": "float",
    "decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "datetime64": "timestamp",
    "empty": "empty",
}
INTEGER = r"[+-]?\d{1,18}"
NUMBER = r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
# Year first, so that month and day cannot be mistaken for each other.
SLASHED = r"^(\d{4})/(\d{2})/(\d{2})"
# Midnight UTC is how JavaScript, among others, writes a day.
DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?)?"
TIMESTAMP = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)? ?(?:Z|[+-]\d{2}(?::?\d{2})?)?"
LEAST, MOST, DIGITS = -(2**63), 2**63 - 1, 19
# From here on a float no longer tells neighbouring integers apart: 2**53 may have been 2**53 + 1.
EXACT = 2.0**53


def exact(values: pd.Series, kind: str, *, texts: bool = False) -> pd.Series:
    """Return the values as ``DTYPES[kind]``, null where they are null or no such value.

    Dates and timestamps may be ISO text everywhere; ``texts``: numbers and booleans too.
    """
    found = kind_of(values)
    if found == "mixed":
        return _by_type(values.astype(object), kind, texts)
    read = READERS[kind].get(found)
    if read is None or (found == "text" and not texts and kind in ("integer", "float", "boolean")):
        return pd.Series(None, index=values.index, dtype=DTYPES[kind])
    present = values[values.notna()] if values.hasnans else values
    typed = read(present).astype(DTYPES[kind])
    return typed if typed.index.equals(values.index) else typed.reindex(values.index)


def kind_of(values: pd.Series) -> str:
    """Return what Python kind of values these are: one of KINDS' values, ``uuid``, or ``mixed``."""
    if values.dtype == object:
        found = KINDS.get(infer_dtype(values, skipna=True), "mixed")
        return _date_or_timestamp(values) if found == "date" else found
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "float", "M": "timestamp"}.get(
        getattr(values.dtype, "kind", "O"), "text" if isinstance(values.dtype, pd.StringDtype) else "mixed"
    )


def _date_or_timestamp(values: pd.Series) -> str:
    """Return what dates are: a datetime is one to Python, and so to infer_dtype beside some kinds of nothing."""
    found = {isinstance(value, datetime) for value in values[values.notna()]}
    return "mixed" if len(found) > 1 else "timestamp" if True in found else "date"


def _by_type(values: pd.Series, kind: str, texts: bool) -> pd.Series:
    """Read a column of several Python types, each by itself."""
    types = values[values.notna()].map(type)
    parts = []
    for one in types.unique():
        alike = values[types.index[types == one]]
        if issubclass(one, uuid.UUID):
            alike = alike.map(str)
        if kind_of(alike) != "mixed":
            parts.append(exact(alike, kind, texts=texts))
    empty = pd.Series(None, index=values.index, dtype=DTYPES[kind])
    return pd.concat(parts).reindex(values.index) if parts else empty


def _empty(values: pd.Series) -> pd.Series:
    return values


def as_texts(values: pd.Series) -> pd.Series:
    """Return the values as ``str``, but for texts with half a surrogate pair.

    JSON can spell such a half, and no UTF-8 text holds it: what has one reads as no value of any type.
    """
    try:
        return values.astype("str")
    except UnicodeEncodeError:
        return values[[_is_unicode(str(value)) for value in values]].astype("str")


def to_microseconds(text: pd.Series) -> pd.Series:
    """Return timestamps of ISO text without the digits beyond microseconds.

    One value with more would make pandas read all in nanoseconds, which reach from 1677 to 2262.
    """
    return text.str.replace(r"(\.\d{6})\d+", r"\1", regex=True)


def _text(values: pd.Series) -> pd.Series:
    text = as_texts(values)
    # PostgreSQL's text holds no NUL.
    return text.mask(text.str.contains("\0", regex=False).fillna(False).astype(bool))


def _is_unicode(value: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)


def _integers(values: pd.Series) -> pd.Series:
    if values.dtype.kind == "i":
        return values
    fits = values.map(lambda value: LEAST <= value <= MOST).astype(bool)
    return values[fits].astype("int64" if values.dtype.kind == "u" else "Int64")


def _whole(values: pd.Series) -> pd.Series:
    numbers = values.astype("float64")
    return numbers.where((numbers == np.floor(numbers)) & (numbers.abs() < EXACT))


def _whole_decimals(values: pd.Series) -> pd.Series:
    # The exponent first: 1E+999999 as an integer is a megabyte.
    whole = values.map(lambda v: v.is_finite() and v.adjusted() < DIGITS and v == v.to_integral_value())
    return _integers(values[whole.astype(bool)].map(int).astype(object))


def _integer_text(values: pd.Series) -> pd.Series:
    text = as_texts(values).str.strip()
    plain = text.str.fullmatch(INTEGER).astype(bool)
    if plain.all():
        return text.str.lstrip("+").astype("int64")
    integers = text[plain].str.lstrip("+").astype("Int64")
    # 19 digits; and 2004.0: how pandas writes an integer beside a null.
    others = text[~plain][text[~plain].str.fullmatch(NUMBER).astype(bool)]
    return pd.concat([integers, _whole_decimals(others.astype(object).map(as_decimal)).astype("Int64")])


def as_decimal(text: str) -> Decimal:
    """Return the number that a text spells, to the digit; NaN for one with an exponent beyond all decimals.

    A signalling NaN is NaN too: it has no hash.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")
    return Decimal("NaN") if number.is_snan() else number


def _numbers(values: pd.Series) -> pd.Series:
    if values.dtype != object:
        return values.astype("float64")
    return pd.Series([_nearest(value) for value in values], index=values.index, dtype="float64")


def _nearest(value: Any) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):  # an integer of 400 digits; a signalling NaN
        return float("nan")


def _number_text(values: pd.Series) -> pd.Series:
    text = as_texts(values).str.strip()
    spelled = text[text.str.fullmatch(NUMBER).astype(bool)]
    # By Arrow: every bit of the nearest double, where pandas' own parser is off by one in a third of all.
    array = pa.array(spelled.str.lstrip("+"), type=pa.large_string())
    return pd.Series(pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False), index=spelled.index)


def _booleans(values: pd.Series) -> pd.Series:
    return values.astype("boolean")


def _boolean_numbers(values: pd.Series) -> pd.Series:
    return values[values.isin([0, 1])].astype("int64").astype("boolean")


def _boolean_text(values: pd.Series) -> pd.Series:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    return as_texts(values).str.strip().str.lower().map(known).astype("boolean")


def _dates(values: pd.Series) -> pd.Series:
    days = np.array(values.to_list(), dtype="datetime64[D]")
    return pd.Series(days.astype("datetime64[s]"), index=values.index)


def _iso(values: pd.Series) -> pd.Series:
    text = as_texts(values).str.strip()
    return (
        text.str.replace(SLASHED, r"\1-\2-\3", regex=True)
        if text.str.contains("/", regex=False).any()
        else text
    )


def _date_text(values: pd.Series) -> pd.Series:
    text = _iso(values)
    days = text[text.str.fullmatch(DATE).astype(bool)].str.slice(0, 10)
    return _bounded(pd.to_datetime(days, format="%Y-%m-%d", errors="coerce"))


def _midnights(values: pd.Series) -> pd.Series:
    """Read timestamps as dates: midnights without a zone, which is how Parquet writers often put dates."""
    if values.dtype == object:
        naive = values[values.map(lambda v: v.tzinfo is None).astype(bool)]
        return _midnights(_of_objects(naive).dt.tz_localize(None))
    if getattr(values.dtype, "tz", None) is not None:
        return values[:0].dt.tz_localize(None)
    return _bounded(values[values == values.dt.normalize()])


def _timestamps(values: pd.Series) -> pd.Series:
    if values.dtype == object:
        return _of_objects(values)
    zoned = getattr(values.dtype, "tz", None) is not None
    return _bounded(values.dt.tz_convert("UTC") if zoned else values.dt.tz_localize("UTC"))


def _of_objects(values: pd.Series) -> pd.Series:
    """Read each datetime by itself: they may be of several zones, and of none."""
    instants = np.array([_instant(value) for value in values], dtype="datetime64[us]")
    return _bounded(pd.Series(instants, index=values.index).dt.tz_localize("UTC"))


def _instant(value: datetime) -> np.datetime64:
    try:
        zoned = value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
        if isinstance(zoned, pd.Timestamp):
            return zoned.tz_localize(None).as_unit("us").to_datetime64()
    except (OverflowError, ValueError):  # the last hours of 9999, of a zone behind UTC; pandas' years beyond
        return np.datetime64("NaT", "us")
    return np.datetime64(zoned.replace(tzinfo=None), "us")


def _bounded(values: pd.Series) -> pd.Series:
    """Return the instants of the years 1 to 9999; others have no place in PostgreSQL and Python alike."""
    zoned = getattr(values.dtype, "tz", None) is not None
    first, last = (EARLIEST, LATEST) if zoned else (EARLIEST.tz_localize(None), LATEST.tz_localize(None))
    # In their own unit: seconds reach further than microseconds do.
    return values[(values >= first) & (values <= last)].dt.as_unit("us")


def _timestamp_text(values: pd.Series) -> pd.Series:
    text = _iso(values)
    spelled = to_microseconds(text[text.str.fullmatch(TIMESTAMP).astype(bool)])
    return _bounded(pd.to_datetime(spelled, format="ISO8601", errors="coerce", utc=True))


Read = Callable[[pd.Series], pd.Series]
READERS: dict[str, dict[str, Read]] = {
    "string": {"empty": _empty, "text": _text},
    "integer": {
        "empty": _empty,
        "integer": _integers,
        "float": _whole,
        "decimal": _whole_decimals,
        "text": _integer_text,
    },
    "float": {
        "empty": _empty,
        "integer": _numbers,
        "float": _numbers,
        "decimal": _numbers,
        "text": _number_text,
    },
    "boolean": {"empty": _empty, "boolean": _booleans, "integer": _boolean_numbers, "text": _boolean_text},
    "date": {"empty": _empty, "date": _dates, "timestamp": _midnights, "text": _date_text},
    "timestamp": {"empty": _empty, "timestamp": _timestamps, "text": _timestamp_text},
}
