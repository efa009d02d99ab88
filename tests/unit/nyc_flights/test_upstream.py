"""The upstream's data, derived from rows small enough to check by hand."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from examples.nyc_flights import upstream
from nightshift.errors import RequestError, SourceError

REGISTER = [{"tailnum": f"N{number}", "year": None, "seats": 55} for number in range(5)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def flights(**changes: object) -> pa.Table:
    """One flight from Newark to Houston, 5:15 in the morning of 10 March (the clocks change that night)."""
    row = {
        "year": 2013,
        "month": 3,
        "day": 10,
        "carrier": "UA",
        "flight": 1545,
        "tailnum": "N14228",
        "origin": "EWR",
        "dest": "IAH",
        "sched_arr_time": 819,
        "distance": 1400,
        "dep_delay": 2,
        "arr_delay": 11,
        "air_time": 227,
        "minute": 15,
        "time_hour": at("2013-03-10T09:00:00"),
    }
    return pa.Table.from_pylist([row | changes], schema=FLIGHT)


FLIGHT = pa.schema(
    [
        *((name, pa.int64()) for name in ("year", "month", "day", "flight", "sched_arr_time", "distance")),
        *((name, pa.string()) for name in ("carrier", "tailnum", "origin", "dest")),
        *((name, pa.int64()) for name in ("dep_delay", "arr_delay", "air_time", "minute")),
        ("time_hour", pa.timestamp("s", "UTC")),
    ]
)


def weather(*hours: str, **changes: object) -> pa.Table:
    rows = [
        {"origin": "EWR", "time_hour": at(hour), **dict.fromkeys(upstream.MEASURES, 1.0), **changes}
        for hour in hours
    ]
    types = [("origin", pa.string()), ("time_hour", pa.timestamp("s", "UTC"))]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([*types, *((m, pa.float64()) for m in upstream.MEASURES)])
    )


def test_a_flight_is_named_by_date_number_and_route() -> None:
    row = upstream.schedule(upstream.identified(flights())).to_pylist()[0]
    assert row["flight_id"] == "2013-03-10-UA1545-EWR-IAH"
    assert row["flight_date"] == date(2013, 3, 10)
    assert row["sched_dep_at"] == at("2013-03-10T09:15:00")
    assert row["sched_arr_local"] == 819


def test_a_flight_that_occurs_twice_is_an_error() -> None:
    with pytest.raises(SourceError, match="2 flights, but 1 different"):
        upstream.identified(pa.concat_tables([flights(), flights()]))


@pytest.mark.parametrize(
    ("month", "day", "published"),
    [
        (1, 1, "2012-12-31T17:00:00"),
        (3, 10, "2013-03-09T17:00:00"),  # the day of the change: the noon before is still winter time
        (3, 11, "2013-03-10T16:00:00"),
        (11, 4, "2013-11-03T17:00:00"),
    ],
)
def test_the_plan_is_published_at_noon_of_the_day_before(month: int, day: int, published: str) -> None:
    table = upstream.schedule(upstream.identified(flights(month=month, day=day)))
    assert table["published_at"][0].as_py() == at(published)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        pytest.param({}, "2013-03-10T13:24:00", id="arrived: 09:15 + 2 + 227 + 20 minutes"),
        pytest.param({"dep_delay": -5}, "2013-03-10T13:17:00", id="left early"),
        pytest.param(
            {"dep_delay": None, "arr_delay": None, "air_time": None},
            "2013-03-10T15:15:00",
            id="cancelled: six hours after the plan",
        ),
        pytest.param(
            {"dep_delay": 480, "arr_delay": None, "air_time": None},
            "2013-03-10T23:15:00",
            id="diverted: six hours after it left",
        ),
    ],
)
def test_an_arrival_is_reported_once_it_can_be_known(changes: dict[str, object], reported: str) -> None:
    table = upstream.arrivals(upstream.identified(flights(**changes)))
    assert table["reported_at"][0].as_py() == at(reported)


def test_tables_have_the_columns_of_their_ddl() -> None:
    identified = upstream.identified(flights())
    for name, table in {
        "schedule": upstream.schedule(identified),
        "arrivals": upstream.arrivals(identified),
    }.items():
        declared = [part.split()[0] for part in upstream.TABLES[name].split(",")]
        assert table.column_names == declared


def test_weather_is_cut_at_local_midnight() -> None:
    days = dict(upstream.weather_days(weather("2013-01-02T04:00:00", "2013-01-02T05:00:00")))
    assert {day: len(rows) for day, rows in days.items()} == {"2013-01-01": 1, "2013-01-02": 1}


@pytest.mark.parametrize(
    ("made", "published"),
    [
        ("2013-02-12T08:00:00", "2013-02-12T08:10:00Z"),
        ("2013-02-13T04:55:00", "2013-02-13T04:59:00Z"),  # 23:55 in New York
        ("2013-03-11T03:55:00", "2013-03-11T03:59:00Z"),  # the same in summer time
    ],
)
def test_an_observation_is_published_within_its_own_day(made: str, published: str) -> None:
    [(_, rows)] = upstream.weather_days(weather(made))
    assert rows["published_at"].to_pylist() == [published]


def test_dirt_stays() -> None:
    [(_, rows)] = upstream.weather_days(weather("2013-02-12T08:00:00", wind_speed=1048.36058, temp=None))
    assert rows["wind_speed"].to_pylist() == [1048.36058]
    assert rows["temp"].to_pylist() == [None]


def test_the_register_is_whole_and_valid_json() -> None:
    register = upstream.read_aircraft()
    assert len(register) == 3322
    assert list(register[0]) == list(upstream.REGISTER)
    assert sum(aircraft["year"] is None for aircraft in register) == 70
    json.dumps(register, allow_nan=False)


@pytest.mark.parametrize(
    ("query", "tails"),
    [
        ("as_of=2013-02-01&page=1&size=2", ["N0", "N1"]),
        ("as_of=2013-02-01&page=3&size=2", ["N4"]),
        ("as_of=2013-02-01&page=4&size=2", []),
        ("as_of=2013-02-01", ["N0", "N1", "N2", "N3", "N4"]),
    ],
)
def test_pages_count_from_one_and_end(query: str, tails: list[str]) -> None:
    answer = upstream.aircraft_page(REGISTER, query)
    assert [aircraft["tailnum"] for aircraft in answer["items"]] == tails
    assert answer["total"] == 5


def test_pages_are_rounded_up() -> None:
    assert upstream.aircraft_page(REGISTER, "as_of=2013-02-01&size=2")["pages"] == 3


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "as_of"),
        ("as_of=yesterday", "as_of"),
        ("as_of=2013-02-01%0A", "as_of"),
        ("as_of=2013-02-01&page=0", "page"),
        ("as_of=2013-02-01&page=-1", "page"),
        ("as_of=2013-02-01&page=99999999999999999999", "page"),
        ("as_of=2013-02-01&page=%D9%A1", "page"),  # an Arabic digit
        ("as_of=2013-02-01&size=", "size"),
        ("as_of=2013-02-01&size=5001", "size"),
        ("as_of=2013-02-01&limit=5", "limit"),
    ],
)
def test_a_bad_parameter_is_named(query: str, parameter: str) -> None:
    with pytest.raises(RequestError, match=f"^{parameter}: "):
        upstream.aircraft_page(REGISTER, query)
