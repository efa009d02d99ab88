"""A handle on the warehouse: bulk reads, and the way in to partition writes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import psycopg2
import pyarrow as pa
from psycopg2 import sql

from nightshift.database import Database, Kept, Session, ask, connected, told
from nightshift.records import leases
from nightshift.records.deliveries import ACCOUNTS, Account
from nightshift.rows import Query, R
from nightshift.types import POSTGRES, to_frame
from nightshift.warehouse.partitions import Lease, PartitionWrite, check_lease, take_lease
from nightshift.warehouse.retype import dates_of, retype
from nightshift.warehouse.shape import Shape, differences, mismatch, shape_of
from nightshift.warehouse.tables import Table, rendered

# Serialises CREATE/ALTER of spec tables: two first nights at once would race on the catalog.
DDL_LOCK = 0x6E736866
ALL = sql.SQL("")


@dataclass(frozen=True)
class Warehouse(Database):
    """The warehouse at a ``postgresql://`` URL. Each call opens and closes a connection, or takes one that is kept."""

    bulk: Kept[Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def keeping(cls, url: str) -> "Warehouse":
        """Return the warehouse for one task: it keeps a connection of each driver from one call to the next."""
        kept = Kept(partial(connected, url), ask, psycopg2.Error)
        return cls(url, kept, Kept(partial(adbc.connect, url), _ask, adbc.Error))

    def rest(self) -> None:
        """Close what is kept; the next call opens a connection. For who is busy elsewhere for long."""
        for kept in (self.kept, self.bulk):
            if kept:
                kept.close()

    def read(self, table: Table, first: date, last: date) -> pd.DataFrame:
        """Return the rows of ``table`` with batch dates ``first`` .. ``last``, ordered by key.

        Every column has the dtype of its declared type (:mod:`nightshift.types`); ``batch_date`` is a date.
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
        with self.reading() as reading:
            return reading.dates(table, first, last)

    def types(self, table: Table) -> dict[str, str]:
        """Return the columns that ``table`` really has, each with its type as specs name it."""
        with self.transaction() as cursor:
            shape = shape_of(cursor, table)
        return dict(shape.columns) if shape else {}

    def compare(self, table: Table) -> None:
        """Raise TableMismatch if there is such a table, and it is not what its spec declares."""
        with self.transaction() as cursor:
            shape = shape_of(cursor, table)
        if shape and (found := differences(table, shape)):
            raise mismatch(table, found)

    def nulls(self, table: Table, names: Sequence[str]) -> dict[str, tuple[int, date]]:
        """Return which of these columns hold nulls, in how many rows, and the first batch date that has one."""
        with self.transaction() as cursor:
            shape = shape_of(cursor, table)
        there = [name for name in names if shape and name in shape.columns]
        if not there:
            return {}
        columns = [sql.Identifier(name) for name in there]
        counted = [sql.SQL("count(*) FILTER (WHERE {} IS NULL)").format(column) for column in columns]
        first = [sql.SQL("min(batch_date) FILTER (WHERE {} IS NULL)").format(column) for column in columns]
        # Arrays: a result has no room for two columns more for each that a table may have.
        query = sql.SQL("SELECT ARRAY[{}] AS n, ARRAY[{}] AS first FROM {}").format(
            sql.SQL(", ").join(counted), sql.SQL(", ").join(first), table.identifier
        )
        [row] = self.rows(query)
        return {name: (n, day) for name, n, day in zip(there, row["n"], row["first"], strict=True) if n}

    def retype(self, table: Table, holder: str, *, dry_run: bool = False) -> list[str]:
        """Change ``table`` to what its spec declares, in one transaction; return what was done, a line each.

        Tries that hold leases of its partitions are superseded: their rows have the old types. ``dry_run`` looks
        at every row, and changes nothing.

        Raises:
            TableMismatch: naming the first row of which a change does not hold. Nothing was changed.
        """
        with self.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            shape = shape_of(cursor, table)
            if shape is None or not differences(table, shape):
                return []
            take_lease(cursor, table, dates_of(cursor, table), holder)
            Session(cursor).run(leases.TAKE_ALL, table=table.qualified, holder=holder)
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))
            done = retype(cursor, table, shape)
            if dry_run:
                cursor.connection.rollback()
        return done

    def accounts(self, table: Table, first: date, last: date) -> list[Account]:
        """Return, of each published batch of a ``raw`` table: rows landed, accepted, rejected, and those there are.

        One statement, so one moment: a partition that is being replaced is seen before or after.
        """
        text = ACCOUNTS.text.replace("{}", rendered(table.identifier))
        return self.all(Query(text, Account), source=table.name, first=first, last=last)

    def ensure(self, table: Table) -> None:
        """Create ``table``, or add the columns its spec has gained. One without a row is made anew.

        Raises:
            TableMismatch: its columns, types or key are not what its spec declares.
        """
        with self.transaction() as cursor:
            if _fits(table, shape_of(cursor, table)):
                return
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (DDL_LOCK,))
            shape = shape_of(cursor, table)
            found = differences(table, shape) if shape else []
            cursor.execute(
                sql.SQL("SELECT {}(%s, %s, %s, %s, %s, %s) AS made").format(
                    sql.Identifier(table.schema, "ensure_table")
                ),
                (
                    table.name,
                    list(table.columns),
                    [POSTGRES[kind] for kind in table.columns.values()],
                    sorted(table.required),
                    list(table.key),
                    bool(found),
                ),
            )
            answer = cursor.fetchone()
            if not answer or not answer["made"]:
                raise mismatch(table, found)

    def ensure_view(self, table: Table, arm: str) -> None:
        """Create the view of one arm of predictions, ``<table>_<arm>``. It gains the columns that the table has."""
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT array_agg(attname::text) AS names FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0",
                (f"{table.qualified}_{arm}",),
            )
            present = cursor.fetchone()
            if present and set(table.columns) <= set(present["names"] or ()):
                return
            cursor.execute("SELECT predictions.ensure_view(%s, %s)", (table.name, arm))

    def lease(self, table: Table, dates: Sequence[date], holder: str, arm: str = "") -> Lease:
        """Take the lease of these partitions: older holders can no longer write them.

        Take it before reading what the write depends on; that is what makes a stale try harmless.
        """
        with self.transaction() as cursor:
            return take_lease(cursor, table, dates, holder, arm)

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

    def replace_rows(self, table: Table, rows: pd.DataFrame, **of: str) -> None:
        """Replace the rows of ``table`` whose columns ``of`` have these values, in one transaction and without a lease.

        For rows that one run alone writes.
        """
        conditions = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(f"${n}"))
            for n, name in enumerate(of, start=1)
        ]
        statement = sql.SQL("DELETE FROM {} WHERE {}").format(
            table.identifier, sql.SQL(" AND ").join(conditions)
        )
        with self._bulk() as connection:
            with connection.cursor() as cursor:
                cursor.execute(rendered(statement), parameters=list(of.values()))
                cursor.adbc_ingest(table.name, table.arrow(rows), mode="append", db_schema_name=table.schema)
            connection.commit()

    @contextmanager
    def _bulk(self) -> Iterator[Any]:
        # Leaving the block without commit rolls back.
        try:
            with self.bulk.lent() if self.bulk else adbc.connect(self.url) as connection:
                yield connection
                connection.rollback()
        except adbc.Error as error:
            raise told(error, error.sqlstate) from error


def _ask(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    connection.rollback()


def _fits(table: Table, shape: Shape | None) -> bool:
    return shape is not None and set(table.columns) <= shape.columns.keys() and not differences(table, shape)


@dataclass(frozen=True)
class Reading:
    """An open transaction: rows and the records about them, all of one instant."""

    cursor: Any

    def read(self, table: Table, first: date, last: date) -> pd.DataFrame:
        """Return the rows of ``table``, as :meth:`Warehouse.read` does."""
        return to_frame(self._read(table, first, last).read_all())

    def blocks(self, table: Table, first: date, last: date, rows: int) -> Iterator[pa.Table]:
        """Yield the rows of nights in the order of their key, ``rows`` at a time, the last ones fewer.

        They come from the server as they are asked for. Nothing else can be read here until they have all come.
        """
        return in_blocks(self._read(table, first, last), rows)

    def count(self, table: Table, first: date, last: date) -> int:
        """Return how many rows ``table`` has of batch dates ``first`` .. ``last``."""
        query = sql.SQL("SELECT count(*) FROM {} WHERE batch_date BETWEEN $1 AND $2").format(table.identifier)
        self.cursor.execute(rendered(query), parameters=[first, last])
        return int(self.cursor.fetchone()[0])

    def dates(self, table: Table, first: date, last: date) -> list[date]:
        """Return which batch dates of ``first`` .. ``last`` hold rows, ascending."""
        query = sql.SQL(
            "SELECT d::date AS batch_date FROM generate_series($1::date, $2::date, interval '1 day') d "
            "WHERE EXISTS (SELECT 1 FROM {} t WHERE t.batch_date = d::date) ORDER BY 1"
        ).format(table.identifier)
        self.cursor.execute(rendered(query), parameters=[first, last])
        return [night for (night,) in self.cursor.fetchall()]

    def waited(self, earlier: Table, later: Table, by: Sequence[str], first: date, last: date) -> int | None:
        """Return how many nights lie between the first rows of a thing in two tables, at most, of nearly all things.

        ``by``: the columns that tell what a row is about, compared as text. None: nothing is in both.
        """
        names = sql.SQL(", ").join(map(sql.Identifier, by))
        texts = sql.SQL(", ").join(sql.SQL("{0}::text AS {0}").format(sql.Identifier(name)) for name in by)
        firsts = [
            sql.SQL(
                "(SELECT {}, min(batch_date) AS night FROM {} WHERE batch_date BETWEEN $1 AND $2 GROUP BY {})"
            ).format(texts, table.identifier, names)
            for table in (earlier, later)
        ]
        query = sql.SQL(
            "SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY l.night - e.night) FROM {} e JOIN {} l USING ({})"
        ).format(*firsts, names)
        self.cursor.execute(rendered(query), parameters=[first, last])
        (found,) = self.cursor.fetchone()
        return None if found is None else int(found)

    def sample(self, table: Table, first: date, last: date, one_in: int) -> pd.DataFrame:
        """Return about one in so many rows of ``table``: those whose key hashes so, the same ones each time."""
        key = sql.SQL(", ").join(map(sql.Identifier, table.key))
        chosen = sql.SQL("AND mod(hashtextextended(concat_ws(' ', {}), 0), {}) = 0").format(
            key, sql.Literal(one_in)
        )
        return to_frame(self._read(table, first, last, chosen).read_all())

    def beginning(self, table: Table, first: date, last: date, rows: int) -> pd.DataFrame:
        """Return the first ``rows`` rows of nights in the order of their key, and read no more."""
        limit = sql.SQL("LIMIT {}").format(sql.Literal(rows))
        return to_frame(self._read(table, first, last, limit=limit).read_all())

    def _read(
        self,
        table: Table,
        first: date,
        last: date,
        chosen: sql.Composable = ALL,
        limit: sql.Composable = ALL,
    ) -> pa.RecordBatchReader:
        names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        order = sql.SQL(", ").join(map(sql.Identifier, table.key))
        # Nothing bound: then the driver has the server COPY the rows, which come as they are read, and twice as fast.
        query = sql.SQL("SELECT {} FROM {} WHERE batch_date BETWEEN {} AND {} {} ORDER BY {} {}").format(
            names, table.identifier, sql.Literal(first), sql.Literal(last), chosen, order, limit
        )
        self.cursor.execute(rendered(query))
        return self.cursor.fetch_record_batch()

    def all(self, query: Query[R], /, **values: Any) -> list[R]:
        """Return the rows of an answer."""
        text, parameters = query.positional(values)
        self.cursor.execute(text, parameters=parameters or None)
        found = self.cursor.fetch_arrow_table().to_pylist()
        return [query.row.of(row) for row in found]

    def one(self, query: Query[R], /, **values: Any) -> R | None:
        """Return the first row of an answer, or None."""
        return next(iter(self.all(query, **values)), None)


def in_blocks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of ``batches``, ``rows`` at a time, the last ones fewer, wherever batches end."""
    held: list[pa.RecordBatch] = []
    missing = rows
    for batch in batches:
        rest = batch
        while rest.num_rows >= missing:
            yield pa.Table.from_batches([*held, rest.slice(0, missing)])
            held, missing, rest = [], rows, rest.slice(missing)
        if rest.num_rows:
            held, missing = [*held, rest], missing - rest.num_rows
    if held:
        yield pa.Table.from_batches(held)
