"""The supervisor's rounds: none ends it; what a launcher forks for it runs one at a time, and how it ended is told."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nightshift import processes
from nightshift.runtime import endpoints, log_files, state
from nightshift.runtime.credentials import Credentials
from nightshift.runtime.stack import Extension, Stack
from nightshift.runtime.supervisor import SECONDS_BETWEEN_HOUSEKEEPING, Supervisor

# The launcher without its imports; what it forks waits for a file, and does what that says.
LAUNCHER = """
import os, socket, sys, time
from pathlib import Path
from nightshift.runtime.airflow_launcher import serve

order = serve(socket.socket(fileno=int(sys.argv[1])))
answer = Path(sys.argv[2])
while order and not answer.exists():
    time.sleep(0.02)
if order:
    if answer.read_text() == "fail":
        sys.exit("the database said no")
    os.write(order.descriptors[0], b"done")
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Yield a supervisor, not running, with PostgreSQL well and a launcher that forks."""
    known = Credentials()
    runtime = endpoints.arrange(tmp_path, known, {**endpoints.PREFERRED})
    stack = Stack(runtime, known, Extension())
    (tmp_path / "logs").mkdir()
    with stack.open_control("ml-launcher") as theirs:
        number = theirs.fileno()
        command = [sys.executable, "-c", LAUNCHER, str(number), str(tmp_path / "answer")]
        launcher = subprocess.Popen(command, pass_fds=(number,))
    wait(lambda: stack.is_ready("ml-launcher"))
    found = Supervisor(stack)
    for name in ("postgres", "ml-launcher"):
        found.units[name].well = True
    yield found
    stack.close_control("ml-launcher")
    launcher.wait(10)


def wait(until: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def due(supervisor: Supervisor, now: float) -> None:
    supervisor.watch_at, supervisor.house_at = now + 1, now
    supervisor.go_round(now)


@pytest.mark.parametrize(("answer", "told"), [("done", " done"), ("fail", "failed. The end of ")])
def test_a_house_is_kept_by_one_at_a_time_and_how_it_ended_is_told(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str, told: str
) -> None:
    due(supervisor, 100.0)
    first = supervisor.keeping
    assert first is not None
    assert supervisor.house_at == 100.0 + SECONDS_BETWEEN_HOUSEKEEPING
    due(supervisor, 200.0)
    assert supervisor.keeping == first, "it still runs: nobody was started beside it"
    assert processes.alive(first.pid, first.started)
    assert capsys.readouterr().out == ""
    (tmp_path / "answer").write_text(answer)
    supervisor.house_at = 1000.0
    wait(lambda: supervisor.go_round(300.0) or not supervisor.keeping)
    said = capsys.readouterr().out
    assert f"housekeeping (pid {first.pid}) {told.strip()}" in said
    assert ("the database said no" in said) == (answer == "fail")
    due(supervisor, 400.0)
    assert supervisor.keeping not in (None, first)
    wait(lambda: supervisor.go_round(500.0) or not supervisor.keeping)


def test_housekeeping_waits_for_who_does_it(supervisor: Supervisor) -> None:
    supervisor.units["ml-launcher"].well = False
    due(supervisor, 100.0)
    assert (supervisor.keeping, supervisor.house_at) == (None, 100.0)


def test_a_round_that_goes_wrong_is_told_once_and_the_next_is_done(
    supervisor: Supervisor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def go_wrong(folder: Path) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(folder))

    monkeypatch.setattr(log_files, "bound", go_wrong)
    supervisor.units.clear()
    supervisor.examine_at = math.inf
    for _ in range(2):
        supervisor.bound_at = 0
        supervisor.go_on()
    assert capsys.readouterr().out.count("[Errno 2]") == 1
    assert state.read_snapshot(tmp_path) is None
    supervisor.go_on()
    written = state.read_snapshot(tmp_path)
    assert written is not None
    assert written.phase == "ready"


def test_a_disk_without_room_for_state_and_log_does_not_end_it(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.units.clear()
    supervisor.examine_at = math.inf
    in_the_way = tmp_path / f"runtime.json.{os.getpid()}"
    in_the_way.mkdir()
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", os.fdopen(os.dup(full.fileno()), "w", 1))
        supervisor.go_on()
        with pytest.raises(OSError, match="No space left"):
            sys.stdout.close()
    in_the_way.rmdir()
    supervisor.go_on()
    assert state.read_snapshot(tmp_path) is not None
