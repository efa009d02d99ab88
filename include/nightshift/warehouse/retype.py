"""Give a table the types and the key that its spec declares now: every row exactly, or none of them.

A conversion holds of a value if nothing of it is lost. The first row of which it does not hold is named, and the
table stays as it is.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from psycopg2 import sql

from nightshift.errors import TableMismatch
from nightshift.types import POSTGRES
from nightshift.warehouse.shape import Difference, Shape, differences
from nightshift.warehouse.tables import Table


class Conversion(NamedTuple):
    """SQL of ``{c}``, the column: its new value, and whether nothing of it is lost."""

    using: str
    holds: str


# Whole numbers as floats: up to where a float tells neighbours apart.
WHOLE = "abs({c}) < 9007199254740992"
UTC = "({c} AT TIME ZONE 'UTC')"
# As Python spells a float: an exponent below 1e-4, else a point. From 1e15 on the two choose other digits.
FLOAT_TEXT = (
    "CASE WHEN {c} = 0 THEN CASE WHEN {c}::text = '-0' THEN '-0.0' ELSE '0.0' END "
    "WHEN abs({c}) < 1e-4 THEN {c}::text "
    "ELSE {c}::text::numeric::text || CASE WHEN {c} = trunc({c}) THEN '.0' ELSE '' END END"
)
SECONDS = f"to_char({UTC}, 'YYYY-MM-DD HH24:MI:SS')"
MICROSECONDS = f"CASE WHEN date_trunc('second', {{c}}) = {{c}} THEN '' ELSE to_char({UTC}, '.US') END"
# To text: as entities are spelled, and labels joined (nightshift.types.as_text).
CONVERSIONS = {
    ("integer", "float"): Conversion("{c}::double precision", WHOLE),
    ("float", "integer"): Conversion("{c}::bigint", f"{{c}} = trunc({{c}}) AND {WHOLE}"),
    ("boolean", "integer"): Conversion("{c}::int::bigint", "true"),
    ("integer", "boolean"): Conversion("({c} = 1)", "{c} IN (0, 1)"),
    ("integer", "string"): Conversion("{c}::text", "true"),
    ("string", "integer"): Conversion("{c}::bigint", "{c} ~ '^(0|-?[1-9][0-9]{0,17})$'"),
    ("float", "string"): Conversion(FLOAT_TEXT, "abs({c}) < 1e15"),
    ("boolean", "string"): Conversion("initcap({c}::text)", "true"),
    ("date", "string"): Conversion("to_char({c}, 'YYYY-MM-DD')", "true"),
    ("timestamp", "string"): Conversion(f"{SECONDS} || {MICROSECONDS} || '+00:00'", "true"),
}


def retype(cursor: Any, table: Table, shape: Shape) -> list[str]:
    """Change the table; return what was done, a line each. ``cursor``: psycopg2, in a transaction that locks the table.

    Raises:
        TableMismatch: a row of which a change does not hold.
    """
    found = differences(table, shape)
    for each in found:
        CHECKS[each.what](cursor, table, shape, each)
    cursor.execute(sql.SQL("SELECT count(*) AS n FROM {}").format(table.identifier))
    count = cursor.fetchone()["n"]
    rekeyed = shape.key != table.key
    for statement in [
        *(_without_key(cursor, table, shape) if rekeyed else ()),
        *(_change(table, shape, each) for each in found if each.what != "key"),
        *table.ddl()[1:],
        *([_alter(table, "ADD PRIMARY KEY ({})", _names(table.key))] if rekeyed else ()),
    ]:
        cursor.execute(statement)
    return [f"{each.words}: {count} rows changed" if each.what == "type" else each.words for each in found]


def _without_key(cursor: Any, table: Table, shape: Shape) -> Iterator[sql.Composed]:
    cursor.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p'",
        (table.qualified,),
    )
    for row in cursor.fetchall():
        yield _alter(table, "DROP CONSTRAINT {}", sql.Identifier(row["conname"]))
    for name in sorted(set(shape.key) - set(table.key) - table.required):
        yield _alter(table, "ALTER COLUMN {} DROP NOT NULL", sql.Identifier(name))


def dates_of(cursor: Any, table: Table) -> Sequence[date]:
    """Return the batch dates that hold rows."""
    cursor.execute(sql.SQL("SELECT DISTINCT batch_date AS d FROM {} ORDER BY 1").format(table.identifier))
    return [row["d"] for row in cursor.fetchall()]


def _check_type(cursor: Any, table: Table, shape: Shape, change: Difference) -> None:
    name = change.column
    known = CONVERSIONS.get((shape.columns[name], table.columns[name]))
    # What has no conversion holds of a column without a value.
    holds = _of(name, known.holds) if known else sql.SQL("false")
    where = sql.SQL("{c} IS NOT NULL AND NOT ({holds})").format(c=sql.Identifier(name), holds=holds)
    reason = "it would not be the same value" if known else "there is no conversion that keeps every value"
    _refuse(cursor, table, shape, change, where, reason)


def _check_required(cursor: Any, table: Table, shape: Shape, change: Difference) -> None:
    where = sql.SQL("{} IS NULL").format(sql.Identifier(change.column))
    _refuse(cursor, table, shape, change, where, "it is null")


def _check_key(cursor: Any, table: Table, shape: Shape, change: Difference) -> None:
    for name in table.key:
        if name not in shape.columns:
            raise TableMismatch(
                f"table {table.qualified}: {change.words}: rows that are there have no '{name}'. Nothing was changed"
            )
        asked = Difference("key", name, change.words)
        _refuse(cursor, table, shape, asked, sql.SQL("{} IS NULL").format(sql.Identifier(name)), "it is null")
    cursor.execute(
        sql.SQL(
            "SELECT concat_ws(', ', {key}) AS key, count(*) AS n FROM {t} GROUP BY {key} HAVING count(*) > 1 "
            "ORDER BY {key} LIMIT 1"
        ).format(key=_names(table.key), t=table.identifier)
    )
    if twice := cursor.fetchone():
        raise TableMismatch(
            f"table {table.qualified}: {change.words}: {twice['n']} rows have the key ({twice['key']}). "
            "Nothing was changed; collect these nights again under another name, or keep the key"
        )


def _check_nullable(cursor: Any, table: Table, shape: Shape, change: Difference) -> None:
    """Hold always: what was never null may be."""


CHECKS = {
    "type": _check_type,
    "key": _check_key,
    "required": _check_required,
    "nullable": _check_nullable,
}


def _refuse(
    cursor: Any, table: Table, shape: Shape, change: Difference, where: sql.Composable, reason: str
) -> None:
    cursor.execute(
        sql.SQL(
            "SELECT concat_ws(', ', {key}) AS key, {c}::text AS value, count(*) OVER () AS n FROM {t} "
            "WHERE {where} ORDER BY {key} LIMIT 1"
        ).format(
            key=_names(shape.key),
            c=sql.Identifier(change.column),
            t=table.identifier,
            where=where,
        )
    )
    if row := cursor.fetchone():
        shown = "null" if row["value"] is None else f"'{row['value'][:60]}'"
        raise TableMismatch(
            f"table {table.qualified}: {change.words}: {row['n']} rows stand against it, the first "
            f"({', '.join(shape.key)} = {row['key']}) with {change.column} = {shown}: {reason}. Nothing was changed"
        )


def _change(table: Table, shape: Shape, change: Difference) -> sql.Composed:
    name = sql.Identifier(change.column)
    if change.what == "type":
        new = table.columns[change.column]
        known = CONVERSIONS.get((shape.columns[change.column], new))
        using = _of(change.column, known.using) if known else sql.SQL("NULL")
        kind = sql.SQL(POSTGRES[new])
        return _alter(table, "ALTER COLUMN {0} TYPE {1} USING ({2})::{1}", name, kind, using)
    action = "DROP NOT NULL" if change.what == "nullable" else "SET NOT NULL"
    return _alter(table, f"ALTER COLUMN {{}} {action}", name)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _alter(table: Table, action: str, *parts: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ").format(table.identifier) + sql.SQL(action).format(*parts)


def _of(name: str, expression: str) -> sql.Composed:
    """Return an expression of CONVERSIONS over a column."""
    woven: list[sql.Composable] = []
    for piece in expression.split("{c}"):
        woven += [sql.SQL(piece), sql.Identifier(name)]
    return sql.Composed(woven[:-1])
