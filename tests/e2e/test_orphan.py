"""R5: the process that supervises a task dies, the task is run again, and the first try wakes up after that.

Airflow's LocalExecutor forks twice for a task: a supervisor that talks to the API, and below it the process
that runs our code. Killing the first leaves the second alone with whatever it was doing.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from e2e.conftest import MODEL, NIGHTS
from examples.nyc_flights.demo import Demo
from nightshift import processes
from nightshift.database import Database
from nightshift.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
DAG = f"score_{MODEL}"
TABLE = f"predictions.{MODEL}"
NIGHT = NIGHTS[0]
WAITING = """
SELECT pid, client_port FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND position(%s IN query) > 0
"""


def test_orphaned_try_writes_nothing_after_its_retry(loop: Demo) -> None:
    before = state_of_partition(loop)
    # Reading the ledger comes after taking the lease: the first try is held between the two.
    with held(loop, "LOCK TABLE governance.promotions IN ACCESS EXCLUSIVE MODE"):
        run_id = loop.api.trigger(DAG, conf={"batch_date": str(NIGHT), "downstream": "leave"})
        orphan = process_of(waiting(loop, "governance."))
        supervisor = processes.look(orphan.parent)
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: not processes.alive(supervisor.pid, supervisor.started), "the supervisor is dead")
        # Not before: a stopped process whose group is orphaned is hung up by the kernel.
        os.kill(orphan.pid, signal.SIGSTOP)
    run_again(loop, run_id)
    retried = state_of_partition(loop)
    assert retried["generation"] == before["generation"] + 2
    assert retried["holder"] == f"{run_id} (try 2)"
    assert retried["transactions"] != before["transactions"], "the retry replaced the partition"
    assert retried["rows"] == before["rows"]

    assert processes.alive(orphan.pid, orphan.started), "the orphan outlives its supervisor"
    with held(loop, "SELECT 1 FROM catalog.leases WHERE table_name = %s FOR UPDATE", (TABLE,)):
        os.kill(orphan.pid, signal.SIGCONT)
        # It goes on as if nothing had happened, up to the door of its write.
        waiting(loop, "catalog.leases")
    until(lambda: not processes.alive(orphan.pid, orphan.started), "the orphan has ended")
    assert state_of_partition(loop) == retried, "the orphan wrote"
    assert loop.api.run(DAG, run_id)["state"] == "success"


def run_again(loop: Demo, run_id: str) -> None:
    """Do what Airflow does when a task's heartbeat has been missing for long: give it up, and try again."""
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/score"
    loop.api.request("PATCH", path, json={"new_state": "failed"})
    loop.api.wait(DAG, run_id, 60)
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["score"], "include_downstream": True}
    loop.api.request("POST", f"/dags/{DAG}/clearTaskInstances", json={**body, "only_failed": False})
    loop.ended(DAG, loop.api.wait(DAG, run_id, 120))


def state_of_partition(loop: Demo) -> dict[str, Any]:
    """Return the lease, what the rows say, and which transactions wrote them: a rewrite would show."""
    found = loop.warehouse.row(
        "SELECT generation, holder, "
        f"(SELECT array_agg(DISTINCT xmin::text) FROM {TABLE} p WHERE p.batch_date = l.batch_date) AS transactions, "
        "(SELECT md5(string_agg(concat_ws('|', flight_id, arm, prediction, model_version), ',' "
        f"ORDER BY flight_id, arm)) FROM {TABLE} p WHERE p.batch_date = l.batch_date) AS rows "
        "FROM catalog.leases l WHERE table_name = %s AND batch_date = %s",
        (TABLE, NIGHT),
    )
    assert found is not None
    return found


@contextmanager
def held(loop: Demo, statement: str, values: tuple[Any, ...] = ()) -> Iterator[None]:
    """Hold the lock that ``statement`` takes, as somebody else's open transaction would."""
    connection = psycopg2.connect(loop.warehouse.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            yield
    finally:
        connection.close()


def waiting(loop: Demo, words: str) -> int:
    """Return the port of the client that waits for a lock in a statement that holds ``words``."""
    ports: list[int] = []

    def look() -> bool:
        ports[:] = [row["client_port"] for row in administrator(loop).rows(WAITING, (words,))]
        return bool(ports)

    until(look, f"a statement on {words} waits for a lock")
    assert len(ports) == 1
    return ports[0]


def administrator(loop: Demo) -> Database:
    """Return the warehouse as its server's administrator sees it: what another login runs is hidden from its owner."""
    password = json.loads((loop.runtime.home / "credentials.json").read_text())["postgres"]
    place = loop.warehouse.url.rpartition("@")[2]
    return Database(f"postgresql://postgres:{password}@{place}")


def process_of(port: int) -> Process:
    """Return the process whose TCP connection on the loopback address has this local port."""
    lines = map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    inode = next(line[9] for line in lines if line[1] == f"0100007F:{port:04X}")
    found = [p for p in processes.everyone() if f"socket:[{inode}]" in open_files(p.pid)]
    assert len(found) == 1, found
    return found[0]


def open_files(pid: int) -> set[str]:
    try:
        return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
