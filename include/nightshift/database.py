"""Small statements on a PostgreSQL database. Light: the triggerer imports it, and no pandas with it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from queue import Empty, LifoQueue
from typing import Any, Generic, Protocol, TypeVar
from weakref import finalize

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import sql
from psycopg2.extras import Json

from nightshift.errors import NightshiftError, Unreachable, WarehouseRefused
from nightshift.freeform import Values
from nightshift.rows import Command, Query, R, Row

T = TypeVar("T")


class Closes(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Closes)
CONNECT_SECONDS = 10
JSON_AS_TEXT = psycopg2.extensions.new_type(
    (114, 3802), "JSON_AS_TEXT", lambda value, _: value
)  # json, jsonb
MOST_SAID = 600
# SQLSTATE, by its beginning: what may pass by itself (a lost connection, a deadlock, a full disk, a shutdown) ...
PASSING = ("08", "40", "53", "55P03", "57", "58")
# ... and what to do about some that do not. The second are those of a connection, which has no SQLSTATE.
REMEDIES = {
    "42P01": "run `nightshift migrate`",
    "3F000": "run `nightshift migrate`",
    "42501": "run `nightshift migrate`, or grant it to the login of connection 'warehouse'",
}
LOGINS = (
    "authentication failed",
    "permission denied for database",
    "does not exist",
    "no pg_hba.conf entry",
    "is not permitted to log in",
)


class Reads(Protocol):
    """What answers questions: a database (each of its own instant), an open session, an open reading."""

    def all(self, query: Query[R], /, **values: Any) -> list[R]:
        """Return the rows of an answer."""

    def one(self, query: Query[R], /, **values: Any) -> R | None:
        """Return the first row of an answer, or None."""


@dataclass(frozen=True)
class Session:
    """An open transaction. ``cursor``: psycopg2's, rows as dictionaries, for statements made up at run time."""

    cursor: psycopg2.extras.RealDictCursor

    def all(self, query: Query[R], /, **values: Any) -> list[R]:
        """Return the rows of an answer."""
        with self._asked(query, values) as cursor:
            return [query.row.of(row) for row in cursor.fetchall()]

    def one(self, query: Query[R], /, **values: Any) -> R | None:
        """Return the first row of an answer, or None."""
        with self._asked(query, values) as cursor:
            row = cursor.fetchone()
        return query.row.of(row) if row else None

    def _asked(self, query: Query[R], values: Values) -> Any:
        """Return a cursor with the answer, JSON as text: a row type reads that at once, in a third of the time."""
        cursor = self.cursor.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
        psycopg2.extensions.register_type(JSON_AS_TEXT, cursor)
        cursor.execute(query.text, values)
        return cursor

    def run(self, command: Command, row: Row | None = None, /, **values: Any) -> int:
        """Run a statement with the columns of ``row`` and ``values``; return the number of rows it touched."""
        self.cursor.execute(command.text, bound(command, row, values))
        return self.cursor.rowcount

    def each(self, command: Command, rows: Iterable[Row]) -> None:
        """Run a statement for each of the rows."""
        self.cursor.executemany(command.text, [bound(command, row, {}) for row in rows])


def bound(command: Command, row: Row | None, values: Values) -> Values:
    """Return what a statement's placeholders stand for, JSON as psycopg2 takes it."""
    found = {**(row.values() if row else {}), **values}
    return {n: Json(v) if n in command.json and v is not None else v for n, v in found.items()}


class Kept(Generic[C]):
    """The connection that a task's transactions take in turn; whoever finds it in use opens another.

    To connect costs more than most statements: 5 ms, and 50 ms where the driver asks for all types first. Before it is
    used again it must answer, for the server may have gone meanwhile. After an error it is not used again.

    Args:
        opened: opens a connection.
        ask: runs a statement on one, and ends its transaction.
        lost: what is raised where it does not answer.
    """

    def __init__(self, opened: Callable[[], C], ask: Callable[[C], object], lost: type[Exception]) -> None:
        self._opened, self._ask, self._lost = opened, ask, lost
        self._free: list[C] = []
        finalize(self, _closed, self._free)

    @contextmanager
    def lent(self) -> Iterator[C]:
        """Yield a connection without an open transaction; whoever takes it leaves it so."""
        connection = self._answering() or self._opened()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._free:
            connection.close()
        else:
            self._free.append(connection)

    def close(self) -> None:
        """Close the connection that is not in use; the next transaction opens one."""
        _closed(self._free)

    def _answering(self) -> C | None:
        try:
            connection = self._free.pop()
        except IndexError:
            return None
        try:
            self._ask(connection)
        except self._lost:
            connection.close()
            return None
        return connection


def _closed(connections: list[C]) -> None:
    while connections:
        connections.pop().close()


@dataclass(frozen=True)
class Database:
    """The database at a ``postgresql://`` URL. Each call opens and closes a connection, or takes one that is kept."""

    url: str = field(repr=False)
    kept: Kept[Any] | None = field(default=None, repr=False, compare=False)

    @contextmanager
    def transaction(self) -> Iterator[psycopg2.extras.RealDictCursor]:
        """Yield a cursor in one transaction: committed on success, rolled back on an exception.

        Raises:
            Unreachable: the server is down, or went away meanwhile.
            WarehouseRefused: it refuses the login, or a statement.
        """
        try:
            with (
                self._connection() as connection,
                connection,
                connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
            ):
                yield cursor
        except psycopg2.Error as error:
            raise told(error, error.pgcode) from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session: one connection and one transaction, as :meth:`transaction`."""
        with self.transaction() as cursor:
            yield Session(cursor)

    def all(self, query: Query[R], /, **values: Any) -> list[R]:
        """Return the rows of an answer."""
        with self.session() as session:
            return session.all(query, **values)

    def one(self, query: Query[R], /, **values: Any) -> R | None:
        """Return the first row of an answer, or None."""
        with self.session() as session:
            return session.one(query, **values)

    def run(self, command: Command, row: Row | None = None, /, **values: Any) -> int:
        """Run one statement in its own transaction; return the number of rows it touched."""
        with self.session() as session:
            return session.run(command, row, **values)

    def _connection(self) -> AbstractContextManager[Any]:
        return self.kept.lent() if self.kept else closing(connected(self.url))

    def rows(self, statement: str | sql.Composed, values: Sequence[Any] | Values = ()) -> list[Values]:
        """Return the rows of a small query as dictionaries."""
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()]

    def row(self, statement: str | sql.Composed, values: Sequence[Any] | Values = ()) -> Values | None:
        """Return the first row of a small query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def execute(self, statement: str | sql.Composed, values: Sequence[Any] | Values = ()) -> int:
        """Run one statement in its own transaction; return the number of rows it touched."""
        with self.transaction() as cursor:
            cursor.execute(statement, values)
            return cursor.rowcount


def connected(url: str) -> Any:
    """Return a new connection of psycopg2's."""
    return psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)


def ask(connection: Any) -> None:
    """Have the server answer, in a transaction of its own. ``connection``: psycopg2's."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class Readings:
    """A few read-only connections to the database at a URL, kept open for pages that are asked for again and again.

    A statement may take ``seconds``; whoever finds all connections busy waits as long for one.
    """

    def __init__(self, url: str, *, most: int = 4, seconds: int = 5) -> None:
        self._url, self._seconds = url, seconds
        self._free: LifoQueue[Any] = LifoQueue()
        for _ in range(most):
            self._free.put(None)  # opened by whoever needs it

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session that reads.

        Raises:
            Unreachable: the server is down, a statement took too long, or all connections are busy.
            WarehouseRefused: it refuses the login, or a statement.
        """
        try:
            connection = self._free.get(timeout=self._seconds)
        except Empty as error:
            raise Unreachable("warehouse: all connections of the pages are busy; try again") from error
        try:
            if connection is None or connection.closed:
                connection = self._opened()
            with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                yield Session(cursor)
        except psycopg2.Error as error:
            if _lost(error) and connection is not None:
                connection.close()  # the driver may not have noticed
            raise told(error, error.pgcode) from error
        finally:
            self._free.put(connection)

    def all(self, query: Query[R], /, **values: Any) -> list[R]:
        """Return the rows of an answer."""
        return self._asked(lambda session: session.all(query, **values))

    def one(self, query: Query[R], /, **values: Any) -> R | None:
        """Return the first row of an answer, or None."""
        return self._asked(lambda session: session.one(query, **values))

    def _asked(self, ask: Callable[[Session], T]) -> T:
        try:
            with self.session() as session:
                return ask(session)
        except Unreachable as error:
            # A kept connection is lost when the server starts again: the next one is new.
            if not _lost(error.__cause__):
                raise
        with self.session() as session:
            return ask(session)

    def _opened(self) -> Any:
        limits = f"-c statement_timeout={self._seconds}s -c default_transaction_read_only=on -c jit=off"
        return psycopg2.connect(self._url, connect_timeout=CONNECT_SECONDS, options=limits)


def _lost(error: BaseException | None) -> bool:
    timed_out = getattr(error, "pgcode", None) == "57014"
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and not timed_out


def told(error: Exception, code: str | None, where: str = "") -> NightshiftError:
    """Return a driver's error as ours. ``code``: its SQLSTATE, if it has one; ``where``: table, column, row."""
    said = _said(str(error))
    lost = type(error).__name__ in ("OperationalError", "InterfaceError") and code is None
    if lost and any(words in said for words in LOGINS):
        return WarehouseRefused(f"warehouse: {said}; check the connection 'warehouse'")
    if lost or (code or "").startswith(PASSING):
        return Unreachable(f"warehouse: {said}; this may pass, and is tried again")
    remedy = REMEDIES.get(
        code or "", "mend these rows, or the spec; nothing of them was written" if where else ""
    )
    return WarehouseRefused("; ".join(filter(None, [f"warehouse: {where}{said}", remedy])))


def _said(text: str) -> str:
    """Return what the server said: without what the drivers put around it, and without values of the row."""
    said = " ".join(text.split())
    said = said.partition(" ERROR: ")[2] or said
    for rest in (" CONTEXT: ", " DETAIL: Failing row", " Query was: ", " . SQLSTATE", ". SQLSTATE"):
        said = said.partition(rest)[0]
    return said[:MOST_SAID]
