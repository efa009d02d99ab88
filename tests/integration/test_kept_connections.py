"""A task keeps one connection of each driver between its transactions, each of which is as if it had its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nightshift.errors import Unreachable, WarehouseRefused
from nightshift.warehouse import Warehouse
from tests.killing import until

pytestmark = pytest.mark.integration
PID = "SELECT pg_backend_pid() AS pid"
OTHERS = """
SELECT pid, state, xact_start FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
"""
DRIVERS = ["psycopg2", "adbc"]


def pid(warehouse: Warehouse, driver: str) -> int:
    """Return which process of the server answers; of a transaction that would also change what follows, if it could."""
    if driver == "psycopg2":
        return warehouse.rows(PID)[0]["pid"]
    with warehouse.reading() as reading:
        reading.cursor.execute(PID)
        return reading.cursor.fetchone()[0]


def isolation(warehouse: Warehouse) -> str:
    with warehouse._bulk() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')"
        )
        return cursor.fetchone()[0]


def half_done(warehouse: Warehouse) -> None:
    with warehouse.transaction() as cursor:
        cursor.execute("CREATE TABLE public.half_done ()")
        raise KeyError


@pytest.fixture
def watch(warehouse: Warehouse) -> Callable[[], list[dict[str, Any]]]:
    """Return what sees the other connections to the database: what each does, and whether in a transaction."""
    warehouse.rest()
    return lambda: Warehouse(warehouse.url).rows(OTHERS)


@pytest.mark.parametrize("driver", DRIVERS)
def test_one_connection_serves_all_transactions_and_is_in_none_between_them(
    warehouse: Warehouse, watch: Callable[[], list[dict[str, Any]]], driver: str
) -> None:
    pids = {pid(warehouse, driver) for _ in range(5)}
    assert [(row["pid"], row["state"], row["xact_start"]) for row in watch()] == [(pids.pop(), "idle", None)]
    assert not pids
    warehouse.rest()
    until(lambda: watch() == [], "the server has noticed", seconds=10)


def test_what_a_reading_asked_for_does_not_hold_for_the_write_after_it(warehouse: Warehouse) -> None:
    before = pid(warehouse, "adbc")
    assert isolation(warehouse) == "read committedoff"
    assert pid(warehouse, "adbc") == before, "it was the same connection"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_connection_that_was_lost_between_two_transactions_is_opened_anew(
    warehouse: Warehouse, driver: str
) -> None:
    before = pid(warehouse, driver)
    Warehouse(warehouse.url).rows("SELECT pg_terminate_backend(%s, 5000)", (before,))
    assert pid(warehouse, driver) != before


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_transaction_within_another_has_a_connection_of_its_own(
    warehouse: Warehouse, watch: Callable[[], list[dict[str, Any]]], driver: str
) -> None:
    opening = warehouse.transaction if driver == "psycopg2" else warehouse.reading
    with opening():
        within = {pid(warehouse, driver) for _ in range(2)}
        assert len(watch()) == 2
    assert len(watch()) == 1, "one is kept"
    assert len(within) == 1


def test_after_an_error_nothing_is_left_open_and_the_next_transaction_is_sound(
    warehouse: Warehouse, watch: Callable[[], list[dict[str, Any]]]
) -> None:
    before = pid(warehouse, "psycopg2")
    with pytest.raises(WarehouseRefused):
        warehouse.execute("SELECT no_such_column")
    with pytest.raises(KeyError):
        half_done(warehouse)
    with pytest.raises(KeyError), warehouse.reading():
        raise KeyError
    assert watch() == []
    assert pid(warehouse, "psycopg2") != before
    assert warehouse.row("SELECT to_regclass('public.half_done') AS made") == {"made": None}


def test_a_server_that_is_not_there_is_told_as_such_each_time(warehouse: Warehouse) -> None:
    broken = Warehouse.keeping(warehouse.url.rpartition("@")[0] + "@127.0.0.1:9/warehouse")
    for _ in range(2):
        with pytest.raises(Unreachable):
            broken.rows(PID)
        with pytest.raises(Unreachable):
            pid(broken, "adbc")


def test_threads_share_no_transaction(
    warehouse: Warehouse, watch: Callable[[], list[dict[str, Any]]]
) -> None:
    warehouse.execute("CREATE TABLE public.counted (thread int)")

    def count(thread: int) -> None:
        for _ in range(20):
            with warehouse.transaction() as cursor:
                cursor.execute("INSERT INTO public.counted VALUES (%s)", (thread,))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert warehouse.rows("SELECT thread, count(*) AS n FROM public.counted GROUP BY 1 ORDER BY 1") == [
        {"thread": n, "n": 20} for n in range(4)
    ]
    assert len(watch()) == 1
