"""The guards: a verdict asks for retraining; every guard answers, and the first that objects is the answer."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.records.monitoring import Started
from nightshift.retrain import GUARDS, Request, ask
from nightshift.specs import Budget, Retrain

SPEC = Retrain(cooldown_days=7)
NIGHT = date(2013, 7, 10)


def ago(days: int) -> date:
    return NIGHT - timedelta(days=days)


def started(*earlier: tuple[int, str | None]) -> tuple[Started, ...]:
    """Return requests so many days ago, newest first, each with its outcome."""
    return tuple(Started(batch_date=ago(days), training_id="t", outcome=outcome) for days, outcome in earlier)


WAITS = Started(batch_date=ago(9), training_id="t", outcome=None, waits=True)


def request(*earlier: tuple[int, str | None], **known: Any) -> Request:
    return Request(NIGHT, "carriers drifted", started=started(*earlier), **known)


@pytest.mark.parametrize(
    ("asked", "guard", "says"),
    [
        (request(), None, "carriers drifted"),
        (request(is_backfill=True), "backfill", "a backfill never retrains"),
        (request((1, "promoted")), "cooldown", "cooldown of 7 days after 2013-07-09: not before 2013-07-16"),
        (request((6, "promoted")), "cooldown", "not before 2013-07-11"),
        (request((7, "promoted")), None, "carriers drifted"),
        (request(promoted=ago(3)), "cooldown", "after 2013-07-07: not before 2013-07-14"),
        # promoted, and one that lost since: the one counts to the cooldown, the other to the retry
        (
            request((2, "rejected"), (6, "promoted")),
            "cooldown",
            "not before 2013-07-11; wait until 2013-07-15",
        ),
        (request((1, "rejected")), "retry", "not promoted (rejected), 2013-07-09: not before 2013-07-16"),
        (request((1, "failed")), "retry", "(failed)"),
        (request((7, "rejected")), None, "carriers drifted"),
        (request((1, None)), "one_at_a_time", "training 't' has not ended"),
        (request((2, None)), "one_at_a_time", "training 't' has not ended"),
        # lost without a trace: it blocks two nights, then as one that was not promoted
        (request((3, None)), "retry", "(without an outcome)"),
        (request((30, None)), None, "carriers drifted"),
        # one that follows another, to repeat it, goes on beside what has ended since
        (request((1, "rejected"), (2, None)), "one_at_a_time", "training 't' has not ended"),
        # nor is one lost that waits for its signature
        (replace(request(), started=(WAITS,)), "one_at_a_time", "training 't' waits for its signature"),
        # decided late: a later night has started one, whatever came of it
        (request((-1, None)), "one_at_a_time", "training 't' has not ended"),
        (request((-9, None)), "one_at_a_time", "training 't' has not ended"),
        (request((-1, "promoted")), "cooldown", "cooldown of 7 days after 2013-07-11: not before 2013-07-18"),
        (request((-1, "rejected")), "retry", "not promoted (rejected), 2013-07-11: not before 2013-07-18"),
        (request(promoted=ago(-2)), "cooldown", "after 2013-07-12: not before 2013-07-19"),
        (request((30, None), is_backfill=True), "backfill", "a backfill never retrains"),
        (request(rolled_back=NIGHT), "rollback", "after the rollback of 2013-07-10: not before 2013-07-17"),
        (request(rolled_back=ago(-1)), "rollback", "not before 2013-07-18"),
        (request(rolled_back=ago(6)), "rollback", "not before 2013-07-11"),
        (request(rolled_back=ago(7)), None, "carriers drifted"),
        (request(fair_from=ago(-3)), "fresh", "champion's last trained night: not before 2013-07-13"),
        (request(fair_from=NIGHT), None, "carriers drifted"),
        (request(fault="temp_last: stuck"), "fault", "a fault is open: temp_last: stuck"),
        (request(fault="temp_last: stuck", is_backfill=True), "backfill", "a backfill never retrains"),
        (request(new_labels=99), "new_labels", "99 outcomes reported since the champion was fitted"),
        (request(new_labels=100), None, "carriers drifted"),
        (
            request((8, "promoted"), (15, "rejected"), (20, "promoted"), (29, "promoted")),
            "budget",
            "budget of 4 trainings in 30 days is spent: not before 2013-07-11",
        ),
        (request((8, "promoted"), (15, "rejected"), (20, "promoted"), (30, "promoted")), None, "carriers"),
        (
            request((8, "rejected"), (15, "failed"), (22, "timed out")),
            "breaker",
            "(rejected, failed, timed out); 28 days after 2013-07-02: not before 2013-07-30",
        ),
        (request((28, "rejected"), (35, "failed"), (42, "rejected")), None, "carriers drifted"),
        # somebody trained by hand since, and it won: the breaker is closed
        (request((9, "rejected"), (15, "failed"), (22, "rejected"), promoted=ago(8)), None, "carriers"),
        (request((8, "rejected"), (15, "promoted"), (22, "rejected")), None, "carriers drifted"),
    ],
)
def test_the_first_guard_that_objects_answers(asked: Request, guard: str | None, says: str) -> None:
    answer = ask(SPEC, asked)
    assert (answer.guard, says in answer.words) == (guard, True), answer.words
    assert answer.may_start is (guard is None)


def test_every_guard_answers_and_the_night_to_wait_for_is_the_last_of_theirs() -> None:
    answer = ask(SPEC, request((1, "promoted"), rolled_back=NIGHT))
    assert [said.guard for said in answer.answers] == list(GUARDS)
    assert {said.guard: said.until for said in answer.answers if said.objects} == {
        "cooldown": date(2013, 7, 16),
        "rollback": date(2013, 7, 17),
    }
    assert answer.not_before == date(2013, 7, 17)
    assert answer.words.endswith("; wait until 2013-07-17")


def test_no_night_is_named_where_something_else_than_time_is_waited_for() -> None:
    answer = ask(SPEC, request((1, "promoted"), fault="temp_last: stuck"))
    assert (answer.guard, answer.not_before) == ("fault", None)


def test_without_a_cooldown_the_next_night_may_start() -> None:
    assert ask(Retrain(cooldown_days=0, retry_days=0), request((1, "promoted"))).may_start
    assert ask(Retrain(cooldown_days=0, retry_days=0), request((1, "rejected"))).may_start


@pytest.mark.parametrize(
    "known", [request((-1, "promoted")), request((-1, "rejected")), request(promoted=ago(-1))]
)
def test_without_a_cooldown_a_night_decided_late_starts_nothing_after_a_later_ones(known: Request) -> None:
    assert not ask(Retrain(cooldown_days=0, retry_days=0), known).may_start


@given(
    days=st.integers(0, 60),
    alarms=st.lists(st.booleans(), min_size=30, max_size=120),
    outcomes=st.lists(st.sampled_from(["promoted", "rejected", "failed"]), min_size=120, max_size=120),
    budget=st.builds(Budget, trainings=st.integers(1, 5), days=st.integers(1, 60)),
)
def test_however_often_the_alarm_rings_trainings_keep_to_cooldown_and_budget(
    days: int, alarms: list[bool], outcomes: list[str], budget: Budget
) -> None:
    spec = Retrain(cooldown_days=days, retry_days=days, budget=budget)
    begun: list[Started] = []
    for number, alarm in enumerate(alarms):
        night = NIGHT + timedelta(days=number)
        if alarm and ask(spec, Request(night, "drift", started=tuple(begun[::-1]))).may_start:
            begun.append(Started(batch_date=night, training_id="t", outcome=outcomes[len(begun)]))
    nights = [each.batch_date for each in begun]
    assert all(later - earlier >= timedelta(days=max(days, 1)) for earlier, later in pairwise(nights))
    for night in nights:
        within = [each for each in nights if night <= each < night + timedelta(days=budget.days)]
        assert len(within) <= budget.trainings
    assert bool(nights) == any(alarms)


def test_every_guard_stands_in_the_table() -> None:
    assert {"backfill", "fault", "one_at_a_time", "cooldown", "rollback", "retry"} <= set(GUARDS)
    assert {"fresh", "new_labels", "budget", "breaker"} <= set(GUARDS)
    assert next(iter(GUARDS)) == "backfill"
