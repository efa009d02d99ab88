"""What a table really is, against what its spec declares. A COPY by the spec's types into others stores nonsense."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightshift.errors import TableMismatch
from nightshift.types import POSTGRES
from nightshift.warehouse.tables import Table

COLUMNS = (
    "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required, "
    "array_position(i.indkey::int2[], a.attnum) AS place FROM pg_attribute a "
    "LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary "
    "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
WAYS_OUT = {
    "raw": "run `nightshift migrate source {name}` (with --dry-run it says what it would do), undo the change, or "
    "give the source another name",
    "features": "run `nightshift migrate features {name}` (with --dry-run it says what it would do), undo the change, "
    "or make it a new version of the set",
    **dict.fromkeys(("predictions", "labels"), "undo the change, or give the model another name"),
}


@dataclass(frozen=True)
class Shape:
    """Columns with their types as specs name them (else as PostgreSQL does), those NOT NULL, the primary key."""

    columns: Mapping[str, str]
    required: frozenset[str]
    key: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """``what``: type, key, required or nullable. ``column``: empty for the key."""

    what: str
    column: str
    words: str


def shape_of(cursor: Any, table: Table) -> Shape | None:
    """Return what the table is now, None if there is none. ``cursor``: psycopg2, rows as dictionaries."""
    cursor.execute(COLUMNS, (table.qualified,))
    rows = cursor.fetchall()
    if not rows:
        return None
    kinds = {postgres: kind for kind, postgres in POSTGRES.items()}
    key = sorted((row["place"], row["name"]) for row in rows if row["place"] is not None)
    return Shape(
        {row["name"]: kinds.get(row["type"], row["type"]) for row in rows},
        frozenset(row["name"] for row in rows if row["required"]),
        tuple(name for _, name in key),
    )


def differences(table: Table, shape: Shape) -> list[Difference]:
    """Return what must change before rows of the spec can be written. A column more in the spec is no difference."""
    found = [
        Difference("type", name, f"column '{name}' is {shape.columns[name]} in the table, {kind} in the spec")
        for name, kind in table.columns.items()
        if shape.columns.get(name, kind) != kind
    ]
    if shape.key != table.key:
        old, new = ", ".join(shape.key), ", ".join(table.key)
        found.append(Difference("key", "", f"the key is ({old}) in the table, ({new}) in the spec"))
    needed = table.required | set(table.key)
    for name in sorted(shape.required - needed - set(shape.key)):
        declared = "may be null" if name in table.columns else "is gone"
        found.append(
            Difference(
                "nullable", name, f"column '{name}' is NOT NULL in the table, and {declared} in the spec"
            )
        )
    for name in sorted((needed & shape.columns.keys()) - shape.required - set(table.key)):
        found.append(
            Difference("required", name, f"column '{name}' may be null in the table, and never in the spec")
        )
    return found


def mismatch(table: Table, found: list[Difference]) -> TableMismatch:
    """Return the error that names every difference and the ways out."""
    name = table.declared_by or table.name
    ways = WAYS_OUT.get(table.schema, "undo the change").format(name=name)
    words = "; ".join(each.words for each in found)
    return TableMismatch(
        f"table {table.qualified} is not what its spec declares: {words}. Nothing was written; {ways}"
    )
