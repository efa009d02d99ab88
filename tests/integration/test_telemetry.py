"""What tasks tell, as it arrives: a UDP sink receives what Airflow sends of real runs, a file holds their events."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils

from integration.conftest import MODEL, small
from nightshift.orchestration.telemetry import METRICS, TOLD, tell
from nightshift.root import INCLUDE
from nightshift.specs import load_project
from nightshift.specs.derived import OF_THE_PROJECT
from nightshift.stages import Platform
from tests.conftest import Upstream

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
NIGHT = date(2013, 2, 6)
# Metrics are set up as Airflow does it when a task's process begins; dag.test() runs the tasks in this process.
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from airflow.utils.db import initdb
initdb()
dags = {}
for file in ("collect", "features", "score", "monitor", "retrain", "train", "retention", "alerts"):
    dags |= DagBag(f"{sys.argv[1]}/{file}.py").dags
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
for dag_id, conf in json.loads(sys.argv[2]):
    run = dags[dag_id].test(run_conf=conf)
    print("RAN" + json.dumps([dag_id, {ti.task_id: str(ti.state) for ti in run.get_task_instances()}]))
"""
SENT = re.compile(r"airflow\.(?P<name>nightshift[a-z_.]+)(?P<tags>[^:]*):(?P<value>[^|]+)\|(?P<kind>\w+)")


class Sink:
    """A UDP socket that keeps what it is sent."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.lines: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    def _listen(self) -> None:
        while True:
            self.lines += self.socket.recv(65536).decode().splitlines()

    def received(self) -> list[tuple[str, dict[str, str], float, str]]:
        """Return what is ours of it: name, tags, value, kind."""
        found = [match for line in self.lines if (match := SENT.fullmatch(line))]
        return [
            (
                m["name"],
                dict(tag.split("=") for tag in m["tags"].split(",") if tag),
                float(m["value"]),
                m["kind"],
            )
            for m in found
        ]


def of_the_test(folder: Path) -> Path:
    """Write the example's specs with the model that trains in a second."""
    for part in ("sources", "features", "models"):
        shutil.copytree(INCLUDE / part, folder / part)
    shutil.copy(INCLUDE / "project.yaml", folder)
    spec = small(load_project().model(MODEL)).model_dump(
        by_alias=True, mode="json", exclude_none=True, exclude={"name"}
    )
    (folder / "models" / f"{MODEL}.yaml").write_text(yaml.safe_dump(spec))
    return folder


@pytest.fixture
def ran(loop: Platform, upstream: Upstream, tmp_path: Path) -> tuple[Sink, list[Any], list[dict[str, Any]]]:
    """Run a night's DAGs, a training and a look for alerts; return what was sent, how they ended, the events."""
    sink, events = Sink(), tmp_path / "events.jsonl"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")},
        "AIRFLOW_HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY / "include"),
        "NIGHTSHIFT_INCLUDE": str(of_the_test(tmp_path / "include")),
        "NIGHTSHIFT_OBJECTS": loop.objects.root,
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        "AIRFLOW_CONN_WAREHOUSE": loop.warehouse.url,
        "AIRFLOW_CONN_MLFLOW": loop.registry.uri,
        "AIRFLOW_CONN_OPS": upstream.ops_url,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(sink.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__NIGHTSHIFT__EVENTS": str(events),
    }
    night = {"batch_date": str(NIGHT)}
    runs = [
        ("collect_flights", night),
        ("features_departure", night),
        (f"score_{MODEL}", night),
        (f"monitor_{MODEL}", night),
        (f"retrain_{MODEL}", night),
        (f"train_{MODEL}", {"as_of": "2013-02-08", "reason": "test"}),
        ("retention", {**night, "dry_run": False}),
        ("alerts", {}),
    ]
    command = [sys.executable, "-c", RUN, str(REPOSITORY / "dags"), json.dumps(runs)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=500, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    ended = [json.loads(line[3:]) for line in done.stdout.splitlines() if line.startswith("RAN")]
    return sink, ended, [json.loads(line) for line in events.read_text().splitlines()]


def as_the_table_names_them(
    received: list[tuple[str, dict[str, str], float, str]], names: Collection[str]
) -> None:
    assert {name for name, *_ in received} == set(names)
    letters = {"gauge": "g", "counter": "c", "timer": "ms"}
    for name, tags, _, kind in received:
        assert set(tags) == set(METRICS[name].tags), name
        assert kind == letters[METRICS[name].kind], name


def an_event_a_task(events: list[dict[str, Any]], ended: list[Any]) -> None:
    well = {(dag, task) for dag, tasks in ended for task, state in tasks.items() if state == "success"}
    # A task that ends by having others skipped hands on nothing.
    quiet = {(f"monitor_{MODEL}", "probation"), ("collect_flights", "publish")}
    told = [each for each in events if each["event"] == "run"]
    assert len(told) == len(well - quiet)


# A result of each task that is told of.
RESULTS: dict[tuple[str, str], dict[str, Any]] = {
    ("retention", "retain"): {
        "as_of": "2013-02-06",
        "dry_run": False,
        "kinds": {"reports": {"things": 2, "bytes": 30}},
        "waiting": {"things": 0, "bytes": 0},
    },
    ("collect", "collect"): {"source": "flights", "nights": "2013-02-06", "rows": 9},
    ("collect", "validate"): {"nights": "2013-02-05..2013-02-06", "accepted": 8, "quarantined": 1},
    ("features", "build"): {"nights": "2013-02-06", "rows": 8, "faults": ["distance: doubled"]},
    ("score", "score"): {"nights": "2013-02-06", "rows": 8},
    ("monitor", "performance"): {"labels": 7},
    ("monitor", "verdict"): {"status": "ok", "batch_date": "2013-02-06", "harm": 0.5, "shift": 0.25},
    ("retrain", "decide"): {"start": True, "reason": "harm"},
    ("train", "evaluate"): {"by_gate": {"minimum_score": True}},
    ("train", "conclude"): {"outcome": "timed out"},
    ("alerts", "evaluate"): {"open": 2, "opened": 1, "resolved": 0, "told": 1},
    ("alerts", "send"): {"delivered": 1, "failed": 0},
}
HELD = (("retrain", "decide"), {"start": False, "reason": "too soon", "guard": "cooldown"})


def test_each_result_arrives_by_the_names_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RESULTS.keys() == TOLD.keys()
    sink = Sink()
    for key, value in {"ON": "True", "PORT": str(sink.port), "INFLUXDB_ENABLED": "True"}.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{key}", value)
    backend = stats_utils.get_stats_factory()()
    stats.initialize(factory=lambda: backend, export_legacy_names=False)
    try:
        for (stage, task), result in [*RESULTS.items(), HELD]:
            ti = SimpleNamespace(task_id=task, start_date=datetime.now(UTC), run_id="r", try_number=1)
            dag = SimpleNamespace(dag_id=stage if stage in OF_THE_PROJECT else f"{stage}_{MODEL}")
            tell({"ti": ti, "dag": dag}, result)
        until = time.monotonic() + 10
        while {name for name, *_ in sink.received()} != METRICS.keys() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        backend.statsd.close()
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
    as_the_table_names_them(sink.received(), METRICS.keys())
    assert ("nightshift.trainings", {"name": MODEL, "outcome": "timed_out"}, 1.0, "c") in sink.received()


@pytest.mark.slow  # the same of real runs: each number is its row's
def test_what_is_sent_is_what_the_table_names_and_the_rows_hold(
    ran: tuple[Sink, list[Any], list[dict[str, Any]]], loop: Platform
) -> None:
    sink, ended, events = ran
    received = sink.received()
    # A calm night asks for no training.
    as_the_table_names_them(
        received, METRICS.keys() - {"nightshift.retrainings", "nightshift.retrainings.held"}
    )
    told = {(name, *tags.values()): value for name, tags, value, _ in received}
    scored = loop.warehouse.row(
        "SELECT row_count FROM catalog.prediction_batches WHERE model = %s AND batch_date = %s",
        (MODEL, NIGHT),
    )
    assert scored
    assert told["nightshift.rows", "score", MODEL, "scored"] == scored["row_count"]
    midnight = datetime(2013, 2, 6, tzinfo=ZoneInfo("America/New_York"))
    assert told["nightshift.night", "score", MODEL] == midnight.timestamp()
    verdict = loop.warehouse.row("SELECT drift, reasons FROM monitoring.verdicts WHERE model = %s", (MODEL,))
    assert verdict
    shift = verdict["drift"]["shift"]
    assert told["nightshift.shift", MODEL] == pytest.approx(shift["evidence"] / shift["alarm"], rel=1e-4)
    opened = loop.warehouse.row("SELECT count(*)::integer AS n FROM alerts.open")
    assert opened
    assert told["nightshift.alerts.open",] == opened["n"] > 0
    gates = loop.warehouse.rows(
        "SELECT g->>'gate' AS gate FROM governance.decisions, jsonb_array_elements(gates) g WHERE as_of = '2013-02-08'"
    )
    assert {tags["gate"] for name, tags, *_ in received if name == "nightshift.gates"} == {
        g["gate"] for g in gates
    }
    runs = {(each["stage"], each["task"]): each for each in events}
    assert runs["score", "score"]["rows"] == scored["row_count"]
    # A calm night has the rest of its run skipped, and is told of.
    assert runs["retrain", "decide"]["start"] is False
    an_event_a_task(events, ended)
