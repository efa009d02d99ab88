"""When labels are complete: measured from when each became known, against what the spec declares.

A night is *pending* until the declared nights have passed, *provisional* while labels are missing that usually are
there by then, or while those that come first are not like all of them, and *final* after that. A provisional night is
told and not judged: a model whose late positives are still missing looks better than it is.

Nights are the unit: what lets one night's labels come late says nothing of the others.

A training needs less than a judgement: where labels are missing whatever they say, those that are there are as good.
So it leaves out only nights whose labels are not like all of theirs yet (:func:`partial`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import fsum, sqrt
from typing import Literal

import numpy as np

from nightshift.distributions import Floats
from nightshift.records.monitoring import Arrived

State = Literal["provisional", "final"]
# From nights, oldest first, and an age: why labels are not complete at it, in words; None if they are.
Finding = Callable[[Sequence["Looked"], int], str | None]
# Of the scored of a night, those that were reported, and those that had their label.
Shares = tuple[float, float]
# A hundredth of a night's labels may come later: that moves no verdict.
LATE = 0.01
# By so many standard deviations something is surely so: by chance once in a thousand nights.
SURELY = 3.3
# What the newest nights show, not what once was.
RECENT = 7
USUAL, FEWEST_USUAL = 28, 5
# A night that stays short of labels is one whose labels never come.
AT_LAST = 7


@dataclass(frozen=True)
class Looked:
    """A night, how many entities were scored, and when their labels came as far as it is known."""

    night: date
    scored: int
    arrived: Arrived

    @property
    def age(self) -> int:
        """How many nights later it was looked."""
        return len(self.arrived.counts) - 1

    def as_of(self, day: date) -> "Looked":
        """Return what an earlier day could see of it."""
        seen = max((day - self.night).days + 1, 0)
        whole = self.arrived
        kept = Arrived(whole.reports[:seen], whole.counts[:seen], whole.sums[:seen], whole.squares[:seen])
        return Looked(self.night, self.scored, kept)

    def until(self, day: date) -> "Looked":
        """Return the same as it is seen on a later day, when nothing came since."""
        later = (0,) * ((day - self.night).days - self.age)
        whole = self.arrived
        return replace(
            self,
            arrived=Arrived(
                whole.reports + later, whole.counts + later, whole.sums + later, whole.squares + later
            ),
        )

    def shares(self, age: int) -> Shares:
        """Return which shares of the scored were reported, and had their label, ``age`` nights later."""
        reports, labels = (sum(of[: age + 1]) for of in (self.arrived.reports, self.arrived.counts))
        return reports / self.scored, labels / self.scored


@dataclass(frozen=True)
class Maturity:
    """After how many nights labels are complete: as declared or, with the reason in words, later."""

    declared: int
    after: int
    words: str | None = None


def arrived(reported: Floats, ages: Floats, labels: Floats, observed: int) -> Arrived:
    """Return labels, (n,), by how many nights later they became known; a label from before the night is of age 0.

    ``reported``: the same of first reports, with or without an outcome, (m,).
    """
    reports, at = (np.clip(each, 0, observed).astype(np.int64) for each in (reported, ages))
    counts, sums, squares = (
        np.bincount(at, weights, observed + 1) for weights in (None, labels, labels * labels)
    )
    return Arrived(
        tuple(np.bincount(reports, minlength=observed + 1).tolist()),
        tuple(map(int, counts)),
        tuple(sums.tolist()),
        tuple(squares.tolist()),
    )


def curve(nights: Sequence[Looked]) -> tuple[float, ...]:
    """Return which share of the scored have their label k nights later, k from 0 to the oldest night's age.

    What comes at an age is counted over the nights that were looked at long enough.
    """
    share, found = 0.0, []
    for age in range(max((each.age for each in nights), default=-1) + 1):
        seen = [each for each in nights if each.age >= age]
        share += sum(each.arrived.counts[age] for each in seen) / sum(each.scored for each in seen)
        found.append(share)
    return tuple(found)


def measure(nights: Sequence[Looked], declared: int, findings: Sequence[Finding] | None = None) -> Maturity:
    """Return after how many nights labels are complete, of the newest nights that tell; nights oldest first."""
    after, why = declared, ""
    asked = FINDINGS if findings is None else findings
    while said := next((words for find in asked if (words := find(nights, after))), None):
        after, why = after + 1, why or said
    if after == declared:
        return Maturity(declared, declared)
    return Maturity(
        declared,
        after,
        f"labels are complete {after} nights later, not {declared} (target.matures_after_days): {why}",
    )


def state(night: Looked, earlier: Sequence[Looked], maturity: Maturity) -> tuple[State, str]:
    """Return whether a night of at least the declared age is final, and if not, why; by what was usual ``earlier``."""
    if night.age < maturity.after:
        return "provisional", maturity.words or ""
    if night.age >= maturity.after + AT_LAST:
        return "final", ""
    missing = _missing(night.shares(night.age), _usual(earlier, night.age, maturity), night.scored)
    if missing is None:
        return "final", ""
    what, share, before = missing
    return "provisional", (
        f"{share:.0%} of the {what} of {night.night} are there, where nights before had {before:.0%} by then"
    )


def provisional(nights: Sequence[Looked], maturity: Maturity, day: date) -> dict[date, str]:
    """Return which nights, oldest first, are not final on ``day``, and why.

    A night is final at last by its date, also where nobody has looked at it since.
    """
    found: dict[date, str] = {}
    for number, each in enumerate(nights):
        if (day - each.night).days < maturity.after + AT_LAST:
            said, why = state(each, nights[:number], maturity)
            found |= {each.night: why} if said == "provisional" else {}
    return found


def partial(nights: Sequence[Looked], declared: int, day: date) -> dict[date, str]:
    """Return which nights, oldest first, have labels on ``day`` that are unlike all of theirs, or surely miss reports.

    An outcome that is reported to be none (a flight that was cancelled) may never come, and is not waited for.
    """
    reports = [replace(each, arrived=replace(each.arrived, counts=each.arrived.reports)) for each in nights]
    return provisional(reports, measure(nights, declared, (_unlike,)), day)


def _usual(earlier: Sequence[Looked], age: int, maturity: Maturity) -> list[Shares]:
    """Return what nights had at an age, without those that were short then: to go on does not make an outage usual.

    Where what is missing never came, it is usual once it is so of several nights.
    """
    usual: list[Shares] = []
    never: list[Shares] = []
    for each in earlier:
        if each.age < age:
            continue
        if _missing(each.shares(age), usual, each.scored) is None:
            usual.append(each.shares(age))
        elif each.age >= maturity.after + AT_LAST and _missing(each.shares(each.age), usual, each.scored):
            never.append(each.shares(age))
            if len(never) == FEWEST_USUAL:
                usual, never = usual + never, []
    return usual


def _missing(shares: Shares, usual: Sequence[Shares], rows: int) -> tuple[str, float, float] | None:
    """Return what surely is missing of a night, its share and the usual one; None where nothing is, or is not known."""
    if len(usual) < FEWEST_USUAL:
        return None
    for what, share, before in zip(
        ("reports", "labels"), shares, zip(*usual[-USUAL:], strict=True), strict=True
    ):
        # Of a few numbers, many times a night: numpy takes longer to be called than to add them.
        n, mean = len(before), fsum(before) / len(before)
        if share >= mean - LATE:
            continue
        variance = fsum((each - mean) ** 2 for each in before) / (n - 1)
        chance = variance * (1 + 1 / n) + mean * max(1 - mean, 0.0) / rows
        if share < mean - LATE - SURELY * sqrt(chance):
            return what, share, mean
    return None


def _late(nights: Sequence[Looked], age: int) -> str | None:
    """Say which share comes later than ``age``, if most of the newest nights surely have more than a hundredth.

    Each later age is asked of the nights that have it: a young night has no late labels yet.
    """
    oldest = max((each.age for each in nights), default=0)
    return next(
        (said for until in range(age + 1, oldest + 1) if (said := _late_by(nights, age, until))), None
    )


def _late_by(nights: Sequence[Looked], age: int, until: int) -> str | None:
    seen = [each.arrived for each in nights if each.age >= until and any(each.arrived.counts)][-RECENT:]
    late = [sum(each.counts[age + 1 : until + 1]) for each in seen]
    every = [sum(each.counts) for each in seen]
    surely = [many - SURELY * sqrt(many) > LATE * of for many, of in zip(late, every, strict=True)]
    if sum(surely) * 2 <= len(seen):
        return None
    return f"{sum(late) / sum(every):.1%} of those of {_nights(len(seen))} came after {age}"


def _unlike(nights: Sequence[Looked], age: int) -> str | None:
    """Say how labels known by ``age`` differ from all, if they do by more than chance and by more than a trifle."""
    found = [
        _difference(each.arrived, age)
        for each in nights
        if each.age > age and any(each.arrived.counts[age + 1 :])
    ]
    seen = [each for each in found if each is not None][-RECENT:]
    if not seen:
        return None
    off, chance, spread = np.array(seen).T
    between = float(np.var(off, ddof=1)) if len(seen) > 1 else 0.0
    error = sqrt(max(between, float(chance.mean())) / len(seen))
    mean = float(off.mean())
    if abs(mean) <= max(SURELY * error, LATE * float(spread.mean())):
        return None
    return f"labels known by then are {abs(mean):.3f} {'below' if mean < 0 else 'above'} all, over {_nights(len(seen))}"


def _difference(arrived: Arrived, age: int) -> tuple[float, float, float] | None:
    """Return how far the mean of labels known by ``age`` is from that of all, the variance of that by chance, and
    the labels' standard deviation; None where none was known by then.
    """
    early, every = sum(arrived.counts[: age + 1]), sum(arrived.counts)
    if not early:
        return None
    mean = sum(arrived.sums) / every
    variance = max(sum(arrived.squares) / every - mean * mean, 0.0)
    # Of the rows of a night without replacement.
    chance = variance * (1 / early - 1 / every)
    return sum(arrived.sums[: age + 1]) / early - mean, chance, sqrt(variance)


def _nights(number: int) -> str:
    return f"{number} night{'s' if number > 1 else ''}"


FINDINGS: tuple[Finding, ...] = (_late, _unlike)
