"""A validation's summary: small whatever the size of the batches, and nothing in it but JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from nightshift.validate.findings import Breach, Findings
from nightshift.validate.rules import Rule
from nightshift.validate.verdict import BatchRule, BatchVerdict, Broken, Judged, Report, RowRule

MOST_RULES = 200
MOST_FAILURES = 20
EXAMPLES = 3
ARGUMENTS_LENGTH = 200


def report_of(rules: Sequence[Rule], findings: Findings, verdicts: Mapping[date, BatchVerdict]) -> Report:
    """Return counts, each rule's outcome and a few examples: at most 100 KB as JSON."""
    broken = [_broken(one) for one in findings.broken]
    kept = [rule for rule in rules if rule.judges_rows]
    return {
        "source": findings.source.name,
        "dates": len(verdicts),
        "failed_dates": sum(not verdict.passed for verdict in verdicts.values()),
        "collected": sum(verdict.collected for verdict in verdicts.values()),
        "accepted": sum(verdict.accepted for verdict in verdicts.values()),
        "rejected": sum(verdict.rejected for verdict in verdicts.values()),
        "columns": len(findings.source.columns),
        "broken": sorted(broken, key=lambda one: -one["rows"])[:MOST_RULES],
        "row_rules": [_row_rule(rule, findings.broken) for rule in kept][:MOST_RULES],
        "batch_rules": _batch_rules(rules, findings)[:MOST_RULES],
    }


def _broken(one: Breach) -> Broken:
    return {
        "rule": one.rule,
        "column": ", ".join(one.columns)[:100],
        "rows": one.rows,
        "dates": int((one.counts > 0).sum()),
        "examples": [None if value is None else value[:60] for value in dict.fromkeys(one.values)][:EXAMPLES],
    }


def _row_rule(rule: Rule, broken: Sequence[Breach]) -> RowRule:
    failing = sum(one.rows for one in broken if (one.rule, one.columns) == (rule.name, rule.columns))
    return {**_described(rule), "rows": failing}


def _batch_rules(rules: Sequence[Rule], findings: Findings) -> list[BatchRule]:
    found: dict[int, BatchRule] = {
        id(rule): {**_described(rule), "passed": 0, "failed": 0, "nothing_to_judge": 0, "failures": []}
        for rule in rules
        if not rule.judges_rows
    }
    for number, judged in sorted(findings.outcomes.items()):
        for rule, outcome in judged:
            one = found[id(rule)]
            one["nothing_to_judge" if outcome is None else "passed" if outcome.passed else "failed"] += 1
            if outcome and not outcome.passed and len(one["failures"]) < MOST_FAILURES:
                one["failures"].append(
                    {"date": str(findings.dates[number]), "observed": outcome.observed[:60]}
                )
    return list(found.values())


def _described(rule: Rule) -> Judged:
    return {
        "rule": rule.name,
        "column": ", ".join(rule.columns)[:100],
        "arguments": json.dumps(rule.arguments, ensure_ascii=False)[:ARGUMENTS_LENGTH],
    }
