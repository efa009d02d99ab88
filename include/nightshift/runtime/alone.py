"""The local database server without the rest of the stack: for what must not be done under Airflow's hands."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightshift.errors import NotReady
from nightshift.runtime import components, control, credentials, databases, endpoints, postgres, state
from nightshift.runtime.state import Runtime, Snapshot

SECONDS_TO_ANSWER = 60


@contextmanager
def server(home: Path) -> Iterator[Runtime]:
    """Yield the runtime of a home folder whose stack does not run, with its databases made and answering.

    Raises:
        NotReady: the stack runs, the folder is somebody else's, or the server does not start.
    """
    before = state.read_snapshot(home)
    if before is not None and control.runs(before):
        left = ", ".join(control.living(before))
        who = (
            "the stack runs"
            if control.is_supervised(before)
            else f"its supervisor is gone, but {left} still run"
        )
        raise NotReady(f"{who} here; stop it with `nightshift down`")
    control.require_ours(home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    added = components.extension()
    known = credentials.keep(home, added.databases)
    ports = endpoints.choose_ports(
        endpoints.ports_of(before.runtime) if before else {}, frozenset(), added.services
    )
    runtime = endpoints.arrange(home, known, ports)
    with _started(runtime, known.postgres):
        owners = {name: getattr(known, name) for name in endpoints.DATABASES} | known.added
        ours = runtime.postgres_port is not None
        admin, whose = runtime.admin_database_url, known.installation
        databases.create(admin, owners, known.logins, installation=whose, is_ours=ours)
        yield runtime
    if before is None:
        state.write_snapshot(Snapshot(runtime=runtime, phase="stopped"))


@contextmanager
def _started(runtime: Runtime, password: str) -> Iterator[None]:
    if runtime.postgres_port is None:  # somebody else's
        yield
        return
    logs = runtime.home / "logs"
    logs.mkdir(exist_ok=True, mode=0o700)
    embedded = postgres.prepare(runtime.home, password)
    with (logs / "postgres.log").open("ab") as log:
        child = subprocess.Popen(
            embedded.command(runtime.postgres_port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            **embedded.account.identity,
        )
    try:
        _wait(child, runtime, logs / "postgres.log")
        yield
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(SECONDS_TO_ANSWER)


def _wait(child: subprocess.Popen[bytes], runtime: Runtime, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while child.poll() is None and time.monotonic() < deadline:
        if databases.answers(runtime.admin_database_url):
            return
        time.sleep(0.2)
    raise NotReady(f"PostgreSQL did not start; see {log}")
