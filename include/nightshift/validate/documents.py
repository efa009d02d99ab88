"""Data docs: one page for the operator, of what was expected, what came, and what was decided.

Our own template, not Great Expectations' renderer: every value on the page is escaped here, in one place,
and the page is small. Values are other people's text; nothing of them is ever markup.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from html import escape

from nightshift.specs import Source
from nightshift.validate.verdict import Validation

MOST_DATES = 400
MOST_RULES = 100
MOST_REASONS = 10
CELL_LENGTH = 300
PAGE_BYTES = 200_000
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}"
    "th,td{border-bottom:1px solid #d9dee3;padding:.3rem .6rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{background:#f4f6f8}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.failed{color:#b42318}.passed{color:#18794e}"
)


def data_docs(source: Source, validation: Validation, dates: Sequence[date]) -> str:
    """Return a self-contained HTML page of ``dates`` (without scripts or addresses), at most 200 KB."""
    wanted = [day for day in sorted(set(dates)) if day in validation.verdicts]
    shown = wanted[-MOST_DATES:]
    for reason_length in (CELL_LENGTH, 80, 20):
        page = _page(source, validation, shown, len(wanted), reason_length)
        if len(page.encode()) <= PAGE_BYTES:
            return page
    return _page(source, validation, shown[-30:], len(wanted), 80)


def _page(source: Source, validation: Validation, shown: list[date], asked: int, length: int) -> str:
    report = validation.report
    title = _text(f"{source.name}: validation")
    verdict_head = ("Date", "Verdict", "Collected", "Accepted", "Set aside", "Why")
    rule_head = ("Expectation", "Column", "Arguments")
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{POLICY}<title>{title}</title>',
        f"<style>{STYLE}</style></head><body><h1>{title}</h1><p>{_text(source.description, length)}</p>",
        f"<p>{_text(_summary(source, validation, shown, asked))}</p><h2>Verdicts</h2>",
        _table(verdict_head, _verdicts(validation, shown, length)),
        "<h2>Rows set aside, by rule</h2>",
        _table(("Rule", "Column", "Rows", "Dates", "Such as"), _broken(report["broken"])),
        "<h2>What is expected of each row</h2>",
        _table(("Column", "Type", "May be null"), _columns(source)),
        _table((*rule_head, "Rows failing"), _row_rules(report["row_rules"])),
        "<h2>What is expected of each batch</h2>",
        _table((*rule_head, "Passed", "Failed", "Observed"), _batch_rules(report["batch_rules"])),
        "</body></html>",
    ]
    return "".join(parts)


def _summary(source: Source, validation: Validation, shown: list[date], asked: int) -> str:
    report = validation.report
    failed = sum(not validation.verdicts[day].passed for day in shown)
    span = f"{shown[0]} to {shown[-1]}" if shown else "no dates"
    return (
        f"{span}: {len(shown)} of {asked} dates shown, {failed} failed. {report['collected']} rows "
        f"collected, {report['accepted']} accepted, {report['rejected']} set aside; up to "
        f"{source.budget.share:.2%} of a batch and {source.budget.rows} rows may be."
    )


Row = Iterable[object]


def _verdicts(validation: Validation, shown: list[date], length: int) -> list[Row]:
    rows: list[Row] = []
    for day in reversed(shown):
        verdict = validation.verdicts[day]
        warned = [f"warning: {warning}" for warning in verdict.warnings]
        told = [*verdict.reasons, *warned, *verdict.notes]
        why = "; ".join(reason[:length] for reason in told[:MOST_REASONS])
        word = "passed" if verdict.passed else "failed"
        rows.append((day, word, verdict.collected, verdict.accepted, verdict.rejected, why))
    return rows


def _broken(broken: list[dict[str, object]]) -> list[Row]:
    return [
        (one["rule"], one["column"], one["rows"], one["dates"], _listed(one["examples"]))
        for one in broken[:MOST_RULES]
    ]


def _columns(source: Source) -> list[Row]:
    columns = list(source.columns.items())[:MOST_RULES]
    return [(name, column.type, "yes" if column.nullable else "no") for name, column in columns]


def _row_rules(rules: list[dict[str, object]]) -> list[Row]:
    return [(one["rule"], one["column"], one["arguments"], one["rows"]) for one in rules[:MOST_RULES]]


def _batch_rules(rules: list[dict[str, object]]) -> list[Row]:
    return [
        (one["rule"], one["column"], one["arguments"], one["passed"], one["failed"], _listed(one["failures"]))
        for one in rules[:MOST_RULES]
    ]


def _listed(values: object) -> str:
    if not isinstance(values, list):
        return ""
    texts = [f"{v['date']}: {v['observed']}" if isinstance(v, dict) else str(v) for v in values]
    return ", ".join("null" if v is None else text for v, text in zip(values, texts, strict=True))


def _table(head: Sequence[str], rows: list[Row]) -> str:
    if not rows:
        return "<p>None.</p>"
    names = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    style = "n" if isinstance(value, int) else value if value in ("passed", "failed") else ""
    return f'<td class="{style}">{_text(value)}</td>' if style else f"<td>{_text(value)}</td>"


def _text(value: object, length: int = CELL_LENGTH * 10) -> str:
    return escape(str(value)[:length], quote=True)
