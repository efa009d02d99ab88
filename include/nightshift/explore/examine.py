"""Examine a range: every column counted, compared and set beside the target; every night counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.calendar import DateRange
from nightshift.explore.columns import (
    Bars,
    Histogram,
    Values,
    found_type,
    identifying,
    picture,
    shift,
    values_of,
)
from nightshift.explore.relations import correlation_ratio, cramers_v, rank_correlations, spearman

LABEL = "label"
MOST_COLUMNS = 200
# Numeric columns set beside each other: those most closely related to any other.
MOST_IN_MATRIX = 30
MOST_SPANS = 60


@dataclass(frozen=True)
class Subject:
    """What is explored. ``key`` names it everywhere: ``source_weather``, ``features_departure``."""

    key: str
    title: str
    description: str
    # Declared types by column, the label's included; the identity of a row within a night.
    columns: Mapping[str, str]
    identity: tuple[str, ...]
    spec_sha256: str
    # The model whose label is joined, and what it predicts.
    target: str | None = None
    classes: bool = False


@dataclass(frozen=True)
class Question:
    """Which nights, compared with which, and how many rows the sample may hold."""

    nights: DateRange
    compared: DateRange | None
    sample: int


@dataclass(frozen=True)
class Volume:
    """One night: its rows; for a source also what was set aside, and whether its last batch failed."""

    night: date
    rows: int
    rejected: int | None = None
    failed: bool = False


@dataclass(frozen=True)
class Relation:
    """How a column goes with the label: the measure's name and its value, None where undefined."""

    measure: str
    value: float | None


@dataclass(frozen=True)
class Column:
    """What there is to say of a column. Shares are of all rows of a range; ``drawn`` is the sample's."""

    name: str
    declared: str
    found: str
    missing: float
    distinct: int
    # Smallest, median, largest of numbers and times (seconds since 1970).
    spread: tuple[float, float, float] | None
    hidden: bool
    drawn: Histogram | Bars | None
    # Missing share a span of nights; NaN where the span has no rows.
    gaps: tuple[float, ...]
    missing_then: float | None = None
    psi: float | None = None
    relation: Relation | None = None


@dataclass(frozen=True)
class Exploration:
    """Everything the page shows."""

    subject: Subject
    question: Question
    rows: int
    sampled: int
    compared_rows: int | None
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    spans: tuple[DateRange, ...]
    volumes: tuple[Volume, ...]
    compared_volumes: tuple[Volume, ...]
    matrix: pd.DataFrame
    labelled: int | None


def sampled(rows: pd.DataFrame, identity: Sequence[str], most: int) -> pd.DataFrame:
    """Return at most ``most`` rows, in order: those whose night and identity have the smallest hashes.

    Which rows these are depends on the rows alone, not on their order or on a seed; a larger sample holds
    the smaller ones.
    """
    if len(rows) <= most:
        return rows.reset_index(drop=True)
    named = rows[["batch_date", *identity]]
    hashes = pd.util.hash_pandas_object(named, index=False).to_numpy()
    chosen = np.argsort(hashes, kind="stable")[:most]
    return rows.iloc[np.sort(chosen)].reset_index(drop=True)


def examine(
    subject: Subject,
    question: Question,
    rows: pd.DataFrame,
    compared: pd.DataFrame | None = None,
    set_aside: Mapping[date, tuple[int, bool]] | None = None,
) -> Exploration:
    """Examine ``rows``, and what changed since ``compared``: frames with ``batch_date`` and the columns.

    ``set_aside``: a night's rejected rows, and whether its last batch failed; None where nothing is rejected.
    """
    names = list(subject.columns)[:MOST_COLUMNS]
    spans = _spans(question.nights)
    drawn = [
        sampled(f, subject.identity, question.sample) if f is not None else None for f in (rows, compared)
    ]
    now = drawn[0] if drawn[0] is not None else rows
    looking = _Looking(subject, rows, compared, (now, drawn[1]), _codes(rows, spans), len(spans))
    columns = tuple(looking.at(name) for name in names)
    labelled = int(rows[LABEL].notna().sum()) if subject.target else None
    return Exploration(
        subject=subject,
        question=question,
        rows=len(rows),
        sampled=len(now),
        compared_rows=len(compared) if compared is not None else None,
        columns=columns,
        left_out=tuple(list(subject.columns)[MOST_COLUMNS:]),
        spans=tuple(spans),
        volumes=_volumes(rows, question.nights, set_aside),
        compared_volumes=_volumes(compared, question.compared, set_aside),
        matrix=_matrix(subject, now, columns),
        labelled=labelled,
    )


@dataclass(frozen=True)
class _Looking:
    """The frames a column is looked up in."""

    subject: Subject
    rows: pd.DataFrame
    compared: pd.DataFrame | None
    drawn: tuple[pd.DataFrame, pd.DataFrame | None]
    spans: NDArray[np.int64]
    span_count: int

    def at(self, name: str) -> Column:
        """Return what there is to say of a column."""
        now = self._values(name, self.rows)
        hidden = identifying(now, self.subject.identity)
        then = self._values(name, self.compared) if self.compared is not None else None
        # Of identifiers and times, PSI would only say that time went by.
        comparable = then is not None and not hidden and now.kind != "time"
        sample_now, sample_then = (
            self._values(name, frame) if frame is not None else None for frame in self.drawn
        )
        return Column(
            name=name,
            declared=now.declared,
            found=found_type(now),
            missing=float(now.series.isna().mean()),
            distinct=int(now.series.nunique()),
            spread=_spread(now),
            hidden=hidden,
            drawn=picture(sample_now or now, sample_then, hidden=hidden),
            gaps=self._gaps(now),
            missing_then=float(then.series.isna().mean()) if then is not None else None,
            psi=shift(now, then) if then is not None and comparable else None,
            relation=self._relation(name, sample_now or now, hidden),
        )

    def _values(self, name: str, frame: pd.DataFrame) -> Values:
        return values_of(name, self.subject.columns[name], frame[name])

    def _gaps(self, values: Values) -> tuple[float, ...]:
        counts = np.bincount(self.spans, minlength=self.span_count)
        missing = np.bincount(self.spans, weights=values.series.isna(), minlength=self.span_count)
        with np.errstate(invalid="ignore"):
            return tuple((missing / counts).tolist())

    def _relation(self, name: str, values: Values, hidden: bool) -> Relation | None:
        if self.subject.target is None or name == LABEL or hidden or values.kind == "time":
            return None
        label = self.drawn[0][LABEL].reset_index(drop=True)
        several = self.subject.columns[LABEL] == "string"
        if values.kind == "number" and several:
            return Relation("correlation ratio", correlation_ratio(label, values.series))
        if values.kind == "number":
            return Relation("Spearman", spearman(values.series, label))
        if self.subject.classes:
            return Relation("Cramér's V", cramers_v(values.series, label))
        return Relation("correlation ratio", correlation_ratio(values.series, label))


def _spread(values: Values) -> tuple[float, float, float] | None:
    if values.kind == "category" or not values.series.notna().any():
        return None
    known = values.floats[~np.isnan(values.floats)]
    return float(known.min()), float(np.median(known)), float(known.max())


def _spans(nights: DateRange) -> list[DateRange]:
    """Return the range in at most MOST_SPANS spans of equal numbers of nights, the last one perhaps shorter."""
    dates = nights.dates
    length = -(-len(dates) // MOST_SPANS)
    return [
        DateRange(dates[start], dates[min(start + length, len(dates)) - 1])
        for start in range(0, len(dates), length)
    ]


def _codes(rows: pd.DataFrame, spans: list[DateRange]) -> NDArray[np.int64]:
    """Return the number of each row's span, shape (n,)."""
    numbers, nights = pd.factorize(rows["batch_date"].dt.date)
    first, length = spans[0].first, len(spans[0].dates)
    return np.array([(night - first).days // length for night in nights], dtype=np.int64)[numbers]


def _volumes(
    rows: pd.DataFrame | None, nights: DateRange | None, set_aside: Mapping[date, tuple[int, bool]] | None
) -> tuple[Volume, ...]:
    if rows is None or nights is None:
        return ()
    counts = rows["batch_date"].dt.date.value_counts()
    found = []
    for night in nights.dates:
        here = int(counts.get(night, 0))
        if set_aside is None:
            found.append(Volume(night, here))
        else:
            found.append(Volume(night, here, *set_aside.get(night, (0, False))))
    return tuple(found)


def _matrix(subject: Subject, drawn: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    numbers = {
        column.name: values_of(column.name, column.declared, drawn[column.name]).series
        for column in columns
        if column.declared in ("integer", "float") and column.distinct > 1
    }
    if len(numbers) < 2:
        return pd.DataFrame()
    matrix = rank_correlations(pd.DataFrame(numbers))
    closest = matrix.abs().where(~np.eye(len(matrix), dtype=bool)).max().fillna(0)
    kept = set(closest.sort_values(ascending=False, kind="stable").index[:MOST_IN_MATRIX])
    names = [name for name in matrix.columns if name in kept]
    return matrix.loc[names, names]
