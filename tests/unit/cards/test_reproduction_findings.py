"""Made again: equal means equal to the bit, and what differs is said in numbers."""

from dataclasses import replace

import numpy as np
import pytest

from nightshift.cards import (
    Difference,
    Predictions,
    Reproduction,
    differences,
    distance,
    markdown,
    report,
    scores,
)
from nightshift.records.catalog import ScoreAgain
from nightshift.train import predictions_sha256

SAME = Predictions(10, "a", "a", "a", 0, 0.0)
SCORES = scores({"log_loss": 0.45}, {"log_loss": 0.45})


def reproduction(predictions: Predictions = SAME, found=SCORES, different=()) -> Reproduction:  # type: ignore[no-untyped-def]
    return Reproduction("late_arrival", 7, "5" * 64, predictions, found, different)


@pytest.mark.parametrize(
    ("predictions", "found", "equal"),
    [
        (SAME, SCORES, True),
        (replace(SAME, again_sha256="b", differing=1, largest=1e-17), SCORES, False),
        # the record decides: that the registered file says otherwise here does not make them equal
        (replace(SAME, registered_sha256="b", again_sha256="b"), SCORES, False),
        (replace(SAME, registered_sha256="b"), SCORES, True),
        # without a record, the registered file does
        (replace(SAME, recorded_sha256=None), SCORES, True),
        (replace(SAME, recorded_sha256=None, again_sha256="b"), SCORES, False),
        (SAME, scores({"log_loss": 0.45}, {"log_loss": np.nextafter(0.45, 1)}), False),
        (SAME, scores({"log_loss": 0.45, "brier": 0.1}, {"log_loss": 0.45}), False),
        (SAME, scores({"roc_auc": None}, {"roc_auc": None}), True),
        (SAME, scores({"roc_auc": 0.5}, {"roc_auc": None}), False),
    ],
)
def test_equal_is_every_metric_and_every_prediction(
    predictions: Predictions, found: tuple, equal: bool
) -> None:
    made = reproduction(predictions, found)
    assert made.equal is equal
    assert (
        report(made)
        .notes[0]
        .text.startswith("Equal: every metric and all 10 predictions" if equal else "Different: ")
    )


def test_another_commit_does_not_make_equal_numbers_different() -> None:
    made = reproduction(different=(Difference("code_commit", "a", "b"),))
    assert made.equal
    assert "| code_commit | a | b |" in markdown(report(made)).splitlines()


def test_what_differs_is_said_in_numbers() -> None:
    made = reproduction(
        replace(SAME, again_sha256="b", differing=3, largest=0.0625),
        scores({"brier": 0.1, "log_loss": 0.5}, {"brier": 0.1, "log_loss": 0.75}),
    )
    assert report(made).notes[0].text == (
        "Different: 3 of 10 predictions differ from the registered model's, by 0.0625 at most; metrics that differ: "
        "log_loss by +0.25."
    )
    assert made.findings.metrics == {
        "brier": ScoreAgain(0.1, 0.1, 0.0),
        "log_loss": ScoreAgain(0.5, 0.75, 0.25),
    }
    assert "| log_loss | 0.5 | 0.75 | 0.25 |" in markdown(report(made)).splitlines()


def test_the_last_digit_is_shown() -> None:
    shown = markdown(report(reproduction(found=scores({"mae": 0.1}, {"mae": np.nextafter(0.1, 1).item()}))))
    assert "| mae | 0.1 | 0.10000000000000002 | 1.3877787807814457e-17 |" in shown.splitlines()


def test_rows_that_differ_are_counted_to_the_bit() -> None:
    registered = np.array([0.1, 0.2, 0.3, -0.0])
    again = registered.copy()
    assert distance(registered, again) == (0, 0.0)
    again[1] = np.nextafter(0.2, 1)
    again[3] = 0.0
    differing, largest = distance(registered, again)
    assert differing == 2
    assert 0 < largest < 1e-16
    assert distance(np.array([]), np.array([])) == (0, 0.0)
    # as predict_proba's second column comes
    assert distance(np.array([[0.1, 0.9], [0.4, 0.6]])[:, 1], np.array([0.9, 0.5])) == (1, pytest.approx(0.1))


def test_one_bit_and_the_order_of_rows_change_the_hash_of_predictions() -> None:
    values = np.array([0.1, 0.2, 0.3])
    one_bit = values.copy()
    one_bit[2] = np.nextafter(0.3, 1)
    found = {predictions_sha256(each) for each in (values, one_bit, values[::-1], values[:2])}
    assert len(found) == 4
    assert predictions_sha256(np.stack([values, values], axis=1)[:, 1]) == predictions_sha256(values)


def test_every_key_that_is_otherwise_is_named_down_to_the_leaf() -> None:
    then = {
        "lock": "a",
        "spec": {"params": {"depth": 3, "seed": 0}},
        "packages": {"numpy": "2.4.6", "gone": "1"},
    }
    now = {
        "lock": "a",
        "spec": {"params": {"depth": 4, "seed": 0}},
        "packages": {"numpy": "2.5.0", "new": "1"},
    }
    assert list(differences(then, now)) == [
        Difference("packages.gone", "1", "-"),
        Difference("packages.new", "-", "1"),
        Difference("packages.numpy", "2.4.6", "2.5.0"),
        Difference("spec.params.depth", "3", "4"),
    ]
    assert list(differences(then, then)) == []


def test_nothing_different_is_said_too() -> None:
    assert "Nothing: the same code, packages, processor and threads." in markdown(report(reproduction()))


def test_a_long_list_of_packages_is_cut_and_counted() -> None:
    many = tuple(Difference(f"environment.packages.p{n}", "1", "2") for n in range(70))
    shown = markdown(report(reproduction(different=many)))
    assert "20 more are in governance.reproductions." in shown
