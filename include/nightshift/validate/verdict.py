"""What a validation gives back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal, TypedDict

import numpy as np
import pandas as pd

from nightshift.errors import BatchRejected, EmptyBatch, SchemaMismatch
from nightshift.validate.blocks import Part
from nightshift.validate.quarantine import no_rows

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

    ``parts`` yield the rows a block at a time; the frames hold all of them, made when they are first asked for.
    accepted: ``batch_date`` (datetime64[s]) and the declared columns in the spec's order, in the dtypes of
        :mod:`nightshift.types`. The good rows of every date, refused ones included.
    rejected: ``batch_date``, ``row_number`` (from 1, as delivered within the date), ``rule``,
        ``column_name``, ``value`` (text, at most 200 characters) of the first violation, ``row`` (JSON of
        the row as delivered), ``violations`` (JSON list of every rule, column and value).
    """

    source: str
    parts: tuple[Part, ...]
    verdicts: dict[date, BatchVerdict]
    report: Report

    @cached_property
    def accepted(self) -> pd.DataFrame:
        """The rows that may go on."""
        return _joined([rows for part in self.parts for rows in part.accepted()])

    @cached_property
    def rejected(self) -> pd.DataFrame:
        """The rows that are set aside."""
        return _joined([rows for part in self.parts for rows in part.rejected()] or [no_rows()])

    def numbers(self, rule: str | None = None, column: str | None = None) -> dict[date, np.ndarray]:
        """Return by date the numbers of the rows set aside, ascending: all, or those that break a rule on a column."""
        found: dict[date, list[np.ndarray]] = {}
        for day, numbers in (each for part in self.parts for each in part.numbers(rule, column)):
            found.setdefault(day, []).append(numbers)
        return {day: np.concatenate(numbers) for day, numbers in found.items()}

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


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _rejection(failed: Iterable[BatchVerdict]) -> type[BatchRejected]:
    causes = {verdict.cause for verdict in failed}
    if causes == {"empty"}:
        return EmptyBatch
    return SchemaMismatch if causes == {"schema"} else BatchRejected


def _told(failed: dict[date, BatchVerdict], most: int = 5) -> str:
    lines = [f"{day}: {'; '.join(verdict.reasons)}" for day, verdict in sorted(failed.items())]
    rest = [f"and {len(lines) - most} more dates"] if len(lines) > most else []
    return "; ".join([*lines[:most], *rest])
