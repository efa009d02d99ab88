"""The whole local stack, really started: it heals what is killed, and leaves nothing behind."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration import intruder
from integration.runtime.conftest import stack_in

from examples.nyc_flights.local import weather_folder
from nightshift import processes
from nightshift.cli import rename
from nightshift.errors import NotReady
from nightshift.runtime import control, health, state
from nightshift.runtime.api import FINISHED, Client
from nightshift.runtime.state import Record, Runtime, Snapshot
from nightshift.runtime.supervisor import SECONDS_BETWEEN_WATCHES
from nightshift.runtime.work import PARALLELISM

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SECONDS_TO_HEAL = 60
SERVICES = ["scheduler", "dag-processor", "api-server", "triggerer", "mlflow", "aircraft", "postgres"]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with stack_in(tmp_path_factory.mktemp("stack") / "home") as runtime:
        yield runtime


def snapshot(runtime: Runtime) -> Snapshot:
    found = state.read_snapshot(runtime.home)
    assert found is not None
    return found


def record(runtime: Runtime, name: str) -> Record:
    return snapshot(runtime).components[name]


def kill_supervisor(runtime: Runtime) -> None:
    supervisor = snapshot(runtime).supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    while processes.alive(supervisor.pid, supervisor.started):
        time.sleep(0.01)


def wait_for_another(runtime: Runtime, name: str, before: Record, seconds: float = SECONDS_TO_HEAL) -> float:
    """Return after how many seconds another process has taken its place and everything is healthy."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        now = snapshot(runtime)
        fresh = now.components.get(name)
        if fresh and fresh.pid != before.pid and all(health.examine(runtime, now.components).values()):
            return time.monotonic() - began
        time.sleep(0.25)
    pytest.fail(f"{name} not healthy within {seconds} s: {snapshot(runtime)}")


def test_everything_answers_and_up_again_changes_nothing(runtime: Runtime) -> None:
    before = snapshot(runtime)
    assert set(health.examine(runtime, before.components).values()) == {True}
    again, started = control.up()
    assert (again, started) == (runtime, False)
    assert snapshot(runtime).components.keys() == before.components.keys()
    assert [r.pid for r in snapshot(runtime).components.values()] == [
        r.pid for r in before.components.values()
    ]


def test_settings_file_is_applied_with_local_endpoints(runtime: Runtime) -> None:
    with Client.of(runtime) as airflow:
        connections = {c["connection_id"]: c for c in airflow.get("/connections")["connections"]}
        pool = airflow.get("/pools/training")
    assert {"warehouse_collect", "mlflow", "ops", "weather_files", "aircraft_api"} <= connections.keys()
    assert "warehouse" not in connections
    assert connections["warehouse_score"]["host"] == "127.0.0.1"
    assert connections["warehouse_score"]["port"] == runtime.postgres_port
    assert str(weather_folder(runtime)) in connections["weather_files"]["extra"]
    assert pool["slots"] == 1


def test_what_has_a_run_that_waits_is_not_renamed(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(runtime.home))
    with Client.of(runtime) as api:
        api.wait_for_dags({"collect_weather"})
        api.unpause("collect_weather", paused=True)
        try:
            rename._require_no_runs("source", ["weather"])
            run = api.trigger("collect_weather", conf={"batch_date": "2013-02-10", "reason": "a test"})
            with pytest.raises(NotReady, match=f"collect_weather: run {re.escape(run)} is queued"):
                rename._require_no_runs("source", ["weather"])
            api.request("DELETE", f"/dags/collect_weather/dagRuns/{run}")
            rename._require_no_runs("source", ["weather"])
        finally:
            api.unpause("collect_weather")


def test_secrets_are_private(runtime: Runtime) -> None:
    for name in ("runtime.json", "credentials.json", "airflow-passwords.json"):
        assert (runtime.home / name).stat().st_mode & 0o077 == 0, name


def test_no_process_shows_a_secret_in_its_environment(runtime: Runtime) -> None:
    drawn = json.loads((runtime.home / "credentials.json").read_text())
    urls = (
        runtime.airflow_database_url,
        runtime.mlflow_database_url,
        runtime.warehouse_url,
        runtime.databases["ops"],
    )
    drawn |= drawn.pop("added")
    secrets = [*drawn.values(), *urls, runtime.admin_database_url]
    looked_at = 0
    for process in processes.marked(runtime.home):
        for kind in ("environ", "cmdline"):
            shown = _shown(process.pid, kind)
            looked_at += bool(shown)
            found = [name for name in drawn if drawn[name] in shown]
            assert not any(secret in shown for secret in secrets), f"{kind} of {process.pid}: {found}"
    # All components, and the workers that wait for tasks.
    assert looked_at > 2 * (len(SERVICES) + PARALLELISM)


def test_mlflow_lets_nobody_in_without_the_login(runtime: Runtime) -> None:
    port = int(runtime.mlflow_url.rpartition(":")[2])
    login = f"{runtime.mlflow_user}:{runtime.mlflow_password}"
    search = "/api/2.0/mlflow/experiments/search"
    for known in (None, login):
        assert intruder.opened(port, known) == []
    body = {"max_results": 1}
    assert intruder.send(port, "POST", search, body=body)[0] == 401
    assert (
        intruder.send(port, "POST", search, body=body, login=f"{runtime.mlflow_user}:password1234")[0] == 401
    )
    assert intruder.send(port, "POST", search, body=body, login=login)[0] == 200
    alias = {"name": "late_arrival", "alias": "champion", "version": "1"}
    assert intruder.send(port, "POST", "/api/2.0/mlflow/registered-models/alias", body=alias)[0] == 401
    model = "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model/model.skops"
    assert intruder.send(port, "PUT", model, body="mine")[0] == 401


@pytest.mark.parametrize(
    "host", ["10.evil.example:5000", "evil.example", "127.0.0.1", "localhost:1", "0.0.0.0:80"]
)
def test_servers_answer_to_their_own_names_only(runtime: Runtime, host: str) -> None:
    login = f"{runtime.mlflow_user}:{runtime.mlflow_password}"
    for url, path in {
        runtime.mlflow_url: "/api/2.0/mlflow/experiments/search",
        runtime.airflow_url: "/api/v2/version",
        runtime.services["aircraft"]: "/health",
    }.items():
        port = int(url.rpartition(":")[2])
        status, text = intruder.send(port, "GET", path, login=login, Host=host)
        assert status == 421, f"{url}: {text}"
        assert intruder.send(port, "GET", path, login=login)[0] in {200, 400}


def test_a_killed_idle_worker_does_not_stop_the_work(runtime: Runtime) -> None:
    scheduler = record(runtime, "scheduler")
    for process in processes.session_of(scheduler.pid, scheduler.started):
        if "<idle>" in _shown(process.pid, "cmdline"):
            os.kill(process.pid, signal.SIGKILL)
    with Client.of(runtime) as airflow:
        run_id = airflow.trigger("collect_weather", conf={"batch_date": "2013-01-02", "downstream": "leave"})
        stuck = None
        while stuck is None and airflow.run("collect_weather", run_id)["state"] not in FINISHED:
            stuck = health.standstill(runtime, snapshot(runtime).components)
            time.sleep(1)
        assert stuck is not None, "the workers that were left got the lock: nothing was tried"
        assert airflow.wait("collect_weather", run_id, timeout=240)["state"] == "success"
    assert record(runtime, "scheduler").pid != scheduler.pid
    # How many is not asked: DAGs with a schedule start in that minute too.
    log = (runtime.home / "logs" / "supervisor.log").read_text()
    assert re.search(r"scheduler is unwell: \d+ tasks are queued", log), log


def test_an_idle_stack_writes_no_log_at_each_look_at_a_dag_file(runtime: Runtime) -> None:
    log = (runtime.home / "logs" / "dag-processor.log").read_text()
    assert "next dagrun info" not in log
    assert "Searching for files" not in log
    assert len(log) < 100_000


def test_only_the_loopback_address_listens(runtime: Runtime) -> None:
    ours = {p.pid for p in processes.marked(runtime.home)}
    inodes = {
        link.removeprefix("socket:[").removesuffix("]")
        for pid in ours
        for link in _links(Path(f"/proc/{pid}/fd"))
        if link.startswith("socket:[")
    }
    listening = [
        fields[1].split(":")[0]
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A" and fields[9] in inodes
    ]
    assert listening
    assert set(listening) == {"0100007F"}


def test_roles_cannot_enter_each_others_databases(runtime: Runtime) -> None:
    import psycopg2
    from sqlalchemy.engine import make_url

    url = make_url(runtime.warehouse_url)
    for other in ("airflow", "mlflow", "ops"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(url.set(database=other).render_as_string(hide_password=False))


@pytest.mark.parametrize("name", SERVICES)
def test_killed_component_is_healthy_within_a_minute(runtime: Runtime, name: str) -> None:
    before = record(runtime, name)
    members = processes.session_of(before.pid, before.started)
    os.kill(before.pid, signal.SIGKILL)
    seconds = wait_for_another(runtime, name, before)
    print(f"{name}: {seconds:.1f} s")
    assert not [m for m in members if processes.alive(m.pid, m.started)], "leftovers of the killed one"


@pytest.mark.parametrize("name", [pytest.param("launcher", marks=pytest.mark.slow), "ml-launcher"])
def test_killed_launcher_is_replaced_and_its_forks_live_on(runtime: Runtime, name: str) -> None:
    launcher = record(runtime, name)
    others = {n: r.pid for n, r in snapshot(runtime).components.items() if n != name}
    os.kill(launcher.pid, signal.SIGKILL)
    wait_for_another(runtime, name, launcher)
    assert {n: r.pid for n, r in snapshot(runtime).components.items() if n != name} == others
    scheduler = record(runtime, "scheduler")
    deadline = time.monotonic() + 90
    while name not in snapshot(runtime).well and time.monotonic() < deadline:
        time.sleep(0.5)
    os.kill(scheduler.pid, signal.SIGKILL)
    wait_for_another(runtime, "scheduler", scheduler)


def test_killed_supervisor_is_replaced_by_the_next_up_which_adopts_the_rest(runtime: Runtime) -> None:
    before = snapshot(runtime)
    assert before.supervisor is not None
    kill_supervisor(runtime)
    again, started = control.up()
    after = snapshot(runtime)
    assert started
    assert again == runtime
    assert after.supervisor is not None
    assert after.supervisor.pid != before.supervisor.pid
    assert {n: after.components[n].pid for n in SERVICES} == {n: before.components[n].pid for n in SERVICES}
    assert all(health.examine(runtime, after.components).values())


@pytest.mark.slow
def test_when_airflow_does_not_look_for_alerts_the_supervisor_does(runtime: Runtime) -> None:
    """The DAG is paused and its last look is long ago: within two of the supervisor's rounds somebody is told."""
    from nightshift.warehouse import Warehouse

    warehouse, opened = Warehouse(runtime.warehouse_url), []
    told = "SELECT severity FROM alerts.open WHERE (kind, subject) = ('component_down', 'component:airflow')"
    with Client.of(runtime) as airflow:
        airflow.wait_for_dags({"alerts"})
        airflow.unpause("alerts", paused=True)
        try:
            long_ago = "UPDATE alerts.pulse SET evaluated_at = now() - interval '1 hour'"
            deadline = time.monotonic() + 2 * SECONDS_BETWEEN_WATCHES + 60
            while not opened and time.monotonic() < deadline:
                warehouse.execute(long_ago)  # a run that had begun may end meanwhile
                opened = warehouse.rows(told)
                time.sleep(2)
        finally:
            airflow.unpause("alerts")
    assert opened, (runtime.home / "logs" / "alerts.log").read_text()


@pytest.mark.slow
def test_down_leaves_no_process_even_if_the_supervisor_was_killed(runtime: Runtime) -> None:
    assert processes.marked(runtime.home)
    kill_supervisor(runtime)
    assert control.down()
    assert processes.marked(runtime.home) == []
    assert not snapshot(runtime).components
    assert not control.down()
    again, _ = control.up()
    assert again.airflow_url == runtime.airflow_url
    assert control.down()
    assert processes.marked(runtime.home) == []


def _shown(pid: int, kind: str) -> str:
    try:
        return Path(f"/proc/{pid}/{kind}").read_text()
    except OSError:
        return ""


def _links(folder: Path) -> list[str]:
    try:
        return [os.readlink(entry) for entry in folder.iterdir()]
    except OSError:
        return []
