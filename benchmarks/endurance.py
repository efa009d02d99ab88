"""Ninety nights, one after the other: whether the last costs more than the first, and what is left behind.

    PYTHONPATH=. python benchmarks/endurance.py [NIGHTS]

On a PostgreSQL and an MLflow of its own: the winter's history and its champion, then each night of late_arrival by
itself through the stages, as its DAGs run them: collect, validate, features, score, performance, verdict, probation,
the retraining's decision (none is begun), and retention, which finds nothing old: it counts from the day of writing,
and all is written today. The report is not drawn. CPU-seconds of this process, by the clock beside them; the bar holds
the median of the last ten nights to 1.2 times that of the first ten, and each stage's are told. Then what the files and
each schema hold, at a third of the nights and at their end. Exit code 1 above the bar.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import psycopg2

from examples.nyc_flights import upstream
from features import server
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.specs import load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse, migrate
from tests.conftest import Upstream, connections_of, mlflow_server

MODEL, SET, BAR = "late_arrival", "departure", 1.2
HISTORY, AS_OF = DateRange(date(2013, 1, 2), date(2013, 2, 9)), date(2013, 2, 9)
HELD = """
SELECT schemaname AS schema, sum(pg_total_relation_size(relid))::bigint AS bytes
FROM pg_stat_user_tables GROUP BY 1 ORDER BY 2 DESC
"""


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """Yield the example on servers of its own, its upstream served."""
    with server(folder) as url:
        with closing(psycopg2.connect(url)) as session:
            session.autocommit = True
            session.cursor().execute("CREATE DATABASE mlflow")
        upstream.seed(url, folder / "weather")
        service = upstream.service(0)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        migrate(url)
        served = Upstream(url, folder / "weather", service.server_address[1])
        with mlflow_server(url.rpartition("/")[0] + "/mlflow", str(folder / "artifacts"), folder) as mlflow:
            warehouse = Warehouse.keeping(url)
            yield Platform(
                load_project(),
                warehouse,
                Registry(mlflow),
                Objects(str(folder / "objects")),
                connections_of(served).__getitem__,
            )
            warehouse.rest()
        service.shutdown()


def begin(handles: Platform) -> None:
    """Collect the history, train its champion and promote it."""
    asked = Try("history")
    for source in handles.project.sources_of(MODEL):
        stages.collect(handles, source, HISTORY, asked)
        stages.validate(handles, source, HISTORY, asked)
    stages.build_features(handles, SET, HISTORY, asked)
    frozen = stages.snapshot(handles, MODEL, AS_OF, asked)["snapshot_id"]
    stages.fit(handles, MODEL, frozen, asked, reason="endurance")
    stages.evaluate(handles, MODEL, AS_OF, asked, reason="endurance")
    stages.promote(handles, MODEL, AS_OF, asked, actor="endurance")


def night(handles: Platform, day: date, spent: dict[str, float]) -> None:
    """Run one night; add to ``spent`` the CPU-seconds of each stage."""
    asked, one = Try(f"night {day}"), DateRange(day, day)

    def timed(run: Callable[..., object], *of: object, **more: object) -> None:
        cpu = time.process_time()
        run(handles, *of, **more)
        name = run.__name__
        spent[name] = spent.get(name, 0.0) + time.process_time() - cpu

    for name in handles.project.sources_of(MODEL):
        source = handles.project.source(name)
        nights = DateRange(day - timedelta(days=source.look_back_days), day)
        timed(stages.collect, name, nights, asked, must_pass=one)
        timed(stages.validate, name, nights, asked, must_pass=one)
    timed(stages.build_features, SET, one, asked)
    timed(stages.score, MODEL, one, asked)
    timed(stages.measure_performance, MODEL, day, asked)
    timed(stages.decide_verdict, MODEL, day, asked)
    timed(stages.judge_probation, MODEL, day, asked)
    timed(stages.decide_retraining, MODEL, day, asked, requested_by=None)
    timed(stages.retain, day, asked, dry_run=False)


def held(handles: Platform) -> dict[str, float]:
    """Return the megabytes of the files, and of each schema."""
    files = sum(file.stat().st_size for file in Path(handles.objects.root).rglob("*") if file.is_file())
    return {
        "files": files / 1e6,
        **{row["schema"]: row["bytes"] / 1e6 for row in handles.warehouse.rows(HELD)},
    }


def run(handles: Platform, nights: int) -> bool:
    """Print what the nights cost and leave; return whether the last keep the bar."""
    begin(handles)
    gc.freeze()  # as tasks do: a collection that looks through the libraries' objects is not what a night costs
    spent, clock, kept = [], [], {}
    parts: list[dict[str, float]] = []
    for n in range(nights):
        began, cpu = time.perf_counter(), time.process_time()
        parts.append({})
        night(handles, HISTORY.last + timedelta(days=n + 1), parts[-1])
        spent.append(time.process_time() - cpu)
        clock.append(time.perf_counter() - began)
        if n + 1 in (nights // 3, 2 * nights // 3, nights):
            kept[n + 1] = held(handles)
            print(f"night {n + 1}: {median(spent[-10:]):.2f} CPU-s, {median(clock[-10:]):.1f} s", flush=True)
    ratio = median(spent[-10:]) / median(spent[:10])
    print(
        f"first ten nights {median(spent[:10]):.2f} CPU-s, last ten {median(spent[-10:]):.2f}: "
        f"{ratio:.2f} times (bar {BAR})"
    )
    for name in parts[0]:
        first, last = (median(each[name] for each in some) for some in (parts[:10], parts[-10:]))
        print(f"{name:20} {first:.3f}, {last:.3f} CPU-s")
    for name in kept[nights]:
        grown = ", ".join(f"{at.get(name, 0):.1f}" for at in kept.values())
        print(f"{name:12} {grown} MB after {', '.join(map(str, kept))} nights")
    return ratio <= BAR


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    with tempfile.TemporaryDirectory(prefix="nightshift-endurance-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with platform(folder) as handles:
            return 0 if run(handles, int(arguments[0]) if arguments else 90) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
