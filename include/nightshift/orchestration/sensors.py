"""The sensor of the retrain DAG: waits, without a worker slot, for a night's verdict.

Of several models, one whose evidence is enough alone but not beside the others waits for theirs, up to half an hour.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightshift.errors import NotReady, Unreachable
from nightshift.freeform import Json

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class VerdictTrigger(BaseTrigger):
    """Fires when the verdict of a night exists, or when ``deadline`` (seconds since the epoch) has passed."""

    def __init__(self, model: str, batch_date: str, deadline: float) -> None:
        super().__init__()
        self.model = model
        self.batch_date = batch_date
        self.deadline = deadline

    def serialize(self) -> tuple[str, Json]:
        """Return what the triggerer needs to make this trigger again."""
        arguments = {"model": self.model, "batch_date": self.batch_date, "deadline": self.deadline}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, pause a little longer each time, look again."""
        from asgiref.sync import sync_to_async

        from nightshift.orchestration.connections import warehouse_url

        url = await sync_to_async(warehouse_url)("monitor")
        pause = FIRST_PAUSE_SECONDS
        # It looks before it gives up: a run that is cleared after its deadline finds the verdict that is there by now.
        while not (there := await asyncio.to_thread(_has_verdict, url, self.model, self.batch_date)):
            # An instant, not a count of pauses: a triggerer that restarts must not start the wait again.
            left = self.deadline - time.time()
            if left <= 0:
                break
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.2, LONGEST_PAUSE_SECONDS)
        yield TriggerEvent({"verdict": there})


class VerdictSensor(BaseSensorOperator):
    """Waits for the verdict of the run's night. A night without one by the deadline fails this task."""

    def __init__(self, *, model: str, within: timedelta, **more: Any) -> None:
        super().__init__(**more)
        self.model = model
        self.within = within

    def execute(self, context: Any) -> None:
        """Hand over to the triggerer."""
        deadline = (context["dag_run"].run_after + self.within).timestamp()
        trigger = VerdictTrigger(self.model, _night(context), deadline)
        # No kwargs: `dag.test()` loses them.
        self.defer(trigger=trigger, method_name="arrived")

    def arrived(self, context: Any, event: Json) -> str:
        """Return the night whose verdict is there.

        Raises:
            NotReady: the deadline passed without a verdict.
        """
        batch_date = _night(context)
        if not event["verdict"]:
            raise NotReady(
                f"model '{self.model}' has no verdict for {batch_date} after {self.within}: "
                f"the night did not finish. Look at monitor_{self.model}, then score_{self.model}"
            )
        return batch_date


def _night(context: Any) -> str:
    from nightshift.orchestration.run import asked_for
    from nightshift.specs import load_project

    _, nights = asked_for(load_project(), context)
    return str(nights.first)


def _has_verdict(url: str, model: str, batch_date: str) -> bool:
    """Return whether the verdict is there, and no verdict of another model is waited for that may change its answer."""
    from nightshift.database import Database
    from nightshift.monitor.several import who_asks
    from nightshift.records.monitoring import WATCHED

    night = date.fromisoformat(batch_date)
    try:
        watched = Database(url).all(WATCHED, night=night)
        there = any((each.model, each.batch_date) == (model, night) for each in watched)
        return there and not who_asks(watched, model, night).waits
    except Unreachable as error:
        # It waits for hours anyway, and until its deadline: the warehouse may be back long before.
        log.warning("%s, %s: %s", model, batch_date, error)
        return False
