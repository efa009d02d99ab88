"""From delivered rows to verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from nightshift.specs import Source
from nightshift.validate.batches import Batches, batches_of, gathered
from nightshift.validate.dialect import remedy
from nightshift.validate.fixes import with_fixes
from nightshift.validate.known import Known
from nightshift.validate.quarantine import rejected_rows, values_as_text
from nightshift.validate.report import report_of
from nightshift.validate.rules import Outcome, Rule
from nightshift.validate.schema import Mismatch, mismatches
from nightshift.validate.verdict import BatchVerdict, Cause, Validation
from nightshift.validate.violations import (
    Violation,
    of_discarded,
    of_expectations,
    of_key,
    of_night,
    of_room,
    typed_columns,
)
from nightshift.validate.volume import freshness, volume

# A handful of rows may well have nothing in a nullable column; more of them, and the column was lost.
ALL_NULL_FROM_ROWS = 10


@dataclass(frozen=True)
class Findings:
    """Everything found in the rows, before it is weighed."""

    source: Source
    batches: Batches
    accepted: pd.DataFrame
    violations: list[Violation]
    schema: dict[int, list[Mismatch]]
    forgiven: dict[int, list[Mismatch]]
    filled: dict[str, np.ndarray]
    outcomes: dict[int, list[tuple[Rule, Outcome | None]]]


def check_expectations(source: Source) -> None:
    """Raise SpecError, one line a mistake, if the source's expectations cannot be judged as written."""
    _compiled(source)


def _compiled(source: Source) -> Sequence[Rule]:
    from nightshift.validate.expectations import compiled

    return compiled(source)


def validate_batches(
    source: Source, batches: Mapping[date, pd.DataFrame], known: Known | None = None
) -> Validation:
    """Return :func:`validate` of each date's rows as its connector delivered them, without batch_date."""
    frame, columns = gathered(batches)
    return validate(source, frame, list(batches), columns=columns, known=known)


def validate(
    source: Source,
    frame: pd.DataFrame,
    dates: Sequence[date],
    *,
    columns: Mapping[date, Sequence[str]] | None = None,
    known: Known | None = None,
    rules: Sequence[Rule] | None = None,
) -> Validation:
    """Return what may go on, what is set aside, and a verdict for each of ``dates``.

    ``frame`` holds ``batch_date`` and the columns as delivered, of one date or many. ``columns`` are those
    each date was delivered with, where they differ; by default, all of the frame's. ``known`` is what else
    counts: earlier volumes, cut-offs, rows mended or discarded. ``rules``: judged instead of the source's
    expectations.

    Raises:
        SpecError: the source's expectations cannot be judged as written.
        ValueError: the frame holds a date that was not asked for; or the source has a ``freshness``, and a
            date no cut-off.
    """
    known = known or Known()
    rules = _compiled(source) if rules is None else rules
    batches = with_fixes(source, batches_of(frame, dates, columns), known.mended)
    findings = _find(source, rules, batches, known)
    rejected = rejected_rows(batches, findings.violations, list(source.columns))
    verdicts = _verdicts(findings, known)
    report = report_of(source, rules, findings.violations, findings.outcomes, batches, verdicts)
    return Validation(source.name, findings.accepted, rejected, verdicts, report)


def _find(source: Source, rules: Sequence[Rule], batches: Batches, known: Known) -> Findings:
    schema, forgiven = _schema(source, batches)
    misfits = np.isin(batches.day, list(schema))
    rows = np.flatnonzero(~misfits)
    violations = [
        Violation("schema", (wrong[0].column,), np.flatnonzero(batches.day == number))
        for number, wrong in schema.items()
    ]
    violations = [violation for violation in violations if len(violation.rows)]
    typed, found = typed_columns(source, batches, rows)
    filled = {name: batches.per_date(rows[typed[name].notna().to_numpy()]) for name in source.columns}
    found += of_room(source, typed, rows)
    found += of_night(source, typed, batches, rows, known.home) if known.home else ()
    found += of_expectations(rules, typed, batches, rows)
    found += of_discarded(source, batches, rows, _among(rows, found), known.discarded)
    found += of_key(source, typed, batches, rows, _among(rows, found))
    bad = _among(rows, found)
    good = typed[~bad].reset_index(drop=True)
    days = batches.day[rows][~bad]
    outcomes = _outcomes(source, rules, good, days)
    nights = pd.Series(np.array(batches.dates, dtype="datetime64[s]")[days], name="batch_date")
    accepted = pd.concat([nights, good], axis=1)
    return Findings(source, batches, accepted, [*violations, *found], schema, forgiven, filled, outcomes)


def _among(rows: np.ndarray, violations: Sequence[Violation]) -> np.ndarray:
    """Return the mask of the positions ``rows`` that a violation names."""
    if not violations:
        return np.zeros(len(rows), dtype=bool)
    return np.isin(rows, np.concatenate([violation.rows for violation in violations]))


def _schema(source: Source, batches: Batches) -> tuple[dict[int, list[Mismatch]], dict[int, list[Mismatch]]]:
    """Return the mismatches of each date that has any: those that fail it, and those that are forgiven."""
    failing: dict[int, list[Mismatch]] = {}
    forgiven: dict[int, list[Mismatch]] = {}
    seen: dict[tuple[str, ...], list[Mismatch]] = {}
    for number, columns in enumerate(batches.columns):
        if columns not in seen:
            ignoring = source.other_columns == "ignore"
            seen[columns] = mismatches(source.columns, columns, ignoring=ignoring)
        warned = source.schema_changes == "warn" and all(one.forgivable for one in seen[columns])
        if seen[columns]:
            (forgiven if warned else failing)[number] = seen[columns]
    return failing, forgiven


def _outcomes(
    source: Source, rules: Sequence[Rule], good: pd.DataFrame, days: np.ndarray
) -> dict[int, list[tuple[Rule, Outcome | None]]]:
    """Return what each batch rule finds among a date's accepted rows; None where it has nothing to judge."""
    judging = [rule for rule in rules if not rule.judges_rows]
    found: dict[int, list[tuple[Rule, Outcome | None]]] = {}
    if not judging:
        return found
    from nightshift.validate.expectations import batch_outcomes

    needed = list(dict.fromkeys(column for rule in judging for column in rule.columns))
    # A batch rule may count rows and name no column.
    part_of = good[needed or list(good.columns[:1])]
    for number in np.unique(days):
        part = part_of[days == number]
        judged = [rule for rule in judging if all(part[column].notna().any() for column in rule.columns)]
        outcomes = dict(zip(map(id, judged), batch_outcomes(judged, part), strict=True)) if judged else {}
        found[int(number)] = [(rule, outcomes.get(id(rule))) for rule in judging]
    return found


def _verdicts(findings: Findings, known: Known) -> dict[date, BatchVerdict]:
    """Return each date's verdict, the earliest first: a date that passes counts for the volume of later ones."""
    dates = findings.batches.dates
    history = {day: rows for day, rows in known.history.items() if day not in dates}
    verdicts = {}
    for number, day in enumerate(dates):
        verdicts[day] = _verdict(findings, number, replace(known, history=history))
        if verdicts[day].passed:
            history[day] = verdicts[day].collected
    return verdicts


def _verdict(findings: Findings, number: int, known: Known) -> BatchVerdict:
    batches, spec = findings.batches, findings.source.volume
    day, collected = batches.dates[number], int(batches.per_date()[number])
    rejected = collected - int((findings.accepted["batch_date"] == pd.Timestamp(day)).sum())
    unusual, notes = volume(spec, day, collected, known.history) if spec and collected else ([], [])
    cause, reasons = _reasons(findings, number, collected, rejected)
    if cause not in ("empty", "schema"):
        more = [*unusual, *_stale(findings, day, known)]
        cause, reasons = ("rules" if more else cause), [*reasons, *more]
    warnings = tuple(one.words for one in findings.forgiven.get(number, []))
    counts = (collected, collected - rejected, rejected)
    return BatchVerdict(*counts, not reasons, tuple(reasons), cause, warnings, tuple(notes))


def _stale(findings: Findings, day: date, known: Known) -> list[str]:
    spec = findings.source.freshness
    if spec is None:
        return []
    if day not in known.cutoffs:
        raise ValueError(f"source '{findings.source.name}' has a freshness: give the cut-off of {day}")
    events = findings.accepted.loc[findings.accepted["batch_date"] == pd.Timestamp(day), spec.column].dropna()
    newest = events.max().to_pydatetime() if len(events) else None
    return freshness(spec, newest, known.cutoffs[day])


def _reasons(findings: Findings, number: int, collected: int, rejected: int) -> tuple[Cause, list[str]]:
    schema = [one.words for one in findings.schema.get(number, [])]
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
                f"read as {expected}, such as {_examples(findings, violation, rows)}{remedy(findings.source, name)}"
            )
    return reasons


def _lost(findings: Findings, number: int, collected: int) -> list[str]:
    """Return the columns without a single value. Great Expectations would find every one of them in order."""
    reasons = []
    for name, column in findings.source.columns.items():
        enough = not column.nullable or collected >= ALL_NULL_FROM_ROWS
        if not findings.filled[name][number] and enough and not _may_be_empty(findings, number, name):
            reasons.append(f"column '{name}' has no value in any of {collected} rows")
    return reasons


def _may_be_empty(findings: Findings, number: int, column: str) -> bool:
    """Return whether the column may be null in every row: declared so, or missing and forgiven."""
    missing = {one.column for one in findings.forgiven.get(number, [])}
    return findings.source.columns[column].may_be_empty or column in missing


def _failed(findings: Findings, number: int) -> list[str]:
    reasons = []
    for rule, outcome in findings.outcomes.get(number, []):
        if outcome is None and not all(_may_be_empty(findings, number, c) for c in rule.columns):
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
