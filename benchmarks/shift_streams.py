"""How often a shift is told where there is none: the nights of real flights, drawn anew.

    python benchmarks/shift_streams.py FOLDER [STREAMS]

Makes streams of the flights' nights of 2013, built as benchmarks/decisions.py does and kept in FOLDER: weeks drawn
with replacement (blocks of seven nights that begin on a Monday), of each night 20, 150 or 900 rows drawn with
replacement. Weeks keep their weather and their lateness; seasons are shuffled, so nothing shifts for good. A version
learns 56 nights and is watched for 365; when the evidence, of features and of predictions by models that have not seen
the night, passes 365, that is an ask, and a version that has learned all nights so far takes over. Prints asks a
model-year with a 95 % interval over streams, of so many STREAMS (200) a size. What is done is kept in FOLDER: it may be
ended and gone on with. The exit code is 1 if a size has more than one ask a model-year.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1"}

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from decisions import MODEL, PERIOD, year
from numpy.typing import NDArray

from nightshift import replay, train
from nightshift.distributions import decile_edges
from nightshift.monitor import shift
from nightshift.monitor.sketches import edges_of, sketch
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Edges, Sketch
from nightshift.specs import load_project

TRAINING, WATCHED, SIZES, FIRST_NIGHTS, WEEK = 56, 365, (20, 150, 900), 28, 7
FIRST = date(2014, 1, 6)  # a Monday, as all blocks begin with


@dataclass(frozen=True)
class Watched:
    """Nights whose rows are known by their bins alone. ``codes``: of each night, (rows, columns), over all columns."""

    edges: Edges
    predictions: Edges
    nights: dict[date, NDArray[np.int64]]
    importance: dict[str, float]

    @property
    def columns(self) -> tuple[ColumnEdges, ...]:
        """All columns, those of features first."""
        return self.edges.columns + self.predictions.columns

    def drawn(self, night: date, rows: int, random: np.random.Generator) -> tuple[Sketch, Sketch]:
        """Return the sketches of so many rows of a night, of its features and of what is said of them."""
        codes = self.nights[night]
        return self.sketched(codes[random.integers(0, len(codes), rows)])

    def sketched(self, codes: NDArray[np.int64]) -> tuple[Sketch, Sketch]:
        """Return the sketches of rows, (rows, columns), of their features and of what is said of them."""
        ends = np.cumsum([column.bins for column in self.columns])
        counts = np.split(np.bincount(codes.ravel(), minlength=ends[-1]), ends[:-1])
        made = [ColumnSketch(c.name, tuple(n.tolist())) for c, n in zip(self.columns, counts, strict=True)]
        split = len(self.edges.columns)
        return Sketch(len(codes), tuple(made[:split])), Sketch(len(codes), tuple(made[split:]))


def watched(folder: Path) -> Watched:
    """Return the year's nights: features, and what models that had not seen a night say of it."""
    project = load_project()
    model, nights = project.model(MODEL), year(project, folder)
    spec = project.feature_set(model.features)
    rows = replay.labelled(model, spec, nights, PERIOD.last)
    rows["prediction"] = train.out_of_fold(model, spec, rows, rows["label"])
    latest = rows["batch_date"] > rows["batch_date"].max() - pd.Timedelta(days=14)
    pipeline = train.fit(model, spec, rows[~latest], rows.loc[~latest, "label"])
    importance = train.importance(model, pipeline, rows[latest], rows.loc[latest, "label"])
    by_night = dict(iter(rows.groupby(rows["batch_date"].dt.date)))
    first = pd.concat([by_night[day] for day in sorted(by_night)[:FIRST_NIGHTS]])
    edges = edges_of(first[list(spec.columns)], FIRST_NIGHTS)
    cuts = decile_edges(rows["prediction"].to_numpy())
    predictions = Edges((ColumnEdges("prediction", "numeric", cuts),), 0)
    return Watched(
        edges,
        predictions,
        {day: codes(part, edges, predictions) for day, part in by_night.items()},
        importance,
    )


def codes(rows: pd.DataFrame, edges: Edges, predictions: Edges) -> NDArray[np.int64]:
    """Return the bin of each value, (rows, columns), those of one column after those of the column before it."""
    found, start, columns = [], 0, edges.columns + predictions.columns
    for column in columns:
        found.append(start + code(column, rows[column.name]))
        start += column.bins
    made = np.stack(found, axis=1)
    counts = np.bincount(made.ravel(), minlength=start)
    told = [c.counts for each in (edges, predictions) for c in sketch(rows, each).columns]
    assert counts.tolist() == [n for each in told for n in each], "codes are not those of the sketches"
    return made


def code(column: ColumnEdges, values: pd.Series) -> NDArray[np.int64]:
    """Return the bin of each value of a column."""
    if column.kind == "category":
        known = {name: number for number, name in enumerate(column.categories)}
        other = len(column.categories)
        return np.array([known.get(v, other) if isinstance(v, str) else other + 1 for v in values])
    numbers = values.to_numpy(dtype="float64")
    made = np.searchsorted(np.array(column.edges), numbers, side="right")
    made[np.isinf(numbers)], made[np.isnan(numbers)] = column.bins - 2, column.bins - 1
    return made


def sketches_of(of: Watched) -> dict[date, tuple[Sketch, Sketch]]:
    """Return the sketches of whole nights."""
    return {day: of.sketched(codes) for day, codes in of.nights.items()}


def stream(of: Watched, rows: int, seed: int) -> list[tuple[Sketch, Sketch]]:
    """Return the nights of a stream: weeks drawn with replacement, rows drawn with replacement."""
    random = np.random.default_rng([seed, rows])
    whole = [
        day
        for day in of.nights
        if day.weekday() == 0 and all(day + timedelta(days=n) in of.nights for n in range(WEEK))
    ]
    weeks = random.choice(len(whole), -(-(TRAINING + WATCHED) // WEEK))
    chosen = [whole[week] + timedelta(days=n) for week in weeks for n in range(WEEK)]
    return [of.drawn(day, rows, random) for day in chosen[: TRAINING + WATCHED]]


def asks(of: Watched, nights: Sequence[tuple[Sketch, Sketch]]) -> int:
    """Return how often a stream asked, with a version of all nights so far after each."""
    days = {FIRST + timedelta(days=n): night for n, night in enumerate(nights)}
    learned, found = TRAINING, 0
    while learned < len(nights):
        totals = np.array(evidence(of, days, FIRST + timedelta(days=learned - 1)).totals)
        passed = np.flatnonzero(totals >= shift.ALARM)
        if not passed.size:
            break
        found, learned = found + 1, learned + int(passed[0]) + 1
    return found


def evidence(of: Watched, nights: dict[date, tuple[Sketch, Sketch]], until: date) -> shift.Evidence:
    """Return the evidence of the nights after ``until``, against those up to it, which the version knows."""
    parts = []
    for number, (edges, weights) in enumerate(((of.edges, of.importance), (of.predictions, {}))):
        before = {day: each[number] for day, each in nights.items() if day <= until}
        after = {day: each[number] for day, each in nights.items() if day > until}
        given = shift.trained(edges, before), shift.series(edges, before, after)
        parts.append(shift.evidence(*given, weights))
    return shift.joined(*parts)


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if no size asks more than once a model-year."""
    folder, streams = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 200
    began, kept = process_time(), folder / "shift_streams.csv"
    done = {tuple(map(int, line.split(","))) for line in kept.read_text().split()} if kept.exists() else set()
    there = {(rows, seed) for rows, seed, _ in done}
    wanted = [(rows, seed) for seed in range(streams) for rows in SIZES if (rows, seed) not in there]
    of = watched(folder) if wanted else None
    for rows, seed in wanted if of else ():
        done.add((rows, seed, asks(of, stream(of, rows, seed))))
        with kept.open("a") as file:
            file.write(f"{rows},{seed},{max(n for r, s, n in done if (r, s) == (rows, seed))}\n")
    worst = 0.0
    for rows in SIZES:
        found = np.array([n for r, seed, n in done if r == rows and seed < streams])
        mean, error = found.mean(), 1.96 * found.std(ddof=1) / np.sqrt(len(found))
        worst = max(worst, mean)
        print(
            f"{rows} rows a night: {mean:.2f} asks a model-year ({mean - error:.2f} to {mean + error:.2f}), "
            f"{np.mean(found == 0):.0%} of {len(found)} streams none"
        )
    print(f"{process_time() - began:.0f} CPU-s")
    return 0 if worst <= 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
