"""The whole local stack, really started: it heals what is killed, and leaves nothing behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightshift.local import control, endpoints, health, processes, state
from nightshift.local.api import Client
from nightshift.local.state import Record, Runtime, Snapshot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SECONDS_TO_HEAL = 60
SERVICES = ["scheduler", "dag-processor", "api-server", "triggerer", "mlflow", "aircraft", "postgres"]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    home = tmp_path_factory.mktemp("stack") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHIFT_HOME", str(home))
        for service in endpoints.PREFERRED:
            patch.setenv(f"NIGHTSHIFT_{service.upper()}_PORT", str(endpoints.any_free_port()))
        try:
            yield control.up()[0]
        finally:
            control.purge()


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
    assert {"warehouse", "mlflow", "ops", "weather_files", "aircraft_api"} <= connections.keys()
    assert connections["warehouse"]["host"] == "127.0.0.1"
    assert connections["warehouse"]["port"] == runtime.postgres_port
    assert str(runtime.weather_folder) in connections["weather_files"]["extra"]
    assert pool["slots"] == 1


def test_secrets_are_private(runtime: Runtime) -> None:
    for name in ("runtime.json", "credentials.json", "airflow-passwords.json"):
        assert (runtime.home / name).stat().st_mode & 0o077 == 0, name


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


@pytest.mark.parametrize("name", ["launcher", "ml-launcher"])
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


def _links(folder: Path) -> list[str]:
    try:
        return [os.readlink(entry) for entry in folder.iterdir()]
    except OSError:
        return []
