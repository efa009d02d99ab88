"""A validation's summary: small whatever the size of the batches, and nothing in it but JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from nightshift.specs import Source
from nightshift.validate.batches import Batches
from nightshift.validate.quarantine import values_as_text
from nightshift.validate.rules import Outcome, Rule
from nightshift.validate.verdict import BatchRule, BatchVerdict, Broken, Judged, Report, RowRule
from nightshift.validate.violations import Violation

MOST_RULES = 200
MOST_FAILURES = 20
EXAMPLES = 3
ARGUMENTS_LENGTH = 200


def report_of(
    source: Source,
    rules: Sequence[Rule],
    violations: Sequence[Violation],
    outcomes: Mapping[int, Sequence[tuple[Rule, Outcome | None]]],
    batches: Batches,
    verdicts: Mapping[date, BatchVerdict],
) -> Report:
    """Return counts, each rule's outcome and a few examples: at most 100 KB as JSON."""
    broken = [_broken(violation, batches) for violation in violations]
    kept = [rule for rule in rules if rule.judges_rows]
    return {
        "source": source.name,
        "dates": len(verdicts),
        "failed_dates": sum(not verdict.passed for verdict in verdicts.values()),
        "collected": sum(verdict.collected for verdict in verdicts.values()),
        "accepted": sum(verdict.accepted for verdict in verdicts.values()),
        "rejected": sum(verdict.rejected for verdict in verdicts.values()),
        "columns": len(source.columns),
        "broken": sorted(broken, key=lambda one: -one["rows"])[:MOST_RULES],
        "row_rules": [_row_rule(rule, violations) for rule in kept][:MOST_RULES],
        "batch_rules": _batch_rules(rules, outcomes, batches)[:MOST_RULES],
    }


def _broken(violation: Violation, batches: Batches) -> Broken:
    column = violation.columns[0]
    examples = []
    if column in batches.frame:
        examples = values_as_text(batches.frame[column].iloc[violation.rows[:100]]).to_pylist()
    return {
        "rule": violation.rule,
        "column": ", ".join(violation.columns)[:100],
        "rows": len(violation.rows),
        "dates": int((batches.per_date(violation.rows) > 0).sum()),
        "examples": [None if value is None else value[:60] for value in dict.fromkeys(examples)][:EXAMPLES],
    }


def _row_rule(rule: Rule, violations: Sequence[Violation]) -> RowRule:
    failing = sum(len(v.rows) for v in violations if (v.rule, v.columns) == (rule.name, rule.columns))
    return {**_described(rule), "rows": failing}


def _batch_rules(
    rules: Sequence[Rule], outcomes: Mapping[int, Sequence[tuple[Rule, Outcome | None]]], batches: Batches
) -> list[BatchRule]:
    found: dict[int, BatchRule] = {
        id(rule): {**_described(rule), "passed": 0, "failed": 0, "nothing_to_judge": 0, "failures": []}
        for rule in rules
        if not rule.judges_rows
    }
    for number, judged in sorted(outcomes.items()):
        for rule, outcome in judged:
            one = found[id(rule)]
            one["nothing_to_judge" if outcome is None else "passed" if outcome.passed else "failed"] += 1
            if outcome and not outcome.passed and len(one["failures"]) < MOST_FAILURES:
                one["failures"].append(
                    {"date": str(batches.dates[number]), "observed": outcome.observed[:60]}
                )
    return list(found.values())


def _described(rule: Rule) -> Judged:
    return {
        "rule": rule.name,
        "column": ", ".join(rule.columns)[:100],
        "arguments": json.dumps(rule.arguments, ensure_ascii=False)[:ARGUMENTS_LENGTH],
    }
