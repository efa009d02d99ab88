"""Delivered values to declared types, losslessly or not at all.

What counts is the Python type of each value, not the dtype that pandas chose for the column. Sources that
know types (SQL, Parquet, JSON) must deliver numbers as numbers: a column that turned to text is a retyped
column even while every text spells a number. CSV knows only text. Dates and timestamps may be ISO text
everywhere, since JSON and SQLite have no other way, also spelled 2013/02/08; timestamps without a zone are UTC.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from nightshift.specs.parts import ColumnType

DTYPES: dict[ColumnType, Any] = {
    "string": "str",
    "integer": "Int64",
    "float": "float64",
    "boolean": "boolean",
    "date": "datetime64[s]",
    "timestamp": "datetime64[us, UTC]",
}
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
DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]00:00(?::00(?:\.0+)?)?)?"
TIMESTAMP = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)? ?(?:Z|[+-]\d{2}(?::?\d{2})?)?"
MISSING = {"integer": ["", "nan"], "float": ["", "nan"], "boolean": [""], "date": [""], "timestamp": [""]}
# Beyond, a float no longer tells neighbouring integers apart.
EXACT = 2.0**53


def coerce(delivered: pd.Series, kind: ColumnType, *, text_is_all: bool) -> tuple[pd.Series, np.ndarray]:
    """Return the values as ``DTYPES[kind]``, null where they are null or wrong, and a mask of the wrong ones.

    ``text_is_all``: the source knows only text (CSV), so numbers and booleans are read from it.
    """
    absent = delivered.isna().to_numpy()
    typed = _typed(delivered, kind, text_is_all)
    wrong = typed.isna().to_numpy() & ~absent
    if text_is_all and kind != "string" and wrong.any():
        # CSV writers that quote every field spell a missing value "", and many spell a missing number NaN.
        wrong[wrong] = ~delivered[wrong].astype("str").str.lower().isin(MISSING[kind]).to_numpy()
    return typed, wrong


def kind_of(values: pd.Series) -> str:
    """Return what Python kind of values these are: one of KINDS' values, or ``mixed``."""
    if values.dtype == object:
        found = KINDS.get(infer_dtype(values, skipna=True), "mixed")
        # A datetime is a date to Python, and to infer_dtype.
        return "mixed" if found == "date" and any(isinstance(v, datetime) for v in values) else found
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "float", "M": "timestamp"}.get(
        getattr(values.dtype, "kind", "O"), "text" if isinstance(values.dtype, pd.StringDtype) else "mixed"
    )


def _typed(delivered: pd.Series, kind: ColumnType, text_is_all: bool) -> pd.Series:
    found = kind_of(delivered)
    if found == "mixed":
        return _typed_by_type(delivered.astype(object), kind, text_is_all)
    read = READERS[kind].get(found)
    if read is None or (found == "text" and not text_is_all and kind in ("integer", "float", "boolean")):
        return pd.Series(None, index=delivered.index, dtype=DTYPES[kind])
    present = delivered[delivered.notna()] if delivered.hasnans else delivered
    typed = read(present).astype(DTYPES[kind])
    return typed if len(typed) == len(delivered) else typed.reindex(delivered.index)


def _typed_by_type(delivered: pd.Series, kind: ColumnType, text_is_all: bool) -> pd.Series:
    """Read a column of several Python types, each by itself."""
    types = delivered[delivered.notna()].map(type)
    parts = []
    for one in types.unique():
        values = delivered[types.index[types == one]]
        if kind_of(values) != "mixed":
            parts.append(_typed(values, kind, text_is_all))
    empty = pd.Series(None, index=delivered.index, dtype=DTYPES[kind])
    return pd.concat(parts).reindex(delivered.index) if parts else empty


def _empty(values: pd.Series) -> pd.Series:
    return values


def _text(values: pd.Series) -> pd.Series:
    try:
        text = values.astype("str")
    except UnicodeEncodeError:  # JSON can spell half a surrogate pair; no UTF-8 text holds one
        text = values.where(values.map(_is_unicode)).astype("str")
    # PostgreSQL's text holds no NUL.
    return text.mask(text.str.contains("\0", regex=False).fillna(False).astype(bool))


def _is_unicode(value: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)


def _whole(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    exact = (numbers == np.floor(numbers)) & (numbers.abs() <= EXACT)
    return numbers.where(exact)


def _integers(values: pd.Series) -> pd.Series:
    if values.dtype != object and values.dtype.kind == "i":
        return values
    fits = values.map(lambda value: -(2**63) <= value < 2**63).astype(bool)
    return values.where(fits, None).astype("Int64")


def _integer_text(values: pd.Series) -> pd.Series:
    text = values.astype("str").str.strip()
    plain = text.str.fullmatch(INTEGER).astype(bool)
    if plain.all():
        return text.str.lstrip("+").astype("int64")
    integers = text[plain].str.lstrip("+").astype("Int64")
    # 2004.0: how pandas writes an integer beside a null.
    others = text[~plain].where(text[~plain].str.fullmatch(NUMBER).astype(bool))
    return pd.concat([integers, _whole(others).astype("Int64")]).reindex(values.index)


def _numbers(values: pd.Series) -> pd.Series:
    return values.astype("float64")


def _number_text(values: pd.Series) -> pd.Series:
    text = values.astype("str").str.strip()
    return pd.to_numeric(text.where(text.str.fullmatch(NUMBER).astype(bool)), errors="coerce").astype(
        "float64"
    )


def _booleans(values: pd.Series) -> pd.Series:
    return values.astype("boolean")


def _boolean_integers(values: pd.Series) -> pd.Series:
    return values.where(values.isin([0, 1])).astype("boolean")


def _boolean_text(values: pd.Series) -> pd.Series:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    return values.astype("str").str.strip().str.lower().map(known).astype("boolean")


def _dates(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values.astype("str"), format="%Y-%m-%d", errors="coerce").astype("datetime64[s]")


def _iso(values: pd.Series) -> pd.Series:
    text = values.astype("str").str.strip()
    return (
        text.str.replace(SLASHED, r"\1-\2-\3", regex=True)
        if text.str.contains("/", regex=False).any()
        else text
    )


def _date_text(values: pd.Series) -> pd.Series:
    text = _iso(values)
    return _dates(text.where(text.str.fullmatch(DATE).astype(bool)).str.slice(0, 10))


def _midnights(values: pd.Series) -> pd.Series:
    """Read timestamps as dates: midnights without a zone, which is how Parquet writers often put dates."""
    try:
        naive = pd.to_datetime(values, errors="coerce")
    except ValueError:  # with a zone, or with several
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[s]")
    if getattr(naive.dtype, "tz", None) is not None or naive.dtype == object:
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[s]")
    return naive.where(naive == naive.dt.normalize()).astype("datetime64[s]")


def _timestamps(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, errors="coerce", utc=True).astype("datetime64[us, UTC]")


def _timestamp_text(values: pd.Series) -> pd.Series:
    text = _iso(values)
    spelled = text.where(text.str.fullmatch(TIMESTAMP).astype(bool))
    return pd.to_datetime(spelled, format="ISO8601", errors="coerce", utc=True).astype("datetime64[us, UTC]")


Read = Callable[[pd.Series], pd.Series]
READERS: dict[ColumnType, dict[str, Read]] = {
    "string": {"empty": _empty, "text": _text},
    "integer": {
        "empty": _empty,
        "integer": _integers,
        "float": _whole,
        "decimal": _whole,
        "text": _integer_text,
    },
    "float": {
        "empty": _empty,
        "integer": _numbers,
        "float": _numbers,
        "decimal": _numbers,
        "text": _number_text,
    },
    "boolean": {"empty": _empty, "boolean": _booleans, "integer": _boolean_integers, "text": _boolean_text},
    "date": {"empty": _empty, "date": _dates, "timestamp": _midnights, "text": _date_text},
    "timestamp": {"empty": _empty, "timestamp": _timestamps, "text": _timestamp_text},
}
