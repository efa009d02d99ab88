"""SQL: the rows of a query, its dates bound as parameters and never pasted into the text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from pandas.api.types import infer_dtype
from sqlalchemy import Engine, text
from sqlalchemy.exc import InvalidRequestError, SQLAlchemyError

from nightshift.collect.connection import Connection, Reader, Sleep, Window
from nightshift.collect.refusals import told
from nightshift.errors import SpecError, did_you_mean
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

        def read(batch_date: date, window: Window) -> pd.DataFrame:
            with told(source, connection, batch_date):
                return _read(source, query, connection, engine, batch_date, window)

        yield Reader(read)
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


def _read(
    source: Source, query: str, connection: Connection, engine: Engine, batch_date: date, window: Window
) -> pd.DataFrame:
    statement = text(query)
    values = dict(zip(BINDS, (batch_date, *window), strict=True))
    # bindparams, not execute(..., values): it gives each bind the SQL type of its value.
    statement = statement.bindparams(**{name: values[name] for name in statement.compile().params})
    try:
        # Read-only where the database knows it: a source is never written to.
        with engine.connect().execution_options(stream_results=True, postgresql_readonly=True) as opened:
            result = opened.execute(statement)
            names = [str(name) for name in result.keys()]  # noqa: SIM118 not a dict
            chunks = [_frame(names, list(rows)) for rows in result.partitions(CHUNK_ROWS)]
    except SQLAlchemyError as error:
        happened = getattr(error, "orig", None) or error
        # Not `from error`: SQLAlchemy's own text repeats the statement and may hold the address.
        raise connection.failure(
            source,
            f"batch date {batch_date}: {happened}",
            "check that the database is up and the query is right",
        ) from None
    if not chunks:
        return pd.DataFrame(columns=names, dtype=object)
    return pd.concat(chunks, ignore_index=True) if len(chunks) > 1 else chunks[0]


def _frame(names: list[str], rows: list[Any]) -> pd.DataFrame:
    if not names:
        raise InvalidRequestError("the query returns no columns")
    frame = pd.concat([_column(values) for values in zip(*rows, strict=True)], axis=1)
    frame.columns = pd.Index(names, dtype=object)
    return frame


def _column(values: tuple[Any, ...]) -> pd.Series:
    delivered = pd.Series(values, dtype=object)
    typed = delivered.infer_objects()
    # Integers beside nulls would become floats, and 2**60 + 1 another number.
    return delivered if typed.dtype.kind == "f" and infer_dtype(delivered) == "integer" else typed
