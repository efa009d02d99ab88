"""Evidence of predictions: against what models that had not seen a night said of it, and only of this version."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from nightshift.monitor import predictions, shift
from nightshift.monitor.profile import build_profile, counted
from nightshift.records.profile import Profile
from nightshift.records.sketches import Counts
from nightshift.specs.model import Drift

TRAINING, LATER, ROWS = 45, 30, 150


def said(nights: int, seed: int, level: float = 0.0) -> list[np.ndarray]:
    """Return the predictions of nights, each with an effect of its own."""
    random = np.random.default_rng(seed)
    logits = [level + 0.3 * random.normal() + random.normal(size=ROWS) for _ in range(nights)]
    return [1 / (1 + np.exp(-each)) for each in logits]


def trained(classes: tuple[str, ...] = ()) -> Profile:
    of_training = np.concatenate(said(TRAINING, 0))
    nights = pd.Series(pd.date_range("2013-01-01", periods=TRAINING)).repeat(ROWS)
    scores = np.stack([1 - of_training, of_training], axis=1) if classes else of_training
    frame = pd.DataFrame({"late": np.zeros(len(of_training))})
    return build_profile(frame, scores, nights, {"late": 1.0}, Drift(), classes=classes)


def served(profile: Profile, nights: list[np.ndarray]) -> dict[date, Counts]:
    found = {}
    for number, scores in enumerate(nights, start=1):
        frame = pd.DataFrame({"late": np.zeros(len(scores))})
        both = np.stack([1 - scores, scores], axis=1) if profile.classes else scores
        found[profile.last + timedelta(days=number)] = counted(profile, frame, both).predictions
    return found


def test_predictions_that_stay_are_no_evidence_and_those_that_move_are() -> None:
    profile = trained()
    calm = predictions.evidence(profile, served(profile, said(LATER, 1)))
    moved = predictions.evidence(profile, served(profile, said(10, 1) + said(LATER - 10, 2, level=1.0)))

    assert max(calm.totals) < shift.ALARM
    assert max(moved.totals[:10]) < shift.ALARM <= moved.total
    assert moved.found[0].column == "prediction"
    assert shift.words(moved.found[0]).startswith("prediction shifted: ")


def test_a_class_is_told_from_a_feature_of_its_name() -> None:
    profile = trained(classes=("early", "late"))
    moved = predictions.evidence(profile, served(profile, said(LATER, 2, level=1.5)))

    assert {each.column for each in moved.found} == {"prediction of 'early'", "prediction of 'late'"}


@pytest.mark.parametrize("nights", [0, LATER])
def test_without_a_reference_or_a_night_there_is_none(nights: int) -> None:
    profile = trained()
    without = profile.model_copy(update={"prediction_nights": ()}) if nights else profile

    assert predictions.evidence(without, served(profile, said(nights, 2, level=3.0))).nights == ()
