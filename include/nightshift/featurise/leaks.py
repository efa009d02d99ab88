"""Leaks: whether a night's features depend on what the night could not know, or on what was built before it.

Each attack changes what lies beyond the cut-off, or the way the night is built. The night is built again, and
every feature row must be the same, bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype, is_string_dtype

from nightshift.calendar import Calendar
from nightshift.featurise import Build, compute, earliest_input, visible
from nightshift.specs import FeatureSet

Frames = Mapping[str, pd.DataFrame]
See = Callable[[Frames, FeatureSet, Calendar, date], dict[str, pd.DataFrame]]
DAY = timedelta(days=1)
LATER = pd.Timedelta(days=400)
LONE_ROWS = "rows missing or added"


@dataclass(frozen=True)
class Case:
    """A night to attack. ``frames``: a frame a source, of the look-back and some nights more; ``keys``: its key.

    ``load`` returns the ``build`` of a module loaded afresh: what an attack leaves in it is gone with the next.
    """

    spec: FeatureSet
    calendar: Calendar
    night: date
    frames: Frames
    keys: Mapping[str, list[str]]
    load: Callable[[], Build]
    see: See = visible
    # What models on the set are to predict: columns of sources that it reads, by source.
    targets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def built(self, build: Build, night: date) -> pd.DataFrame:
        """Return the features of a night."""
        return compute(self.spec, build, self.see(self.frames, self.spec, self.calendar, night), night)

    def is_later(self, frame: pd.DataFrame) -> pd.Series:
        """Return which rows the night cannot know: of a later batch, or known after its cut-off."""
        cutoff = pd.Timestamp(self.calendar.cutoff(self.night))
        return (frame["known_at"] > cutoff) | (frame["batch_date"] > pd.Timestamp(self.night))


@dataclass(frozen=True)
class Finding:
    """What an attack did: ``touched`` input rows, and the feature rows and columns that changed by it."""

    attack: str
    touched: int
    rows: int
    changed: int
    columns: list[str]


def check(case: Case) -> list[Finding]:
    """Return a finding an attack; a set without leaks has ``changed`` 0 in all of them."""
    expected = case.built(case.load(), case.night)
    findings = []
    attacks = {**ATTACKS, **({"own outcome changed": own_outcome_changed} if case.targets else {})}
    for name, attack in attacks.items():
        attacked, touched = attack(case)
        findings.append(_finding(name, replace(case, frames=attacked), _once, expected, touched))
    return findings + [_finding(name, case, way, expected, 0) for name, way in WAYS.items()]


def differing(
    spec: FeatureSet, expected: pd.DataFrame, got: pd.DataFrame, *, partly: bool = False
) -> tuple[int, list[str]]:
    """Return how many rows differ, and in which columns. Floats by their bits; NaN equals NaN.

    ``partly``: ``got`` need not hold every entity of ``expected``.
    """
    left, right = _bits(spec, expected), _bits(spec, got)
    common = left.index.intersection(right.index)
    lone = len(right) - len(common) + (0 if partly else len(left) - len(common))
    unequal = left.loc[common] != right.loc[common]
    columns = [str(name) for name in unequal.columns[unequal.any()]]
    return int(unequal.any(axis=1).sum()) + lone, columns + ([LONE_ROWS] if lone else [])


def _bits(spec: FeatureSet, frame: pd.DataFrame) -> pd.DataFrame:
    columns = {
        name: _float_bits(frame[name])
        if kind == "float"
        else frame[name].astype(object).where(frame[name].notna(), "")
        for name, kind in spec.columns.items()
    }
    index = pd.MultiIndex.from_frame(frame[spec.entity].astype(str))
    return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()}, index=index)


def _float_bits(column: pd.Series) -> np.ndarray:
    values = column.astype("float64").to_numpy(copy=True)
    values[np.isnan(values)] = np.nan
    return values.view("int64")


def _finding(
    name: str, case: Case, way: Callable[[Case], pd.DataFrame], expected: pd.DataFrame, touched: int
) -> Finding:
    try:
        changed, columns = differing(case.spec, expected, way(case))
    except Exception as error:  # noqa: BLE001 the user's code, given what it must never see
        return Finding(name, touched, len(expected), len(expected), [f"build() failed: {error}"])
    return Finding(name, touched, len(expected), changed, columns)


# Attacks on the data: each returns frames that differ in what the night cannot know, and the number of those rows.


def later_rows_changed(case: Case) -> tuple[Frames, int]:
    """Change the values of every row of a later batch, or known after the cut-off."""
    changed, touched = {}, 0
    for name, frame in case.frames.items():
        later = case.is_later(frame)
        changed[name] = _in_order(frame[~later], _altered(frame[later], case.keys[name]))
        touched += int(later.sum())
    return changed, touched


def later_rows_added(case: Case) -> tuple[Frames, int]:
    """Add a copy of every visible row, in its own batch, with other values, known a second after the cut-off on."""
    first = pd.Timestamp(case.calendar.cutoff(case.night)) + pd.Timedelta(seconds=1)
    added = {}
    for name, frame in case.frames.items():
        copies = _altered(frame[~case.is_later(frame)], case.keys[name])
        copies["known_at"] = first + pd.to_timedelta(np.arange(len(copies)), unit="s")
        added[name] = _in_order(frame, copies)
    return added, _more(case.frames, added)


def later_batches_added(case: Case) -> tuple[Frames, int]:
    """Add a copy of every visible row to the next night's batch, with other values, its ``known_at`` as it was."""
    added = {}
    for name, frame in case.frames.items():
        seen = frame[~case.is_later(frame)]
        copies = _altered(seen, case.keys[name]).assign(
            batch_date=pd.Timestamp(case.night + DAY).as_unit("s"), known_at=seen["known_at"]
        )
        added[name] = _in_order(frame, copies)
    return added, _more(case.frames, added)


def later_rows_removed(case: Case) -> tuple[Frames, int]:
    """Remove every row of a later batch, or known after the cut-off."""
    left = {name: frame[~case.is_later(frame)] for name, frame in case.frames.items()}
    return left, _more(left, case.frames)


def own_outcome_changed(case: Case) -> tuple[Frames, int]:
    """Change what models are to predict, in the rows of those very entities that the night's features are about."""
    entity = case.spec.entity
    own = pd.MultiIndex.from_frame(case.built(case.load(), case.night)[entity].astype("str"))
    changed, touched = dict(case.frames), 0
    for name, columns in case.targets.items():
        frame = case.frames[name]
        if not set(entity) <= set(frame.columns):
            continue
        mine = pd.MultiIndex.from_frame(frame[entity].astype("str")).isin(own)
        rows = mine & ~case.is_later(frame).to_numpy()
        changed[name] = frame.assign(**{column: _others(frame[column], rows) for column in columns})
        touched += int(rows.sum())
    return changed, touched


def _others(column: pd.Series, rows: np.ndarray) -> pd.Series:
    """Return the column with another of its values wherever ``rows`` says so: a small one for a large one."""
    codes, found = pd.factorize(column, sort=True)
    if len(found) < 2:
        return _altered(pd.DataFrame({"": column}), [])[""].where(rows, column)
    others = pd.Series(found.take((codes + len(found) // 2) % len(found)), index=column.index).astype(
        column.dtype
    )
    return column.where(~rows | column.isna(), others)


ATTACKS: dict[str, Callable[[Case], tuple[Frames, int]]] = {
    "later rows changed": later_rows_changed,
    "later rows added": later_rows_added,
    "later batches added": later_batches_added,
    "later rows removed": later_rows_removed,
}


def _more(few: Frames, many: Frames) -> int:
    return sum(len(many[name]) - len(frame) for name, frame in few.items())


def _altered(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the rows as corrections: the same keys, later instants, other values that are still plausible."""
    changed = frame.copy()
    for name in frame.columns.difference([*key, "batch_date"]):
        column = frame[name]
        if is_bool_dtype(column):
            changed[name] = ~column
        elif is_numeric_dtype(column):
            changed[name] = (column.fillna(0) * 2 + 37).astype(column.dtype)
        elif is_datetime64_any_dtype(column):
            changed[name] = column + LATER
        elif is_string_dtype(column):
            # Of the other rows: a made-up word would fall out of every group.
            changed[name] = np.roll(column.to_numpy(), 1)
    return changed


def _in_order(frame: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, more]).sort_values("batch_date", kind="stable", ignore_index=True)


# Ways to build the night: each returns its features.


def _once(case: Case) -> pd.DataFrame:
    return case.built(case.load(), case.night)


def alone(case: Case) -> pd.DataFrame:
    """Build the night from nothing but its look-back, as the nightly run reads it."""
    frames = {}
    for name, frame in case.frames.items():
        first, last = earliest_input(case.spec, name, case.night), case.night
        frames[name] = frame[frame["batch_date"].between(pd.Timestamp(first), pd.Timestamp(last))]
    return _once(replace(case, frames=frames))


def again(case: Case) -> pd.DataFrame:
    """Build the night twice in one process; return the second."""
    return _after(case, [case.night])


def in_a_range(case: Case) -> pd.DataFrame:
    """Build the night after the two before it, in one process."""
    return _after(case, [case.night - 2 * DAY, case.night - DAY])


def after_later_nights(case: Case) -> pd.DataFrame:
    """Build the night after later ones, in one process, as a backfill in reverse order does."""
    return _after(case, [case.night + 2 * DAY, case.night + DAY])


def in_a_fresh_module(case: Case) -> pd.DataFrame:
    """Build the night with the module loaded anew: what another process would give."""
    return _once(case)


def _after(case: Case, nights: list[date]) -> pd.DataFrame:
    build = case.load()
    for night in nights:
        with suppress(Exception):  # a night without its sources leaves nothing behind
            case.built(build, night)
    return case.built(build, case.night)


WAYS: dict[str, Callable[[Case], pd.DataFrame]] = {
    "built alone": alone,
    "built twice": again,
    "built in a range": in_a_range,
    "built after later nights": after_later_nights,
    "built by a fresh module": in_a_fresh_module,
}
