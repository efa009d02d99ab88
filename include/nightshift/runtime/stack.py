"""The running stack, what it consists of, and what a project may add to it: the types, without the table."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nightshift import processes
from nightshift.errors import NotReady
from nightshift.root import ENGINE, ROOT
from nightshift.runtime.airflow_launcher import LARGEST_ORDER
from nightshift.runtime.configuration import environment, secrets_of
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.settings_file import Parts
from nightshift.runtime.state import Record, Runtime

SECONDS_TO_FORK = 20


@dataclass
class Stack:
    """The running stack's open ends: sockets to the launchers, pipes of steps, child processes."""

    runtime: Runtime
    credentials: Credentials
    extension: "Extension"
    controls: dict[str, socket.socket] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def log_of(self, name: str) -> Path:
        """Return the log file of a component."""
        return self.runtime.home / "logs" / f"{name}.log"

    def spawn(
        self,
        name: str,
        command: list[str],
        *,
        pass_fds: tuple[int, ...] = (),
        more: Mapping[str, str] = MappingProxyType({}),
        **identity: Any,
    ) -> Record:
        """Start a program in a session of its own; ``more`` is laid over its environment."""
        with self.log_of(name).open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment(self.runtime) | dict(more),
                # Neutral ground: a file named like a module in the working directory would shadow it.
                cwd="/" if identity else self.runtime.home,
                pass_fds=pass_fds,
                **identity,
            )
        self.children[name] = child
        return record(child.pid)

    def python(self, name: str, module: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> Record:
        """Start a module of ours, or of the project's."""
        # Airflow's processes do not see the project's folder: in production it is not on their path either.
        ours = module.startswith("nightshift.")
        path = {} if ours else {"PYTHONPATH": os.pathsep.join([str(ENGINE), str(ROOT)])}
        command = [sys.executable, "-P", "-m", module, *arguments]
        return self.spawn(name, command, pass_fds=pass_fds, more=path)

    def step(self, name: str, module: str, *arguments: str) -> Record:
        """Start a module that writes ``done`` to the pipe whose number is its last argument."""
        writing = self.open_report(name)
        try:
            return self.python(name, module, *arguments, str(writing), pass_fds=(writing,))
        finally:
            os.close(writing)

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
        if step in self.reports:  # of one that could not be started
            os.close(self.reports.pop(step))
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
    # Whether it is well, asked while it runs; None: the runtime knows by itself, or there is nothing to ask.
    answers: Callable[[Runtime], bool] | None = None


@dataclass(frozen=True)
class Extension:
    """What a project adds to its local stack: ``components: package.module:NAME`` in project.yaml names one.

    ``services``: HTTP services on the loopback address, each with the port that it prefers. ``databases``: each gets
    an owner of its name. ``folders``: what it makes below the home. ``connections``: what is laid over
    ``airflow_settings.yaml``, by connection id.
    ``demo``: what `nightshift demo` runs on the stack, told how many seconds the stack took to start.
    """

    components: tuple[Component, ...] = ()
    services: Mapping[str, int] = field(default_factory=dict)
    databases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    connections: Callable[[Runtime], Mapping[str, Parts]] = lambda runtime: {}
    demo: Callable[[Runtime, float], None] | None = None
