"""What retention takes away with a database's own login, which no task has: rows of Airflow and Celery, runs of MLflow.

Airflow's rows go by its own ``airflow db clean``, from these tables only: by its default it also takes ``dag``, and
with that which DAGs are paused. Of a run of MLflow its files go, and it is deleted as in MLflow's own UI: its
parameters and metrics stay until somebody calls ``mlflow gc``.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from psycopg2 import sql

from nightshift.database import Database
from nightshift.records import retention as records
from nightshift.retention import airflow_days
from nightshift.runtime.configuration import DATABASE
from nightshift.specs import load_project

# Of Celery: in Airflow's database, unless it was given one of its own.
RESULTS = ("celery_taskmeta", "celery_tasksetmeta")
# With these go the rows that hang on them: reschedules, rendered fields, answers of people to runs that are long over.
TABLES = (
    "dag_run",
    "task_instance",
    "task_instance_history",
    "xcom",
    "log",
    "job",
    "asset_event",
    "partitioned_asset_key_log",
    "import_error",
    "callback",
    "deadline",
    "revoked_token",
    *RESULTS,
)


def clean_command(now: datetime, days: int, *, dry_run: bool = False) -> list[str]:
    """Return the arguments of ``airflow`` that take away rows older than so many days."""
    before = (now - timedelta(days=days)).astimezone(UTC).isoformat(timespec="seconds")
    options = ["--clean-before-timestamp", before, "--tables", ",".join(TABLES)]
    return [
        "db",
        "clean",
        *options,
        *(["--dry-run"] if dry_run else ["--yes", "--skip-archive", "--error-on-cleanup-failure"]),
    ]


def clean_airflow(database: str, now: datetime, days: int, *, dry_run: bool) -> str:
    """Run ``airflow db clean`` on the database at a URL; return what it says.

    Raises:
        subprocess.CalledProcessError: it failed; its output says why.
    """
    url = database.replace("postgresql:", "postgresql+psycopg2:", 1)
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *clean_command(now, days, dry_run=dry_run)],
        env={**os.environ, DATABASE: url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def clean_results(database: str, now: datetime, days: int, *, dry_run: bool) -> int:
    """Remove Celery's results older than so many days from the database at a URL; return how many there were."""
    before = (
        (now - timedelta(days=days)).astimezone(UTC).replace(tzinfo=None)
    )  # Celery writes UTC without saying so
    verb = sql.SQL("SELECT" if dry_run else "DELETE")
    with Database(database).transaction() as cursor:
        found = 0
        for table in RESULTS:
            cursor.execute("SELECT to_regclass(%s) AS oid", (table,))
            row = cursor.fetchone()
            if row and row["oid"]:  # the workers make it at their first result
                old = sql.SQL("{} FROM {} WHERE date_done < %s").format(verb, sql.Identifier(table))
                cursor.execute(old, (before,))
                found += cursor.rowcount
    return found


def marked_runs(warehouse: str) -> list[str]:
    """Return the runs of MLflow that retention has marked, and that nothing has come to need since."""
    database = Database(warehouse)
    with database.session() as session:
        free = {each.name for each in session.all(records.RUNS) if not each.needed}
        marks = session.all(records.RETIRED)
    return sorted(m.name for m in marks if m.kind == "mlflow" and m.removed_at is None and m.name in free)


def remove_runs(store_uri: str, artifacts: str, run_ids: Iterable[str]) -> list[str]:
    """Remove the files of these runs, and delete the runs; return those that were there.

    ``store_uri``: MLflow's database; ``artifacts``: where its server keeps files.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store, removed = SqlAlchemyStore(store_uri, "mlflow-artifacts:/"), []
    for run_id in run_ids:
        try:
            run = store.get_run(run_id)
        except MlflowException:
            continue
        place = run.info.artifact_uri.partition("mlflow-artifacts:")[2].strip("/")
        if run.info.lifecycle_stage != "active" or not place.endswith("/artifacts"):
            continue
        get_artifact_repository(f"{artifacts.rstrip('/')}/{place}").delete_artifacts()
        store.delete_run(run_id)
        removed.append(run_id)
    return removed


def keep_house(store_uri: str, artifacts: str) -> None:
    """Do both in the process of a component, which has its secrets, of the project that is declared now."""
    from airflow.__main__ import main as airflow

    from nightshift.orchestration.connections import warehouse_url

    print(
        f"mlflow: {len(remove_runs(store_uri, artifacts, marked_runs(warehouse_url('operate'))))} runs went"
    )
    days = airflow_days(load_project())
    if days is not None:
        # Its rows know instants only: the clock says what is old.
        sys.argv = ["airflow", *clean_command(datetime.now(UTC), days)]
        airflow()


def told(environment: Mapping[str, str]) -> tuple[str | None, str | None, tuple[str, str] | None]:
    """Return the URLs of Airflow's database, Celery's, and MLflow's with its folder of files, as a container has them.

    None of Celery's where its results are no rows of PostgreSQL.
    """
    store = environment.get("MLFLOW_BACKEND_STORE_URI")
    airflow = environment.get(DATABASE)
    results = (
        environment.get("AIRFLOW__CELERY__RESULT_BACKEND", "").removeprefix("db+").replace("+psycopg2", "", 1)
    )
    celery = results if results.startswith("postgresql:") else None
    folder = environment.get("MLFLOW_ARTIFACTS", "/mlflow")
    return airflow and airflow.replace("+psycopg2", "", 1), celery, (store, folder) if store else None
