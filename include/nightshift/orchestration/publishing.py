"""Tell what follows that partitions are new: one asset event a night.

One announcement at a time, in a pool of one slot. Airflow 3.3.2 locks an asset, not the run that waits for
several: two sources that announce the same night within milliseconds each start a list of what has arrived,
neither list is ever complete, and the night is lost without a word (seen here). A slot is free again only
when the event of its task is committed.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from nightshift.orchestration.lifecycle import stale
from nightshift.specs import FeatureSet
from nightshift.specs.derived import dag_id

if TYPE_CHECKING:
    from nightshift.orchestration.run import Run

POOL = "publishing"
log = logging.getLogger(__name__)


def publish(
    asset: Asset,
    *,
    rebuilds: Sequence[FeatureSet] = (),
    corrected_only: bool = False,
    missed: Callable[["Run"], list[date]] | None = None,
) -> Any:
    """Return a task that announces on ``asset`` the run's nights whose content is news, or as the form says.

    ``rebuilds``: for a source, the sets that read it. For each a task follows that announces as stale the nights
    which were built from batches that this run has corrected, and those whose build did not end; where there is
    news and no such night, it is skipped without being started. ``corrected_only``: the run's other nights are not
    news. ``missed``: returns the nights of before that whoever follows has missed.
    """
    source = asset.name.removeprefix("raw.")

    @task(task_id="publish", outlets=[asset], pool=POOL)
    def announce() -> None:
        """Announce the partitions; downstream DAGs run once for each."""
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        choice, rebuilt = run.downstream, is_rebuild()
        changed = _corrected(run, source) if rebuilds else []
        more = missed(run) if missed and run.makes_up else []
        nights = changed if corrected_only else sorted({*run.nights.dates, *changed, *more})
        told = stages.announce(run.platform, asset.name, nights, run.asked, choice=choice, rebuilt=rebuilt)
        if not told:
            raise AirflowSkipException(f"downstream: {choice}. Nothing to announce")
        get_current_context()["outlet_events"][asset].add_partitions([str(night) for night in told])
        log.info("announced %s: %s", asset.name, ", ".join(map(str, told)))
        sound = [spec for spec in rebuilds if not stale_nights(run, spec, source)]
        if sound:
            raise DownstreamTasksSkipped(tasks=[f"rebuild_{spec.name}" for spec in sound])

    announced = announce()
    for spec in rebuilds:
        announced >> rebuild(spec, source)
    return announced


def rebuild(spec: FeatureSet, source: str) -> Any:
    """Return a task that announces a set's stale nights; a task of its own, for Airflow announces every outlet."""

    # Also where there was no news: a night whose build did not end, or never began, is owed all the same.
    @task(task_id=f"rebuild_{spec.name}", outlets=[stale(spec)], pool=POOL, trigger_rule="none_failed")
    def announce_stale() -> None:
        """Announce the nights to build again."""
        from nightshift.orchestration.run import this_run

        nights = stale_nights(this_run(), spec, source)
        if not nights:
            raise AirflowSkipException(f"no night of {spec.name} is stale")
        get_current_context()["outlet_events"][stale(spec)].add_partitions([str(night) for night in nights])
        log.info("%s is stale on %s", spec.name, ", ".join(map(str, nights)))

    return announce_stale()


def stale_nights(run: Any, spec: FeatureSet, source: str) -> list[date]:
    """Return the nights of a set that were built from batches which this run has corrected, or whose build did not end.

    And those of before that were announced while the set's DAG was paused. Also the run's own night, where it was built
    before: its other sources are no news, and nothing else would wake it.
    """
    from nightshift import stages
    from nightshift.orchestration.run import runs_of

    if run.downstream == "leave" or run.asked.is_backfill:
        return []
    changed = _corrected(run, source)
    # A first build of one that looks back on these may be at work, of what they were before.
    own = sorted({*run.nights.dates, *changed, *stages.reached(spec, source, changed)})
    owed = stages.owed(run.platform, spec, source, own, run.asked)
    # One may be this night's own, where the other sources were first. More: of a range, each night has its run.
    asks = run.nightly and runs_of(dag_id("features", spec)) <= 1
    missed = stages.missed(run.platform, spec, source, run.nights.first) if asks else []
    return sorted({*owed, *missed, *stages.stale(run.platform, spec, source, changed)})


def _corrected(run: Any, source: str) -> list[date]:
    """Return the nights that this run has corrected and, where it says what is news, a run before that died.

    Not for a backfill, which has nothing built anew: what it said would be news to nobody after.
    """
    from nightshift import stages

    follows = run.downstream == "changed" and not run.asked.is_backfill
    since = run.nights.last - stages.LONGEST_MISSED if follows else None
    return stages.corrected(run.platform, source, run.asked, since=since)


@contextmanager
def left(run: Any, source: str) -> Iterator[None]:
    """Remember, where a run leaves what follows alone, that it has: also if it fails after it wrote some nights."""
    from nightshift import stages

    try:
        yield
    finally:
        if run.downstream == "leave":
            stages.leave(run.platform, source, run.asked)


def is_rebuild() -> bool:
    """Whether an input that was corrected started this run, rather than the night itself."""
    started_by = {asset.name for asset in get_current_context().get("triggering_asset_events") or {}}
    return any(name.startswith("stale.") for name in started_by)
