"""The supervisor: starts the stack, restarts what died or stopped answering, stops it.

It runs detached, in a session of its own, one for each home folder. It holds no truth that is not in
``runtime.json``: when it is killed, the next one adopts the processes that still run.

A component that needs another is not judged while the other is unwell: while PostgreSQL is away, restarting
the scheduler again and again would help nobody.
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nightshift import processes
from nightshift.errors import NightshiftError
from nightshift.runtime import components, credentials, endpoints, health, log_files, state
from nightshift.runtime.stack import Stack, record
from nightshift.runtime.state import Record, Snapshot
from nightshift.runtime.unit import Unit

PR_SET_CHILD_SUBREAPER = 36
ATTEMPTS = 3
SECONDS_TO_A_DEAF_ONE = 5.0
LINES_SHOWN = 12
HOUSEKEEPING = "housekeeping"
SECONDS_BETWEEN_BOUNDS = 120.0
SECONDS_BETWEEN_WATCHES = 300.0
# Old rows go once a day, and not while the stack is just being tried out.
SECONDS_TO_HOUSEKEEPING = 3600.0
SECONDS_BETWEEN_HOUSEKEEPING = 86400.0


class Supervisor:
    """One run of the supervisor over one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.me = record(os.getpid())
        self.table = components.table()
        self.units = {name: Unit(component) for name, component in self.table.items()}
        self.phase = "starting"
        self.message = ""
        self.stopping = False
        self.written: Snapshot | None = None
        self.trouble = ""
        self.examine_at = self.bound_at = self.watch_at = 0.0
        self.house_at = time.monotonic() + SECONDS_TO_HOUSEKEEPING
        self.watching: Record | None = None
        self.keeping: Record | None = None

    def run(self) -> None:
        """Watch over the stack until told to stop, or until it cannot be started."""
        while not self.stopping:
            self.go_on()
            time.sleep(1.0 if self.phase == "ready" else 0.2)
        self.phase = "stopping"
        self.remember(self.me)
        for name in list(self.stack.controls):
            self.stack.close_control(name)
        stop(self.records())
        leave_nothing(self.stack.runtime.home)
        self.units.clear()
        self.phase = "failed" if self.message else "stopped"
        self.remember(None)

    def stop_soon(self, *_: object) -> None:
        """Leave the loop; a signal handler."""
        self.stopping = True

    def adopt(self, before: Snapshot | None) -> None:
        """Take over the services that a former supervisor left running; end whatever else it left."""
        if before is None:
            return
        usable = before.phase == "ready" and before.runtime == self.stack.runtime
        left = dict(before.components)
        for name, found in before.components.items():
            is_service = name in self.table and self.table[name].kind == "service"
            if usable and is_service and processes.alive(found.pid, found.started):
                self.units[name].adopted(left.pop(name), time.monotonic())
        stop(left, spare=frozenset(r.pid for r in self.records().values()))

    def go_on(self) -> None:
        """Do one round. Whatever goes wrong in it, the next is done: without us nobody restarts what dies."""
        try:
            self.tick(time.monotonic())
            self.remember(self.me)
            self.trouble = ""
        except Exception:  # noqa: BLE001
            trouble = traceback.format_exc()
            if trouble != self.trouble:  # once, not every second
                self.say(f"this round was not finished; the next one begins\n{trouble}")
            self.trouble = trouble

    def tick(self, now: float) -> None:
        """Look at everything once, and act."""
        processes.reap()
        if now >= self.bound_at:
            self.bound_at = now + SECONDS_BETWEEN_BOUNDS
            log_files.bound(self.stack.runtime.home / "logs")
        self.examine(now)
        for unit in self.units.values():
            if not (unit.settled or self.stopping):
                self.tend(unit, now)
        # Adopted services do not wait for the launchers, which only matter for the next restart.
        if self.phase == "starting" and all(u.well for u in self.units.values() if not u.is_launcher):
            self.phase = "ready"
            self.watch_at = now + SECONDS_BETWEEN_WATCHES
        if self.phase == "ready":
            self.go_round(now)

    def go_round(self, now: float) -> None:
        """Do what is due from time to time."""
        self.see_house_kept()
        if now >= self.watch_at:
            self.watch(now)
        if now >= self.house_at:
            self.keep_house(now)

    def watch(self, now: float) -> None:
        """Have somebody look for alerts whom Airflow cannot keep from it, one at a time."""
        self.watch_at = now + SECONDS_BETWEEN_WATCHES
        ready = self.units["postgres"].well and self.units["launcher"].well
        if not ready or (self.watching and _lives(self.watching)):
            return
        well = {name: unit.well for name, unit in self.units.items() if unit.component.kind == "service"}
        try:
            self.watching = self.stack.fork("launcher", "alerts", "alerts", json.dumps(well))
        except NightshiftError as error:
            self.say(f"alerts: {error}")

    def keep_house(self, now: float) -> None:
        """Have old rows of Airflow and marked runs of MLflow taken away by somebody who has their logins."""
        if self.keeping or not (self.units["postgres"].well and self.units["ml-launcher"].well):
            return  # one at a time: it is due until it can begin
        artifacts = (self.stack.runtime.home / "mlflow-artifacts").as_uri()
        writing = self.stack.open_report(HOUSEKEEPING)
        try:
            order = (HOUSEKEEPING, HOUSEKEEPING, artifacts)
            self.keeping = self.stack.fork("ml-launcher", *order, hand_over=(writing,))
            self.house_at = now + SECONDS_BETWEEN_HOUSEKEEPING
        except NightshiftError as error:
            self.say(f"{HOUSEKEEPING}: {error}")
        finally:
            os.close(writing)

    def see_house_kept(self) -> None:
        """Tell how housekeeping ended. Nobody knows its exit code: the kernel collects what a launcher forks."""
        if self.keeping is None:
            return
        done = self.stack.report(HOUSEKEEPING)
        if done is None:  # it runs
            return
        log = self.stack.log_of(HOUSEKEEPING)
        how = "done" if done else f"failed. The end of {log}:{_tail(log)}"
        self.say(f"{HOUSEKEEPING} (pid {self.keeping.pid}) {how}")
        self.keeping = None

    def examine(self, now: float) -> None:
        """Ask all how they are: often while something is unwell, else every five seconds."""
        for unit in self.units.values():
            if unit.is_launcher:
                unit.note(self.stack.is_ready(unit.name), now)
        if now < self.examine_at:
            return
        for name, well in health.examine(self.stack.runtime, self.records()).items():
            unit = self.units[name]
            if name == "api-server" and well and not unit.well_once:
                well = health.execution_api_answers(self.stack.runtime)  # noqa: PLW2901
            self.say_why(unit, well)
            unit.note(well, now)
        all_well = all(unit.well for unit in self.units.values())
        self.examine_at = time.monotonic() + (5.0 if all_well else 0.5)

    def say_why(self, unit: Unit, well: bool | None) -> None:
        """Note what changed for the worse; a standstill is nothing that the component's own log would tell."""
        if unit.well and well is False:
            why = unit.name == "scheduler" and health.standstill(self.stack.runtime, self.records())
            self.say(f"{unit.name} is unwell{f': {why}' if why else ''}")

    def tend(self, unit: Unit, now: float) -> None:
        """Start it, bury it, end it, or leave it alone."""
        waits = not all(self.units[need].well for need in unit.component.needs)
        if waits:
            unit.excuse(now)
        if unit.record is None:
            if not waits and now >= unit.try_again_at:
                self.start(unit, now)
        elif unit.component.kind == "step":
            self.conclude(unit, now)
        # What has died is buried even while it waits for others: its orphans must not run on.
        elif not _lives(unit.record) or unit.overdue(now):
            self.bury(unit, now)

    def start(self, unit: Unit, now: float) -> None:
        """Start it."""
        try:
            unit.began(unit.component.start(self.stack), now)
            self.say(f"{unit.name} started" + (f", pid {unit.record.pid}" if unit.record else ""))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others go on
            self.say(f"{unit.name} did not start\n{traceback.format_exc()}")
            self.give_up_or_retry(unit, str(error), now)

    def bury(self, unit: Unit, now: float) -> None:
        """End what is left of its session, and note the failure."""
        found = unit.record
        if found is None:
            return
        others = frozenset(r.pid for r in self.records().values() if r.pid != found.pid)
        component = unit.component
        self.stack.close_control(unit.name)
        lives = _lives(found)
        how = "does not answer" if lives else "died"
        # Who does not answer will hardly say goodbye; who died has only orphans left.
        grace = min(component.grace, SECONDS_TO_A_DEAF_ONE) if lives else 0
        self.say(f"{unit.name} (pid {found.pid}) {how}")
        processes.end([(found.pid, found.started)], grace=grace, ask=component.ask, spare=others)
        self.give_up_or_retry(unit, "", now)

    def conclude(self, unit: Unit, now: float) -> None:
        """See whether a step is done."""
        done = self.stack.report(unit.name)
        if done:
            unit.settled, unit.well, unit.record = True, True, None
            self.say(f"{unit.name} done")
        elif done is False or unit.overdue(now):
            self.bury(unit, now)

    def give_up_or_retry(self, unit: Unit, reason: str, now: float) -> None:
        """Note a failure. A stack that never was ready is not kept half alive: it stops, and says why."""
        unit.failed(reason, now)
        if self.phase == "starting" and unit.failures >= ATTEMPTS:
            log = self.stack.log_of(unit.name)
            self.message = f"{unit.name} did not start. {unit.reason or f'The end of {log}:{_tail(log)}'}"
            self.stopping = True

    def records(self) -> dict[str, Record]:
        """Return the records of all that has a process."""
        return {
            name: replace(unit.record, healthy=unit.well, restarts=max(unit.starts - 1, 0))
            for name, unit in self.units.items()
            if unit.record
        }

    def remember(self, me: Record | None) -> None:
        """Write the state if it has changed."""
        well = [name for name, unit in self.units.items() if unit.well]
        snapshot = Snapshot(self.stack.runtime, self.phase, self.message, me, self.records(), well)
        if snapshot == self.written:
            return
        try:
            state.write_snapshot(snapshot)
            self.written = snapshot
        except OSError as error:  # a full disk must not end the one who could still stop everything
            self.say(f"state not written: {error}")

    def say(self, text: str) -> None:
        """Write to the supervisor's log; a disk that is full has no room for that either."""
        with suppress(OSError):
            print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)


def stop(records: Mapping[str, Record], spare: frozenset[int] = frozenset()) -> None:
    """Stop all these processes, PostgreSQL last: the others still want to say goodbye to it."""
    leaders = {name: (r.pid, r.started) for name, r in records.items()}
    server = leaders.pop("postgres", None)
    table = components.table()
    grace = max(component.grace for name, component in table.items() if name != "postgres")
    processes.end(leaders.values(), grace=grace, spare=spare)
    if server:
        postgres = table["postgres"]
        processes.end([server], grace=postgres.grace, ask=postgres.ask, spare=spare)


def leave_nothing(home: Path) -> None:
    """Kill whatever still carries our mark: what a task started in a session of its own, for instance."""
    for _ in range(3):
        left = processes.marked(home)
        if not left:
            return
        processes.kill(left)


def main() -> None:
    """Supervise the stack of this home folder."""
    home = state.home()
    with (home / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another supervisor runs here")
        try:
            _supervise(home)
        except NightshiftError as error:
            sys.exit(f"error: {error}")  # the last line of our log is what `up` shows


def _supervise(home: Path) -> None:
    # Orphans of a component come to us, so that they can be collected when they end.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = state.read_snapshot(home)
    extension = components.extension()
    known = credentials.keep(home, extension.databases)
    ports = endpoints.choose_ports(*_remembered(before), extension.services)
    runtime = endpoints.arrange(home, known, ports)
    for folder in ("logs", "airflow", "mlflow-artifacts"):
        (home / folder).mkdir(exist_ok=True)
    supervisor = Supervisor(Stack(runtime, known, extension))
    signal.signal(signal.SIGTERM, supervisor.stop_soon)
    signal.signal(signal.SIGINT, supervisor.stop_soon)
    supervisor.adopt(before)
    supervisor.run()


def _remembered(before: Snapshot | None) -> tuple[dict[str, int], frozenset[int]]:
    """Return the ports of last time, and those of them on which our own processes still listen."""
    if before is None:
        return {}, frozenset()
    ports = endpoints.ports_of(before.runtime)
    listeners = {"airflow": "api-server"}
    running = {name for name, left in before.components.items() if _lives(left)}
    return ports, frozenset(
        port for service, port in ports.items() if listeners.get(service, service) in running
    )


def _lives(found: Record) -> bool:
    return processes.alive(found.pid, found.started)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n" + "\n".join(lines[-LINES_SHOWN:])


if __name__ == "__main__":
    main()
