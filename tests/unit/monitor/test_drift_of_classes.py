"""Predictions of several classes: each class's probability is watched, and the one that drifted is named."""

import json

import numpy as np
import pytest
from synthetic_nights import dates, equal, rows

from nightshift.errors import SchemaMismatch
from nightshift.monitor.drift import decide
from nightshift.monitor.profile import build_profile, counted
from nightshift.monitor.report import render
from nightshift.records.monitoring import DriftResult
from nightshift.records.profile import Profile
from nightshift.specs.model import Drift

CLASSES = ("early", "Light Rain", "<b>late</b>")
DRIFT = Drift(min_rows=100)


def said(seed: int, n: int, towards: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(towards, n)


@pytest.fixture(scope="module")
def profile() -> Profile:
    frame = rows(0, 4000)
    return build_profile(frame, said(1, 4000), dates(4000, 20), equal(frame), DRIFT, classes=CLASSES)


def judged(profile: Profile, predictions: np.ndarray) -> DriftResult:
    return decide(profile, counted(profile, rows(2, len(predictions)), predictions), DRIFT)


def test_a_profile_of_classes_survives_its_record(profile: Profile) -> None:
    again = Profile.from_json(profile.to_json())
    assert again == profile
    assert again.classes == CLASSES


def test_a_profile_from_before_there_were_classes_is_read() -> None:
    frame = rows(0, 1000)
    made = build_profile(frame, np.random.default_rng(0).random(1000), dates(1000, 10), equal(frame), DRIFT)
    content = json.loads(made.to_json())
    older = {**content, "predictions": content["predictions"][0]}
    assert Profile.from_json(json.dumps(older)) == made
    assert made.classes == ()


def test_the_same_predictions_do_not_drift(profile: Profile) -> None:
    found = judged(profile, said(3, 2000))
    assert found.status == "ok"
    assert [each.name for each in found.predictions] == list(CLASSES)
    assert not found.prediction_drifted


def test_the_class_whose_probability_drifted_is_named(profile: Profile) -> None:
    found = judged(profile, said(3, 2000, (2.0, 2.0, 30.0)))
    assert found.prediction_drifted
    assert any(reason.startswith("predictions of '<b>late</b>' drifted: PSI") for reason in found.reasons)
    assert found.prediction_psi == max(each.psi for each in found.predictions)
    assert found.predictions[2].drifted


def test_predictions_of_other_classes_are_refused(profile: Profile) -> None:
    with pytest.raises(SchemaMismatch, match="1 predictions a row for early, Light Rain"):
        judged(profile, said(3, 2000)[:, 0])


def test_the_report_shows_each_class_as_text(profile: Profile) -> None:
    frame = rows(2, 500)
    found = decide(profile, counted(profile, frame, said(3, 500, (2.0, 2.0, 30.0))), DRIFT)
    page = render(rows(0, 500)[["x0"]], frame[["x0"]], "classes", found).decode()
    assert (
        "PSI of each class&#x27;s probability: early" in page
        or "PSI of each class's probability: early" in page
    )
    assert "&lt;b&gt;late&lt;/b&gt;" in page
    assert "<b>late" not in page
