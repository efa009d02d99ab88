"""The metrics table: right values, right directions, and None where a metric has no value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from nightshift.metrics import (
    METRICS,
    Task,
    better,
    calibration_error,
    difference_variances,
    row_losses,
    score,
    worsening,
)
from nightshift.specs.model import METRICS as SPEC_METRICS


def test_the_table_holds_exactly_the_metrics_a_spec_may_name() -> None:
    by_task = {task: {name for name, m in METRICS.items() if task in m.tasks} for task in SPEC_METRICS}

    assert by_task == SPEC_METRICS


def test_classification_metrics_of_a_small_case_by_hand() -> None:
    scores = score("classification", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])

    assert scores["roc_auc"] == 0.75
    assert scores["average_precision"] == pytest.approx(1 / 2 + (2 / 3) / 2)
    assert scores["brier"] == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.35, 0.8]).mean())


def test_regression_metrics_of_a_small_case_by_hand() -> None:
    scores = score("regression", [1.0, 2.0, 3.0], [1.0, 2.0, 5.0])

    assert scores == pytest.approx({"mae": 2 / 3, "rmse": math.sqrt(4 / 3), "r2": -1.0})


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if "regression" in m.tasks])
def test_a_metric_in_the_unit_of_the_target_grows_with_it(name: str) -> None:
    truth, said = np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.5, 2.0, 5.0, 4.0])
    times = METRICS[name].function(10 * truth, 10 * said) / METRICS[name].function(truth, said)

    assert times == pytest.approx(10.0 if METRICS[name].in_unit else 1.0)


THREE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.4, 0.35, 0.25]])


def test_metrics_of_three_classes_of_a_small_case_by_hand() -> None:
    scores = score("multiclass", [0, 1, 2, 1], THREE)

    assert scores["log_loss"] == pytest.approx(-np.log([0.7, 0.8, 0.4, 0.35]).mean())
    assert scores["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores["roc_auc_ovr"] == pytest.approx((1 + 1 + 1) / 3)


def test_metrics_of_several_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    odds = rng.random((400, 4))
    given, truth = odds / odds.sum(axis=1, keepdims=True), rng.integers(0, 4, 400)
    said = given.argmax(axis=1)

    assert score("multiclass", truth, given) == pytest.approx(
        {
            "log_loss": sk.log_loss(truth, given),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "macro_f1": sk.f1_score(truth, said, average="macro"),
            "roc_auc_ovr": sk.roc_auc_score(truth, given, multi_class="ovr"),
        },
        rel=1e-12,
    )


def test_a_class_that_does_not_occur_leaves_the_others_their_score() -> None:
    scores = score("multiclass", [0, 1, 0], THREE[:3])

    assert scores["log_loss"] == pytest.approx(-np.log([0.7, 0.8, 0.3]).mean())
    assert scores["balanced_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert scores["roc_auc_ovr"] == 1.0


def test_of_a_single_class_there_is_no_ranking_but_a_loss() -> None:
    scores = score("multiclass", [2, 2], THREE[2:])

    assert scores["roc_auc_ovr"] is None
    assert scores["log_loss"] == pytest.approx(-np.log([0.4, 0.25]).mean())


def test_several_classes_are_calibrated_each_against_the_rest() -> None:
    given = np.tile([0.5, 0.3, 0.2], (10, 1))

    assert calibration_error([0] * 5 + [1] * 3 + [2] * 2, given) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error([0] * 10, given) == pytest.approx((0.5 + 0.3 + 0.2) / 3)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_ranking_but_still_a_loss(label: int) -> None:
    scores = score("classification", [label] * 5, [0.2] * 5)

    assert scores["roc_auc"] is None
    assert scores["average_precision"] is None
    assert scores["log_loss"] == pytest.approx(-math.log(0.2 if label else 0.8))


@pytest.mark.parametrize("constant", [2.0, 0.1, -7.7, 1e-300, 3.3e9])
@pytest.mark.parametrize("rows", [2, 37, 300])
def test_a_constant_target_has_no_r2(constant: float, rows: int) -> None:
    """Nor where the mean of so many is not the number itself."""
    target = np.full(rows, constant)
    assert score("regression", target, target + 1.0)["r2"] is None


@pytest.mark.parametrize("task", ["classification", "multiclass", "regression"])
def test_no_labels_give_none_and_never_zero(task: str) -> None:
    scores = score(task, [np.nan, np.nan], [0.5, 0.5])  # type: ignore[arg-type]

    assert set(scores.values()) == {None}


def test_rows_without_a_label_are_left_out() -> None:
    assert score("regression", [1.0, np.nan], [2.0, 100.0])["mae"] == 1.0


def test_a_labelled_row_without_a_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 of 2 labelled rows have no finite score"):
        score("regression", [1.0, 2.0], [1.0, np.nan])


def test_a_row_without_a_probability_of_one_class_is_an_error() -> None:
    broken = THREE.copy()
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="1 of 4 labelled rows have no finite score"):
        score("multiclass", [0, 1, 2, 1], broken)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="labels for"):
        score("regression", [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("metric", "reference", "current", "expected"),
    [
        ("log_loss", 0.50, 0.55, 0.10),
        ("log_loss", 0.50, 0.45, -0.10),
        ("roc_auc", 0.70, 0.63, 0.10),
        ("r2", -0.5, -1.0, 1.0),
        ("mae", 0.0, 0.0, 0.0),
        ("mae", 0.0, 1.0, math.inf),
    ],
)
def test_worsening_is_relative_and_knows_the_direction(
    metric: str, reference: float, current: float, expected: float
) -> None:
    assert worsening(metric, reference, current) == pytest.approx(expected)


@given(
    metric=st.sampled_from(sorted(METRICS)),
    a=st.floats(-100, 100, allow_subnormal=False),
    b=st.floats(-100, 100, allow_subnormal=False),
)
def test_worse_and_better_agree(metric: str, a: float, b: float) -> None:
    assert better(metric, a, b) == (worsening(metric, a, b) > 0)


@pytest.mark.parametrize("classes", [2, 3])
def test_how_far_chance_moves_a_difference_is_what_outcomes_drawn_again_say(classes: int) -> None:
    random = np.random.default_rng(3)
    one, other = (random.dirichlet(np.ones(classes), 40) for _ in range(2))
    task: Task = "classification" if classes == 2 else "multiclass"
    said = [each[:, 1] if classes == 2 else each for each in (one, other)]
    cumulated = ((one + other) / 2).cumsum(axis=1)
    drawn = []
    for _ in range(4_000):
        truth = (random.random((40, 1)) > cumulated[:, :-1]).sum(axis=1).astype(float)
        drawn.append(row_losses(task, truth, said[0]) - row_losses(task, truth, said[1]))
    variances = difference_variances(task, np.zeros(40), *said)
    assert np.sum(drawn, axis=1).var() == pytest.approx(variances.sum(), rel=0.1)


def test_how_far_chance_moves_a_difference_of_numbers_by_hand() -> None:
    truth, one, other = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 3.0]), np.array([2.0, 2.0, 4.0])
    # The differences are -1, 1 and -1.
    found = difference_variances("regression", truth, one, other)
    assert found.tolist() == pytest.approx([4 / 9, 16 / 9, 4 / 9])
