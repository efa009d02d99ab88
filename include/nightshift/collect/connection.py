"""Where a source is reached, and how its failures are told: without its secrets."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from sqlalchemy import Engine

from nightshift.collect.secrets import struck_out
from nightshift.errors import SourceError
from nightshift.freeform import Json
from nightshift.landing import stacked
from nightshift.specs import Source

T = TypeVar("T")
Window = tuple[datetime, datetime]
Sleep = Callable[[float], None]
MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Connection:
    """One upstream, as orchestration knows it. Its repr shows neither password nor extra.

    ``schema`` is the connection's own notion: a database for SQL, ``http`` or ``https`` for HTTP.
    ``engine`` makes the SQLAlchemy engine of an SQL source; the reader that asked for it disposes of it.
    """

    id: str
    kind: str = ""
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Json = field(default_factory=dict, repr=False)
    engine: Callable[[], Engine] | None = field(default=None, repr=False)

    def failure(self, source: Source, happened: object, remedy: str) -> SourceError:
        """Return the error for ``source``: one line, bounded, the password struck out."""
        # Struck out first: what is cut in two would not be recognised.
        text = self.without_secrets(" ".join(str(happened).split()))[:MESSAGE_LENGTH]
        what = "folder" if source.connector.connection is None else "connection"
        return SourceError(f"source '{source.name}', {what} '{self.id}': {text}; {remedy}")

    def without_secrets(self, text: str) -> str:
        """Return ``text`` with every secret of this connection struck out, in whatever form it is repeated."""
        return struck_out(text, self.password, self.extra)


def connection_of(source: Source, find: Callable[[str], Connection], beside: Path) -> Connection:
    """Return where ``source`` is reached: its connection, or its folder; a relative one starts at ``beside``."""
    if source.connector.connection is not None:
        return find(source.connector.connection)
    folder = getattr(source.connector, "folder", None) or ""
    return Connection(folder, "fs", extra={"path": folder if "://" in folder else str(beside / folder)})


class Anew(Exception):
    """The rows that came do not count: what comes now can only be read the careful way, from the first row on."""


def taken(frames: Callable[[bool], Iterable[pd.DataFrame]], take: Callable[[Iterable[pd.DataFrame]], T]) -> T:
    """Return what ``take`` makes of rows that come a frame after the other; once more, with care, if it must be.

    ``frames(careful)`` yields at least one frame. It may raise Anew, unless it is careful.
    """
    try:
        return take(frames(False))
    except Anew:
        return take(frames(True))


def whole(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all frames."""
    return stacked(list(frames))


class Reader(NamedTuple):
    """An open source. ``frames(batch_date, window, careful)`` yields one batch date's rows as delivered, see ``taken``.

    ``nights``: the batch dates that there are rows of, where the source can tell without reading each.
    """

    frames: Callable[[date, Window, bool], Iterator[pd.DataFrame]]
    nights: Callable[[], list[date]] | None = None

    def take(self, batch_date: date, window: Window, take: Callable[[Iterable[pd.DataFrame]], T]) -> T:
        """Return what ``take`` makes of one batch date's rows, which come a frame after the other."""
        return taken(partial(self.frames, batch_date, window), take)

    def read(self, batch_date: date, window: Window) -> pd.DataFrame:
        """Return one batch date's rows."""
        return self.take(batch_date, window, whole)
