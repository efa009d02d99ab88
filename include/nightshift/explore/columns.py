"""One column: what it holds, how it is spread, and how that differs between two ranges."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.distributions import (
    FEWEST_ROWS,
    MOST_CATEGORIES,
    Floats,
    decile_edges,
    nameable,
    psi,
)
from nightshift.masks import LONG_NUMBER

Kind = Literal["number", "time", "category"]
KINDS: dict[str, Kind] = {"integer": "number", "float": "number", "date": "time", "timestamp": "time"}

BINS = 30
# Whole numbers within this span get a bar each.
WIDEST_WHOLE_SPAN = 60
TAIL = 0.005
MOST_BARS = 10
# More values than this, mostly rare or very many: an identifier, of which no value is shown.
FEW_VALUES = 20
MANY_VALUES = 1000
DISTINCT_SHARE = 0.2
OTHER, MISSING = "(other)", "(missing)"
LOOKED_AT = 500
TEXTS = {
    "numbers as text": re.compile(r"\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*"),
    "dates as text": re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?"),
    "yes/no as text": re.compile(r"(?i)true|false|yes|no|y|n"),
}


@dataclass(frozen=True)
class Values:
    """A column as we look at it: floats (times as seconds since 1970) or text; missing is null in both."""

    name: str
    declared: str
    kind: Kind
    series: pd.Series

    @property
    def floats(self) -> Floats:
        """Numbers and times as an array."""
        return self.series.to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Histogram:
    """Shares of the range's rows a bin; ``then``: of the range compared with. Outer bins hold what lies beyond."""

    edges: tuple[float, ...]
    now: tuple[float, ...]
    then: tuple[float, ...] | None
    clipped: bool


@dataclass(frozen=True)
class Bars:
    """Shares of the range's rows a category, the frequent ones by name, then "(other)" and "(missing)"."""

    labels: tuple[str, ...]
    now: tuple[float, ...]
    then: tuple[float, ...] | None


def values_of(name: str, declared: str, raw: pd.Series) -> Values:
    """Return a column of the warehouse as numbers, seconds or text."""
    kind = KINDS.get(declared, "category")
    return Values(name, declared, kind, READERS[declared](raw.reset_index(drop=True)))


def found_type(values: Values) -> str:
    """Return what the values are like, in words; it may say more than the declared type."""
    if not values.series.notna().any():
        return "nothing"
    if values.kind == "number":
        known = values.floats[~np.isnan(values.floats)]
        return "whole numbers" if bool(np.all(known == np.floor(known))) else "numbers"
    if values.kind == "time" or values.declared == "boolean":
        return {"date": "dates", "timestamp": "instants", "boolean": "true/false"}[values.declared]
    return _like(values.series)


def identifying(values: Values, key: tuple[str, ...]) -> bool:
    """Return whether text names single things (a flight, a person) rather than kinds of things."""
    if values.kind != "category":
        return False
    frequency = values.series.value_counts()
    if len(frequency) <= FEW_VALUES:
        return key == (values.name,)
    rows = int(frequency.sum())
    frequent = int(frequency[frequency >= FEWEST_ROWS].sum())
    many = len(frequency) > min(MANY_VALUES, DISTINCT_SHARE * rows)
    return key == (values.name,) or many or frequent < rows / 2


def picture(now: Values, then: Values | None, *, hidden: bool) -> Histogram | Bars | None:
    """Return the drawing of a column; None if it has no value, or none that may be shown."""
    if hidden or not (now.series.notna().any() or (then is not None and then.series.notna().any())):
        return None
    return _bars(now, then) if now.kind == "category" else _histogram(now, then)


def shift(now: Values, then: Values) -> float:
    """Return the PSI of ``now`` against ``then``, missing values as a bin of their own."""
    if now.kind == "number":
        edges = decile_edges(then.floats)
        return float(psi(_numbers_in(edges, then.floats), _numbers_in(edges, now.floats)))
    frequency = then.series.value_counts()
    named = [value for value in frequency[frequency >= FEWEST_ROWS].index if nameable(str(value))]
    kept = sorted(named, key=lambda value: (-int(frequency[value]), value))[:MOST_CATEGORIES]
    return float(psi(_texts_in(kept, then.series), _texts_in(kept, now.series)))


def showable(value: str) -> bool:
    """Return whether a frequent value may be shown by name: telephone and card numbers are names too."""
    return nameable(value) and not LONG_NUMBER.search(value)


def _like(texts: pd.Series) -> str:
    looked = texts.dropna().unique()[:LOOKED_AT]
    for words, pattern in TEXTS.items():
        if all(pattern.fullmatch(str(text)) for text in looked):
            return words
    return "text"


def _histogram(now: Values, then: Values | None) -> Histogram:
    both = np.concatenate([now.floats, then.floats if then is not None else np.empty(0)])
    known = both[np.isfinite(both)]
    edges = _bins(known, whole=now.kind == "number")
    return Histogram(
        tuple(edges.tolist()),
        _shares_in(edges, now.floats),
        _shares_in(edges, then.floats) if then is not None else None,
        clipped=bool(known.min() < edges[0] or known.max() > edges[-1]),
    )


def _bins(known: Floats, *, whole: bool) -> Floats:
    low, high = float(known.min()), float(known.max())
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    if whole and high - low <= WIDEST_WHOLE_SPAN and bool(np.all(known == np.floor(known))):
        return np.arange(low - 0.5, high + 1)
    inner = np.quantile(known, [TAIL, 1 - TAIL])
    # Half of the rows at one value and a long tail: then the tail is the picture.
    first, last = inner if inner[0] < inner[1] else (low, high)
    return np.linspace(first, last, BINS + 1)


def _shares_in(edges: Floats, values: Floats) -> tuple[float, ...]:
    known = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    counts, _ = np.histogram(known, edges)
    return tuple((counts / max(len(values), 1)).tolist())


def _bars(now: Values, then: Values | None) -> Bars:
    both = now.series if then is None else pd.concat([now.series, then.series])
    frequency = both.value_counts()
    frequent = [str(value) for value in frequency[frequency >= FEWEST_ROWS].index if showable(str(value))]
    named = sorted(frequent, key=lambda value: (-int(frequency[value]), value))[:MOST_BARS]
    counts = [_texts_in(named, one.series) for one in (now, then) if one is not None]
    shares = [tuple((count / max(int(count.sum()), 1)).tolist()) for count in counts]
    used = [n for n in range(len(named) + 2) if n < len(named) or any(share[n] for share in shares)]
    labels = [*named, OTHER, MISSING]
    kept = [tuple(share[n] for n in used) for share in shares]
    return Bars(tuple(labels[n] for n in used), kept[0], kept[1] if then is not None else None)


def _numbers_in(edges: tuple[float, ...], values: Floats) -> NDArray[Any]:
    codes = np.searchsorted(np.array(edges), values, side="right")
    codes[np.isnan(values)] = len(edges) + 1
    return np.bincount(codes, minlength=len(edges) + 2)


def _texts_in(named: list[str], values: pd.Series) -> NDArray[Any]:
    codes = pd.Index(named, dtype="str").get_indexer(pd.Index(values))
    codes = np.where(codes < 0, len(named), codes)
    codes[values.isna().to_numpy()] = len(named) + 1
    return np.bincount(codes, minlength=len(named) + 2)


def _number(raw: pd.Series) -> pd.Series:
    return pd.Series(pd.to_numeric(raw).to_numpy(dtype=np.float64, na_value=np.nan))


def _time(raw: pd.Series) -> pd.Series:
    stamps = pd.to_datetime(raw, utc=True)
    # In seconds: nanoseconds hold no year before 1678 and none after 2261.
    return (stamps - pd.Timestamp("1970-01-01", tz="UTC").as_unit("s")).dt.total_seconds()


def _boolean(raw: pd.Series) -> pd.Series:
    return raw.astype("boolean").map({True: "true", False: "false"}).astype("str")


def _text(raw: pd.Series) -> pd.Series:
    return raw.astype("str")


READERS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "string": _text,
    "integer": _number,
    "float": _number,
    "boolean": _boolean,
    "date": _time,
    "timestamp": _time,
}
