"""What is wrong upstream, through the scheduler: a fault holds its night; a champion of broken outcomes goes back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from typing import Any

import psycopg2
import pytest

from e2e.conftest import HISTORY, MODEL, NIGHTS, SECONDS
from e2e.test_loop import wait_until
from examples.nyc_flights.demo import Demo, load_history, run_night
from nightshift.calendar import DateRange
from nightshift.specs import load_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]

DAY = timedelta(days=1)
TONIGHT = NIGHTS[-1] + DAY
# From then on a holdout begins after all that the champion of the nights was fitted on.
AS_OF = date(2013, 7, 12)
BUILD, SCORE, MONITOR = "features_departure", f"score_{MODEL}", f"monitor_{MODEL}"


@contextmanager
def otherwise(loop: Demo, table: str, change: str, rows: str) -> Iterator[None]:
    """Change rows of a table upstream; put them back as they were."""
    kept = f"{table}_as_it_was"
    with closing(psycopg2.connect(loop.runtime.databases["ops"])) as connection:
        connection.autocommit = True
        ask = connection.cursor()
        ask.execute(f"CREATE TABLE {kept} AS SELECT * FROM {table} WHERE {rows}")
        try:
            ask.execute(f"UPDATE {table} SET {change} WHERE {rows}")
            yield
        finally:
            ask.execute(f"DELETE FROM {table} WHERE {rows}")
            ask.execute(f"INSERT INTO {table} SELECT * FROM {kept}")
            ask.execute(f"DROP TABLE {kept}")


def ended(loop: Demo, dag_id: str, night: date, nth: int) -> dict[str, Any]:
    """Return the n-th run of a night once it has ended."""
    key = str(night)
    wait_until(lambda: len([run for run in loop.api.runs(dag_id) if run["partition_key"] == key]) >= nth)
    return dict(loop.api.wait_for_run(dag_id, key, SECONDS))


def faults(loop: Demo) -> list[dict[str, Any]]:
    return loop.warehouse.rows(
        "SELECT column_name, sources, words, closed_because FROM monitoring.faults WHERE batch_date = %s",
        (TONIGHT,),
    )


def scored(loop: Demo) -> list[dict[str, Any]]:
    return loop.warehouse.rows(
        f"SELECT batch_date, count(*) AS rows, md5(string_agg(prediction::text, '|' ORDER BY flight_id)) AS hash "
        f"FROM predictions.{MODEL}_champion GROUP BY 1 ORDER BY 1"
    )


def test_a_fault_is_named_with_its_source_holds_the_night_and_starts_nothing(loop: Demo) -> None:
    """The schedule comes in kilometres: within all limits of its source, and outside of what nights have been."""
    before, requests = scored(loop), loop.warehouse.rows("SELECT * FROM monitoring.retrain_requests")
    collect = [f"collect_{source}" for source in load_project().sources_of(MODEL)]
    of_tonight = f"flight_date = DATE '{TONIGHT}'"
    with otherwise(loop, "ops.schedule", "distance = round((distance * 1.609344)::numeric)", of_tonight):
        loop.all(collect, partition_key=str(TONIGHT))
        loop.ended(BUILD, ended(loop, BUILD, TONIGHT, 1))
        held = ended(loop, SCORE, TONIGHT, 1)
    assert held["state"] == "failed"
    told = loop.api.failure(SCORE, held["dag_run_id"])
    assert "a fault is open in features departure" in told
    assert "distance: a row exceeds an earlier one" in told
    assert "(from flights)" in told
    assert [(row["column_name"], row["sources"], row["closed_because"]) for row in faults(loop)] == [
        ("distance", ["flights"], None)
    ]
    assert scored(loop) == before, "what was predicted stands, tonight is not predicted"
    assert not [run for run in loop.api.runs(MONITOR) if run["partition_key"] == str(TONIGHT)]
    assert loop.warehouse.rows("SELECT * FROM monitoring.retrain_requests") == requests

    loop.all(["collect_flights"], partition_key=str(TONIGHT))
    loop.ended(BUILD, ended(loop, BUILD, TONIGHT, 2))
    loop.ended(SCORE, ended(loop, SCORE, TONIGHT, 2))
    assert [row["closed_because"] for row in faults(loop)] == ["the night was built of other rows"]
    assert [row["batch_date"] for row in scored(loop)] == [*(row["batch_date"] for row in before), TONIGHT]


@pytest.mark.slow
def test_a_champion_that_learned_broken_outcomes_is_rolled_back_by_itself(loop: Demo) -> None:
    """Early and late were swapped while it was trained and judged, so it won. On nights of true outcomes it loses."""
    before = champion(loop)
    load_history(loop, DateRange(TONIGHT + DAY, AS_OF))
    everything = DateRange(HISTORY[0].first, AS_OF)
    learned = f"flight_date BETWEEN DATE '{everything.first}' AND DATE '{everything.last}'"
    again = {"batch_date": str(everything.first), "until": str(everything.last), "downstream": "leave"}
    with otherwise(loop, "ops.arrivals", "arr_delay = greatest(-170, -arr_delay)", learned):
        loop.run("collect_arrivals", conf={**again, "reason": "what the feed says"})
        loop.run(f"train_{MODEL}", conf={"as_of": str(AS_OF), "reason": "what the feed says"})
    bad = champion(loop)
    assert bad["version"] > before["version"]
    loop.run("collect_arrivals", conf={**again, "reason": "the feed is mended"})
    night = AS_OF + DAY
    while not (runs := loop.api.runs(f"rollback_{MODEL}")):
        assert night < AS_OF + 7 * DAY, loop.warehouse.rows("SELECT * FROM monitoring.probations ORDER BY 2")
        run_night(loop, night)
        loop.ended(MONITOR, ended(loop, MONITOR, night, 1))
        night += DAY
    loop.ended(f"rollback_{MODEL}", loop.api.wait(f"rollback_{MODEL}", runs[0]["dag_run_id"], SECONDS))
    now = champion(loop)
    assert (now["version"], now["kind"]) == (before["version"], "rollback")
    assert f"version {bad['version']} on probation since" in now["reason"]
    run_night(loop, night)
    assert loop.warehouse.rows(
        "SELECT model_version FROM catalog.prediction_batches "
        "WHERE arm = 'champion' AND (model, batch_date) = (%s, %s)",
        (MODEL, night),
    ) == [{"model_version": before["version"]}]


def champion(loop: Demo) -> dict[str, Any]:
    found = loop.warehouse.row(
        "SELECT version, kind, reason FROM governance.promotions WHERE model = %s ORDER BY entry DESC LIMIT 1",
        (MODEL,),
    )
    assert found
    return found
