"""A night announced while the DAG of its features is paused: Airflow forgets it, and the next night has it built."""

import time
from datetime import date, timedelta

import pytest

from e2e.conftest import MODEL, SECONDS
from e2e.test_loop import wait_until
from examples.nyc_flights.demo import Demo
from nightshift.specs import load_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

MISSED = date(2013, 9, 3)
TONIGHT = MISSED + timedelta(days=1)
BUILD, MONITOR = "features_departure", f"monitor_{MODEL}"
# Airflow starts what an asset completes within seconds.
QUIET_SECONDS = 20


def collect(loop: Demo, night: date) -> None:
    dags = [f"collect_{source}" for source in load_project().sources_of(MODEL)]
    loop.all(dags, partition_key=str(night))


def keys(loop: Demo) -> list[str]:
    return sorted(str(run["partition_key"]) for run in loop.api.runs(BUILD))


def test_a_night_that_came_while_features_were_paused_comes_with_the_next(loop: Demo) -> None:
    before = keys(loop)
    loop.api.unpause(BUILD, paused=True)
    try:
        collect(loop, MISSED)
    finally:
        loop.api.unpause(BUILD)
    time.sleep(QUIET_SECONDS)
    assert keys(loop) == before, "should Airflow keep what was announced, `stages.missed` can go"
    collect(loop, TONIGHT)
    wait_until(lambda: keys(loop) == sorted([*before, str(MISSED), str(TONIGHT)]))
    for night in (MISSED, TONIGHT):
        loop.ended(BUILD, loop.api.wait_for_run(BUILD, str(night), SECONDS))
        loop.ended(MONITOR, loop.api.wait_for_run(MONITOR, str(night), SECONDS))
