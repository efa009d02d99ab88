"""What is really there: connections as the command finds them, some nights of an upstream, rows of the warehouse."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import pandas as pd
import sqlalchemy

from nightshift.calendar import Calendar
from nightshift.collect import Connection, Reader, Sniffed, content_of, open_source, sniff
from nightshift.errors import NotReady, SourceError, SpecError
from nightshift.freeform import Json
from nightshift.records import deliveries
from nightshift.root import ROOT
from nightshift.runtime import components, control, settings_file, state
from nightshift.specs import Dialect, FilesConnector, HttpConnector, Source
from nightshift.specs.source import Paging
from nightshift.warehouse import Table, Warehouse, raw_table

# A look is at nights spread over the whole range, until it has seen enough or taken long enough. Files are cheap.
MOST_NIGHTS = {"files": 400, "sql": 60, "http": 40}
ENOUGH_ROWS, FEWEST_NIGHTS, SECONDS = 60_000, 3, 4.0
# How far a search for the first night that delivers goes.
NIGHTS_TO_SEARCH = 800
NIGHTS_OF_RAW = 365
LONGEST_WAIT = 366  # days that a model's target may take to mature
GOLDEN = (5**0.5 - 1) / 2
DRIVERS = {"postgres": "postgresql+psycopg2", "mysql": "mysql+pymysql", "mssql": "mssql+pymssql"}


def find_connection(conn_id: str) -> Connection:
    """Return a connection: ``AIRFLOW_CONN_<ID>``, else ``airflow_settings.yaml`` with the local stack's over it.

    Raises:
        SpecError: there is none of that id.
    """
    given = os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}")
    if given:
        return connection(conn_id, _of_environment(conn_id, given))
    snapshot = state.read_snapshot(state.home())
    local = components.connections(snapshot.runtime, components.extension()) if snapshot else {}
    for entry in settings_file.read(ROOT / "airflow_settings.yaml").connections:
        if entry.conn_id == conn_id:
            found = settings_file.overlay(entry, local.get(conn_id, {}))
            return connection(conn_id, _of_uri(found["uri"]) if "uri" in found else found)
    raise SpecError(
        f"connection '{conn_id}' is neither in AIRFLOW_CONN_{conn_id.upper()} nor in airflow_settings.yaml"
    )


def connection(conn_id: str, parts: Json) -> Connection:
    """Return the connection that ``parts`` (named as in Airflow's JSON) describe."""
    extra = parts.get("extra") or {}
    kind = parts.get("conn_type") or ""
    port = int(parts["port"]) if parts.get("port") else None
    login, password, host, schema = (parts.get(name) for name in ("login", "password", "host", "schema"))
    return Connection(
        id=conn_id,
        kind=kind,
        host=host,
        port=port,
        login=login,
        password=password,
        schema=schema,
        extra=json.loads(extra) if isinstance(extra, str) else extra,
        engine=lambda: sqlalchemy.create_engine(
            sqlalchemy.URL.create(DRIVERS.get(kind, kind), login, password, host, port, schema)
        ),
    )


def _of_environment(conn_id: str, given: str) -> Json:
    if not given.lstrip().startswith("{"):
        return _of_uri(given)
    try:
        parts: Json = json.loads(given)
    except ValueError as error:
        raise SpecError(f"AIRFLOW_CONN_{conn_id.upper()}: not JSON: {error}") from None
    return parts


def _of_uri(uri: str) -> Json:
    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query))
    # Airflow keeps an extra that is no flat mapping under this name.
    extra = json.loads(query["__extra__"]) if "__extra__" in query else query
    return {
        "conn_type": parts.scheme.replace("-", "_"),
        "host": unquote(parts.hostname or "") or None,
        "port": parts.port,
        "login": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
        "schema": unquote(parts.path.lstrip("/")) or None,
        "extra": extra,
    }


def look(
    source: Source, where: Connection, calendar: Calendar, night: date | None = None
) -> dict[date, pd.DataFrame]:
    """Return the rows of nights spread over all that deliver, from ``night`` or the first one on.

    Raises:
        NotReady: nothing is delivered.
        SourceError: the upstream is down, or has nothing for the night that was asked for.
    """
    # Of the processor: on a busy machine a look takes longer, and sees as much.
    began, found = time.process_time(), {}
    with open_source(_of_one_answer(source), where, calendar.zone) as reader:
        nights = _delivered(source, reader, calendar, night)
        for day in spread(nights)[: MOST_NIGHTS[source.connector.kind]]:
            rows = _read(source, reader, calendar, day, must=day == night)
            if rows is not None and len(rows):
                found[day] = rows
            enough = sum(map(len, found.values())) >= ENOUGH_ROWS or time.process_time() - began > SECONDS
            if enough and len(found) >= FEWEST_NIGHTS:
                break
    if not found:
        raise NotReady(_nothing(source, night or calendar.first_night))
    return dict(sorted(found.items()))


def _of_one_answer(source: Source) -> Source:
    """Return a source over HTTP that takes one answer for a night. A draft says nothing of pages: there may be more."""
    spec = source.connector
    if not isinstance(spec, HttpConnector) or spec.paging:
        return source
    return source.model_copy(update={"connector": spec.model_copy(update={"paging": Paging(kind="single")})})


def dialect(source: Source, where: Connection, calendar: Calendar, night: date | None) -> Sniffed:
    """Return how a source's files seem to spell their values, by the first that is there. The plain way for others.

    Raises:
        NotReady: no file is there.
        SourceError: the one that was asked for is not.
    """
    spec = source.connector
    if not isinstance(spec, FilesConnector) or spec.format != "csv":
        return Sniffed(Dialect(), ())
    for day in list(_nights(calendar, night))[: 1 if spec.is_one_file else NIGHTS_TO_SEARCH]:
        try:
            return sniff(content_of(source, where, day + timedelta(days=spec.offset_days)))
        except SourceError as error:
            if spec.is_one_file or day == night or "no file" not in str(error):
                raise
    raise NotReady(_nothing(source, night or calendar.first_night))


def _nothing(source: Source, first: date) -> str:
    return (
        f"source '{source.name}': nothing is delivered from {first} on; check the path or the query, and "
        "first_night in include/project.yaml"
    )


def spread(nights: Sequence[date]) -> list[date]:
    """Return the nights in an order of which each beginning lies all over them: first, last, then by golden steps.

    Even steps would meet one weekday only.
    """
    if len(nights) < 3:
        return list(nights)
    places = [0, len(nights) - 1, *(int(n * GOLDEN % 1 * len(nights)) for n in range(1, 3 * len(nights)))]
    return [nights[place] for place in dict.fromkeys([*places, *range(len(nights))])]


def _delivered(source: Source, reader: Reader, calendar: Calendar, night: date | None) -> list[date]:
    """Return the nights that may deliver: those that the source lists, or from the first that does to the last.

    Where nothing lists them, the last is looked for in steps that double.
    """
    possible = list(_nights(calendar, night))
    if reader.nights is not None:
        listed = set(reader.nights())
        return [day for day in possible if day in listed or day == night]

    def delivers(day: date) -> bool:
        rows = _read(source, reader, calendar, day, must=day == night)
        return rows is not None and len(rows) > 0

    start = next((n for n, day in enumerate(possible[:NIGHTS_TO_SEARCH]) if delivers(day)), None)
    if start is None:
        return []
    end, step = start, 1
    while start + step < len(possible):
        # A weekend, a holiday: one night that is missing is not the end.
        if not any(delivers(day) for day in possible[start + step : start + step + 4]):
            break
        end, step = start + step, step * 2
    return possible[start : max(end, min(start + 2 * (end - start), len(possible) - 1)) + 1]


def _nights(calendar: Calendar, night: date | None) -> Iterator[date]:
    day = calendar.check(night) if night else calendar.first_night
    last = calendar.last_night or datetime.now(calendar.zone).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def _read(
    source: Source, reader: Reader, calendar: Calendar, day: date, *, must: bool
) -> pd.DataFrame | None:
    try:
        return reader.read(day, calendar.window(day))
    except SourceError as error:
        # A file that is not there may be there on another night; a service that is down is down.
        missing = isinstance(source.connector, FilesConnector) and "no file" in str(error)
        if must or not missing:
            raise
        return None


@dataclass(frozen=True)
class Seen:
    """A column's values in the warehouse: one a row that has any, and how many of them a night, those without counted.

    A night without rows has passed as well: of a row a week there are 52 in a window of a year.
    """

    values: pd.Series
    rows_a_night: float
    # Nights between the day a row is about and the night that knew it, where the source says the day.
    matures_after: int | None
    # From the first to the last, where these are the values of all of them.
    nights: int | None = None


def collected(source: Source) -> pd.DataFrame | None:
    """Return rows that the local stack's warehouse holds of a source's last year, or None if it is not up."""
    warehouse = _warehouse()
    newest = warehouse.one(deliveries.NEWEST, source=source.name) if warehouse else None
    if warehouse is None or newest is None:
        return None
    first = newest.batch_date - timedelta(days=NIGHTS_OF_RAW - 1)
    return held(warehouse, raw_table(source), first, newest.batch_date)


def held(warehouse: Warehouse, table: Table, first: date, last: date) -> pd.DataFrame:
    """Return all rows of these nights, or where they are too many, those of whole nights spread over them.

    Of a night that has too many by itself, the first rows.
    """
    with warehouse.reading() as reading:
        found = reading.beginning(table, first, last, ENOUGH_ROWS)
        if len(found) < ENOUGH_ROWS:
            return found
        nights: list[pd.DataFrame] = []
        for night in spread(reading.dates(table, first, last)):
            nights.append(reading.beginning(table, night, night, ENOUGH_ROWS))
            if sum(map(len, nights)) >= ENOUGH_ROWS and len(nights) >= FEWEST_NIGHTS:
                break
    return pd.concat(nights).sort_values("batch_date", kind="stable", ignore_index=True)


def waited(announced: Source, outcomes: Source, entity: Sequence[str]) -> int | None:
    """Return how many nights after it is announced nearly every entity has its outcome, by the whole last year.

    None: the local stack's warehouse does not hold both, or no entity of both.
    """
    warehouse = _warehouse()
    newest = [
        warehouse.one(deliveries.NEWEST, source=source.name) if warehouse else None
        for source in (announced, outcomes)
    ]
    last = max((batch.batch_date for batch in newest if batch), default=None)
    if warehouse is None or last is None or None in newest:
        return None
    first = last - timedelta(days=NIGHTS_OF_RAW - 1)
    with warehouse.reading() as reading:
        return reading.waited(raw_table(announced), raw_table(outcomes), entity, first, last)


def _warehouse() -> Warehouse | None:
    try:
        return Warehouse(control.running().warehouse_as("reader"))
    except NotReady:
        return None


def _day_of(source: Source) -> str | None:
    """Return the date that a row is about: the one that picks it, one of its key, else the first there is."""
    named = [getattr(source.connector, "date_column", None), *source.key, *source.columns]
    return next((name for name in named if name and source.columns[name].type == "date"), None)


def are_all(source: Source, rows: pd.DataFrame, *, collected: bool) -> bool:
    """Return whether these are the rows of all nights between the first and the last, not of some of them."""
    listed = isinstance(source.connector, FilesConnector) and source.connector.is_one_file
    some = rows["batch_date"].nunique() < MOST_NIGHTS[source.connector.kind]
    return len(rows) < ENOUGH_ROWS and (collected or (listed and some))


def seen_in(source: Source, column: str, rows: pd.DataFrame, *, all_nights: bool = False) -> Seen | None:
    """Return what rows of ``raw.<source>`` say of a column. ``all_nights``: of a night without any there are none."""
    values = rows[column].dropna()
    if values.empty:
        return None
    matures = None
    day = _day_of(source)
    if day:
        late = (rows["batch_date"] - rows[day]).dt.days.quantile(0.99)
        # A date of birth is no day that a row is about.
        matures = max(int(late), 0) if late <= LONGEST_WAIT else None
    nights = rows["batch_date"]
    many = (nights.max() - nights.min()).days + 1 if all_nights else nights.nunique()
    return Seen(values, len(values) / many, matures, many if all_nights else None)
