"""Data docs: one page for the operator, of what was expected, what came, and what was decided.

Our own, not Great Expectations' renderer: the page is small, and on it values are text, struck out where they could
be somebody's.
"""

from collections.abc import Sequence
from datetime import date

from nightshift.masks import masked
from nightshift.pages import Cell, Document, Note, Section, Status, Table, page
from nightshift.specs import Source
from nightshift.validate.verdict import BatchRule, BatchVerdict, Broken, RowRule, Validation

MOST_DATES = 400
MOST_RULES = 100
MOST_REASONS = 10
MOST_NAMED = 5
CELL_LENGTH = 300
PAGE_BYTES = 200_000


def data_docs(source: Source, validation: Validation, dates: Sequence[date]) -> str:
    """Return a self-contained HTML page of ``dates`` (without scripts or addresses), at most 200 KB."""
    wanted = [day for day in sorted(set(dates)) if day in validation.verdicts]
    shown = wanted[-MOST_DATES:]
    for reason_length in (CELL_LENGTH, 80, 20):
        made = page(_document(source, validation, shown, len(wanted), reason_length))
        if len(made.encode()) <= PAGE_BYTES:
            return made
    return page(_document(source, validation, shown[-30:], len(wanted), 80))


def _document(source: Source, validation: Validation, shown: list[date], asked: int, length: int) -> Document:
    report = validation.report
    verdict_head = ("Date", "Verdict", "Collected", "Accepted", "Set aside", "Why")
    rule_head = ("Expectation", "Column", "Arguments")
    broken = _broken(report["broken"])
    return Document(
        title=f"{source.name}: validation",
        about=source.description[:length],
        notes=(_outcome(validation, shown),),
        sections=(
            Section(
                "Verdicts",
                (
                    _summary(source, validation, shown, asked),
                    Table(verdict_head, _verdicts(validation, shown, length)),
                ),
            ),
            Section(
                "Rows set aside, by rule", (Table(("Rule", "Column", "Rows", "Dates", "Such as"), broken),)
            ),
            Section(
                "What is expected of each row",
                (
                    Table(("Column", "Type", "May be null"), _columns(source), "Columns"),
                    Table((*rule_head, "Rows failing"), _row_rules(report["row_rules"]), "Expectations"),
                ),
            ),
            Section(
                "What is expected of each batch",
                (Table((*rule_head, "Passed", "Failed", "Observed"), _batch_rules(report["batch_rules"])),),
            ),
        ),
    )


def _outcome(validation: Validation, shown: list[date]) -> Note:
    """Return what was decided, in a sentence."""
    failed = [day for day in shown if not validation.verdicts[day].passed]
    if failed:
        named = ", ".join(map(str, failed[-MOST_NAMED:]))
        more = f" and {len(failed) - MOST_NAMED} before" if len(failed) > MOST_NAMED else ""
        one = (
            f"The batch of {named} failed"
            if len(failed) == 1
            else f"{len(failed)} batches failed: {named}{more}"
        )
        return Note(f"{one}. What failed is not published; what stood there before stays.", "bad")
    if not shown:
        return Note("Nothing was judged.", "warn")
    aside = sum(validation.verdicts[day].rejected for day in shown)
    which = f"The batch of {shown[0]}" if len(shown) == 1 else f"All {len(shown)} batches"
    return Note(f"{which} passed; {aside:,} rows were set aside.", "warn" if aside else "good")


def _summary(source: Source, validation: Validation, shown: list[date], asked: int) -> str:
    report = validation.report
    failed = sum(not validation.verdicts[day].passed for day in shown)
    span = f"{shown[0]} to {shown[-1]}" if shown else "no dates"
    return (
        f"{span}: {len(shown)} of {asked} dates shown, {failed} failed. {report['collected']} rows "
        f"collected, {report['accepted']} accepted, {report['rejected']} set aside; up to "
        f"{source.budget.share:.2%} of a batch and {source.budget.rows} rows may be."
    )


Rows = tuple[tuple[Cell, ...], ...]


def _verdicts(validation: Validation, shown: list[date], length: int) -> Rows:
    return tuple(_verdict(day, validation.verdicts[day], length) for day in reversed(shown))


def _verdict(day: date, verdict: BatchVerdict, length: int) -> tuple[Cell, ...]:
    warned = [f"warning: {warning}" for warning in verdict.warnings]
    told = [*verdict.reasons, *warned, *verdict.notes]
    why = "; ".join(masked(reason)[:length] for reason in told[:MOST_REASONS])
    word = Status("passed", "good") if verdict.passed else Status("failed", "bad")
    return day, word, verdict.collected, verdict.accepted, verdict.rejected, why


def _broken(broken: list[Broken]) -> Rows:
    return tuple(
        (one["rule"], masked(one["column"]), one["rows"], one["dates"], _listed(one["examples"]))
        for one in broken[:MOST_RULES]
    )


def _columns(source: Source) -> Rows:
    columns = list(source.columns.items())[:MOST_RULES]
    return tuple((name, column.type, column.nullable) for name, column in columns)


def _row_rules(rules: list[RowRule]) -> Rows:
    return tuple((one["rule"], one["column"], one["arguments"], one["rows"]) for one in rules[:MOST_RULES])


def _batch_rules(rules: list[BatchRule]) -> Rows:
    return tuple(
        (one["rule"], one["column"], one["arguments"], one["passed"], one["failed"], _listed(one["failures"]))
        for one in rules[:MOST_RULES]
    )


def _listed(values: object) -> str:
    if not isinstance(values, list):
        return ""
    texts = [f"{v['date']}: {v['observed']}" if isinstance(v, dict) else str(v) for v in values]
    return ", ".join("null" if v is None else masked(text) for v, text in zip(values, texts, strict=True))
