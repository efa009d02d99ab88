"""Tell what follows that partitions are new: one asset event a night.

One announcement at a time, in a pool of one slot. Airflow 3.3.2 locks an asset, not the run that waits for
several: two sources that announce the same night within milliseconds each start a list of what has arrived,
neither list is ever complete, and the night is lost without a word (seen here). A slot is free again only
when the event of its task is committed.
"""

from typing import Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

POOL = "publishing"


def publish(asset: Asset) -> Any:
    """Return a task that announces the run's nights on ``asset``; skipped where the form says ``leave``."""

    @task(task_id="publish", outlets=[asset], pool=POOL)
    def announce() -> dict[str, str]:
        """Announce the partitions; downstream DAGs run once for each."""
        from nightshift.orchestration.run import asked_for
        from nightshift.specs import load_project

        context: Any = get_current_context()
        values, nights = asked_for(load_project(), context)
        if values.get("downstream") == "leave":
            raise AirflowSkipException("downstream: leave. Nothing downstream is woken")
        context["outlet_events"][asset].add_partitions([str(night) for night in nights.dates])
        return {"asset": asset.name, "nights": str(nights)}

    return announce()


def publish_dates(asset: Asset, facts: Any) -> Any:
    """Return a task that announces the ``dates`` in a task's ``facts`` on ``asset``; skipped if there are none."""

    @task(task_id="publish", outlets=[asset], pool=POOL)
    def announce(facts: dict[str, Any]) -> dict[str, Any]:
        """Announce the partitions that have changed; downstream DAGs run once for each."""
        context: Any = get_current_context()
        if not facts["dates"]:
            raise AirflowSkipException("no night has changed. Nothing downstream is woken")
        if context["params"].get("downstream") == "leave":
            raise AirflowSkipException("downstream: leave. Nothing downstream is woken")
        context["outlet_events"][asset].add_partitions(facts["dates"])
        return {"asset": asset.name, "nights": facts["dates"]}

    return announce(facts)
