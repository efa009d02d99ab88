"""A table is what its spec declares, or nothing is written: retyped columns, other keys, and the ways out."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nightshift.cli import tables
from nightshift.errors import Superseded, TableMismatch
from nightshift.exact import exact
from nightshift.specs import load_project
from nightshift.types import TYPES, as_text, content_sha256
from nightshift.warehouse import Table, Warehouse, feature_table, raw_table

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def warehouse(shared_url: str) -> Warehouse:
    """Return one migrated warehouse for all: each test has tables of its own."""
    return Warehouse(shared_url)


NIGHT, NEXT = date(2013, 2, 1), date(2013, 2, 2)
EXTREMES: dict[str, list[Any]] = {
    "string": ["", " a ", "ü", "😀", "007", "null", "\x01", 'a"b\\c'],
    "integer": [0, -(2**63), 2**63 - 1, 2**53 + 1, 2**60 + 1],
    "float": [0.0, -0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, 1e15, 1e16, 1e-5, 70.5],
    "boolean": [True, False],
    "date": [date(1, 1, 1), date(1000, 1, 1), date(9999, 12, 31), NIGHT],
    "timestamp": [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1000, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
}


def table(name: str, kind: str, key: tuple[str, ...] = ("batch_date", "id")) -> Table:
    columns = {"batch_date": "date", "id": "string", "amount": kind, "known_at": "timestamp"}
    return Table("raw", name, columns, key, frozenset({"batch_date", "known_at", *key}))


def rows(kind: str, values: list[Any], night: date = NIGHT) -> pd.DataFrame:
    """Return typed rows; the ids count."""
    amounts = exact(pd.Series([*values], dtype=object), kind)
    return pd.DataFrame(
        {
            "batch_date": pd.Series(pd.Timestamp(night), amounts.index, "datetime64[s]"),
            "id": pd.Series([str(n) for n in range(len(values))], dtype="str"),
            "amount": amounts,
            "known_at": pd.Series(pd.Timestamp(night, tz="UTC"), amounts.index, "datetime64[us, UTC]"),
        }
    )


def stored(warehouse: Warehouse, name: str, kind: str, values: list[Any], night: date = NIGHT) -> Table:
    made = table(name, kind)
    warehouse.ensure(made)
    with warehouse.write(warehouse.lease(made, [night], "test")) as write:
        write.replace(made, rows(kind, values, night))
    return made


@pytest.mark.parametrize("kind", EXTREMES)
def test_every_type_comes_back_bit_by_bit_with_nulls_and_extremes(warehouse: Warehouse, kind: str) -> None:
    values = [*EXTREMES[kind], None]
    made = stored(warehouse, f"same_{kind}", kind, values)
    back = warehouse.read(made, NIGHT, NIGHT)
    pd.testing.assert_frame_equal(back, rows(kind, values))
    assert content_sha256(back) == content_sha256(rows(kind, values).iloc[::-1])
    if kind == "float":
        assert [value.hex() for value in back["amount"][:-1]] == [float(value).hex() for value in values[:-1]]


def test_a_column_has_its_dtype_on_every_night_whatever_is_in_it(warehouse: Warehouse) -> None:
    for kind in EXTREMES:
        for number, values in enumerate([[None, None], EXTREMES[kind][:2], [EXTREMES[kind][0], None]]):
            night = date(2013, 3, 1 + number)
            made = stored(warehouse, f"dtype_{kind}", kind, values, night)
            assert str(warehouse.read(made, night, night)["amount"].dtype) == str(TYPES[kind].pandas)
        assert (
            str(warehouse.read(made, date(2013, 4, 1), date(2013, 4, 1))["amount"].dtype)
            == TYPES[kind].pandas
        )


def test_a_retyped_column_is_refused_before_anything_is_written(warehouse: Warehouse) -> None:
    stored(warehouse, "retyped", "integer", [68])
    changed = table("retyped", "float")
    with pytest.raises(TableMismatch) as refused:
        warehouse.ensure(changed)
    assert "table raw.retyped is not what its spec declares" in str(refused.value)
    assert "column 'amount' is integer in the table, float in the spec" in str(refused.value)
    assert "nightshift migrate source retyped" in str(refused.value)
    with pytest.raises(TableMismatch):
        warehouse.compare(changed)
    assert warehouse.read(table("retyped", "integer"), NIGHT, NIGHT)["amount"].to_list() == [68]


def test_integers_become_floats_only_where_each_stays_the_same(warehouse: Warehouse) -> None:
    stored(warehouse, "widened", "integer", [68, None, -(2**53) + 1])
    changed = table("widened", "float")
    would = warehouse.retype(changed, "test", dry_run=True)
    assert would == ["column 'amount' is integer in the table, float in the spec: 3 rows changed"]
    assert warehouse.types(changed)["amount"] == "integer", "a dry run changes nothing"
    assert warehouse.retype(changed, "test") == would
    warehouse.ensure(changed)
    with warehouse.write(warehouse.lease(changed, [NEXT], "test")) as write:
        write.replace(changed, rows("float", [70.5], NEXT))
    assert warehouse.read(changed, NIGHT, NEXT)["amount"].dropna().to_list() == [68.0, -(2.0**53) + 1, 70.5]
    stored(warehouse, "too_wide", "integer", [5, 2**53 + 1])
    with pytest.raises(TableMismatch) as refused:
        warehouse.retype(table("too_wide", "float"), "test")
    assert (
        "1 rows stand against it, the first (batch_date, id = 2013-02-01, 1) with amount = '9007199254740993'"
        in str(refused.value)
    )
    assert warehouse.types(table("too_wide", "integer"))["amount"] == "integer"


@pytest.mark.parametrize("kind", ["integer", "float", "boolean", "date", "timestamp"])
def test_what_becomes_text_is_spelled_as_entities_and_labels_are(warehouse: Warehouse, kind: str) -> None:
    values = [value for value in EXTREMES[kind] if kind != "float" or abs(value) < 1e15] + [None]
    stored(warehouse, f"text_{kind}", kind, values)
    changed = table(f"text_{kind}", "string")
    warehouse.retype(changed, "test")
    expected = as_text(rows(kind, values)["amount"]).to_list()
    assert warehouse.read(changed, NIGHT, NIGHT)["amount"].to_list()[:-1] == expected[:-1]


# No shrinking: each example is a table of a real database.
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.floats(-1e15, 1e15, exclude_min=True, exclude_max=True), min_size=20, max_size=60))
def test_a_float_is_spelled_alike_by_the_database_and_by_us(
    warehouse: Warehouse, values: list[float]
) -> None:
    warehouse.execute("DROP TABLE IF EXISTS raw.spelled")
    stored(warehouse, "spelled", "float", values)
    warehouse.retype(table("spelled", "string"), "test")
    back = warehouse.read(table("spelled", "string"), NIGHT, NIGHT)
    assert dict(zip(back["id"], back["amount"], strict=True)) == {
        str(n): repr(v) for n, v in enumerate(values)
    }


def test_what_no_conversion_keeps_is_refused_by_row(warehouse: Warehouse) -> None:
    stored(warehouse, "text", "string", ["7", "007", None])
    with pytest.raises(
        TableMismatch, match=r"id = 2013-02-01, 1\) with amount = '007': it would not be the same value"
    ):
        warehouse.retype(table("text", "integer"), "test")
    with pytest.raises(TableMismatch, match="there is no conversion that keeps every value"):
        warehouse.retype(table("text", "date"), "test")
    stored(warehouse, "nothing", "string", [None, None])
    warehouse.retype(table("nothing", "date"), "test")
    assert warehouse.types(table("nothing", "date"))["amount"] == "date"


def test_a_changed_key_is_refused_and_a_wider_one_that_holds_is_migrated(warehouse: Warehouse) -> None:
    stored(warehouse, "keyed", "integer", [1, 2])
    wider = table("keyed", "integer", ("batch_date", "id", "amount"))
    with pytest.raises(
        TableMismatch, match=r"the key is \(batch_date, id\) in the table, \(batch_date, id, amount\)"
    ):
        warehouse.ensure(wider)
    assert warehouse.retype(wider, "test")
    warehouse.ensure(wider)
    narrower = table("keyed", "integer", ("batch_date",))
    with pytest.raises(TableMismatch, match=r"2 rows have the key \(2013-02-01\)"):
        warehouse.retype(narrower, "test")
    stored(warehouse, "unkeyed", "integer", [1, None])
    with pytest.raises(TableMismatch, match="amount = null: it is null"):
        warehouse.retype(table("unkeyed", "integer", ("batch_date", "amount")), "test")


def test_a_column_that_is_gone_and_required_is_migrated(warehouse: Warehouse) -> None:
    made = stored(warehouse, "shrunk", "integer", [1])
    warehouse.execute("ALTER TABLE raw.shrunk ADD COLUMN colour text NOT NULL DEFAULT 'red'")
    with pytest.raises(
        TableMismatch, match="column 'colour' is NOT NULL in the table, and is gone in the spec"
    ):
        warehouse.ensure(made)
    warehouse.retype(made, "test")
    warehouse.ensure(made)


def test_a_table_without_a_row_is_made_anew(warehouse: Warehouse) -> None:
    warehouse.ensure(table("empty", "integer"))
    warehouse.ensure(table("empty", "date", ("batch_date", "amount")))
    assert warehouse.types(table("empty", "date"))["amount"] == "date"


def test_a_try_from_before_the_migration_writes_nothing(warehouse: Warehouse) -> None:
    made = stored(warehouse, "raced", "integer", [1])
    before = warehouse.lease(made, [NIGHT], "before")
    warehouse.retype(table("raced", "float"), "migrate source raced")
    with pytest.raises(Superseded, match="migrate source raced"), warehouse.write(before) as write:
        write.replace(made, rows("integer", [2]))
    assert warehouse.read(table("raced", "float"), NIGHT, NIGHT)["amount"].to_list() == [1.0]


def test_check_refuses_the_projects_tables_and_migrate_mends_them(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = load_project()
    declared = raw_table(project.source("weather"))
    warehouse.ensure(replace(declared, columns={**declared.columns, "temp": "integer"}))
    warehouse.execute(
        "INSERT INTO raw.weather (batch_date, origin, observed_at, known_at, temp) "
        "VALUES ('2013-02-01', 'JFK', '2013-02-01', '2013-02-01', 5)"
    )
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", warehouse.url)
    says = "table raw.weather .*: column 'temp' is integer in the table, float in the spec.*migrate source weather"
    with pytest.raises(TableMismatch, match=says):
        tables.compare(project)
    assert tables.retype(warehouse.url, "source", "weather", dry_run=True)[0] == "raw.weather would change:"
    assert tables.retype(warehouse.url, "source", "weather", dry_run=False)[0] == "raw.weather has changed:"
    assert tables.retype(warehouse.url, "source", "weather", dry_run=False) == [
        "raw.weather is what its spec declares."
    ]
    monkeypatch.setattr("nightshift.cli.logins.missing", lambda _: [])  # the server has them, or not
    told = tables.compare(project)
    assert len(told) == 1
    assert told[0].startswith(
        "table raw.weather: column 'published_at' is null in 1 rows, first in the night of 2013-02-01, and never in "
    )
    assert "nightshift trigger collect_weather --from 2013-02-01" in told[0]
    assert "or write nullable: true" in told[0]
    warehouse.execute("UPDATE raw.weather SET published_at = known_at")
    assert tables.compare(project) == []
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert tables.compare(project) == [
        "The warehouse does not answer: its tables were not compared with the specs."
    ]


def test_nulls_are_counted_of_as_many_columns_as_a_table_has(warehouse: Warehouse) -> None:
    names = [f"c{n}" for n in range(1500)]
    columns = {"batch_date": "date", "id": "string", **dict.fromkeys(names, "boolean")}
    wide = Table("raw", "wide", columns, ("batch_date", "id"))
    warehouse.ensure(wide)
    assert warehouse.nulls(wide, names) == {}
    warehouse.execute("INSERT INTO raw.wide (batch_date, id, c1) VALUES ('2013-02-02', 'a', true)")
    warehouse.execute("INSERT INTO raw.wide (batch_date, id) VALUES ('2013-02-01', 'a'), ('2013-02-03', 'a')")
    found = warehouse.nulls(wide, names)
    assert (len(found), found["c0"], found["c1"]) == (1500, (3, NIGHT), (2, NIGHT))
    assert warehouse.nulls(wide, ["not_there"]) == {}


def test_a_sets_features_of_another_type_are_refused_with_its_ways_out(warehouse: Warehouse) -> None:
    declared = feature_table(load_project().feature_set("departure"))
    warehouse.ensure(replace(declared, columns={**declared.columns, "distance": "integer"}))
    warehouse.execute(
        "INSERT INTO features.departure_v1 (batch_date, flight_id, distance) VALUES ('2013-02-01', 'a', 7)"
    )
    with pytest.raises(
        TableMismatch, match=r"migrate features departure.* or make it a new version of the set"
    ):
        warehouse.ensure(declared)
    warehouse.retype(declared, "test")
    assert warehouse.read(declared, NIGHT, NIGHT)["distance"].to_list() == [7.0]
