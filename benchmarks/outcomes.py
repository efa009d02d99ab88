"""What nights whose labels come cost their monitoring: sixty nights, one after the other.

    PYTHONPATH=. python benchmarks/outcomes.py [ROWS [WINDOW]]

On a PostgreSQL of its own: ROWS (20,000) predictions a night, each with its outcome reported the night after, one in
fifty corrected three nights later, and a performance window of WINDOW (14) nights. Each night is measured as its task
does and judged over its window as the verdict does. Prints CPU-seconds of this process and of the server, a night, of
the last twenty; how many nights were read; and what is left in the schema of labels. The exit code is 1 where a night
reads more than the three nights that something is reported of.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import psutil

import score
from features import server
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.monitor.performance import assess
from nightshift.records import deliveries, features
from nightshift.records.deliveries import Batch
from nightshift.records.features import PredictionBatch
from nightshift.specs import Model, Source
from nightshift.stages import Platform, Try
from nightshift.stages.measuring import pooled
from nightshift.warehouse import migrate, prediction_table, raw_table

FIRST, NIGHTS, LAST_NIGHTS, VERSION, DAY = date(2013, 3, 1), 60, 20, 1, timedelta(days=1)
LATE, MOST_READ = 3, 3
WHO = {"owner": "benchmark", "description": "Rows that are drawn."}


def platform(url: str, folder: Path, window: int) -> Platform:
    """Return what the stages work with: a model whose outcomes a source of two columns reports."""
    handles = score.platform(url, folder / "none")
    [declared] = handles.project.models.values()
    content = declared.model_dump(by_alias=True)
    content["target"] = {"source": "came", "column": "came", "equals": True, "matures_after_days": 1}
    content["performance"] = {"metric": "log_loss", "window_days": window, "min_labels": 100}
    source = Source.model_validate(
        {
            "name": "came",
            **WHO,
            "connector": {"kind": "sql", "connection": "ops", "query": "SELECT 1"},
            "key": ["row_id"],
            "known_at": "reported_at",
            "columns": {
                "row_id": {"type": "string"},
                "came": {"type": "boolean"},
                "reported_at": {"type": "timestamp"},
                **{f"x{n}": {"type": "float"} for n in range(8)},
            },
        }
    )
    ours = {"models": {declared.name: Model.model_validate(content)}, "sources": {source.name: source}}
    project = handles.project.model_copy(update=ours)
    return Platform(project, handles.warehouse, handles.registry, handles.objects, handles.connection)


def said(handles: Platform, night: date, rows: int) -> None:
    """Write the predictions of a night."""
    [model], [spec] = handles.project.models.values(), handles.project.feature_sets.values()
    table = prediction_table(model, spec)
    handles.warehouse.ensure(table)
    frame = pd.DataFrame(
        {
            "batch_date": night,
            "row_id": [f"{night}-{n:07}" for n in range(rows)],
            "arm": "champion",
            "prediction": np.random.default_rng(night.toordinal()).uniform(0.01, 0.99, rows),
            "model_version": VERSION,
            "run_id": "benchmark",
            "feature_version": 1,
        }
    )
    batch = PredictionBatch(
        model=model.name,
        batch_date=night,
        model_version=VERSION,
        row_count=rows,
        run_id="benchmark",
        feature_set=spec.set,
        feature_version=1,
        features_sha256=None,
    )
    lease = handles.warehouse.lease(table, [night], "benchmark", "champion")
    with handles.warehouse.write(lease) as write:
        write.replace(table, frame)
        write.run(features.SCORED, batch)


def told(handles: Platform, night: date, rows: int) -> None:
    """Write what a night's batch reports: of the night before, and corrections of one three nights before that."""
    [source] = handles.project.sources.values()
    table, random = raw_table(source), np.random.default_rng(night.toordinal())
    handles.warehouse.ensure(table)
    numbers = [(night - DAY, n) for n in range(rows)]
    numbers += [(night - (1 + LATE) * DAY, n) for n in range(0, rows, 50)]
    known = pd.Timestamp(handles.project.calendar.cutoff(night)) - pd.Timedelta(hours=1)
    frame = pd.DataFrame(
        {
            "batch_date": night,
            "row_id": [f"{day}-{n:07}" for day, n in numbers],
            "came": random.random(len(numbers)) < 0.3,
            "reported_at": known,
            "known_at": known,
            **{f"x{n}": random.normal(size=len(numbers)) for n in range(8)},
        }
    )
    counts = {"collected": len(frame), "accepted": len(frame), "rejected": 0}
    batch = Batch(
        source="came",
        batch_date=night,
        status="published",
        reasons="",
        warnings="",
        landed_sha256="0" * 64,
        docs_key=None,
        run_id="benchmark",
        **counts,
    )
    with handles.warehouse.write(handles.warehouse.lease(table, [night], "benchmark")) as write:
        write.replace(table, frame)
        write.run(deliveries.JUDGED, batch)


def judge(handles: Platform, night: date, window: int) -> object:
    """Measure the window's metric and its interval as a verdict does."""
    [model] = handles.project.models.values()
    nights = DateRange(max(FIRST, night - window * DAY), night - DAY)
    scored, came, scores = pooled(handles, model, VERSION, nights.dates, night, Try("benchmark"))
    return assess(model.kind, model.performance, came["label"], scores, scored, 0.6, dates=came["batch_date"])


def spent_by_server() -> float:
    """Return the CPU-seconds of the server: of its processes, and of those that have ended."""
    [first] = psutil.Process().children()
    own = first.cpu_times()
    return own.children_user + own.children_system


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    rows, window = (*map(int, arguments), *(20_000, 14)[len(arguments) :])
    with tempfile.TemporaryDirectory(prefix="nightshift-outcomes-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with server(folder) as url:
            migrate(url)
            handles = platform(url, folder, window)
            parts: dict[str, list[float]] = {"measured": [], "judged": [], "server": [], "read": []}
            for n in range(1, NIGHTS + 1):
                night = FIRST + n * DAY
                said(handles, night - DAY, rows)
                told(handles, night, rows)
                server_began, began = spent_by_server(), process_time()
                measured = stages.measure_performance(handles, "drawn", night, Try("benchmark"))
                between = process_time()
                judge(handles, night, window)
                parts["measured"].append(between - began)
                parts["judged"].append(process_time() - between)
                parts["server"].append(spent_by_server() - server_began)
                parts["read"].append(measured["nights_read"])
            held = handles.warehouse.row(
                "SELECT pg_total_relation_size('labels.drawn') / 1e6 AS mb, count(*) AS n FROM labels.drawn"
            )
    for what, each in parts.items():
        print(f"{what}: {np.mean(each[-LAST_NIGHTS:]):.3f} a night of {rows:,} rows, window of {window}")
    print(f"labels: {held}")
    return 0 if max(parts["read"]) <= MOST_READ else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
