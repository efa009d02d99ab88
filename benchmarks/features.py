"""What a night's features cost with more and more history: 35 nights, a year, 1 and 5 million flights.

    PYTHONPATH=. python benchmarks/features.py

On a PostgreSQL of its own. The real flights of 2013, and the same year again and again before it; arrivals likewise.
A night reads its look-back and nothing else, so the cost must not grow: the bar is 1.5 times that of 35 nights, in
CPU-seconds of this process (the best of three) and in rows that the server read. The exit code is 1 above it.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2

from examples.nyc_flights import upstream
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.runtime import postgres
from nightshift.runtime.endpoints import any_free_port
from nightshift.specs import load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse, feature_table, migrate, raw_table

SET, NIGHT, BAR = "departure", date(2013, 12, 30), 1.5
# Copies of the year (0: itself) and days of it before NIGHT that each step adds.
STEPS = {
    "35 nights": (0, 0, "2013-11-26", "2013-12-31"),
    "a year": (0, 0, "2013-01-01", "2013-11-25"),
    "1 million flights": (1, 2, "2013-01-01", "2013-12-31"),
    "5 million flights": (3, 14, "2013-01-01", "2013-12-31"),
}
FLIGHTS = """
INSERT INTO raw.flights SELECT flight_date - 366 * n, flight_id, flight_date - 366 * n,
    sched_dep_at - n * interval '366 days', sched_arr_local, carrier, flight, tailnum, origin, dest, distance,
    published_at - n * interval '366 days', published_at - n * interval '366 days'
FROM ops.schedule, generate_series(%s::int, %s::int) n WHERE flight_date BETWEEN %s AND %s
"""
ARRIVALS = """
INSERT INTO raw.arrivals SELECT (reported_at AT TIME ZONE 'America/New_York')::date + 1 - 366 * n, flight_id,
    flight_date - 366 * n, carrier, flight, origin, dest, dep_delay, arr_delay,
    reported_at - n * interval '366 days', reported_at - n * interval '366 days'
FROM ops.arrivals, generate_series(%s::int, %s::int) n WHERE flight_date BETWEEN %s AND %s
"""
READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint AS n FROM pg_stat_user_tables
WHERE schemaname = 'raw'
"""


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server of our own."""
    prepared, port = postgres.prepare(home, "benchmark"), any_free_port()
    with (home / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            prepared.command(port),
            stdout=log,
            stderr=log,
            start_new_session=True,
            **prepared.account.identity,
        )
        url = f"postgresql://postgres:benchmark@127.0.0.1:{port}/postgres"
        try:
            yield _answering(url)
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(postgres.shelter(home), ignore_errors=True)


def _answering(url: str, seconds: float = 120) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg2.connect(url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return url


def small_sources(platform: Platform, weather: Path) -> None:
    """File the night's register of aircraft and its two days of weather."""
    nights = [NIGHT - timedelta(days=1), NIGHT]
    cutoff = pd.Timestamp(platform.project.calendar.cutoff(NIGHT))
    aircraft = pd.DataFrame(upstream.read_aircraft()).assign(batch_date=NIGHT, known_at=cutoff)
    files = {night: pd.read_csv(weather / f"{night - timedelta(days=1)}.csv") for night in nights}
    observed = pd.concat(frame.assign(batch_date=night) for night, frame in files.items())
    for name in ("observed_at", "published_at"):
        observed[name] = pd.to_datetime(observed[name])
    for name, frame in {
        "aircraft": aircraft,
        "weather": observed.assign(known_at=observed["published_at"]),
    }.items():
        table = raw_table(platform.project.source(name))
        with platform.warehouse.write(platform.warehouse.lease(table, nights, "benchmark")) as write:
            write.replace(table, frame)


def measured(platform: Platform) -> tuple[float, int]:
    """Return the least CPU-seconds of three builds of the night, and the rows that the server read for one."""
    spent, before = [], _rows_read(platform.warehouse)
    for n in range(3):
        began = time.process_time()
        stages.build_features(platform, SET, DateRange(NIGHT, NIGHT), Try(f"benchmark {n}"))
        spent.append(time.process_time() - began)
    return min(spent), (_rows_read(platform.warehouse) - before) // 3


def _rows_read(warehouse: Warehouse) -> int:
    time.sleep(2)  # backends report when they end
    row = warehouse.row(READ)
    return int(row["n"]) if row else 0


def main() -> int:
    """Run the benchmark; return 0 if no history makes a night dearer than the bar."""
    with tempfile.TemporaryDirectory(prefix="nightshift-features-") as folder, server(Path(folder)) as url:
        weather = Path(folder) / "weather"
        upstream.seed(url, weather)
        migrate(url)
        registry: Any = None  # building asks neither registry, nor files, nor connections
        platform = Platform(load_project(), Warehouse(url), registry, registry, registry)
        spec = platform.project.feature_set(SET)
        for table in (
            feature_table(spec),
            *(raw_table(platform.project.source(name)) for name in spec.inputs),
        ):
            platform.warehouse.ensure(table)
        small_sources(platform, weather)
        found = {name: _step(platform, name) for name in STEPS}
    first, *others = found.values()
    ratios = [max(cpu / first[0], rows / first[1]) for cpu, rows in others]
    print(f"dearest against 35 nights: {max(ratios):.2f} (bar {BAR})")
    return 0 if max(ratios) <= BAR else 1


def _step(platform: Platform, name: str) -> tuple[float, int]:
    for statement in (FLIGHTS, ARRIVALS):
        platform.warehouse.execute(statement, STEPS[name])
    platform.warehouse.execute("ANALYZE raw.flights, raw.arrivals")
    flights = (platform.warehouse.row("SELECT count(*) AS n FROM raw.flights") or {})["n"]
    cpu, rows = measured(platform)
    print(
        f"{name:>18}: {flights:>9,} flights in raw; the night: {cpu:.2f} CPU-s, {rows:,} rows read",
        flush=True,
    )
    return cpu, rows


if __name__ == "__main__":
    sys.exit(main())
