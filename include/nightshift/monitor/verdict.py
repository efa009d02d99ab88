"""The night's verdict: does what was seen ask for retraining? Pure; the guards come later.

Each reason looks at one thing and says what it saw, and whether that passes the limit of ``retrain.when``; one is
enough to ask. A night *breached* when one asks. A night of which nothing could be judged is neither a breach nor an
all-clear.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypedDict

from nightshift.monitor import gain
from nightshift.records.monitoring import DriftResult, Harm, PerformanceResult, Reason
from nightshift.records.replays import GainByAge
from nightshift.specs.model import Model

Status = Literal["ok", "breached", "too_few_rows"]
# A night without a verdict, and one of too few rows, say nothing about drift.
UNJUDGED = (None, "too_few_rows")


@dataclass(frozen=True)
class Seen:
    """What is known of a night and of the version that scored it.

    ``windows``: what drift said of the nights before, oldest first. ``fitted_until``: the last night the version was
    fitted on. ``gains``: what the newest replay says of trainings, by age.
    """

    night: date
    drift: DriftResult
    performance: PerformanceResult | None = None
    harm: Harm | None = None
    windows: Sequence[str | None] = ()
    fitted_until: date | None = None
    gains: GainByAge | None = None


@dataclass(frozen=True)
class Verdict:
    """What a night says, by each of its reasons."""

    retrain: bool
    status: Status
    reason: str
    reasons: tuple[Reason, ...]


def decide_night(model: Model, seen: Seen) -> Verdict:
    """Return the verdict of a night by the reasons that the model's spec has switched on."""
    reasons = tuple(said for judge in REASONS.values() if (said := judge(model, seen)))
    asking = [reason for reason in reasons if reason.asks]
    if asking:
        return Verdict(True, "breached", "; ".join(reason.words for reason in asking), reasons)
    judged = [reason for reason in reasons if reason.value is not None]
    if not judged:
        unknown = "; ".join(reason.words for reason in reasons) or "no reason of retrain.when is switched on"
        return Verdict(False, "too_few_rows", f"not judged: {unknown}", reasons)
    return Verdict(False, "ok", f"nothing asks: {'; '.join(reason.words for reason in judged)}", reasons)


def shift(model: Model, seen: Seen) -> Reason | None:
    """The features moved, by the evidence of all nights since training."""
    limit, found = model.retrain.when.shift, seen.drift.shift
    if limit is None:
        return None
    if found is None:
        return Reason("shift", False, None, limit, "no nights since training to see a shift in")
    what = f": {'; '.join(found.words)}" if found.words and found.evidence >= limit else ""
    words = f"evidence of a shift {found.evidence:,.0f} of {limit:g} over {found.nights} nights{what}"
    return Reason("shift", found.evidence >= limit, found.evidence, limit, words)


def harm(model: Model, seen: Seen) -> Reason | None:
    """The model costs more than it did, by labels, against what the same nights cost without a model."""
    limit, found = model.retrain.when.harm, seen.harm
    if limit is None or model.target is None:
        return None
    if found is None:
        return Reason("harm", False, None, limit, "no matured nights to measure harm by")
    words = f"evidence of harm {found.evidence:,.0f} of {limit:g}: {found.words}"
    return Reason("harm", found.evidence >= limit, found.evidence, limit, words)


def age(model: Model, seen: Seen) -> Reason | None:
    """The model has not seen the last so many nights."""
    limit = model.retrain.when.age_days
    if limit is None or not model.estimator.is_trained or seen.fitted_until is None:
        return None
    days = (seen.night - seen.fitted_until).days
    words = f"fitted on nights up to {seen.fitted_until}, {days} nights ago, age_days {limit}"
    return Reason("age", days >= limit, float(days), float(limit), words)


def expected_gain(model: Model, seen: Seen) -> Reason | None:
    """A training is expected to have paid by now, by what a replay of this model's nights says of its age."""
    cost = model.retrain.when.expected_gain
    if cost is None or not model.estimator.is_trained or seen.fitted_until is None:
        return None
    if seen.gains is None:
        words = f"no replay says yet what a training gains: nightshift replay {model.name}"
        return Reason("expected_gain", False, None, cost, words)
    value = gain.expected(seen.gains, (seen.night - seen.fitted_until).days)
    words = (
        f"a training would have gained {value:.3f} in loss since {seen.fitted_until}, by a replay of "
        f"{seen.gains.nights} nights, expected_gain {cost:g}"
    )
    if value < cost:
        due = gain.passes_on(seen.gains, seen.fitted_until, cost)
        words += f"; wait until {due}" if due else "; age alone does not make it pay"
    return Reason("expected_gain", value >= cost, value, cost, words)


def psi(model: Model, seen: Seen) -> Reason | None:
    """``drift.breaches`` of the last ``drift.of_last`` windows that could be judged drifted, the newest among them."""
    if not model.retrain.when.psi:
        return None
    spec = model.drift
    if seen.drift.status == "too_few_rows":
        return Reason("psi", False, None, float(spec.breaches), "; ".join(seen.drift.reasons))
    judged = [status == "drifted" for status in seen.windows if status not in UNJUDGED]
    window = [*judged, seen.drift.status == "drifted"][-spec.of_last :]
    asks = window[-1] and sum(window) >= spec.breaches
    words = (
        f"{sum(window)} of the last {len(window)} windows drifted, {spec.breaches} of {spec.of_last} needed"
    )
    what = f": {'; '.join(seen.drift.reasons)}" if window[-1] else ""
    return Reason("psi", asks, float(sum(window)), float(spec.breaches), words + what)


def degraded(model: Model, seen: Seen) -> Reason | None:
    """The metric of the performance window is worse than at the gate."""
    found = seen.performance
    if not model.retrain.when.degraded or found is None:
        return None
    return Reason("degraded", found.status == "degraded", found.worsening, _tolerance(model), found.reason)


def _tolerance(model: Model) -> float | None:
    return model.performance.tolerance if model.performance else None


class Shares(TypedDict, total=False):
    """Evidence as shares of its limit; what is not known is not there."""

    harm: float
    shift: float


def shares(model: Model, seen: Seen) -> Shares:
    """Return the evidence of harm and of a shift as shares of the spec's limits; of a usual one where it has none."""
    when, found = model.retrain.when, Shares()
    if seen.harm:
        found["harm"] = seen.harm.evidence / (when.harm or seen.harm.alarm)
    if seen.drift.shift:
        found["shift"] = seen.drift.shift.evidence / (when.shift or seen.drift.shift.alarm)
    return found


# Each a function from a model's spec and what was seen to what it says; None where it is switched off.
REASONS: dict[str, Callable[[Model, Seen], Reason | None]] = {
    "shift": shift,
    "harm": harm,
    "age": age,
    "expected_gain": expected_gain,
    "psi": psi,
    "degraded": degraded,
}
