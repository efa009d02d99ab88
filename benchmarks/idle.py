"""What a stack costs that does nothing: the share of one core, and the memory, of each component.

    PYTHONPATH=. python benchmarks/idle.py [SECONDS]

Starts a stack of its own in a folder of its own, with the example's DAGs; waits until all of them are parsed and two
minutes more, for what happens only after a start. Then it counts CPU-seconds of every process for 90 seconds, those of
processes that came and went within their parents', and proportional memory (PSS) at the end. Exit code 1 above the bar.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from nightshift import processes
from nightshift.processes import Process
from nightshift.runtime import control, endpoints, state
from nightshift.runtime.api import Client
from nightshift.specs import load_project
from nightshift.specs.derived import dag_id

SECONDS, SETTLED = 90, 120
SHARE, GIB = 0.25, 2.0
TICKS = os.sysconf("SC_CLK_TCK")


def of_each(home: Path) -> dict[str, list[Process]]:
    """Return the processes of each component, of the supervisor, and what else carries the stack's mark."""
    snapshot = state.read_snapshot(home)
    if snapshot is None or snapshot.supervisor is None:
        sys.exit("the stack does not run")
    leaders = {record.pid: name for name, record in snapshot.components.items()}
    leaders[snapshot.supervisor.pid] = "supervisor"
    found: dict[str, list[Process]] = {}
    marked = {process.pid for process in processes.marked(home)}
    for process in processes.everyone():
        # PostgreSQL's lead sessions of their own, and have written over their mark.
        name = leaders.get(process.session) or leaders.get(process.parent)
        if name or process.pid in marked:
            found.setdefault(name or "others", []).append(process)
    return found


def seconds(process: Process) -> float:
    """Return the CPU-seconds of a process and of its children that have ended."""
    try:
        text = Path(f"/proc/{process.pid}/stat").read_text()
    except OSError:
        return 0.0
    return sum(map(int, text.rpartition(")")[2].split()[11:15])) / TICKS


def spent(home: Path) -> dict[tuple[str, int], float]:
    """Return the CPU-seconds so far, by component and process."""
    return {(name, process.pid): seconds(process) for name, each in of_each(home).items() for process in each}


def settle(runtime: state.Runtime) -> None:
    """Wait until every DAG of the project is there, and for what a start leaves to do."""
    project = load_project()
    with Client.of(runtime) as airflow:
        airflow.wait_for_dags({dag_id("collect", source) for source in project.sources.values()})
    time.sleep(SETTLED)


def measure(home: Path, length: float) -> bool:
    """Print what each component takes, and return whether all of them together keep the bar."""
    before, began = spent(home), time.monotonic()
    time.sleep(length)
    took = time.monotonic() - began
    shares: dict[str, float] = {}
    for (name, pid), after in spent(home).items():
        # What was forked meanwhile began at nothing.
        shares[name] = shares.get(name, 0.0) + (after - before.get((name, pid), 0.0)) / took
    held = {name: processes.memory(p.pid for p in each) / 2**30 for name, each in of_each(home).items()}
    for name in sorted(held, key=lambda name: -held[name]):
        print(f"{name:14} {shares.get(name, 0):6.1%} of a core {held[name]:6.2f} GiB")
    share, gib = sum(shares.values()), sum(held.values())
    print(f"{'in all':14} {share:6.1%} of a core {gib:6.2f} GiB; bar {SHARE:.0%}, {GIB:g} GiB")
    return share <= SHARE and gib <= GIB


def main(arguments: list[str]) -> int:
    """Start a stack, measure it, and take it away."""
    with tempfile.TemporaryDirectory(prefix="nightshift-idle-") as folder:
        os.environ["NIGHTSHIFT_HOME"] = str(Path(folder) / "home")
        os.environ |= {
            f"NIGHTSHIFT_{name.upper()}_PORT": str(endpoints.any_free_port()) for name in endpoints.PREFERRED
        }
        try:
            runtime, _ = control.up()
            settle(runtime)
            return 0 if measure(runtime.home, float(arguments[0]) if arguments else SECONDS) else 1
        finally:
            control.purge()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
