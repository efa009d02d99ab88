"""A handle on the warehouse: small statements, bulk reads, and the way in to partition writes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import psycopg2
import psycopg2.extras
from psycopg2 import sql

from nightshift.warehouse.partitions import Lease, PartitionWrite, check_lease, take_lease
from nightshift.warehouse.tables import Table, rendered

CONNECT_SECONDS = 10
# Serialises CREATE/ALTER of spec tables: two first nights at once would race on the catalog.
DDL_LOCK = 0x6E736866


@dataclass(frozen=True)
class Warehouse:
    """The warehouse at a ``postgresql://`` URL. Holds no connection; each call opens and closes its own."""

    url: str = field(repr=False)

    @contextmanager
    def transaction(self) -> Iterator[psycopg2.extras.RealDictCursor]:
        """Yield a cursor in one transaction: committed on success, rolled back on an exception."""
        connection = psycopg2.connect(self.url, connect_timeout=CONNECT_SECONDS)
        try:
            with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                yield cursor
        finally:
            connection.close()

    def rows(
        self, statement: str | sql.Composed, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[dict[str, Any]]:
        """Return the rows of a small query as dictionaries."""
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()]

    def row(
        self, statement: str | sql.Composed, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> dict[str, Any] | None:
        """Return the first row of a small query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def execute(self, statement: str | sql.Composed, values: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run one statement in its own transaction; return the number of rows it touched."""
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return cursor.rowcount

    def read(self, table: Table, first: date, last: date) -> pd.DataFrame:
        """Return the rows of ``table`` with batch dates ``first`` .. ``last``, ordered by key.

        Strings come back as pandas' string dtype, ``batch_date`` as ``datetime.date`` objects.
        """
        with self.reading() as reading:
            return reading.read(table, first, last)

    @contextmanager
    def reading(self) -> Iterator["Reading"]:
        """Yield a read-only transaction that sees the warehouse as it is at its first query, to its end."""
        with self._bulk() as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield Reading(cursor)

    def dates(self, table: Table, first: date, last: date) -> list[date]:
        """Return which batch dates of ``first`` .. ``last`` hold rows, ascending."""
        query = sql.SQL(
            "SELECT d::date AS batch_date FROM generate_series(%s, %s, interval '1 day') d "
            "WHERE EXISTS (SELECT 1 FROM {} t WHERE t.batch_date = d::date) ORDER BY 1"
        ).format(table.identifier)
        return [row["batch_date"] for row in self.rows(query, (first, last))]

    def ensure(self, table: Table) -> None:
        """Create ``table``, or add the columns its spec has gained."""
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT array_agg(column_name::text) AS names FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s",
                (table.schema, table.name),
            )
            present = cursor.fetchone()
            if present and set(table.columns) <= set(present["names"] or ()):
                return
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            for statement in table.ddl():
                cursor.execute(statement)

    def ensure_view(self, table: Table, name: str, **only: str) -> None:
        """Create the view ``name`` beside ``table``: its rows where the columns ``only`` have these values."""
        conditions = [sql.SQL("{} = {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in only.items()]
        with self.transaction() as cursor:
            cursor.execute("SELECT to_regclass(%s) AS present", (f"{table.schema}.{name}",))
            present = cursor.fetchone()
            if present and present["present"]:
                return
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            cursor.execute(
                sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT * FROM {} WHERE {}").format(
                    sql.Identifier(table.schema, name), table.identifier, sql.SQL(" AND ").join(conditions)
                )
            )

    def lease(self, table: Table, dates: Sequence[date], holder: str) -> Lease:
        """Take the lease of these partitions: older holders can no longer write them.

        Take it before reading what the write depends on; that is what makes a stale try harmless.
        """
        with self.transaction() as cursor:
            return take_lease(cursor, table, dates, holder)

    @contextmanager
    def write(self, lease: Lease) -> Iterator[PartitionWrite]:
        """Yield a transaction that may replace partitions; it commits whole, or not at all.

        Raises:
            Superseded: a newer try has taken one of the leases.
        """
        with self._bulk() as connection:
            with connection.cursor() as cursor:
                check_lease(cursor, lease)
                yield PartitionWrite(cursor, lease)
            connection.commit()

    @contextmanager
    def _bulk(self) -> Iterator[Any]:
        # Leaving the block without commit rolls back.
        with adbc.connect(self.url) as connection:
            yield connection


@dataclass(frozen=True)
class Reading:
    """An open transaction: rows and the records about them, all of one instant."""

    cursor: Any

    def read(self, table: Table, first: date, last: date) -> pd.DataFrame:
        """Return the rows of ``table``, as :meth:`Warehouse.read` does."""
        names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        order = sql.SQL(", ").join(map(sql.Identifier, table.key))
        query = sql.SQL("SELECT {} FROM {} WHERE batch_date BETWEEN $1 AND $2 ORDER BY {}").format(
            names, table.identifier, order
        )
        self.cursor.execute(rendered(query), parameters=[first, last])
        return self.cursor.fetch_arrow_table().to_pandas()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a small query as dictionaries; placeholders are ``$1``, ``$2``, ..."""
        self.cursor.execute(statement, parameters=list(values) or None)
        return self.cursor.fetch_arrow_table().to_pylist()
