"""What a validation gives back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypedDict

import pandas as pd

from nightshift.errors import BatchRejected, EmptyBatch, SchemaMismatch

Cause = Literal["", "empty", "schema", "rules"]


@dataclass(frozen=True)
class BatchVerdict:
    """One batch date: its rows counted, and whether the batch may go on. ``reasons`` say why it may not.

    ``warnings`` are changes of the schema that the source forgives; ``notes`` say what was not judged, and why.
    """

    collected: int
    accepted: int
    rejected: int
    passed: bool
    reasons: tuple[str, ...] = ()
    cause: Cause = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Broken(TypedDict):
    """A rule that rows break: of which columns, on how many dates, and some of the values."""

    rule: str
    column: str
    rows: int
    dates: int
    examples: list[str | None]


class Judged(TypedDict):
    """A rule as it is declared."""

    rule: str
    column: str
    arguments: str


class RowRule(Judged):
    """A rule of rows, and how many fail it."""

    rows: int


class Failure(TypedDict):
    """What a rule of batches found on a date that fails it."""

    date: str
    observed: str


class BatchRule(Judged):
    """A rule of batches: on how many dates it passed, failed, had nothing to judge."""

    passed: int
    failed: int
    nothing_to_judge: int
    failures: list[Failure]


class Report(TypedDict):
    """A validation's summary, as JSON: counts, each rule's outcome and a few examples."""

    source: str
    dates: int
    failed_dates: int
    collected: int
    accepted: int
    rejected: int
    columns: int
    broken: list[Broken]
    row_rules: list[RowRule]
    batch_rules: list[BatchRule]


@dataclass(frozen=True)
class Validation:
    """Rows accepted and rejected, a verdict for every date asked for, and a summary for people.

    accepted: ``batch_date`` (datetime64[s]) and the declared columns in the spec's order: string as str,
        integer as int64 (nullable: Int64), float as float64, boolean as bool (nullable: boolean), date as
        datetime64[s], timestamp as datetime64[us, UTC]. The good rows of every date, refused ones included.
    rejected: ``batch_date``, ``row_number`` (from 1, as delivered within the date), ``rule``,
        ``column_name``, ``value`` (text, at most 200 characters) of the first violation, ``row`` (JSON of
        the row as delivered), ``violations`` (JSON list of every rule, column and value).
    """

    source: str
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    verdicts: dict[date, BatchVerdict]
    report: Report

    @property
    def passed(self) -> bool:
        """Whether every date passed."""
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def publishable(self) -> pd.DataFrame:
        """The accepted rows of the dates that passed."""
        dates = [pd.Timestamp(day) for day, verdict in self.verdicts.items() if verdict.passed]
        return self.accepted[self.accepted["batch_date"].isin(dates)]

    def require_passed(self, dates: Collection[date] | None = None) -> "Validation":
        """Return self.

        Raises:
            EmptyBatch, SchemaMismatch or BatchRejected: one of ``dates`` (default: all) failed; names each and why.
        """
        judged = self.verdicts if dates is None else {d: v for d, v in self.verdicts.items() if d in dates}
        failed = {day: verdict for day, verdict in judged.items() if not verdict.passed}
        if failed:
            raise _rejection(failed.values())(f"source '{self.source}': {_told(failed)}")
        return self


def _rejection(failed: Iterable[BatchVerdict]) -> type[BatchRejected]:
    causes = {verdict.cause for verdict in failed}
    if causes == {"empty"}:
        return EmptyBatch
    return SchemaMismatch if causes == {"schema"} else BatchRejected


def _told(failed: dict[date, BatchVerdict], most: int = 5) -> str:
    lines = [f"{day}: {'; '.join(verdict.reasons)}" for day, verdict in sorted(failed.items())]
    rest = [f"and {len(lines) - most} more dates"] if len(lines) > most else []
    return "; ".join([*lines[:most], *rest])
