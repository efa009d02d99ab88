"""What is killed in the middle of its work is done by the next try: a task out of memory, and the whole machine."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from typing import Any

import psycopg2
import pytest
from integration.runtime.conftest import stack_in
from killing import child, task, until

from examples.nyc_flights.demo import Demo, load_history, set_aside
from nightshift import processes
from nightshift.calendar import DateRange
from nightshift.database import Database
from nightshift.runtime import control, state
from nightshift.runtime.api import Client
from nightshift.warehouse import Warehouse

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

MODEL, OTHER = (
    "late_arrival",
    "arrival_delay",
)  # of the first, a version of the winter would not be compared again
HISTORY = DateRange(date(2013, 1, 2), date(2013, 2, 6))
AS_OF, BEFORE, NIGHT = date(2013, 2, 4), date(2013, 2, 5), date(2013, 2, 6)
BUILD, SCORE, TABLE = "features_departure", f"score_{MODEL}", f"predictions.{MODEL}"
# A task whose machine is gone is missed after two minutes, and tried again within 40 seconds; the rest: busy cores.
SECONDS = 900


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Yield a running stack with a month of history."""
    with stack_in(tmp_path_factory.mktemp("killed") / "home") as runtime, Client.of(runtime) as api:
        demo = Demo(runtime, api, Warehouse(runtime.warehouse_url))
        set_aside(demo)
        load_history(demo, HISTORY)
        yield demo


def fits(loop: Demo, training: str) -> bool:
    """Whether the training has its run in MLflow, which begins with the fit."""
    with (
        closing(psycopg2.connect(loop.runtime.mlflow_database_url)) as connection,
        connection.cursor() as ask,
    ):
        ask.execute(
            "SELECT count(*) FROM tags WHERE (key, value) = ('nightshift.training_id', %s)", (training,)
        )
        return (ask.fetchone() or (0,))[0] == 1


def registered(loop: Demo, training: str) -> tuple[int, int]:
    """Return how many versions the ledger has of a training, and the registry of its run."""
    row = loop.warehouse.row(
        "SELECT count(*) AS versions, min(mlflow_run_id) AS run FROM governance.versions WHERE training_id = %s",
        (training,),
    )
    assert row is not None
    with (
        closing(psycopg2.connect(loop.runtime.mlflow_database_url)) as connection,
        connection.cursor() as ask,
    ):
        ask.execute("SELECT count(*) FROM model_versions WHERE run_id = %s", (row["run"],))
        return row["versions"], (ask.fetchone() or (0,))[0]


@contextmanager
def held(loop: Demo, statement: str) -> Iterator[None]:
    """Hold the lock that a statement takes."""
    with closing(psycopg2.connect(loop.warehouse.url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


def restart(loop: Demo) -> None:
    """End every process of the stack at once, the supervisor too, and start it as somebody would after the boot."""
    snapshot = state.read_snapshot(loop.runtime.home)
    assert snapshot is not None
    assert snapshot.supervisor is not None
    found = [snapshot.supervisor.pid, *(p.pid for p in processes.marked(loop.runtime.home))]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.marked(loop.runtime.home), "all are dead")
    began = time.monotonic()
    again, started = control.up()
    assert (again, started) == (loop.runtime, True)
    print(f"{len(found)} processes killed, up again in {time.monotonic() - began:.0f} s")


def test_a_fit_that_runs_out_of_memory_is_done_by_the_next_try_as_one_version(loop: Demo) -> None:
    train = f"train_{MODEL}"
    run_id = loop.api.trigger(train, conf={"as_of": str(AS_OF), "reason": "the first"})
    until(lambda: fits(loop, run_id), "the fit has begun", SECONDS)
    os.kill(child(loop.api, train, run_id, "fit"), signal.SIGKILL)
    loop.ended(train, loop.api.wait(train, run_id, SECONDS))
    assert task(loop.api, train, run_id, "fit")["try_number"] == 2
    assert registered(loop, run_id) == (1, 1)
    assert fits(loop, run_id), "one run"
    ledger = loop.warehouse.rows("SELECT version FROM governance.promotions WHERE model = %s", (MODEL,))
    assert ledger == [{"version": 1}]


def predicted(loop: Demo) -> dict[str, Any]:
    """Return what the partition of the night holds, and how many transactions wrote it."""
    row = loop.warehouse.row(
        "SELECT count(*) AS rows, count(DISTINCT flight_id) AS flights, count(DISTINCT xmin::text) AS written, "
        "md5(string_agg(concat_ws('|', flight_id, arm, prediction), ',' ORDER BY flight_id, arm)) AS hash "
        f"FROM {TABLE} WHERE batch_date = %s",
        (NIGHT,),
    )
    assert row is not None
    return row


def test_a_score_that_runs_out_of_memory_is_done_by_the_next_try_once(loop: Demo) -> None:
    leave = {"downstream": "leave"}
    loop.run(SCORE, conf={"batch_date": str(BEFORE), **leave})  # the table is there
    # What another login waits for is hidden from the warehouse's owner.
    server = Database(loop.runtime.admin_database_url)
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    with held(loop, f"LOCK TABLE {TABLE} IN SHARE MODE"):  # all is predicted, nothing written
        run_id = loop.api.trigger(SCORE, conf={"batch_date": str(NIGHT), **leave})
        until(lambda: server.rows(waits, (f"DELETE FROM%{MODEL}%",)), "the write waits", SECONDS)
        os.kill(child(loop.api, SCORE, run_id, "score"), signal.SIGKILL)
        assert predicted(loop)["rows"] == 0
    loop.ended(SCORE, loop.api.wait(SCORE, run_id, SECONDS))
    assert task(loop.api, SCORE, run_id, "score")["try_number"] == 2
    found = predicted(loop)
    flights = loop.warehouse.row("SELECT count(*) AS n FROM raw.flights WHERE batch_date = %s", (NIGHT,))
    assert flights is not None
    assert (found["rows"], found["flights"], found["written"]) == (flights["n"], flights["n"], 1)
    loop.run(SCORE, conf={"batch_date": str(NIGHT), **leave})
    assert predicted(loop)["hash"] == found["hash"]


def built(loop: Demo) -> list[dict[str, Any]]:
    return loop.warehouse.rows(
        "SELECT batch_date, count(*) AS rows, md5(string_agg(f::text, ',' ORDER BY flight_id)) AS hash "
        "FROM features.departure_v1 f GROUP BY 1 ORDER BY 1"
    )


def leases(loop: Demo) -> int:
    row = loop.warehouse.row(
        "SELECT sum(generation)::int AS n FROM catalog.leases WHERE table_name = 'features.departure_v1'"
    )
    assert row is not None
    return int(row["n"])


def test_a_machine_that_restarts_in_a_build_goes_on_with_it(loop: Demo) -> None:
    before, taken = built(loop), leases(loop)
    asked = {"batch_date": str(HISTORY.first), "until": str(HISTORY.last), "downstream": "leave"}
    run_id = loop.api.trigger(BUILD, conf=asked)
    until(lambda: leases(loop) > taken, "the build has begun")
    assert task(loop.api, BUILD, run_id, "build")["state"] == "running"
    restart(loop)
    loop.ended(BUILD, loop.api.wait(BUILD, run_id, SECONDS))
    assert task(loop.api, BUILD, run_id, "build")["try_number"] == 2
    assert built(loop) == before


def test_a_machine_that_restarts_in_a_fit_goes_on_to_the_decision_with_one_version(loop: Demo) -> None:
    train = f"train_{OTHER}"
    run_id = loop.api.trigger(train, conf={"as_of": str(AS_OF), "reason": "the first"})
    until(lambda: fits(loop, run_id), "the fit has begun", SECONDS)
    assert task(loop.api, train, run_id, "fit")["state"] == "running"
    restart(loop)
    decided = "SELECT challenger FROM governance.decisions WHERE training_id = %s"
    until(lambda: loop.warehouse.rows(decided, (run_id,)), "the version is judged", SECONDS)
    # A second try may find MLflow not up yet.
    assert task(loop.api, train, run_id, "fit")["try_number"] in {2, 3}
    assert registered(loop, run_id) == (1, 1)
    assert loop.warehouse.rows(decided, (run_id,)) == [{"challenger": 1}]
