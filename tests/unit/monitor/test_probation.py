"""Probation: a champion as good as the version before stays; one that is surely worse is seen within nights."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct
from scipy.stats import t as student

from nightshift.metrics import difference_variances, row_losses
from nightshift.monitor.harm import base_of, night_losses
from nightshift.monitor.probation import Since, _log_ratios, evidence
from nightshift.monitor.shift import SIZES
from nightshift.records.decisions import PairedNight
from nightshift.records.profile import NightLoss

FIRST, LIMIT, NIGHTS = date(2013, 1, 7), 100.0, 14


def gate(random: np.random.Generator, nights: int = 14, sd: float = 0.01) -> list[PairedNight]:
    """Return both losses on the nights of a holdout, whose difference moves by ``sd``."""
    theirs = 0.5 + 0.05 * random.normal(size=nights)
    mine = theirs - 0.01 + sd * random.normal(size=nights)
    return [
        PairedNight(FIRST + timedelta(days=n), 900, float(a), float(b))
        for n, (a, b) in enumerate(zip(mine, theirs, strict=True))
    ]


def training(beyond: Iterable[float]) -> list[NightLoss]:
    """Return a training's nights, whose losses are .05 below those of knowing nothing, and above that by ``beyond``."""
    return [
        NightLoss(night=FIRST - timedelta(days=n), rows=900, loss=0.55 + each, base=0.6, variance=1e-5)
        for n, each in enumerate(map(float, beyond), start=1)
    ]


def since(differences: Iterable[float], rows: int = 900) -> list[Since]:
    """Return nights since the promotion, of so many rows each."""
    return [Since(rows, float(each)) for each in differences]


def passes(random: np.random.Generator, shift: float, rho: float = 0.0, sd: float = 0.01) -> int | None:
    """Return the night of a probation after which the evidence passes the limit, or None."""
    own = random.normal(size=NIGHTS) * np.sqrt(1 - rho**2)
    for night in range(1, NIGHTS):
        own[night] += rho * own[night - 1]
    then, differences = gate(random, sd=sd), shift + sd * own
    for night in range(1, NIGHTS + 1):
        if evidence(then, since(differences[:night])) >= LIMIT:
            return night
    return None


@pytest.mark.parametrize(("rho", "most"), [(0.0, 5), (0.5, 9)])
def test_a_champion_that_is_as_good_is_hardly_ever_rolled_back(rho: float, most: int) -> None:
    random = np.random.default_rng(0)
    assert sum(passes(random, 0.0, rho) is not None for _ in range(300)) <= most


@pytest.mark.parametrize("freedom", [3, 1000])
def test_the_spread_against_knowing_nothing_does_not_make_it_go_back(freedom: int) -> None:
    # As if a new model differed from the one before by as much as that one from none, on nights some of which are odd.
    random, gone = np.random.default_rng(6), 0
    for _ in range(300):
        then = gate(random, sd=0.0)
        then = [
            replace(night, challenger=night.champion + 0.03 * random.standard_t(freedom)) for night in then
        ]
        later = since(0.03 * random.standard_t(freedom, NIGHTS))
        trained = training(0.03 * random.standard_t(freedom, 60))
        gone += any(evidence(then, later[:night], trained) >= LIMIT for night in range(1, NIGHTS + 1))
    assert gone <= 5


def test_a_champion_that_is_better_never_is() -> None:
    random = np.random.default_rng(1)
    assert all(passes(random, -0.01) is None for _ in range(100))


@pytest.mark.parametrize(("shift", "within"), [(0.03, 4), (0.1, 2)])
def test_one_that_is_worse_is_seen_within_nights(shift: float, within: int) -> None:
    random = np.random.default_rng(2)
    found = [passes(random, shift) for _ in range(100)]
    assert None not in found
    assert np.median([night or 0 for night in found]) <= within


def test_a_difference_that_no_gate_showed_is_seen_by_the_nights_themselves() -> None:
    # A challenger that won by a lot one night and lost the next: the gate's nights say nothing of what is usual.
    random = np.random.default_rng(5)
    wild = gate(random, sd=1.0)
    later = since(0.4 + 0.02 * random.normal(size=NIGHTS))
    assert next(n for n in range(1, NIGHTS + 1) if evidence(wild, later[:n]) >= LIMIT) <= 7


def test_a_champion_that_won_on_broken_outcomes_is_seen_within_four_nights() -> None:
    random = np.random.default_rng(7)
    broken = gate(random, sd=0.16)
    # A blizzard is in the training of the version before.
    trained = training([*(0.04 * random.normal(size=100)), -0.44, -0.28])
    later = since([0.055, 0.164, 0.246, 0.138])
    assert evidence(broken, later) < LIMIT <= evidence(broken, later, trained)


def test_one_night_alone_is_never_enough() -> None:
    random = np.random.default_rng(3)
    assert evidence(gate(random), since([5.0]), training(0.03 * random.normal(size=60))) < LIMIT


def test_a_gate_of_few_nights_or_no_labels_say_nothing() -> None:
    random = np.random.default_rng(4)
    assert evidence(gate(random, 4), since([1.0] * 10)) == 1.0
    assert evidence(gate(random), []) == 1.0


def rare(seed: int, share: float, rows: int, before: float, broken: bool) -> bool:
    """Return whether a calibrated champion goes back that took the place of one whose logits are off by ``before``.

    ``broken``: since its promotion it says nothing of who is likelier than whom.
    """
    random = np.random.default_rng(seed)
    usual = np.log(share / (1 - share)) - 2

    def night(lost: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        logit, noise = usual + 2 * random.standard_normal(rows), 0.3 * random.standard_normal((2, rows))
        truth = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
        mine = usual + 2 * random.standard_normal(rows) if lost else logit + noise[0]
        return truth, 1 / (1 + np.exp(-mine)), 1 / (1 + np.exp(-(logit + before + noise[1])))

    def losses(truth: np.ndarray, *said: np.ndarray) -> list[float]:
        return [float(row_losses("classification", truth, each).mean()) for each in said]

    truth, _, theirs = map(np.concatenate, zip(*(night() for _ in range(90)), strict=True))
    dates = pd.Series(np.repeat(pd.date_range(FIRST, periods=90), rows))
    trained = night_losses("classification", dates, truth, theirs, base_of("classification", truth))
    then = []
    for number in range(NIGHTS):
        made = night()
        chance = float(difference_variances("classification", *made).mean()) / rows
        then.append(PairedNight(FIRST + timedelta(days=number), rows, *losses(*made), chance))
    later = [Since(rows, mine - other) for mine, other in (losses(*night(broken)) for _ in range(NIGHTS))]
    return any(evidence(then, later[:n], trained) >= LIMIT for n in range(1, NIGHTS + 1))


@pytest.mark.parametrize(
    ("share", "rows", "before"), [(0.001, 200, -0.7), (0.01, 20, -0.5), (0.005, 40, -0.5)]
)
def test_of_rare_outcomes_a_better_champion_stays(share: float, rows: int, before: float) -> None:
    """Most nights have none, and on these it loses by the same little."""
    assert sum(rare(seed, share, rows, before, broken=False) for seed in range(30)) == 0


def test_of_rare_outcomes_one_that_knows_nothing_goes_back() -> None:
    assert sum(rare(seed, 0.01, 200, 0.0, broken=True) for seed in range(15)) == 15


@pytest.mark.parametrize(
    ("shift", "least", "most"), [(-0.1, 0, 1), (0.0, 0, 1), (0.1, LIMIT, 1e12), (50.0, LIMIT, 1e12)]
)
@pytest.mark.parametrize("nights", [150, 250, 366])
def test_a_probation_of_a_year_is_judged_on_its_last_night(
    nights: int, shift: float, least: float, most: float
) -> None:
    random = np.random.default_rng(1)
    found = evidence(gate(random), since(shift + 0.01 * random.normal(size=nights)))
    assert least <= found <= most * (1 + 1e-9)


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 30])
@pytest.mark.parametrize("t", [-4.0, -0.5, 0.0, 1.0, 6.0])
def test_the_ratio_is_that_of_the_densities_where_these_are_numbers(degrees: int, t: float) -> None:
    shifts = SIZES * np.sqrt(degrees)
    wanted = np.log(nct.pdf(t, degrees, shifts) / student.pdf(t, degrees))
    assert _log_ratios(t, degrees, shifts) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("differences", "is_worse"),
    [([0.0] * 14, False), ([0.2] * 14, True), ([-0.2] * 14, False), ([0.0], False)],
)
def test_two_that_were_never_off_are_judged_by_what_they_are_off_now(
    differences: list[float], is_worse: bool
) -> None:
    """Of a target that is mostly one number both may have said it all through the holdout."""
    then = [
        replace(night, challenger=0.0, champion=0.0, chance=0.0) for night in gate(np.random.default_rng(0))
    ]
    assert (evidence(then, since(differences)) >= LIMIT) is is_worse
