"""Every statement is prepared against an empty warehouse, and every row type is what the database answers with."""

import importlib
import pkgutil
import re
import types
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from nightshift import records
from nightshift.rows import Command, Query, Row, json_columns
from nightshift.warehouse import Warehouse

pytestmark = pytest.mark.integration

# PostgreSQL's types by the name that pg_type gives them, and what a row's field says of them.
PYTHON = {
    "text": str,
    "int4": int,
    "int8": int,
    "bool": bool,
    "date": date,
    "timestamptz": datetime,
    "float8": float,
    "bytea": bytes,
    "_text": list,
    "_int8": list,
    "_float8": list,
}
MODULES = [
    importlib.import_module(f"{records.__name__}.{each.name}")
    for each in pkgutil.iter_modules(records.__path__)
]


def of(kind: type) -> dict[str, Any]:
    """Return the constants of a kind in every module of records, by their name."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, kind)
    }


QUERIES, COMMANDS = of(Query), of(Command)
TABLES = {
    row.table: row for row in Row.__subclasses__() if row.table and row.__module__.startswith("nightshift.")
}


@pytest.fixture(scope="module")
def warehouse(shared_url: str) -> Warehouse:
    found = Warehouse(shared_url)
    found.execute("CREATE TABLE raw.any_source (batch_date date)")
    return found


def test_there_is_a_statement_for_each_name_that_is_looked_for() -> None:
    assert len(QUERIES) > 40
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("name", [*QUERIES, *COMMANDS])
def test_every_statement_can_be_prepared(warehouse: Warehouse, name: str) -> None:
    text, _ = (QUERIES | COMMANDS)[name].numbered
    if text.startswith(("LOCK", "SET")):  # which PREPARE does not take
        return
    with warehouse.transaction() as cursor:
        cursor.execute(f"PREPARE one AS {text.replace('{}', 'raw.any_source')}")


@pytest.mark.parametrize("name", QUERIES)
def test_an_answer_has_the_columns_of_its_row_type(warehouse: Warehouse, name: str) -> None:
    query = QUERIES[name]
    text = re.sub(r"%\(\w+\)s", "NULL", query.text.replace("{}", "raw.any_source"))
    with warehouse.transaction() as cursor:
        cursor.execute(text)
        found = {column.name: column.type_code for column in cursor.description}
        cursor.execute("SELECT oid, typname FROM pg_type WHERE oid = ANY(%s)", (list(found.values()),))
        kinds = {row["oid"]: row["typname"] for row in cursor.fetchall()}
    assert list(found) == list(query.row.columns())
    hints = get_type_hints(query.row)
    for column, oid in found.items():
        _agrees(query.row, column, hints[column], kinds[oid])


@pytest.mark.parametrize("table", TABLES)
def test_a_row_type_is_its_table(warehouse: Warehouse, table: str) -> None:
    """A field is there for a column, and may be None where the column may be null."""
    rows = [row for row in Row.__subclasses__() if row.table == table]
    columns = warehouse.rows(
        "SELECT column_name AS name, udt_name AS kind, is_nullable = 'YES' AS nullable, column_default IS NOT NULL "
        "OR is_identity = 'YES' AS filled FROM information_schema.columns WHERE table_schema || '.' || table_name = %s",
        (table,),
    )
    there = {row["name"]: row for row in columns}
    for row in rows:
        hints = get_type_hints(row)
        for each in fields(row):  # type: ignore[arg-type]
            column = there[each.name]
            _agrees(row, each.name, hints[each.name], column["kind"])
            by_database = "by_database" in each.metadata
            assert by_database <= column["filled"], f"{row.__name__}.{each.name} is filled by nobody"
            assert column["nullable"] <= _optional(hints[each.name]), (
                f"{row.__name__}.{each.name} may be null"
            )


@pytest.mark.parametrize("table", sorted({row.table for row in TABLES.values() if row.key}))
def test_a_row_type_names_the_key_of_its_table(warehouse: Warehouse, table: str) -> None:
    keys = warehouse.rows(
        "SELECT array_agg(a.attname::text) AS columns FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = ANY(i.indkey) WHERE i.indisunique AND i.indrelid = %s::regclass GROUP BY i.indexrelid",
        (table,),
    )
    for row in Row.__subclasses__():
        if row.table == table:
            assert set(row.key) in [set(key["columns"]) for key in keys], row.__name__


def test_no_other_module_names_a_fixed_table() -> None:
    """What asks a fixed table something is a statement of records: so it is prepared above."""
    folder = Path(records.__file__).parents[1]
    named = re.compile(
        r"\b(FROM|INTO|UPDATE|JOIN|TABLE) (alerts|catalog|governance|monitoring|quarantine)\.\w"
    )
    guilty = [
        f"{path.name}:{number}"
        for path in sorted(folder.rglob("*.py"))
        if not {"records", "migrations"} & set(path.relative_to(folder).parts)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if named.search(line) and not line.lstrip().startswith("#") and "help=" not in line
    ]
    assert not guilty, guilty


def _agrees(row: type[Row], column: str, hint: Any, kind: str) -> None:
    if column in json_columns(row):
        assert kind in ("json", "jsonb"), f"{row.__name__}.{column} is {kind}"
        return
    wanted = (
        next(arg for arg in (get_args(hint) or (hint,)) if arg is not type(None)) if _optional(hint) else hint
    )
    if get_origin(wanted) is not None:  # a literal is text, a list an array
        wanted = {list: list}.get(get_origin(wanted), str)
    assert PYTHON[kind] is wanted, f"{row.__name__}.{column}: {kind} is read as {wanted}"


def _optional(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in get_args(hint)
