"""Moving what a name stands for: the rows of every table that names it, and the tables named after it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from nightshift.database import Session
from nightshift.records import deliveries, leases

# The column by which tables name one, and the schemas with tables of its own: the name, and what may follow it.
COLUMNS = {"model": "model", "source": "source", "features": "feature_set"}
OWN = {
    "model": {"predictions": r"(_champion)?", "adhoc": "", "labels": ""},
    "source": {"raw": ""},
    "features": {"features": r"_v[1-9][0-9]*"},
}
NAMING = """
SELECT c.table_schema AS schema, c.table_name AS name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.column_name = %s
  AND (c.table_schema IN ('catalog', 'quarantine', 'monitoring')
       OR (c.table_schema, c.column_name) = ('governance', 'model'))
ORDER BY (c.table_schema, c.table_name) <> ('governance', 'versions'), 1, 2
"""  # versions first: what belongs to a version follows it. What governance has sealed says the set's name of then


@dataclass(frozen=True)
class Relation:
    """A table or view. ``kind``: as PostgreSQL's ALTER spells it."""

    schema: str
    name: str
    kind: str = "TABLE"

    @property
    def qualified(self) -> str:
        """``schema.name``, as leases and announcements spell it."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(self.schema, self.name)


def rows_naming(cursor: Any, kind: str, name: str) -> dict[str, int]:
    """Return, a fixed table, how many of its rows name this model, source or set; those with none left out."""
    cursor.execute(NAMING, (COLUMNS[kind],))
    counted = {}
    for each in [Relation(**row) for row in cursor.fetchall()]:
        cursor.execute(
            sql.SQL("SELECT count(*) AS n FROM {} WHERE {} = %s").format(
                each.identifier, sql.Identifier(COLUMNS[kind])
            ),
            (name,),
        )
        counted[each.qualified] = int(cursor.fetchone()["n"])
    return {table: n for table, n in counted.items() if n}


def own_relations(cursor: Any, kind: str, name: str) -> dict[Relation, int]:
    """Return the tables and views named after it, each with how many rows it has."""
    cursor.execute(
        "SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname = ANY(%s) ORDER BY 1, 2",
        (list(OWN[kind]),),
    )
    found = [Relation(**row) for row in cursor.fetchall()]
    ours = [r for r in found if re.fullmatch(re.escape(name) + OWN[kind][r.schema], r.name)]
    counted = {}
    for each in ours:
        cursor.execute(sql.SQL("SELECT count(*) AS n FROM {}").format(each.identifier))
        counted[each] = int(cursor.fetchone()["n"])
    return counted


def move_rows(cursor: Any, kind: str, tables: Sequence[str], old: str, new: str) -> None:
    """Have the rows of these tables name ``new``; in the order of :func:`rows_naming`."""
    column = sql.Identifier(COLUMNS[kind])
    for table in tables:
        cursor.execute(
            sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s").format(
                sql.Identifier(*table.split(".")), column, column
            ),
            (new, old),
        )


def move_relations(cursor: Any, relations: Mapping[Relation, int], old: str, new: str) -> None:
    """Rename tables and views, and what leases and announcements call them; who holds a lease writes nothing more."""
    for each in relations:
        renamed = new + each.name.removeprefix(old)
        cursor.execute(
            sql.SQL("ALTER {} {} RENAME TO {}").format(
                sql.SQL(each.kind), each.identifier, sql.Identifier(renamed)
            )
        )
        cursor.execute(
            sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}").format(
                sql.Identifier(each.schema, f"{each.name}_pkey"), sql.Identifier(f"{renamed}_pkey")
            )
        )
        session, renamed_as = Session(cursor), f"{each.schema}.{renamed}"
        move_leases(session, each.qualified, renamed_as)
        session.run(deliveries.RENAME_ASSET, old=each.qualified, new=renamed_as)


def move_leases(session: Session, old: str, new: str) -> None:
    """Have leases say another name; who holds one, under either, writes nothing more."""
    newest = session.one(leases.DROP, table=new)
    session.run(leases.RENAME, old=old, new=new, newest=newest.generation if newest else 0)


def drop_empty(cursor: Any, relations: Mapping[Relation, int]) -> None:
    """Drop the tables and views of a name that nothing was written under yet."""
    for each in sorted(relations, key=lambda relation: relation.kind == "TABLE"):  # views first
        cursor.execute(sql.SQL("DROP {} {}").format(sql.SQL(each.kind), each.identifier))
