"""The request for a signature, as Markdown: what an approver must see to say yes or no."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightshift.markdown import plain

MOST_SLICES = 12


def markdown(
    decision: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    links: Mapping[str, str],
    approvers: Sequence[str],
) -> str:
    """Return the evidence of a decision, at most a few KB: it travels through Airflow's XCom.

    ``decision``: a row of ``governance.decisions``. ``verdict``: of the night that asked for the training, if one did.
    """
    evaluation = decision["evaluation"]
    champion = f"version {decision['champion']}" if decision["champion"] else "no champion"
    passed = (
        f"Version {decision['challenger']} of `{decision['model']}` passed its gates against {champion}, on "
        f"{evaluation['rows']:,} rows of {evaluation['days']} days that neither has seen."
    )
    parts = [
        passed,
        f"**Why it was trained:** {plain(decision['reason'])}",
        _verdict(verdict),
        _metrics(evaluation),
        _slices(
            evaluation, next(gate["metric"] for gate in decision["gates"] if gate["gate"] == "beats_champion")
        ),
        "**Gates**\n\n"
        + "\n".join(f"- {gate['gate']}: {plain(gate['words'])}" for gate in decision["gates"]),
        " · ".join(f"[{name}]({url})" for name, url in links.items()),
        f"**Asked:** {', '.join(map(plain, approvers))}. An answer of anybody else does not count.",
        f"Evidence `{decision['evidence_sha256']}`. Your answer, your name and your comment are kept with it.",
    ]
    return "\n\n".join(part for part in parts if part)


def _verdict(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return ""
    return f"**What asked for it:** the night of {verdict['batch_date']}: {plain(verdict['reason'])}"


def _metrics(evaluation: Mapping[str, Any]) -> str:
    theirs = evaluation["champion_metrics"] or {}
    rows = [
        [
            name,
            _number(value),
            _between(evaluation["intervals"].get(name), ""),
            *_compared(theirs.get(name), evaluation["gains"].get(name), theirs),
        ]
        for name, value in evaluation["metrics"].items()
    ]
    return _table(["metric", "challenger", "interval", *_compared_head(theirs)], rows)


def _slices(evaluation: Mapping[str, Any], metric: str) -> str:
    largest = sorted(evaluation["slices"].items(), key=lambda item: -item[1]["rows"])[:MOST_SLICES]
    theirs = evaluation["champion_metrics"] or {}
    rows = [
        [
            plain(name),
            f"{part['rows']:,}",
            _number(part["challenger"].get(metric)),
            *_compared((part["champion"] or {}).get(metric), part["gains"].get(metric), theirs),
        ]
        for name, part in largest
    ]
    return _table(["slice", "rows", f"{metric}: challenger", *_compared_head(theirs)], rows) if rows else ""


def _compared_head(theirs: Mapping[str, Any]) -> list[str]:
    return ["champion", "gain, interval"] if theirs else []


def _compared(value: float | None, gain: list[float] | None, theirs: Mapping[str, Any]) -> list[str]:
    return [_number(value), _between(gain, "+")] if theirs else []


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _between(found: list[float] | None, sign: str) -> str:
    return "" if not found else f"{found[0]:{sign}.4f} to {found[1]:{sign}.4f}"
