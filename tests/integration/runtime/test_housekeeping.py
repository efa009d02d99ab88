"""Airflow's own rows: the old ones go by its own command, and what people set stays. Celery's, wherever they are."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from nightshift.cli import retention
from nightshift.database import Database
from nightshift.runtime import housekeeping
from nightshift.runtime.configuration import DATABASE
from nightshift.runtime.housekeeping import TABLES, clean_airflow

pytestmark = pytest.mark.integration

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STATEMENTS = """
INSERT INTO dag_bundle (name, active) VALUES ('dags', true);
INSERT INTO dag (dag_id, is_paused, is_stale, bundle_name, last_parsed_time, timetable_type, timetable_partitioned,
    timetable_periodic, partition_mapper_info, max_active_tasks, max_consecutive_failed_dag_runs,
    has_task_concurrency_limits, fail_fast, exceeds_max_non_backfill)
VALUES ('collect_weather', true, false, 'dags', '2025-01-01', '', true, true, '{}', 16, 0, false, false, false);
INSERT INTO connection (conn_id, conn_type, is_encrypted, is_extra_encrypted) VALUES ('mine', 'http', false, false);
INSERT INTO log (dttm, event) VALUES ('2025-01-01', 'old'), ('2026-05-31', 'new');
INSERT INTO import_error (timestamp, filename, stacktrace) VALUES ('2025-01-01', 'old', '');
"""


RESULTS = """
CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, date_done timestamp);
INSERT INTO celery_taskmeta VALUES (1, '2025-01-01'), (2, '2026-03-02 23:59'), (3, '2026-03-03 00:01'), (4, NULL);
"""


def test_no_table_that_people_write_is_cleaned() -> None:
    assert not {"dag", "dag_version", "connection", "variable", "slot_pool", "trigger"} & {*TABLES}


@pytest.mark.timeout(600)
def test_airflows_old_rows_go_and_its_pauses_stay(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    ours = {**os.environ, DATABASE: database_url.replace("postgresql:", "postgresql+psycopg2:", 1)}
    made = [sys.executable, "-c", "from airflow.utils.db import initdb; initdb()"]
    subprocess.run(made, env=ours, check=True, capture_output=True)
    database = Database(database_url)
    database.execute(STATEMENTS)

    def events() -> list[str]:
        return [row["event"] for row in database.rows("SELECT event FROM log ORDER BY dttm")]

    clean_airflow(database_url, NOW, 90, dry_run=True)
    assert {"old", "new"} <= {*events()}
    clean_airflow(database_url, NOW, 90, dry_run=False)
    assert "new" in events()
    assert "old" not in events()
    assert database.rows("SELECT 1 FROM import_error") == []
    assert database.rows("SELECT dag_id, is_paused FROM dag") == [
        {"dag_id": "collect_weather", "is_paused": True}
    ]
    assert database.row("SELECT conn_type FROM connection WHERE conn_id = 'mine'") == {"conn_type": "http"}
    left = database.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE '%%deleted%%'")
    assert left == [], "nothing is put aside"


def test_results_of_celery_go_from_the_database_that_the_container_names(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url)
    environment = {
        "NIGHTSHIFT_HOME": str(tmp_path),
        DATABASE: "postgresql+psycopg2://airflow:secret@nowhere/airflow",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database_url}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(housekeeping, "clean_airflow", lambda *_, **__: "Found 7 rows")  # as tested above
    assert retention.servers(dry_run=False) == ["airflow: Found 7 rows", "celery: 0 results went"], (
        "no table yet"
    )
    database.execute(RESULTS)
    left = "SELECT id FROM celery_taskmeta ORDER BY id"
    assert housekeeping.clean_results(database_url, NOW, 90, dry_run=True) == 2
    assert len(database.rows(left)) == 4
    assert housekeeping.clean_results(database_url, NOW, 90, dry_run=False) == 2
    assert [row["id"] for row in database.rows(left)] == [3, 4]


def test_where_there_is_a_local_stack_no_other_airflow_is_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    local, other = "postgresql://airflow@here/airflow", "postgresql://airflow@elsewhere/airflow"
    runtime = SimpleNamespace(
        airflow_database_url=local, mlflow_database_url="postgresql://mlflow@here/mlflow", home=Path("/here")
    )
    monkeypatch.setattr(retention.state, "read_snapshot", lambda _: SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(retention.state, "load", lambda: runtime)
    monkeypatch.setattr(retention.handles, "warehouse_url", lambda _: "")
    monkeypatch.setattr(housekeeping, "marked_runs", lambda _: [])
    cleaned: list[str] = []
    monkeypatch.setattr(housekeeping, "clean_airflow", lambda url, *_, **__: cleaned.append(url) or "")
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    monkeypatch.delenv("NIGHTSHIFT_WAREHOUSE_URL", raising=False)
    monkeypatch.setenv(DATABASE, other)
    assert retention.servers(dry_run=True)[-1] == "mlflow: 0 runs that retention marked would go"
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", "postgresql://operate@elsewhere/warehouse")
    retention.servers(dry_run=True)
    assert cleaned == [local, other]


@pytest.mark.parametrize(
    ("backend", "celery"),
    [
        ("db+postgresql://celery:word@postgres:5432/celery", "postgresql://celery:word@postgres:5432/celery"),
        ("db+postgresql+psycopg2://celery:word@postgres/celery", "postgresql://celery:word@postgres/celery"),
        ("redis://:word@redis:6379/1", None),
        (None, None),
    ],
)
def test_where_celery_keeps_its_results(backend: str | None, celery: str | None) -> None:
    given = {"AIRFLOW__CELERY__RESULT_BACKEND": backend} if backend else {}
    assert housekeeping.told(given) == (None, celery, None)
