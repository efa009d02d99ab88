"""Gates: what a challenger must meet. A gate is a function of the evidence; the table at the foot names it.

Champion and challenger are scored now, by the same code, on the same frozen holdout, which is later in time
than anything either was trained on. :func:`judge` refuses to judge on any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from nightshift.errors import UnfairHoldout
from nightshift.metrics import METRICS, better
from nightshift.specs import Gate


@dataclass(frozen=True)
class Candidate:
    """A version on the holdout: the last day it was trained on, and its metrics there."""

    version: int
    train_last: date
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Evidence:
    """Everything a decision rests on."""

    holdout_first: date
    holdout_rows: int
    challenger: Candidate
    champion: Candidate | None


@dataclass(frozen=True)
class GateResult:
    """What one gate says, in numbers and in words."""

    gate: str
    metric: str
    passed: bool
    words: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-able values."""
        return asdict(self)


def judge(gates: list[Gate], evidence: Evidence) -> list[GateResult]:
    """Return every gate's verdict; the challenger passes if all did.

    Raises:
        UnfairHoldout: challenger or champion has seen a day of the holdout in training.
    """
    for candidate in filter(None, (evidence.challenger, evidence.champion)):
        if candidate.train_last >= evidence.holdout_first:
            raise UnfairHoldout(
                f"version {candidate.version} was trained on days up to {candidate.train_last}; the holdout "
                f"starts on {evidence.holdout_first}. Train as of a later date"
            )
    return [GATES[gate.gate](gate, evidence) for gate in gates]


def minimum_score(gate: Gate, evidence: Evidence) -> GateResult:
    """Pass when the challenger reaches an absolute value; a score that does not exist does not pass."""
    value = evidence.challenger.metrics.get(gate.metric)
    bound = "at least" if METRICS[gate.metric].greater_is_better else "at most"
    passed = value is not None and (value == gate.value or better(gate.metric, value, gate.value))
    return GateResult(
        gate.gate, gate.metric, passed, f"{gate.metric} {_shown(value)}, must be {bound} {gate.value:g}"
    )


def beats_champion(gate: Gate, evidence: Evidence) -> GateResult:
    """Pass when the challenger is better than the champion by more than ``value``, both on this holdout."""
    if evidence.champion is None:
        return GateResult(gate.gate, gate.metric, True, "no champion to beat")
    mine, theirs = (c.metrics.get(gate.metric) for c in (evidence.challenger, evidence.champion))
    if mine is None or theirs is None:
        return GateResult(gate.gate, gate.metric, False, f"{gate.metric} is undefined on this holdout")
    margin = gate.value if METRICS[gate.metric].greater_is_better else -gate.value
    passed = better(gate.metric, mine, theirs + margin)
    return GateResult(
        gate.gate,
        gate.metric,
        passed,
        f"{gate.metric} {_shown(mine)} against {_shown(theirs)} of version {evidence.champion.version}"
        f" (margin {gate.value:g})",
    )


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


GATES: dict[str, Callable[[Gate, Evidence], GateResult]] = {
    "minimum_score": minimum_score,
    "beats_champion": beats_champion,
}
