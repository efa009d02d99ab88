"""What gives an outcome away, by values alone, and what only tells something of it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from nightshift.featurise.giveaway import gives_away, is_classes, summed, telling

ROWS = 2000
RANDOM = np.random.default_rng(0)
LATE = pd.Series(RANDOM.random(ROWS) < 0.3)
ARRIVAL = pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h"))
COUNT = pd.Series(RANDOM.integers(0, 900, ROWS)).astype("Int64")


@pytest.mark.parametrize(
    "values",
    [
        LATE.map({True: "Canceled", False: "Check-Out"}),
        LATE.map({True: "Canceled", False: "Check-Out"}).where(RANDOM.random(ROWS) < 0.999, "Check-Out"),
        LATE.astype("Int64"),
        ~LATE,
        # Three statuses, two of which are one outcome.
        pd.Series(np.where(LATE, RANDOM.choice(["Canceled", "No-Show"], ROWS), "Check-Out")),
        pd.Series(np.where(LATE, RANDOM.uniform(0.1, 90, ROWS), 0.0)),
        pd.Series(np.where(LATE, RANDOM.uniform(50, 90, ROWS), RANDOM.uniform(0, 50, ROWS))),
        # Filled in only where it happened.
        pd.Series(np.where(LATE, "a reason", None), dtype="str"),
        ARRIVAL.where(LATE),
    ],
)
def test_what_becomes_known_with_the_outcome_gives_it_away(values: pd.Series) -> None:
    assert gives_away(values, LATE)
    assert gives_away(values, LATE.map({True: "Yes", False: "No"}))
    assert gives_away(values, LATE.astype("Int64"))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(RANDOM.choice(["a", "b"], ROWS)),
        pd.Series([f"id-{n}" for n in range(ROWS)]),
        pd.Series(range(ROWS)),
        ARRIVAL,
        pd.Series(["same"] * ROWS),
        pd.Series(np.where(LATE, RANDOM.normal(2, 1, ROWS), RANDOM.normal(0, 1, ROWS))),
        pd.Series([None] * ROWS, dtype="float64"),
        # Mostly, not nearly always.
        LATE.map({True: "x", False: "y"}).where(RANDOM.random(ROWS) < 0.9, "y"),
    ],
)
def test_what_only_tells_something_of_it_does_not(values: pd.Series) -> None:
    assert not gives_away(values, LATE)


def test_a_measured_outcome_is_given_away_by_what_rises_with_it() -> None:
    outcome = pd.Series(RANDOM.normal(50, 9, ROWS))
    assert gives_away(outcome * 1.8 + 32, outcome)
    assert gives_away(np.exp(outcome / 9), outcome)
    assert not gives_away(outcome + RANDOM.normal(0, 3, ROWS), outcome)
    assert not gives_away(pd.Series(RANDOM.choice(["a", "b"], ROWS)), outcome)


def test_the_parts_of_a_sum_are_found_and_nothing_else() -> None:
    table = pd.DataFrame(
        {"casual": COUNT, "registered": COUNT[::-1].to_numpy(), "temp": RANDOM.normal(0, 1, ROWS)}
    )
    assert summed(table, table["casual"] + table["registered"]) == ["casual", "registered"]
    assert summed(table, table["casual"] + table["registered"] + RANDOM.normal(0, 30, ROWS)) == []
    assert summed(table, pd.Series([5.0] * ROWS)) == []


def test_few_rows_prove_nothing() -> None:
    few = LATE.head(20)
    assert not gives_away(few, few)
    rare = pd.Series([True] * 3 + [False] * 997)
    assert not gives_away(rare.astype("float64"), rare)


def test_several_classes_are_given_away_too() -> None:
    species = pd.Series(RANDOM.choice(["oak", "pine", "fir"], ROWS))
    assert gives_away(species.map({"oak": 1, "pine": 7, "fir": 9}), species)
    assert not gives_away(pd.Series(RANDOM.normal(0, 1, ROWS)), species)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1, 1], True),
        ([0.5, 1.5], False),
        (list(range(100)), False),
        (["a", "b"], True),
        ([True, False], True),
    ],
)
def test_a_few_whole_values_are_classes(values: list, classes: bool) -> None:
    assert is_classes(pd.Series(values)) == classes


SCORE = pd.Series(np.where(LATE, RANDOM.normal(3.1, 1, ROWS), RANDOM.normal(0, 1, ROWS)))


@pytest.mark.parametrize(
    "values",
    [
        SCORE,
        -SCORE,
        SCORE.round(),
        SCORE.where(RANDOM.random(ROWS) < 0.97),
        (SCORE * 10).round().astype("str"),
    ],
)
def test_what_says_it_nearly_as_well_is_told_with_how_well(values: pd.Series) -> None:
    """Its area is that of the gate `credible`: of plain estimators that know nothing else."""
    assert not gives_away(values, LATE)
    said = telling(values, LATE)
    assert said is not None
    exact = roc_auc_score(LATE, SCORE)
    assert 0.97 < exact < 0.995
    assert said == pytest.approx(exact, abs=0.02)


def test_of_several_classes_and_of_numbers_it_is_told_too() -> None:
    classes = pd.Series(RANDOM.choice(["a", "b", "c"], ROWS))
    mostly = classes.where(RANDOM.random(ROWS) < 0.97, "a")
    assert telling(mostly, classes) is not None
    number = pd.Series(RANDOM.normal(50, 9, ROWS))
    near = number + RANDOM.normal(0, 0.9, ROWS)
    assert not gives_away(near, number)
    assert telling(near, number) == pytest.approx(0.99, abs=0.01)
    assert telling(number + RANDOM.normal(0, 3, ROWS), number) is None


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([f"id-{n}" for n in range(ROWS)]),
        pd.Series(range(ROWS)),
        ARRIVAL,
        pd.Series([None] * ROWS, dtype="float64"),
        pd.Series(np.where(LATE, RANDOM.normal(2, 1, ROWS), RANDOM.normal(0, 1, ROWS))),
    ],
)
def test_what_a_good_feature_says_is_not_suspicious(values: pd.Series) -> None:
    assert telling(values, LATE) is None


def test_too_few_rows_are_no_ground_for_suspicion() -> None:
    assert telling(SCORE.head(30), LATE.head(30)) is None
    rare = pd.Series(np.arange(ROWS) < 4)
    assert telling(SCORE, rare) is None
