"""What tests that kill a task in the middle need: its process, and to wait for the middle."""

import time
from collections.abc import Callable
from typing import Any

from nightshift import processes
from nightshift.runtime.api import Client


def until(true: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def task(api: Client, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """Return a task of a run."""
    return next(t for t in api.task_instances(dag_id, run_id) if t["task_id"] == task_id)


def child(api: Client, dag_id: str, run_id: str, task_id: str) -> int:
    """Return the process that runs a task's code, which has the largest memory: the kernel would choose it."""
    title = f"airflow worker -- {task(api, dag_id, run_id, task_id)['id']}"
    (found,) = [p.pid for p in processes.everyone() if title in shown(p.pid)]
    return found


def shown(pid: int) -> str:
    """Return the command line of a process, empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:
        return ""
