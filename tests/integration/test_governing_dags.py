"""Rollback and reconciliation as Airflow runs them: the forms, the tasks, what they hand on."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from integration.champions import MODEL, better, promoted
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.specs import load_project
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS = REPOSITORY / "dags"
NIGHT = date(2013, 2, 6)
SERVED = DateRange(NIGHT, date(2013, 2, 8))

# dag.test() runs every task of a run in this process, against a real metadata database.
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb
initdb()
dags = DagBag(sys.argv[1]).dags
for dag_id, conf in json.loads(sys.argv[2]):
    run = dags[dag_id].test(run_conf=conf)
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    print("RAN" + json.dumps([str(run.state), states]))
"""


def ran(platform: Platform, folder: Path, *runs: tuple[str, dict[str, Any]]) -> list[Any]:
    """Run DAGs one after the other; return the state of each run and of its tasks."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(REPOSITORY / "include"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW_CONN_WAREHOUSE": platform.warehouse.url,
        "AIRFLOW_CONN_MLFLOW": platform.registry.uri,
        "NIGHTSHIFT_OBJECTS": platform.objects.root,
    }
    command = [sys.executable, "-c", RUN, str(DAGS / "operations.py"), json.dumps(runs)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=280, check=False, cwd=folder
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("RAN")]


def alone(platform: Platform) -> None:
    """Take the project's other models out of the registry, which all tests share: reconciling looks at each."""
    for name in load_project().models:
        if name != MODEL and platform.registry.knows(name):
            platform.registry._client.delete_registered_model(name)


def test_a_rollback_by_its_form_serves_monitors_and_is_found_reconciled(
    loop: Platform, tmp_path: Path
) -> None:
    alone(loop)
    first = loop.registry.champion(MODEL)
    promoted(better(loop), MODEL, NIGHT, "bad from its first night")
    stages.score(loop, MODEL, SERVED, Try("nights"))
    dates = {"batch_date": str(SERVED.first), "until": str(SERVED.last)}
    there, again, reconciled = ran(
        loop,
        tmp_path,
        (f"rollback_{MODEL}", {"reason": "all on time", **dates}),
        (f"rollback_{MODEL}", {"reason": "all on time"}),
        ("reconcile_registry", {}),
    )
    assert there == ["success", {"roll_back": "success", "score": "success", "publish": "success"}]
    assert again[1]["roll_back"] == "failed", "one step back, not two"
    assert reconciled == ["success", {"reconcile": "success"}]
    assert loop.registry.champion(MODEL) == first
    rows = loop.warehouse.rows(
        "SELECT version, kind, effective_from, reason FROM governance.promotions ORDER BY 1"
    )
    assert [row["kind"] for row in rows].count("rollback") == 1
    assert {"version": first, "kind": "rollback", "effective_from": NIGHT, "reason": "all on time"} in rows
    scored = loop.warehouse.rows(
        "SELECT DISTINCT model_version FROM catalog.prediction_batches WHERE batch_date >= %s", (NIGHT,)
    )
    assert scored == [{"model_version": first}]
    announced = loop.warehouse.rows(
        "SELECT batch_date FROM catalog.announcements WHERE asset = %s ORDER BY 1", (f"predictions.{MODEL}",)
    )
    assert [row["batch_date"] for row in announced] == [NIGHT + n * timedelta(days=1) for n in range(3)]
