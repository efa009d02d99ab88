"""Take away what is old: files, values of rows that were set aside, sketches, verdicts, events, runs of MLflow, logs.

- **retain** takes what is older than its days in `retention` of `project.yaml`, counted from the later of its night and
  the day it was written. Where the disk of the files is short, the oldest files go before their time. What is needed
  stays, however old: snapshots of versions, runs of versions that were champion, were signed for or were made again,
  what a training was asked for by. Its log says of each kind how many go, how many bytes, why, and of which day the
  oldest is that stays. What goes is marked in `catalog.retired` first, and counted in `catalog.retentions`.
- **logs** removes old logs of tasks and old files of OpenLineage.

Runs of MLflow are only marked here, and Airflow's own tables are not touched: tasks hold neither database's login.
`nightshift retention --servers` does both; the local stack does it by itself once a day.

**By hand.** *Dry run* is on: nothing goes, and the log says what would.

As of a night that nobody has collected yet, it is as of the newest that somebody has, and says so.

**When it fails.** A disk, the warehouse or MLflow is away. Clearing is safe: what is marked goes then.
"""

from datetime import time

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import nightly, of_project

AFTER_THE_NIGHTS = time(7)


@task
def retain() -> results.Retained:
    """Take away what the project keeps."""
    from nightshift import stages
    from nightshift.orchestration.run import this_run
    from nightshift.retention import lines

    run = this_run(newest=True)
    found = stages.retain(run.platform, run.night, run.asked, dry_run=run.is_dry)
    print(*lines(found), sep="\n")
    return found


@task
def logs() -> results.Taken:
    """Take away logs."""
    from nightshift.orchestration.old_logs import clear
    from nightshift.orchestration.run import this_run

    run = this_run(newest=True)
    return clear(run.night, run.platform.project.settings.retention.logs, dry_run=run.is_dry)


ABOUT = "What is old goes, what is needed stays, and what went is counted."


@dag(
    **of_project(
        "retention",
        ABOUT,
        __doc__,
        schedule=nightly(AFTER_THE_NIGHTS),
        params=forms.RETENTION,
        max_active_runs=1,
    )
)
def flow() -> None:
    """Declare the DAG."""
    chain(retain(), logs())


flow()
