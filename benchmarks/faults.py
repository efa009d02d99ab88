"""Whether faults are named on their first night, and how often one is named where there is none; whether harm is told.

    python benchmarks/faults.py FOLDER

Takes the flights' nights of 2013, built as benchmarks/decisions.py does and kept in FOLDER. Eleven kinds of fault are
put into columns that they would reach, on each of eleven nights a month apart, and each is judged against all nights
before it: is the column named? Then every night of the year as it is. Then models of eleven dates, fitted on what was
known (at most 40,000 rows), on the 28 nights after: how many of their weeks have evidence of harm? The exit code is 1
if fewer than 95 % of the faults are named, the year has more than one, or more than 5 % of the weeks have harm.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1"}

import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from decisions import MODEL, PERIOD, candidate, year

from nightshift import replay
from nightshift.monitor import harm, shift
from nightshift.monitor.faults import find
from nightshift.monitor.sketches import edges_of, sketch
from nightshift.specs import FeatureSet, Model, load_project

FIRST_NIGHTS, WATCHED, WEEK = 28, 28, 7
NAMED_BAR, YEAR_BAR, HARM_BAR = 0.95, 1, 0.05
NIGHTS = [date(2013, month, 5 + 2 * month) for month in range(2, 13)]
FITTED = [date(2013, 3, 4) + timedelta(days=25 * n) for n in range(11)]
MAX_ROWS = 40_000
SWAPPED = {"UA": "AA", "AA": "UA", "B6": "DL", "DL": "B6"}


def some(share: float, value: float) -> Callable[[pd.Series], pd.Series]:
    """Return what puts a value into such a share of rows."""
    return lambda rows: rows.mask(np.random.default_rng(0).random(len(rows)) < share, value)


KINDS: dict[str, tuple[list[str], Callable[[pd.Series], pd.Series]]] = {
    "Fahrenheit to Celsius": (["temp_last", "temp_same_hour"], lambda v: (v - 32) / 1.8),
    "miles an hour to metres a second": (["wind_last", "wind_same_hour"], lambda v: v * 0.44704),
    "hectopascal to inches of mercury": (["pressure_last"], lambda v: v * 0.02953),
    "miles to kilometres": (["distance"], lambda v: v * 1.609344),
    "twice": (["distance", "flights_that_hour"], lambda v: v * 2),
    "stuck": (["aircraft_seats", "late_route_28d"], lambda v: v * 0 + v.dropna().iloc[0]),
    "5 % at 1e9": (["late_flight_28d", "aircraft_seats"], some(0.05, 1e9)),
    "3 % missing": (["distance", "late_carrier_7d"], some(0.03, np.nan)),
    "24 % missing": (["late_flight_28d", "distance"], some(0.24, np.nan)),
    "categories changed places": (["carrier"], lambda v: v.map(lambda name: SWAPPED.get(name, name))),
}


def harms(model: Model, spec: FeatureSet, nights: replay.Nights, folder: Path) -> list[bool]:
    """Return of each week that a model of a date watches whether a night of it has evidence of harm."""
    rows, found = replay.labelled(model, spec, nights, PERIOD.last), []
    for as_of in FITTED:
        fitted = candidate(model, spec, nights, as_of, rows, folder)
        knows = replay.learned(model, spec, nights, fitted)
        [served] = replay.bank(model, rows, [fitted]).candidates
        watched = (
            rows["batch_date"]
            .between(pd.Timestamp(as_of), pd.Timestamp(as_of) + pd.Timedelta(days=WATCHED), inclusive="right")
            .to_numpy()
        )
        losses = harm.night_losses(
            model.kind,
            rows.loc[watched, "batch_date"],
            rows.loc[watched, "label"].to_numpy(dtype="float64"),
            served.predictions[watched].astype("float64"),
            knows.losses.base,
        )
        told = harm.after_each(knows.losses, losses) >= shift.ALARM
        found += [bool(told[n : n + WEEK].any()) for n in range(0, len(told), WEEK)]
    return found


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if all is within its bar."""
    began, project = process_time(), load_project()
    model, nights = project.model(MODEL), year(project, Path(arguments[0]))
    spec = project.feature_set(model.features)
    frames = dict(iter(nights.features.groupby(nights.features["batch_date"].dt.date)))
    edges = edges_of(
        pd.concat([frames[day] for day in sorted(frames)[:FIRST_NIGHTS]])[list(spec.columns)], FIRST_NIGHTS
    )
    sketches = {day: sketch(rows, edges) for day, rows in frames.items()}

    def named(night: date, rows: pd.DataFrame) -> set[str]:
        return {fault.column for fault in find(edges, sketches, night, sketch(rows, edges))}

    shares = []
    for kind, (columns, change) in KINDS.items():
        for column in columns:
            found = [
                column in named(night, frames[night].assign(**{column: change(frames[night][column])}))
                for night in NIGHTS
            ]
            shares.append(np.mean(found))
            print(f"{kind}, {column}: named on {sum(found)} of {len(found)} nights", flush=True)
    found = ["origin" in named(night, frames[night].query("origin != 'LGA'")) for night in NIGHTS]
    shares.append(np.mean(found))
    print(f"an airport absent, origin: named on {sum(found)} of {len(found)} nights")
    print(
        f"named with their column on the night itself: {np.mean(shares):.1%} of {len(shares) * len(NIGHTS)}"
    )
    false = {day: named(day, rows) for day, rows in frames.items()}
    false = {day: columns for day, columns in false.items() if columns}
    print(f"the year as it is: {len(false)} of {len(frames)} nights with a fault {false or ''}", flush=True)
    sampled = model.model_copy(update={"train": model.train.model_copy(update={"max_rows": MAX_ROWS})})
    harmed = harms(sampled, spec, nights, Path(arguments[0]))
    share = np.mean(harmed)
    print(
        f"{len(FITTED)} models, {len(harmed)} weeks: {sum(harmed)} with harm; {process_time() - began:.0f} CPU-s"
    )
    return 0 if np.mean(shares) >= NAMED_BAR and len(false) <= YEAR_BAR and share <= HARM_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
