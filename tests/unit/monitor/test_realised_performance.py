"""Realised performance: pending until labels have come, degraded only beyond noise."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from nightshift.monitor.performance import assess
from nightshift.records.monitoring import PerformanceResult
from nightshift.specs.model import Performance

SPEC = Performance(metric="log_loss", tolerance=0.10, min_labels=500)
NIGHTS, A_NIGHT = 7, 200
TRUE_LOSS = 0.610  # of the scores below, were they the true probabilities


def window(seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray, pd.Series]:
    """Return labels, scores and dates of seven nights, a share ``flipped`` of the labels wrong."""
    random = np.random.default_rng(seed)
    scores = random.beta(2, 3, NIGHTS * A_NIGHT)
    labels = (random.random(scores.size) < scores).astype(float)
    dates = pd.Series(pd.date_range("2013-02-01", periods=NIGHTS)).repeat(A_NIGHT)
    return np.where(random.random(scores.size) < flipped, 1 - labels, labels), scores, dates


def assessed(
    labels: np.ndarray, scores: np.ndarray, dates: pd.Series, **changes: object
) -> PerformanceResult:
    spec = SPEC.model_copy(update=changes)
    return assess("classification", spec, labels, scores, len(scores), TRUE_LOSS, dates=dates)


def test_as_good_as_at_the_gate_is_ok() -> None:
    result = assessed(*window(0))

    assert result.status == "ok"
    assert result.low is not None
    assert result.high is not None
    assert result.low < result.value < result.high  # type: ignore[operator]
    assert (result.labels, result.expected) == (1400, 1400)
    assert set(result.metrics) == {"roc_auc", "average_precision", "log_loss", "brier"}


def test_flipped_labels_on_every_night_are_a_degradation_told_in_words() -> None:
    result = assessed(*window(0, flipped=0.5))

    assert result.status == "degraded"
    assert result.reason.startswith("log_loss 0.")
    assert "on 1,400 labels; 0.6100 at the gate, tolerance 10%" in result.reason


def test_without_a_class_in_the_sample_there_is_no_interval_and_the_verdict_says_so() -> None:
    random, n = np.random.default_rng(0), 100_000
    labels, scores = np.zeros(n), random.random(n)
    labels[0] = 1.0
    dates = pd.Series(pd.date_range("2013-02-01", periods=10)).repeat(n // 10)
    result = assessed(labels, scores, dates, metric="roc_auc")
    assert (result.low, result.high, result.status) == (None, None, "ok")
    assert "(no interval: too few of a class)" in result.reason
    assert "NaN" not in json.dumps(TypeAdapter(PerformanceResult).dump_python(result, mode="json"))


def test_undegraded_predictions_rarely_count_as_degraded() -> None:
    assert sum(assessed(*window(seed)).status == "degraded" for seed in range(5)) == 0


def test_one_terrible_night_is_beyond_tolerance_but_no_verdict() -> None:
    labels, scores, dates = window(0)
    scores[:A_NIGHT] = np.where(labels[:A_NIGHT] == 1, 0.05, 0.95)
    result = assessed(labels, scores, dates)

    assert result.worsening is not None
    assert result.worsening > 0.10
    assert result.status == "ok"


@pytest.mark.parametrize("known", [0, 1, 499])
def test_too_few_labels_are_pending_and_nothing_is_zero(known: int) -> None:
    labels, scores, dates = window(0)
    labels[known:] = np.nan
    result = assessed(labels, scores, dates)

    assert result.status == "pending"
    assert (result.value, result.low, result.high, result.worsening) == (None, None, None, None)
    assert set(result.metrics.values()) == {None}
    assert result.reason == f"pending: {known} labels of 1,400 expected, 500 needed"


def test_a_window_without_a_row_is_pending() -> None:
    assert assessed(np.array([]), np.array([]), pd.Series([], dtype="datetime64[ns]")).status == "pending"


def test_labels_of_one_class_leave_the_auc_pending_and_say_why() -> None:
    _, scores, dates = window(0)
    result = assessed(np.zeros(scores.size), scores, dates, metric="roc_auc")

    assert (result.status, result.value) == ("pending", None)
    assert result.reason == "pending: 1400 labels do not define roc_auc"


def test_rows_left_out_and_rows_without_label_are_the_same() -> None:
    labels, scores, dates = window(0)
    known = np.arange(scores.size) % 2 == 0
    gappy = assess("classification", SPEC, np.where(known, labels, np.nan), scores, 1400, 0.6, dates=dates)
    left_out = assess("classification", SPEC, labels[known], scores[known], 1400, 0.6, dates=dates[known])

    assert gappy == left_out


def test_a_metric_where_greater_is_better() -> None:
    labels, scores, dates = window(0)
    spec = Performance(metric="roc_auc", tolerance=0.10, min_labels=500)

    assert assess("classification", spec, labels, 1 - scores, 1400, 0.7, dates=dates).status == "degraded"
    assert assess("classification", spec, labels, scores, 1400, 0.7, dates=dates).status == "ok"


def test_regression_and_a_single_night() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=600)
    spec = Performance(metric="mae", min_labels=500)
    result = assess("regression", spec, truth, truth + 2, 600, 1.0, dates=["2013-02-01"] * 600)

    assert (result.status, result.value) == ("degraded", pytest.approx(2.0))


def test_the_same_seed_gives_the_same_interval_of_many_rows() -> None:
    labels, scores, dates = (np.tile(np.asarray(part), 20) for part in window(0))
    one, other, third = (
        assess("classification", SPEC, labels, scores, 28_000, 0.6, dates=dates, seed=seed)
        for seed in (0, 0, 1)
    )

    assert one == other
    assert one.low != third.low


def test_the_result_is_ready_for_json() -> None:
    result, kept = assessed(*window(0)), TypeAdapter(PerformanceResult)

    assert kept.validate_json(json.dumps(kept.dump_python(result, mode="json"), allow_nan=False)) == result


def test_dates_must_match_the_labels() -> None:
    labels, scores, dates = window(0)
    with pytest.raises(ValueError, match="dates for"):
        assessed(labels, scores, dates.iloc[1:])
