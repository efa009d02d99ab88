"""Start and stop the stack from outside: `nightshift up` and `nightshift down`, without the printing."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nightshift import processes
from nightshift.database import Database
from nightshift.errors import NotReady
from nightshift.records import doctor as records
from nightshift.root import INCLUDE
from nightshift.runtime import components, databases, postgres, state, supervisor
from nightshift.runtime.credentials import CREDENTIALS
from nightshift.runtime.state import Record, Runtime, Snapshot
from nightshift.warehouse.migrate import newest_revision

SECONDS_TO_START = 300
SECONDS_TO_STOP = 90
BYTES_NEEDED = 1 << 30
# What the stack makes below its home, beside what the project adds; of files also what is written beside them.
FOLDERS = ("airflow", "binaries", "logs", "mlflow-artifacts", "objects", "postgres")
FILES = (CREDENTIALS, "airflow-passwords.json", "initial-password", "mlflow-auth.ini", "supervisor.lock")

Watcher = Callable[[Snapshot], None]
# A supervisor outlives the command that launched it; Python complains about a child that is forgotten.
_LAUNCHED: list[subprocess.Popen[bytes]] = []


def up(watch: Watcher = lambda snapshot: None) -> tuple[Runtime, bool]:
    """Start the stack unless it runs, wait until all is well; return it, and whether this started it.

    ``watch`` is called with each new state while waiting.

    Raises:
        NotReady: it did not start; the message says what is in the way.
    """
    home = state.home()
    check_machine(home)
    components.table()  # what is wrong with it is said here, not in the supervisor's log
    snapshot = state.read_snapshot(home)
    running = _supervisor(snapshot)
    if running and snapshot:
        _require_same_engine(snapshot.runtime)
    pid = running.pid if running else _launch(home)
    return _wait_until_ready(home, pid, watch), running is None


def _require_same_engine(runtime: Runtime) -> None:
    """Raise NotReady if the stack that runs was started by an engine with other tables: its processes have its code."""
    if not databases.answers(runtime.warehouse_url):
        return  # it is not ready yet, or unwell: neither is this one's to say
    there = Database(runtime.warehouse_url).one(records.HAS_REVISION)
    row = Database(runtime.warehouse_url).one(records.REVISION) if there and there.found else None
    newest = newest_revision()
    if row is not None and row.version_num != newest:
        raise NotReady(
            f"the stack that runs here was started by another version: its warehouse is at revision {row.version_num}, "
            f"this engine's is {newest}. Run `nightshift down`, then `nightshift up`: that migrates"
        )


def running() -> Runtime:
    """Return the runtime of the stack that runs here. Raises NotReady if none does."""
    snapshot = state.read_snapshot(state.home())
    if snapshot is None or not is_supervised(snapshot):
        raise NotReady("nothing runs here; start it with `nightshift up`")
    return snapshot.runtime


def down(watch: Watcher = lambda snapshot: None) -> bool:
    """Stop the stack and everything it left; return whether there was anything to stop."""
    home = state.home()
    snapshot = state.read_snapshot(home)
    running = _supervisor(snapshot)
    if running:
        os.kill(running.pid, signal.SIGTERM)
        _wait_until_gone(running, home, watch)
    # The supervisor leaves nothing; but it may have been killed, now or long ago.
    left = _left(home)
    if left:
        supervisor.stop(left.components)
    supervisor.leave_nothing(home)
    if left:
        state.write_snapshot(Snapshot(runtime=left.runtime, phase="stopped"))
    return running is not None or left is not None


def purge() -> list[Path]:
    """Stop the stack and delete all its data; return what was deleted: of a home that holds others' files too, ours.

    NIGHTSHIFT_HOME may point anywhere, also at what is dear.
    """
    down()
    home = state.home()
    gone = [folder for folder in [postgres.shelter(home)] if folder.is_dir()]  # whose name is ours
    within: list[Path] = []
    # Only where we ran. It is the last to go, so that what is cut short can be repeated.
    if (home / "runtime.json").exists():
        names = [*FOLDERS, *components.extension().folders, *(f"{file}*" for file in FILES), "runtime.json*"]
        within = [path for name in names for path in home.glob(name)]
    for path in (*gone, *within):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if within and not any(home.iterdir()):
        home.rmdir()
        within = [home]
    return gone + within


def is_supervised(snapshot: Snapshot | None) -> bool:
    """Whether a supervisor watches over this stack now."""
    return _supervisor(snapshot) is not None


def runs(snapshot: Snapshot) -> bool:
    """Whether anything of the stack lives: when its supervisor was killed, all that it started runs on."""
    return is_supervised(snapshot) or bool(living(snapshot))


def living(snapshot: Snapshot) -> list[str]:
    """Return the names of the components that live."""
    return [name for name, r in snapshot.components.items() if processes.alive(r.pid, r.started)]


def require_ours(home: Path) -> None:
    """Raise NotReady if what we would write to, and purge, was there before our first start: `~/airflow`, `~/logs`."""
    if (home / CREDENTIALS).exists():
        return
    ours = home / "logs" / "supervisor.log"  # of a start that was cut short
    theirs = [
        home / name
        for name in (*FOLDERS, *components.extension().folders)
        if {*(home / name).glob("*")} - {ours}
    ]
    if theirs:
        raise NotReady(
            f"{', '.join(map(str, theirs))}: there already, and not ours; set NIGHTSHIFT_HOME to a folder of its own"
        )


def check_machine(home: Path) -> None:
    """Raise NotReady, with what to do about it, if the stack cannot run here."""
    if platform.system() != "Linux":
        raise NotReady("the local runtime needs Linux; elsewhere: docker compose up")
    require_ours(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Others may pass through, to the database server's folder; every file inside is private by itself.
        home.chmod(0o711)
    except OSError as error:
        raise NotReady(f"{home}: {error.strerror}; set NIGHTSHIFT_HOME to a folder you own") from error
    free = shutil.disk_usage(home).free
    if free < BYTES_NEEDED:
        raise NotReady(f"{home}: only {free >> 20} MB free on this disk; {BYTES_NEEDED >> 20} MB are needed")


def _launch(home: Path) -> int:
    """Start the supervisor, detached from this terminal."""
    logs = home / "logs"
    logs.mkdir(exist_ok=True, mode=0o700)
    with (logs / "supervisor.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "nightshift.runtime.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=home,
            umask=0o077,
            env={
                **os.environ,
                "NIGHTSHIFT_HOME": str(home),
                "NIGHTSHIFT_INCLUDE": str(INCLUDE.absolute()),
                "PYTHONUNBUFFERED": "1",
            },
        )
    _LAUNCHED.append(child)
    return child.pid


def _wait_until_ready(home: Path, pid: int, watch: Watcher) -> Runtime:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        snapshot = state.read_snapshot(home)
        # What a former supervisor wrote does not count.
        if snapshot and snapshot.supervisor and snapshot.supervisor.pid == pid:
            watch(snapshot)
            if snapshot.phase == "ready":
                return snapshot.runtime
        elif _has_ended(pid):
            raise NotReady(_why(home, snapshot))
        time.sleep(0.2)
    raise NotReady(f"not ready after {SECONDS_TO_START} s; see `nightshift status` and `nightshift logs`")


def _has_ended(pid: int) -> bool:
    process = processes.look(pid)
    return process is None or process.zombie


def _why(home: Path, snapshot: Snapshot | None) -> str:
    if snapshot and snapshot.phase == "failed":
        return snapshot.message
    log = home / "logs" / "supervisor.log"
    lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
    return "\n".join([f"the supervisor ended; the end of {log}:", *lines])


def _wait_until_gone(running: Record, home: Path, watch: Watcher) -> None:
    deadline = time.monotonic() + SECONDS_TO_STOP
    while processes.alive(running.pid, running.started) and time.monotonic() < deadline:
        snapshot = state.read_snapshot(home)
        if snapshot:
            watch(snapshot)
        time.sleep(0.1)
    processes.end([(running.pid, running.started)], grace=0)


def _supervisor(snapshot: Snapshot | None) -> Record | None:
    found = snapshot.supervisor if snapshot else None
    return found if found and processes.alive(found.pid, found.started) else None


def _left(home: Path) -> Snapshot | None:
    """Return the state if it still names processes."""
    snapshot = state.read_snapshot(home)
    return snapshot if snapshot and snapshot.components else None
