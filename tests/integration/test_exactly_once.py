"""At-least-once tasks, exactly-once effect per (table, partition): crashes, races and overtaken tries."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from importlib import import_module
from textwrap import dedent
from threading import Barrier, Event
from time import monotonic, sleep

import pandas as pd
import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import Superseded
from nightshift.stages import Platform, Try, features
from nightshift.types import content_sha256
from nightshift.warehouse import (
    Table,
    Warehouse,
    feature_table,
    prediction_table,
    quarantine_table,
    raw_table,
)
from nightshift.warehouse.database import DDL_LOCK

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
NIGHT = date(2013, 2, 6)
ONE = DateRange(NIGHT, NIGHT)
DAY = timedelta(days=1)
TABLE = Table(
    "raw", "things", {"batch_date": "date", "name": "string", "size": "float"}, ("batch_date", "name")
)


def rows(count: int, size: float, night: date = NIGHT) -> pd.DataFrame:
    return pd.DataFrame(
        {"batch_date": pd.Timestamp(night), "name": [f"n{i:07}" for i in range(count)], "size": size}
    )


def write(
    warehouse: Warehouse, frame: pd.DataFrame, holder: str = "test", nights: list[date] | None = None
) -> None:
    with warehouse.write(warehouse.lease(TABLE, nights or [NIGHT], holder)) as opened:
        opened.replace(TABLE, frame)


def read_predictions(platform: Platform, night: date = NIGHT) -> pd.DataFrame:
    model = platform.project.model(MODEL)
    table = prediction_table(model, platform.project.feature_set(model.features))
    platform.warehouse.ensure(table)
    return platform.warehouse.read(table, night, night)


# R1, R2: run again


def test_scoring_a_night_three_times_leaves_the_same_rows(loop: Platform) -> None:
    found = []
    for number in range(3):
        stages.score(loop, MODEL, ONE, Try(f"run {number}"))
        predictions = read_predictions(loop)
        assert set(predictions["run_id"]) == {f"run {number}"}
        found.append((content_sha256(predictions.drop(columns="run_id")), len(predictions)))
    assert found[0][1] > 500
    assert found == found[:1] * 3
    recorded = loop.warehouse.row(
        "SELECT row_count FROM catalog.prediction_batches WHERE model = %s AND batch_date = %s",
        (MODEL, NIGHT),
    )
    assert recorded == {"row_count": found[0][1]}


def test_a_night_scored_alone_or_in_a_range_gives_the_same_rows(loop: Platform) -> None:
    stages.score(loop, MODEL, DateRange(NIGHT - DAY, NIGHT + DAY), Try("range"))
    in_a_range = read_predictions(loop).drop(columns="run_id")
    stages.score(loop, MODEL, ONE, Try("alone"))
    pd.testing.assert_frame_equal(read_predictions(loop).drop(columns="run_id"), in_a_range)


def test_what_is_gone_upstream_is_gone_after_another_run(loop: Platform, ops) -> None:
    served = ops.serve(loop)
    asked = Try("again")

    def run() -> list[set[str]]:
        stages.collect(served, "flights", ONE, asked)
        stages.validate(served, "flights", ONE, asked)
        stages.build_features(served, "departure", ONE, asked)
        stages.score(served, MODEL, ONE, asked)
        tables = [
            raw_table(served.project.source("flights")),
            feature_table(served.project.feature_set("departure")),
        ]
        frames = [served.warehouse.read(table, NIGHT, NIGHT) for table in tables]
        return [set(frame["flight_id"]) for frame in [*frames, read_predictions(served)]]

    before = run()
    assert len(before[0]) > 500
    removed = ops.run(
        "DELETE FROM ops.schedule WHERE flight_id IN (SELECT flight_id FROM ops.schedule WHERE flight_date = %s "
        "ORDER BY md5(flight_id) LIMIT (SELECT count(*) / 10 FROM ops.schedule WHERE flight_date = %s))",
        (NIGHT, NIGHT),
    )
    after = run()
    assert removed > 50
    for earlier, later in zip(before, after, strict=True):
        assert later < earlier
        assert len(earlier - later) == removed


# R3: a reader beside a writer


def test_a_reader_sees_old_complete_or_new_complete_and_nothing_between(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    most, rewrites = 50_000, 5
    write(warehouse, rows(most, 0.0))
    done, seen = Event(), []

    def poll() -> None:
        with warehouse.transaction() as cursor:
            cursor.connection.autocommit = True
            while not done.is_set():
                cursor.execute("SELECT count(*) AS n, min(size) AS low, max(size) AS high FROM raw.things")
                seen.append(tuple(cursor.fetchone().values()))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(poll)
        try:
            for generation in range(1, rewrites + 1):
                write(warehouse, rows(most + generation, float(generation)))
        finally:
            done.set()
        reader.result()
    complete = {(most + g, float(g), float(g)) for g in range(rewrites + 1)}
    assert set(seen) <= complete
    assert [state[1] for state in seen] == sorted(state[1] for state in seen), "a reader went back in time"
    assert len(set(seen)) >= 3, "the reader was too slow to see anything"


# R4, R5: killed, or overtaken

WRITER = """
import sys
from datetime import date
import numpy as np, pandas as pd
from nightshift.errors import Superseded
from nightshift.warehouse import Table, Warehouse

url, count = sys.argv[1], int(sys.argv[2])
night = date(2013, 2, 6)
table = Table("raw", "things", {"batch_date": "date", "name": "string", "size": "float"}, ("batch_date", "name"))
warehouse = Warehouse(url)
frame = pd.DataFrame({"batch_date": night, "name": np.char.add("n", np.arange(count).astype(str)), "size": -1.0})
lease = warehouse.lease(table, [night], "orphan")
print("leased", flush=True)
sys.stdin.readline()
try:
    with warehouse.write(lease) as write:
        write.replace(table, frame)
except Superseded as refused:
    print(f"refused: {refused}", flush=True)
    sys.exit(3)
print("written", flush=True)
"""


@contextmanager
def writer(warehouse: Warehouse, count: int) -> Iterator[subprocess.Popen]:
    """Start a process that takes the lease of NIGHT and waits for a line before it writes."""
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(WRITER), warehouse.url, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "leased\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.005)


def test_a_writer_killed_in_mid_copy_leaves_the_old_partition_and_the_retry_succeeds(
    warehouse: Warehouse,
) -> None:
    warehouse.ensure(TABLE)
    write(warehouse, rows(1000, 1.0))

    def copying() -> bool:
        found = warehouse.row(
            "SELECT tuples_processed > 1000 AS started FROM pg_stat_progress_copy WHERE relid = 'raw.things'::regclass"
        )
        return bool(found and found["started"])

    with writer(warehouse, 2_000_000) as process:
        process.stdin.write("go\n")
        process.stdin.flush()
        wait_for(copying)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(1000, 1.0), check_dtype=False)
    write(warehouse, rows(900, 2.0), "retry")
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(900, 2.0), check_dtype=False)


def test_an_orphan_that_wakes_after_the_retry_finished_is_refused(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    with writer(warehouse, 5000) as orphan:
        write(warehouse, rows(1000, 2.0), "retry")
        told, _ = orphan.communicate("go\n", timeout=30)
        assert orphan.returncode == 3
    assert (
        "refused: raw.things, 2013-02-06: 'retry' has taken generation 2; this try ('orphan') holds 1" in told
    )
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(1000, 2.0), check_dtype=False)


def test_an_orphan_that_writes_before_the_retry_does_no_harm_either(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    with writer(warehouse, 5000) as orphan:
        orphan.communicate("go\n", timeout=30)
        assert orphan.returncode == 0
    write(warehouse, rows(1000, 2.0), "retry")
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(1000, 2.0), check_dtype=False)


# By import_module: `stages` has functions of these names.
COLLECT, SCORE = (import_module(f"nightshift.stages.{name}") for name in ("collect", "score"))
OVERTAKEN: dict[str, tuple[object, str, Callable[[Platform, Try], object]]] = {
    # What a stage calls once it has its lease, and the stage.
    "validate": (COLLECT, "landed", lambda p, asked: stages.validate(p, "flights", ONE, asked)),
    "features": (features, "_inputs", lambda p, asked: stages.build_features(p, "departure", ONE, asked)),
    "score": (SCORE, "feature_contents", lambda p, asked: stages.score(p, MODEL, ONE, asked)),
}


@pytest.mark.parametrize("name", OVERTAKEN)
def test_a_stage_overtaken_while_it_computes_writes_nothing(
    loop: Platform, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, reads, stage = OVERTAKEN[name]
    read = getattr(module, reads)
    stages.collect(loop, "flights", ONE, Try("night"))

    def overtaken(*arguments: object) -> object:
        found = read(*arguments)
        monkeypatch.setattr(module, reads, read)
        stage(loop, Try("night", 2))  # the retry runs from start to end while the first try holds its rows
        return found

    monkeypatch.setattr(module, reads, overtaken)
    with pytest.raises(
        Superseded, match=r"'night \(try 2\)' has taken generation .* this try \('night \(try 1\)'\)"
    ):
        stage(loop, Try("night", 1))


# R6: at once


def test_writers_of_the_same_and_of_overlapping_ranges_at_once_leave_one_whole_content(
    warehouse: Warehouse,
) -> None:
    warehouse.ensure(TABLE)
    count = 1000
    first = [NIGHT, NIGHT + DAY, NIGHT + 2 * DAY]
    ranges = {1.0: first, 2.0: [night + DAY for night in first], 3.0: [NIGHT + 2 * DAY]}
    for number in range(20):
        starting = Barrier(len(ranges))

        def attempt(size: float, starting: Barrier = starting, holder: str = f"round {number}") -> bool:
            frame = pd.concat([rows(count, size, night) for night in ranges[size]])
            starting.wait()
            try:
                write(warehouse, frame, f"{holder}, writer {size}", ranges[size])
            except Superseded:
                return False
            return True

        with ThreadPoolExecutor(len(ranges)) as pool:
            won = dict(zip(ranges, pool.map(attempt, ranges), strict=True))
        found = (
            warehouse.read(TABLE, NIGHT, NIGHT + 3 * DAY)
            .groupby("batch_date")["size"]
            .agg(["size", "min", "max"])
        )
        winners = {size for size, wrote in won.items() if wrote}
        assert winners, "everyone was refused"
        assert (found["size"] == count).all()
        assert (found["min"] == found["max"]).all(), "two writers share a partition"
        for size in winners:
            # Whoever wrote a range, and was not overwritten later, stands in all of it.
            assert all(found.loc[pd.Timestamp(night), "min"] in winners for night in ranges[size])
        assert len(warehouse.read(quarantine_table(), NIGHT, NIGHT)) == 0


def test_takers_of_long_overlapping_ranges_queue_up_without_deadlock(warehouse: Warehouse) -> None:
    year = [date(2013, 1, 1) + n * DAY for n in range(365)]
    takers, rounds = 4, 5

    def take(number: int) -> None:
        for n in range(rounds):
            dates = year[number:] + year[:number]
            warehouse.lease(TABLE, dates[:: (-1) ** (number + n)], f"taker {number}")

    with ThreadPoolExecutor(takers) as pool:
        list(pool.map(take, range(takers)))
    found = warehouse.rows("SELECT generation, count(*) AS n FROM catalog.leases GROUP BY 1")
    assert found == [{"generation": takers * rounds, "n": len(year)}]


def test_who_comes_during_a_write_waits_for_its_end(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    with ThreadPoolExecutor(1) as pool:
        with warehouse.write(warehouse.lease(TABLE, [NIGHT], "first")) as opened:
            opened.replace(TABLE, rows(1000, 1.0))
            second = pool.submit(write, warehouse, rows(900, 2.0), "second")
            wait_for(lambda: second.done() or waiting(warehouse))
            assert not second.done(), "the partition was taken from under an open write"
        second.result(30)
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(900, 2.0), check_dtype=False)


def test_two_first_nights_at_once_make_one_table(warehouse: Warehouse) -> None:
    with ThreadPoolExecutor(1) as pool:
        with warehouse.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            for statement in TABLE.ddl():
                cursor.execute(statement)
            second = pool.submit(warehouse.ensure, TABLE)
            wait_for(lambda: second.done() or waiting(warehouse))
        second.result(30)
    write(warehouse, rows(3, 1.0))


def waiting(warehouse: Warehouse) -> bool:
    """Return whether a connection to this database waits for a lock."""
    found = warehouse.row(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return found is not None


def test_a_write_that_fails_half_way_leaves_everything_as_it_was(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    write(warehouse, rows(10, 1.0))
    twice = pd.concat([rows(20, 2.0), rows(1, 3.0)])
    with pytest.raises(Exception, match="duplicate key"):
        write(warehouse, twice)
    pd.testing.assert_frame_equal(warehouse.read(TABLE, NIGHT, NIGHT), rows(10, 1.0), check_dtype=False)


def test_no_connection_is_left_behind(warehouse: Warehouse) -> None:
    warehouse.ensure(TABLE)
    write(warehouse, rows(10, 1.0))
    overtaken = warehouse.lease(TABLE, [NIGHT], "old")
    warehouse.lease(TABLE, [NIGHT], "new")
    with pytest.raises(Superseded), warehouse.write(overtaken):
        pass
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    statement = f"SELECT count(*) AS n FROM pg_stat_activity WHERE {others}"
    wait_for(lambda: warehouse.row(statement) == {"n": 0}, 5)


def test_the_urls_password_is_not_shown(warehouse: Warehouse) -> None:
    assert warehouse.url not in repr(warehouse)
