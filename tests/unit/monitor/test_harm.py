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


def rare(seed: int, share: float, rows: int, learned: int, later: int, *, lost: bool = False) -> int | None:
    """Return the night of a calibrated model on which harm is told, None if on none; ``lost``: its skill is gone."""
    random = np.random.default_rng(seed)
    logit = np.log(share / (1 - share)) - 2 + 2 * random.standard_normal(rows * (learned + later))
    said = 1 / (1 + np.exp(-logit))
    truth = (random.random(logit.size) < said).astype(float)
    cut = rows * learned
    if lost:
        said[cut:] = random.permutation(said[cut:])
    dates = pd.Series(np.repeat(pd.date_range(FIRST, periods=learned + later), rows))
    training = harm.of_training("classification", dates[:cut], pd.Series(truth[:cut]), said[:cut])
    nights = harm.night_losses("classification", dates[cut:], truth[cut:], said[cut:], training.base)
    told = np.flatnonzero(harm.after_each(training, nights) >= ALARM)
    return int(told[0]) + 1 if told.size else None


@pytest.mark.parametrize(("share", "rows"), [(0.001, 200), (0.01, 20), (0.02, 200), (0.05, 100)])
def test_rare_outcomes_are_no_harm_however_many_nights_were_learned_from(share: float, rows: int) -> None:
    """A night without any lies above the mean, and by itself looks as if chance had hardly moved it."""
    told = [rare(seed, share, rows, 400, 365) for seed in range(12)]
    assert sum(each is not None for each in told) <= 1, told


@pytest.mark.parametrize(("share", "rows", "within"), [(0.02, 200, 7), (0.05, 100, 7)])
def test_of_rare_outcomes_lost_skill_is_found_within_a_week(share: float, rows: int, within: int) -> None:
    told = [rare(seed, share, rows, 400, 28, lost=True) for seed in range(12)]
    assert None not in told
    assert np.median([each or 0 for each in told]) <= within


def test_targets_with_long_tails_are_no_harm() -> None:
    def told(seed: int) -> bool:
        random, rows, learned, later = np.random.default_rng(seed), 50, 400, 365
        n, cut = rows * (learned + later), rows * learned
        known = 1.5 * random.standard_normal(n)
        truth, said = np.exp(known + 0.5 * random.standard_normal(n)), np.exp(known)
        dates = pd.Series(np.repeat(pd.date_range(FIRST, periods=learned + later), rows))
        training = harm.of_training("regression", dates[:cut], pd.Series(truth[:cut]), said[:cut])
        nights = harm.night_losses("regression", dates[cut:], truth[cut:], said[cut:], training.base)
        return bool((harm.after_each(training, nights) >= ALARM).any())

    assert sum(told(seed) for seed in range(12)) <= 1


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
