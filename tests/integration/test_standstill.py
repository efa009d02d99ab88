"""When work stands still: on a table like Airflow's, with tasks as they would be."""

import time

import psycopg2
import pytest

from nightshift.runtime.work import LONGEST_WAIT, PARALLELISM, standstill

pytestmark = pytest.mark.integration

LONG, SHORT = LONGEST_WAIT + 30, LONGEST_WAIT - 30
INSERT = """
INSERT INTO task_instance VALUES (%s, now() - make_interval(secs => %s), now() - make_interval(secs => %s))
"""
Task = tuple[str, int | None, int | None]  # its state, queued and begun so many seconds ago
QUEUED: Task = ("queued", LONG, None)


def judged(database_url: str, *tasks: Task, since: float = 0) -> str | None:
    """Return what is said about these tasks."""
    with psycopg2.connect(database_url) as session, session.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE task_instance (state text, queued_dttm timestamptz, start_date timestamptz)"
        )
        for task in tasks:
            cursor.execute(INSERT, task)
    session.close()
    return standstill(database_url, since)


def test_tasks_that_wait_while_slots_are_free_and_nothing_begins(database_url: str) -> None:
    words = judged(
        database_url, QUEUED, ("queued", SHORT, None), ("running", LONG, LONG), ("success", LONG, LONG)
    )
    assert words is not None
    assert words.startswith(f"2 tasks are queued, the oldest for {LONG} s, {PARALLELISM - 1} slots are free")


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([], id="nothing to do"),
        pytest.param([("queued", SHORT, None)], id="not long yet"),
        pytest.param([("running", LONG, LONG)], id="nothing waits"),
        pytest.param([QUEUED, ("running", LONG, SHORT)], id="another one has begun"),
        pytest.param([QUEUED, ("success", LONG, 5)], id="another one has begun, and ended"),
        pytest.param([QUEUED, *[("running", LONG, LONG)] * PARALLELISM], id="no slot is free"),
    ],
)
def test_work_that_goes_on_is_left_alone(database_url: str, tasks: list[Task]) -> None:
    assert judged(database_url, *tasks) is None


def test_a_scheduler_that_just_started_has_time(database_url: str) -> None:
    assert judged(database_url, QUEUED, since=time.time() - SHORT) is None


def test_a_database_that_is_away_is_no_standstill(database_url: str) -> None:
    assert standstill(database_url, 0) is None, "no such table"
    assert standstill("postgresql://nobody@127.0.0.1:9/x", 0) is None
