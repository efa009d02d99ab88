"""What scoring a night costs, end to end, against a bare predict_proba of the same matrix: 1 and 3 million rows.

    PYTHONPATH=. python benchmarks/score.py [MILLIONS ...]

On a PostgreSQL of its own: rows of 24 features (numbers, words, a truth value) in a table as a night has them. Scoring
is all that the task does but for its questions to MLflow: the model is opened, the rows are read, predicted, counted,
sketched, filed and committed with their records. Bare is ``predict_proba`` of the same pipeline over what it takes,
all of it in memory, a million rows a call; measured before and after. Each in a process of its own, with one thread
for what is native. Prints the share of the bare speed by the clock and by CPU-seconds (without the server's), rows a
second, and the most memory of each process. The exit code is 1 where a share is below 50 %, a process takes more than
1.5 GiB, or the largest size takes more than 1.2 times the memory of 1 million rows.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from monitoring import memory, rows_of

from features import server
from nightshift import artifacts, train
from nightshift.monitor.profile import build_profile
from nightshift.objects import Objects
from nightshift.records import features as records
from nightshift.records import snapshots, versions
from nightshift.records.features import FeatureBatch
from nightshift.records.snapshots import Snapshot
from nightshift.records.versions import Registered
from nightshift.registry import MODEL_FOLDER, Registry
from nightshift.specs import FeatureSet, Model, load_project
from nightshift.specs.model import Drift
from nightshift.stages import Platform, Try
from nightshift.stages.score import serve
from nightshift.train.fitting import taken
from nightshift.types import DTYPES
from nightshift.warehouse import Warehouse, feature_table, migrate, prediction_table

NIGHT, VERSION = date(2013, 7, 1), 1
TRAINING, TRAINING_NIGHTS, AT_ONCE = 60_000, 60, 1_000_000
SHARE_BAR, GIB_BAR, FLAT_BAR = 0.5, 1.5, 1.2
PARAMS: dict[str, object] = {"max_iter": 100, "random_state": 0}
WORDS, FLAG = ("carrier", "origin"), "flag"


class Measured(NamedTuple):
    """Seconds by the clock and of the CPU, and the most memory that the process has taken, in GiB."""

    wall: float
    cpu: float
    gib: float


class Files(Registry):
    """The registry where a model's file is at hand: what MLflow takes is not what is measured."""

    def __init__(self, file: Path) -> None:
        super().__init__("http://127.0.0.1:9")
        self.stored = file

    def model_bytes(self, run_id: str, sha256: str, folder: str = MODEL_FOLDER) -> bytes:
        """Return the one file that there is."""
        return self.stored.read_bytes()


def declared() -> tuple[Model, FeatureSet]:
    """Return the model and its features."""
    kinds = dict.fromkeys(WORDS, "string") | {FLAG: "boolean"}
    columns = {str(name): kinds.get(str(name), "float") for name in rows_of(0, 1).columns}
    of = {"owner": "benchmark", "description": "Rows that are drawn."}
    features = FeatureSet(
        name="drawn",
        version=1,
        entity=["row_id"],
        inputs={"flights": {}},
        columns=columns,
        path=Path("drawn.py"),
        **of,
    )
    # As the example's, but for what its columns are asked.
    example = load_project().model("late_arrival").model_dump(by_alias=True)
    example["estimator"]["params"] = PARAMS
    ours = {
        "name": "drawn",
        "features": "drawn",
        "slices": [],
        "gates": example["gates"][:2],
        "recalibrate": None,
    }
    return Model.model_validate(example | ours), features


def platform(url: str, file: Path) -> Platform:
    """Return what the stage works with."""
    (model, features), project = declared(), load_project()
    ours = {"models": {model.name: model}, "feature_sets": {features.name: features}}
    return Platform(
        project.model_copy(update=ours), Warehouse(url), Files(file), Objects(str(file.parent)), print
    )


def drawn(seed: int, first: int, rows: int, columns: dict[str, str]) -> pd.DataFrame:
    """Return rows of the night from number ``first`` on, in the dtypes of their types."""
    frame = rows_of(seed, rows).astype({name: DTYPES[kind] for name, kind in columns.items()})
    return frame.assign(batch_date=pd.Timestamp(NIGHT), row_id=[f"row-{first + n:09}" for n in range(rows)])


def register(url: str, file: Path) -> None:
    """Train a version, write its file, and record it."""
    model, features = declared()
    rows = drawn(0, 0, TRAINING, features.columns)
    label = (rows["x1"] + np.random.default_rng(1).normal(size=TRAINING) > 0).astype(float)
    pipeline = train.fit(model, features, rows, label)
    nights = pd.Series(pd.date_range("2013-01-01", periods=TRAINING_NIGHTS)).repeat(
        TRAINING // TRAINING_NIGHTS
    )
    importance = dict.fromkeys(features.columns, 1.0)
    profile = build_profile(
        rows[list(importance)],
        train.predict(pipeline, rows),
        nights.reset_index(drop=True),
        importance,
        Drift(),
    )
    content = artifacts.written(pipeline)
    file.write_bytes(content)
    made = dict.fromkeys(("model", "mlflow_run_id", "training_id", "snapshot_id", "feature_set"), "drawn")
    made |= dict.fromkeys(("spec_sha256", "code_commit", "lock_sha256"), "0" * 64)
    row = Registered(
        version=VERSION,
        artifact_sha256=artifacts.seal(content),
        train_first=date(2013, 1, 1),
        train_last=date(2013, 3, 1),
        feature_version=1,
        examples=None,
        predictions_sha256=None,
        brought=None,
        own_code=None,
        refit=None,
        created_at=datetime(2013, 3, 2, tzinfo=UTC),
        profile=profile,
        **made,
    )
    frozen = Snapshot(
        snapshot_id="drawn",
        model=model.name,
        as_of=NIGHT,
        feature_set=features.set,
        feature_version=1,
        object_key="drawn",
        row_count=TRAINING,
        train_first=row.train_first,
        train_last=row.train_last,
        holdout_first=date(2013, 3, 2),
        holdout_last=date(2013, 3, 3),
    )
    Warehouse(url).run(snapshots.FREEZE, frozen)
    Warehouse(url).run(versions.REGISTER, row)


def fill(url: str, rows: int) -> None:
    """Write the night's features, a piece at a time."""
    warehouse, (_, features) = Warehouse(url), declared()
    table = feature_table(features)
    warehouse.ensure(table)

    def pieces() -> Iterator[pa.RecordBatch]:
        for first in range(0, rows, 100_000):
            frame = drawn(first + 1, first, min(100_000, rows - first), features.columns)
            yield from table.arrow(frame).to_batches()

    batch = FeatureBatch(
        feature_set=features.set,
        feature_version=1,
        batch_date=NIGHT,
        row_count=rows,
        content_sha256=f"{rows}",
        code_sha256="0" * 64,
        run_id="benchmark",
    )
    with warehouse.write(warehouse.lease(table, [NIGHT], "benchmark")) as write:
        write.replace(table, pieces)
        write.run(records.BUILT, batch, earlier="")
    with warehouse.transaction() as cursor:
        cursor.execute("ANALYZE features.drawn_v1")


def scored(url: str, file: Path) -> Measured:
    """Score the night as the task does."""
    handles, (model, features) = platform(url, file), declared()
    table = prediction_table(model, features)
    handles.warehouse.ensure(table)
    began, spent = time.perf_counter(), time.process_time()
    lease = handles.warehouse.lease(table, [NIGHT], "benchmark", "champion")
    serve(handles, model, [NIGHT], lambda _: VERSION, lease, Try("benchmark"))
    return Measured(time.perf_counter() - began, time.process_time() - spent, memory("VmHWM") / 1024)


def bare(url: str, file: Path) -> Measured:
    """Predict the same rows, which are there."""
    content, (_, features) = file.read_bytes(), declared()
    pipeline = artifacts.load(content, artifacts.seal(content))
    rows = taken(pipeline, Warehouse(url).read(feature_table(features), NIGHT, NIGHT))
    began, spent = time.perf_counter(), time.process_time()
    for first in range(0, len(rows), AT_ONCE):
        pipeline.predict_proba(rows[first : first + AT_ONCE])
    return Measured(time.perf_counter() - began, time.process_time() - spent, memory("VmHWM") / 1024)


def alone(work: Callable[..., Any], *arguments: object) -> Any:
    """Return what work in a process of its own returns."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def measure(url: str, file: Path, rows: int) -> tuple[float, float]:
    """Print what a size costs; return its share of the bare speed and the most memory it takes."""
    alone(fill, url, rows)
    before, ours, after = (alone(work, url, file) for work in (bare, scored, bare))
    wall, cpu = ((getattr(before, of) + getattr(after, of)) / 2 for of in ("wall", "cpu"))
    print(
        f"{rows:,} rows: {ours.wall:.1f} s, {ours.cpu:.1f} CPU-s, {rows / ours.wall:,.0f} rows/s, {ours.gib:.2f} GiB; "
        f"bare {wall:.1f} s, {cpu:.1f} CPU-s, {after.gib:.2f} GiB; share {wall / ours.wall:.0%} (bar {SHARE_BAR:.0%}), "
        f"of CPU-s {cpu / ours.cpu:.0%}",
        flush=True,
    )
    return wall / ours.wall, ours.gib


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all is within its bar."""
    sizes = [int(float(each) * 1e6) for each in arguments or ["1", "3"]]
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "model.skops"
        with server(Path(folder)) as url:
            migrate(url)
            alone(register, url, file)
            found = {rows: measure(url, file, rows) for rows in sizes}
    taken = {rows: gib for rows, (_, gib) in found.items() if rows >= AT_ONCE}
    grown = max(taken.values()) / taken[min(taken)] if taken else 1.0
    print(f"memory from the least of these to the most: {grown:.2f} times (bar {FLAT_BAR})")
    fits = all(share >= SHARE_BAR and gib <= GIB_BAR for share, gib in found.values())
    return 0 if fits and grown <= FLAT_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
