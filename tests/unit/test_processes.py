"""Processes are told apart by pid and start time, and ended with everything they started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightshift import processes

SLEEP = "import time; time.sleep(60)"
# A leader, a child in a process group of its own (as Airflow's tasks), and one in a session of its own.
FAMILY = f"""
import subprocess, sys, time
same = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], process_group=0)
other = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
print(same.pid, other.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def leader() -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, processes.MARK: "/some/home"}
    child = subprocess.Popen(
        [sys.executable, "-c", FAMILY],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    yield child
    processes.kill(processes.marked(Path("/some/home")))
    child.wait()
    assert child.stdout
    child.stdout.close()


def family(leader: "subprocess.Popen[str]") -> list[int]:
    assert leader.stdout
    return [leader.pid, *map(int, leader.stdout.readline().split())]


def started(pid: int) -> int:
    found = processes.look(pid)
    assert found is not None
    return found.started


def are_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [p for p in map(processes.look, pids) if p and not p.zombie]
        if not left:
            return True
        time.sleep(0.05)
    return False


def test_a_reused_pid_is_not_mistaken_for_the_recorded_process() -> None:
    me = os.getpid()
    assert processes.alive(me, started(me))
    assert not processes.alive(me, started(me) - 1)
    assert processes.session_of(me, started(me) - 1) == []


def test_a_dead_process_is_not_alive_even_before_it_is_collected() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    at = started(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert not processes.alive(child.pid, at)
    child.wait()


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_no_session_is_ever_taken_for_pids_that_are_nobodys(pid: int) -> None:
    assert processes.session_of(pid, 1) == []


def test_a_process_that_was_never_seen_has_no_session() -> None:
    assert processes.session_of(os.getpid(), 0) == []


def test_a_session_is_its_members_and_their_descendants(leader: "subprocess.Popen[str]") -> None:
    pids = family(leader)
    found = processes.session_of(leader.pid, started(leader.pid))
    assert {p.pid for p in found} == set(pids)


def test_a_spared_session_is_left_out(leader: "subprocess.Popen[str]") -> None:
    first, same, other = family(leader)
    found = processes.session_of(first, started(first), frozenset({other}))
    assert {p.pid for p in found} == {first, same}


def test_ending_a_leader_ends_its_descendants_too(leader: "subprocess.Popen[str]") -> None:
    pids = family(leader)
    processes.end([(leader.pid, started(leader.pid))], grace=2)
    assert are_gone(pids)


def test_the_session_of_a_killed_leader_is_still_ended(leader: "subprocess.Popen[str]") -> None:
    first, same, _ = family(leader)
    at = started(first)
    os.kill(first, signal.SIGKILL)
    leader.wait()
    processes.end([(first, at)], grace=0)
    assert are_gone([first, same])


def test_a_leader_that_ignores_the_request_is_killed() -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEP}"
    with subprocess.Popen(
        [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout
        child.stdout.readline()
        processes.end([(child.pid, started(child.pid))], grace=0.2)
        assert are_gone([child.pid])


def test_a_stale_record_ends_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as child:
        processes.end([(child.pid, started(child.pid) - 1)], grace=0)
        assert child.poll() is None
        child.kill()


def test_what_carries_our_mark_is_found_and_nothing_else(leader: "subprocess.Popen[str]") -> None:
    pids = family(leader)
    assert {p.pid for p in processes.marked(Path("/some/home"))} == set(pids)
    assert processes.marked(Path("/some")) == []


def test_memory_of_a_living_process_is_read() -> None:
    assert processes.memory([os.getpid()]) > 1 << 20
    assert processes.memory([1 << 30]) == 0
