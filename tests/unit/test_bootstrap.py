"""The bootstrap: equal to the metric computed on the drawn rows themselves, and honest about days."""

import numpy as np
import pytest

from nightshift import bootstrap
from nightshift.metrics import METRICS

DAYS = 9


def rows(task: str, seed: int = 3, n: int = 700) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores with many ties, and days of unequal size."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, DAYS, n) * rng.integers(0, 2, n))
    day[:DAYS] = range(DAYS)
    if task == "multiclass":
        odds = np.round(rng.random((n, 4)), 1) + np.array([0.1, 0.6, 0.3, 0.001])
        score = odds / odds.sum(axis=1, keepdims=True)
        # The last class occurs on one day only: many resamples have none of it, and none is of a class of one day.
        truth = np.where(day == 3, 3, (score.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1) % 3).astype(
            float
        )
        return truth, score, day
    score = np.round(rng.random(n), 2)
    truth = (
        (rng.random(n) < score).astype(float) if task == "classification" else score * 9 + rng.normal(size=n)
    )
    return truth, score, day


@pytest.mark.parametrize(
    ("metric", "task"), [(name, task) for name, m in METRICS.items() for task in m.tasks]
)
def test_a_resample_has_the_metric_of_the_rows_it_drew(metric: str, task: str) -> None:
    truth, score, day = rows(task)
    weights = bootstrap.draws(DAYS, resamples=40)
    found = bootstrap.replicates(metric, truth, score, day, weights)
    for replicate, drawn in zip(found, weights.astype(int), strict=True):
        again = np.repeat(np.arange(len(truth)), drawn[day])
        assert replicate == pytest.approx(METRICS[metric].function(truth[again], score[again]), rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "task"), [(name, task) for name, m in METRICS.items() for task in m.tasks]
)
def test_rows_may_be_drawn_one_by_one(metric: str, task: str) -> None:
    """As a window's interval does: nights, then rows within each."""
    truth, score, _ = rows(task)
    n, random = len(truth), np.random.default_rng(1)
    drawn = [random.integers(0, n, n) for _ in range(20)]
    weights = np.array([np.bincount(each, minlength=n) for each in drawn], dtype=float)
    found = bootstrap.replicates(metric, truth, score, np.arange(n), weights)
    assert n > bootstrap._MOST_DAYS
    for replicate, again in zip(found, drawn, strict=True):
        assert replicate == pytest.approx(METRICS[metric].function(truth[again], score[again]), rel=1e-9)


@pytest.mark.parametrize("metric", sorted(bootstrap.REPLICATES))
def test_a_metric_without_sums_of_its_own_is_resampled_too(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, score, day = rows(METRICS[metric].tasks[0])
    weights = bootstrap.draws(DAYS, resamples=20)
    by_sums = bootstrap.replicates(metric, truth, score, day, weights)
    monkeypatch.delitem(bootstrap.REPLICATES, metric)
    assert bootstrap.replicates(metric, truth, score, day, weights) == pytest.approx(by_sums, rel=1e-9)


def test_each_day_drawn_once_gives_the_metric_itself() -> None:
    truth, score, day = rows("classification")
    once = np.ones((1, DAYS))
    assert bootstrap.replicates("roc_auc", truth, score, day, once)[0] == pytest.approx(
        METRICS["roc_auc"].function(truth, score), rel=1e-12
    )


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_resample_of_one_class_is_no_number(metric: str) -> None:
    found = bootstrap.replicates(metric, [1.0, 0.0], [0.6, 0.4], [0, 1], np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert np.isnan(found[0])
    assert found[1] == 1.0


@pytest.mark.parametrize("one", np.arange(1, 30) / 10)
def test_a_resample_of_one_target_has_no_r2(one: float) -> None:
    """What rounding leaves of its spread is none."""
    day = np.repeat([0, 1, 2], 111)
    target = np.where((day == 2) & (np.arange(333) % 2 == 0), one + 0.7, one)
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0]])
    found = bootstrap.replicates("r2", target, target + 1e-3, day, weights)
    assert np.isnan(found[:2]).all()
    assert 0.9 < found[2] < 1


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss"])
def test_a_resample_of_no_rows_is_no_number_for_several_classes(metric: str) -> None:
    even, none = np.full((2, 3), 1 / 3), np.array([[0.0, 0.0, 1.0]])
    assert np.isnan(bootstrap.replicates(metric, [1.0, 0.0], even, [0, 1], none)[0])


def test_interval_of_no_numbers_is_none() -> None:
    assert bootstrap.interval(np.array([np.nan, np.nan]), 0.9) is None
    assert bootstrap.interval(np.arange(101.0), 0.9) == pytest.approx((5.0, 95.0))


def test_days_that_differ_widen_the_interval_far_beyond_that_of_rows() -> None:
    """The reason for blocks: the error of one day's rows is shared, so rows are not independent evidence."""
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(20), 500)
    error = rng.normal(0, 1, 20)[day] + rng.normal(0, 1, day.size)
    values = bootstrap.replicates("mae", np.zeros(day.size), error, day, bootstrap.draws(20))
    low, high = bootstrap.interval(values, 0.9) or (0.0, 0.0)
    by_rows = [np.abs(rng.choice(error, error.size)).mean() for _ in range(300)]
    assert high - low > 4 * (np.quantile(by_rows, 0.95) - np.quantile(by_rows, 0.05))


def test_the_same_seed_draws_the_same_days() -> None:
    assert (bootstrap.draws(14) == bootstrap.draws(14)).all()
    assert (bootstrap.draws(14).sum(axis=1) == 14).all()
