"""What may come back is tried until the morning if the schedule began the night; what is done by hand, three times."""

from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from nightshift.errors import BatchRejected, SourceError, SourceRefused, Unreachable
from nightshift.orchestration.retries import UntilTheHour, until

ZONE = ZoneInfo("America/New_York")
POLICY: UntilTheHour = until(time(6), ZONE, time(0, 30))["retry_policy"]


def run(began: datetime, how: str = "scheduled") -> dict:
    return {"dag_run": SimpleNamespace(run_type=how, run_after=began)}


def action(error: Exception, nth: int, context: dict | None, before: int = 0) -> RetryAction:
    """Return what follows the ``nth`` try since the task was cleared, which it was after ``before`` tries."""
    decision = POLICY.evaluate(error, before + nth, before + POLICY.retries, context)  # type: ignore[arg-type]
    return decision.action


def until_in(minutes: float) -> UntilTheHour:
    ends = datetime.now(ZONE) + timedelta(minutes=minutes)
    return UntilTheHour(ends.time(), ZONE, 38)


@pytest.mark.parametrize("nth", [1, 3, 30])
def test_a_night_of_the_schedule_asks_until_the_hour(nth: int) -> None:
    policy, tonight = until_in(60), run(datetime.now(UTC) - timedelta(hours=2))
    for error in (SourceError("no file"), Unreachable("the warehouse")):
        decision = policy.evaluate(error, nth, 38, tonight)  # type: ignore[arg-type]
        assert decision.action is RetryAction.RETRY
        assert "tried until" in str(decision.reason)
    refused = policy.evaluate(SourceRefused("404"), nth, 38, tonight)  # type: ignore[arg-type]
    assert refused.action is RetryAction.FAIL
    assert policy.evaluate(BatchRejected("empty"), nth, 38, tonight).action is RetryAction.FAIL  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("left", "nth", "delays"),
    [(60, 1, 20), (60, 3, 80), (60, 30, 600), (5, 30, 300), (0.1, 1, 6)],
)
def test_the_last_try_of_a_night_is_at_the_hour(left: float, nth: int, delays: int) -> None:
    tonight = run(datetime.now(UTC) - timedelta(hours=2))
    decision = until_in(left).evaluate(SourceError("no file"), nth, 38, tonight)  # type: ignore[arg-type]
    assert decision.retry_delay is not None
    assert delays - 2 < decision.retry_delay.total_seconds() <= delays


def test_after_the_hour_one_more_try_may_begin_and_what_its_upstream_says_ends_the_night() -> None:
    tonight = run(datetime.now(UTC) - timedelta(hours=2))
    ti = SimpleNamespace(try_number=20, max_tries=38)
    until_in(-5).admit({**tonight, "ti": ti})  # type: ignore[arg-type]
    decision = until_in(-5).evaluate(SourceError("no file"), 20, 38, tonight)  # type: ignore[arg-type]
    assert decision.action is RetryAction.FAIL
    assert "20 tries are spent" in str(decision.reason)
    with pytest.raises(AirflowFailException, match="19 tries are spent"):
        until_in(-15).admit({**tonight, "ti": ti})  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [0, 4])
@pytest.mark.parametrize(
    "context",
    [
        run(datetime.now(UTC), "manual"),
        run(datetime.now(UTC), "backfill"),
        run(datetime(2013, 7, 1, 4, 30, tzinfo=UTC)),
        None,
    ],
    ids=["by hand", "backfill", "a night of long ago", "unknown"],
)
def test_others_have_three_tries_and_as_many_once_cleared(context: dict | None, before: int) -> None:
    error = SourceError("no file")
    told = [action(error, nth, context, before) for nth in (1, 2, 3)]
    assert told == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]


def test_an_error_of_no_kind_has_three_tries_even_tonight() -> None:
    tonight = run(datetime.now(UTC) - timedelta(minutes=1))
    told = [action(ValueError("a mistake"), nth, tonight) for nth in (1, 2, 3)]
    assert told == [RetryAction.DEFAULT, RetryAction.DEFAULT, RetryAction.FAIL]


@pytest.mark.parametrize("before", [0, 4])
def test_a_try_whose_process_was_killed_is_no_reason_for_dozens(before: int) -> None:
    def begins(nth: int, policy: UntilTheHour, context: dict) -> None:
        ti = SimpleNamespace(try_number=before + nth, max_tries=before + policy.retries)
        policy.admit({**context, "ti": ti})  # type: ignore[arg-type]

    by_hand, tonight = run(datetime.now(UTC), "manual"), run(datetime.now(UTC) - timedelta(minutes=1))
    for nth in (1, 2, 3):
        begins(nth, POLICY, by_hand)
    with pytest.raises(AirflowFailException, match="3 tries are spent"):
        begins(4, POLICY, by_hand)
    begins(20, until_in(60), tonight)


@pytest.mark.parametrize(
    ("hour", "began", "retries"),
    [(time(6), time(0, 30), 38), (time(6), time(22), 53), (time(0, 35), time(0, 30), 5)],
)
def test_there_are_tries_enough_until_the_hour(hour: time, began: time, retries: int) -> None:
    assert until(hour, ZONE, began)["retries"] == retries
