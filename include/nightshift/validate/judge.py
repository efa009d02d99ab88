"""From delivered rows to verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.validate.batches import Batches, batches_of, gathered
from nightshift.validate.expectations import Outcome, Rule, batch_outcomes, compiled
from nightshift.validate.quarantine import rejected_rows, values_as_text
from nightshift.validate.report import report_of
from nightshift.validate.schema import mismatches
from nightshift.validate.verdict import BatchVerdict, Cause, Validation
from nightshift.validate.violations import Violation, of_expectations, of_key, typed_columns

# A handful of rows may well have nothing in a nullable column; more of them, and the column was lost.
ALL_NULL_FROM_ROWS = 10


@dataclass(frozen=True)
class Findings:
    """Everything found in the rows, before it is weighed."""

    source: Source
    batches: Batches
    accepted: pd.DataFrame
    violations: list[Violation]
    schema: dict[int, list[tuple[str, str]]]
    filled: dict[str, np.ndarray]
    outcomes: dict[int, list[tuple[Rule, Outcome | None]]]


def validate_batches(source: Source, batches: Mapping[date, pd.DataFrame]) -> Validation:
    """Return :func:`validate` of each date's rows as its connector delivered them, without batch_date."""
    frame, columns = gathered(batches)
    return validate(source, frame, list(batches), columns=columns)


def validate(
    source: Source,
    frame: pd.DataFrame,
    dates: Sequence[date],
    *,
    columns: Mapping[date, Sequence[str]] | None = None,
) -> Validation:
    """Return what may go on, what is set aside, and a verdict for each of ``dates``.

    ``frame`` holds ``batch_date`` and the columns as delivered, of one date or many. ``columns`` are those
    each date was delivered with, where they differ; by default, all of the frame's.

    Raises:
        SpecError: the source's expectations cannot be judged as written.
        ValueError: the frame holds a date that was not asked for.
    """
    rules = compiled(source)
    batches = batches_of(frame, dates, columns)
    findings = _find(source, rules, batches)
    rejected = rejected_rows(batches, findings.violations, list(source.columns))
    verdicts = {day: _verdict(findings, number) for number, day in enumerate(batches.dates)}
    report = report_of(source, rules, findings.violations, findings.outcomes, batches, verdicts)
    return Validation(source.name, findings.accepted, rejected, verdicts, report)


def _find(source: Source, rules: Sequence[Rule], batches: Batches) -> Findings:
    schema = _schema(source, batches)
    misfits = np.isin(batches.day, list(schema))
    rows = np.flatnonzero(~misfits)
    violations = [
        Violation("schema", (wrong[0][0],), np.flatnonzero(batches.day == number))
        for number, wrong in schema.items()
    ]
    violations = [violation for violation in violations if len(violation.rows)]
    typed, found = typed_columns(source, batches, rows)
    filled = {name: batches.per_date(rows[typed[name].notna().to_numpy()]) for name in source.columns}
    found += of_expectations(rules, typed, batches, rows)
    bad = np.isin(rows, np.concatenate([v.rows for v in found])) if found else np.zeros(len(rows), dtype=bool)
    of_keys = list(of_key(source, typed, batches, rows, bad))
    for violation in of_keys:
        bad |= np.isin(rows, violation.rows)
    good = typed[~bad].reset_index(drop=True)
    days = batches.day[rows][~bad]
    outcomes = _outcomes(source, rules, good, days)
    accepted = _accepted(source, good, np.array(batches.dates, dtype="datetime64[s]")[days])
    return Findings(source, batches, accepted, [*violations, *found, *of_keys], schema, filled, outcomes)


def _schema(source: Source, batches: Batches) -> dict[int, list[tuple[str, str]]]:
    """Return the mismatches of each date that has rows and any."""
    seen: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    found = {}
    for number, columns in enumerate(batches.columns):
        if columns not in seen:
            seen[columns] = mismatches(source.columns, columns)
        if seen[columns]:
            found[number] = seen[columns]
    return found


def _accepted(source: Source, good: pd.DataFrame, days: np.ndarray) -> pd.DataFrame:
    plain = {"integer": "int64", "boolean": "bool"}
    narrowed = {
        name: plain[column.type]
        for name, column in source.columns.items()
        if column.type in plain and not column.nullable
    }
    return pd.concat([pd.Series(days, name="batch_date"), good.astype(narrowed)], axis=1)


def _outcomes(
    source: Source, rules: Sequence[Rule], good: pd.DataFrame, days: np.ndarray
) -> dict[int, list[tuple[Rule, Outcome | None]]]:
    """Return what each batch rule finds among a date's accepted rows; None where it has nothing to judge."""
    judging = [rule for rule in rules if not rule.judges_rows]
    found: dict[int, list[tuple[Rule, Outcome | None]]] = {}
    if not judging:
        return found
    needed = list(dict.fromkeys(column for rule in judging for column in rule.columns))
    # A batch rule may count rows and name no column.
    part_of = good[needed or list(good.columns[:1])]
    for number in np.unique(days):
        part = part_of[days == number]
        judged = [rule for rule in judging if all(part[column].notna().any() for column in rule.columns)]
        outcomes = dict(zip(map(id, judged), batch_outcomes(judged, part), strict=True)) if judged else {}
        found[int(number)] = [(rule, outcomes.get(id(rule))) for rule in judging]
    return found


def _verdict(findings: Findings, number: int) -> BatchVerdict:
    batches = findings.batches
    collected = int(batches.per_date()[number])
    rejected = collected - int((findings.accepted["batch_date"] == pd.Timestamp(batches.dates[number])).sum())
    cause, reasons = _reasons(findings, number, collected, rejected)
    return BatchVerdict(collected, collected - rejected, rejected, not reasons, tuple(reasons), cause)


def _reasons(findings: Findings, number: int, collected: int, rejected: int) -> tuple[Cause, list[str]]:
    schema = [reason for _, reason in findings.schema.get(number, [])]
    if not collected:
        return "empty", ["no rows"]
    if schema:
        return "schema", schema
    retyped = _retyped(findings, number, collected)
    others = _lost(findings, number, collected) + _failed(findings, number)
    over = _over_budget(findings, number, collected, rejected)
    cause: Cause = "schema" if retyped else "rules" if others or over else ""
    return cause, [*retyped, *others, *over]


def _allowed(source: Source, collected: int) -> float:
    # Rounded: 0.29 of 100 rows is 29 rows, whatever floats say.
    return min(round(source.budget.share * collected, 6), source.budget.rows)


def _retyped(findings: Findings, number: int, collected: int) -> list[str]:
    reasons = []
    for violation in findings.violations:
        rows = violation.rows[findings.batches.day[violation.rows] == number]
        if violation.rule == "type" and len(rows) > _allowed(findings.source, collected):
            name = violation.columns[0]
            expected = findings.source.columns[name].type
            reasons.append(
                f"column '{name}' is not {expected} any more: {len(rows)} of {collected} values do not "
                f"read as {expected}, such as {_examples(findings, violation, rows)}"
            )
    return reasons


def _lost(findings: Findings, number: int, collected: int) -> list[str]:
    """Return the columns without a single value. Great Expectations would find every one of them in order."""
    reasons = []
    for name, column in findings.source.columns.items():
        enough = not column.nullable or collected >= ALL_NULL_FROM_ROWS
        if not findings.filled[name][number] and enough and not column.may_be_empty:
            reasons.append(f"column '{name}' has no value in any of {collected} rows")
    return reasons


def _failed(findings: Findings, number: int) -> list[str]:
    reasons = []
    for rule, outcome in findings.outcomes.get(number, []):
        if outcome is None and not all(findings.source.columns[c].may_be_empty for c in rule.columns):
            reasons.append(f"{rule.name}{_on(rule)} has no accepted value to judge")
        if outcome is not None and not outcome.passed:
            wanted = ", ".join(f"{key}={value}" for key, value in rule.arguments.items() if key != "column")
            reasons.append(f"{rule.name}{_on(rule)}: expected {wanted}, observed {outcome.observed}")
    return reasons


def _on(rule: Rule) -> str:
    return f" on column '{', '.join(rule.columns)}'" if rule.columns else ""


def _over_budget(findings: Findings, number: int, collected: int, rejected: int) -> list[str]:
    budget = findings.source.budget
    if rejected <= _allowed(findings.source, collected):
        return []
    told = []
    for violation in findings.violations:
        rows = violation.rows[findings.batches.day[violation.rows] == number]
        if len(rows):
            what = f"{violation.rule} on {', '.join(violation.columns)}: {len(rows)} rows"
            told.append((len(rows), f"{what}, such as {_examples(findings, violation, rows)}"))
    top = [text for _, text in sorted(told, key=lambda item: -item[0])[:3]]
    limit = f"{budget.share:.2%} or {budget.rows} rows"
    return [f"{rejected} of {collected} rows set aside, over the budget of {limit} ({'; '.join(top)})"]


def _examples(findings: Findings, violation: Violation, rows: np.ndarray) -> str:
    column = violation.columns[0]
    if column not in findings.batches.frame:
        return "null"
    values = values_as_text(findings.batches.frame[column].iloc[rows[:100]]).to_pylist()
    return ", ".join(repr(value[:40]) if value is not None else "null" for value in dict.fromkeys(values[:3]))
