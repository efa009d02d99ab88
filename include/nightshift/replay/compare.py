"""Policies side by side: the loss of each, what it gains over never retraining, and how much that depends on luck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightshift import bootstrap
from nightshift.replay.bank import Bank
from nightshift.replay.policies import Policy, Served, never

Floats = NDArray[np.float64]
# Nights that follow each other are alike: whole weeks are drawn.
BLOCK, CONFIDENCE = 7, 0.95


@dataclass(frozen=True)
class Outcome:
    """A policy over all starts. Losses and gains are of a night: the mean over nights of the mean over its rows.

    ``gain``: the loss of never retraining less the policy's, the mean over starts; ``low``, ``high``: its 95 % interval
    by weeks, of the first start; ``worst``, ``best``: the gain of the worst and of the best start. ``started``,
    ``promoted``: trainings a year, the mean over starts. ``earlier``, ``later``: the gain on the first and on the
    second half of the nights; ``spread``: the standard error of the first.
    """

    policy: str
    loss: float
    gain: float
    low: float
    high: float
    worst: float
    best: float
    started: float
    promoted: float
    earlier: float
    later: float
    spread: float


@dataclass(frozen=True)
class Compared:
    """All outcomes over the same nights. ``chosen``: the policy that the first half of the nights would have chosen.

    ``curves``: of each policy the gain summed up over nights, from the first start on.
    """

    nights: int
    starts: int
    outcomes: tuple[Outcome, ...]
    chosen: str
    curves: Mapping[str, Floats]


def compare(
    banks: Mapping[str, Bank], policies: Mapping[str, Policy], *, starts: int, seed: int = 0
) -> Compared:
    """Return what came of every policy with every bank, over the same nights, from several starts.

    ``banks``: by the name of what was changed in the spec, empty for the spec as it is declared, which comes first:
    gains are over never retraining *its* first champion. The n-th start begins with the n-th candidate. Of the first
    half of the nights the policy is chosen that the second half then judges: the one with the fewest trainings whose
    gain is within a standard error of the best (Breiman, Friedman, Olshen and Stone 1984, "Classification and
    Regression Trees", section 3.4.3). An oracle is never chosen.
    """
    declared = next(iter(banks.values()))
    starts = max(1, min(starts, len(declared.candidates) - 1))
    outcomes, curves = [], {}
    for change, bank in banks.items():
        for policy, serve in policies.items():
            name = f"{change}: {policy}" if change else policy
            found = [_gains(declared, bank, serve, start) for start in range(starts)]
            outcomes.append(_outcome(name, found, seed))
            curves[name] = np.cumsum(found[0][1])
    return Compared(
        len(declared.nights) - declared.serves_from(0), starts, tuple(outcomes), _chosen(outcomes), curves
    )


def _gains(declared: Bank, bank: Bank, serve: Policy, start: int) -> tuple[Served, Floats, Floats, float]:
    """Return what served, the gain and the loss of each night, and the part of a year that it was."""
    served, usual = serve(bank, start), never(declared, start)
    first = declared.serves_from(start)
    loss = _losses(bank, served, first)
    years = (declared.nights[-1] - declared.nights[first]).days / 365.25
    return served, _losses(declared, usual, first) - loss, loss, max(years, 1 / 365.25)


def _losses(bank: Bank, served: Served, first: int) -> Floats:
    return bank.loss[served.serving, np.arange(first, len(bank.nights))]


def _outcome(name: str, found: Sequence[tuple[Served, Floats, Floats, float]], seed: int) -> Outcome:
    means = [float(np.mean(gains)) for _, gains, _, _ in found]
    halves = [np.array_split(gains, 2) for _, gains, _, _ in found]
    low, high = _interval(found[0][1], seed)
    return Outcome(
        policy=name,
        loss=float(np.mean([np.mean(loss) for _, _, loss, _ in found])),
        gain=float(np.mean(means)),
        low=low,
        high=high,
        worst=min(means),
        best=max(means),
        started=float(np.mean([served.started / years for served, _, _, years in found])),
        promoted=float(np.mean([served.promoted / years for served, _, _, years in found])),
        earlier=float(np.mean([np.mean(half[0]) for half in halves])),
        later=float(np.mean([np.mean(half[1]) for half in halves])),
        spread=_standard_error([half[0] for half in halves]),
    )


def _blocks(gains: Floats) -> Floats:
    """Return the mean of each week, (weeks,); what is left of one at the end counts to the last."""
    return np.array([part.mean() for part in np.array_split(gains, max(1, len(gains) // BLOCK))])


def _standard_error(halves: Sequence[Floats]) -> float:
    """Return that of the mean gain: weeks differ, and so do starts, by the luck of their first champion."""
    weeks, starts = _blocks(halves[0]), np.array([gains.mean() for gains in halves])
    squares = [each.var(ddof=1) / len(each) for each in (weeks, starts) if len(each) > 1]
    return float(np.sqrt(sum(squares)))


def _interval(gains: Floats, seed: int) -> tuple[float, float]:
    weeks = _blocks(gains)
    drawn = bootstrap.draws(len(weeks), seed=seed) @ weeks / len(weeks)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _chosen(outcomes: Sequence[Outcome]) -> str:
    real = [each for each in outcomes if not each.policy.endswith(ORACLE)]
    best = max(real, key=lambda each: each.earlier)
    enough = [each for each in real if each.earlier >= best.earlier - best.spread]
    return min(enough, key=lambda each: (each.started, -each.earlier)).policy


ORACLE = "best in hindsight"
