"""Which edits of a spec read older deliveries otherwise, and which only read more of them, or refuse them."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from nightshift.specs import Source
from nightshift.validate.reading import edits, reading_of

FIRST, LAST = date(2012, 1, 10), date(2012, 2, 9)
TYPES = {"s": "string", "i": "integer", "f": "float", "b": "boolean", "d": "date", "t": "timestamp"}


def source(dialect: dict[str, Any] | None = None, only: str = "sifbdt", **more: Any) -> Source:
    columns = {"id": {"type": "integer"}} | {n: {"type": TYPES[n], "nullable": True} for n in only}
    if "column" in more:
        columns["t"]["timezone"] = more.pop("column")
    return Source.model_validate(
        {
            "name": "sales",
            "owner": "t",
            "description": "",
            "connector": {
                "kind": "files",
                "folder": "f",
                "path": "{date}.csv",
                "format": more.pop("format", "csv"),
                **({"dialect": dialect} if dialect else {}),
            },
            "columns": columns,
            "key": ["id"],
            **more,
        }
    )


def told(before: Source, now: Source) -> list[str]:
    return [str(each) for each in edits(now, reading_of(before), FIRST, LAST)]


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (
            {"dates": "%d/%m/%Y"},
            {"dates": "%m/%d/%Y"},
            "'connector.dialect.dates': '%d/%m/%Y' then, '%m/%d/%Y' now",
        ),
        ({"dates": "%d%m%y"}, {"dates": "%y%m%d"}, "connector.dialect.dates"),
        (
            {"timestamps": "%d.%m.%Y %H:%M"},
            {"timestamps": "%m.%d.%Y %H:%M"},
            "(connector.dialect.timestamps|in column 't')",
        ),
        ({}, {"thousands": ","}, None),
        (
            {},
            {"decimal": ",", "thousands": "."},
            r"\('1\.234' in column 'i'|\('1\.234' in column 'f' was 1.234",
        ),
        (
            {"decimal": ",", "delimiter": ";"},
            {"thousands": ",", "delimiter": ";"},
            "'1,234' in column 'f' was 1.234",
        ),
        (
            {},
            {"nulls": [-200]},
            r"key 'connector.dialect.nulls': none then, '-200' now \('-200' in column 's'",
        ),
        ({"nulls": ["NA"]}, {}, r"\('NA' in column 's' was nothing, and would be NA\)"),
        (
            {"true_values": ["J"], "false_values": ["N"]},
            {"true_values": ["N"], "false_values": ["J"]},
            r"true_values': 'J' then, 'N' now \('J' in column 'b' was True, and would be False\)",
        ),
        (
            {"encoding": "cp1252"},
            {"encoding": "cp1250"},
            "'connector.dialect.encoding': cp1252 then, cp1250 now",
        ),
        ({"encoding": "cp1252"}, {"encoding": "utf-8"}, "connector.dialect.encoding"),
        ({}, {"quote": ""}, "connector.dialect.quote"),
        # Read alike, or by one of the two only: what the other cannot read is set aside or refused.
        ({"dates": "%d.%m.%Y"}, {"dates": "%d/%m/%Y"}, None),
        ({}, {"dates": "%Y-%m-%d"}, None),
        ({"decimal": ",", "delimiter": ";"}, {"delimiter": ";"}, None),
        (
            {"true_values": ["J"], "false_values": ["N"]},
            {"true_values": ["J", "Ja"], "false_values": ["N"]},
            None,
        ),
        ({"encoding": "ascii"}, {"encoding": "utf-8"}, None),
        ({}, {"delimiter": "|"}, None),
        ({}, {"comment": "#", "skip_lines": 3}, None),
    ],
)
def test_an_edited_dialect_is_told_where_it_reads_a_text_otherwise(
    before: dict, now: dict, words: str | None
) -> None:
    found = told(source(before), source(now))
    assert bool(found) == (words is not None), found
    if words:
        assert any(re.search(words, each) for each in found), found


@pytest.mark.parametrize(
    ("only", "is_told"), [("i", True), ("f", True), ("s", True), ("b", False), ("d", False), ("t", False)]
)
def test_a_null_marker_counts_where_a_column_could_hold_it(only: str, is_told: bool) -> None:
    assert bool(told(source(only=only), source({"nulls": [-200]}, only=only))) == is_told


def test_nothing_where_a_value_must_be_is_set_aside_and_no_second_meaning() -> None:
    columns = {"id": {"type": "integer"}, "s": {"type": "string"}}
    assert told(source(columns=columns), source({"nulls": [-200, "NA"]}, columns=columns)) == []


def test_a_word_for_nothing_is_news_to_columns_of_text_only() -> None:
    assert told(source(only="fd"), source({"nulls": ["n/a"]}, only="fd")) == []
    assert told(source(only="s"), source({"nulls": ["n/a"]}, only="s"))


def test_another_clock_is_told_by_the_key_that_names_it() -> None:
    before = source(timezone="America/New_York")
    assert told(before, source(timezone="US/Eastern")) == []
    assert told(before, source(timezone="Europe/Rome")) == [
        "key 'timezone': America/New_York then, Europe/Rome now (of column 't')"
    ]
    assert told(before, source(timezone="America/New_York", column="UTC")) == [
        "key 'columns.t.timezone': America/New_York then, UTC now (of column 't')"
    ]
    own = source(timezone="America/New_York", column="UTC")
    assert told(own, source(timezone="Europe/Rome", column="UTC")) == [], "the column's own clock stands"
    assert told(before, source(timezone="Europe/Rome", only="sifbd")) == [], "nothing shows a clock"
    offsets = {"timestamps": "%Y-%m-%dT%H:%M:%S%z"}
    assert told(source(offsets, timezone="UTC"), source(offsets, timezone="Europe/Rome")) == []


def test_what_was_not_declared_before_has_no_older_reading() -> None:
    assert told(source(only="s", timezone="UTC"), source(only="st", timezone="Europe/Rome")) == []
    assert told(source(format="parquet"), source({"nulls": ["NA"]})) == []


def test_a_dialect_that_no_spec_may_have_any_more_is_still_how_batches_were_read() -> None:
    now = source({"timestamps": "%d.%m.%Y %I:%M %p"})
    stored = reading_of(now)
    before = replace(stored, dialect={**(stored.dialect or {}), "timestamps": "%d.%m.%Y %H:%M %p"})
    [edit] = edits(now, before, FIRST, LAST)
    assert (edit.key, edit.then) == ("connector.dialect.timestamps", "'%d.%m.%Y %H:%M %p'")
    assert edits(now, stored, FIRST, LAST) == []
