"""Harm: losses that grew, on the same nights, against always saying what was usual in training."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from nightshift.monitor import harm
from nightshift.records.profile import NightLoss, TrainingLosses

FIRST = date(2013, 1, 7)
ALARM = 365.0


def nights(
    count: int, *, begin: int = 0, seed: int = 0, skill: float = 0.1, rho: float = 0.0, sd: float = 0.05
) -> list[NightLoss]:
    """Return nights whose rows share an effect of their own, AR(1): hard days cost model and base alike."""
    random = np.random.default_rng(seed)
    effect, found = 0.0, []
    for number in range(begin, begin + count):
        effect = rho * effect + np.sqrt(1 - rho**2) * random.normal()
        hard = 0.5 * np.exp(0.3 * random.normal())
        loss = hard * (1 - skill) + 0.5 * sd * effect
        night = FIRST + timedelta(days=number)
        found.append(NightLoss(night=night, rows=900, loss=loss, base=hard, variance=1e-5))
    return found


def trained(count: int = 60, **how: float) -> TrainingLosses:
    return TrainingLosses(base=(0.8, 0.2), nights=tuple(nights(count, seed=99, **how)))


def alarms(later: list[NightLoss], training: TrainingLosses) -> list[int]:
    """Return the nights, by number, after which the evidence passes the alarm."""
    told = []
    for last in range(1, len(later) + 1):
        found = harm.evidence(training, later[:last], ALARM)
        assert found
        if found.evidence >= ALARM:
            told.append(last - 1)
    return told


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_hard_days_are_no_harm(rho: float) -> None:
    told = [bool(alarms(nights(120, begin=60, seed=seed, rho=rho), trained(rho=rho))) for seed in range(6)]
    assert sum(told) <= 1, told


@pytest.mark.parametrize("learned", [56, 180])
def test_weekends_that_are_worse_hide_no_harm(learned: int) -> None:
    def of(count: int, begin: int, seed: int, skill: float = 0.1) -> list[NightLoss]:
        every = nights(count, begin=begin, seed=seed, skill=skill)
        return [
            each.model_copy(update={"loss": each.loss + 0.06 * (each.night.weekday() >= 5)}) for each in every
        ]

    training = TrainingLosses(base=(0.8, 0.2), nights=tuple(of(learned, 0, 99)))
    for seed in range(4):
        told = alarms(of(42, learned, seed, skill=-0.05), training)
        assert told
        assert told[0] <= 21


def test_a_model_that_lost_its_skill_is_found_within_a_fortnight() -> None:
    for seed in range(4):
        later = nights(20, begin=60, seed=seed) + nights(28, begin=80, seed=seed + 50, skill=-0.05)
        told = alarms(later, trained())
        assert told
        assert 20 <= told[0] <= 34, (seed, told[:3])
    found = harm.evidence(trained(), later, ALARM)
    assert found
    assert found.usual == pytest.approx(0.1, abs=0.02)
    assert found.skill == pytest.approx(-0.05, abs=0.03)
    assert found.words.startswith("skill -0.0")


def test_losses_that_shrink_are_no_harm() -> None:
    assert alarms(nights(60, begin=60, skill=0.4), trained()) == []


def test_few_nights_of_training_or_none_after_it_say_nothing() -> None:
    assert harm.evidence(trained(13), nights(10, begin=60), ALARM) is None
    assert harm.evidence(trained(14), nights(10, begin=60), ALARM) is not None
    assert harm.evidence(trained(), [], ALARM) is None


def test_losses_of_nights_by_hand() -> None:
    dates = pd.Series(pd.to_datetime(["2013-01-07", "2013-01-07", "2013-01-08"]))
    truth, said = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.2, 0.9])
    base = harm.base_of("classification", np.array([0.0, 0.0, 0.0, 1.0]))
    assert base == (0.75, 0.25)
    one, two = harm.night_losses("classification", dates, truth, said, base)
    assert (one.night, one.rows, two.rows, two.variance) == (date(2013, 1, 7), 2, 1, None)
    assert one.loss == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert one.base == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    beyond = np.array([-np.log(0.5) + np.log(0.25), -np.log(0.8) + np.log(0.75)])
    assert one.variance == pytest.approx(beyond.var(ddof=1) / 2)


def test_losses_of_classes_and_of_numbers_by_hand() -> None:
    dates = pd.Series(pd.to_datetime(["2013-01-07"] * 2))
    base = harm.base_of("multiclass", np.array([0.0, 1.0, 1.0, 2.0]), 4)
    assert base == (0.25, 0.5, 0.25, 0.0)
    said = np.array([[0.1, 0.7, 0.1, 0.1], [0.4, 0.2, 0.2, 0.2]])
    [night] = harm.night_losses("multiclass", dates, np.array([1.0, 0.0]), said, base)
    assert night.loss == pytest.approx(-(np.log(0.7) + np.log(0.4)) / 2)
    assert night.base == pytest.approx(-(np.log(0.5) + np.log(0.25)) / 2)
    assert harm.base_of("regression", np.array([1.0, 2.0, 9.0])) == (2.0,)
    [night] = harm.night_losses("regression", dates, np.array([1.0, 5.0]), np.array([2.0, 2.0]), (2.0,))
    assert (night.loss, night.base) == (2.0, 2.0)
