"""The request for a signature: what an approver must see to say yes or no."""

from collections.abc import Mapping, Sequence

from nightshift.masks import masked
from nightshift.pages import Bullets, Document, Link, Note, Part, Section, Table
from nightshift.records.decisions import Decision, Evaluation, Scores
from nightshift.records.monitoring import Asked

MOST_SLICES = 12
UNMEASURED = "Nothing was measured: there are no labels."
Interval = tuple[float, float] | None


def request(
    decision: Decision,
    asked: Asked | None,
    links: Mapping[str, str],
    approvers: Sequence[str],
) -> Document:
    """Return the evidence of a decision, at most a few KB as Markdown: it travels through Airflow's XCom.

    ``asked``: of the night that asked for the training, if one did.
    """
    evaluation = decision.measured
    champion = f"version {decision.champion}" if decision.champion else "no champion"
    compared = next((gate.metric or "" for gate in decision.gates if gate.gate == "beats_champion"), "")
    return Document(
        title=f"Promote version {decision.challenger} of {decision.model}?",
        about=f"Asked: {', '.join(approvers)}. An answer of anybody else does not count.",
        notes=(
            Note(
                f"Version {decision.challenger} of {decision.model} passed its gates against {champion}, on "
                f"{evaluation.rows:,} rows of {evaluation.days} days that neither has seen.",
                "good",
            ),
        ),
        sections=(
            Section("Why it was trained", _why(decision, asked)),
            Section("Metrics", (_metrics(evaluation),)),
            *_slices(evaluation, compared),
            Section("Gates", (Bullets(tuple(f"{gate.gate}: {gate.words}" for gate in decision.gates)),)),
            Section("Evidence", _evidence(decision, links)),
        ),
    )


def _why(decision: Decision, asked: Asked | None) -> tuple[Part, ...]:
    if asked is None or asked.reason is None:
        return (decision.reason,)
    night = f"What asked for it: the night of {asked.batch_date}: {masked(asked.reason)}"
    return (decision.reason, night)


def _evidence(decision: Decision, links: Mapping[str, str]) -> tuple[Part, ...]:
    kept = f"Evidence {decision.evidence_sha256}. Your answer, your name and your comment are kept with it."
    return Bullets(tuple(Link(name, url) for name, url in links.items())), kept


def _metrics(evaluation: Evaluation) -> Part:
    if not evaluation.metrics:
        return UNMEASURED
    theirs = evaluation.champion_metrics or {}
    rows = tuple(
        (
            name,
            _number(value),
            _between(evaluation.intervals.get(name), ""),
            *_compared(theirs.get(name), evaluation.gains.get(name), theirs),
        )
        for name, value in evaluation.metrics.items()
    )
    return Table(("metric", "challenger", "interval", *_compared_head(theirs)), rows)


def _slices(evaluation: Evaluation, metric: str) -> tuple[Section, ...]:
    largest = sorted(evaluation.slices.items(), key=lambda item: -item[1].rows)[:MOST_SLICES]
    theirs = evaluation.champion_metrics or {}
    rows = tuple(
        (
            masked(name),
            f"{part.rows:,}",
            _number(part.challenger.get(metric)),
            *_compared((part.champion or {}).get(metric), part.gains.get(metric), theirs),
        )
        for name, part in largest
    )
    head = ("slice", "rows", f"{metric}: challenger", *_compared_head(theirs))
    return (Section("Largest slices", (Table(head, rows),)),) if rows else ()


def _compared_head(theirs: Scores) -> list[str]:
    return ["champion", "gain, interval"] if theirs else []


def _compared(value: float | None, gain: Interval, theirs: Scores) -> list[str]:
    return [_number(value), _between(gain, "+")] if theirs else []


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _between(found: Interval, sign: str) -> str:
    return "" if not found else f"{found[0]:{sign}.4f} to {found[1]:{sign}.4f}"
