"""How a source spells its values: what a spec may say of it, and what is refused before anything is read."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from nightshift.specs import Dialect, Source
from nightshift.spelling import days, plain
from nightshift.validate.coerce import coerce

UTC = ZoneInfo("UTC")

COLUMNS: dict[str, Any] = {"id": {"type": "string"}, "day": {"type": "date"}, "at": {"type": "timestamp"}}


def source(files: dict[str, Any] | None = None, **changes: Any) -> Source:
    plain = {"kind": "files", "folder": "data", "path": "all.csv", "date_column": "day"}
    spec = {"name": "air", "owner": "tests", "description": "", "columns": COLUMNS, "key": ["id"]}
    return Source.model_validate({**spec, "connector": {**plain, **(files or {})}, **changes})


@pytest.mark.parametrize(
    "spelled",
    [
        {"delimiter": ";", "decimal": ",", "thousands": "."},
        {"delimiter": "\t", "thousands": " ", "encoding": "utf-16"},
        {"delimiter": "§", "quote": ""},
        {"dates": "%d/%m/%Y", "timestamps": "%d/%m/%Y %H.%M.%S"},
        {"dates": "%m/%d/%y", "timestamps": "%I:%M %p, %b %d %Y"},
        {"dates": "%Y%j", "timestamps": "%Y-%m-%dT%H:%M:%S.%f%z"},
    ],
)
def test_a_dialect_is_declared(spelled: dict[str, Any]) -> None:
    dialect = source({"dialect": spelled}).dialect
    assert {key: getattr(dialect, key) for key in spelled} == spelled


@pytest.mark.parametrize(
    ("form", "texts", "days"),
    [
        # 1 November or 11 January, 8 February or 28 of nothing: a zero that is lost leaves a guess.
        ("%d%m%Y", ["1112013", "01112013"], [None, "2013-11-01"]),
        ("%Y%m%d", ["2013028", "20130208"], [None, "2013-02-08"]),
        ("%Y%j", ["2013366", "2012366", "201301", "2013001"], [None, "2012-12-31", None, "2013-01-01"]),
        ("%Y-%j", ["2013-366", "2013-1"], [None, "2013-01-01"]),
        ("%d%b%Y", ["8Feb2013", "08FEB2013"], ["2013-02-08", "2013-02-08"]),
        ("%b %d, %Y", ["Feb  8, 2013"], ["2013-02-08"]),
        ("%d/%m/%Y", ["8/2/2013", " 08/02/2013 "], ["2013-02-08", "2013-02-08"]),
    ],
)
def test_a_day_that_could_be_another_is_none(form: str, texts: list[str], days: list[str | None]) -> None:
    values = plain(pd.Series(texts, dtype="str"), "date", Dialect(dates=form), UTC)
    read, wrong = coerce(values, "date", text_is_all=True)
    assert read.to_list() == [pd.NaT if day is None else pd.Timestamp(day) for day in days]
    assert wrong.tolist() == [day is None for day in days]


def test_a_time_without_its_zero_is_none() -> None:
    form = "%d.%m.%Y %H%M"
    texts = pd.Series(
        ["8.2.2013 112", "8.2.2013 0112"], dtype="str"
    )  # 11:02 to strptime, 1:12 to who wrote it
    read = plain(texts, "timestamp", Dialect(timestamps=form), UTC)
    assert read.to_list() == ["unreadable", "2013-02-08T01:12:00.000000"]


def test_what_stands_for_nothing_is_text_however_yaml_reads_it() -> None:
    assert Dialect.model_validate({"nulls": ["NA", -200, "-99.50"]}).nulls == ("NA", "-200", "-99.50")
    with pytest.raises(ValueError, match=r"YAML reads -999\.0 as a number, .*; put it in quotes"):
        Dialect.model_validate({"nulls": [-999.00]})
    with pytest.raises(ValueError, match="YAML reads None as no text; put it in quotes"):
        Dialect.model_validate({"nulls": [None]})
    with pytest.raises(ValueError, match="YAML reads False as no text"):
        Dialect.model_validate({"nulls": [False]})


def test_a_number_that_stands_for_nothing_is_that_number_to_the_last_digit() -> None:
    nothing = Dialect.model_validate({"nulls": ["9007199254740993", -200]})
    delivered = pd.Series(["9007199254740993", "9007199254740992", "-200.0", "-2E2", "-201"], dtype="str")
    read, wrong = coerce(plain(delivered, "integer", nothing, UTC), "integer", text_is_all=True)
    assert read.tolist() == [pd.NA, 2**53, pd.NA, pd.NA, -201]
    assert not wrong.any()


@pytest.mark.parametrize("marker", ["sNaN", "-sNaN1", "NaN"])
def test_a_word_for_no_number_may_stand_for_nothing(marker: str) -> None:
    nothing = Dialect.model_validate({"nulls": [marker, "-1"]})
    delivered = pd.Series([marker, "-1", "7"], dtype="str")
    read, wrong = coerce(plain(delivered, "integer", nothing, UTC), "integer", text_is_all=True)
    assert read.tolist() == [pd.NA, pd.NA, 7]
    assert not wrong.any()


@pytest.mark.parametrize(
    ("last", "day"), [(None, "02"), ("", "02"), ("n/a", "02"), ("2024-01-02T05:00:00Z", "01")]
)
def test_an_unreadable_day_does_not_change_how_the_others_are_read(last: str | None, day: str) -> None:
    new_york = ZoneInfo("America/New_York")
    delivered = pd.Series(["2024-01-02T00:00:00Z"] * 3 + [last], dtype="str")
    found = days(delivered, None, Dialect(), new_york, new_york)
    assert found[:3].astype("str").tolist() == [f"2024-01-{day}"] * 3


def test_of_declared_timestamps_each_is_read_by_itself_whatever_digits_stand_beside_it() -> None:
    spelled = Dialect(timestamps="%d.%m.%Y %H:%M:%S.%f")
    delivered = pd.Series(["08.02.2013 10:00:00.123456789", "31.12.9999 23:00:00.5"], dtype="str")
    read, wrong = coerce(plain(delivered, "timestamp", spelled, UTC), "timestamp", text_is_all=True)
    assert read.astype("str").tolist() == [
        "2013-02-08 10:00:00.123456+00:00",
        "9999-12-31 23:00:00.500000+00:00",
    ]
    assert not wrong.any()


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M:%S", "%d%m%Y%H%M%S"])
def test_the_sixtieth_second_of_a_minute_is_none_of_the_next_one(form: str) -> None:
    instant = datetime(2013, 12, 31, 23, 59, 5).strftime(form)  # noqa: DTZ001
    texts = [instant[:-2] + second for second in ("05", "59", "60", "61")]
    read = plain(pd.Series(texts, dtype="str"), "timestamp", Dialect(timestamps=form), UTC)
    assert read.tolist()[:2] == ["2013-12-31T23:59:05.000000", "2013-12-31T23:59:59.000000"]
    assert read.tolist()[2:] == ["unreadable"] * 2


def test_a_timestamp_beyond_the_years_that_a_clock_can_show_is_set_aside_alone() -> None:
    delivered = pd.Series(np.array([0, 10**12, -(10**12)], dtype="datetime64[s]"))
    values = plain(delivered, "timestamp", Dialect(), ZoneInfo("America/New_York"))
    read, wrong = coerce(values, "timestamp", text_is_all=False)
    assert wrong.tolist() == [False, True, True]
    assert str(read[0]) == "1970-01-01 05:00:00+00:00"


@pytest.mark.parametrize("of", ["text", "Parquet", "Python"])
@pytest.mark.parametrize(
    ("zone", "sentinel"),
    [
        ("America/New_York", "9999-12-31 23:59:59"),
        ("America/New_York", "9999-12-31 19:00:00"),
        ("Asia/Tokyo", "0001-01-01 00:00:00"),
        ("Asia/Tokyo", "0001-01-01 09:18:00"),
        ("Europe/Berlin", "0001-01-01 00:00:00"),
    ],
)
def test_a_timestamp_that_leaves_all_years_by_its_zone_is_set_aside_alone(
    zone: str, sentinel: str, of: str
) -> None:
    delivered = pd.Series([sentinel, "2024-07-01 12:00:00"], dtype="str")
    if of != "text":
        delivered = delivered.astype("datetime64[us]")
    if of == "Python":
        delivered = pd.Series(delivered.dt.to_pydatetime(), dtype=object)
    values = plain(delivered, "timestamp", Dialect(), ZoneInfo(zone))
    read, wrong = coerce(values, "timestamp", text_is_all=False)
    assert wrong.tolist() == [True, False]
    assert read[1] == pd.Timestamp("2024-07-01 12:00:00", tz=zone)


@pytest.mark.parametrize(
    ("zone", "edge"), [("America/New_York", "9999-12-31 18:59:59"), ("Europe/Berlin", "9999-12-31 23:59:59")]
)
def test_the_last_hour_that_utc_can_show_is_read(zone: str, edge: str) -> None:
    for delivered in (pd.Series([edge], dtype="str"), pd.Series([edge]).astype("datetime64[us]")):
        values = plain(delivered, "timestamp", Dialect(), ZoneInfo(zone))
        read, _ = coerce(values, "timestamp", text_is_all=False)
        assert read.notna().all()


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize("far", ["2300-01-01 12:00:00", "9999-12-31 12:00:00"])
def test_nanoseconds_in_one_value_change_none_beside_it(zone: str, far: str) -> None:
    values = pd.Series([far, "2013-01-01 10:00:00.1234567"], dtype="str")
    read, wrong = coerce(plain(values, "timestamp", Dialect(), ZoneInfo(zone)), "timestamp", text_is_all=True)
    assert not wrong.any()
    assert read[0] == pd.Timestamp(far).as_unit("us").tz_localize(zone)
    assert days(values, "timestamp", Dialect(), ZoneInfo(zone), ZoneInfo(zone)).astype("str").tolist() == [
        far[:10],
        "2013-01-01",
    ]


@pytest.mark.parametrize(
    "sentinel", ["9999-12-31 23:59:59", "9999-12-31T23:59:59.9999999", "2013-02-30 10:00"]
)
def test_a_timestamp_that_its_zone_cannot_read_is_not_read_as_utc(sentinel: str) -> None:
    values = pd.Series([sentinel, "2013-01-01 10:00:00.1234567"], dtype="str")
    read, wrong = coerce(
        plain(values, "timestamp", Dialect(), ZoneInfo("America/New_York")), "timestamp", text_is_all=True
    )
    assert wrong.tolist() == [True, False]
    assert read.isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("home", "edge"),
    [("Europe/Berlin", "9999-12-31T23:30:00Z"), ("America/New_York", "0001-01-01T00:00:00Z")],
)
def test_an_instant_on_a_day_beyond_all_years_has_no_day_here_and_ends_nothing(home: str, edge: str) -> None:
    instants = pd.Series([edge, "2013-01-01T10:00:00Z"], dtype="str")
    for delivered in (instants, pd.Series(np.array([edge[:-1], "2013-01-01T10:00:00"], "datetime64[us]"))):
        found = days(delivered, "timestamp", Dialect(), UTC, ZoneInfo(home))
        assert found.isna().tolist() == [True, False]
        assert str(found[1].date()) == "2013-01-01"


def test_the_last_day_of_all_years_is_a_day_where_the_clock_shows_it() -> None:
    for home, edge in (
        ("America/New_York", "9999-12-31T23:59:59Z"),
        ("Europe/Berlin", "0001-01-01T00:00:00Z"),
    ):
        found = days(pd.Series([edge], dtype="str"), "timestamp", Dialect(), UTC, ZoneInfo(home))
        assert [day.date().isoformat() for day in found] == [edge[:10]]


def test_booleans_are_read_as_they_are_declared_to_be_written_and_not_otherwise() -> None:
    delivered = pd.Series(["J", " N ", "", None, "j", "true", "1", "-"], dtype="str")
    spelled = Dialect.model_validate({"true_values": ["J"], "false_values": ["N"], "nulls": ["-"]})
    read, wrong = coerce(plain(delivered, "boolean", spelled, UTC), "boolean", text_is_all=True)
    assert read.tolist() == [True, False, *[pd.NA] * 6]
    assert wrong.tolist() == [False] * 4 + [True] * 3 + [False]
    assert plain(delivered, "string", spelled, UTC).tolist()[:2] == ["J", " N "]
    read, wrong = coerce(plain(delivered, "boolean", Dialect(), UTC), "boolean", text_is_all=True)
    assert read[~wrong].dropna().tolist() == [True, True]
    numbers = Dialect.model_validate({"true_values": [2], "false_values": [1]})  # as surveys code them
    coded = plain(pd.Series(["1", "2"], dtype="str"), "boolean", numbers, UTC)
    assert coerce(coded, "boolean", text_is_all=True)[0].tolist() == [False, True]


@pytest.mark.parametrize(
    ("spelled", "says"),
    [
        ({"delimiter": ";;"}, "give one character"),
        ({"delimiter": ""}, "give one character"),
        ({"delimiter": "\n"}, "give one character"),
        ({"delimiter": "a"}, "give one character"),
        ({"quote": '""'}, "give one character"),
        ({"quote": " "}, "give one character"),
        ({"delimiter": "'", "quote": "'"}, "delimiter and quote are both"),
        ({"decimal": ";"}, 'give "." or ","'),
        ({"comment": "//"}, 'give one character, such as "#"'),
        ({"comment": "a"}, 'give one character, such as "#"'),
        ({"comment": ";", "delimiter": ";"}, "comment is ';', which is delimiter or quote too"),
        ({"comment": "'", "quote": "'"}, "which is delimiter or quote too"),
        ({"true_values": ["J"]}, "true_values, false_values: give both"),
        ({"true_values": [True], "false_values": ["N"]}, "YAML reads True as no text; put it in quotes"),
        ({"true_values": ["J", 1], "false_values": ["N", 1]}, "'1' is in true_values and in false_values"),
        (
            {"true_values": ["J"], "false_values": ["-"], "nulls": ["-"]},
            "'-' is in false_values and in nulls",
        ),
        ({"thousands": "x"}, "give one of"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"thousands": "."}, "decimal and thousands are both '.'"),
        ({"encoding": "latin-0"}, "no such text encoding"),
        ({"encoding": "rot13"}, "no such text encoding"),
        ({"encoding": "zip"}, "no such text encoding"),
        ({"dates": "%d/%m"}, "names no whole day"),
        ({"dates": "%m/%Y"}, "names no whole day"),
        ({"dates": "dd/mm/yyyy"}, "names no whole day"),
        ({"dates": "%d/%m/%Y %H:%M"}, "a date has no time of day"),
        ({"dates": "%d/%m/%Y %d"}, "'%d' is there twice"),
        ({"dates": "%x"}, "'%x' is not known"),
        ({"dates": "%d/%m/%Y%"}, "not known|not a format"),
        ({"timestamps": "%d/%m/%Y"}, "names no hour"),
        ({"timestamps": "%d/%m/%Y %I:%M"}, "needs %p"),
        ({"timestamps": "%d/%m/%Y %H:%M %p"}, "%p means nothing beside %H"),
        ({"timestamps": "%d/%m/%Y %H:%M (%I %p)"}, "names the hour twice"),
        ({"timestamps": "%H:%M"}, "names no whole day"),
        ({"timestamps": "%d/%m/%Y %H:%M %Z"}, "'%Z' is not known"),
        ({"skip_lines": -1}, "greater than or equal to 0"),
        ({"seperator": ";"}, "Extra inputs"),
    ],
)
def test_a_dialect_that_could_mean_two_things_is_refused(spelled: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        source({"dialect": spelled})


def test_only_text_has_a_dialect() -> None:
    with pytest.raises(ValueError, match="only CSV has one, not parquet"):
        source({"format": "parquet", "dialect": {"delimiter": ";"}})
    http = {"kind": "http", "connection": "api", "endpoint": "/x", "dialect": {"delimiter": ";"}}
    with pytest.raises(ValueError, match="only CSV has one, not json"):
        source(connector=http)


def test_a_timestamps_clock_is_the_columns_else_the_sources() -> None:
    columns = {**COLUMNS, "sent": {"type": "timestamp", "timezone": "Europe/Rome"}}
    spec = source(columns=columns, timezone="Australia/Sydney")
    assert [spec.zone_of(name).key for name in ("at", "sent")] == ["Australia/Sydney", "Europe/Rome"]
    with pytest.raises(ValueError, match="no such IANA time zone"):
        source(timezone="Sydney")
    with pytest.raises(ValueError, match="only a timestamp has one, this is date"):
        source(columns={**COLUMNS, "day": {"type": "date", "timezone": "Europe/Rome"}})


@pytest.mark.parametrize(
    ("connector", "columns", "says"),
    [
        ({"date_column": "id"}, COLUMNS, "must be a date or a timestamp"),
        ({}, {**COLUMNS, "day": {"type": "date", "nullable": True}}, "not nullable"),
        ({"date_column": "at"}, COLUMNS, "happen after its cut-off, and are not known at it"),
        ({"date_column": "at", "offset_days": 1}, COLUMNS, "write offset_days: -1"),
    ],
)
def test_a_date_column_says_which_night_may_know_a_row(connector: dict, columns: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        source(connector, columns=columns)


def test_events_of_the_day_itself_are_collected_if_each_says_when_it_became_known() -> None:
    known = source({"date_column": "at"}, known_at="at")
    assert known.known_at == "at"
    assert source({"date_column": "at", "offset_days": -1}).known_at is None


@pytest.mark.parametrize(
    "asked",
    [
        {"endpoint": "/x?type=a", "parameters": {"type": "b"}},
        {"endpoint": "/x?page=1", "paging": {"kind": "page"}},
        {"endpoint": "/x", "parameters": {"page": "1"}, "paging": {"kind": "page"}},
        {"endpoint": "/x", "paging": {"kind": "page", "size_parameter": "page"}},
    ],
)
def test_a_query_parameter_that_is_given_twice_is_told(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the query parameter '(type|page)' is given twice"):
        source(connector={"kind": "http", "connection": "api", **asked})
