"""Is the new champion surely worse than the version before? Both scored the same nights; one is read by nobody.

What is looked at is the difference of their mean losses, night by night. Evidence is a test martingale (Ramdas,
Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science
38(4)): it may be looked at every night, and a champion that is as good passes 100 in one of 100 probations. Half of it
takes how far the difference moves by itself from the holdout of the gate, where both were measured on the same rows;
the other half knows only the nights since: the ratio of Student's t with and without a shift (Pérez-Ortiz, Lardy, de
Heide and Grünwald 2024, "E-statistics, group invariance and anytime-valid testing", Annals of Statistics 52(4)).

A gate on broken outcomes would say that any difference is usual. Two models that learned hardly differ more from each
other than one of them from knowing nothing: the gate's spread counts up to that one, of the training of the version
before; by its median absolute deviation, as a blizzard among a hundred nights is not how far a night usually is off.

What chance alone does is never too little to count: of rare outcomes most nights have none, on all of these the model
that says more of them loses by the same little, and how nights differ would say that it is surely the worse one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtri, stdtr
from scipy.stats import median_abs_deviation

from nightshift.distributions import Floats
from nightshift.monitor.shift import DOUBT, LARGEST, SIZES
from nightshift.records.decisions import PairedNight
from nightshift.records.profile import NightLoss

# Fewer nights at the gate do not say how far a difference moves by itself.
FEWEST_NIGHTS = 5
# Nights resemble each other: so many say as much as fewer that do not.
RESEMBLANCE = 0.15
# A difference below so much of the loss is none that anybody would roll back for.
SMALLEST_SHARE = 0.005
# Two that never were off have no loss to take a share of: what is no more than this is none.
LEAST = float(np.finfo(np.float64).tiny)
# Surer than this nothing needs to be: a year of nights is beyond what a float holds.
MOST = 1e12
REACH, POINTS = 12.0, 1001


@dataclass(frozen=True)
class Since:
    """A night since the promotion: its labelled rows, and the champion's mean loss on them less the other's."""

    rows: int
    difference: float


def evidence(
    gate: Sequence[PairedNight], nights: Sequence[Since], trained: Sequence[NightLoss] = ()
) -> float:
    """Return the evidence that the loss is greater than that of the version before: 1 says nothing, 0 never.

    ``gate``: both on the nights of the holdout. ``nights``: those since the promotion that have labels. ``trained``:
    the nights of the training of the version before. 1.0 where the gate had fewer than five nights, or none is known
    yet.
    """
    if len(gate) < FEWEST_NIGHTS or not nights:
        return 1.0
    since = np.array([night.difference for night in nights])
    chance = _row_chance(gate) / np.array([night.rows for night in nights], dtype=np.float64)
    smallest = SMALLEST_SHARE * float(np.mean([night.champion for night in gate]))
    won = [night.challenger - night.champion for night in gate]
    spread = float(np.std(won, ddof=1)), len(won)
    if len(trained) >= FEWEST_NIGHTS:
        beyond = [night.loss - night.base for night in trained]
        spread = min(spread, (float(median_abs_deviation(beyond, scale="normal")), len(beyond)))
    return (_against_usual(*spread, since, chance, smallest) + _among_themselves(since, chance, smallest)) / 2


def _row_chance(gate: Sequence[PairedNight]) -> float:
    """Return how far chance moves the difference of a row's losses, of all nights of the gate that know it."""
    known = [(night.rows, night.chance) for night in gate if night.chance is not None]
    return sum(chance * rows**2 for rows, chance in known) / max(sum(rows for rows, _ in known), 1)


def _against_usual(spread: float, nights: int, since: Floats, chance: Floats, smallest: float) -> float:
    """Return the product of each night's ratio; ``spread``: a standard deviation, of so many ``nights``."""
    # The next night differs from a mean that is itself of so few nights.
    usual = np.maximum(spread**2, chance) * (1 + 1 / nights) + smallest**2
    apart = since / np.sqrt(np.maximum(usual, LEAST))
    normal = -ndtri(np.clip(stdtr(nights - 1, -np.abs(apart)), 1e-300, 0.5))
    signed = np.sign(apart) * np.clip(normal - DOUBT, 0.0, LARGEST)
    logs = signed[:, None] * SIZES - SIZES**2 / 2
    return _mean(logs.sum(axis=0))


def _among_themselves(since: Floats, chance: Floats, smallest: float) -> float:
    """Return the ratio for the mean of these nights alone, as of somewhat fewer."""
    n = len(since)
    if n < 2:
        return 1.0
    fewer = np.sqrt((1 - RESEMBLANCE) / (1 + RESEMBLANCE))
    variance = max(since.var(ddof=1), chance.mean()) + smallest**2
    found = fewer * since.mean() * np.sqrt(n) / np.sqrt(max(variance, LEAST))
    return _mean(_log_ratios(found, n - 1, fewer * SIZES * np.sqrt(n)))


def _log_ratios(t: float, degrees: int, shifts: Floats) -> Floats:
    """Return the logarithm of the density of Student's t with each of ``shifts`` over that without one, (shifts,).

    By the integral over the deviation that is divided by: both have the same factor before it, which alone is beyond a
    float in a year of nights.
    """
    slopes = np.append(shifts * (t / np.hypot(t, np.sqrt(degrees))), 0.0)
    peak = (slopes + np.sqrt(slopes**2 + 4 * degrees)) / 2
    width = 1 / np.sqrt(degrees / peak**2 + 1)
    at = np.linspace(np.maximum(peak - REACH * width, LEAST), peak + REACH * width, POINTS)
    logs = degrees * np.log(at) - at**2 / 2 + slopes * at
    found = logsumexp(logs, axis=0) + np.log(at[1] - at[0])
    return found[:-1] - found[-1] - shifts**2 / 2


def _mean(logs: Floats) -> float:
    return float(np.exp(min(logsumexp(logs) - np.log(logs.size), np.log(MOST))))
