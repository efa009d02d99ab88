"""Exactly-once effect per (table, partition).

Each try takes ``generation + 1`` of its partitions before it reads anything. The transaction that
replaces them locks those lease rows and compares: a zombie, whose task was retried elsewhere, finds a
newer generation and writes nothing. A reader sees the old partition whole, or the new one whole.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pandas as pd
import pyarrow as pa
from psycopg2 import sql
from psycopg2.extras import Json

from nightshift.database import Session, bound, told
from nightshift.errors import Superseded
from nightshift.records import leases
from nightshift.rows import Command, Row
from nightshift.warehouse.tables import Table, rendered

# How PostgreSQL says which row it could not take: "COPY flights, line 3, column origin".
COPIED = re.compile(r"COPY .+?, line (\d+)(?:, column ([^\n]+?))?(?:\n|\. SQLSTATE|$)")
# A COPY's rows are encoded so many at a time: the server takes in one piece while the next is made.
ROWS_A_PIECE = 20_000

Pieces = Callable[[], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class Lease:
    """The right to write these partitions of one table, until somebody takes a newer one."""

    table: Table
    generations: Mapping[date, int]
    holder: str
    arm: str = ""


def take_lease(cursor: Any, table: Table, dates: Sequence[date], holder: str, arm: str = "") -> Lease:
    """Take the next generation of each partition: a date, and an arm where the table has arms.

    ``cursor``: psycopg2, rows as dictionaries.
    """
    wanted = sorted(set(dates))
    taken = Session(cursor).all(leases.TAKE, table=table.qualified, arm=arm, holder=holder, dates=wanted)
    return Lease(table, {held.batch_date: held.generation for held in taken}, holder, arm)


def check_lease(cursor: Any, lease: Lease) -> None:
    """Lock the lease rows to the end of the transaction. ``cursor``: ADBC.

    Raises:
        Superseded: naming the partition and who took it; or the table has another name since.
    """
    nights = {"first": min(lease.generations), "last": max(lease.generations)}
    text, parameters = leases.CHECK.positional({"table": lease.table.qualified, "arm": lease.arm, **nights})
    cursor.execute(text, parameters=parameters)
    held = {batch_date: (generation, holder) for batch_date, generation, holder in cursor.fetchall()}
    for batch_date, mine in lease.generations.items():
        generation, holder = held.get(batch_date, (None, "nightshift rename"))
        if generation == mine:
            continue
        taken = f"'{holder}' has taken generation {generation}" if generation else f"'{holder}' has moved it"
        raise Superseded(
            f"{lease.table.qualified}, {batch_date}: {taken}; this try ('{lease.holder}') holds {mine} and writes "
            "nothing, of no night"
        )


@dataclass(frozen=True)
class PartitionWrite:
    """An open transaction under a checked lease."""

    cursor: Any
    lease: Lease

    def replace(
        self,
        table: Table,
        rows: pd.DataFrame | pa.Table | Pieces,
        *,
        dates: Iterable[date] | None = None,
        **only: str | int,
    ) -> int:
        """Replace ``dates`` of ``table`` (all that are leased, if not given) by ``rows``; return their number.

        ``rows``: also as a function that gives them piece by piece, in the table's own types, anew each time. ``only``
        narrows what is replaced (``source="weather"``), for tables that several writers share. What giving the rows
        raises is raised here.
        """
        pieces = rows if callable(rows) else _pieces(table, rows)
        conditions = [sql.SQL("batch_date BETWEEN $1 AND $2"), *_equal(only)]
        statement = sql.SQL("DELETE FROM {} WHERE {}").format(
            table.identifier, sql.SQL(" AND ").join(conditions)
        )
        for first, last in consecutive(self.lease.generations if dates is None else dates):
            self.cursor.execute(rendered(statement), parameters=[first, last, *only.values()])
        raised: list[Exception] = []
        reader = pa.RecordBatchReader.from_batches(table.arrow_schema, _watched(pieces(), raised))
        try:
            return self.cursor.adbc_ingest(table.name, reader, mode="append", db_schema_name=table.schema)
        except adbc.Error as error:
            if raised:  # not the warehouse's, though the driver tells it as its own
                raise raised[0] from error
            raise told(error, error.sqlstate, _place(table, pieces, str(error))) from error

    def counts(self, table: Table, dates: Iterable[date], **only: str) -> dict[date, int]:
        """Return how many rows of ``table`` each of ``dates`` has, as this transaction sees them; ``only`` as above."""
        wanted = sorted(set(dates))
        conditions = [sql.SQL("batch_date BETWEEN $1 AND $2"), *_equal(only)]
        statement = sql.SQL("SELECT batch_date, count(*) FROM {} WHERE {} GROUP BY batch_date").format(
            table.identifier, sql.SQL(" AND ").join(conditions)
        )
        if not wanted:
            return {}
        self.cursor.execute(rendered(statement), parameters=[wanted[0], wanted[-1], *only.values()])
        found = dict(self.cursor.fetchall())
        return {day: int(found.get(day, 0)) for day in wanted}

    def run(self, command: Command, row: Row | None = None, /, **values: Any) -> None:
        """Run one more statement in the same transaction, with the columns of ``row`` and ``values``."""
        told = {
            n: v.dumps(v.adapted) if isinstance(v, Json) else v
            for n, v in bound(command, row, values).items()
        }
        text, parameters = command.positional(told)
        self.cursor.execute(text, parameters=parameters)


def _pieces(table: Table, rows: pd.DataFrame | pa.Table) -> Pieces:
    arrow = rows if isinstance(rows, pa.Table) else table.arrow(rows)
    return lambda: arrow.to_batches(max_chunksize=ROWS_A_PIECE)


def _watched(pieces: Iterable[pa.RecordBatch], raised: list[Exception]) -> Iterator[pa.RecordBatch]:
    try:
        yield from pieces
    except Exception as error:
        raised.append(error)
        raise


def _place(table: Table, pieces: Pieces, said: str) -> str:
    """Return the table, and the row and column that an error of a COPY names: the row by its key."""
    found = COPIED.search(said)
    values = _row(pieces(), int(found[1]) - 1, table.key) if found else None
    if not found or not values:
        return f"table {table.qualified}: "
    key = ", ".join(f"{name}={str(value)[:60]!r}" for name, value in values.items())
    column = f", column '{found[2]}'" if found[2] else ""
    return f"table {table.qualified}{column}, row {key}: "


def _row(pieces: Iterable[pa.RecordBatch], number: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of these columns in the row of this number; none where there are fewer rows."""
    for piece in pieces:
        if number < piece.num_rows:
            return piece.select(list(names)).slice(number, 1).to_pylist()[0]
        number -= piece.num_rows
    return {}


def _equal(only: Mapping[str, str | int]) -> list[sql.Composable]:
    """Return one condition a column, its placeholder after the two of the dates."""
    return [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(f"${n}"))
        for n, name in enumerate(only, start=3)
    ]


def consecutive(dates: Iterable[date]) -> list[tuple[date, date]]:
    """Return the runs of consecutive days in ``dates`` as inclusive (first, last) pairs."""
    runs: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs
