"""What the stack consists of: a table at the foot of this module, and how each row is started.

``needs`` are the rows that must be well before this one is started. Services run on and are watched; steps
run once, at the start.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightshift.errors import NotReady
from nightshift.runtime import databases, postgres, processes, settings_file
from nightshift.runtime.airflow_launcher import LARGEST_ORDER
from nightshift.runtime.configuration import connections, environment, own_names, secrets_of
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.endpoints import DATABASES, ports_of
from nightshift.runtime.state import REPOSITORY, Record, Runtime

SECONDS_TO_FORK = 20


@dataclass
class Stack:
    """The running stack's open ends: sockets to the launchers, pipes of steps, child processes."""

    runtime: Runtime
    credentials: Credentials
    controls: dict[str, socket.socket] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log_of(self, name: str) -> Path:
        """Return the log file of a component."""
        return self.runtime.home / "logs" / f"{name}.log"

    def spawn(
        self, name: str, command: list[str], *, pass_fds: tuple[int, ...] = (), **identity: Any
    ) -> Record:
        """Start a program in a session of its own."""
        with self.log_of(name).open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(self.runtime),
                # Neutral ground: a file named like a module in the working directory would shadow it.
                cwd="/" if identity else self.runtime.home,
                pass_fds=pass_fds,
                **identity,
            )
        self.children[name] = child
        return record(child.pid)

    def python(self, name: str, module: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> Record:
        """Start a module of ours."""
        return self.spawn(name, [sys.executable, "-P", "-m", module, *arguments], pass_fds=pass_fds)

    def fork(
        self, launcher: str, name: str, role: str, *arguments: str, hand_over: tuple[int, ...] = ()
    ) -> Record:
        """Have a launcher fork a component.

        Raises:
            NotReady: the launcher does not answer. It is cut off, so that it ends and a new one is started.
        """
        control = self.controls[launcher]
        secrets = secrets_of(name, self.runtime, self.credentials)
        order = json.dumps({"role": role, "arguments": arguments, "secrets": secrets}).encode()
        with self.log_of(name).open("ab") as log:
            try:
                control.settimeout(SECONDS_TO_FORK)
                socket.send_fds(control, [order], [log.fileno(), *hand_over])
                answer = json.loads(control.recv(LARGEST_ORDER) or b"{}")
            except OSError as error:
                raise self._cut_off(launcher) from error
        if "pid" not in answer:
            raise self._cut_off(launcher)
        return record(answer["pid"])

    def is_ready(self, launcher: str) -> bool:
        """Whether a launcher has said that its imports are done. It stays so until it is started anew."""
        control = self.controls.get(launcher)
        if control is None:
            return False
        if control.getblocking():
            return True
        try:
            ready = bool(control.recv(LARGEST_ORDER))
        except BlockingIOError:
            return False
        except OSError:
            return False
        control.setblocking(ready)
        return ready

    def open_control(self, launcher: str) -> socket.socket:
        """Return the launcher's end of a new pair of sockets; ours does not block until it is ready."""
        self.close_control(launcher)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.controls[launcher] = ours
        return theirs

    def close_control(self, launcher: str) -> None:
        """Let a launcher go: it ends when its socket closes."""
        control = self.controls.pop(launcher, None)
        if control:
            control.close()

    def open_report(self, step: str) -> int:
        """Return the writing end of the pipe in which a step says that it is done."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self.reports[step] = reading
        return writing

    def report(self, step: str) -> bool | None:
        """Return True once the step is done, False once it has ended without being done, else None."""
        if step not in self.reports:
            return False
        try:
            said = os.read(self.reports[step], 16)
        except BlockingIOError:
            return None
        os.close(self.reports.pop(step))
        return said == b"done"

    def _cut_off(self, launcher: str) -> NotReady:
        self.close_control(launcher)
        return NotReady(f"the {launcher} does not answer")


def record(pid: int) -> Record:
    """Return the record of a process that was just started."""
    process = processes.look(pid)
    # 0 matches no process: one that died at once counts as dead.
    return Record(pid=pid, started=process.started if process else 0, since=time.time())


@dataclass(frozen=True)
class Component:
    """One row of the table."""

    name: str
    start: Callable[[Stack], Record | None]
    needs: tuple[str, ...] = ()
    kind: str = "service"  # or "launcher", "step"
    # Seconds it may be unwell, at its start and later, before it is started anew.
    # (A heartbeat is stale after 30 s; together that is under a minute.)
    patience_at_start: float = 120
    patience: float = 22
    grace: float = 15
    ask: signal.Signals = signal.SIGTERM


def _postgres(stack: Stack) -> Record | None:
    port = stack.runtime.postgres_port
    if port is None:
        return None  # somebody else's server: watched, not started
    server = postgres.prepare(stack.runtime.home, stack.credentials.postgres)
    return stack.spawn("postgres", server.command(port), **server.account.identity)


def _databases(stack: Stack) -> None:
    passwords = {name: getattr(stack.credentials, name) for name in DATABASES}
    databases.create(stack.runtime.admin_database_url, passwords)


def _launcher(stack: Stack) -> Record:
    with stack.open_control("launcher") as theirs:
        number = theirs.fileno()
        return stack.python(
            "launcher", "nightshift.runtime.airflow_launcher", str(number), pass_fds=(number,)
        )


def _preloaded(stack: Stack) -> Record:
    with stack.open_control("ml-launcher") as theirs:
        return stack.fork("launcher", "ml-launcher", "launcher", hand_over=(theirs.fileno(),))


def _metadata(stack: Stack) -> Record:
    settings = settings_file.read(REPOSITORY / "airflow_settings.yaml").model_dump_json()
    writing = stack.open_report("metadata")
    try:
        local = json.dumps(connections(stack.runtime))
        return stack.fork("launcher", "metadata", "metadata", settings, local, hand_over=(writing,))
    finally:
        os.close(writing)


def _work(work: str) -> Callable[[Stack], Record]:
    def start(stack: Stack) -> Record:
        writing = stack.open_report(work)
        try:
            return stack.python(work, "nightshift.runtime.prepare", work, str(writing), pass_fds=(writing,))
        finally:
            os.close(writing)

    return start


def _mlflow(stack: Stack) -> Record:
    home, url = stack.runtime.home, stack.runtime.mlflow_url
    artifacts = (home / "mlflow-artifacts").as_uri()
    port = str(ports_of(stack.runtime)["mlflow"])
    settings = str(home / "mlflow-auth.ini")
    return stack.fork("ml-launcher", "mlflow", "mlflow", port, artifacts, settings, *sorted(own_names(url)))


def _aircraft(stack: Stack) -> Record:
    return stack.python("aircraft", "nightshift.runtime.upstream", str(ports_of(stack.runtime)["aircraft"]))


def _airflow(launcher: str, *arguments: str) -> Callable[[Stack], Record]:
    return lambda stack: stack.fork(launcher, arguments[0], "airflow", *arguments)


COMPONENTS: tuple[Component, ...] = (
    Component("postgres", _postgres, grace=30, ask=signal.SIGINT, patience=20),
    Component("launcher", _launcher, kind="launcher", grace=2),
    # Of all that happens at the start this takes longest, so it goes first.
    Component("ml-launcher", _preloaded, needs=("launcher",), kind="launcher", grace=2),
    Component("databases", _databases, needs=("postgres",), kind="step"),
    Component("warehouse", _work("warehouse"), needs=("databases",), kind="step"),
    Component("upstream", _work("upstream"), needs=("databases",), kind="step"),
    Component("aircraft", _aircraft, needs=("databases",), grace=2),
    Component("metadata", _metadata, needs=("launcher", "databases"), kind="step"),
    Component("api-server", _airflow("launcher", "api-server"), needs=("postgres", "launcher", "metadata")),
    Component(
        "dag-processor", _airflow("launcher", "dag-processor"), needs=("postgres", "launcher", "metadata")
    ),
    # Logs are files here: nobody needs Airflow's log servers, which would listen on every interface.
    Component(
        "triggerer",
        _airflow("launcher", "triggerer", "--skip-serve-logs"),
        needs=("postgres", "launcher", "metadata"),
    ),
    Component(
        "scheduler",
        _airflow("ml-launcher", "scheduler", "--skip-serve-logs"),
        needs=("postgres", "ml-launcher", "metadata"),
    ),
    Component("mlflow", _mlflow, needs=("postgres", "ml-launcher", "databases"), grace=8),
)
BY_NAME = {component.name: component for component in COMPONENTS}
