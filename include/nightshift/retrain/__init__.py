"""Guards before retraining: a verdict asks, the guards answer. Every request leaves a row with its reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from nightshift.specs import Retrain

LOST_AFTER = timedelta(days=2)


@dataclass(frozen=True)
class Request:
    """A night's request to retrain, and what the guards need to know of the past.

    ``last_started``: batch date of the newest earlier request that started a training.
    ``unfinished``: the training that the newest earlier request started, if it has no outcome yet.
    ``rolled_back``: the first night after the newest rollback.
    ``fault``: the newest open fault in the features of the last seven nights, in words.
    ``fair_from``: the first night as of which a holdout begins after all that the champion was trained on.
    """

    batch_date: date
    reason: str
    last_started: date | None
    unfinished: str | None
    is_backfill: bool
    rolled_back: date | None = None
    fault: str | None = None
    fair_from: date | None = None


@dataclass(frozen=True)
class Answer:
    """``guard`` is None when the training may start; else the guard that held it back, in ``words``."""

    guard: str | None
    words: str

    @property
    def may_start(self) -> bool:
        """Whether no guard held it back."""
        return self.guard is None


def ask(guards: Retrain, request: Request) -> Answer:
    """Return the answer of the first guard that objects, or leave to start."""
    for name, guard in GUARDS.items():
        objection = guard(guards, request)
        if objection:
            return Answer(name, objection)
    return Answer(None, request.reason)


def backfill(_: Retrain, request: Request) -> str | None:
    """A backfill repairs the past; it never changes which model is live."""
    return "a backfill never retrains" if request.is_backfill else None


def one_at_a_time(_: Retrain, request: Request) -> str | None:
    """A second training cannot know what the first will decide. One lost without a trace blocks two nights."""
    if not request.unfinished or request.last_started is None:
        return None
    if request.batch_date - request.last_started > LOST_AFTER:
        return None
    return f"training '{request.unfinished}' has not ended"


def cooldown(guards: Retrain, request: Request) -> str | None:
    """A new champion needs nights before it can be called stale."""
    if request.last_started is None:
        return None
    over = request.last_started + timedelta(days=guards.cooldown_days)
    if request.batch_date >= over:
        return None
    return f"cooldown of {guards.cooldown_days} days after {request.last_started}: not before {over}"


def rollback(guards: Retrain, request: Request) -> str | None:
    """A person has just decided who is champion. What was bad about the nights behind it is in them still."""
    if request.rolled_back is None:
        return None
    over = request.rolled_back + timedelta(days=guards.cooldown_days)
    if request.batch_date >= over:
        return None
    return f"cooldown of {guards.cooldown_days} days after the rollback of {request.rolled_back}: not before {over}"


def fault(_: Retrain, request: Request) -> str | None:
    """Data that is broken is mended, not learned; what it did to the nights around it is not known yet."""
    return f"a fault is open: {request.fault}" if request.fault else None


def fresh(_: Retrain, request: Request) -> str | None:
    """The gate compares on nights that neither has seen; before there are enough, it would refuse what was trained."""
    if request.fair_from is None or request.batch_date >= request.fair_from:
        return None
    return f"a fair holdout begins after the champion's last trained night: not before {request.fair_from}"


GUARDS: dict[str, Callable[[Retrain, Request], str | None]] = {
    "backfill": backfill,
    "fault": fault,
    "one_at_a_time": one_at_a_time,
    "cooldown": cooldown,
    "rollback": rollback,
    "fresh": fresh,
}
