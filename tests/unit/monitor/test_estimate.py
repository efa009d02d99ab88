"""Performance before labels: what is estimated from a sketch, how sure it is, and what it owns up to."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightshift import metrics
from nightshift.metrics import Task
from nightshift.monitor import estimate
from nightshift.monitor.estimate import FEWEST_NIGHTS, Past
from nightshift.monitor.profile import build_profile
from nightshift.monitor.sketches import merge, sketch
from nightshift.platform.predictions import edges_of_predictions
from nightshift.records.monitoring import Estimated
from nightshift.records.profile import Estimation, Profile
from nightshift.records.sketches import Edges
from nightshift.specs.model import Drift

FIRST = date(2026, 1, 1)
COLUMN = ["prediction"]


def nights(seed: int, count: int = 40, rows: int = 600, spread: float = 0.0) -> pd.DataFrame:
    """Return predictions that say too extreme probabilities, and labels; ``spread``: how nights differ, in logits."""
    random = np.random.default_rng(seed)
    night = np.repeat(np.arange(count), rows)
    logit = random.normal(-1, 1.2, night.size) + random.normal(0, spread, count)[night]
    label = (random.random(night.size) < 1 / (1 + np.exp(-logit))).astype(float)
    said = 1 / (1 + np.exp(-1.6 * (logit + random.normal(0, 0.3, night.size))))
    dates = [FIRST + timedelta(days=int(n)) for n in night]
    return pd.DataFrame(
        {"prediction": said, "label": label, "batch_date": pd.to_datetime(dates), "night": night}
    )


def learned(frame: pd.DataFrame, task: Task = "classification") -> tuple[Estimation, Edges]:
    said = frame["prediction"].to_numpy()
    found = estimate.learn(task, (), said, frame["label"], frame["batch_date"])
    profile = build_profile(
        frame[COLUMN], said, frame["batch_date"], {"prediction": 1.0}, Drift(), estimation=found
    )
    return found, edges_of_predictions(Profile.from_json(profile.to_json()))


def test_the_estimate_is_that_of_the_calibrator_on_every_row() -> None:
    training, tonight = nights(0), nights(1, count=1, rows=20_000)
    found, edges = learned(training)
    said = estimate.estimate(found, sketch(tonight[COLUMN], edges), edges, {})
    real = metrics.score("classification", tonight["label"], tonight["prediction"])
    p = tonight["prediction"].to_numpy()
    trusting = float(np.mean(-p * np.log(p) - (1 - p) * np.log(1 - p)))
    assert set(said) == set(real)
    for name, value in real.items():
        assert value is not None
        assert said[name].value == pytest.approx(value, abs=3 * max(said[name].deviation, 0.004)), name
    assert abs(trusting - (real["log_loss"] or 0)) > 10 * abs(
        said["log_loss"].value - (real["log_loss"] or 0)
    )


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 400), cut=st.integers(0, 400))
def test_the_estimate_of_a_sketch_is_that_of_its_rows_however_they_came(
    seed: int, rows: int, cut: int
) -> None:
    found, edges = LEARNED
    frame = nights(seed, count=1, rows=rows)[COLUMN]
    whole = estimate.estimate(found, sketch(frame, edges), edges, {})
    halves = merge(sketch(frame[:cut], edges), sketch(frame[cut:], edges))
    assert estimate.estimate(found, halves, edges, {}) == whole
    for each in whole.values():
        assert each.low is not None
        assert each.high is not None
        assert 0 <= each.low <= each.value <= each.high
    assert all(whole[name].high <= 1 for name in ("roc_auc", "brier", "average_precision") if name in whole)  # type: ignore[operator]


LEARNED = learned(nights(0))


def test_the_interval_holds_nine_nights_of_ten_also_where_nights_differ() -> None:
    for spread in (0.0, 0.4):
        found, edges = learned(nights(2, spread=spread))
        held = dict.fromkeys(found.misses, 0)
        later = nights(3, count=100, spread=spread)
        for _, rows in later.groupby("night"):
            said = estimate.estimate(found, sketch(rows[COLUMN], edges), edges, {})
            real = metrics.score("classification", rows["label"], rows["prediction"])
            for name, each in said.items():
                held[name] += each.low <= real[name] <= each.high  # type: ignore[operator]
        assert min(held.values()) >= 78, (spread, held)
        assert 85 <= np.mean(list(held.values())) <= 97, (spread, held)


def test_an_interval_that_misses_widens_and_says_how_seldom_it_was_right() -> None:
    found, edges = LEARNED
    tonight = sketch(nights(5, count=1)[COLUMN], edges)
    before = estimate.estimate(found, tonight, edges, {})["log_loss"]
    missed = [Past(before, before.value + 6 * before.deviation)] * 5
    after = estimate.estimate(found, tonight, edges, {"log_loss": missed})["log_loss"]
    assert after.value == before.value, "labels judge the estimate and do not move it"
    assert (after.high or 0) - after.value >= 6 * after.deviation > 0
    assert estimate.coverage(missed) == (0, 5)
    assert "right on 0 of 5 nights, which is too seldom: trust the labels" in estimate.words(
        "log_loss", after, 0, 5
    )
    assert estimate.words("log_loss", after, 34, 38).endswith("right on 34 of 38 nights")


def test_of_few_nights_there_is_a_value_and_no_interval() -> None:
    found, edges = learned(nights(0, count=FEWEST_NIGHTS - 1))
    said = estimate.estimate(found, sketch(nights(1, count=1)[COLUMN], edges), edges, {})["log_loss"]
    assert (said.low, said.high) == (None, None)
    assert "no interval" in estimate.words("log_loss", said, 0, 0)
    assert estimate.coverage([Past(said, 1.0)]) == (0, 0)


@pytest.mark.parametrize(("rows", "usual"), [(5, -1.4), (100, -5.5)])
def test_of_few_positives_the_average_precision_is_not_that_of_fractions_of_one(
    rows: int, usual: float
) -> None:
    """A night with one positive at the top comes to 1; a hundredth of a positive everywhere to next to nothing."""
    random = np.random.default_rng(4)
    night = np.repeat(np.arange(400), rows)
    logit = usual + 1.5 * random.standard_normal(night.size)
    said = 1 / (1 + np.exp(-logit))
    label = (random.random(night.size) < said).astype(float)
    dates = pd.to_datetime([FIRST + timedelta(days=int(n)) for n in night])
    frame = pd.DataFrame({"prediction": said, "label": label, "batch_date": dates, "night": night})
    found, edges = learned(frame[frame["night"] < 60])
    later = [part for _, part in frame[frame["night"] >= 60].groupby("night")]
    estimated = [estimate.estimate(found, sketch(part[COLUMN], edges), edges, {}) for part in later]
    real = [metrics.average_precision(part["label"], part["prediction"]) for part in later]
    values = [each["average_precision"].value for each in estimated]
    assert np.mean(values) == pytest.approx(np.nanmean(real), abs=0.08)


def test_what_is_not_defined_is_left_out() -> None:
    found, edges = LEARNED
    assert estimate.estimate(found, sketch(nights(1, count=1)[COLUMN][:0], edges), edges, {}) == {}
    assert estimate.words("roc_auc", None, 0, 0) == "roc_auc cannot be estimated from these predictions"


def test_of_a_regression_the_error_follows_the_prediction() -> None:
    random = np.random.default_rng(0)
    frame = nights(0)
    frame["prediction"] = random.gamma(2.0, 50.0, len(frame))
    frame["label"] = frame["prediction"] * (1 + random.normal(0, 0.2, len(frame)))
    found, edges = learned(frame, "regression")
    tonight = frame[frame["prediction"] > 150]
    said = estimate.estimate(found, sketch(tonight[COLUMN], edges), edges, {})
    real = metrics.score("regression", tonight["label"], tonight["prediction"])
    usual = metrics.score("regression", frame["label"], frame["prediction"])
    assert set(said) == {"mae", "rmse"}
    for name, each in said.items():
        assert each.value == pytest.approx(real[name], rel=0.03)
        assert each.value > 1.5 * (usual[name] or 0)


def test_of_several_classes_the_loss_is_estimated_and_what_needs_the_likeliest_is_not() -> None:
    random = np.random.default_rng(0)
    size = 40 * 500
    truth = random.dirichlet([2.0, 1.0, 0.7], size)
    label = pd.Series((random.random(size)[:, None] > truth.cumsum(axis=1)).sum(axis=1).astype(float))
    said = truth**1.5 / (truth**1.5).sum(axis=1, keepdims=True)
    dates = pd.Series(pd.to_datetime([FIRST + timedelta(days=n) for n in range(40) for _ in range(500)]))
    names = ("late", "on time", "never")
    found = estimate.learn("multiclass", names, said, label, dates)
    profile = build_profile(
        pd.DataFrame({"x": said[:, 0]}), said, dates, {"x": 1.0}, Drift(), classes=names, estimation=found
    )
    edges = edges_of_predictions(profile)
    some = np.arange(size) % 7 == 0
    got = estimate.estimate(found, sketch(pd.DataFrame(said[some], columns=list(names)), edges), edges, {})
    real = metrics.score("multiclass", label[some], said[some])
    assert set(got) == {"log_loss", "roc_auc_ovr"}
    for name, each in got.items():
        assert each.value == pytest.approx(real[name], abs=0.015)


def test_a_curve_is_of_64_steps_at_most_and_never_falls() -> None:
    (curve,) = LEARNED[0].curves
    assert 32 < len(curve.at) <= 64
    assert list(curve.at) == sorted(curve.at)
    assert list(curve.expected) == sorted(curve.expected)


def test_bins_are_narrow_where_predictions_lie() -> None:
    rare = nights(0)
    rare["prediction"] = rare["prediction"] / 50
    _, edges = learned(rare)
    inside = [edge for edge in edges.columns[0].edges if 0 < edge < 0.02]
    assert len(inside) > 32
    assert len(edges.columns[0].edges) <= 64 + 17


def test_a_profile_from_before_there_were_estimates_still_loads() -> None:
    frame = nights(0, count=3)
    kept = build_profile(
        frame[COLUMN], frame["prediction"].to_numpy(), frame["batch_date"], {"prediction": 1.0}, Drift()
    )
    old = kept.model_dump(mode="json")
    del old["estimation"]
    assert Profile.model_validate(old) == kept


def test_what_an_interval_is_of_is_told() -> None:
    said = estimate.words("log_loss", Estimated(0.5, 0.01, 0.48, 0.52), 0, 0)
    assert said == (
        "log_loss 0.5000 expected (90% interval 0.4800 to 0.5200); no night with such an estimate has its labels yet"
    )
