"""The connectors, by the kind a source's spec names. A new one is a function and a line at the foot."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import create_engine

from nightshift.collect.connection import Connection, Reader, Sleep, Window
from nightshift.collect.files import open_files
from nightshift.collect.http import open_http
from nightshift.collect.refusals import declared_once
from nightshift.collect.sql import open_sql
from nightshift.errors import SpecError, did_you_mean
from nightshift.specs import Source


@contextmanager
def open_source(
    source: Source, connection: Connection, zone: ZoneInfo, *, sleep: Sleep = time.sleep
) -> Iterator[Reader]:
    """Yield a reader of ``source``; its dates share one engine, one HTTP client, one look at a whole file.

    ``zone``: the project's; whose calendar the nights are of.

    Raises:
        SpecError: the spec's connector cannot work as written (unknown bind name, path out of the root).
        SourceError: the upstream is down, missing, or answers nonsense. Raised while rows are read as well.
    """
    kind = source.connector.kind
    if kind not in CONNECTORS:
        raise SpecError(
            f"source '{source.name}': connector kind '{kind}' is unknown{did_you_mean(kind, CONNECTORS)}"
        )
    with CONNECTORS[kind](source, connection, zone, sleep) as reader:
        yield _of_declared(source, connection, reader)


def check(source: Source, zone: ZoneInfo) -> None:
    """Raise SpecError, as open_source does, if the source's connector cannot work as written. Nobody is asked."""
    nowhere = Connection(
        "nowhere", host="localhost", extra={"path": "/"}, engine=lambda: create_engine("sqlite://")
    )
    with open_source(source, nowhere, zone):
        pass


def _of_declared(source: Source, connection: Connection, reader: Reader) -> Reader:
    """Return a reader that leaves out what the source does not declare, if it says so; no column is there twice."""

    def frames(batch_date: date, window: Window, careful: bool) -> Iterator[pd.DataFrame]:
        for frame in reader.frames(batch_date, window, careful):
            yield declared_once(source, connection, frame)

    return reader._replace(frames=frames)


def collect(
    source: Source, batch_date: date, window: Window, connection: Connection, zone: ZoneInfo
) -> pd.DataFrame:
    """Return the rows of one batch date as delivered, without a batch_date column. Raises as open_source."""
    with open_source(source, connection, zone) as reader:
        return reader.read(batch_date, window)


CONNECTORS: dict[str, Callable[[Source, Connection, ZoneInfo, Sleep], AbstractContextManager[Reader]]] = {
    "sql": open_sql,
    "files": open_files,
    "http": open_http,
}
