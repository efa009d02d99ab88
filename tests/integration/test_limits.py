"""What a spec is let in with, PostgreSQL holds: its limits as `nightshift.specs.tables` knows them, tried."""

from datetime import date
from random import Random

import pandas as pd
import pytest

from nightshift.errors import Unreachable, WarehouseRefused
from nightshift.room import key_bytes, long_keys, wide_rows
from nightshift.specs.tables import COLUMNS, RAW, ROW_BYTES, check_columns, row_bytes
from nightshift.warehouse import Table, Warehouse

pytestmark = pytest.mark.integration

NIGHT = date(2013, 2, 1)


def stored(warehouse: Warehouse, table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    warehouse.ensure(table)
    with warehouse.write(warehouse.lease(table, [NIGHT], "test")) as write:
        write.replace(table, rows)
    return warehouse.read(table, NIGHT, NIGHT)


def test_the_widest_table_and_the_widest_row_are_held(warehouse: Warehouse) -> None:
    numbers = {f"f{n}": "float" for n in range(999)}
    assert row_bytes([*numbers.values(), *RAW.values()]) == ROW_BYTES
    wide = Table("raw", "wide", {"batch_date": "date", **numbers, "known_at": "timestamp"}, ("batch_date",))
    row = {"batch_date": NIGHT, **dict.fromkeys(numbers, 0.1), "known_at": pd.Timestamp(NIGHT, tz="UTC")}
    # A null: then the row has a bitmap of its nulls too.
    rows = pd.DataFrame([row, row | {"f0": None}]).assign(batch_date=NIGHT)
    wide = Table("raw", "wide", wide.columns, ("batch_date", "f1"))
    assert len(stored(warehouse, wide, rows.assign(f1=[1.0, 2.0]))) == 2

    flags = {f"b{n}": "boolean" for n in range(COLUMNS - 2)}
    many = Table("raw", "many", {"batch_date": "date", **flags, "known_at": "timestamp"}, ("batch_date",))
    row = {"batch_date": NIGHT, **dict.fromkeys(flags, True), "known_at": pd.Timestamp(NIGHT, tz="UTC")}
    assert len(stored(warehouse, many, pd.DataFrame([row]))) == 1


def test_every_name_that_is_let_in_is_a_column(warehouse: Warehouse) -> None:
    names = [
        "é" * 31,
        "COUNT",
        "select",
        "a b ",
        "100%",
        'a"b',
        "oid",
        "Id",
        "id",
        "😀",
        "a\u200cb",
        "$1",
        "a.b",
        "'",
        "\\",
    ]
    check_columns(names, frozenset())
    table = Table(
        "raw", "named", {"batch_date": "date", **dict.fromkeys(names, "string")}, ("batch_date", "é" * 31)
    )
    rows = pd.DataFrame([{"batch_date": NIGHT, **{name: name for name in names}}])
    read = stored(warehouse, table, rows)
    assert {name: read[name][0] for name in names} == {name: name for name in names}


KEYED = Table(
    "raw",
    "keyed",
    {"batch_date": "date", "k": "string", "arm": "string", "v": "float"},
    ("batch_date", "arm", "k"),
)


def noise(size: int) -> str:
    """Return a text that PostgreSQL cannot make shorter: long repetitive ones it stores compressed."""
    draw = Random(size)  # noqa: S311 no secret
    return "".join(chr(draw.randint(33, 126)) for _ in range(size))


def rows(keys: list[str | None], **more: object) -> pd.DataFrame:
    return pd.DataFrame({"batch_date": NIGHT, "k": keys, "arm": "champion", "v": 1.0, **more})


def test_the_longest_key_is_held_in_every_table_of_ours(warehouse: Warehouse) -> None:
    longest = noise(key_bytes(1))
    assert list(long_keys(rows([longest, longest + "x"]), ["k"], 1)) == [False, True]
    assert len(stored(warehouse, KEYED, rows([longest]))) == 1
    with pytest.raises(WarehouseRefused, match="index row"):
        stored(warehouse, KEYED, rows([noise(9009)]))


@pytest.mark.parametrize("size", [12, 22, 23, 24, 400])
def test_a_row_of_many_texts_is_held_or_told(warehouse: Warehouse, size: int) -> None:
    for count in (336, 340, 353, 447):
        texts = {f"s{n}": "string" for n in range(count)}
        frame = pd.DataFrame({name: [noise(size)] for name in texts})
        table = Table("raw", f"wide_{count}", {"batch_date": "date", **texts}, ("batch_date",))
        if wide_rows(frame, texts, ["date"])[0]:
            # Told a few bytes early at most.
            assert count * (18 if size > 23 else size + 1) > ROW_BYTES - 200
        else:
            assert len(stored(warehouse, table, frame.assign(batch_date=NIGHT))) == 1


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["a", "b", "b"], "table raw.keyed, row batch_date='2013-02-01', arm='champion', k='b': duplicate key value"),
        (["a", None, "c"], "table raw.keyed, row batch_date='2013-02-01', arm='champion', k='None': null value in col"),
        (["a", "b\0", "c"], "table raw.keyed, column 'k', row batch_date='2013-02-01', arm='champion', k='b\\x00'"),
        (["a", "b", noise(9009)], "index row requires"),
    ],
)  # fmt: skip
def test_a_row_that_postgresql_refuses_is_named_and_nothing_is_written(
    warehouse: Warehouse, keys: list[str | None], says: str
) -> None:
    stored(warehouse, KEYED, rows(["before"]))
    with pytest.raises(WarehouseRefused) as refused:
        stored(warehouse, KEYED, rows(keys))
    assert says in str(refused.value)
    assert "nothing of them was written" in str(refused.value)
    assert list(warehouse.read(KEYED, NIGHT, NIGHT)["k"]) == ["before"]


def test_what_may_pass_is_told_apart_from_what_will_not(warehouse: Warehouse) -> None:
    place = warehouse.url.rpartition("/")[0]
    for url, error, says in (
        ("postgresql://nobody:secret@127.0.0.1:9/none", Unreachable, "Connection refused"),
        (
            warehouse.url.replace("postgres:", "postgres:wrong"),
            WarehouseRefused,
            "check the connection 'warehouse'",
        ),
        (f"{place}/nowhere", WarehouseRefused, "check the connection 'warehouse'"),
    ):
        for ask in (lambda at: at.rows("SELECT 1"), lambda at: at.read(KEYED, NIGHT, NIGHT)):
            with pytest.raises(error, match=says):
                ask(Warehouse(url))
    with pytest.raises(WarehouseRefused, match="run `nightshift migrate`"):
        warehouse.rows("SELECT 1 FROM catalog.nothing")
    warehouse.ensure(KEYED)
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
    lease = warehouse.lease(KEYED, [NIGHT], "test")

    def killed_while_writing() -> None:
        with warehouse.write(lease) as write:
            warehouse.rows(killed, (warehouse.url.rpartition("/")[2],))
            write.replace(KEYED, rows(["a"]))

    def killed_while_asking() -> None:
        with warehouse.transaction() as cursor:
            warehouse.rows(killed, (warehouse.url.rpartition("/")[2],))
            cursor.execute("SELECT 1")

    for attempt in (killed_while_writing, killed_while_asking):
        with pytest.raises(Unreachable, match="tried again"):
            attempt()
