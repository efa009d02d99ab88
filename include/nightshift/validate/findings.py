"""What is found in blocks, one after the other, and kept of them: counts, a few values, what a batch is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.validate.batches import Batches
from nightshift.validate.quarantine import values_as_text
from nightshift.validate.rules import Outcome, Rule
from nightshift.validate.schema import Mismatch, mismatches
from nightshift.validate.violations import Violation

# Values that are looked at for examples: of all dates, and of each.
MOST_VALUES, MOST_VALUES_A_DATE = 100, 3
AHEAD = timedelta(days=7)


@dataclass
class Breach:
    """A rule that rows break: how many of each date, and the first values of its first column as text."""

    rule: str
    columns: tuple[str, ...]
    counts: np.ndarray
    values: list[str | None] = field(default_factory=list)
    of_date: dict[int, list[str | None]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows break it, of all dates."""
        return int(self.counts.sum())


class Findings:
    """Everything found in the rows, before it is weighed. Arrays hold a number for each date.

    collected, accepted: rows. filled: values of each declared column. broken: rules by their place. newest: the newest
    event among the accepted rows. outcomes: what each batch rule finds; None where it has nothing to judge.
    """

    def __init__(self, source: Source, dates: tuple[date, ...], columns: Sequence[tuple[str, ...]]) -> None:
        self.source, self.dates = source, dates
        self.schema, self.forgiven = _schema(source, columns)
        self.delivered = {name for names in columns for name in names}
        self.collected, self.accepted = (np.zeros(len(dates), dtype=np.int64) for _ in range(2))
        self.filled = {name: np.zeros(len(dates), dtype=np.int64) for name in source.columns}
        self.by_place: dict[tuple[int, int], Breach] = {}
        self.newest: dict[int, datetime] = {}
        self.outcomes: dict[int, list[tuple[Rule, Outcome | None]]] = {}

    @property
    def broken(self) -> list[Breach]:
        """The rules that rows break, in the order in which rows tell them."""
        return [self.by_place[place] for place in sorted(self.by_place)]

    def count_values(self, batches: Batches, rows: np.ndarray, typed: pd.DataFrame) -> None:
        """Count the rows of a block, and the values of its columns at positions ``rows``."""
        self.collected += batches.per_date()
        for name in self.filled:
            self.filled[name] += batches.per_date(rows[typed[name].notna().to_numpy()])

    def see(self, number: int, events: pd.Series, cutoff: datetime | None) -> None:
        """Keep the newest event of a date, but those more than a week after its cut-off; where all are, their newest.

        A plan tells of days to come; a date of years to come is a slip, and makes no old feed new.
        """
        last = None if cutoff is None else cutoff + AHEAD

        def rank(event: datetime) -> tuple[bool, datetime]:
            return last is None or event <= last, event

        happened = events if last is None else events[events <= last]
        newest = events.max() if happened.isna().all() else happened.max()
        if not pd.isna(newest):
            self.newest[number] = max(newest.to_pydatetime(), self.newest.get(number, newest), key=rank)

    def count(self, batches: Batches, violations: Sequence[Violation]) -> None:
        """Count what breaks rules in a block, and keep the first values that do."""
        for violation in violations:
            one = self.by_place.setdefault(
                violation.place,
                Breach(violation.rule, violation.columns, np.zeros(len(self.dates), dtype=np.int64)),
            )
            days = batches.day[violation.rows]
            counts = np.bincount(days, minlength=len(self.dates))
            first = self._texts(batches, violation, violation.rows[:MOST_VALUES])
            one.values += first[: MOST_VALUES - len(one.values)]
            for number in map(int, np.flatnonzero(counts)):
                held = one.of_date.setdefault(number, [])
                at = np.flatnonzero(days == number)[: MOST_VALUES_A_DATE - len(held)]
                known = len(at) == 0 or at[-1] < len(first)
                held += (
                    [first[n] for n in at] if known else self._texts(batches, violation, violation.rows[at])
                )
            one.counts += counts

    def _texts(self, batches: Batches, violation: Violation, rows: np.ndarray) -> list[str | None]:
        column = violation.columns[0]
        if column in batches.frame:
            texts: list[str | None] = values_as_text(batches.frame[column].iloc[rows]).to_pylist()
            return texts
        return [None] * len(rows) if column in self.delivered else []


def _schema(
    source: Source, columns: Sequence[tuple[str, ...]]
) -> tuple[Mapping[int, list[Mismatch]], Mapping[int, list[Mismatch]]]:
    """Return the mismatches of each date that has any: those that fail it, and those that are forgiven."""
    failing: dict[int, list[Mismatch]] = {}
    forgiven: dict[int, list[Mismatch]] = {}
    seen: dict[tuple[str, ...], list[Mismatch]] = {}
    for number, names in enumerate(columns):
        if names not in seen:
            ignoring = source.other_columns == "ignore"
            seen[names] = mismatches(source.columns, names, ignoring=ignoring)
        warned = source.schema_changes == "warn" and all(one.forgivable for one in seen[names])
        if seen[names]:
            (forgiven if warned else failing)[number] = seen[names]
    return failing, forgiven
