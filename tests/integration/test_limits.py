"""What a spec is let in with, PostgreSQL holds: its limits as `nightshift.specs.tables` knows them, tried."""

from datetime import date

import pandas as pd
import pytest

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
