"""The evaluation: the same rows and days for both, a slice at a time, and how sure."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from nightshift import metrics
from nightshift.govern import evaluate
from nightshift.records.decisions import Evaluation


def holdout(days: int = 14, a_day: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = days * a_day
    first = date(2013, 1, 1)
    return pd.DataFrame(
        {
            "batch_date": [first + timedelta(days=n // a_day) for n in range(rows)],
            "origin": pd.Series(rng.choice(["JFK", "LGA", None], rows, p=[0.6, 0.35, 0.05]), dtype="str"),
            "label": (rng.random(rows) < 0.3).astype(float),
        }
    )


def scores(rows: pd.DataFrame, knowledge: float) -> np.ndarray:
    noise = np.random.default_rng(2).random(len(rows))
    return np.clip(0.3 + knowledge * (rows["label"].to_numpy() - 0.3) + 0.5 * (noise - 0.5), 0.01, 0.99)


def test_metrics_overall_and_by_slice_are_those_of_the_rows() -> None:
    rows = holdout()
    mine, theirs = scores(rows, 0.3), scores(rows, 0.1)
    found = evaluate("classification", rows, mine, theirs, slices=["origin"])
    assert found.overall.challenger == metrics.score("classification", rows["label"], mine)
    assert found.overall.champion == metrics.score("classification", rows["label"], theirs)
    jfk = (rows["origin"] == "JFK").to_numpy()
    assert found.slices["origin=JFK"].challenger == metrics.score(
        "classification", rows["label"][jfk], mine[jfk]
    )
    assert set(found.slices) <= {"origin=JFK", "origin=LGA", "origin=(missing)"}
    assert {"origin=JFK", "origin=LGA"} <= set(found.slices)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(["x" * 60 + "kitchen", "x" * 60 + "garden"], id="one beginning"),
        pytest.param([None, "(missing)"], id="a text that is called as what is missing"),
    ],
)
def test_values_that_differ_are_slices_of_their_own(values: list[str | None]) -> None:
    rows = holdout()
    rows["origin"] = pd.Series([values[n % 2] for n in range(len(rows))], dtype="str")
    found = evaluate("classification", rows, scores(rows, 0.3), None, slices=["origin"])
    assert [part.rows for part in found.slices.values()] == [len(rows) / 2] * 2
    assert max(map(len, found.slices)) <= len("origin=") + 75
    assert len(found.record().slices) == 2


def test_a_better_challenger_is_better_in_every_resample_and_an_equal_one_in_none() -> None:
    rows = holdout()
    mine, theirs = scores(rows, 0.3), scores(rows, 0.1)
    better = evaluate("classification", rows, mine, theirs)
    assert better.overall.share("log_loss", 0.0) == 1.0
    assert better.overall.share("roc_auc", 0.0) == 1.0
    assert evaluate("classification", rows, theirs, theirs).overall.share("log_loss", 0.0) == 0.0


def test_a_gain_that_one_day_makes_is_not_sure() -> None:
    rows = holdout(a_day=60)
    theirs = np.full(len(rows), 0.3)
    one_day = (rows["batch_date"] == rows["batch_date"].iloc[0]).to_numpy()
    mine = np.where(one_day, scores(rows, 0.9), theirs)
    gained = evaluate("classification", rows, mine, theirs)
    assert (gained.overall.gain("log_loss") or 0) > 0.01
    # a resample misses one day of 14 with probability (13/14)^14 = 0.35
    assert 0.55 < gained.overall.share("log_loss", 0.0) < 0.75


def test_an_interval_holds_the_value_and_grows_with_fewer_days() -> None:
    many, few = holdout(days=40), holdout(days=6)
    widths = []
    for rows in (many, few):
        found = evaluate("classification", rows, scores(rows, 0.3), None)
        low, high = found.intervals["log_loss"] or (0.0, 0.0)
        assert low < (found.overall.challenger["log_loss"] or 0) < high
        widths.append(high - low)
    assert widths[0] < widths[1]


def test_too_few_days_have_no_interval_and_no_confidence() -> None:
    rows = holdout(days=4)
    found = evaluate("classification", rows, scores(rows, 0.3), scores(rows, 0.1))
    assert set(found.intervals.values()) == {None}
    assert found.overall.share("log_loss", 0.0) == 0.0


def test_a_dear_metric_is_resampled_only_if_a_gate_asks() -> None:
    rows = holdout()
    assert "average_precision" not in evaluate("classification", rows, scores(rows, 0.3), None).intervals
    asked = evaluate("classification", rows, scores(rows, 0.3), None, asked=["average_precision"])
    assert asked.intervals["average_precision"]


def test_it_can_be_kept_as_json_and_is_the_same_each_time() -> None:
    rows = holdout()
    kept = [
        TypeAdapter(Evaluation)
        .dump_json(
            evaluate("classification", rows, scores(rows, 0.3), scores(rows, 0.1), slices=["origin"]).record()
        )
        .decode()
        for _ in range(2)
    ]
    assert kept[0] == kept[1]
    assert "NaN" not in kept[0]


@pytest.mark.parametrize(
    ("truth", "score", "error"),
    [
        ([0, 1] * 50, [0.5] * 100, 0.0),
        ([1] * 100, [0.5] * 100, 0.5),
        ([0] * 50 + [1] * 50, [0.1] * 50 + [0.9] * 50, 0.1),
        ([], [], None),
    ],
)
def test_calibration_error_is_how_far_probabilities_are_off(
    truth: list[int], score: list[float], error: float | None
) -> None:
    found = metrics.calibration_error(truth, score)
    assert found is None if error is None else found == pytest.approx(error)


def test_a_calibrated_forecast_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    truth = (rng.random(p.size) < p).astype(float)
    assert (metrics.calibration_error(truth, p) or 1) < 0.015
    assert (metrics.calibration_error(truth, p**2) or 0) > 0.1


def test_every_slice_of_enough_rows_is_judged_and_the_largest_are_kept() -> None:
    rng = np.random.default_rng(4)
    rows = holdout(30, 200).assign(
        origin=[f"O{n:02}" for n in rng.permutation(np.repeat(np.arange(30), 200))]
    )
    found = evaluate("classification", rows, scores(rows, 0.3), scores(rows, 0.1), slices=["origin"])
    assert len(found.slices) == 30
    assert list(found.record().slices) == list(found.slices)[:20]
    few = rows.head(900)
    assert not evaluate("classification", few, scores(few, 0.3), scores(few, 0.1), slices=["origin"]).slices
    more = evaluate("classification", few, scores(few, 0.3), scores(few, 0.1), slices=["origin"], fewest=10)
    assert len(more.slices) == 30
