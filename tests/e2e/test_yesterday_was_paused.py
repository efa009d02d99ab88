"""Nights that came while a DAG is paused: Airflow forgets them, and the next night makes up for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from e2e.conftest import MODEL, SECONDS
from e2e.test_loop import wait_until
from examples.nyc_flights.demo import Demo
from nightshift.specs import load_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

NIGHTS = FIRST, SECOND, THIRD, FOURTH = [date(2013, 9, 3) + timedelta(days=n) for n in range(4)]
BUILD, SCORE, MONITOR = "features_departure", f"score_{MODEL}", f"monitor_{MODEL}"
# Airflow starts what an asset completes within seconds.
QUIET_SECONDS = 20


def collect(loop: Demo, night: date) -> None:
    dags = [f"collect_{source}" for source in load_project().sources_of(MODEL)]
    loop.all(dags, partition_key=str(night))


def keys(loop: Demo, dag: str) -> list[str]:
    return sorted(str(run["partition_key"]) for run in loop.api.runs(dag))


@contextmanager
def paused(loop: Demo, dag: str) -> Iterator[None]:
    """Keep a DAG paused; what happens meanwhile, and starts no run of it, is an hour ago at the end."""
    before = keys(loop, dag)
    loop.api.unpause(dag, paused=True)
    try:
        yield
    finally:
        loop.api.unpause(dag)
    time.sleep(QUIET_SECONDS)
    assert keys(loop, dag) == before, "should Airflow keep what was announced, nothing need be made up for"
    loop.warehouse.execute(
        "UPDATE catalog.announcements SET decided_at = decided_at - interval '1 hour' WHERE batch_date = ANY(%s)",
        (NIGHTS,),
    )


def runs(loop: Demo, dag: str, *nights: date) -> None:
    """Wait for the runs of these nights, and see that they succeed."""
    for night in nights:
        loop.ended(dag, loop.api.wait_for_run(dag, str(night), SECONDS))


def test_a_night_that_came_while_a_dag_was_paused_comes_with_the_next(loop: Demo) -> None:
    before = keys(loop, BUILD)
    with paused(loop, BUILD):
        collect(loop, FIRST)
    with paused(loop, SCORE):
        collect(loop, SECOND)
        wait_until(lambda: keys(loop, BUILD) == sorted([*before, str(FIRST), str(SECOND)]))
        runs(loop, BUILD, FIRST, SECOND)
    with paused(loop, MONITOR):
        collect(loop, THIRD)
        runs(loop, SCORE, THIRD)
    scored = loop.warehouse.rows(
        "SELECT batch_date FROM catalog.prediction_batches WHERE model = %s AND batch_date = ANY(%s) ORDER BY 1",
        (MODEL, NIGHTS),
    )
    assert [row["batch_date"] for row in scored] == [FIRST, SECOND, THIRD], "one run has scored all three"
    assert not {str(FIRST), str(SECOND)} & set(keys(loop, SCORE))
    collect(loop, FOURTH)
    runs(loop, MONITOR, *NIGHTS)
