"""The guards: a verdict asks for retraining, the first guard that objects is the answer."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.retrain import GUARDS, Request, ask
from nightshift.specs import Retrain

SPEC = Retrain(cooldown_days=7)
NIGHT = date(2013, 7, 10)


def request(
    night: date = NIGHT,
    *,
    last: date | None = None,
    unfinished: str | None = None,
    is_backfill: bool = False,
    rolled_back: date | None = None,
    fault: str | None = None,
    fair_from: date | None = None,
) -> Request:
    return Request(night, "carriers drifted", last, unfinished, is_backfill, rolled_back, fault, fair_from)


def ago(days: int) -> date:
    return NIGHT - timedelta(days=days)


@pytest.mark.parametrize(
    ("asked", "guard", "says"),
    [
        (request(), None, "carriers drifted"),
        (request(is_backfill=True), "backfill", "a backfill never retrains"),
        (request(last=ago(1)), "cooldown", "cooldown of 7 days after 2013-07-09: not before 2013-07-16"),
        (request(last=ago(6)), "cooldown", "not before 2013-07-11"),
        (request(last=ago(7)), None, "carriers drifted"),
        (request(last=ago(30)), None, "carriers drifted"),
        (request(last=ago(1), unfinished="t"), "one_at_a_time", "training 't' has not ended"),
        (request(last=ago(2), unfinished="t"), "one_at_a_time", "training 't' has not ended"),
        # lost without a trace: it blocks two nights, then the cooldown alone counts
        (request(last=ago(3), unfinished="t"), "cooldown", "cooldown"),
        (request(last=ago(30), unfinished="t"), None, "carriers drifted"),
        (request(last=ago(30), unfinished="t", is_backfill=True), "backfill", "a backfill never retrains"),
        (
            request(rolled_back=NIGHT),
            "rollback",
            "7 days after the rollback of 2013-07-10: not before 2013-07-17",
        ),
        (request(rolled_back=ago(-1)), "rollback", "not before 2013-07-18"),
        (request(rolled_back=ago(6)), "rollback", "not before 2013-07-11"),
        (request(rolled_back=ago(7)), None, "carriers drifted"),
        (request(fair_from=ago(-3)), "fresh", "champion's last trained night: not before 2013-07-13"),
        (request(fair_from=NIGHT), None, "carriers drifted"),
        (request(fault="temp_last: stuck"), "fault", "a fault is open: temp_last: stuck"),
        (request(fault="temp_last: stuck", is_backfill=True), "backfill", "a backfill never retrains"),
    ],
)
def test_the_first_guard_that_objects_answers(asked: Request, guard: str | None, says: str) -> None:
    answer = ask(SPEC, asked)
    assert answer.guard == guard
    assert says in answer.words
    assert answer.may_start is (guard is None)


def test_without_a_cooldown_the_next_night_may_start() -> None:
    assert ask(Retrain(cooldown_days=0), request(last=ago(1))).may_start


@given(days=st.integers(0, 60), alarms=st.lists(st.booleans(), min_size=30, max_size=120))
def test_however_often_the_alarm_rings_one_training_starts_a_cooldown(days: int, alarms: list[bool]) -> None:
    started: list[date] = []
    for number, alarm in enumerate(alarms):
        night = NIGHT + timedelta(days=number)
        if (
            alarm
            and ask(
                Retrain(cooldown_days=days), request(night, last=started[-1] if started else None)
            ).may_start
        ):
            started.append(night)
    gaps = [later - earlier for earlier, later in pairwise(started)]
    assert all(gap >= timedelta(days=max(days, 1)) for gap in gaps)
    assert bool(started) == any(alarms)


def test_every_guard_stands_in_the_table() -> None:
    assert list(GUARDS) == ["backfill", "fault", "one_at_a_time", "cooldown", "rollback", "fresh"]
