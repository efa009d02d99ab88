"""Labels as partitions: derived once from each batch, and the same whether they are kept or not, as of any night."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from integration.conftest import FIRST, MODEL, SCORED, with_model
from nightshift import stages, train
from nightshift.calendar import DateRange
from nightshift.errors import Superseded, WarehouseRefused
from nightshift.platform.inputs import known_labels, read_labels
from nightshift.platform.labels import keep_labels, read_reports, table_of
from nightshift.records import monitoring
from nightshift.stages import Platform, Try
from nightshift.train.labels import FIRST_KNOWN, FIRST_REPORTED
from nightshift.types import content_sha256
from nightshift.warehouse import Reported, came_of, prediction_table

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
LAST = SCORED.last
ALL = DateRange(FIRST, LAST)
ENTITY = ["flight_id"]


def kept(platform: Platform) -> dict[date, dict[str, Any]]:
    rows = platform.warehouse.rows("SELECT * FROM catalog.label_batches ORDER BY batch_date")
    return {row["batch_date"]: row for row in rows}


def content(platform: Platform, nights: DateRange = ALL) -> str:
    return content_sha256(
        platform.warehouse.read(table_of(platform, platform.project.model(MODEL)), nights.first, nights.last)
    )


def keep(platform: Platform, run: str = "night") -> int:
    return keep_labels(platform, platform.project.model(MODEL), ALL, Try(run))


def measure(platform: Platform, night: date) -> Any:
    return stages.measure_performance(platform, MODEL, night, Try("night"))


def as_known(platform: Platform) -> dict[date, pd.DataFrame]:
    """Return the labels of all nights as each night knows them."""
    model = platform.project.model(MODEL)
    return {
        night: read_labels(platform, model, FIRST, night).sort_values(ENTITY, ignore_index=True)
        for night in SCORED.dates
    }


def performance(platform: Platform, night: date) -> monitoring.PerformanceResult:
    stages.decide_verdict(platform, MODEL, night, Try("night"))
    verdict = platform.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=night)
    assert verdict
    assert verdict.performance
    return verdict.performance


def correction(platform: Platform, night: date, batch: date, known_at: datetime) -> int:
    """Have one batch report the flights of a night once more, all of them late."""
    return platform.warehouse.execute(
        "INSERT INTO raw.arrivals SELECT %s, flight_id, flight_date, carrier, flight, origin, dest, dep_delay, 170, "
        "%s, %s FROM raw.arrivals WHERE flight_date = %s AND arr_delay IS NOT NULL "
        "ON CONFLICT (batch_date, flight_id) DO UPDATE SET (arr_delay, known_at) = (170, excluded.known_at)",
        (batch, known_at, known_at, night),
    )


def recorded(platform: Platform, night: date) -> None:
    platform.warehouse.execute(
        "UPDATE catalog.batches SET recorded_at = clock_timestamp() WHERE (source, batch_date) = ('arrivals', %s)",
        (night,),
    )


def test_labels_are_the_same_as_of_each_night_whether_they_are_kept_or_not(loop: Platform) -> None:
    assert correction(loop, SCORED.first, SCORED.first + 3 * DAY, datetime(2013, 2, 1, 12, tzinfo=UTC)) > 500
    before = as_known(loop)
    assert kept(loop) == {}
    assert keep(loop) == len(ALL.dates)
    for night, found in as_known(loop).items():
        pd.testing.assert_frame_equal(found, before[night])
    corrected = [night for night in SCORED.dates if before[night]["label"].mean() > 0.25]
    assert before[SCORED.first + 3 * DAY]["label"].mean() < before[SCORED.first + 5 * DAY]["label"].mean()
    assert corrected != SCORED.dates, "a night knows no correction that came later"


def test_a_night_is_derived_once_and_comes_to_the_same_when_it_is_derived_again(loop: Platform) -> None:
    keep(loop)
    first, rows = kept(loop), content(loop)
    assert sum(each["row_count"] for each in first.values()) > 20_000
    assert keep(loop, "again") == 0
    assert kept(loop) == first
    recorded(loop, SCORED.first)
    assert keep(loop, "once more") == 1
    again = kept(loop)
    assert {night for night in first if again[night] != first[night]} == {SCORED.first}
    assert again[SCORED.first]["content_sha256"] == first[SCORED.first]["content_sha256"]
    assert content(loop) == rows


def test_a_corrected_batch_replaces_its_own_partition_and_no_other(loop: Platform) -> None:
    keep(loop)
    first = kept(loop)
    batch = SCORED.first + DAY
    loop.warehouse.execute("UPDATE raw.arrivals SET arr_delay = 170 WHERE batch_date = %s", (batch,))
    assert loop.warehouse.execute("DELETE FROM raw.arrivals WHERE batch_date = %s AND dest = 'LAX'", (batch,))
    recorded(loop, batch)
    unkept = as_known(loop)
    assert keep(loop) == 1
    again = kept(loop)
    assert {n for n in first if again[n]["content_sha256"] != first[n]["content_sha256"]} == {batch}
    assert again[batch]["row_count"] < first[batch]["row_count"]
    for night, found in as_known(loop).items():
        pd.testing.assert_frame_equal(found, unkept[night])


def test_another_target_is_derived_anew_and_seen_before_it_is(loop: Platform) -> None:
    keep(loop)
    other = with_model(loop, lambda m: m["target"].update(above=60))
    unkept = as_known(other)[LAST]
    assert unkept["label"].mean() < as_known(loop)[LAST]["label"].mean() / 2
    assert keep(other) == len(ALL.dates)
    pd.testing.assert_frame_equal(as_known(other)[LAST], unkept)
    assert keep(loop) == len(ALL.dates), "and back"


def test_what_fails_in_the_middle_leaves_each_night_whole_and_the_next_try_does_the_rest(
    loop: Platform,
) -> None:
    keep(loop)
    rows = content(loop)
    loop.warehouse.execute("DELETE FROM catalog.label_batches")
    middle = SCORED.first
    loop.warehouse.execute(
        "CREATE FUNCTION public.fall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fell'; END $$; "
        "CREATE TRIGGER falls BEFORE INSERT ON catalog.label_batches FOR EACH ROW "
        f"WHEN (NEW.batch_date = '{middle}') EXECUTE FUNCTION public.fall()"
    )
    with pytest.raises(WarehouseRefused, match="fell"):
        keep(loop)
    assert set(kept(loop)) == set(DateRange(middle + DAY, LAST).dates), "newest first, a night a transaction"
    assert content(loop) == rows
    loop.warehouse.execute("DROP TRIGGER falls ON catalog.label_batches")
    assert keep(loop) == len(ALL.dates) - len(kept(loop)) + len(DateRange(FIRST, middle).dates)
    assert content(loop) == rows


def test_a_try_that_was_overtaken_writes_no_labels(loop: Platform) -> None:
    keep(loop)
    table, rows = table_of(loop, loop.project.model(MODEL)), content(loop)
    orphan = loop.warehouse.lease(table, [LAST], "first try")
    recorded(loop, LAST)
    assert keep(loop, "second try") == 1
    frame = loop.warehouse.read(table, LAST, LAST)
    with pytest.raises(Superseded, match="second try"), loop.warehouse.write(orphan) as write:
        write.replace(table, frame.assign(label=1.0))
    assert content(loop) == rows


def test_the_joined_outcomes_are_those_that_training_learns(loop: Platform) -> None:
    """Of the server and of pandas: the last report known by then, and since when something was known."""
    noon = datetime.combine(SCORED.first + 3 * DAY, time(12), UTC)
    assert correction(loop, SCORED.first, SCORED.first + 3 * DAY, noon) > 500
    # A cancellation of what had arrived, and the same moment in two batches.
    loop.warehouse.execute(
        "UPDATE raw.arrivals SET arr_delay = NULL WHERE batch_date = %s AND mod(hashtext(flight_id), 3) = 0",
        (SCORED.first + 3 * DAY,),
    )
    keep(loop)
    model, feature_set = loop.project.model(MODEL), loop.project.feature_set("departure")
    said = prediction_table(model, feature_set)
    for night in SCORED.dates[2:]:
        cutoff = loop.project.calendar.cutoff(night)
        reported = Reported(table_of(loop, model), DateRange(SCORED.first, night), cutoff)
        with loop.warehouse.reading() as reading:
            found = came_of(reading, said, reported, SCORED.dates[:4], ["batch_date", *ENTITY])
            rows = read_reports(reading, loop, model, SCORED.first, night)
        labels = train.labels(model, rows, ENTITY, pd.Timestamp(cutoff))
        expected = found[ENTITY].merge(labels, on=ENTITY, how="left", validate="one_to_one")["label"]
        np.testing.assert_array_equal(found["label"], expected)
        known = rows[rows["known_at"] <= pd.Timestamp(cutoff)]
        first = known.groupby("flight_id")["known_at"].min()
        with_outcome = known[known["label"].notna()].groupby("flight_id")["known_at"].min()
        for name, instants in ((FIRST_REPORTED, first), (FIRST_KNOWN, with_outcome)):
            pd.testing.assert_series_equal(
                found[name], found["flight_id"].map(instants), check_names=False, check_dtype=False
            )


def test_a_night_reads_the_rows_of_what_changed_and_says_the_same_of_all(loop: Platform) -> None:
    nights = SCORED.dates[2:]
    read = [measure(loop, night)["nights_read"] for night in nights]
    assert read == [1] * len(nights), "each night one more has its labels"
    assert measure(loop, LAST)["nights_read"] == 0
    history = "SELECT * FROM monitoring.performance_history ORDER BY batch_date, arm, known_on"
    arrivals = "SELECT batch_date, observed, arrived, state, reason FROM monitoring.arrivals ORDER BY 1"
    before = (loop.warehouse.rows(history), loop.warehouse.rows(arrivals), performance(loop, LAST))
    assert before[2].value is not None
    loop.warehouse.execute("UPDATE monitoring.performance_history SET inputs_sha256 = NULL")
    loop.warehouse.execute("DELETE FROM monitoring.outcomes")
    assert performance(loop, LAST) == before[2], "what is not kept is read"
    window = len(DateRange(SCORED.first, LAST - 2 * DAY).dates)
    assert measure(loop, LAST)["nights_read"] == min(window, 7)
    assert (loop.warehouse.rows(arrivals), performance(loop, LAST)) == before[1:]
    assert measure(loop, LAST)["nights_read"] == 0, "what comes to the same is known to be of these rows"
    # One night's flights are corrected by a later batch: that night is read.
    batch = LAST - DAY
    noon = loop.project.calendar.cutoff(batch) + timedelta(hours=12)
    assert correction(loop, SCORED.first + 2 * DAY, batch, noon) > 500
    recorded(loop, batch)
    assert measure(loop, batch)["nights_read"] == 0, "it was not known by then"
    assert measure(loop, LAST)["nights_read"] == 1
    rows = loop.warehouse.rows(history)
    assert [row["known_on"] for row in rows if row["batch_date"] == SCORED.first + 2 * DAY][-1] == LAST
    assert performance(loop, LAST).value != before[2].value


def test_predictions_that_are_scored_again_are_measured_again(loop: Platform) -> None:
    measure(loop, LAST)
    stages.score(loop, MODEL, DateRange(SCORED.first + DAY, SCORED.first + DAY), Try("again"))
    assert measure(loop, LAST)["nights_read"] == 1


def test_what_verdicts_pool_is_kept_of_their_window_only(loop: Platform) -> None:
    short = with_model(loop, lambda m: m["performance"].update(window_days=7))
    for night in SCORED.dates[2:]:
        measure(short, night)
    rows = loop.warehouse.rows("SELECT min(batch_date) AS first, count(*) AS n FROM monitoring.outcomes")
    assert rows == [{"first": LAST - 8 * DAY, "n": 7}]


def test_a_training_freezes_the_same_rows_from_the_table_and_without_it(loop: Platform) -> None:
    without = stages.snapshot(loop, MODEL, LAST, Try("without"))
    keep(loop)
    assert stages.snapshot(loop, MODEL, LAST, Try("with")) == without
    model = loop.project.model(MODEL)
    with loop.warehouse.reading() as reading:
        _, reports = known_labels(reading, loop, model, FIRST, LAST)
    found = loop.warehouse.rows(
        "SELECT DISTINCT batch_date FROM raw.arrivals WHERE batch_date <= %s AND known_at <= %s",
        (LAST, loop.project.calendar.cutoff(LAST)),
    )
    assert set(reports["batch_date"].dt.date) == {row["batch_date"] for row in found}
