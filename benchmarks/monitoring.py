"""What a night of MILLIONS (1) of rows costs its monitoring, as it was and as it is; a year of 25 models' verdicts.

    python benchmarks/monitoring.py [MILLIONS [before]]

As it is: the night's 24 columns and its predictions are counted as it is scored, and a verdict sums what seven nights
were counted to, with the evidence of a year of nights; all that is stored comes from JSON. ``before`` also does what a
verdict did when it read its window: seven nights read (from Parquet here, which is faster than a database), scored
again and counted. Each in a process of its own; prints CPU-seconds and the most memory that each added to what its
libraries and, of counting, the rows being scored take. Labels are no part of it: what came true is measured by reading
the predictions of the performance window. The exit code is 1 above 3 CPU-seconds, 500 MB, or 1 CPU-second for the year.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1"}

import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from drift import frame
from pydantic import TypeAdapter
from sklearn.ensemble import HistGradientBoostingClassifier

from nightshift.monitor import predictions, shift
from nightshift.monitor.drift import decide
from nightshift.monitor.profile import build_profile, counted, summed
from nightshift.monitor.sketches import edges_of, prediction_edges, sketch
from nightshift.monitor.verdict import Seen, decide_night
from nightshift.records.monitoring import DriftResult, Shift
from nightshift.records.profile import Profile
from nightshift.records.sketches import Counted, Edges, Sketch
from nightshift.specs import Model, load_project
from nightshift.specs.model import Drift

COLUMNS, TRAINING, WATCHED, NIGHT_ROWS, WINDOW, MODELS = 24, 60, 365, 1000, 7, 25
CPU_BAR, MB_BAR, YEAR_BAR = 3.0, 500.0, 1.0
FIRST = date(2013, 1, 1)


def rows_of(seed: int, rows: int) -> pd.DataFrame:
    """Return 24 columns: numbers, words, a truth value."""
    more = np.random.default_rng(seed + 1_000_000).normal(size=(rows, COLUMNS - 20))
    return frame(seed, rows).assign(**{f"y{n}": more[:, n] for n in range(more.shape[1])})


@cache
def model() -> tuple[HistGradientBoostingClassifier, Profile]:
    """Return a model of the numbers, and its profile."""
    rows = rows_of(0, TRAINING * NIGHT_ROWS)
    fitted = HistGradientBoostingClassifier(max_iter=100, random_state=0)
    fitted.fit(numbers(rows), rows["x1"] + np.random.default_rng(1).normal(size=len(rows)) > 0)
    nights = pd.Series(pd.date_range(FIRST, periods=TRAINING)).repeat(NIGHT_ROWS)
    importance = {str(name): 1.0 for name in rows.columns}
    return fitted, build_profile(rows, said(fitted, rows), nights, importance, Drift())


def numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the model reads."""
    return rows.drop(columns=["carrier", "origin", "flag"])


def said(fitted: HistGradientBoostingClassifier, rows: pd.DataFrame) -> np.ndarray:
    """Return the predictions of rows, in chunks as a night is scored."""
    return np.concatenate(
        [fitted.predict_proba(numbers(rows[n : n + 100_000]))[:, 1] for n in range(0, len(rows), 100_000)]
    )


def cost(work: Callable[[Path, Any], object], folder: Path) -> tuple[float, float]:
    """Return the CPU-seconds and megabytes that work in a process of its own takes."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(measured, (work, folder))


def measured(work: Callable[[Path, Any], object], folder: Path) -> tuple[float, float]:
    given = pd.read_parquet(folder / "night.parquet") if work is count else None
    # What has been the most so far is forgotten.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), process_time()
    work(folder, given)
    return process_time() - began, memory("VmHWM") - before


def memory(what: str) -> float:
    """Return what this process takes (VmRSS), or has taken at most (VmHWM), in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def count(folder: Path, night: pd.DataFrame) -> None:
    """Count and sketch a night that is there with its predictions, since it is being scored."""
    profile, scores = model()[1], night.pop("prediction").to_numpy()
    counted(profile, night, scores)
    sketch(pd.DataFrame({"prediction": scores}), prediction_edges(["prediction"]))
    edges = TypeAdapter(Edges).validate_json((folder / "edges.json").read_bytes())
    sketch(night, edges)


def verdict(folder: Path, _: None) -> None:
    """Judge a night by what is stored of it and of the year before."""
    edges = TypeAdapter(Edges).validate_json((folder / "edges.json").read_bytes())
    nights = TypeAdapter(dict[date, Sketch]).validate_json((folder / "sketches.json").read_bytes())
    counts = TypeAdapter(dict[date, Counted]).validate_json((folder / "counts.json").read_bytes())
    judge(edges, nights, counts)


def judge(
    edges: Edges, nights: dict[date, Sketch], counts: dict[date, Counted], windows: int = 1
) -> list[bool]:
    """Return whether each night after the training asks by its evidence; the last ``windows`` with their PSI."""
    profile, spec = model()[1], declared()
    training = {day: each for day, each in nights.items() if day <= profile.last}
    later = {day: each for day, each in nights.items() if day > profile.last}
    weights = {each.name: each.importance for each in profile.features}
    features = shift.evidence(shift.trained(edges, training), shift.series(edges, training, later), weights)
    said = {day: each.predictions for day, each in counts.items()}
    found = shift.joined(features, predictions.evidence(profile, said))
    kept, asks = list(counts.values()), []
    for number, (night, total) in enumerate(zip(found.nights, found.totals, strict=True)):
        moved = Shift(total, shift.ALARM, number + 1, (), "")
        drift = DriftResult(shift=moved)
        if number >= len(found.nights) - windows:
            window = summed(kept[max(number - WINDOW + 1, 0) : number + 1], profile)
            drift = replace(decide(profile, window, Drift()), shift=moved)
        asks.append(decide_night(spec, Seen(night=night, drift=drift)).retrain)
    return asks


@cache
def declared() -> Model:
    """Return a spec with reasons to ask."""
    return load_project().model("late_arrival")


def read_window(folder: Path, _: None) -> None:
    """Do what a verdict did: read seven nights, score them, count them."""
    nights = [pd.read_parquet(folder / "night.parquet") for _ in range(WINDOW)]
    window = pd.concat(nights, ignore_index=True).drop(columns="prediction")
    fitted, profile = model()
    counted(profile, window, said(fitted, window))


def stored(folder: Path, rows: int) -> tuple[Edges, dict[date, Sketch], dict[date, Counted]]:
    """Write what is stored of a year of nights, and the rows of the night; return the former."""
    fitted, profile = model()
    night = rows_of(1, rows)
    night.assign(prediction=said(fitted, night)).to_parquet(folder / "night.parquet")
    frames = [rows_of(n, 200) for n in range(TRAINING + WATCHED)]
    edges = edges_of(pd.concat(frames[:28], ignore_index=True), 28)
    days = [FIRST + timedelta(days=n) for n in range(len(frames))]
    nights = {day: sketch(each, edges) for day, each in zip(days, frames, strict=True)}
    counts = {
        day: counted(profile, each, said(fitted, each))
        for day, each in zip(days[TRAINING:], frames[TRAINING:], strict=True)
    }
    (folder / "edges.json").write_bytes(TypeAdapter(Edges).dump_json(edges))
    (folder / "sketches.json").write_bytes(TypeAdapter(dict[date, Sketch]).dump_json(nights))
    (folder / "counts.json").write_bytes(TypeAdapter(dict[date, Counted]).dump_json(counts))
    return edges, nights, counts


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all is within its bar."""
    rows, wants_before = int(float(arguments[0]) * 1e6) if arguments else 1_000_000, "before" in arguments
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        year = stored(folder, rows)
        found = {work.__name__: cost(work, folder) for work in (count, verdict)}
        spent, most = sum(each[0] for each in found.values()), max(each[1] for each in found.values())
        for what, (seconds, megabytes) in found.items():
            print(f"{what}: {seconds:.2f} CPU-s, {megabytes:,.0f} MB")
        print(
            f"a night of {rows:,} x {COLUMNS}: {spent:.2f} CPU-s (bar {CPU_BAR}), {most:,.0f} MB (bar {MB_BAR:g})"
        )
        if wants_before:
            seconds, megabytes = cost(read_window, folder)
            times = seconds / spent
            print(
                f"as it was, one of three readings: {seconds:.1f} CPU-s, {megabytes:,.0f} MB, {times:.0f} times"
            )
    declared()
    began = process_time()
    asks = [judge(*year) for _ in range(MODELS)]
    took = process_time() - began
    print(f"{MODELS} models x {len(asks[0])} nights from sketches: {took:.2f} CPU-s (bar {YEAR_BAR})")
    began = process_time()
    judge(*year, windows=WATCHED)
    print(f"a year of one model with the PSI of each night: {process_time() - began:.2f} CPU-s")
    return 0 if spent <= CPU_BAR and most <= MB_BAR and took <= YEAR_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
