"""Probation: a champion as good as the version before stays; one that is surely worse is seen within nights."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from nightshift.monitor.probation import evidence
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


def training(random: np.random.Generator, nights: int = 60, sd: float = 0.03) -> list[NightLoss]:
    """Return a training's nights, whose losses are below those of knowing nothing by what moves by ``sd``."""
    return [
        NightLoss(
            night=FIRST - timedelta(days=n + 1), rows=900, loss=0.55 + float(beyond), base=0.6, variance=1e-5
        )
        for n, beyond in enumerate(sd * random.normal(size=nights))
    ]


def passes(
    random: np.random.Generator,
    shift: float,
    rho: float = 0.0,
    sd: float = 0.01,
    trained: Sequence[NightLoss] = (),
) -> int | None:
    """Return the night of a probation after which the evidence passes the limit, or None."""
    own = random.normal(size=NIGHTS) * np.sqrt(1 - rho**2)
    for night in range(1, NIGHTS):
        own[night] += rho * own[night - 1]
    then, differences = gate(random, sd=sd), shift + sd * own
    for night in range(1, NIGHTS + 1):
        if evidence(then, differences[:night].tolist(), trained) >= LIMIT:
            return night
    return None


@pytest.mark.parametrize(("rho", "most"), [(0.0, 5), (0.5, 9)])
def test_a_champion_that_is_as_good_is_hardly_ever_rolled_back(rho: float, most: int) -> None:
    random = np.random.default_rng(0)
    assert sum(passes(random, 0.0, rho) is not None for _ in range(300)) <= most


def test_the_spread_against_knowing_nothing_does_not_make_it_go_back() -> None:
    # As if a new model differed from the one before by as much as that one from none.
    random = np.random.default_rng(6)
    assert sum(passes(random, 0.0, sd=0.03, trained=training(random)) is not None for _ in range(300)) <= 5


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
    since = (0.4 + 0.02 * random.normal(size=NIGHTS)).tolist()
    assert next(n for n in range(1, NIGHTS + 1) if evidence(wild, since[:n]) >= LIMIT) <= 7


def test_a_champion_that_won_on_broken_outcomes_is_seen_within_three_nights() -> None:
    random = np.random.default_rng(7)
    broken, trained = gate(random, sd=0.3), training(random)
    since = (0.12 + 0.03 * random.normal(size=3)).tolist()
    assert evidence(broken, since) < LIMIT <= evidence(broken, since, trained)


def test_one_night_alone_is_never_enough() -> None:
    random = np.random.default_rng(3)
    assert evidence(gate(random), [5.0], training(random)) < LIMIT


def test_a_gate_of_few_nights_or_no_labels_say_nothing() -> None:
    random = np.random.default_rng(4)
    assert evidence(gate(random, 4), [1.0] * 10) == 1.0
    assert evidence(gate(random), []) == 1.0
