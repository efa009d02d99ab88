"""Policies side by side: the loss of each, what it gains over never retraining, and how much that depends on luck."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from nightshift import bootstrap
from nightshift.errors import FitFailed, NotReady
from nightshift.replay.bank import FEWEST_AFTER, Bank
from nightshift.replay.policies import DECLARED, Policy, Served, never
from nightshift.specs import Model

Floats = NDArray[np.float64]
# Nights that follow each other are alike: whole weeks are drawn.
BLOCK, CONFIDENCE = 7, 0.95
MOST_NAMED = 5


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

    ``curves``: of each policy the gain summed up over nights, from the first start on. ``models``: the specs, by what
    was changed in them. ``left_out``: in words, what could not be compared, and why.
    """

    nights: int
    starts: int
    outcomes: tuple[Outcome, ...]
    chosen: str
    curves: Mapping[str, Floats]
    models: Mapping[str, Model]
    left_out: tuple[str, ...] = ()


def compare(
    banks: Mapping[str, Bank],
    policies: Mapping[str, Policy],
    *,
    starts: int,
    dates: Sequence[date] = (),
    seed: int = 0,
) -> Compared:
    """Return what came of every policy with every bank, over the same nights, from several starts.

    ``banks``: by the name of what was changed in the spec, empty for the spec as it is declared, which comes first:
    gains are over never retraining *its* first champion. A start is a date, of which every bank has a candidate.
    ``dates``: those that each was to have one of. A policy that cannot be told what it asks is left out. Of the first
    half of the nights the policy is chosen that the second half then judges: the one with the fewest trainings whose
    gain is within a standard error of the best (Breiman, Friedman, Olshen and Stone 1984, "Classification and
    Regression Trees", section 3.4.3). An oracle is never chosen.
    """
    declared = next(iter(banks.values()))
    numbers = {change: _numbers(bank) for change, bank in banks.items()}
    usual = _numbers(declared)
    begun = _starts(numbers, declared.nights, starts)
    outcomes, curves, left_out = [], {}, _lacking(numbers, dates)
    for change, bank in banks.items():
        for policy, serve in policies.items():
            name = f"{change}: {policy}" if change else policy
            try:
                found = [_gains(declared, usual[day], bank, numbers[change][day], serve) for day in begun]
            except (NotReady, FitFailed) as error:
                left_out.append(f"{name}: {error}")
                continue
            outcomes.append(_outcome(name, found, seed))
            curves[name] = np.cumsum(found[0][1])
    nights = len(declared.nights) - declared.serves_from(usual[begun[0]])
    models = {change: bank.model for change, bank in banks.items()}
    return Compared(nights, len(begun), tuple(outcomes), _chosen(outcomes), curves, models, tuple(left_out))


def _numbers(bank: Bank) -> dict[date, int]:
    return {candidate.as_of: number for number, candidate in enumerate(bank.candidates)}


def _starts(numbers: Mapping[str, Mapping[date, int]], nights: Sequence[date], most: int) -> list[date]:
    """Return the first dates that every bank has a candidate of, but for the last: another is to follow, and nights.

    Raises:
        NotReady: there is none.
    """
    common = sorted(set.intersection(*(set(each) for each in numbers.values())))
    followed = [day for day in common if len(nights) - bisect_right(nights, day) >= FEWEST_AFTER]
    if not followed:
        raise NotReady(
            f"no date has a candidate of every spec and {FEWEST_AFTER} nights with labels after it: replay a longer "
            "range, or leave out the change that has so few candidates"
        )
    return followed[: max(1, min(most, len(common) - 1))]


def _lacking(numbers: Mapping[str, Mapping[date, int]], dates: Sequence[date]) -> list[str]:
    """Return in words of which dates a bank has no candidate."""
    asked = {*dates, *(day for each in numbers.values() for day in each)}
    lacking = {change: sorted(asked - set(each)) for change, each in numbers.items()}
    return [
        f"{change or 'as the spec is'}: nothing could be trained as of {_named(days)}"
        for change, days in lacking.items()
        if days
    ]


def _named(days: Sequence[date]) -> str:
    more = [f"and {len(days) - MOST_NAMED} more, up to {days[-1]}"] if len(days) > MOST_NAMED else []
    return ", ".join([*map(str, days[:MOST_NAMED]), *more])


def _gains(
    declared: Bank, usual: int, bank: Bank, start: int, serve: Policy
) -> tuple[Served, Floats, Floats, float]:
    """Return what served, the gain and the loss of each night, and the part of a year that it was.

    ``start``, ``usual``: the numbers of the first champion in either bank, of one date.
    """
    served, kept = serve(bank, start), never(declared, usual)
    first = declared.serves_from(usual)
    loss = _losses(bank, served, first)
    years = (declared.nights[-1] - declared.nights[first]).days / 365.25
    return served, _losses(declared, kept, first) - loss, loss, max(years, 1 / 365.25)


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
    real = reachable(outcomes)
    best = max(real, key=lambda each: each.earlier)
    enough = [each for each in real if each.earlier >= best.earlier - best.spread]
    # Of what comes to the same, the spec as it is: to change it needs a reason.
    return min(enough, key=lambda each: (each.started, -each.earlier, each.policy != DECLARED)).policy


def reachable(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes without those of the oracles, which nobody reaches."""
    return [each for each in outcomes if not each.policy.endswith(ORACLE)]


ORACLE = "best in hindsight"
