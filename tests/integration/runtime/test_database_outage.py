"""A PostgreSQL of somebody else's, stopped hard: the stack comes back with it, without an operator."""

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightshift import processes
from nightshift.runtime import control, databases, endpoints, health, postgres, state

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SECONDS_OF_OUTAGE = 20
SECONDS_TO_HEAL = 90


@dataclass
class ForeignServer:
    """A server that no supervisor of ours knows how to start."""

    server: postgres.Server
    port: int
    url: str
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.server.command(self.port),
            cwd="/",
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.server.account.identity,
        )
        deadline = time.monotonic() + 60
        while not databases.answers(self.url):
            assert time.monotonic() < deadline, "the foreign server does not start"
            time.sleep(0.2)

    def stop_hard(self) -> None:
        assert self.process is not None
        self.process.send_signal(
            signal.SIGQUIT
        )  # immediate: no goodbye to anyone, recovery at the next start
        self.process.wait(30)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignServer]:
    port = endpoints.any_free_port()
    folder = tmp_path / "foreign"
    folder.mkdir()
    found = ForeignServer(
        postgres.prepare(folder, "foreign-password"),
        port,
        f"postgresql://postgres:foreign-password@127.0.0.1:{port}/postgres",
    )
    found.start()
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NIGHTSHIFT_DATABASE_URL", found.url)
    for service in endpoints.PREFERRED:
        monkeypatch.setenv(f"NIGHTSHIFT_{service.upper()}_PORT", str(endpoints.any_free_port()))
    try:
        yield found
    finally:
        control.purge()
        found.stop_hard()
        subprocess.run(["rm", "-rf", str(postgres.shelter(folder))], check=True)


def test_stack_is_healthy_soon_after_the_server_returns(foreign: ForeignServer) -> None:
    runtime, _ = control.up()
    assert runtime.postgres_port is None
    assert "postgres" not in _snapshot(runtime.home).components
    foreign.stop_hard()
    time.sleep(SECONDS_OF_OUTAGE)
    assert health.examine(runtime, _snapshot(runtime.home).components)["postgres"] is False
    foreign.start()
    returned = time.time()
    while not _all_well_since(runtime, returned):
        assert time.time() - returned < SECONDS_TO_HEAL, _snapshot(runtime.home)
        time.sleep(0.5)
    print(f"healthy {time.time() - returned:.1f} s after the server returned")
    control.down()
    assert processes.marked(runtime.home) == []
    assert databases.answers(foreign.url), "down must not stop a server that is not ours"


def _snapshot(home: Path) -> state.Snapshot:
    found = state.read_snapshot(home)
    assert found is not None
    return found


def _all_well_since(runtime: state.Runtime, instant: float) -> bool:
    """Whether everything is well, by heartbeats made after ``instant``."""
    components = _snapshot(runtime.home).components
    moved = {name: state.Record(r.pid, r.started, max(r.since, instant)) for name, r in components.items()}
    return {"scheduler", "api-server"} <= moved.keys() and all(health.examine(runtime, moved).values())
