"""What Apache Spark costs and gains when a night is scored: its start, and one worker and two beside the task itself.

    [TREES=2400] PYTHONPATH=. python benchmarks/engine.py [THOUSANDS_OF_ROWS]

Needs `make spark`. On a PostgreSQL of its own, rows as in benchmarks/score.py, by a gradient boosting of so many trees
that prediction is what the night waits for. Prints the fixed cost of Spark (start, one small block, end)
by the clock and in CPU-seconds of all its processes, then the clock of the same night `here`, on `local[1]` and on
`local[2]`, start and end included. The exit code is 1 where the rows are not the same to the bit, the fixed cost
exceeds 15 s, or two workers are less than 1.6 times as fast as one.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import NamedTuple

import psutil

import score
from features import server
from nightshift.collect import Connection
from nightshift.platform import Platform
from nightshift.stages import Try
from nightshift.stages.score import serve
from nightshift.types import content_sha256
from nightshift.warehouse import Warehouse, migrate, prediction_table

# 600 trees take about 25 microseconds a row. Each process that is spawned reads them anew.
TREES = int(os.environ.get("TREES", "2400"))
score.PARAMS = {"max_iter": TREES, "early_stopping": False, "random_state": 0}
FIXED_BAR, FASTER_BAR = 15.0, 1.6
SMALL = 1_000


class Scored(NamedTuple):
    """Seconds by the clock, CPU-seconds of Spark's processes, and the hash of the rows."""

    wall: float
    spark: float
    content: str


def on(handles: Platform, master: str) -> Platform:
    """Return handles with the model scored there; an empty master is here."""
    [(name, model)] = handles.project.models.items()
    compute = model.model_copy(update={"compute": "spark" if master else "here"})
    settings = handles.project.settings.model_copy(update={"spark": "spark"})
    project = handles.project.model_copy(update={"models": {name: compute}, "settings": settings})
    return replace(handles, project=project, connection=lambda _: Connection("spark", host=master))


@contextmanager
def watched() -> Iterator[Counter[int]]:
    """Yield the CPU-seconds of each of Spark's processes, by number, as last seen; looked at while the block runs."""
    seconds, over = Counter[int](), Event()

    def look() -> None:
        while not over.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    seconds[process.pid] = sum(process.cpu_times()[:2])

    with ThreadPoolExecutor(1) as watcher:
        watcher.submit(look)
        try:
            yield seconds
        finally:
            over.set()


def serve_night(handles: Platform) -> float:
    """Score the night as the task does; return the seconds by the clock."""
    [model], (_, features) = handles.project.models.values(), score.declared()
    table = prediction_table(model, features)
    handles.warehouse.ensure(table)
    began = time.perf_counter()
    lease = handles.warehouse.lease(table, [score.NIGHT], "benchmark", "champion")
    serve(handles, model, [score.NIGHT], lambda _: score.VERSION, lease, Try("benchmark"))
    return time.perf_counter() - began


def scored(url: str, file: Path, master: str) -> Scored:
    """Score the night there, and hash its rows."""
    handles = on(score.platform(url, file), master)
    with watched() as seconds:
        wall = serve_night(handles)
    [model], (_, features) = handles.project.models.values(), score.declared()
    rows = Warehouse(url).read(prediction_table(model, features), score.NIGHT, score.NIGHT)
    return Scored(wall, seconds.total(), content_sha256(rows))


def measure(url: str, file: Path, rows: int, masters: list[str]) -> dict[str, Scored]:
    """Print what a night costs on each master; return it."""
    score.alone(score.fill, url, rows)
    found = {master: score.alone(scored, url, file, master) for master in masters}
    for master, each in found.items():
        spark = f", {each.spark:.1f} CPU-s of Spark's processes" if master else ""
        print(
            f"{rows:,} rows, {master or 'here'}: {each.wall:.1f} s{spark}, rows {each.content[:14]}",
            flush=True,
        )
    return found


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all is within its bar."""
    rows = int(float(arguments[0] if arguments else 1000) * 1000)
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "model.skops"
        with server(Path(folder)) as url:
            migrate(url)
            score.alone(score.register, url, file)
            small = measure(url, file, SMALL, ["", "local[2]"])
            big = measure(url, file, rows, ["", "local[1]", "local[2]"])
    fixed = small["local[2]"].wall - small[""].wall
    faster = big["local[1]"].wall / big["local[2]"].wall
    print(
        f"fixed cost {fixed:.1f} s (bar {FIXED_BAR:.0f} s); two workers {faster:.2f} times as fast as one "
        f"(bar {FASTER_BAR})"
    )
    alike = all(len({each.content for each in found.values()}) == 1 for found in (small, big))
    print("the same rows to the bit" if alike else "NOT the same rows")
    return 0 if alike and fixed <= FIXED_BAR and faster >= FASTER_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
