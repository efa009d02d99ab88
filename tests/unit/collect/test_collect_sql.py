"""SQL sources: what is bound, what comes back, and what is told when it fails."""

import sqlite3
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pydantic import TypeAdapter
from sqlalchemy import create_engine

from nightshift import collect as collecting
from nightshift.collect import CONNECTORS, Connection, open_source
from nightshift.errors import SourceError, SourceRefused, SpecError
from nightshift.specs import ConnectorSpec, Source

DAY = date(2013, 2, 8)
WINDOW = (datetime(2013, 2, 7, 5, tzinfo=UTC), datetime(2013, 2, 8, 5, tzinfo=UTC))
SECRET = "s3cret-horse"
HOME = ZoneInfo("UTC")


def collect(spec, day, window, connection, home=HOME):
    return collecting.collect(spec, day, window, connection, home)


def source(query):
    return Source.model_validate(
        {
            "name": "flights",
            "owner": "tests",
            "description": "",
            "connector": {"kind": "sql", "connection": "ops", "query": query},
            "columns": {"id": {"type": "string"}},
            "key": ["id"],
        }
    )


@pytest.fixture
def connection(tmp_path):
    path = tmp_path / "ops.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE flights (id TEXT, day DATE, seats INTEGER, distance REAL)")
        rows = [
            ("a", "2013-02-08", 2**60 + 1, 1.5),
            ("b", "2013-02-08", None, None),
            ("c", "2013-02-09", 3, 2.0),
        ]
        database.executemany("INSERT INTO flights VALUES (?, ?, ?, ?)", rows)
    database.close()
    return Connection("ops", "sqlite", password=SECRET, engine=lambda: create_engine(f"sqlite:///{path}"))


def test_the_batch_date_picks_the_rows(connection):
    frame = collect(source("SELECT * FROM flights WHERE day = :batch_date"), DAY, WINDOW, connection)
    assert list(frame.columns) == ["id", "day", "seats", "distance"]
    assert list(frame["id"]) == ["a", "b"]


def test_large_integers_beside_nulls_stay_exact(connection):
    frame = collect(source("SELECT seats FROM flights WHERE day = :batch_date"), DAY, WINDOW, connection)
    assert frame["seats"].tolist() == [2**60 + 1, None]


def test_the_window_is_bound_as_timestamps(connection):
    frame = collect(source("SELECT :window_start AS a, :window_end AS b"), DAY, WINDOW, connection)
    assert frame.iloc[0].tolist() == ["2013-02-07 05:00:00.000000", "2013-02-08 05:00:00.000000"]


def test_no_rows_keep_the_columns(connection):
    frame = collect(source("SELECT id, seats FROM flights WHERE id = 'z'"), DAY, WINDOW, connection)
    assert list(frame.columns) == ["id", "seats"]
    assert len(frame) == 0


def test_many_rows_come_in_chunks_and_whole(connection):
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000) SELECT i FROM n"
    assert collect(source(many), DAY, WINDOW, connection)["i"].tolist() == list(range(1, 120_001))


def test_columns_of_one_name_are_refused_by_name(connection):
    with pytest.raises(SourceRefused, match="column 'id' is delivered more than once; rename one of them"):
        collect(source("SELECT id, id FROM flights"), DAY, WINDOW, connection)


def test_dates_share_one_engine(connection):
    made = []

    def engine():
        made.append(create_engine("sqlite://"))
        return made[-1]

    with open_source(source("SELECT :batch_date AS d"), Connection("ops", engine=engine), HOME) as reader:
        days = [reader.read(day, WINDOW)["d"][0] for day in (DAY, date(2013, 2, 9))]
    assert days == ["2013-02-08", "2013-02-09"]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT :batch_dat", "unknown bind ':batch_dat'; did you mean 'batch_date'"),
        ("SELECT :batch_date::date", r"':batch_date::' is not seen as a bind; write CAST\(:batch_date AS"),
        ("SELECT :ds, :batch_date", "unknown bind ':ds'; known: batch_date, window_end, window_start"),
    ],
)
def test_an_unknown_bind_is_named(query, message, connection):
    with pytest.raises(SpecError, match=message):
        collect(source(query), DAY, WINDOW, connection)


@pytest.mark.parametrize(
    "query", ["SELECT '12:30' AS t", r"SELECT '\:word' AS t", "SELECT CAST(:batch_date AS TEXT) AS t"]
)
def test_a_colon_that_is_no_bind_is_left_alone(query, connection):
    assert len(collect(source(query), DAY, WINDOW, connection)) == 1


@pytest.mark.parametrize(
    "query", ["SELECT * FROM nowhere", "SELEC 1", "SELECT :batch_date FROM flights WHERE ("]
)
def test_a_failing_query_names_source_and_connection(query, connection):
    with pytest.raises(
        SourceError, match="source 'flights', connection 'ops': batch date 2013-02-08: "
    ) as raised:
        collect(source(query), DAY, WINDOW, connection)
    assert SECRET not in str(raised.value)
    assert "; check that the database is up and the query is right" in str(raised.value)


def test_the_password_is_struck_out_wherever_the_driver_repeats_it():
    def engine():
        return create_engine(f"sqlite:////no/such/folder/{SECRET}/x.db")

    told = Connection("ops", password=SECRET).failure(source("SELECT 1"), f"no {SECRET}", "do")
    assert str(told) == "source 'flights', connection 'ops': no ***; do"
    with pytest.raises(SourceError) as raised:
        collect(source("SELECT 1"), DAY, WINDOW, Connection("ops", password=SECRET, engine=engine))
    assert SECRET not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_connection_without_an_engine_is_a_mistake_of_the_spec():
    with pytest.raises(SpecError, match=r"connection 'ops' .type 'http'. gives no SQL engine"):
        collect(source("SELECT 1"), DAY, WINDOW, Connection("ops", "http"))


def test_a_connection_prints_no_secrets():
    shown = repr(Connection("ops", login="u", password=SECRET, extra={"token": SECRET}))
    assert SECRET not in shown
    assert "ops" in shown


def test_every_kind_of_the_spec_has_a_connector():
    told = TypeAdapter(ConnectorSpec).json_schema()
    assert set(CONNECTORS) == set(told["discriminator"]["mapping"])


def test_columns_without_nulls_are_typed(connection):
    frame = collect(
        source("SELECT id, distance FROM flights WHERE distance IS NOT NULL"), DAY, WINDOW, connection
    )
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "float64"]
    assert isinstance(frame, pd.DataFrame)
