"""Realised performance: what the predictions of past nights were worth, now that their labels are known."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nightshift import bootstrap
from nightshift.metrics import METRICS, Array, Task, better, labelled, score, worsening
from nightshift.records.monitoring import PerformanceResult
from nightshift.specs.model import Performance

Ints = NDArray[np.int64]

REPLICATES = 200
INTERVAL = 0.90
MOST_ROWS = 20_000


def assess(
    task: Task,
    spec: Performance,
    y_true: ArrayLike,
    y_score: ArrayLike,
    expected_rows: int,
    baseline: float,
    *,
    dates: ArrayLike | pd.Series,
    seed: int = 0,
) -> PerformanceResult:
    """Return how the window's predictions did against ``baseline``, the gate's holdout value.

    ``y_true``, ``y_score`` and ``dates`` (batch dates) have shape (n,); labels not yet known are NaN, or
    their rows left out; ``expected_rows`` is how many were predicted. 'pending' with fewer than
    ``spec.min_labels`` labels, or where these do not define the metric (ROC AUC of one class).

    'degraded' needs a value worse than the baseline by more than ``spec.tolerance`` AND an interval that
    lies wholly on the worse side of the baseline, so that one bad night among good ones is no verdict.

    Raises:
        ValueError: lengths differ, or a labelled row's score is not finite.
    """
    truth, scores = labelled(y_true, y_score)
    nights = _night_numbers(dates, y_true)
    known = dict.fromkeys(name for name, metric in METRICS.items() if task in metric.tasks)
    metrics = score(task, truth, scores) if truth.size >= spec.min_labels else known
    result = PerformanceResult(
        status="pending",
        metric=spec.metric,
        value=metrics[spec.metric],
        low=None,
        high=None,
        baseline=baseline,
        worsening=None,
        labels=int(truth.size),
        expected=expected_rows,
        metrics=metrics,
        reason=f"pending: {truth.size:,} labels of {expected_rows:,} expected, {spec.min_labels:,} needed",
    )
    if result.value is None and truth.size >= spec.min_labels:
        return replace(result, reason=f"pending: {truth.size} labels do not define {spec.metric}")
    if result.value is None:
        return result
    found = interval(spec.metric, truth, scores, nights, seed=seed)
    return _judged(result, result.value, found, spec.tolerance)


def interval(
    metric: str, truth: Array, scores: Array, nights: Ints, *, seed: int
) -> tuple[float, float] | None:
    """Return the 90 % bootstrap interval of ``metric`` over rows that come in nights; arrays (n,).

    Two stages, nights and then rows within each (Davison and Hinkley 1997, Bootstrap Methods and their
    Application, section 3.8), because rows of one night err together. From the few nights of a window it
    is a rough interval. Of more than 20,000 rows a random sample stands for all: what widens the interval
    is the nights. The same ``seed`` gives the same interval. None where no resample defines the metric: of a class
    that is rare none of the 20,000 may be.
    """
    random = np.random.default_rng(seed)
    if truth.size > MOST_ROWS:
        kept = np.sort(random.choice(truth.size, MOST_ROWS, replace=False))
        truth, scores, nights = truth[kept], scores[kept], nights[kept]
    order = np.argsort(nights, kind="stable")
    _, starts, sizes = np.unique(nights[order], return_index=True, return_counts=True)
    often = np.empty((REPLICATES, truth.size))
    for each in range(REPLICATES):
        drawn = random.integers(0, starts.size, starts.size)
        offsets = random.random(sizes[drawn].sum()) * np.repeat(sizes[drawn], sizes[drawn])
        rows = order[np.repeat(starts[drawn], sizes[drawn]) + offsets.astype(np.int64)]
        often[each] = np.bincount(rows, minlength=truth.size)
    values = bootstrap.replicates(metric, truth, scores, np.arange(truth.size), often)
    return bootstrap.interval(values, INTERVAL)


def _judged(
    result: PerformanceResult, value: float, found: tuple[float, float] | None, tolerance: float
) -> PerformanceResult:
    worse = worsening(result.metric, result.baseline, value)
    low, high = found or (None, None)
    best = high if METRICS[result.metric].greater_is_better else low
    degraded = worse > tolerance and best is not None and better(result.metric, result.baseline, best)
    interval = (
        f"{INTERVAL:.0%} interval {low:,.4f} to {high:,.4f}" if found else "no interval: too few of a class"
    )
    reason = (
        f"{result.metric} {value:,.4f} ({interval}) "
        f"on {result.labels:,} labels; {result.baseline:,.4f} at the gate, tolerance {tolerance:.0%}"
    )
    status: Literal["degraded", "ok"] = "degraded" if degraded else "ok"
    return replace(result, low=low, high=high, status=status, worsening=worse, reason=reason)


def _night_numbers(dates: ArrayLike | pd.Series, y_true: ArrayLike) -> Ints:
    """Return the number of each labelled row's night."""
    numbers = pd.factorize(np.asarray(dates))[0]
    unlabelled = np.isnan(np.asarray(y_true, dtype=float))
    if numbers.shape != unlabelled.shape:
        raise ValueError(f"{numbers.shape} dates for {unlabelled.shape} labels")
    return np.asarray(numbers[~unlabelled], dtype=np.int64)
