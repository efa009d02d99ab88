"""Recalibration: one offset a night, from what came true of the nights before; never more than declared."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nightshift import metrics
from nightshift.score.recalibration import (
    FULL,
    as_served,
    offset,
    on_holdout,
    shifted,
    undone,
    window,
    words,
)
from nightshift.specs import Model

NIGHT = date(2013, 3, 20)
CLASSES = ("a", "b", "c")
SEEDS = st.integers(0, 10_000)


def spec(kind: str = "classification", *, metric: str = "", matures: int = 2, **recalibrate: Any) -> Model:
    metric = metric or ("rmse" if kind == "regression" else "log_loss")
    target = {"source": "truth", "column": "y", "matures_after_days": matures}
    target |= {"classification": {"above": 0}, "multiclass": {"classes": CLASSES}, "regression": {}}[kind]
    return Model.model_validate(
        {
            "name": "toy",
            "owner": "me",
            "description": "",
            "task": "regression" if kind == "regression" else "classification",
            "features": "toy",
            "target": target,
            "estimator": {"class": "sklearn.linear_model.Ridge"},
            "gates": [
                {"gate": "minimum_score", "metric": metric, "value": 9},
                {"gate": "beats_champion", "metric": metric},
            ],
            "recalibrate": {"at_most": 1.0} | recalibrate,
        }
    )


def drawn(kind: str, seed: int, rows: int, moved: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and labels that come true as the scores say, moved by so much."""
    rng = np.random.default_rng(seed)
    if kind == "regression":
        scores = rng.normal(10, 3, rows)
        return scores, scores + moved + rng.exponential(2, rows)
    if kind == "multiclass":
        scores = rng.dirichlet([2, 3, 4], rows)
        truth = shifted(kind, scores, [moved, 0.0, 0.0])
        return scores, (rng.random((rows, 1)) > truth.cumsum(axis=1)).sum(axis=1).astype(float)
    scores = rng.beta(2, 5, rows)
    return scores, (rng.random(rows) < shifted(kind, scores, [moved])).astype(float)


def nights(kind: str, seed: int, many: int, rows: int, moved: float = 0.0) -> list:
    return [drawn(kind, seed + number, rows, moved) for number in range(many)]


def series(kind: str, seed: int = 3, many: int = 30, rows: int = 60, moved: float = 0.7) -> tuple:
    parts = nights(kind, seed, many, rows, moved)
    dates = np.repeat([np.datetime64(NIGHT + timedelta(days=n)) for n in range(many)], rows)
    return dates, *(np.concatenate(part) for part in zip(*parts, strict=True))


def test_it_is_the_offset_that_the_labels_came_true_by_shrunk_by_the_number_of_nights() -> None:
    for many, part in ((1, 1 / 8), (7, 1 / 2), (14, 2 / 3)):
        found = offset(spec(), nights("classification", 1, many, 20_000, 0.6))
        assert found.values[0] == pytest.approx(0.6 * part, abs=0.02 * part)
        assert (found.nights, found.labels) == (many, many * 20_000)
    assert offset(spec(shrink_nights=0), nights("classification", 1, 1, 50_000, 0.6)).values[0] == (
        pytest.approx(0.6, abs=0.03)
    )


def test_scores_that_come_true_are_let_be() -> None:
    for kind in ("classification", "multiclass"):
        found = offset(spec(kind), nights(kind, 5, 14, 5_000))
        assert max(map(abs, found.values)) < 0.03


def test_the_likeliest_offset_is_where_the_mean_score_is_the_share_that_came_true() -> None:
    scores, labels = drawn("classification", 2, 5_000, -0.8)
    found = offset(spec(shrink_nights=0), [(scores, labels)])
    moved = shifted("classification", scores, found.values)
    assert moved.mean() == pytest.approx(labels.mean(), abs=2e-4)  # of 5,000 rows, one more says what it said


def test_of_two_classes_it_is_that_of_a_classification() -> None:
    scores, labels = drawn("classification", 4, 3_000, 0.5)
    one = offset(spec(shrink_nights=0), [(scores, labels)]).values[0]
    several = spec("multiclass", shrink_nights=0).model_copy(
        update={"target": spec("multiclass").truth.model_copy(update={"classes": ("no", "yes")})}
    )
    two = offset(several, [(np.column_stack([1 - scores, scores]), labels)]).values
    assert two[1] - two[0] == pytest.approx(one, abs=1e-5)


def test_of_several_classes_the_loss_is_less_and_probabilities_sum_to_one() -> None:
    model, (scores, labels) = spec("multiclass", shrink_nights=0), drawn("multiclass", 6, 4_000, 0.7)
    found = offset(model, [(scores, labels)])
    moved = shifted("multiclass", scores, found.values)
    assert moved.sum(axis=1) == pytest.approx(np.ones(len(scores)), abs=1e-12)
    assert metrics.log_loss(labels, moved) < metrics.log_loss(labels, scores) - 0.01
    assert found.values[0] - found.values[1] == pytest.approx(0.7, abs=0.1)
    for nudge in ((0.02, 0, -0.02), (-0.02, 0.02, 0)):
        other = shifted("multiclass", scores, np.add(found.values, nudge).tolist())
        assert metrics.log_loss(labels, moved) < metrics.log_loss(labels, other)


@pytest.mark.parametrize(("metric", "centre"), [("mae", np.median), ("rmse", np.mean), ("r2", np.mean)])
def test_a_regression_is_moved_by_what_the_metric_it_is_judged_by_asks_for(metric: str, centre: Any) -> None:
    given = nights("regression", 7, 14, 200, 1.5)
    residuals = np.concatenate([labels - scores for scores, labels in given])
    found = offset(spec("regression", metric=metric, at_most=20.0), given)
    assert found.values[0] == pytest.approx(float(centre(residuals)) * 14 / 21, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["classification", "multiclass", "regression"]),
    seed=SEEDS,
    many=st.integers(1, 5),
    rows=st.integers(1, 40),
    moved=st.floats(-8, 8),
    at_most=st.floats(0.01, 3),
)
def test_it_stays_within_its_bound_and_the_order_of_rows_and_nights_is_nothing_to_it(
    kind: str, seed: int, many: int, rows: int, moved: float, at_most: float
) -> None:
    model, given = spec(kind, at_most=at_most), nights(kind, seed, many, rows, moved)
    found = offset(model, given)
    assert max(map(abs, found.values)) <= at_most * (1 + 1e-6)
    rng = np.random.default_rng(seed)
    mixed = []
    for number in rng.permutation(many):
        order = rng.permutation(rows)
        mixed.append((given[number][0][order], given[number][1][order]))
    assert offset(model, mixed) == found


@pytest.mark.parametrize("kind", ["classification", "multiclass", "regression"])
def test_where_the_world_has_moved_farther_it_is_the_bound(kind: str) -> None:
    for moved in (5.0, -25.0):
        found = offset(spec(kind, at_most=0.3), nights(kind, 8, 14, 2_000, moved))
        assert found.values[0] == np.sign(moved) * 0.3
        assert max(map(abs, found.values)) == 0.3


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_little_is_made_of_little_and_labels_that_are_all_alike_are_no_reason_to_be_sure(
    label: float,
) -> None:
    model = spec(at_most=10.0)
    one = offset(model, [(np.array([0.2]), np.array([label]))])
    assert 0 < abs(one.values[0]) < 0.01
    night = (np.full(FULL, 0.2), np.full(FULL, label))
    assert abs(offset(model, [night]).values[0]) < 1
    sure = (np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    assert offset(model, [sure]).values == (0.0,)


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("score", [1 - 1.2e-16, 1 - 1e-15, 1 - 1e-10, 1e-300, 5e-324])
@pytest.mark.parametrize("rows", [1, 60])
@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_scores_next_to_certain_have_an_offset_that_is_a_number(
    score: float, label: float, rows: int, sure: float
) -> None:
    """Of a version whose classes lie far apart: beside rows that are certain, some are but for the last bit."""
    scores = np.append(np.full(rows, score), [sure] * 40)
    labels = np.append(np.full(rows, label), [sure] * 40)
    found = offset(spec(), [(scores, labels)] * 7)
    assert abs(found.values[0]) <= 1
    if round(score) == label and abs(score - label) < 5e-16:
        assert found.values == (0.0,), "all came true"

    several = np.stack([scores, (1 - scores) / 2, (1 - scores) / 2], axis=1)
    moved = offset(spec("multiclass"), [(several, np.where(labels == 1, 0.0, 1.0))] * 7)
    assert np.isfinite(moved.values).all()


def test_without_a_label_there_is_no_offset() -> None:
    assert offset(spec(), []).values == (0.0,)
    assert offset(spec("multiclass"), []).values == (0.0, 0.0, 0.0)
    pending = (np.full(100, 0.2), np.full(100, np.nan))
    assert offset(spec(), [pending]) == offset(spec(), [])
    known = drawn("classification", 1, 500, 0.5)
    assert offset(spec(), [pending, known]) == offset(spec(), [known])


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["classification", "multiclass", "regression"]), seed=SEEDS, by=st.floats(-2, 2))
def test_what_was_moved_comes_back(kind: str, seed: int, by: float) -> None:
    scores, _ = drawn(kind, seed, 50)
    values = (by, -by / 2, 0.1)[: len(CLASSES) if kind == "multiclass" else 1]
    moved = shifted(kind, scores, values)
    back = undone(kind, moved, values)
    assert np.abs(back - scores).max() <= 8 * np.exp(2) * np.spacing(np.abs(scores).max())
    # What is stored comes to the same every time: to undo and to move again settles nothing anew.
    again = undone(kind, moved.copy(), values)
    assert again.tobytes() == back.tobytes()


def test_an_offset_of_nothing_changes_no_bit_and_what_is_certain_stays_so() -> None:
    scores = np.random.default_rng(0).random(1_000)
    assert shifted("classification", scores, (0.0,)) is scores
    assert shifted("classification", np.array([0.0, 1.0]), (0.9,)).tolist() == [0.0, 1.0]
    assert shifted("multiclass", np.array([[0.0, 1.0]]), (0.9, -0.9)).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("kind", ["classification", "multiclass", "regression"])
@pytest.mark.parametrize("matures", [0, 1, 3])
def test_a_night_is_served_by_what_was_complete_by_then_and_never_by_what_came_later(
    kind: str, matures: int
) -> None:
    model = spec(kind, matures=matures, window_days=5, at_most=2.0)
    dates, scores, labels = series(kind)
    served = as_served(model, dates, scores, labels)
    chosen = NIGHT + timedelta(days=12)
    seen = window(model, chosen)
    assert seen.last == chosen - timedelta(days=max(matures, 1))
    assert (seen.last - seen.first).days == 4
    on = dates == np.datetime64(chosen)
    for day, counts in (
        (seen.last + timedelta(days=1), False),
        (seen.last, True),
        (seen.first, True),
        (seen.first - timedelta(days=1), False),
    ):
        other = labels.copy()
        changed = dates == np.datetime64(day)
        other[changed] = labels[changed] + 5 if kind == "regression" else 1 - np.minimum(labels[changed], 1)
        now = as_served(model, dates, scores, other)
        assert (now[on] != served[on]).any() == counts
        assert (now[dates <= np.datetime64(day)] == served[dates <= np.datetime64(day)]).all()
    hidden = labels.copy()
    hidden[dates > np.datetime64(seen.last)] = np.nan
    until = dates <= np.datetime64(chosen)
    assert (as_served(model, dates, scores, hidden)[until] == served[until]).all()


def test_rows_in_any_order_are_served_the_same_and_it_pays_where_the_world_has_moved() -> None:
    model = spec()
    dates, scores, labels = series("classification")
    served = as_served(model, dates, scores, labels)
    order = np.random.default_rng(1).permutation(len(dates))
    assert (as_served(model, dates[order], scores[order], labels[order]) == served[order]).all()
    assert metrics.log_loss(labels, served) < metrics.log_loss(labels, scores) - 0.01
    first = dates <= np.datetime64(NIGHT + timedelta(days=1))
    assert (served[first] == scores[first]).all()


def test_without_the_key_and_without_rows_scores_come_back_as_they_are() -> None:
    dates, scores, labels = series("classification")
    plain = spec().model_copy(update={"recalibrate": None})
    assert as_served(plain, dates, scores, labels) is scores
    assert as_served(spec(), dates[:0], scores[:0], labels[:0]).size == 0


def test_on_a_holdout_a_version_has_its_own_nights_before_it_and_none_that_it_was_fitted_on() -> None:
    model = spec()
    dates, scores, labels = series("classification", many=40)
    rows = pd.DataFrame({"batch_date": dates, "label": labels, "score": scores})
    asked: list[date] = []

    def predict(some: pd.DataFrame) -> np.ndarray:
        asked.append(some["batch_date"].min().date())
        return some["score"].to_numpy()

    first = NIGHT + timedelta(days=26)
    held = rows["batch_date"] >= pd.Timestamp(first)
    for train_last in (NIGHT, NIGHT + timedelta(days=20), first - timedelta(days=1)):
        found = on_holdout(model, rows, predict, train_last, first)
        own = rows["batch_date"] > pd.Timestamp(
            max(train_last, window(model, first).first - timedelta(days=1))
        )
        expected = as_served(model, dates[own], scores[own], labels[own])[held[own]]
        assert (found == expected).all()
        assert asked[-1] == rows.loc[own, "batch_date"].min().date()
    plain = model.model_copy(update={"recalibrate": None})
    assert (on_holdout(plain, rows, predict, NIGHT, first) == scores[held]).all()
    assert asked[-1] == first


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("regression", {"at_most": None}, "recalibrate.at_most: missing; .* in the unit of the target"),
        ("classification", {"at_most": 11.0}, "in logits of a classification, of which 10 say everything"),
        ("classification", {"at_most": 0.0}, "greater than 0"),
        ("classification", {"window_days": 0}, "greater than or equal to 1"),
        ("classification", {"nights": 3}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: str, given: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        spec(kind, **given)


def test_a_model_without_labels_has_nothing_to_be_recalibrated_by() -> None:
    with pytest.raises(ValidationError, match="target: missing, and recalibrate need labels"):
        Model.model_validate(
            {
                "name": "toy",
                "owner": "me",
                "description": "",
                "task": "classification",
                "features": "toy",
                "approval": "required",
                "approvers": ["me"],
                "recalibrate": {},
            }
        )


def test_it_is_told_in_words() -> None:
    found = offset(spec(), nights("classification", 1, 14, 1_000, 0.6))
    assert words(spec(), found).endswith(" on the logit, from 14,000 labels of 14 nights")
    assert words(spec(), None) == "as it says"
