"""Guards before retraining: a verdict asks, the guards answer. Every request leaves a row with all answers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from nightshift.records.monitoring import GuardAnswer, Started
from nightshift.specs import Retrain

LOST_AFTER = timedelta(days=2)
# A breaker that has opened closes by itself: by then there are other rows to learn from.
CLOSES_AFTER = timedelta(days=28)
PROMOTED = "promoted"


@dataclass(frozen=True)
class Request:
    """A night's request to retrain, and what the guards need to know of all that happened until it is decided.

    A night may be decided late, after later ones: what these started, promoted and rolled back counts as well.

    ``started``: requests of other nights that started a training, newest night first. ``promoted``: the night as of
    which the champion was trained, if by one of these or by hand since the first. ``rolled_back``: the first night
    after the newest rollback. ``fault``: the newest open fault in the features of the last seven nights, in words.
    ``fair_from``: the first night as of which a holdout begins after all that the champion was trained on.
    ``new_labels``: outcomes reported since the last night that the champion was fitted on; None: there are none to
    count.
    """

    batch_date: date
    reason: str
    is_backfill: bool = False
    started: tuple[Started, ...] = ()
    promoted: date | None = None
    rolled_back: date | None = None
    fault: str | None = None
    fair_from: date | None = None
    new_labels: int | None = None


@dataclass(frozen=True)
class Objection:
    """Why not, in words, and the first night on which the guard would not say so, if time alone changes its mind."""

    words: str
    until: date | None = None


@dataclass(frozen=True)
class Answer:
    """``guard`` is None when the training may start; else the first guard that held it back, in ``words``.

    ``answers``: what each guard said. ``not_before``: the first night on which none objects, as far as time tells.
    """

    guard: str | None
    words: str
    answers: tuple[GuardAnswer, ...] = ()
    not_before: date | None = None

    @property
    def may_start(self) -> bool:
        """Whether no guard held it back."""
        return self.guard is None


def ask(guards: Retrain, request: Request) -> Answer:
    """Return what all guards say; the first that objects is the answer, or leave to start."""
    said = {name: guard(guards, request) for name, guard in GUARDS.items()}
    answers = tuple(_told(name, objection) for name, objection in said.items())
    objections = {name: objection for name, objection in said.items() if objection}
    if not objections:
        return Answer(None, request.reason, answers)
    first = next(iter(objections))
    nights = [each.until for each in objections.values() if each.until]
    # Where another guard waits for something else than time, no night can be named.
    not_before = max(nights) if len(nights) == len(objections) else None
    wait = f"; wait until {not_before}" if not_before and not_before != objections[first].until else ""
    return Answer(first, objections[first].words + wait, answers, not_before)


def _told(name: str, objection: Objection | None) -> GuardAnswer:
    if objection is None:
        return GuardAnswer(name, False, "", None)
    return GuardAnswer(name, True, objection.words, objection.until)


def backfill(_: Retrain, request: Request) -> Objection | None:
    """A backfill repairs the past; it never changes which model is live."""
    return Objection("a backfill never retrains") if request.is_backfill else None


def fault(_: Retrain, request: Request) -> Objection | None:
    """Data that is broken is mended, not learned; what it did to the nights around it is not known yet."""
    return Objection(f"a fault is open: {request.fault}") if request.fault else None


def fresh(_: Retrain, request: Request) -> Objection | None:
    """The gate compares on nights that neither has seen; before there are enough, it would refuse what was trained."""
    if request.fair_from is None or request.batch_date >= request.fair_from:
        return None
    words = f"a fair holdout begins after the champion's last trained night: not before {request.fair_from}"
    return Objection(words, request.fair_from)


def one_at_a_time(_: Retrain, request: Request) -> Objection | None:
    """A second training cannot know what the first will decide. One lost without a trace blocks two nights.

    One that waits for its signature is not lost.
    """
    for each in request.started:
        if each.waits:
            return Objection(f"training '{each.training_id}' waits for its signature")
        if each.outcome is None and request.batch_date - each.batch_date <= LOST_AFTER:
            return Objection(f"training '{each.training_id}' has not ended")
    return None


def cooldown(guards: Retrain, request: Request) -> Objection | None:
    """A new champion needs nights before it can be called stale."""
    promoted = [each.batch_date for each in request.started if each.outcome == PROMOTED]
    latest = max([*promoted[:1], *([request.promoted] if request.promoted else [])], default=None)
    return _days_after(
        guards.cooldown_days, latest, request, f"cooldown of {guards.cooldown_days} days after"
    )


def retry(guards: Retrain, request: Request) -> Objection | None:
    """What did not win yesterday learns from the same rows today."""
    last = request.started[0] if request.started else None
    if last is None or last.outcome == PROMOTED:
        return None
    ended = last.outcome or "without an outcome"
    words = f"{guards.retry_days} days after a training that was not promoted ({ended}),"
    return _days_after(guards.retry_days, last.batch_date, request, words)


def rollback(guards: Retrain, request: Request) -> Objection | None:
    """A person has just decided who is champion. What was bad about the nights behind it is in them still."""
    words = f"cooldown of {guards.cooldown_days} days after the rollback of"
    return _days_after(guards.cooldown_days, request.rolled_back, request, words)


def new_labels(guards: Retrain, request: Request) -> Objection | None:
    """A challenger that sees no outcome the champion has not seen is the champion again."""
    if request.new_labels is None or request.new_labels >= guards.min_new_labels:
        return None
    return Objection(
        f"{request.new_labels:,} outcomes reported since the champion was fitted, min_new_labels "
        f"{guards.min_new_labels:,}"
    )


def budget(guards: Retrain, request: Request) -> Objection | None:
    """However many reasons there are, trainings cost."""
    days = timedelta(days=guards.budget.days)
    within = [each.batch_date for each in request.started if each.batch_date > request.batch_date - days]
    if len(within) < guards.budget.trainings:
        return None
    until = sorted(within, reverse=True)[guards.budget.trainings - 1] + days
    return Objection(
        f"budget of {guards.budget.trainings} trainings in {guards.budget.days} days is spent: not before {until}",
        until,
    )


def breaker(guards: Retrain, request: Request) -> Objection | None:
    """Trainings that keep losing will lose again: somebody should look, or the data change."""
    last = request.started[: guards.give_up_after]
    if len(last) < guards.give_up_after or any(each.outcome in (PROMOTED, None) for each in last):
        return None
    if request.promoted and request.promoted > last[0].batch_date:
        return None
    words = (
        f"the last {len(last)} trainings were not promoted ({', '.join(str(each.outcome) for each in last)});"
    )
    return _days_after(
        CLOSES_AFTER.days, last[0].batch_date, request, f"{words} {CLOSES_AFTER.days} days after"
    )


def _days_after(days: int, since: date | None, request: Request, words: str) -> Objection | None:
    if since is None or request.batch_date >= since + timedelta(days=days):
        return None
    until = since + timedelta(days=days)
    return Objection(f"{words} {since}: not before {until}", until)


GUARDS: dict[str, Callable[[Retrain, Request], Objection | None]] = {
    "backfill": backfill,
    "fault": fault,
    "one_at_a_time": one_at_a_time,
    "cooldown": cooldown,
    "rollback": rollback,
    "fresh": fresh,
    "retry": retry,
    "new_labels": new_labels,
    "budget": budget,
    "breaker": breaker,
}
