"""Tell what follows that partitions are new: one asset event a night."""

from typing import Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException


def publish(asset: Asset) -> Any:
    """Return a task that announces the run's nights on ``asset``; skipped where the form says ``leave``."""

    @task(task_id="publish", outlets=[asset])
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
