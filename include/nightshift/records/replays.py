"""Replays: what each policy of retraining would have come to over past nights."""

from dataclasses import dataclass
from datetime import date, datetime

from nightshift.rows import Row, stamped, upsert


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


REPLAY = upsert(Replayed)
