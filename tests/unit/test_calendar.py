"""Nights: their windows meet on every date, and one intent is one partition however the run was started."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.calendar import (
    LONGEST_RANGE_DAYS,
    Calendar,
    DateRange,
    compared,
    next_at,
    parse_date,
    resolve,
    typed,
)
from nightshift.errors import RequestError

ZONES = [
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Asia/Kathmandu",  # +05:45
    "America/Sao_Paulo",  # until 2018 midnight did not exist on the first day of summer
    "America/Havana",  # midnight comes twice at the end of summer
    "Pacific/Apia",
    "Africa/Casablanca",
]
DAY = timedelta(days=1)
FIRST, LAST = date(2012, 1, 1), date(2026, 12, 31)
EVERY_DATE = [FIRST + n * DAY for n in range((LAST - FIRST).days + 1)]


def calendar(zone: str = "America/New_York") -> Calendar:
    return Calendar(ZoneInfo(zone), date(2013, 1, 2), date(2013, 12, 31))


@pytest.mark.parametrize("zone", ZONES)
def test_windows_meet_without_gap_or_overlap_on_every_date(zone: str) -> None:
    cal = calendar(zone)
    windows = [cal.window(day) for day in EVERY_DATE]
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]
    assert all(timedelta(hours=22) < end - start < timedelta(hours=26) for start, end in windows)
    assert {instant.tzinfo for window in windows for instant in window} == {UTC}


@pytest.mark.parametrize("zone", ZONES)
def test_the_cutoff_is_the_first_instant_of_its_date(zone: str) -> None:
    cal = calendar(zone)
    tick = timedelta(microseconds=1)
    for day in EVERY_DATE:
        assert cal.date_of(cal.cutoff(day)) == day
        assert cal.date_of(cal.cutoff(day) - tick) == day - DAY


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    seconds=st.integers(0, 15 * 365 * 86400),
)
def test_every_instant_lies_in_exactly_one_window(zone: str, seconds: int) -> None:
    instant = datetime(2012, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds)
    cal = calendar(zone)
    near = [cal.date_of(instant) + n * DAY for n in range(-2, 4)]
    assert [day for day in near if cal.window(day)[0] <= instant < cal.window(day)[1]] == [
        cal.date_of(instant) + DAY
    ]


@pytest.mark.parametrize(
    ("batch_date", "hours"),
    [
        (date(2013, 3, 10), 24),
        (date(2013, 3, 11), 23),  # the window of a night is the day before it
        (date(2013, 3, 12), 24),
        (date(2013, 11, 3), 24),
        (date(2013, 11, 4), 25),
        (date(2013, 11, 5), 24),
    ],
)
def test_a_day_of_changing_clocks_is_one_partition_of_23_or_25_hours(batch_date: date, hours: int) -> None:
    start, end = calendar().window(batch_date)
    assert end - start == timedelta(hours=hours)
    inside = [start + timedelta(minutes=m) for m in range(0, hours * 60, 30)]
    assert {calendar().date_of(instant) for instant in inside} == {batch_date - DAY}


NIGHT = date(2013, 2, 8)
# The night of 8 February starts at 00:30 in New York, 05:30 UTC.
AT_NIGHT = datetime(2013, 2, 8, 5, 30, tzinfo=UTC)
IN_THE_EVENING = datetime(2013, 2, 9, 3, 0, tzinfo=UTC)  # still the 8th in New York
YEARS_LATER = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def asked(**how: Any) -> DateRange:
    given = {"params": {}, "partition_key": None, "logical_date": None, "run_after": AT_NIGHT, **how}
    return resolve(calendar(), **given)


def test_what_looks_at_the_newest_night_looks_at_the_last_one_once_that_is_over() -> None:
    last = calendar().last_night
    assert last
    assert asked(run_after=YEARS_LATER, newest=True) == DateRange(last, last)
    assert asked(newest=True) == DateRange(NIGHT, NIGHT)
    assert asked(params={"batch_date": "2013-02-08"}, run_after=YEARS_LATER, newest=True).first == NIGHT
    with pytest.raises(RequestError, match="outside the project's nights"):
        asked(run_after=YEARS_LATER)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"partition_key": "2013-02-08"}, id="cron"),
        pytest.param({"partition_key": "2013-02-08", "run_after": YEARS_LATER}, id="cron, run late"),
        pytest.param({"partition_key": "2013-02-08", "logical_date": YEARS_LATER}, id="asset"),
        pytest.param({"partition_key": "2013-02-08", "logical_date": AT_NIGHT}, id="backfill"),
        pytest.param({}, id="by hand without a date, at night"),
        pytest.param({"run_after": IN_THE_EVENING}, id="by hand without a date, in the evening"),
        pytest.param(
            {"logical_date": IN_THE_EVENING, "run_after": YEARS_LATER}, id="by hand with a logical date"
        ),
        pytest.param(
            {"params": {"batch_date": "2013-02-08"}, "run_after": YEARS_LATER}, id="by hand with a date"
        ),
        pytest.param(
            {"params": {"batch_date": "2013-02-08", "until": None}, "logical_date": YEARS_LATER},
            id="the typed date wins over the logical date",
        ),
        pytest.param({"params": {"batch_date": "2013-02-08", "until": "2013-02-08"}}, id="a range of one"),
        pytest.param(
            {"params": {"batch_date": "2013-02-08"}, "partition_key": "2013-02-08"}, id="form and key agree"
        ),
    ],
)
def test_however_a_run_is_started_the_same_intent_is_the_same_partition(how: dict[str, Any]) -> None:
    assert asked(**how) == DateRange(NIGHT, NIGHT)


def test_a_range_is_every_night_of_it_inclusive() -> None:
    nights = asked(params={"batch_date": "2013-03-09", "until": "2013-03-12"})
    assert [str(night) for night in nights.dates] == ["2013-03-09", "2013-03-10", "2013-03-11", "2013-03-12"]
    assert str(nights) == "2013-03-09..2013-03-12"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"params": {"batch_date": "2013-02-08\n"}}, r"batch_date: expected a date YYYY-MM-DD"),
        ({"params": {"batch_date": " 2013-02-08"}}, "batch_date: expected"),
        ({"params": {"batch_date": "2013-2-8"}}, "batch_date: expected"),
        ({"params": {"batch_date": "20130208"}}, "batch_date: expected"),
        ({"params": {"batch_date": "2013-02-08T00:00:00"}}, "batch_date: expected"),
        ({"params": {"batch_date": ""}}, "batch_date: expected"),
        ({"params": {"batch_date": 20130208}}, "batch_date: expected"),
        ({"params": {"batch_date": True}}, "batch_date: expected"),
        ({"params": {"batch_date": ["2013-02-08"]}}, "batch_date: expected"),
        ({"params": {"batch_date": NIGHT}}, "batch_date: expected"),
        (
            {"params": {"batch_date": "\uff12\uff10\uff11\uff13-\uff10\uff12-\uff10\uff18"}},
            "batch_date: .* is not a calendar date",
        ),
        ({"params": {"batch_date": "2013-02-30"}}, "batch_date: .* is not a calendar date"),
        ({"params": {"batch_date": "0000-01-01"}}, "batch_date: .* is not a calendar date"),
        ({"params": {"batch_date": "'; drop table x"}}, "batch_date: expected"),
        ({"params": {"batch_date": "{{ conn }}"}}, "batch_date: expected"),
        ({"params": {"batch_date": "../2013-02-08"}}, "batch_date: expected"),
        ({"params": {"batch_date": "2013-02-08", "until": "2013-02-09\n"}}, "until: expected"),
        ({"params": {"batch_date": "2013-02-08", "until": "2013-02-07"}}, "until: 2013-02-07 lies before"),
        ({"params": {"until": "2013-02-08"}}, "until: give batch_date too"),
        ({"params": {"batch_date": "2013-01-01"}}, "outside the project's nights"),
        ({"params": {"batch_date": "2014-01-01"}}, "outside the project's nights"),
        ({"params": {"batch_date": "2013-12-30", "until": "2014-01-01"}}, "outside the project's nights"),
        ({"params": {"batch_date": "2012-12-30", "until": "2013-01-05"}}, "outside the project's nights"),
        ({"params": {"batch_date": "2013-01-02", "until": "9999-12-31"}}, "at most"),
        ({"partition_key": "2012-12-31"}, "outside the project's nights"),
        ({"partition_key": "2013-02-08T05:30:00"}, "partition key: expected"),
        ({"partition_key": "late"}, "partition key: expected"),
        ({"partition_key": ""}, "partition key: expected"),
        ({"run_after": YEARS_LATER}, "outside the project's nights"),
        ({"logical_date": YEARS_LATER}, "outside the project's nights"),
        (
            {"params": {"batch_date": "2013-02-08"}, "partition_key": "2013-02-09"},
            "the form says 2013-02-08, the run's partition key says 2013-02-09",
        ),
        (
            {"params": {"batch_date": "2013-02-08", "until": "2013-02-09"}, "partition_key": "2013-02-08"},
            "the form says",
        ),
    ],
)
def test_anything_else_is_refused_with_words(how: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        asked(**how)


def test_a_megabyte_as_a_date_is_refused_in_a_short_message() -> None:
    with pytest.raises(RequestError) as refused:
        asked(params={"batch_date": "9" * 1_000_000})
    assert len(str(refused.value)) < 200


def test_an_open_end_admits_later_nights_and_bounds_the_range() -> None:
    live = Calendar(ZoneInfo("UTC"), date(2013, 1, 1))
    assert live.check(date(2090, 1, 1)) == date(2090, 1, 1)
    last = date(2013, 1, 1) + (LONGEST_RANGE_DAYS - 1) * DAY
    params = {"batch_date": "2013-01-01", "until": str(last)}
    how: dict[str, Any] = {"partition_key": None, "logical_date": None, "run_after": AT_NIGHT}
    assert len(resolve(live, params=params, **how).dates) == LONGEST_RANGE_DAYS
    with pytest.raises(RequestError, match="at most"):
        resolve(live, params={**params, "until": str(last + DAY)}, **how)


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_a_date_as_text_comes_back_as_itself(day: date) -> None:
    assert parse_date(day.isoformat(), "key") == day


@given(st.text())
def test_no_text_is_a_date_unless_it_is_spelled_as_one(text: str) -> None:
    try:
        found = parse_date(text, "key")
    except RequestError:
        return
    assert found.isoformat() == text


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, None),
        ({"batch_date": "2013-02-08"}, None),
        ({"compare_from": "2013-02-01"}, DateRange(date(2013, 2, 1), date(2013, 2, 1))),
        (
            {"compare_from": "2013-02-01", "compare_until": "2013-02-07"},
            DateRange(date(2013, 2, 1), date(2013, 2, 7)),
        ),
    ],
)
def test_the_range_to_compare_with_is_what_was_typed_or_none(
    params: dict[str, Any], says: DateRange | None
) -> None:
    assert compared(calendar(), params) == says


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"compare_until": "2013-02-07"}, "compare_until: give compare_from too"),
        (
            {"compare_from": "2013-02-01", "compare_until": "2013-01-31"},
            "lies before compare_from 2013-02-01",
        ),
        ({"compare_from": "2013-02-01\n"}, "compare_from: expected"),
        ({"compare_from": "2012-02-01", "compare_until": "2013-02-01"}, "outside the project's nights"),
        ({"compare_from": "2013-02-01", "compare_until": "2014-02-01"}, "outside the project's nights"),
    ],
)
def test_a_range_to_compare_with_that_cannot_be_is_refused(params: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        compared(calendar(), params)


def test_a_typed_range_is_checked_as_a_runs_own_is() -> None:
    assert typed(calendar(), {"batch_date": None, "until": None}) is None
    week = {"batch_date": "2013-02-01", "until": "2013-02-07"}
    assert typed(calendar(), week) == DateRange(date(2013, 2, 1), date(2013, 2, 7))
    with pytest.raises(RequestError, match="outside the project's nights"):
        typed(calendar(), {**week, "until": "2014-02-01"})
    with pytest.raises(RequestError, match="until: give batch_date too"):
        typed(calendar(), {"until": "2013-02-01"})


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2013-07-01T00:30", "2013-07-01T06:00-04:00"),
        ("2013-07-01T06:00", "2013-07-02T06:00-04:00"),
        ("2013-06-30T22:00", "2013-07-01T06:00-04:00"),
        ("2013-03-09T23:00", "2013-03-10T06:00-04:00"),
        ("2013-11-02T23:00", "2013-11-03T06:00-05:00"),
    ],
)
def test_the_next_instant_at_an_hour_is_by_local_clocks(after: str, expected: str) -> None:
    zone = ZoneInfo("America/New_York")
    began = datetime.fromisoformat(after).replace(tzinfo=zone).astimezone(UTC)
    assert next_at(time(6), began, zone) == datetime.fromisoformat(expected)
