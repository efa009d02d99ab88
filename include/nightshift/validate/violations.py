"""Which rows break which rule: the declared types first, then the expectations, then the key.

An expectation never sees a value that failed its type, and the key is judged among the rows that are
otherwise good: a row that is set aside claims no key. All but the key, and the rules that judge a row by those beside
it, is asked of a block by itself.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.room import long_keys, wide_rows
from nightshift.specs import FilesConnector, Source
from nightshift.specs.tables import RAW
from nightshift.spelling import days_at
from nightshift.validate.batches import Batches
from nightshift.validate.dialect import typed as read
from nightshift.validate.rules import Rule

# In this order a row's violations are told; within one, by the number of the date, the column or the expectation.
SCHEMA, TYPED, ROOM, NIGHT, EXPECTED, DISCARDED, KEYED = range(7)


@dataclass(frozen=True)
class Violation:
    """One rule on one column (or several, joined by commas), and the positions of the rows that break it.

    ``place``: its place among all that may be found; the same in each block.
    """

    rule: str
    columns: tuple[str, ...]
    rows: np.ndarray
    place: tuple[int, int]


def typed_columns(
    source: Source, batches: Batches, rows: np.ndarray, names: Collection[str] | None = None
) -> tuple[pd.DataFrame, list[Violation]]:
    """Return the declared columns (or some) at positions ``rows``, typed, and what breaks type, null and finite rules.

    The frame's index is 0, 1, ...; the violations' positions are those of the whole of ``batches``.
    """
    typed: dict[str, pd.Series] = {}
    found: list[Violation] = []
    for number, (name, column) in enumerate(source.columns.items()):
        if names is not None and name not in names:
            continue
        delivered = batches.frame[name] if name in batches.frame else pd.Series(np.nan, batches.frame.index)
        delivered = (
            delivered.iloc[rows].reset_index(drop=True) if len(rows) < len(batches.frame) else delivered
        )
        values, wrong = read(source, name, delivered)
        infinite = (
            np.isinf(values.to_numpy()) if column.type == "float" else np.zeros(len(values), dtype=bool)
        )
        typed[name] = values.mask(infinite) if infinite.any() else values
        null = values.isna().to_numpy() & ~wrong & (not column.nullable)
        checks = {"type": wrong, "not_null": null, "finite": infinite}
        for place, (rule, mask) in enumerate(checks.items(), start=number * len(checks)):
            if mask.any():
                found.append(Violation(rule, (name,), rows[mask], (TYPED, place)))
    return pd.DataFrame(typed), found


def of_room(source: Source, typed: pd.DataFrame, rows: np.ndarray) -> Iterator[Violation]:
    """Yield the rows at positions ``rows`` that PostgreSQL has no room for: it would refuse the whole night."""
    kinds = {name: column.type for name, column in source.columns.items()}
    texts = [name for name in source.key if kinds[name] == "string"]
    long = long_keys(typed, texts, len(source.key))
    if long.any():
        yield Violation("key_length", tuple(source.key), rows[long], (ROOM, 0))
    wide = wide_rows(typed, kinds, [*RAW.values()])
    if wide.any():
        yield Violation("row_length", (next(iter(kinds)),), rows[wide], (ROOM, 1))


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
    day, there = typed[name], typed[name].notna().to_numpy()
    if day.dtype.kind == "M" and getattr(day.dtype, "tz", None) is not None:
        day = days_at(day, home)
    nights = np.array(batches.dates, dtype="datetime64[D]")[batches.day[rows]]
    wanted = nights + np.timedelta64(connector.offset_days, "D")
    # Of no day here, as an instant at the end of all years can be, is of another one too.
    other = there & (day.to_numpy(dtype="datetime64[D]") != wanted)
    if other.any():
        yield Violation("other_night", (name,), rows[other], (NIGHT, 0))


def of_expectations(
    rules: Sequence[Rule],
    typed: pd.DataFrame,
    batches: Batches,
    rows: np.ndarray,
    within: Mapping[int, np.ndarray],
) -> Iterator[Violation]:
    """Yield what breaks the row rules among ``typed``, the rows at positions ``rows``.

    ``within``: what :func:`within_night` found of the blocks of a night.
    """
    for number, rule in enumerate(rules):
        if not rule.judges_rows:
            continue
        if number in within:
            places = within[number] - batches.before
            failing = places[(places >= 0) & (places < len(rows))]
        else:
            failing = (
                _within_dates(rule, typed, batches.day[rows]) if rule.within_date else _failing(rule, typed)
            )
        if len(failing):
            yield Violation(rule.name, rule.columns, rows[failing], (EXPECTED, number))


def within_night(
    source: Source, rules: Sequence[Rule], blocks: Callable[[], Iterator[Batches]]
) -> dict[int, np.ndarray]:
    """Return, by the number of each rule that judges a row by those beside it, which rows of one night break it.

    ``blocks``: the night's, whose columns fit the source. What these rules ask for is held of all of them.
    """
    judged = {n: rule for n, rule in enumerate(rules) if rule.judges_rows and rule.within_date}
    if not judged:
        return {}
    names = {name for rule in judged.values() for name in rule.columns}
    each = (typed_columns(source, block, np.arange(len(block.frame)), names)[0] for block in blocks())
    typed = pd.concat(each, ignore_index=True)
    return {number: _failing(rule, typed) for number, rule in judged.items()}


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
        yield Violation("discarded", tuple(source.key), rows[gone], (DISCARDED, 0))
