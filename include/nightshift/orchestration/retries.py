"""What is tried again, how often, and how long: what may come back is, what answers the same is not."""

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowFailException

from nightshift.calendar import next_at
from nightshift.errors import NightshiftError, SourceError, SourceRefused, Unreachable
from nightshift.freeform import Arguments

if TYPE_CHECKING:
    from airflow.sdk import Context

USUAL = 2
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=20), timedelta(minutes=10)
# Tries until delays that double are the longest.
BEFORE_LONGEST = 5

# An upstream, the warehouse or MLflow may come back; a broken batch, a missing champion or a wrong date will not.
RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(SourceRefused, RetryAction.FAIL, reason="the upstream would answer the same"),
        RetryRule([SourceError, Unreachable], RetryAction.RETRY, reason="the server may come back"),
        RetryRule(
            NightshiftError, RetryAction.FAIL, reason="trying again cannot help; the message says what does"
        ),
    ]
)


class UntilTheHour(RetryPolicy):
    """As :data:`RETRIES`; but what the schedule started and may come back is tried until an hour of its morning.

    A run by hand has somebody who looks at it, and a night of long ago has no morning: these have the usual tries.
    """

    def __init__(self, until: time, zone: ZoneInfo, retries: int) -> None:
        self.until, self.zone, self.retries = until, zone, retries

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None
    ) -> RetryDecision:
        """Return what to do after the try ``try_number`` of at most ``max_tries + 1``."""
        decision, left = RETRIES.evaluate(exception, try_number, max_tries, context), self._left(context)
        tries = self._tries(try_number, max_tries)
        if decision.action is RetryAction.RETRY and left > timedelta():
            # The last try is at the hour: what comes a minute before it is not left until the next night.
            delay = min(FIRST_DELAY * 2 ** min(tries - 1, BEFORE_LONGEST), LONGEST_DELAY, left)
            return RetryDecision.retry(delay, f"{decision.reason}; tried until {self.until:%H:%M}")
        if decision.action is not RetryAction.FAIL and tries > USUAL:
            return RetryDecision.fail(f"{tries} tries are spent; clear the task to have more")
        return decision

    def admit(self, context: "Context") -> None:
        """Let a try begin. Of one whose process was killed nobody asks what to do: it is tried again without end.

        Raises:
            AirflowFailException: its tries are spent.
        """
        ti: Any = context["ti"]
        tries = self._tries(ti.try_number, ti.max_tries) - 1
        # The last one was asked for at the hour, and begins a little later: it tells what its upstream said.
        if tries > USUAL and self._left(context) < -LONGEST_DELAY:
            raise AirflowFailException(
                f"{tries} tries are spent: failed, or killed as for want of memory; clear the task to have more"
            )

    def _left(self, context: "Context | None") -> timedelta:
        """Return how long it is to the hour, if the schedule started the run; otherwise it is long ago."""
        run: Any = context["dag_run"] if context else None
        if run is None or run.run_type != "scheduled":
            return timedelta.min
        return next_at(self.until, run.run_after, self.zone) - datetime.now(self.zone)

    def _tries(self, try_number: int, max_tries: int) -> int:
        """Return the number of a try since the task was last cleared: it has as many again then."""
        return self.retries - (max_tries - try_number)


def until(hour: time, zone: ZoneInfo, began: time) -> Arguments:
    """Return the arguments of a task that is tried until ``hour``, of a night that begins at ``began``."""
    day = datetime(2000, 1, 1)  # noqa: DTZ001 - any: only the distance counts
    wait = (datetime.combine(day, hour) - datetime.combine(day, began)) % timedelta(days=1)
    retries = BEFORE_LONGEST + wait // LONGEST_DELAY
    policy = UntilTheHour(hour, zone, retries)
    return {"retries": retries, "retry_policy": policy, "pre_execute": policy.admit}
