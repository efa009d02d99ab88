"""The request for a signature, as Markdown: what an approver must see to say yes or no."""

from collections.abc import Mapping
from typing import Any

MOST_SLICES = 12


def markdown(decision: Mapping[str, Any], verdict: Mapping[str, Any] | None, links: Mapping[str, str]) -> str:
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
        _slices(evaluation),
        "**Gates**\n\n"
        + "\n".join(f"- {gate['gate']}: {plain(gate['words'])}" for gate in decision["gates"]),
        " · ".join(f"[{name}]({url})" for name, url in links.items()),
        f"Evidence `{decision['evidence_sha256']}`. Your answer, your name and your comment are kept with it.",
    ]
    return "\n\n".join(part for part in parts if part)


def plain(text: str) -> str:
    """Return text that people or data wrote as Markdown that shows it, and does nothing else."""
    escaped = "".join(f"\\{c}" if c in r"\`*_{}[]()#+-!|~" else c for c in str(text)[:500])
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _verdict(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return ""
    return f"**What asked for it:** the night of {verdict['batch_date']}: {plain(verdict['reason'])}"


def _metrics(evaluation: Mapping[str, Any]) -> str:
    theirs = evaluation["champion_metrics"] or {}
    lines = ["| metric | challenger | interval | champion | gain, interval |", "|---|---|---|---|---|"]
    for name, value in evaluation["metrics"].items():
        interval, gain = evaluation["intervals"].get(name), evaluation["gains"].get(name)
        lines.append(
            f"| {name} | {_number(value)} | {_between(interval)} | {_number(theirs.get(name))} | {_between(gain)} |"
        )
    return "\n".join(lines)


def _slices(evaluation: Mapping[str, Any]) -> str:
    if not evaluation["slices"]:
        return ""
    metric = next(iter(evaluation["gains"] or evaluation["metrics"]))
    lines = [f"| slice | rows | {metric}: challenger | champion | gain, interval |", "|---|---|---|---|---|"]
    largest = sorted(evaluation["slices"].items(), key=lambda item: -item[1]["rows"])[:MOST_SLICES]
    for name, part in largest:
        lines.append(
            f"| {plain(name)} | {part['rows']:,} | {_number(part['challenger'].get(metric))} | "
            f"{_number((part['champion'] or {}).get(metric))} | {_between(part['gains'].get(metric))} |"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _between(found: list[float] | None) -> str:
    return "" if not found else f"{found[0]:+.4f} to {found[1]:+.4f}"
