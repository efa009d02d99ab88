"""What tasks tell, as it arrives: a UDP sink receives what Airflow sends of real runs, a file holds their events."""

import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx
import prometheus
import pytest
import yaml
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from integration.conftest import MODEL, small
from nightshift.orchestration.telemetry import METRICS, TOLD, tell
from nightshift.root import INCLUDE
from nightshift.runtime.endpoints import any_free_port
from nightshift.specs import load_project
from nightshift.specs.derived import OF_THE_PROJECT
from nightshift.stages import Platform
from tests.conftest import Upstream

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy" / "metrics"
# By Airflow's name, Prometheus'.
NAMED: dict[str, str] = {
    each["match"].removeprefix("airflow."): each["name"]
    for each in yaml.safe_load((DEPLOY / "statsd-mapping.yaml").read_text())["mappings"]
}
NIGHT = date(2013, 2, 6)
Ask = Callable[..., Any]
# Metrics are set up as Airflow does it when a task's process begins; dag.test() runs the tasks in this process.
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA
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


@contextmanager
def served(lines: list[str], folder: Path) -> Iterator[Ask]:
    """Give the lines to statsd-exporter, which Prometheus reads; yield how Prometheus is asked."""
    programs = [prometheus.find(name) for name in ("statsd_exporter", "prometheus")]
    if None in programs:
        pytest.skip("no statsd_exporter on the path, or no prometheus: docs/metrics.md")
    exporter, server = (str(program) for program in programs)
    udp, web, api = any_free_port(), any_free_port(), any_free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DEPLOY / "prometheus-rules.yaml")],
        "scrape_configs": [{"job_name": "nightshift", "static_configs": [{"targets": [f"127.0.0.1:{web}"]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    commands = [
        [exporter, f"--statsd.mapping-config={DEPLOY / 'statsd-mapping.yaml'}", "--statsd.listen-tcp=",
         f"--statsd.listen-udp=127.0.0.1:{udp}", f"--web.listen-address=127.0.0.1:{web}"],
        [server, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{api}"],
    ]  # fmt: skip
    with ExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("w"))
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
            stack.callback(process.kill)
        client = stack.enter_context(httpx.Client())

        def ask(path: str, **query: str) -> Any:
            answer = client.get(f"http://127.0.0.1:{api}/api/v1/{path}", params=query).json()
            assert answer["status"] == "success", (query, answer)
            return answer["data"]

        ready(lambda: client.get(f"http://127.0.0.1:{web}/metrics").is_success, folder)
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for line in lines:
            sender.sendto(line.encode(), ("127.0.0.1", udp))
        # rate() and increase() need two readings.
        read = "count_over_time(nightshift_night_timestamp_seconds[1m]) > 2"
        ready(lambda: bool(ask("query", query=read)["result"]), folder)
        yield ask


def ready(is_so: Callable[[], bool], folder: Path) -> None:
    """Wait until a server answers as it should."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            if is_so():
                return
        time.sleep(0.2)
    raise AssertionError((folder / "servers.log").read_text()[-3000:])


def everything_is_found(lines: list[str], sent: Collection[str], folder: Path) -> None:
    """Hold that each name is there with its labels, that no rule is broken, and that each panel shows something."""
    with served(lines, folder) as ask:
        for metric in sent:
            series = ask("series", **{"match[]": f'{{__name__=~"{NAMED[metric]}(_bucket)?"}}'})
            labels = {frozenset(each.keys() - {"__name__", "instance", "job", "le"}) for each in series}
            assert labels == {frozenset(METRICS[metric].tags)}, metric
        rules = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"][0]["rules"]
        assert [rule["health"] for rule in ask("rules")["groups"][0]["rules"]] == ["ok"] * len(rules)
        for asked in panels():
            if {of for of, name in NAMED.items() if re.search(rf"\b{name}(_bucket)?\b", asked)} <= set(sent):
                assert ask("query", query=asked)["result"], asked
        assert MODEL in ask(
            "label/name/values", **{"match[]": 'nightshift_night_timestamp_seconds{stage="score"}'}
        )


def panels() -> list[str]:
    """Return what the dashboard asks, of all models."""
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return [
        target["expr"].replace("$model", ".*") for panel in board["panels"] for target in panel["targets"]
    ]


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


def tell_all() -> None:
    for (stage, task), result in [*RESULTS.items(), HELD]:
        ti = SimpleNamespace(task_id=task, start_date=datetime.now(UTC), run_id="r", try_number=1)
        dag = SimpleNamespace(dag_id=stage if stage in OF_THE_PROJECT else f"{stage}_{MODEL}")
        tell({"ti": ti, "dag": dag}, result)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Return what was sent of each result."""
    sink = Sink()
    for key, value in {"ON": "True", "PORT": str(sink.port), "INFLUXDB_ENABLED": "True"}.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{key}", value)
    backend = stats_utils.get_stats_factory()()
    stats.initialize(factory=lambda: backend, export_legacy_names=False)
    try:
        tell_all()
        until = time.monotonic() + 10
        while {name for name, *_ in sink.received()} != METRICS.keys() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        backend.statsd.close()
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
    return sink


def test_each_result_arrives_by_the_names_of_the_table(told: Sink) -> None:
    assert RESULTS.keys() == TOLD.keys()
    as_the_table_names_them(told.received(), METRICS.keys())
    assert ("nightshift.trainings", {"name": MODEL, "outcome": "timed_out"}, 1.0, "c") in told.received()


def test_rules_and_panels_find_what_is_sent(told: Sink, tmp_path: Path) -> None:
    everything_is_found(told.lines, METRICS.keys(), tmp_path)


class Receiver(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP, as a collector does."""

    taken: ClassVar[list[Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.taken += [metric for scope in resource.scope_metrics for metric in scope.metrics]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def test_opentelemetry_takes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    Receiver.taken = []
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    backend = stats_utils.get_stats_factory()()
    stats.initialize(factory=lambda: backend, export_legacy_names=False)
    try:
        tell_all()
    finally:
        backend.otel.shutdown()  # which sends what waits, as the end of a task's process does
        atexit.unregister(flush_otel_metrics)
        stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
        server.shutdown()
        server.server_close()
    kinds = {"gauge": "gauge", "counter": "sum", "timer": "exponential_histogram"}
    assert {metric.name.removeprefix("airflow.") for metric in Receiver.taken} == METRICS.keys()
    for metric in Receiver.taken:
        declared = METRICS[metric.name.removeprefix("airflow.")]
        data = getattr(metric, kinds[declared.kind])
        assert {tag.key for point in data.data_points for tag in point.attributes} == set(declared.tags)
        # Each task is a process, whose count begins at nothing: only differences add up.
        assert declared.kind == "gauge" or data.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA


@pytest.mark.timeout(900)
@pytest.mark.slow  # the same of real runs: each number is its row's
def test_what_is_sent_is_what_the_table_names_and_the_rows_hold(
    ran: tuple[Sink, list[Any], list[dict[str, Any]]], loop: Platform, tmp_path: Path
) -> None:
    sink, ended, events = ran
    received = sink.received()
    # A calm night asks for no training.
    sent = METRICS.keys() - {"nightshift.retrainings", "nightshift.retrainings.held"}
    as_the_table_names_them(received, sent)
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
    everything_is_found(sink.lines, sent, tmp_path)
