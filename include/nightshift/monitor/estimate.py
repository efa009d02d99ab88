"""What a night's predictions are worth before their labels are known: estimated from its sketch, with an interval.

Classification: Confidence-Based Performance Estimation (Kivimäki, Białek, Kuberski and Nurminen 2025, "Performance
estimation in binary classification using calibrated confidence", arXiv 2505.05295; first in NannyML). A calibrator says
of each cell of predictions how many of its rows are positive, so the confusion matrix at any threshold is known in
expectation. Regression: direct loss estimation, the error as a function of the prediction. Both are learned of what was
predicted out of fold, and kept as curves of at most 64 steps.

The interval holds 90 % of nights: what labels do by chance (drawn from the calibrated probabilities) and what nights
differ among themselves (of out-of-fold nights, each by a curve that has not seen it), times the quantile of how far off
the last nights were in these units (conformal: Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random
World"). Matured nights join these, so an estimate that misses gets a wider interval.

It is blind where the same predictions get other outcomes than in training (concept drift). Labels alone tell that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, comb, isfinite, sqrt

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from nightshift.distributions import Floats
from nightshift.metrics import METRICS, Task
from nightshift.monitor.profile import PREDICTION
from nightshift.records.monitoring import Estimated
from nightshift.records.profile import Curve, Estimation, Measure
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Edges, Sketch

# 64 steps in all.
EVEN_STEPS, TAIL_STEPS = 52, 6
FEWEST_ROWS_A_STEP = 20
COVERS = 0.90
# With fewer nights than this, none of them is as far off as 90 % are.
FEWEST_NIGHTS = 9
# As many of the newest nights say how far off an estimate is: weeks, so that a change shows.
MOST_NIGHTS = 30
BLOCKS = 5

DRAWS = 200
UNIT = 1 << 30
TINY = float(np.finfo(np.float64).eps)
# An interval that would hold 90 % is right so seldom by chance.
SELDOM = 0.05


@dataclass(frozen=True)
class Cells:
    """Rows of one column of predictions, by what was predicted: ``score`` and ``rows``, (cells,), by ascending score.

    ``sums``: what these rows came to, or are expected to, a measure: (cells,), or (draws, cells).
    """

    score: Floats
    rows: Floats
    sums: Mapping[Measure, Floats]

    @property
    def positive(self) -> Floats:
        """How many rows of a cell are positive."""
        return self.sums["positive"]


@dataclass(frozen=True)
class Past:
    """What was estimated of a night, and what it came to."""

    estimated: Estimated
    realised: float


def learn(
    task: Task, classes: Sequence[str], predictions: Floats, label: pd.Series, batch_dates: pd.Series
) -> Estimation:
    """Return how rows come out by what was predicted of them; (n,), of several ``classes`` (n, classes) predictions.

    These are out of fold: others know their labels.
    """
    names = classes or (PREDICTION,)
    scores, truth = predictions.reshape(len(label), -1), label.to_numpy(dtype=np.float64)
    nights, _ = pd.factorize(batch_dates, sort=True)
    tallies = {name: _Tally(task, number, scores, truth, nights) for number, name in enumerate(names)}
    count = int(nights.max()) + 1
    block = np.arange(count) * BLOCKS // count
    away = [_curves(tallies, block != number) for number in range(BLOCKS)] if count >= BLOCKS else []
    newest = range(max(count - MOST_NIGHTS, 0), count) if away else []
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ESTIMATES[task]}
    for night in newest:
        here = nights == night
        expected = _expected([tally.cells(night) for tally in tallies.values()], away[block[night]])
        for name, (value, deviation) in _measured(task, expected).items():
            realised = METRICS[name].function(truth[here], predictions[here])
            if isfinite(realised) and isfinite(value):
                found[name].append((realised - value, deviation))
    spread = {name: _spread(residuals) for name, residuals in found.items()}
    return Estimation(
        task=task,
        curves=_curves(tallies, np.ones(count, dtype=bool)),
        nights=count,
        spread=spread,
        misses={
            name: tuple(_in_deviations(off, sqrt(d * d + spread[name] ** 2)) for off, d in residuals)
            for name, residuals in found.items()
        },
    )


def estimate(
    estimation: Estimation, sketch: Sketch, edges: Edges, past: Mapping[str, Sequence[Past]]
) -> dict[str, Estimated]:
    """Return what the predictions of ``sketch`` are expected to come to, a metric that can be known of them.

    ``past``: matured nights of the same version, oldest first, a metric. A metric is left out where it is not defined.
    """
    kinds = {column.name: column for column in edges.columns}
    cells = [_cells_of(column, kinds[column.name]) for column in sketch.columns]
    if not all(each.rows.size for each in cells):
        return {}
    expected = _expected(cells, estimation.curves)
    found = {}
    for name, (value, chance) in _measured(estimation.task, expected).items():
        if isfinite(value):
            deviation = sqrt(chance * chance + estimation.spread.get(name, 0.0) ** 2)
            known = [*estimation.misses.get(name, ()), *map(_miss, past.get(name, ()))][-MOST_NIGHTS:]
            found[name] = _bounded(name, value, deviation, known)
    return found


def coverage(past: Sequence[Past]) -> tuple[int, int]:
    """Return on how many nights the interval held what came true, and how many nights had one."""
    judged = [each for each in past if each.estimated.low is not None and each.estimated.high is not None]
    right = sum((p.estimated.low or 0.0) <= p.realised <= (p.estimated.high or 0.0) for p in judged)
    return right, len(judged)


def words(metric: str, estimated: Estimated | None, right: int, judged: int) -> str:
    """Return in a sentence what is estimated and how often such estimates were right."""
    if estimated is None:
        return f"{metric} cannot be estimated from these predictions"
    interval = "no interval: too few nights to learn from"
    if estimated.low is not None and estimated.high is not None:
        interval = f"{COVERS:.0%} interval {estimated.low:,.4f} to {estimated.high:,.4f}"
    said = f"{metric} {estimated.value:,.4f} expected ({interval})"
    if not judged:
        return f"{said}; no night with such an estimate has its labels yet"
    told = f"{said}; right on {right} of {judged} nights"
    return f"{told}, which is too seldom: trust the labels" if _is_seldom(right, judged) else told


def _is_seldom(right: int, judged: int) -> bool:
    chance = sum(comb(judged, k) * COVERS**k * (1 - COVERS) ** (judged - k) for k in range(right + 1))
    return chance < SELDOM


def _miss(past: Past) -> float:
    return _in_deviations(past.realised - past.estimated.value, past.estimated.deviation)


def _in_deviations(off: float, deviation: float) -> float:
    return round(abs(off) / max(deviation, TINY), 4)


def _spread(residuals: Sequence[tuple[float, float]]) -> float:
    """Return how much nights differ beyond chance, as a standard deviation."""
    if not residuals:
        return 0.0
    off, chance = np.array(residuals).T
    return sqrt(max(float(np.mean(off**2 - chance**2)), 0.0))


def _bounded(metric: str, value: float, deviation: float, misses: Sequence[float]) -> Estimated:
    if len(misses) < FEWEST_NIGHTS:
        return Estimated(value, deviation, None, None)
    reach = sorted(misses)[min(ceil(COVERS * (len(misses) + 1)), len(misses)) - 1] * deviation
    most = 1.0 if metric in SHARES else np.inf
    return Estimated(value, deviation, max(value - reach, 0.0), min(value + reach, most))


def _measured(task: Task, expected: Sequence[Cells]) -> dict[str, tuple[float, float]]:
    """Return each metric in expectation, and its standard deviation over what labels do by chance.

    Of the draws in which the metric is defined.
    """
    random = np.random.default_rng(0)
    drawn = [_drawn(each, random) for each in expected]
    found = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, function in ESTIMATES[task].items():
            said = function(drawn)
            defined = said[np.isfinite(said)]
            if name not in UNLIKE_THEIR_MEAN:
                value = float(function(expected))
            else:
                value = float(defined.mean()) if defined.size else np.nan
            found[name] = value, float(defined.std()) if defined.size else 0.0
    return found


def _drawn(cells: Cells, random: np.random.Generator) -> Cells:
    """Return what the rows may come to, (draws, cells): labels by their probability, sums of errors as normal ones."""
    size = (DRAWS, cells.rows.size)
    if "positive" in cells.sums:
        share = np.clip(cells.positive / cells.rows, 0.0, 1.0)
        rows = np.rint(cells.rows).astype(np.int64)
        return Cells(cells.score, cells.rows, {"positive": random.binomial(rows, share, size).astype(float)})
    absolute, squared = (cells.sums[measure] / cells.rows for measure in ("absolute_error", "squared_error"))
    chance = np.sqrt(cells.rows) * random.standard_normal(size)
    return Cells(
        cells.score,
        cells.rows,
        {
            "absolute_error": cells.sums["absolute_error"]
            + chance * np.sqrt(np.maximum(squared - absolute**2, 0)),
            # Of normal errors, the variance of their square.
            "squared_error": cells.sums["squared_error"] + chance * sqrt(2) * squared,
        },
    )


def _expected(cells: Sequence[Cells], curves: Sequence[Curve]) -> list[Cells]:
    found = []
    for number, each in enumerate(cells):
        mine = curves[number * len(curves) // len(cells) : (number + 1) * len(curves) // len(cells)]
        sums = {c.measure: each.rows * np.interp(each.score, c.at, c.expected) for c in mine}
        found.append(Cells(each.score, each.rows, sums))
    return found


def _cells_of(column: ColumnSketch, edges: ColumnEdges) -> Cells:
    """Return the finite predictions of a sketch: each value where there are few, else the mean of each bin."""
    if column.values is not None:
        score, rows = np.array(column.values, dtype=np.float64).reshape(-1, 2).T
        return Cells(score, rows, {})
    rows = np.array(column.counts[:-2], dtype=np.float64)
    filled = rows > 0
    where = np.array(column.sums, dtype=np.float64)[:-2][filled] / rows[filled] / UNIT
    low, high = edges.edges[0], edges.edges[-1]
    return Cells(low + where * (high - low), rows[filled], {})


class _Tally:
    """Rows a night and a step of one column's predictions, and what they came to."""

    def __init__(self, task: Task, number: int, scores: Floats, truth: Floats, nights: np.ndarray) -> None:
        mine = scores[:, number]
        # Equal predictions share a step.
        order = np.searchsorted(np.sort(mine), mine, side="left")
        levels = _levels(mine.size)
        step = np.searchsorted(levels, order / mine.size, side="right")
        shape = (int(nights.max()) + 1, levels.size + 1)

        def a_cell(weights: Floats | None = None) -> Floats:
            cells = np.bincount(nights * shape[1] + step, weights, shape[0] * shape[1])
            return cells.reshape(shape).astype(np.float64)

        self.rows, self.score = a_cell(), a_cell(mine)
        self.sums = {
            measure: a_cell(values) for measure, values in OUTCOMES[task](mine, truth, number).items()
        }

    def cells(self, night: int) -> Cells:
        """Return a night's rows by what was predicted."""
        filled = self.rows[night] > 0
        rows = self.rows[night][filled]
        return Cells(self.score[night][filled] / rows, rows, {})

    def curve(self, name: str, measure: Measure, nights: np.ndarray) -> Curve:
        """Return the measure as a function of the prediction, over these nights; of labels it never falls."""
        rows = self.rows[nights].sum(axis=0)
        filled = rows > 0
        weight = rows[filled]
        at = self.score[nights].sum(axis=0)[filled] / weight
        expected = self.sums[measure][nights].sum(axis=0)[filled] / weight
        if measure == "positive":
            expected = IsotonicRegression().fit_transform(at, expected, sample_weight=weight)
        return Curve(column=name, measure=measure, at=tuple(at.tolist()), expected=tuple(expected.tolist()))


def _levels(rows: int) -> Floats:
    """Return between which shares of all rows, by what was predicted of them, a step ends: narrow at both ends.

    There a loss is steep: a few rows that were thought impossible weigh as much as all others.
    """
    inner = max(min(EVEN_STEPS, rows // FEWEST_ROWS_A_STEP), 1)
    ends = 2.0 ** -np.arange(1, TAIL_STEPS + 1) / inner
    levels = np.unique(np.concatenate([np.arange(1, inner) / inner, ends, 1 - ends]))
    return levels[np.minimum(levels, 1 - levels) * rows >= FEWEST_ROWS_A_STEP]


def _curves(tallies: Mapping[str, _Tally], nights: np.ndarray) -> tuple[Curve, ...]:
    return tuple(
        tally.curve(name, measure, nights) for name, tally in tallies.items() for measure in tally.sums
    )


def _of_positives(_: Floats, truth: Floats, __: int) -> dict[Measure, Floats]:
    return {"positive": truth}


def _of_a_class(_: Floats, truth: Floats, number: int) -> dict[Measure, Floats]:
    return {"positive": (truth == number).astype(np.float64)}


def _of_errors(scores: Floats, truth: Floats, _: int) -> dict[Measure, Floats]:
    off = np.abs(scores - truth)
    return {"absolute_error": off, "squared_error": off**2}


def _roc_auc(cells: Sequence[Cells]) -> Floats:
    """Return the mean over the columns of the chance that a positive is above a negative."""
    found = []
    for each in cells:
        negative = each.rows - each.positive
        below = np.cumsum(negative, axis=-1) - negative / 2
        pairs = each.positive.sum(axis=-1) * negative.sum(axis=-1)
        found.append((each.positive * below).sum(axis=-1) / pairs)
    return np.asarray(np.mean(found, axis=0))


def _average_precision(cells: Sequence[Cells]) -> Floats:
    positive, rows = cells[0].positive[..., ::-1], cells[0].rows[::-1]
    precision = np.cumsum(positive, axis=-1) / np.cumsum(rows)
    return np.asarray((positive * precision).sum(axis=-1) / positive.sum(axis=-1))


def _log_loss(cells: Sequence[Cells]) -> Floats:
    each, score = cells[0], np.clip(cells[0].score, TINY, 1 - TINY)
    loss = -each.positive * np.log(score) - (each.rows - each.positive) * np.log(1 - score)
    return np.asarray(loss.sum(axis=-1) / each.rows.sum())


def _log_loss_of_classes(cells: Sequence[Cells]) -> Floats:
    losses = [(-each.positive * np.log(np.clip(each.score, TINY, 1.0))).sum(axis=-1) for each in cells]
    return np.asarray(np.sum(losses, axis=0) / cells[0].rows.sum())


def _brier(cells: Sequence[Cells]) -> Floats:
    each = cells[0]
    loss = each.positive * (1 - each.score) ** 2 + (each.rows - each.positive) * each.score**2
    return np.asarray(loss.sum(axis=-1) / each.rows.sum())


def _mae(cells: Sequence[Cells]) -> Floats:
    return np.asarray(cells[0].sums["absolute_error"].sum(axis=-1) / cells[0].rows.sum())


def _rmse(cells: Sequence[Cells]) -> Floats:
    return np.asarray(np.sqrt(cells[0].sums["squared_error"].sum(axis=-1) / cells[0].rows.sum()))


# Of few positives: of fractions of one it is many times lower than it comes to on average.
UNLIKE_THEIR_MEAN = frozenset({"average_precision"})
SHARES = frozenset({"roc_auc", "roc_auc_ovr", "average_precision", "brier"})
OUTCOMES: dict[Task, Callable[[Floats, Floats, int], dict[Measure, Floats]]] = {
    "classification": _of_positives,
    "multiclass": _of_a_class,
    "regression": _of_errors,
}
# A metric that is not here cannot be known of one column's counts: which class is the likeliest, the labels' spread.
ESTIMATES: dict[Task, dict[str, Callable[[Sequence[Cells]], Floats]]] = {
    "classification": {
        "roc_auc": _roc_auc,
        "average_precision": _average_precision,
        "log_loss": _log_loss,
        "brier": _brier,
    },
    "multiclass": {"log_loss": _log_loss_of_classes, "roc_auc_ovr": _roc_auc},
    "regression": {"mae": _mae, "rmse": _rmse},
}
