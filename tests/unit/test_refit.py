"""The refit that would serve: what any fit that has seen the holdout is passes, what is another model does not."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from nightshift import metrics
from nightshift.govern import Refit, compare_fits

LAST = date(2013, 2, 4)
NIGHTS, A_NIGHT, HELD_OUT = 60, 60, 14
Array = np.ndarray


def world(*, several: bool = False, noise: float = 1.0) -> tuple[Array, Array, Array, Array]:
    """Return features (n, 4), labels, values, nights."""
    rng = np.random.default_rng(0)
    night = np.repeat(np.arange(NIGHTS), A_NIGHT)
    x = rng.normal(size=(night.size, 4))
    hard = rng.normal(scale=0.4, size=NIGHTS)[night]
    value = x[:, 0] - 0.5 * x[:, 1] + hard + rng.normal(scale=noise, size=night.size)
    label = np.digitize(value, [-0.7, 0.7]) if several else (value > 0.5).astype(int)
    return x, label, value, night


def fits(estimator: BaseEstimator, task: str, **given: object) -> tuple[pd.DataFrame, Array, Array]:
    """Return the holdout, what the judged fit says of it, and what its refit does."""
    x, label, value, night = world(several=task == "multiclass", **given)  # type: ignore[arg-type]
    target = value if task == "regression" else label
    held_out = night >= NIGHTS - HELD_OUT

    def said(rows: Array) -> Array:
        fitted = estimator.fit(x[rows], target[rows])
        if task == "regression":
            return np.asarray(fitted.predict(x[held_out]))
        found = fitted.predict_proba(x[held_out])
        return np.asarray(found if task == "multiclass" else found[:, 1])

    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(night[held_out], unit="D")
    holdout = pd.DataFrame({"label": target[held_out].astype(float), "batch_date": days})
    return holdout, said(~held_out), said(np.ones_like(held_out))


def compared(task: str, metric: str, holdout: pd.DataFrame, judged: Array, served: Array) -> Refit:
    return compare_fits(task, holdout, judged, served, metric=metric, last=LAST)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimator", "task", "metric"),
    [
        (LogisticRegression(), "classification", "log_loss"),
        (LogisticRegression(), "classification", "roc_auc"),
        (HistGradientBoostingClassifier(max_iter=40, random_state=0), "classification", "log_loss"),
        # It remembers its rows: on these it is far from what was judged, and less sure than the truth.
        (RandomForestClassifier(60, random_state=0), "classification", "brier"),
        (LogisticRegression(), "multiclass", "log_loss"),
        (Ridge(), "regression", "mae"),
        (Ridge(), "regression", "r2"),
        (RandomForestRegressor(30, random_state=0), "regression", "rmse"),
    ],
)
def test_the_same_recipe_on_more_rows_is_the_model_that_was_judged(
    estimator: BaseEstimator, task: str, metric: str
) -> None:
    found = compared(task, metric, *fits(estimator, task))
    assert found.faults == []
    assert 0 < found.apart <= found.error
    if task != "regression":
        assert found.overconfidence is not None
        assert found.overconfidence < 0.05


def test_a_fit_that_leaves_nothing_open_differs_by_rounding_only_and_passes() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 2))
    y = x @ [2.0, -1.0]
    holdout = pd.DataFrame(
        {"label": y, "batch_date": pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(600) // 60, "D")}
    )
    assert compared("regression", "mae", holdout, y + 1e-15, y + 2e-15 * x[:, 0]).faults == []


@pytest.mark.parametrize("number", [0.1, -7.7, 1e6 / 3])
def test_a_target_of_one_number_differs_by_rounding_only_and_passes(number: float) -> None:
    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(np.arange(600) // 60, "D")
    holdout = pd.DataFrame({"label": np.full(600, number), "batch_date": days})
    judged = holdout["label"].to_numpy()
    assert compared("regression", "mae", holdout, judged, np.nextafter(judged, np.inf)).faults == []
    assert compared("regression", "mae", holdout, judged, judged + max(abs(number), 1) / 10).faults


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda said, _: 1 - said, "log_loss .* on the holdout, which it has seen: more than"),
        (lambda said, _: 1 - said, "its predictions are .* from those of what was"),
        (lambda said, _: np.clip(said + 0.15, 0, 1), "its mean prediction misses the mean outcome by"),
        (lambda said, _: said[::-1], "log_loss"),
    ],
)  # fmt: skip
def test_another_model_is_named_in_words(spoil: Callable[[Array, Array], Array], words: str) -> None:
    holdout, judged, served = fits(LogisticRegression(), "classification")
    found = compared("classification", "log_loss", holdout, judged, spoil(served, judged))
    assert found.faults
    assert any(pd.Series(found.faults).str.contains(words))


def test_only_what_is_surer_than_came_true_counts_as_overconfidence() -> None:
    """In a bin of 0.9 seven of ten come true: too sure by 0.2; where nine do, 0.7 is not sure enough."""
    truth = np.array(([1] * 7 + [0] * 3) * 10 + ([0] * 7 + [1] * 3) * 10)
    surer, less = np.repeat([0.9, 0.1], 100), np.repeat([0.6, 0.4], 100)
    assert metrics.overconfidence(truth, surer) == pytest.approx(0.2)
    assert metrics.overconfidence(truth, less) == 0
    assert metrics.calibration_error(truth, less) == pytest.approx(0.1)
    assert metrics.overconfidence(truth, np.column_stack([1 - surer, surer])) == pytest.approx(0.2)
    assert metrics.overconfidence([], []) is None
