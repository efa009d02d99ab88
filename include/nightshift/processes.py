"""Processes: told apart by pid *and* start time, ended by session, never by name.

Every component leads a session of its own. Airflow puts each task into a process group of its own but
leaves it in the session, so the session is what must be ended. A shell task may even start a session of
its own: the descendants of a session's members are ended with it. What is left when a parent died first
carries a mark in its environment, which only the supervisor sets.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MARK = "NIGHTSHIFT_SUPERVISED"


@dataclass(frozen=True)
class Process:
    """One living process, as /proc shows it."""

    pid: int
    parent: int
    session: int
    started: int  # clock ticks after boot
    zombie: bool


def look(pid: int) -> Process | None:
    """Return the process ``pid``, or None if there is none. A zombie is returned as such."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses: count from the last one.
    fields = text.rpartition(")")[2].split()
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in "ZX")


def everyone() -> list[Process]:
    """Return all living processes, zombies left out."""
    seen = (look(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for process in seen if process and not process.zombie]


def alive(pid: int, started: int) -> bool:
    """Whether the very process that was recorded still runs (the pid may have been given away since)."""
    process = look(pid)
    return process is not None and not process.zombie and process.started == started


def age(started: int) -> float:
    """Return for how many seconds a process has run that started so many ticks after boot, by no clock that is set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def session_of(pid: int, started: int, spare: frozenset[int] = frozenset()) -> list[Process]:
    """Return the living members of the session that process led, and all their descendants.

    The leader may be gone: the kernel gives its pid to nobody else while members of the session live.
    ``spare`` are sessions to leave out: a launcher's forks are its children, and are not to end with it.
    """
    leader = look(pid)
    if pid <= 1 or started <= 0 or (leader is not None and leader.started != started):
        return []
    processes = [p for p in everyone() if p.session not in spare]
    members = {p.pid: p for p in processes if p.session == pid and p.started >= started}
    grown = True
    while grown:
        children = {p.pid: p for p in processes if p.parent in members and p.pid not in members}
        members |= children
        grown = bool(children)
    return list(members.values())


def marked(home: Path) -> list[Process]:
    """Return the living processes which the supervisor of ``home`` started, directly or not."""
    mark = f"{MARK}={home}".encode()
    return [p for p in everyone() if p.pid != os.getpid() and mark in _environment(p.pid)]


def end(
    leaders: Iterable[tuple[int, int]],
    *,
    grace: float,
    ask: signal.Signals = signal.SIGTERM,
    spare: frozenset[int] = frozenset(),
) -> None:
    """Ask the leaders ``(pid, started)`` to stop; after ``grace`` seconds kill what is left of them."""
    leaders = list(leaders)
    members = [member for leader in leaders for member in session_of(*leader, spare)]
    for pid, started in leaders:
        if alive(pid, started):
            _signal(pid, ask)
    _wait_until_gone(leaders, grace)
    # Look again: a component may have started processes while it was stopping.
    members += [member for leader in leaders for member in session_of(*leader, spare)]
    kill(members)


def kill(members: Iterable[Process]) -> None:
    """Kill these processes, and wait until they are gone."""
    targets = {(m.pid, m.started) for m in members if alive(m.pid, m.started)}
    for pid, _ in targets:
        _signal(pid, signal.SIGKILL)
    _wait_until_gone(targets, 5)


def reap() -> None:
    """Collect our own dead children and the orphans that were handed to us."""
    for task in (PROC / "self" / "task").iterdir():
        children = (task / "children").read_text().split()
        for pid in map(int, children):
            child = look(pid)
            if child and child.zombie:
                _collect(pid)


def memory(pids: Iterable[int]) -> int:
    """Return the bytes these processes hold: shared pages are divided by how many share them."""
    return sum(_proportional(pid) for pid in pids)


def _proportional(pid: int) -> int:
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (PROC / str(pid) / name).read_text().splitlines()
        except OSError:
            continue
        found = [line for line in lines if line.startswith(key)]
        if found:
            return int(found[0].split()[1]) * 1024
    return 0


def _wait_until_gone(leaders: Iterable[tuple[int, int]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    waiting = list(leaders)
    while waiting and time.monotonic() < deadline:
        for pid, _ in waiting:
            _collect(pid)
        waiting = [leader for leader in waiting if alive(*leader)]
        if waiting:
            time.sleep(0.05)


def _collect(pid: int) -> None:
    with suppress(ChildProcessError):  # not ours to collect
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
