"""Tell what follows that partitions are new: one asset event a night.

One announcement at a time, in a pool of one slot. Airflow 3.3.2 locks an asset, not the run that waits for
several: two sources that announce the same night within milliseconds each start a list of what has arrived,
neither list is ever complete, and the night is lost without a word (seen here). A slot is free again only
when the event of its task is committed.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from nightshift.orchestration.lifecycle import stale
from nightshift.specs import FeatureSet

POOL = "publishing"


def publish(asset: Asset, *, rebuilds: Sequence[FeatureSet] = (), corrected_only: bool = False) -> Any:
    """Return a task that announces on ``asset`` the run's nights whose content is news, or as the form says.

    ``rebuilds``: for a source, the sets that read it. Their nights that were built from batches which this run
    has corrected are announced as stale, and so built again. ``corrected_only``: the run's other nights are not news.
    """
    source = asset.name.removeprefix("raw.")

    @task(task_id="publish", outlets=[asset, *map(stale, rebuilds)], pool=POOL)
    def announce() -> dict[str, Any]:
        """Announce the partitions; downstream DAGs run once for each."""
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run, events = this_run(), get_current_context()["outlet_events"]
        changed = stages.corrected(run.platform, source, run.asked) if rebuilds else []
        nights = changed if corrected_only else sorted({*run.nights.dates, *changed})
        told = {
            asset: stages.announce(
                run.platform, asset.name, nights, run.asked, choice=run.downstream, rebuilt=is_rebuild()
            )
        }
        if run.downstream != "leave" and not run.asked.is_backfill:
            # The night itself is built once all its sources have it.
            awaited = run.nights.dates if run.nightly else []
            past = [night for night in changed if night not in awaited]
            told |= {stale(s): stages.stale(run.platform, s, source, past) for s in rebuilds}
        told = {name: dates for name, dates in told.items() if dates}
        if not told:
            raise AirflowSkipException(f"downstream: {run.downstream}. Nothing to announce")
        for name, dates in told.items():
            events[name].add_partitions([str(night) for night in dates])
        return {name.name: spelled(dates) for name, dates in told.items()}

    return announce()


def is_rebuild() -> bool:
    """Whether an input that was corrected started this run, rather than the night itself."""
    started_by = {asset.name for asset in get_current_context().get("triggering_asset_events") or {}}
    return any(name.startswith("stale.") for name in started_by)


def spelled(dates: list[date]) -> str:
    """Return the dates in few words: what XCom keeps."""
    return str(dates[0]) if len(dates) == 1 else f"{len(dates)} nights, {dates[0]} .. {dates[-1]}"
