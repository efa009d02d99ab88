"""A large night from its raw rows to its verdict: features, score, verdict, with sketches and commits.

    PYTHONPATH=. python benchmarks/night.py [MILLIONS ...]

On a PostgreSQL of its own: raw rows of a source as a night has them, 25 columns, of riders with some 40 rows each. The
set is built in shards (`shards: {by: [rider]}`), with what each row is beside its rider's others; the model of
benchmarks/score.py scores it. Of 1 and of 10 million rows, if not said otherwise; each stage in a process of its own,
with one thread for what is native. Prints seconds by the clock, CPU-seconds (without the server's) and the most memory
of each. The exit code is 1 where a night takes longer than ten minutes, a process takes more than 1.5 GiB, or more than
1.2 times what it takes of the first size.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from monitoring import memory

import score
from features import server
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.specs import FeatureSet, Source
from nightshift.stages import Platform, Try
from nightshift.stages.score import serve
from nightshift.warehouse import Warehouse, feature_table, migrate, prediction_table, raw_table
from score import NIGHT, VERSION, Measured, alone

MODULE = '''
"""Rows that are drawn, each beside the others of its rider."""

FEATURES = {declared}


def build(inputs, batch_date):
    """Return the rows, two columns as their distance from the rider's mean, one as their rank among the rider's."""
    rows = inputs["drawn"]
    of = rows.groupby("rider")
    beside = rows[["x2", "x3"]] - of[["x2", "x3"]].transform("mean")
    return rows.drop(columns=["batch_date", "known_at", "rider"]).assign(
        x2=beside["x2"], x3=beside["x3"], x4=of["x4"].rank()
    )
'''
ROWS_A_RIDER, AT_ONCE = 40, 100_000
SECONDS_BAR, GIB_BAR, FLAT_BAR = 600, 1.5, 1.2


def declared(folder: Path) -> tuple[Source, FeatureSet]:
    """Return the source, and the set; its module lies in ``folder``."""
    _, drawn = score.declared()
    columns = {name: {"type": kind, "nullable": True} for name, kind in drawn.columns.items()}
    source = {
        "name": "drawn",
        "owner": "benchmark",
        "description": "Rows that are drawn.",
        "connector": {"kind": "sql", "connection": "ops", "query": "SELECT 1"},
        "key": ["row_id"],
        "columns": {"row_id": {"type": "string"}, "rider": {"type": "integer"}, **columns},
    }
    module = folder / "drawn.py"
    told = {"version": 1, "owner": "benchmark", "entity": ["row_id"], "inputs": {"drawn": {}}}
    told |= {"columns": drawn.columns, "shards": {"by": ["rider"]}}
    module.write_text(MODULE.format(declared=told))
    features = {**told, "name": "drawn", "description": "", "path": module}
    return Source.model_validate(source), FeatureSet.model_validate(features)


def platform(url: str, file: Path) -> Platform:
    """Return what the stages work with."""
    source, features = declared(file.parent)
    handles = score.platform(url, file)
    ours = {"sources": {source.name: source}, "feature_sets": {features.name: features}}
    project = handles.project.model_copy(update=ours)
    return Platform(project, handles.warehouse, handles.registry, handles.objects, handles.connection)


def fill(url: str, folder: Path, rows: int) -> None:
    """Write the night's raw rows, a piece at a time, the rider of each drawn."""
    warehouse, (source, features) = Warehouse(url), declared(folder)
    for table in (raw_table(source), feature_table(features)):
        warehouse.ensure(table)
    table, riders = raw_table(source), np.random.default_rng(0)

    def pieces() -> Iterator[pa.RecordBatch]:
        for first in range(0, rows, AT_ONCE):
            frame = score.drawn(first + 1, first, min(AT_ONCE, rows - first), features.columns)
            of = riders.integers(0, max(rows // ROWS_A_RIDER, 1), len(frame))
            yield from table.arrow(
                frame.assign(rider=of, known_at=frame["batch_date"].dt.tz_localize("UTC"))
            ).to_batches()

    with warehouse.write(warehouse.lease(table, [NIGHT], "benchmark")) as write:
        write.replace(table, pieces)
    with warehouse.transaction() as cursor:
        cursor.execute("ANALYZE raw.drawn")


def features(handles: Platform) -> None:
    """Build the night."""
    stages.build_features(handles, "drawn", DateRange(NIGHT, NIGHT), Try("benchmark"))


def scored(handles: Platform) -> None:
    """Score the night as the task does."""
    [model], [spec] = handles.project.models.values(), handles.project.feature_sets.values()
    table = prediction_table(model, spec)
    handles.warehouse.ensure(table)
    lease = handles.warehouse.lease(table, [NIGHT], "benchmark", "champion")
    serve(handles, model, [NIGHT], lambda _: VERSION, lease, Try("benchmark"))


def verdict(handles: Platform) -> None:
    """Decide on the night."""
    stages.decide_verdict(handles, "drawn", NIGHT, Try("benchmark"))


STAGES = {"features": features, "score": scored, "verdict": verdict}


def stage(name: str, url: str, file: Path) -> Measured:
    """Run a stage of the night."""
    handles = platform(url, file)
    began, spent = time.perf_counter(), time.process_time()
    STAGES[name](handles)
    return Measured(time.perf_counter() - began, time.process_time() - spent, memory("VmHWM") / 1024)


def measure(url: str, file: Path, rows: int) -> dict[str, Measured]:
    """Print what a night of so many rows takes; return it by stage."""
    alone(fill, url, file.parent, rows)
    found = {name: alone(stage, name, url, file) for name in STAGES}
    for name, took in found.items():
        print(
            f"{rows:,} rows, {name}: {took.wall:.1f} s, {took.cpu:.1f} CPU-s, {took.gib:.2f} GiB", flush=True
        )
    print(f"{rows:,} rows: {sum(took.wall for took in found.values()):.0f} s", flush=True)
    return found


def main(arguments: list[str]) -> int:
    """Measure each size; return 0 if all is within its bar."""
    sizes = [int(float(each) * 1e6) for each in arguments or ["1", "10"]]
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "model.skops"
        with server(folder) as url:
            migrate(url)
            alone(score.register, url, file)
            found = {rows: measure(url, file, rows) for rows in sizes}
    grown = max(found[rows][name].gib / found[sizes[0]][name].gib for rows in sizes for name in STAGES)
    most = max(took.gib for of in found.values() for took in of.values())
    slowest = max(sum(took.wall for took in of.values()) for of in found.values())
    print(
        f"longest {slowest:.0f} s (bar {SECONDS_BAR}), most memory {most:.2f} GiB (bar {GIB_BAR}), {grown:.2f} times "
        f"that of the first size (bar {FLAT_BAR})"
    )
    return 0 if slowest <= SECONDS_BAR and most <= GIB_BAR and grown <= FLAT_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
