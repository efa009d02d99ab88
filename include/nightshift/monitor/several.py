"""Who asks when several models are watched: what one passes by chance once a year, twenty-five do every fortnight.

e-BH (Wang and Ramdas 2022, "False discovery rate control with e-values") over the evidence of all models on one night,
each in units of its own limit: of K models the k with the most evidence ask if each of them has K / k limits. One model
needs its limit, as if nobody had heard of others; of several, one alone needs K limits, and all together one each.
Evidence being e-detectors, the expected share of false asks up to any night, however models depend on each other, is at
most the nights since training over the limit (Dandapanthula and Ramdas 2025, "Multiple testing in multi-stream
sequential change detection", arXiv 2501.04130: e-d-BH, error over patience).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from nightshift.records.monitoring import Reason, Watched

# Reasons whose value is the evidence of an e-detector. Another one that asks needs nobody's leave.
EVIDENCE = ("shift", "harm")


@dataclass(frozen=True)
class Several:
    """Whether a model asks on a night, in words where there are others; ``waits``: their verdicts may change that."""

    asks: bool
    waits: bool
    words: str


def passing(evidence: Mapping[str, float]) -> frozenset[str]:
    """Return the models that ask; ``evidence``: of all that are watched, each over its limit."""
    ranked = sorted(evidence.values(), reverse=True)
    most = max((k for k, value in enumerate(ranked, start=1) if value * k >= len(ranked)), default=0)
    return frozenset(name for name, value in evidence.items() if value * most >= len(ranked))


def who_asks(watched: Sequence[Watched], model: str, night: date) -> Several:
    """Return whether a model whose verdict asks on a night does so beside the others.

    ``watched``: the newest verdict of each model of the last days, up to the night. One that has none of that night yet
    is watched all the same, without evidence: a verdict more can only help the others.
    """
    mine = next((each for each in watched if (each.model, each.batch_date) == (model, night)), None)
    asking = [reason for reason in mine.reasons.said if reason.asks] if mine else []
    if not mine or not asking or any(reason.name not in EVIDENCE for reason in asking):
        return Several(True, False, "")
    said = [_of_reason(watched, model, night, reason) for reason in asking]
    words = "; ".join(text for _, text in said if text)
    if any(asks for asks, _ in said):
        return Several(True, False, words)
    return Several(False, mine.is_new and any(each.batch_date < night for each in watched), words)


def _of_reason(watched: Sequence[Watched], model: str, night: date, mine: Reason) -> tuple[bool, str]:
    evidence = {
        each.model: _over_limit(reason) if each.batch_date == night else 0.0
        for each in watched
        for reason in each.reasons.said
        if reason.name == mine.name and reason.limit
    }
    together, models, limit = passing(evidence), len(evidence), mine.limit or 0.0
    if models == 1:
        return True, ""
    if model in together:
        return True, f"{mine.name}: {len(together)} of {models} models watched ask together"
    needed = f"one alone needs {models * limit:,.0f}, k together {models}/k limits"
    return False, f"{mine.name}: of {models} models watched, {needed}"


def _over_limit(reason: Reason) -> float:
    return (reason.value or 0.0) / reason.limit if reason.limit else 0.0
