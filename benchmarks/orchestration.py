"""What of a whole night is orchestration: a million rows from their file to the verdict, through the real scheduler.

    PYTHONPATH=. python benchmarks/orchestration.py [MILLIONS]

A project as `nightshift init` begins it, on a stack of its own: nights of 2,000 rides as Parquet files, what came of
each a night later, a set of 24 columns in shards, a gradient boosting trained through its DAG. Then a night of
MILLIONS (1) of rides is started as the cron starts it, and timed until its verdict is there. Then the stages of that
night are run once more, one after the other, in a process whose libraries are loaded: what the night takes without
schedules, processes, announcements. The rest is the orchestration's share. The exit code is 1 above a fifth.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from examples.nyc_flights.demo import Demo
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.cli import handles
from nightshift.runtime import control, endpoints
from nightshift.runtime.api import Client
from nightshift.stages import Try
from nightshift.warehouse import Warehouse
from score import alone

SHARE_BAR = 0.2
FIRST, NIGHTS, ROWS, ROWS_A_RIDER = date(2024, 1, 1), 35, 2_000, 40
NIGHT = FIRST + timedelta(days=NIGHTS)
COLUMNS = [f"x{n}" for n in range(24)]
SECONDS = 1800
FEATURES = {
    "version": 1,
    "owner": "benchmark",
    "entity": ["ride_id"],
    "inputs": {"rides": {}},
    "columns": dict.fromkeys(COLUMNS, "float"),
    "shards": {"by": ["rider"]},
}
MODULE = f'''"""Rides that are drawn, each beside the others of its rider."""

FEATURES = {FEATURES!r}


def build(inputs, batch_date):
    """Return the rides, two columns as their distance from the rider's mean."""
    rows = inputs["rides"]
    beside = rows[["x2", "x3"]] - rows.groupby("rider")[["x2", "x3"]].transform("mean")
    return rows[["ride_id", *FEATURES["columns"]]].assign(x2=beside["x2"], x3=beside["x3"])
'''


def source(columns: dict[str, str]) -> dict[str, object]:
    """Return the spec of a source of files, the key first."""
    return {
        "owner": "benchmark",
        "description": "Rides that are drawn.",
        "connector": {"kind": "files", "folder": "landing", "path": "", "format": "parquet"},
        "key": ["ride_id"],
        "columns": {name: {"type": kind} for name, kind in columns.items()},
        "expectations": [{"expect_table_row_count_to_be_between": {"min_value": 1}}],
    }


MODEL = {
    "owner": "benchmark",
    "description": "Whether a ride is late.",
    "task": "classification",
    "features": "rides",
    "target": {"source": "outcomes", "column": "late", "above": 0.5, "matures_after_days": 1},
    "estimator": {
        "class": "sklearn.ensemble.HistGradientBoostingClassifier",
        "params": {"max_iter": 100, "random_state": 0},
    },
    "train": {"window_days": "all", "holdout_days": 7, "min_rows": 5000},
    "gates": [
        {"gate": "minimum_score", "metric": "roc_auc", "value": 0.6},
        {"gate": "beats_champion", "metric": "log_loss"},
    ],
}


def write_project(folder: Path, rows: int) -> None:
    """Write specs, and the files of all nights: what came of a night's rides lies in the file of the night after."""
    command = [sys.executable, "-m", "nightshift.cli", "init", str(folder), "--timezone", "UTC"]
    subprocess.run([*command, "--first-night", str(FIRST)], check=True, stdout=subprocess.DEVNULL)
    rides = source({"ride_id": "string", "rider": "integer", **dict.fromkeys(COLUMNS, "float")})
    outcomes = source({"ride_id": "string", "late": "float"})
    for name, spec in {"rides": rides, "outcomes": outcomes}.items():
        spec["connector"]["path"] = f"{name}-{{date}}.parquet"
        (folder / f"include/sources/{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    (folder / "include/features/rides.py").write_text(MODULE)
    (folder / "include/models/late.yaml").write_text(yaml.safe_dump(MODEL, sort_keys=False))
    landing = folder / "landing"
    landing.mkdir()
    before = drawn(FIRST - timedelta(days=1), ROWS)
    for number in range(NIGHTS + 1):
        night = FIRST + timedelta(days=number)
        now = drawn(night, rows if night == NIGHT else ROWS)
        now.drop(columns="late").to_parquet(landing / f"rides-{night}.parquet")
        before[["ride_id", "late"]].to_parquet(landing / f"outcomes-{night}.parquet")
        before = now


def drawn(night: date, rows: int) -> pd.DataFrame:
    """Return the rides of a night, and what came of them."""
    random = np.random.default_rng(night.toordinal())
    values = random.normal(size=(rows, len(COLUMNS)))
    late = (values[:, 0] + random.normal(size=rows) > 0.5).astype(float)
    return pd.DataFrame(values, columns=COLUMNS).assign(
        ride_id=[f"{night}-{n:09}" for n in range(rows)],
        rider=random.integers(0, max(rows // ROWS_A_RIDER, 1), rows),
        late=late,
    )


def begin(demo: Demo) -> None:
    """Collect and build the nights before, waking nothing, and train a champion."""
    last = NIGHT - timedelta(days=1)
    conf = {
        "batch_date": str(FIRST),
        "until": str(last),
        "downstream": "leave",
        "reason": "nights to learn from",
    }
    demo.api.wait_for_dags({"collect_rides", "collect_outcomes", "features_rides", "train_late"}, SECONDS)
    demo.all(["collect_rides", "collect_outcomes"], conf=conf)
    demo.run("features_rides", conf=conf)
    demo.run("train_late", conf={"as_of": str(last), "reason": "the first"})


def whole_night(demo: Demo) -> float:
    """Start the night as the cron does; return the seconds until its verdict is there."""
    began = time.monotonic()
    for dag_id in ("collect_rides", "collect_outcomes", "retrain_late"):
        demo.api.trigger(dag_id, partition_key=str(NIGHT))
    while not demo.warehouse.row("SELECT 1 FROM monitoring.verdicts WHERE batch_date = %s", (NIGHT,)):
        if time.monotonic() - began > SECONDS:
            sys.exit("no verdict: " + "; ".join(failures(demo)))
        time.sleep(0.2)
    return time.monotonic() - began


def failures(demo: Demo) -> list[str]:
    """Return what failed, with the end of its log."""
    dags = ("collect_rides", "collect_outcomes", "features_rides", "score_late", "monitor_late")
    runs = [(dag, run) for dag in dags for run in demo.api.runs(dag)]
    return [str(demo.api.failure(dag, run["dag_run_id"])) for dag, run in runs if run["state"] == "failed"]


def work() -> dict[str, float]:
    """Run the night's stages once more; return the seconds of each."""
    platform, nights, asked = handles.platform(None), DateRange(NIGHT, NIGHT), Try("benchmark")
    chain: dict[str, Callable[[], object]] = {
        "collect": lambda: stages.collect(platform, "rides", nights, asked),
        "validate": lambda: stages.validate(platform, "rides", nights, asked),
        "features": lambda: stages.build_features(platform, "rides", nights, asked),
        "score": lambda: stages.score(platform, "late", nights, asked),
        "performance": lambda: stages.measure_performance(platform, "late", NIGHT, asked),
        "verdict": lambda: stages.decide_verdict(platform, "late", NIGHT, asked),
    }
    found = {}
    for name, run in chain.items():
        began = time.monotonic()
        run()
        found[name] = time.monotonic() - began
    return found


def measure() -> tuple[float, dict[str, float]]:
    """Return the seconds from the cron to the verdict, and those of each stage."""
    try:
        runtime, _ = control.up()
        with Client.of(runtime) as api:
            demo = Demo(runtime, api, Warehouse(runtime.warehouse_url))
            begin(demo)
            took = whole_night(demo)
            api.wait_for_run("monitor_late", str(NIGHT))  # the report is drawn beside, and is none of it
            return took, work()
    finally:
        control.purge()


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if it is within its bar."""
    rows = int(float(arguments[0] if arguments else 1) * 1e6)
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_project(folder / "project", rows)
        os.environ |= {
            "NIGHTSHIFT_HOME": str(folder / "home"),
            "NIGHTSHIFT_INCLUDE": str(folder / "project/include"),
        }
        os.environ |= {
            f"NIGHTSHIFT_{name.upper()}_PORT": str(endpoints.any_free_port()) for name in endpoints.PREFERRED
        }
        # Which project it is is asked when the engine is imported.
        took, found = alone(measure)
    for stage, seconds in found.items():
        print(f"{stage}: {seconds:.1f} s")
    worked = sum(found.values())
    share = 1 - worked / took
    print(
        f"{rows:,} rows: {took:.1f} s from the cron to the verdict, {worked:.1f} s of work; orchestration {share:.0%} "
        f"(bar {SHARE_BAR:.0%})"
    )
    return 0 if share <= SHARE_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
