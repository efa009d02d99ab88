"""Which rows break which rule: the declared types first, then the expectations, then the key.

An expectation never sees a value that failed its type, and the key is judged among the rows that are
otherwise good: a row that is set aside claims no key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.room import long_keys, wide_rows
from nightshift.specs import Column, FilesConnector, Source
from nightshift.specs.tables import RAW
from nightshift.validate.batches import Batches
from nightshift.validate.dialect import typed as read
from nightshift.validate.rules import Rule


@dataclass(frozen=True)
class Violation:
    """One rule on one column (or several, joined by commas), and the positions of the rows that break it."""

    rule: str
    columns: tuple[str, ...]
    rows: np.ndarray


def typed_columns(source: Source, batches: Batches, rows: np.ndarray) -> tuple[pd.DataFrame, list[Violation]]:
    """Return the declared columns at positions ``rows``, typed, and what breaks type, null and finite rules.

    The frame's index is 0, 1, ...; the violations' positions are those of the whole of ``batches``.
    """
    typed: dict[str, pd.Series] = {}
    found: list[Violation] = []
    for name, column in source.columns.items():
        delivered = batches.frame[name] if name in batches.frame else pd.Series(np.nan, batches.frame.index)
        delivered = (
            delivered.iloc[rows].reset_index(drop=True) if len(rows) < len(batches.frame) else delivered
        )
        values, wrong = read(source, name, delivered)
        infinite = (
            np.isinf(values.to_numpy()) if column.type == "float" else np.zeros(len(values), dtype=bool)
        )
        typed[name] = values.mask(infinite) if infinite.any() else values
        found += _of_column(name, column, rows, wrong, infinite, values.isna().to_numpy() & ~wrong)
    return pd.DataFrame(typed), found


def _of_column(
    name: str, column: Column, rows: np.ndarray, wrong: np.ndarray, infinite: np.ndarray, null: np.ndarray
) -> Iterator[Violation]:
    checks = {"type": wrong, "not_null": null & (not column.nullable), "finite": infinite}
    for rule, mask in checks.items():
        if mask.any():
            yield Violation(rule, (name,), rows[mask])


def of_room(source: Source, typed: pd.DataFrame, rows: np.ndarray) -> Iterator[Violation]:
    """Yield the rows at positions ``rows`` that PostgreSQL has no room for: it would refuse the whole night."""
    kinds = {name: column.type for name, column in source.columns.items()}
    texts = [name for name in source.key if kinds[name] == "string"]
    long = long_keys(typed, texts, len(source.key))
    if long.any():
        yield Violation("key_length", tuple(source.key), rows[long])
    wide = wide_rows(typed, kinds, [*RAW.values()])
    if wide.any():
        yield Violation("row_length", (next(iter(kinds)),), rows[wide])


def of_night(
    source: Source, typed: pd.DataFrame, batches: Batches, rows: np.ndarray, home: ZoneInfo
) -> Iterator[Violation]:
    """Yield the rows of a source with a ``date_column`` that are of another day than the one their night collects.

    Such a row was mended, or its date could not be read where it was collected.
    """
    connector = source.connector
    name = connector.date_column if isinstance(connector, FilesConnector) else None
    if not isinstance(connector, FilesConnector) or name is None or name not in typed:
        return
    day = typed[name]
    if day.dtype.kind == "M" and getattr(day.dtype, "tz", None) is not None:
        day = day.dt.tz_convert(home).dt.tz_localize(None).dt.normalize()
    nights = np.array(batches.dates, dtype="datetime64[D]")[batches.day[rows]]
    wanted = nights + np.timedelta64(connector.offset_days, "D")
    other = day.notna().to_numpy() & (day.to_numpy(dtype="datetime64[D]") != wanted)
    if other.any():
        yield Violation("other_night", (name,), rows[other])


def of_expectations(
    rules: Sequence[Rule], typed: pd.DataFrame, batches: Batches, rows: np.ndarray
) -> Iterator[Violation]:
    """Yield what breaks the row rules among ``typed``, the rows at positions ``rows``."""
    for rule in rules:
        if not rule.judges_rows:
            continue
        failing = _within_dates(rule, typed, batches.day[rows]) if rule.within_date else _failing(rule, typed)
        if len(failing):
            yield Violation(rule.name, rule.columns, rows[failing])


def _failing(rule: Rule, typed: pd.DataFrame) -> np.ndarray:
    from nightshift.validate.expectations import failing_rows

    return failing_rows(rule, typed)


def _within_dates(rule: Rule, typed: pd.DataFrame, day: np.ndarray) -> np.ndarray:
    order = np.argsort(day, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(day[order]) > 0]) if len(day) else np.empty(0, dtype=np.int64)
    parts = [part[_failing(rule, typed.iloc[part])] for part in np.split(order, starts[1:])]
    return np.sort(np.concatenate(parts))


def of_discarded(
    source: Source, batches: Batches, rows: np.ndarray, bad: np.ndarray, discarded: Mapping[date, np.ndarray]
) -> Iterator[Violation]:
    """Yield the discarded rows that no rule sets aside any more: they stay out, and claim no key."""
    places = [batches.positions(day, numbers) for day, numbers in discarded.items() if day in batches.dates]
    gone = np.isin(rows, np.concatenate(places)) & ~bad if places else np.zeros(len(rows), dtype=bool)
    if gone.any():
        yield Violation("discarded", tuple(source.key), rows[gone])


def of_key(
    source: Source, typed: pd.DataFrame, batches: Batches, rows: np.ndarray, bad: np.ndarray
) -> Iterator[Violation]:
    """Yield repeated rows, all but the first, and the rows whose key stands for different content.

    ``bad`` is the mask, over ``typed``, of rows already set aside.
    """
    day = pd.Series(batches.day[rows], name="batch_date")
    key = tuple(source.key)
    claims = pd.concat([day, typed], axis=1)[~bad]
    if not claims.duplicated(["batch_date", *key]).any():
        return
    repeated = claims.duplicated(keep="first")
    once = claims[~repeated]
    conflicting = once.duplicated(["batch_date", *key], keep=False)
    different = claims.set_index(["batch_date", *key]).index.isin(
        once[conflicting].set_index(["batch_date", *key]).index
    )
    if (repeated & ~different).any():
        yield Violation("repeated", key, rows[claims.index[repeated & ~different]])
    if different.any():
        yield Violation("unique_key", key, rows[claims.index[different]])
