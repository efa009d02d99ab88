"""Small statements on a PostgreSQL database. Light: the triggerer imports it, and no pandas with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.extras
from psycopg2 import sql

CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Database:
    """The database at a ``postgresql://`` URL. Holds no connection; each call opens and closes its own."""

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
