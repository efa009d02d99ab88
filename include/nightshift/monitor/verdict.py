"""The night's verdict: does what was seen ask for retraining? Pure; the guards come later.

A night *breached* when its window drifted or its realised performance degraded. Retraining is asked for
when the newest night breached and, with it, ``drift.breaches`` of the last ``drift.of_last`` nights that
could be judged. A night of too few rows is neither a breach nor an all-clear: it is passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nightshift.records.monitoring import DriftResult, PerformanceResult
from nightshift.specs.model import Drift

Status = Literal["ok", "breached", "too_few_rows"]
UNJUDGED = (None, "too_few_rows")
# Also what a history may hold for a breach that was recorded by its cause.
BREACHES = frozenset({"breached", "drifted", "degraded"})


@dataclass(frozen=True)
class Verdict:
    """What a night says. ``status`` is what later nights need of it as their history."""

    retrain: bool
    status: Status
    breaches: int
    judged: int
    reason: str
    causes: tuple[str, ...]


def decide_night(
    history: Sequence[str | None],
    today: DriftResult,
    performance: PerformanceResult | None,
    drift: Drift,
) -> Verdict:
    """Return the verdict of the newest night.

    ``history`` holds the statuses of the nights before it, oldest first: 'ok', 'breached' (or 'drifted',
    'degraded'), 'too_few_rows', or None for a night without a verdict. The last two are passed over. Give
    the last ``drift.of_last - 1`` nights, or more for earlier ones to stand in for those passed over.

    Raises:
        ValueError: a status that is none of these.
    """
    causes = _causes(today, performance)
    judged = [_breached(status) for status in history if status not in UNJUDGED]
    if not causes and today.status == "too_few_rows":
        return Verdict(False, "too_few_rows", 0, 0, f"not judged: {'; '.join(today.reasons)}", ())
    window = [*judged, bool(causes)][-drift.of_last :]
    breaches = sum(window)
    retrain = bool(causes) and breaches >= drift.breaches
    return Verdict(
        retrain=retrain,
        status="breached" if causes else "ok",
        breaches=breaches,
        judged=len(window),
        reason=_reason(causes, breaches, len(window), drift),
        causes=causes,
    )


def _causes(today: DriftResult, performance: PerformanceResult | None) -> tuple[str, ...]:
    drifted = today.reasons if today.status == "drifted" else ()
    degraded = (performance.reason,) if performance and performance.status == "degraded" else ()
    return (*drifted, *degraded)


def _breached(status: str | None) -> bool:
    if status != "ok" and status not in BREACHES:
        raise ValueError(f"history: unknown status {status!r}")
    return status != "ok"


def _reason(causes: tuple[str, ...], breaches: int, judged: int, drift: Drift) -> str:
    counted = (
        f"{breaches} of the last {judged} judged nights breached, {drift.breaches} of {drift.of_last} needed"
    )
    return f"{counted}: {'; '.join(causes)}" if causes else f"tonight is fine; {counted}"
