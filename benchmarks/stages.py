"""The memory that a night of many rows takes before it is scored: collect, validate and features, of 1 million flights.

    PYTHONPATH=. python benchmarks/stages.py [MILLIONS ...]

On a PostgreSQL of its own: one night's flights again and again in the upstream's schedule, with ids of their own, so
that the night has so many; 35 nights of arrivals behind it. Each stage in a process of its own. Prints seconds,
CPU-seconds (without the server's) and the most memory that the process took, its libraries with it. Nothing is held to
a bar.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy
from monitoring import memory

from examples.nyc_flights import upstream
from features import ARRIVALS, FLIGHTS, NIGHT, SET, STEPS, server, small_sources
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.collect import Connection
from nightshift.objects import Objects
from nightshift.specs import load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse, feature_table, migrate, raw_table
from score import Measured, alone

ONE = DateRange(NIGHT, NIGHT)
MORE = """
INSERT INTO ops.schedule SELECT flight_id || '~' || n, flight_date, sched_dep_at, sched_arr_local, carrier, flight,
    tailnum, origin, dest, distance, published_at FROM ops.schedule, generate_series(1, %s::int) n
    WHERE flight_date = %s
"""
STAGES = {
    "collect": lambda platform: stages.collect(platform, "flights", ONE, Try("benchmark")),
    "validate": lambda platform: stages.validate(platform, "flights", ONE, Try("benchmark")),
    "features": lambda platform: stages.build_features(platform, SET, ONE, Try("benchmark")),
}


def platform(url: str, folder: Path) -> Platform:
    """Return what the stages work with: the example, but for how many rows a night may have."""
    project = load_project()
    flights = project.sources["flights"].model_dump(by_alias=True)
    few = "expect_table_row_count_to_be_between"
    flights["expectations"] = [each for each in flights["expectations"] if few not in each]
    changed = type(project.sources["flights"]).model_validate({**flights, "volume": None})
    empty = dict.fromkeys(("host", "port", "login", "password", "schema"))
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg2:", 1))
    ops = Connection(id="ops", kind="postgres", extra={}, engine=lambda: engine, **empty)
    registry: Any = None  # not asked
    ours = project.model_copy(update={"sources": {**project.sources, "flights": changed}})
    return Platform(
        ours, Warehouse(url), registry, Objects(str(folder / "objects")), {"ops": ops}.__getitem__
    )


def stage(name: str, url: str, folder: Path) -> Measured:
    """Run a stage of the night."""
    handles = platform(url, folder)
    began, spent = time.perf_counter(), time.process_time()
    STAGES[name](handles)
    return Measured(time.perf_counter() - began, time.process_time() - spent, memory("VmHWM") / 1024)


def measure(url: str, folder: Path, rows: int) -> None:
    """Print what the stages take where the night has about so many rows."""
    warehouse = Warehouse(url)
    warehouse.execute("DELETE FROM ops.schedule WHERE flight_id LIKE %s", ("%~%",))
    found = warehouse.row("SELECT count(*) AS n FROM ops.schedule WHERE flight_date = %s", (NIGHT,)) or {}
    warehouse.execute(MORE, (rows // found["n"], NIGHT))
    for name in STAGES:
        took = alone(stage, name, url, folder)
        print(
            f"{rows:,} rows, {name}: {took.wall:.1f} s, {took.cpu:.1f} CPU-s, {took.gib:.2f} GiB", flush=True
        )


def main(arguments: list[str]) -> None:
    """Measure each size."""
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with server(folder) as url:
            upstream.seed(url, folder / "weather")
            migrate(url)
            handles = platform(url, folder)
            spec = handles.project.feature_set(SET)
            for table in (
                feature_table(spec),
                *(raw_table(handles.project.source(each)) for each in spec.inputs),
            ):
                handles.warehouse.ensure(table)
            small_sources(handles, folder / "weather")
            for statement in (FLIGHTS, ARRIVALS):
                handles.warehouse.execute(statement, STEPS["35 nights"])
            for each in arguments or ["1"]:
                measure(url, folder, int(float(each) * 1e6))


if __name__ == "__main__":
    main(sys.argv[1:])
