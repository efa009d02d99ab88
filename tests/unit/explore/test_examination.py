"""What is said of columns and nights: every row counted, the sample a matter of the rows alone."""

from datetime import date
from math import isnan

import numpy as np
import pandas as pd
import pytest
from explored_nights import BEFORE, COLUMNS, NIGHTS, compared, question, rows, subject

from nightshift.calendar import DateRange
from nightshift.explore import Question, examine, sampled
from nightshift.explore.columns import Bars, Histogram, found_type, identifying, picture, shift, values_of
from nightshift.monitor.drift import decide
from nightshift.monitor.profile import build_profile, counted
from nightshift.specs.model import Drift


def column(found, name):  # type: ignore[no-untyped-def]
    return next(each for each in found.columns if each.name == name)


def test_a_sample_is_bounded_in_order_and_the_same_however_the_rows_come() -> None:
    frame = rows(0, 5000)
    drawn = sampled(frame, ["flight_id"], 700)
    shuffled = sampled(frame.sample(frac=1, random_state=1), ["flight_id"], 700)
    assert len(drawn) == 700
    assert drawn["batch_date"].is_monotonic_increasing
    assert set(drawn["flight_id"]) == set(shuffled["flight_id"])
    assert set(drawn["flight_id"]) < set(sampled(frame, ["flight_id"], 1400)["flight_id"])
    assert sampled(frame, ["flight_id"], 5000).equals(frame)
    # Every night is in it, about as much as in the rows.
    assert drawn["batch_date"].value_counts().between(10, 45).all()


def test_every_row_is_counted_also_those_outside_the_sample() -> None:
    frame = rows(0, 5000)
    found = examine(subject(), question(sample=100), frame)
    assert (found.rows, found.sampled) == (5000, 100)
    assert column(found, "flight_id").distinct == 5000
    assert column(found, "temp").missing == pytest.approx(0.1)
    assert column(found, "seats").spread == (100.0, float(frame["seats"].median()), 299.0)
    assert sum(volume.rows for volume in found.volumes) == 5000
    assert [volume.night for volume in found.volumes] == NIGHTS.dates


@pytest.mark.parametrize(
    ("declared", "values", "says"),
    [
        ("float", [1.0, 2.0, None], "whole numbers"),
        ("float", [1.5, 2.0], "numbers"),
        ("integer", [1, 2], "whole numbers"),
        ("string", ["1", "2.5", None], "numbers as text"),
        ("string", ["2013-02-01", "2013-02-01 05:00"], "dates as text"),
        ("string", ["yes", "No"], "yes/no as text"),
        ("string", ["1", "two"], "text"),
        ("string", [None, None], "nothing"),
        ("boolean", [True, None], "true/false"),
        ("date", [date(2013, 2, 1), None], "dates"),
        ("timestamp", [pd.Timestamp("2013-02-01", tz="UTC")], "instants"),
    ],
)
def test_the_type_found_is_what_the_values_are(declared: str, values: list, says: str) -> None:
    assert found_type(values_of("x", declared, pd.Series(values))) == says


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("flight_id", ["a", "a", "b"], True),  # it alone is the key
        ("carrier", ["AA", "DL"] * 500, False),
        ("route", [f"r{i % 85}" for i in range(850)], False),
        ("person", [f"p{i}" for i in range(850)], True),
        ("plane", [f"p{i % 300}" for i in range(850)], True),  # mostly rare
        ("street", [f"s{i % 1500}" for i in range(100_000)], True),  # very many
    ],
)
def test_texts_that_name_single_things_are_identifiers(name: str, values: list[str], says: bool) -> None:
    assert identifying(values_of(name, "string", pd.Series(values)), ("flight_id",)) is says


def test_shares_of_a_histogram_are_of_all_rows_and_tails_go_to_the_outer_bars() -> None:
    numbers = pd.Series(np.r_[np.linspace(0.1, 9.9, 1000), 5000.0, [np.nan] * 250])
    drawn = picture(values_of("x", "float", numbers), None, hidden=False)
    assert isinstance(drawn, Histogram)
    assert drawn.clipped
    assert drawn.edges[-1] < 11
    assert sum(drawn.now) == pytest.approx(1001 / 1251)


def test_whole_numbers_of_a_small_span_get_a_bar_each() -> None:
    drawn = picture(values_of("x", "integer", pd.Series([5, 5, 7])), None, hidden=False)
    assert isinstance(drawn, Histogram)
    assert drawn.edges == (4.5, 5.5, 6.5, 7.5)
    assert drawn.now == pytest.approx((2 / 3, 0, 1 / 3))


@pytest.mark.parametrize(
    "value",
    ["bob@canary.example", "Eve <eve@canary.example>", "+1 212 555 0123", "4111-1111-1111-1111", "x" * 65],
)
def test_addresses_long_texts_and_numbers_of_people_are_not_named(value: str) -> None:
    drawn = picture(values_of("x", "string", pd.Series([value] * 50 + ["fine"] * 50)), None, hidden=False)
    assert drawn == Bars(("fine", "(other)"), (0.5, 0.5), None)


def test_a_value_of_fewer_than_five_rows_is_not_named() -> None:
    drawn = picture(values_of("x", "string", pd.Series(["rare"] * 4 + ["often"] * 16)), None, hidden=False)
    assert isinstance(drawn, Bars)
    assert drawn.labels == ("often", "(other)")


def test_psi_is_the_one_that_drift_is_decided_by() -> None:
    then, now = rows(0, 4000, BEFORE), rows(1, 3000)
    now["temp"] += 8
    now.loc[now["carrier"] == "DL", "carrier"] = "B6"
    names = ["carrier", "seats", "temp"]
    predictions = np.random.default_rng(0).random
    profile = build_profile(
        then[names], predictions(4000), pd.to_datetime(then["batch_date"]), dict.fromkeys(names, 1.0), Drift()
    )
    counts = counted(profile, now[names], predictions(3000))
    drift = {f.name: f.psi for f in decide(profile, counts, Drift()).features}
    found = {
        name: shift(values_of(name, COLUMNS[name], now[name]), values_of(name, COLUMNS[name], then[name]))
        for name in names
    }
    assert found == pytest.approx(drift)
    assert found["temp"] > 0.2


def test_a_comparison_sets_missing_shares_and_psi_beside_each_other() -> None:
    now, then = rows(0, 2800), rows(1, 2800, BEFORE)
    now.loc[np.arange(2800) % 2 == 0, "temp"] = None
    found = compared(now, then)
    temp = column(found, "temp")
    assert (temp.missing, temp.missing_then) == (pytest.approx(0.5), pytest.approx(0.1))
    assert temp.psi is not None
    assert temp.psi > 0.2
    # Identifiers and times differ because time went by.
    assert [each.name for each in found.columns if each.psi is None] == ["flight_id", "flown_on", "seen_at"]
    assert [volume.night for volume in found.compared_volumes] == BEFORE.dates


def test_missing_values_are_followed_over_the_nights_and_a_span_without_rows_has_no_share() -> None:
    frame = rows(0, 2800)
    frame = frame[frame["batch_date"] != pd.Timestamp("2013-02-03")]
    frame.loc[frame["batch_date"] == pd.Timestamp("2013-02-02"), "temp"] = None
    gaps = column(examine(subject(), question(), frame), "temp").gaps
    assert len(gaps) == 28
    assert gaps[1] == 1
    assert isnan(gaps[2])
    assert gaps[3] == pytest.approx(0.1)
    longer = Question(DateRange(date(2013, 1, 1), date(2013, 12, 31)), None, 100)
    spans = examine(subject(), longer, frame).spans
    assert (len(spans), spans[0].first, spans[-1].last) == (53, longer.nights.first, longer.nights.last)


def test_a_night_shows_what_was_set_aside_and_whether_its_batch_failed() -> None:
    aside = {date(2013, 2, 2): (5, False), date(2013, 2, 3): (9, True)}
    volumes = examine(subject(), question(), rows(0, 280), None, aside).volumes
    assert [(v.rejected, v.failed) for v in volumes[:4]] == [(0, False), (5, False), (9, True), (0, False)]
    assert examine(subject(), question(), rows(0, 280)).volumes[0].rejected is None


@pytest.mark.parametrize(("classes", "measure"), [(True, "Cramér's V"), (False, "correlation ratio")])
def test_columns_are_set_beside_the_label_by_the_measure_of_their_kind(classes: bool, measure: str) -> None:
    frame = rows(0, 3000)
    label = frame["temp"] + np.where(frame["carrier"] == "AA", 15, 0)
    frame["label"] = (label > label.median()).astype("float64") if classes else label
    frame.loc[:500, "label"] = None
    target = subject(columns={**COLUMNS, "label": "float"}, target="late_arrival", classes=classes)
    found = examine(target, question(sample=3000), frame)
    related = {each.name: each.relation for each in found.columns if each.relation}
    assert set(related) == {"carrier", "seats", "temp", "on_time", "gone"}
    assert (related["carrier"].measure, related["temp"].measure) == (measure, "Spearman")
    assert related["temp"].value > 0.5
    assert related["carrier"].value > 0.3
    assert abs(related["seats"].value) < 0.1
    assert related["gone"].value is None
    assert found.labelled == 3000 - 501 - int(frame.loc[501:, "label"].isna().sum())


def test_more_columns_than_fit_are_named() -> None:
    wide = pd.concat([rows(0, 100), pd.DataFrame(1.0, range(100), [f"x{i}" for i in range(300)])], axis=1)
    found = examine(subject(columns={f"x{i}": "float" for i in range(300)}), question(), wide)
    assert len(found.columns) == 200
    assert found.left_out == tuple(f"x{i}" for i in range(200, 300))
