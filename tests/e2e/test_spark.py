"""A night of flights is scored on a cluster of Apache Spark, through the real scheduler, on a stack of its own."""

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from killing import child, shown, task, until
from spark import NEEDS_SPARK

from e2e.conftest import MODEL, nightshift
from examples.nyc_flights.demo import Demo, load_history
from nightshift import processes
from nightshift.calendar import DateRange
from nightshift.runtime import state
from nightshift.runtime.api import Client
from nightshift.specs import load_project
from nightshift.warehouse import Warehouse

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    NEEDS_SPARK,
]
ROOT = Path(__file__).resolve().parents[2]
HISTORY, CHAMPION_AS_OF, NIGHT = (
    DateRange(date(2013, 1, 2), date(2013, 1, 29)),
    date(2013, 1, 28),
    date(2013, 1, 30),
)
SECONDS = 1200
SCORE = f"score_{MODEL}"
# Two workers of a core each, with their master: processes of their own.
MASTER = "local-cluster[2,1,1024]"


def project_on_spark(project: Path) -> None:
    """Write the example with one model, small and scored on Spark."""
    for part in ("include/sources", "include/features", "dags", "plugins", "examples"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "include/models").mkdir()
    spec = _yaml(ROOT / f"include/models/{MODEL}.yaml")
    spec["train"] = {"window_days": 14, "holdout_days": 7, "min_rows": 500, "refit": False}
    spec["estimator"]["params"] |= {"max_iter": 25, "learning_rate": 0.2}
    spec |= {"gates": spec["gates"][:2], "slices": [], "compute": "spark"}
    spec["gates"][0]["value"] = 0.55
    _write(project / f"include/models/{MODEL}.yaml", spec)
    _write(project / "include/project.yaml", _yaml(ROOT / "include/project.yaml") | {"spark": "spark"})
    settings = _yaml(ROOT / "airflow_settings.yaml")
    settings["airflow"]["connections"].append(
        {"conn_id": "spark", "conn_type": "generic", "conn_host": MASTER}
    )
    _write(project / "airflow_settings.yaml", settings)


@pytest.fixture
def on_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    """Return a running stack of the example with one model, small and scored on Spark."""
    home = tmp_path / "home"
    project_on_spark(tmp_path / "project")
    monkeypatch.setenv("NIGHTSHIFT_INCLUDE", str(tmp_path / "project/include"))
    try:
        nightshift(home, "up")
        runtime = state.load(home)
        with Client.of(runtime) as api:
            yield Demo(runtime, api, Warehouse(runtime.warehouse_url))
    finally:
        nightshift(home, "down")
        left = processes.marked(home)
        nightshift(home, "down", "--purge", "--yes")
        assert left == [], "processes of the stack are left"


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content))


def test_a_night_on_a_cluster_is_killed_in_the_middle_and_commits_once(on_spark: Demo) -> None:
    load_history(on_spark, HISTORY)
    on_spark.run(f"train_{MODEL}", conf={"as_of": str(CHAMPION_AS_OF), "reason": "the first"})
    sources = load_project().sources_of(MODEL)
    on_spark.all([f"collect_{source}" for source in sources], partition_key=str(NIGHT))
    run_id = _kill_when_workers_are_up(on_spark)
    run = on_spark.ended(SCORE, on_spark.api.wait(SCORE, run_id, SECONDS))
    assert run["run_type"] == "asset_triggered"
    assert task(on_spark.api, SCORE, run_id, "score")["try_number"] == 2
    log = on_spark.api.log(SCORE, run_id, "score", try_number=2)
    assert [line for line in log if f"1 shards to Spark at {MASTER}" in line], log[-30:]
    [row] = on_spark.warehouse.rows(
        "SELECT p.run_id, count(*) AS rows, count(DISTINCT flight_id) AS flights, max(b.row_count) AS receipts, "
        "max(l.generation) AS tries FROM predictions.late_arrival p "
        "JOIN catalog.prediction_batches b ON (b.model, b.batch_date) = (%s, p.batch_date) "
        "JOIN catalog.leases l ON (l.table_name, l.batch_date) = ('predictions.late_arrival', p.batch_date) "
        "WHERE p.batch_date = %s GROUP BY 1",
        (MODEL, NIGHT),
    )
    assert (row["run_id"], row["tries"]) == (run_id, 2)
    assert row["rows"] == row["flights"] == row["receipts"] > 800
    assert _of_spark(on_spark) == []


def _kill_when_workers_are_up(demo: Demo) -> str:
    """Kill the task that scores the night once the cluster's executors run; return the run."""
    until(lambda: _executors(demo), "two executors of Spark run", SECONDS)
    [run_id] = [r["dag_run_id"] for r in demo.api.runs(SCORE) if r.get("partition_key") == str(NIGHT)]
    scored = "SELECT count(*) AS n FROM predictions.late_arrival WHERE batch_date = %s"
    os.kill(child(demo.api, SCORE, run_id, "score"), signal.SIGKILL)
    assert demo.warehouse.row(scored, (NIGHT,)) == {"n": 0}, "killed in the middle, not after it"
    until(lambda: not _of_spark(demo), "Spark has ended with its task", 60)
    return run_id


def _executors(demo: Demo) -> bool:
    return sum("CoarseGrainedExecutorBackend" in shown(pid) for pid in _of_spark(demo)) == 2


def _of_spark(demo: Demo) -> list[int]:
    """Return what still runs of Spark below this stack."""
    return [
        each.pid
        for each in processes.marked(demo.runtime.home)
        if b"SPARK_CONF_DIR=" in _environment(each.pid)
    ]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended since
        return b""
