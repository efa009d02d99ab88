"""Every declared type, from file, HTTP and SQL to ``build()`` and back, on a real PostgreSQL: bit by bit, or by row."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg2
import psycopg2.extras
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from integration.test_connectors import WINDOW, Api, js
from nightshift.collect import Connection, open_source
from nightshift.exact import exact
from nightshift.featurise import compute
from nightshift.landing import parquet, rows_of
from nightshift.specs import FeatureSet, Source
from nightshift.types import DTYPES, as_text
from nightshift.validate import Validation, validate_batches
from nightshift.warehouse import Table, Warehouse, feature_table, raw_table

pytestmark = pytest.mark.integration
NIGHTS = [date(2013, 2, 8), date(2013, 2, 9)]
TYPES = {"s": "string", "i": "integer", "f": "float", "b": "boolean", "d": "date", "t": "timestamp"}
KEY = 2**60 + 1  # of the first row: beyond what a float can tell apart
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
present = {
    "s": st.one_of(text, st.sampled_from(["NA", "null", "007", "1e5", " "])),
    "i": st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63)])),
    "f": st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "d": st.one_of(st.dates(), st.sampled_from([date.min, date.max, date(1000, 1, 1)])),
    "t": st.one_of(
        st.datetimes(timezones=st.just(UTC)),
        st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
    ),
}
a_row = st.fixed_dictionaries({name: st.one_of(st.none(), values) for name, values in present.items()})
a_night = st.lists(a_row, min_size=1, max_size=6)
# No shrinking: an example is a night of a real database.
few = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def url(shared_url: str) -> str:
    """Return a migrated database for all: warehouse and upstream."""
    return shared_url


@pytest.fixture(scope="module")
def served() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


def _alone(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


def source(connector: dict[str, Any], types: dict[str, str] | None = None, **more: Any) -> Source:
    columns = {
        name: {"type": kind, "nullable": True, "may_be_empty": True}
        for name, kind in (types or TYPES).items()
    }
    return Source.model_validate(
        {
            "name": "things",
            "owner": "tests",
            "description": "",
            "connector": connector,
            "columns": {"id": {"type": "integer"}, **columns},
            "key": ["id"],
            "expectations": [{"expect_table_row_count_to_be_between": {"min_value": 1}}],
            "budget": {"share": 1.0, "rows": 1000},
            **more,
        }
    )


def numbered(rows: Rows) -> Rows:
    return [{"id": KEY + n, **{name: row[name] for name in TYPES}} for n, row in enumerate(rows)]


# Deliveries: each returns what the connector read of these rows.


def by_csv(rows: Rows, folder: Path, url: str, api: Api) -> tuple[Source, pd.DataFrame]:
    def field(value: Any) -> str:
        if value is None:
            return ""
        spelled = value.isoformat() if isinstance(value, date) else str(value)
        return '"' + spelled.replace('"', '""') + '"'

    lines = [",".join(rows[0]), *(",".join(map(field, row.values())) for row in rows)]
    (folder / "2013-02-08.csv").write_bytes(("\n".join(lines) + "\n").encode())
    return _read(
        source({"kind": "files", "folder": str(folder), "path": "{date}.csv"}),
        Connection("", "fs", extra={"path": str(folder)}),
    )


def by_parquet(rows: Rows, folder: Path, url: str, api: Api) -> tuple[Source, pd.DataFrame]:
    kinds = [
        pa.int64(),
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.date32(),
        pa.timestamp("us", tz="UTC"),
    ]
    schema = pa.schema(list(zip(rows[0], kinds, strict=True)))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "2013-02-08.parquet")
    connector = {"kind": "files", "folder": str(folder), "path": "{date}.parquet", "format": "parquet"}
    return _read(source(connector), Connection("", "fs", extra={"path": str(folder)}))


def by_http(rows: Rows, folder: Path, url: str, api: Api) -> tuple[Source, pd.DataFrame]:
    body = [{n: v.isoformat() if isinstance(v, date) else v for n, v in row.items()} for row in rows]
    api.answer = lambda path, query: js(body)
    return _read(source({"kind": "http", "connection": "api", "endpoint": "/things"}), api.connection)


def by_sql(rows: Rows, folder: Path, url: str, api: Api) -> tuple[Source, pd.DataFrame]:
    columns = "id bigint, s text, i bigint, f float8, b boolean, d date, t timestamptz"
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS upstream; CREATE TABLE upstream ({columns})")
        # As text: psycopg2 spells a float as a numeric, which has no -0.
        values = [tuple(repr(v) if isinstance(v, float) else v for v in row.values()) for row in rows]
        psycopg2.extras.execute_values(cursor, "INSERT INTO upstream VALUES %s", values)
    return of_query(url, "SELECT * FROM upstream ORDER BY id")


def of_query(url: str, query: str, types: dict[str, str] | None = None) -> tuple[Source, pd.DataFrame]:
    driver = url.replace("postgresql:", "postgresql+psycopg2:", 1)
    connection = Connection("ops", "postgres", engine=lambda: create_engine(driver))
    return _read(source({"kind": "sql", "connection": "ops", "query": query}, types), connection)


def _read(spec: Source, connection: Connection) -> tuple[Source, pd.DataFrame]:
    with open_source(spec, connection, zone=ZoneInfo("UTC")) as reader:
        return spec, reader.read(NIGHTS[0], WINDOW)


DELIVERED: dict[str, Callable[[Rows, Path, str, Api], tuple[Source, pd.DataFrame]]] = {
    "csv": by_csv,
    "parquet": by_parquet,
    "http": by_http,
    "sql": by_sql,
}


def judged(spec: Source, *frames: pd.DataFrame) -> Validation:
    """Judge what was landed, not what was read: that is what every later judgement has."""
    return validate_batches(spec, {day: rows_of(parquet(f)) for day, f in zip(NIGHTS, frames, strict=False)})


def through(warehouse: Warehouse, table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    warehouse.ensure(table)
    with warehouse.write(warehouse.lease(table, NIGHTS, "test")) as write:
        write.replace(table, frame)
    return warehouse.read(table, NIGHTS[0], NIGHTS[-1])


def expected(rows: Rows) -> pd.DataFrame:
    types = {"id": "integer", **TYPES}
    delivered = {name: pd.Series([row[name] for row in rows], dtype=object) for name in types}
    return pd.DataFrame({name: exact(delivered[name], kind) for name, kind in types.items()})


SET = {
    "name": "things",
    "owner": "tests",
    "description": "",
    "version": 1,
    "entity": ["id"],
    "inputs": {"things": {}},
    "columns": {"s": "string", "i": "integer", "f": "float", "b": "boolean", "d": "string", "t": "string"},
    "path": Path("things.py"),
}


@pytest.mark.parametrize("kind", DELIVERED)
@few
@given(first=a_night, second=a_night)
def test_what_was_delivered_is_what_build_sees_and_what_is_kept(
    kind: str, first: Rows, second: Rows, url: str, served: Api, tmp_path: Path
) -> None:
    nights = [numbered(first), numbered(second)]
    delivered = [DELIVERED[kind](rows, tmp_path, url, served) for rows in nights]
    spec, warehouse = delivered[0][0], Warehouse(url)
    validation = judged(spec, *(frame for _, frame in delivered))
    assert not len(validation.rejected), validation.rejected.to_dict("records")
    accepted = validation.accepted.assign(known_at=pd.Timestamp("2013-02-08", tz="UTC").as_unit("us"))
    raw = through(warehouse, raw_table(spec), accepted)
    for night, rows in zip(NIGHTS, nights, strict=True):
        seen = raw[raw["batch_date"] == pd.Timestamp(night)].reset_index(drop=True)
        pd.testing.assert_frame_equal(seen[["id", *TYPES]], expected(rows))
        assert _bits(seen["f"]) == _bits(expected(rows)["f"])
        features = FeatureSet.model_validate(SET)
        built = compute(features, lambda inputs, _: inputs["things"][["id", *TYPES]], {"things": seen}, night)
        kept = through(warehouse, feature_table(features), built)
        pd.testing.assert_frame_equal(kept, built)
        assert kept["id"].to_list() == [str(row["id"]) for row in rows]
        for name in ("i", "f", "b"):
            pd.testing.assert_series_equal(kept[name], expected(rows)[name])
        for name in ("s", "d", "t"):
            pd.testing.assert_series_equal(kept[name], as_text(expected(rows)[name]).astype("str"))


def _bits(values: pd.Series) -> list[str]:
    return [float(value).hex() for value in values]


def verdicts(validation: Validation) -> dict[int, tuple[str, str]]:
    """Return, by row number, the column and value of each row that was set aside."""
    return {row.row_number: (row.column_name, row.value) for row in validation.rejected.itertuples()}


def test_of_mixed_json_only_the_wrong_rows_are_set_aside(served: Api) -> None:
    values = ["a", "b", {"a": 1}, ["c"], 5, True, "d", None, "\ud83d"]
    served.answer = lambda path, query: js([{"id": KEY + n, "s": v} for n, v in enumerate(values)])
    spec, frame = _read(
        source({"kind": "http", "connection": "api", "endpoint": "/"}, {"s": "string"}), served.connection
    )
    validation = judged(spec, frame)
    assert validation.accepted["s"].to_list()[:3] == ["a", "b", "d"]
    assert verdicts(validation) == {
        3: ("s", "{'a': 1}"),
        4: ("s", "['c']"),
        5: ("s", "5"),
        6: ("s", "true"),
        9: ("s", "\\ud83d"),
    }
    assert json.loads(validation.rejected["row"].iloc[0]) == {"id": KEY + 2, "s": {"a": 1}}


def test_of_integers_beside_a_null_a_word_and_one_too_large_each_is_exact(served: Api) -> None:
    values = [2**53 + 1, None, "N/A", 2**64 - 1, 10**18 + 7, 1.5, 7.0]
    served.answer = lambda path, query: js([{"id": KEY + n, "i": v} for n, v in enumerate(values)])
    spec, frame = _read(
        source({"kind": "http", "connection": "api", "endpoint": "/"}, {"i": "integer"}), served.connection
    )
    validation = judged(spec, frame)
    assert validation.accepted["i"].to_list() == [2**53 + 1, pd.NA, 10**18 + 7, 7]
    assert verdicts(validation) == {3: ("i", "N/A"), 4: ("i", str(2**64 - 1)), 6: ("i", "1.5")}
    assert json.loads(validation.rejected["row"].iloc[1])["i"] == 2**64 - 1


def test_sums_and_numerics_are_exact_and_what_is_no_number_is_set_aside(url: str) -> None:
    spec, frame = of_query(
        url,
        "SELECT n AS id, v AS i, v AS f FROM (VALUES (1, 9007199254740993::numeric), (2, 1.50), (3, 'Infinity'), "
        "(4, NULL), (5, 7.00)) AS t (n, v)",
        {"i": "integer", "f": "float"},
    )
    validation = judged(spec, frame)
    assert validation.accepted["i"].to_list() == [2**53 + 1, pd.NA, 7]
    assert validation.accepted["f"].to_list()[0] == float(Decimal(2**53 + 1)), "the nearest double"
    assert {row: column for row, (column, _) in verdicts(validation).items()} == {2: "i", 3: "i"}
    spec, frame = of_query(
        url,
        "SELECT 1 AS id, sum(v) AS i FROM (VALUES (9007199254740992::bigint), (1)) AS t (v)",
        {"i": "integer"},
    )
    assert judged(spec, frame).accepted["i"].to_list() == [2**53 + 1]


def test_dates_that_python_cannot_say_are_set_aside_as_they_are_spelled(url: str) -> None:
    spec, frame = of_query(
        url,
        "SELECT n AS id, v::date AS d, v::timestamptz AS t FROM (VALUES (1, '2013-02-08'), (2, 'infinity'), "
        "(3, '-infinity'), (4, '0044-03-15 BC'), (5, '10000-01-01'), (6, '9999-12-31'), (7, NULL)) AS t (n, v)",
        {"d": "date", "t": "timestamp"},
    )
    validation = judged(spec, frame)
    assert as_text(validation.accepted["d"]).to_list()[:2] == ["2013-02-08", "9999-12-31"]
    assert verdicts(validation) == {
        2: ("d", "infinity"),
        3: ("d", "-infinity"),
        4: ("d", "0044-03-15 BC"),
        5: ("d", "10000-01-01"),
    }


def test_a_date_that_python_cannot_say_in_the_last_of_many_rows_changes_no_other(url: str) -> None:
    spec, frame = of_query(
        url,
        "SELECT n AS id, CASE WHEN n < 60000 THEN DATE '2013-02-08' ELSE 'infinity' END AS d "
        "FROM generate_series(1, 60000) AS n",
        {"d": "date"},
    )
    assert frame["id"].to_list() == list(range(1, 60_001))
    assert verdicts(judged(spec, frame)) == {60_000: ("d", "infinity")}


def test_bytes_of_an_ascii_database_that_are_no_text_are_set_aside(postgres_url: str) -> None:
    _alone(postgres_url, "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    url = f"{postgres_url.rpartition('/')[0]}/ascii"
    spec, frame = of_query(
        url,
        r"SELECT 1 AS id, E'Z\303\274rich' AS s UNION ALL SELECT 2, E'Z\374rich' ORDER BY 1",
        {"s": "string"},
    )
    validation = judged(spec, frame)
    assert validation.accepted["s"].to_list() == ["Zürich"]
    assert verdicts(validation) == {2: ("s", r"b'Z\xfcrich'")}
    _alone(postgres_url, "DROP DATABASE ascii WITH (FORCE)")


def test_old_parquet_timestamps_are_read_right_and_far_dates_are_set_aside(tmp_path: Path) -> None:
    spelled = ["9999-12-31", "1000-01-01", "2013-02-08 01:02:03.000004"]
    instants = list(map(datetime.fromisoformat, spelled))
    days = pa.array([0, 3_000_000, 15_744], pa.int32()).cast(pa.date32())
    table = pa.table({"id": [1, 2, 3], "t": pa.array(instants, pa.timestamp("us")), "d": days})
    pq.write_table(table, tmp_path / "2013-02-08.parquet", use_deprecated_int96_timestamps=True)
    connector = {"kind": "files", "folder": str(tmp_path), "path": "{date}.parquet", "format": "parquet"}
    spec, frame = _read(
        source(connector, {"t": "timestamp", "d": "date"}),
        Connection("", "fs", extra={"path": str(tmp_path)}),
    )
    validation = judged(spec, frame)
    assert as_text(validation.accepted["t"]).to_list() == [
        "9999-12-31 00:00:00+00:00",
        "2013-02-08 01:02:03.000004+00:00",
    ]
    assert [column for column, _ in verdicts(validation).values()] == ["d"]


def test_a_quarantined_row_with_a_nul_can_be_asked_for_its_values(url: str, served: Api) -> None:
    served.answer = lambda path, query: js([{"id": KEY, "s": "a\0b\\u0000"}])
    spec, frame = _read(
        source({"kind": "http", "connection": "api", "endpoint": "/"}, {"s": "string"}), served.connection
    )
    (row,) = judged(spec, frame).rejected["row"]
    found = Warehouse(url).row("SELECT %s::json ->> 's' AS s", (row,))
    assert found == {"s": "a\\0b\\u0000"}
    assert DTYPES["integer"] == "Int64"


def test_a_quarantined_row_with_half_a_surrogate_pair_can_be_asked_for_its_values(
    url: str, served: Api
) -> None:
    values = ["caf\ud83d", {"k\ud83d": ["\udc00", "\\ud83d"]}, "\ud83d\0", "\U0001f600"]
    served.answer = lambda path, query: js([{"id": KEY + n, "s": v} for n, v in enumerate(values)])
    spec, frame = _read(
        source({"kind": "http", "connection": "api", "endpoint": "/"}, {"s": "integer"}), served.connection
    )
    rejected = judged(spec, frame).rejected
    ask = "SELECT %s::json -> 's' #>> '{}' AS s, %s::json -> 0 ->> 'value' AS value"
    found = [
        Warehouse(url).row(ask, pair) for pair in zip(rejected["row"], rejected["violations"], strict=True)
    ]
    assert [row["s"] for row in found if row] == [
        "caf\\ud83d",
        '{"k\\\\ud83d": ["\\\\udc00", "\\\\ud83d"]}',
        "\\ud83d\\0",
        "\U0001f600",
    ]
    assert [row["value"] for row in found if row][::2] == ["caf\\ud83d", "\\ud83d\\0"]
    nested = Warehouse(url).row("SELECT %s::json #>> '{s,k\\\\ud83d,0}' AS s", (rejected["row"].iloc[1],))
    assert nested == {"s": "\\udc00"}
