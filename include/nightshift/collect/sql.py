"""SQL: the rows of a query, its dates bound as parameters and never pasted into the text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from pandas.api.types import infer_dtype
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, text
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError

from nightshift.collect.connection import Anew, Connection, Reader, Sleep, Window
from nightshift.collect.postgres import as_spelled
from nightshift.collect.refusals import told
from nightshift.errors import SourceError, SpecError, did_you_mean
from nightshift.exact import kind_of
from nightshift.specs import Source, SqlConnector

BINDS = ("batch_date", "window_start", "window_end")
# SQLAlchemy sees no bind before PostgreSQL's `::`; the server would be sent the colon.
UNBOUND = re.compile(rf"(?<![:\w\\]):({'|'.join(BINDS)})::")
CHUNK_ROWS = 50_000


@contextmanager
def open_sql(source: Source, connection: Connection, zone: ZoneInfo, sleep: Sleep) -> Iterator[Reader]:
    """Yield a reader over one engine, disposed of at the end."""
    query = _query(source)
    if connection.engine is None:
        raise SpecError(
            f"source '{source.name}': connection '{connection.id}' (type '{connection.kind}') gives no "
            "SQL engine; name a connection of a SQL database in connector.connection"
        )
    try:
        engine = connection.engine()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise connection.failure(source, error, "check the connection's type, host and schema") from None
    try:

        def frames(batch_date: date, window: Window, careful: bool) -> Iterator[pd.DataFrame]:
            with told(source, connection, batch_date):
                statement = _statement(query, batch_date, window)
                try:
                    yield from _fetched(engine, statement, by_hand=careful)
                except SQLAlchemyError as error:
                    happened = getattr(error, "orig", None) or error
                    raise _failure(source, connection, batch_date, happened) from None

        yield Reader(frames)
    finally:
        engine.dispose()


def _query(source: Source) -> str:
    spec = source.connector
    if not isinstance(spec, SqlConnector):
        raise SpecError(f"source '{source.name}': its connector is not sql")
    cast = UNBOUND.search(spec.query)
    if cast:
        raise SpecError(
            f"source '{source.name}', key 'connector.query': ':{cast[1]}::' is not seen as a bind; "
            f"write CAST(:{cast[1]} AS ...)"
        )
    for name in text(spec.query).compile().params:
        if name not in BINDS:
            raise SpecError(
                f"source '{source.name}', key 'connector.query': unknown bind ':{name}'"
                f"{did_you_mean(name, BINDS)}; "
                r"a colon that is no bind is written '\:'"
            )
    return spec.query


def _statement(query: str, batch_date: date, window: Window) -> Any:
    statement = text(query)
    values = dict(zip(BINDS, (batch_date, *window), strict=True))
    # bindparams, not execute(..., values): it gives each bind the SQL type of its value.
    return statement.bindparams(**{name: values[name] for name in statement.compile().params})


def _failure(source: Source, connection: Connection, batch_date: date, happened: object) -> SourceError:
    # Not `from error`: SQLAlchemy's own text repeats the statement and may hold the address.
    return connection.failure(
        source,
        f"batch date {batch_date}: {happened}",
        "check that the database is up and the query is right",
    )


def _fetched(engine: Engine, statement: Any, *, by_hand: bool) -> Iterator[pd.DataFrame]:
    """Yield the rows as they come from the server, after a frame without any that has their columns.

    ``by_hand``: dates and texts that the driver cannot say come as they are spelled. Raises Anew where the driver made
    up a value or could not say one.
    """
    with _opened(engine, by_hand=by_hand) as opened:
        try:
            result = opened.execute(statement)
            names = [str(name) for name in result.keys()]  # noqa: SIM118 not a dict
            yield pd.DataFrame(columns=names, dtype=object)
            for rows in result.partitions(CHUNK_ROWS):
                frame = _frame(names, list(rows))
                if not by_hand and _holds_a_bound(frame):
                    raise Anew
                yield frame
        except (ValueError, OverflowError) as error:
            if by_hand:
                raise
            raise Anew from error


@contextmanager
def _opened(engine: Engine, *, by_hand: bool) -> Iterator[SqlConnection]:
    # Read-only where the database knows it: a source is never written to.
    with engine.connect().execution_options(stream_results=True, postgresql_readonly=True) as opened:
        if by_hand and engine.dialect.driver == "psycopg2":
            as_spelled(engine.dialect.dbapi, opened.connection.dbapi_connection)
        try:
            yield opened
        finally:
            if by_hand:
                opened.invalidate()  # its readers are not for the next date


def _holds_a_bound(frame: pd.DataFrame) -> bool:
    """Return whether a date is the last or first that Python can say: what psycopg2 makes of PostgreSQL's infinity."""
    return any(_years(frame.iloc[:, place].dropna()) & {1, 9999} for place in range(len(frame.columns)))


def _years(values: pd.Series) -> set[int]:
    """Return the years of dates and timestamps, at least the first and the last; of other values none."""
    if values.dtype.kind == "M":
        return {values.min().year, values.max().year} if len(values) else set()
    # Each by itself: with a zone and without, they do not compare.
    return {value.year for value in values} if kind_of(values) in ("date", "timestamp") else set()


def _frame(names: list[str], rows: list[Any]) -> pd.DataFrame:
    if not names:
        raise InvalidRequestError("the query returns no columns")
    frame = pd.concat([_column(values) for values in zip(*rows, strict=True)], axis=1)
    frame.columns = pd.Index(names, dtype=object)
    return frame


def _column(values: tuple[Any, ...]) -> pd.Series:
    delivered = pd.Series(values, dtype=object)
    typed = delivered.infer_objects()
    # Integers beside nulls or floats would become floats, and 2**60 + 1 another number.
    return delivered if typed.dtype.kind == "f" and infer_dtype(delivered) != "floating" else typed
