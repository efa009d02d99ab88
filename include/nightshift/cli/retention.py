"""`nightshift retention`: what goes of the warehouse, the files and the registry; of the servers' databases."""

import os
import subprocess
from datetime import UTC, date, datetime
from uuid import uuid4

from nightshift.cli import handles
from nightshift.errors import NotReady
from nightshift.retention import airflow_days, lines
from nightshift.runtime import housekeeping, state
from nightshift.specs import load_project


def run(as_of: date | None, *, dry_run: bool) -> list[str]:
    """Take away what is old as of a night, the newest that was collected if left out; return what went, in words.

    Raises:
        NotReady: nothing was collected.
    """
    platform = handles.platform("operate")
    from nightshift import stages
    from nightshift.records.retention import NEWEST

    newest = platform.warehouse.one(NEWEST)
    night = as_of or (newest.night if newest else None)
    if night is None:
        raise NotReady("nothing was collected: there is nothing to take away")
    found = stages.retain(platform, night, stages.Try(f"command_{uuid4().hex}"), dry_run=dry_run)
    return lines(found)


def servers(*, dry_run: bool) -> list[str]:
    """Take away Airflow's and Celery's old rows, and the files of MLflow's marked runs; return what went, in words.

    Of the databases that the environment of a container names, else of the local stack. Where there is one, what the
    environment says of Airflow may be of another: it counts once it names a warehouse too.

    Raises:
        NotReady: ``airflow db clean`` failed.
    """
    is_other = state.read_snapshot(state.home()) is not None and not os.environ.get(handles.WAREHOUSE)
    airflow, celery, mlflow = housekeeping.told({} if is_other else os.environ)
    if airflow is None and mlflow is None:
        runtime, celery = state.load(), None  # of another Airflow, whose environment this may be
        airflow = runtime.airflow_database_url
        mlflow = (runtime.mlflow_database_url, str(runtime.home / "mlflow-artifacts"))
    said = _airflow(airflow, celery, dry_run=dry_run) if airflow else []
    if mlflow:
        marked = housekeeping.marked_runs(handles.warehouse_url("operate"))
        gone = marked if dry_run else housekeeping.remove_runs(*mlflow, marked)
        said.append(f"mlflow: {len(gone)} runs that retention marked {'would go' if dry_run else 'went'}")
    return said


def _airflow(database: str, celery: str | None, *, dry_run: bool) -> list[str]:
    days = airflow_days(load_project())
    if days is None:
        return ["airflow: kept for good"]
    try:
        now = datetime.now(UTC)  # its rows know instants only: the clock says what is old
        said = housekeeping.clean_airflow(database, now, days, dry_run=dry_run)
    except subprocess.CalledProcessError as error:
        raise NotReady(f"airflow db clean failed: {(error.stderr or error.stdout)[-500:]}") from error
    lines = [f"airflow: {line}" for line in said.splitlines() if line.startswith(("Found", "Checking"))]
    if celery:
        gone = housekeeping.clean_results(celery, now, days, dry_run=dry_run)
        lines.append(f"celery: {gone} results {'would go' if dry_run else 'went'}")
    return lines
