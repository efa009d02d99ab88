"""Replays: what each policy of retraining would have come to over past nights."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from nightshift.rows import JSON, Row, select, stamped, upsert


@dataclass(frozen=True, kw_only=True)
class Replayed(Row, table="monitoring.replays", key=("model", "run_id", "policy")):
    """A policy of a replay. Gains are a night's, over never retraining; what the others are says
    :class:`nightshift.replay.Outcome`. ``chosen``: by the first half of the nights.
    """

    model: str
    run_id: str
    policy: str
    first: date
    last: date
    starts: int
    loss: float
    gain: float
    low: float
    high: float
    worst: float
    best: float
    started: float
    promoted: float
    earlier: float
    later: float
    spread: float
    chosen: bool
    page_key: str
    reason: str
    replayed_at: datetime = stamped()


@dataclass(frozen=True)
class GainByAge:
    """``gains``: what a training would gain a night, in loss, of a model fitted 0, 1, 2 ... nights ago; it never falls.

    ``nights``: how many it was learned from.
    """

    gains: tuple[float, ...]
    nights: int
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Gains(Row, table="monitoring.gains", key=("model", "run_id")):
    """What a replay of nights up to ``last`` says that trainings gain."""

    model: str
    run_id: str
    last: date
    by_age: Annotated[GainByAge, JSON]
    replayed_at: datetime = stamped()


REPLAY = upsert(Replayed)
LEARN = upsert(Gains)
# What was written first of the same nights stands: a verdict says the same again.
NEWEST_GAINS = select(
    Gains, "model = %(model)s AND last <= %(night)s", order="last DESC, replayed_at LIMIT 1"
)
