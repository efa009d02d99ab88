"""From delivered rows to verdicts."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import pandas as pd

from nightshift.landing import Delivered
from nightshift.specs import Source
from nightshift.validate.batches import Group, batches_of, groups_of
from nightshift.validate.blocks import Keep, Terms, held, judged
from nightshift.validate.dialect import remedy
from nightshift.validate.findings import Breach, Findings
from nightshift.validate.known import Known
from nightshift.validate.report import report_of
from nightshift.validate.rules import Rule
from nightshift.validate.verdict import BatchVerdict, Cause, Validation
from nightshift.validate.volume import freshness, volume

# A handful of rows may well have nothing in a nullable column; more of them, and the column was lost.
ALL_NULL_FROM_ROWS = 10


def check_expectations(source: Source) -> None:
    """Raise SpecError, one line a mistake, if the source's expectations cannot be judged as written."""
    _compiled(source)


def _compiled(source: Source) -> Sequence[Rule]:
    from nightshift.validate.expectations import compiled

    return compiled(source)


def validate_batches(
    source: Source,
    delivered: Mapping[date, pd.DataFrame | Delivered],
    known: Known | None = None,
    *,
    most: int = sys.maxsize,
    keep: Keep = held,
) -> Validation:
    """Return :func:`validate` of each date's rows as its connector delivered them, without batch_date.

    A date of more than ``most`` rows is judged in its blocks, smaller ones at most so many rows together; what comes
    out is the same. ``keep`` keeps what a block accepts.
    """
    nights = {
        day: rows if isinstance(rows, Delivered) else Delivered.of(rows) for day, rows in delivered.items()
    }
    dates = tuple(sorted(nights))
    findings = Findings(source, dates, [nights[day].columns for day in dates])
    terms = Terms(source, _compiled(source), known or Known(), keep)
    return _validated(terms, groups_of(nights, most), findings)


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
    batches = batches_of(frame, dates, columns)
    terms = Terms(source, _compiled(source) if rules is None else rules, known or Known())
    findings = Findings(source, batches.dates, batches.columns)
    return _validated(terms, [Group(lambda: iter([batches]))], findings)


def _validated(terms: Terms, groups: Sequence[Group], findings: Findings) -> Validation:
    parts = tuple(judged(terms, group, findings) for group in groups)
    verdicts = _verdicts(findings, terms.known)
    return Validation(terms.source.name, parts, verdicts, report_of(terms.rules, findings, verdicts))


def _verdicts(findings: Findings, known: Known) -> dict[date, BatchVerdict]:
    """Return each date's verdict, the earliest first: a date that passes counts for the volume of later ones."""
    dates = findings.dates
    history = {day: rows for day, rows in known.history.items() if day not in dates}
    verdicts = {}
    for number, day in enumerate(dates):
        verdicts[day] = _verdict(findings, number, replace(known, history=history))
        if verdicts[day].passed:
            history[day] = verdicts[day].collected
    return verdicts


def _verdict(findings: Findings, number: int, known: Known) -> BatchVerdict:
    spec, day, collected = findings.source.volume, findings.dates[number], int(findings.collected[number])
    rejected = collected - int(findings.accepted[number])
    unusual, notes = volume(spec, day, collected, known.history) if spec and collected else ([], [])
    cause, reasons = _reasons(findings, number, collected, rejected)
    if cause not in ("empty", "schema"):
        more = [*unusual, *_stale(findings, number, known)]
        cause, reasons = ("rules" if more else cause), [*reasons, *more]
    warnings = tuple(one.words for one in findings.forgiven.get(number, []))
    counts = (collected, collected - rejected, rejected)
    return BatchVerdict(*counts, not reasons, tuple(reasons), cause, warnings, tuple(notes))


def _stale(findings: Findings, number: int, known: Known) -> list[str]:
    spec, day = findings.source.freshness, findings.dates[number]
    if spec is None:
        return []
    if day not in known.cutoffs:
        raise ValueError(f"source '{findings.source.name}' has a freshness: give the cut-off of {day}")
    return freshness(spec, findings.newest.get(number), known.cutoffs[day])


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
    for broken in findings.broken:
        rows = broken.counts[number]
        if broken.rule == "type" and rows > _allowed(findings.source, collected):
            name = broken.columns[0]
            expected = findings.source.columns[name].type
            reasons.append(
                f"column '{name}' is not {expected} any more: {rows:,} of {collected:,} values do not "
                f"read as {expected}, such as {_examples(broken, number)}{remedy(findings.source, name)}"
            )
    return reasons


def _lost(findings: Findings, number: int, collected: int) -> list[str]:
    """Return the columns without a single value. Great Expectations would find every one of them in order."""
    reasons = []
    for name, column in findings.source.columns.items():
        enough = not column.nullable or collected >= ALL_NULL_FROM_ROWS
        if not findings.filled[name][number] and enough and not _may_be_empty(findings, number, name):
            reasons.append(f"column '{name}' has no value in any of {collected:,} rows")
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
            wanted = (f"{key}={_spelled(value)}" for key, value in rule.arguments.items() if key != "column")
            reasons.append(
                f"{rule.name}{_on(rule)}: expected {', '.join(wanted)}, observed {outcome.observed}"
            )
    return reasons


def _spelled(value: object) -> str:
    """Return what the spec expects; a number as our own counts are told, which no mask takes for somebody's."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if is_number else str(value)


def _on(rule: Rule) -> str:
    return f" on column '{', '.join(rule.columns)}'" if rule.columns else ""


def _over_budget(findings: Findings, number: int, collected: int, rejected: int) -> list[str]:
    budget = findings.source.budget
    if rejected <= _allowed(findings.source, collected):
        return []
    told = []
    for broken in findings.broken:
        if rows := broken.counts[number]:
            what = f"{broken.rule} on {', '.join(broken.columns)}: {rows:,} rows"
            told.append((rows, f"{what}, such as {_examples(broken, number)}"))
    top = [text for _, text in sorted(told, key=lambda item: -item[0])[:3]]
    limit = f"{budget.share:.2%} or {budget.rows:,} rows"
    return [f"{rejected:,} of {collected:,} rows set aside, over the budget of {limit} ({'; '.join(top)})"]


def _examples(broken: Breach, number: int) -> str:
    values = dict.fromkeys(broken.of_date.get(number) or [None])
    return ", ".join(repr(value[:40]) if value is not None else "null" for value in values)
