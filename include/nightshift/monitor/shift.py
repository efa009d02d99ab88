"""Has the world moved? Evidence over nights, for what a night alone cannot tell: its rows share their weather.

Each night gives each column a few numbers between 0 and 1 (:data:`MEASURES`), linear in the counts of its sketch. A
night differs from the training nights by its weekday, by an effect of its own that lingers (AR(1) over days, also
across nights that are missing), by the chance of few rows, and by what the training's mean is off, being of few nights
itself. A Kalman filter of that model, its parameters from the training nights, turns the numbers into innovations of
variance 1: 20 rows a night and a million are one formula.

Evidence is an e-detector (Shin, Ramdas and Rinaldo 2023, "E-detectors: a nonparametric framework for sequential change
detection"): ``R_t = (R_{t-1} + 1) e_t``, with e_t the likelihood ratio of a shift of so many standard deviations,
averaged over sizes, directions, measures and columns. Without a shift it comes to :data:`ALARM` about once in 365
nights. Innovations are cut at three standard deviations, so that no single storm is a shift.

All is a fold over stored sketches: there is no state, and a night that is missing or comes later changes no other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from nightshift.distributions import Floats
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Edges, Kind, Sketch

ALARM = 365.0
SIZES = np.array([0.5, 1.0, 2.0, 4.0])
# An innovation counts for at most so many standard deviations: no night alone is a shift.
LARGEST = 3.0
# Of each innovation so much is put down to parameters that were estimated.
DOUBT = 0.3
# A rank or a share that moves by less than two points matters to nobody, however many rows say so.
SMALLEST_EFFECT = 0.02
# What the mean of the training may be off by is learned from the nights that follow, over about a month.
WANDER = 0.97
# Evidence beyond so many alarms adds nothing: what has passed is forgotten within weeks.
MOST_ALARMS = 10.0
WEEKS_FOR_WEEKDAYS = 4
FEWEST_NIGHTS = 7
# What a model says is one column beside many, and the one that is served.
PREDICTIONS_SHARE = 1 / 3

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What moved: the measure's mean over the last nights with evidence, and where the training lay."""

    column: str
    measure: str
    evidence: float
    since: date
    value: float
    usual: float


@dataclass(frozen=True)
class Evidence:
    """Evidence a night, and of what the last one's is made, most first."""

    nights: tuple[date, ...]
    totals: tuple[float, ...]
    found: tuple[Found, ...]

    @property
    def total(self) -> float:
        """Of the last night; 0 without one."""
        return self.totals[-1] if self.totals else 0.0


@dataclass(frozen=True)
class Series:
    """A number a night and measure, (nights, measures), and how far chance moves it, as a variance."""

    nights: tuple[date, ...]
    names: tuple[tuple[str, str], ...]
    values: Floats
    variances: Floats


@dataclass(frozen=True)
class Usual:
    """What is usual of the training nights; arrays (measures,) but for ``levels``, (7, measures), one a weekday.

    ``own``: variance of the effects that nights have of their own; ``rho``: what of one is left the night after;
    ``mean``: variance of the levels, estimated as they are; ``effective``: nights that would tell as much if none
    resembled the one before.
    """

    levels: Floats
    own: Floats
    rho: Floats
    mean: Floats
    effective: Floats


def rank(column: ColumnEdges, shares: Floats) -> Floats:
    """Return each bin's middle rank among training rows; a night's mean: how probably its row exceeds one of these."""
    return np.cumsum(shares, axis=-1) - shares / 2


def spread(column: ColumnEdges, shares: Floats) -> Floats:
    """Return how far from the middle of training each bin is, 0 to 1: a column may widen and stay where it is."""
    return np.abs(2 * rank(column, shares) - 1)


def unknown(column: ColumnEdges, shares: Floats) -> Floats:
    """Return 1 for the bin of other categories than those that were known."""
    return (np.arange(shares.shape[-1]) == len(column.categories)).astype(np.float64)


# Each a function from a column's shares a bin in training to a score a bin; for which kinds. A night's number is the
# mean score of its rows with a value: how many have none is looked at every night (:mod:`nightshift.monitor.faults`).
MEASURES: Mapping[str, tuple[Callable[[ColumnEdges, Floats], Floats], tuple[Kind, ...]]] = {
    "rank": (rank, ("numeric", "boolean", "category")),
    "spread": (spread, ("numeric",)),
    "unknown": (unknown, ("category",)),
}


def trained(edges: Edges, nights: Mapping[date, Sketch]) -> Series:
    """Return the measures of each training night against the others: all but those within a week of it.

    A night within its own reference looks more usual than the next will.
    """
    return _series(edges, nights, None)


def series(edges: Edges, training: Mapping[date, Sketch], nights: Mapping[date, Sketch]) -> Series:
    """Return the measures of each of ``nights`` against all of ``training``; all sketched with ``edges``."""
    return _series(edges, nights, training)


def _series(edges: Edges, nights: Mapping[date, Sketch], training: Mapping[date, Sketch] | None) -> Series:
    days = tuple(sorted(nights))
    names, values, variances = [], [], []
    told = _by_column([nights[day] for day in days], edges)
    before = _by_column(list((training or {}).values()), edges)
    for number, column in enumerate(edges.columns):
        counts = _counts(column, told[number])
        if training is None:
            reference = _others(counts, np.array([day.toordinal() for day in days]))
        else:
            # The same for all nights.
            reference = _counts(column, before[number]).sum(axis=0, keepdims=True)
        for name, (score, kinds) in MEASURES.items():
            if column.kind in kinds:
                names.append((column.name, name))
                made = _measured(column, score, reference, counts)
                values.append(made[0])
                variances.append(made[1])
    shape = (len(names), len(days))
    return Series(days, tuple(names), np.reshape(values, shape).T, np.reshape(variances, shape).T)


def _by_column(nights: Sequence[Sketch], edges: Edges) -> list[tuple[ColumnSketch, ...]]:
    """Return, a column, its sketch of each night."""
    if not nights:
        return [()] * len(edges.columns)
    return list(zip(*(night.columns for night in nights), strict=True))


def _counts(column: ColumnEdges, nights: Sequence[ColumnSketch]) -> Floats:
    """Return the rows a night and bin, of what has a value."""
    rows = chain.from_iterable([night.counts for night in nights])
    counts = np.fromiter(rows, dtype=np.float64, count=len(nights) * column.bins)
    return counts.reshape(len(nights), column.bins)[:, : column.bins - (2 if column.kind == "numeric" else 1)]


def _others(counts: Floats, days: Ints) -> Floats:
    """Return, a night, the counts of all nights but those within a week of it."""
    running = np.concatenate([np.zeros((1, counts.shape[1])), counts.cumsum(axis=0)])
    first, last = np.searchsorted(days, days - 6), np.searchsorted(days, days + 7)
    return running[-1] - (running[last] - running[first])


def _measured(
    column: ColumnEdges, score: Callable[[ColumnEdges, Floats], Floats], reference: Floats, counts: Floats
) -> tuple[Floats, Floats]:
    """Return each night's mean score, and the variance that so few rows give it."""
    rows, n = reference.sum(axis=1, keepdims=True), counts.sum(axis=1)
    shares = reference / np.maximum(rows, 1.0)
    scores = score(column, shares)
    mean = (shares * scores).sum(axis=1)
    # A share of which the training has no row is not known to be none.
    variance = np.maximum((shares * scores**2).sum(axis=1) - mean**2, 0.5 / (rows[:, 0] + 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (counts * scores).sum(axis=1) / n
        return np.where(n > 0, value, np.nan), np.where(n > 0, variance / n, np.inf)


def usual(given: Series) -> Usual:
    """Return what is usual of the training's nights: weekday levels, and what nights have of their own."""
    days = np.array([day.toordinal() for day in given.nights])
    weekday = (days - 1) % 7  # the first day of all was a Monday
    known = np.isfinite(given.values)
    values, noise = np.where(known, given.values, 0.0), np.where(known, given.variances, 0.0)
    nights = np.maximum(known.sum(axis=0), 1)
    levels = np.tile(values.sum(axis=0) / nights, (7, 1))
    if len(days) >= 7 * WEEKS_FOR_WEEKDAYS:
        levels = levels + _weekday_effects(values - levels[0], known, weekday)
    rest = np.where(known, values - levels[weekday], 0.0)
    chance = noise.sum(axis=0) / nights
    total = (rest**2).sum(axis=0) / np.maximum(nights - 1, 1)
    alone = np.maximum(total - chance, 0.0)
    by_week = np.maximum(_weekly_variance(rest, known, days) - chance / 7, 0.0)
    own = np.maximum(alone, by_week)
    gap = _usual_gap(days)
    rho = np.maximum(_persistence(rest, known, days, gap, alone, total), _as_persistence(by_week, own))
    rho = np.where(own > 0, rho, 0.0)
    effective = np.maximum(nights * (1 - rho**gap) / (1 + rho**gap), 2.0)
    effective = np.where(own < 0.05 * chance, nights, effective)
    # The mean of few nights that resemble each other takes a part of their variance away.
    own = own / (1 - np.minimum(1 / effective, 0.5))
    return Usual(levels, own, rho, own / effective + chance / nights, effective)


def _weekday_effects(rest: Floats, known: NDArray[np.bool_], weekday: Ints) -> Floats:
    """Return each weekday's mean, shrunk towards none by as much of it as chance explains."""
    # Of truth values, @ would say whether there is any, not how many.
    is_day = (weekday == np.arange(7)[:, None]).astype(np.float64)
    count = np.maximum(is_day @ known.astype(np.float64), 1)
    means = (is_day @ rest) / count
    inside = ((rest - means[weekday]) ** 2 * known).sum(axis=0) / np.maximum(known.sum(axis=0) - 7, 1)
    by_chance = inside / count.mean(axis=0)
    between = (means**2).sum(axis=0) / 6
    return means * np.clip(1 - by_chance / np.maximum(between, 1e-300), 0.0, 1.0)


def _usual_gap(days: Ints) -> int:
    """Return how many days it mostly is from a night to the next: a table may have one every other day, or a week."""
    gaps, count = np.unique(np.diff(days), return_counts=True)
    return int(gaps[count.argmax()]) if gaps.size else 1


def _persistence(
    rest: Floats, known: NDArray[np.bool_], days: Ints, gap: int, own: Floats, total: Floats
) -> Floats:
    """Return how much of a night's own effect is left the night after, corrected for few nights; 0 to .95.

    From nights that lie ``gap`` days apart, as most do.
    """
    follows = np.diff(days) == gap
    both = (known[1:] & known[:-1])[follows]
    pairs = np.maximum(both.sum(axis=0), 1)
    together = (rest[1:] * rest[:-1])[follows].sum(axis=0) / pairs
    # Where chance explains all of the variance, nothing persists.
    rho = np.where(own > 0.1 * total, together / np.maximum(own, 1e-300), 0.0)
    rho = np.clip(rho, 0.0, 0.95)
    return np.clip(rho + (1 + 3 * rho) / pairs, 0.0, 0.95) ** (1 / gap) * (own > 0)


def _weekly_variance(rest: Floats, known: NDArray[np.bool_], days: Ints) -> Floats:
    """Return the variance of the means of whole weeks."""
    week = (days - days[0]) // 7
    means = [
        rest[week == number].sum(axis=0) / np.maximum(known[week == number].sum(axis=0), 1)
        for number in np.unique(week)
        if (week == number).sum() >= 4
    ]
    return np.var(means, axis=0, ddof=1) if len(means) > 1 else np.zeros(rest.shape[1])


def _as_persistence(by_week: Floats, own: Floats) -> Floats:
    """Return the persistence that makes weeks differ so: nights may resemble each other for longer than a night."""
    ratio = 7 * by_week / np.maximum(own, 1e-300)
    return np.clip((ratio - 1) / (ratio + 1), 0.0, 0.95)


def innovations(given: Series, of: Usual) -> Floats:
    """Return what each night says beyond the nights before it, (nights, measures), of variance 1 where nothing moved.

    Two states a measure: how far the training's mean is off, and the night's own effect. A number that is not known
    says nothing: 0.
    """
    known = np.isfinite(given.values)
    # Nothing is learned from a number that may be off by anything.
    noise = np.where(known, given.variances + SMALLEST_EFFECT**2, np.inf)
    weekday = [day.weekday() for day in given.nights]
    values = np.where(known, given.values - of.levels[weekday], 0.0)
    gaps = [1, *((b - a).days for a, b in pairwise(given.nights))][: len(given.nights)]
    beyond, seen = np.zeros(values.shape), np.ones(values.shape)
    # How far off the mean is, and the night's effect; the variances of both, with their covariance between.
    state = np.zeros((2, of.rho.size))
    usually = np.stack([of.mean, np.zeros(of.rho.size), of.own])
    steps = {gap: _step(of, usually, gap) for gap in set(gaps)}
    doubt, shared = usually.copy(), np.empty(state.shape)
    # In place, by views: it is arithmetic on a few dozen numbers, and finding them would cost as much.
    (of_mean, of_night), (mean, own), (with_mean, with_own) = shared, state, (doubt[:2], doubt[1:])
    for gap, value, chance, off, total in zip(gaps, values, noise, beyond, seen, strict=True):
        left, square, gained = steps[gap]
        state *= left
        doubt *= square
        doubt += gained
        np.add(with_mean, with_own, out=shared)
        np.add(of_mean, of_night, out=total)
        np.add(total, chance, out=total)
        np.subtract(value, mean, out=off)
        np.subtract(off, own, out=off)
        gain = shared * (1.0 / total)
        state += gain * off
        with_mean -= gain[0] * shared
        with_own[1] -= gain[1] * of_night
    return beyond / np.sqrt(seen)


def _step(of: Usual, usually: Floats, days: int) -> tuple[Floats, Floats, Floats]:
    """Return what is left of both states after so many days, of their variances, and what these gain anew."""
    one, other = left = np.stack([np.full(of.rho.size, WANDER), of.rho]) ** days
    square = np.stack([one**2, one * other, other**2])
    return left, square, (1 - square) * usually


def likelihoods(innovation: Floats, of: Usual) -> Floats:
    """Return e-values, (nights, measures, sizes and directions), of shifts against none.

    Innovations come from estimated parameters: they are read as Student's t of as many nights as tell of the variance.
    """
    degrees = np.maximum(of.effective - 1, 1.0)
    normal = -ndtri(np.clip(stdtr(degrees, -np.abs(innovation)), 1e-300, 0.5))
    signed = np.sign(innovation) * np.clip(normal - DOUBT, 0.0, LARGEST)
    shifts = np.concatenate([SIZES, -SIZES])
    return np.exp(signed[..., None] * shifts - shifts**2 / 2)


def accumulate(likelihood: Floats, weights: Floats) -> Floats:
    """Return the evidence after each night, (nights, measures, sizes); weighted, it sums to the evidence of all."""
    share = weights[:, None] / likelihood.shape[2]
    most = MOST_ALARMS * ALARM / np.maximum(share, 1e-12)
    evidence, made = np.zeros(likelihood.shape[1:]), np.zeros(likelihood.shape)
    for ratio, kept in zip(likelihood, made, strict=True):
        evidence += 1
        evidence *= ratio
        np.minimum(evidence, most, out=evidence)
        np.multiply(evidence, share, out=kept)
    return made


def weigh(names: Sequence[tuple[str, str]], importance: Mapping[str, float]) -> Floats:
    """Return the weight of each measure: of a column half by importance, half the same for all; they sum to 1.

    A column without importance is one of predictions: these share a third.
    """
    columns = list(dict.fromkeys(column for column, _ in names))
    features = [column for column in columns if column in importance]
    total = sum(importance[column] for column in features) or 1.0
    others = len(columns) - len(features)
    for_features = 1.0 if not others else 1 - PREDICTIONS_SHARE if features else 0.0
    of_column = {c: for_features * (importance[c] / total + 1 / len(features)) / 2 for c in features}
    of_column |= {c: (1 - for_features) / others for c in columns if c not in importance}
    each = {column: sum(name == column for name, _ in names) for column in columns}
    return np.array([of_column[column] / each[column] for column, _ in names])


def evidence(training: Series, later: Series, importance: Mapping[str, float]) -> Evidence:
    """Return the evidence of a shift after each of the ``later`` nights; ``training``: of :func:`trained`.

    Fewer than seven nights of training say nothing of how nights differ: there is no evidence then.
    """
    if len(training.nights) < FEWEST_NIGHTS or not later.nights:
        return Evidence(later.nights, (0.0,) * len(later.nights), ())
    of = usual(training)
    made = innovations(followed(training, later), of)[len(training.nights) :]
    per_measure = accumulate(likelihoods(made, of), weigh(training.names, importance)).sum(axis=2)
    return Evidence(later.nights, tuple(per_measure.sum(axis=1).tolist()), _found(later, of, per_measure))


def joined(features: Evidence, predictions: Evidence) -> Evidence:
    """Return the evidence of both, that of the predictions weighing a third from the first night that has any.

    A night that has no predictions keeps the predictions' evidence of the night before. The weights change once, and
    not by what is seen: at a night when the predictions have no evidence yet, so the sum is an e-detector as its parts.
    """
    if not predictions.nights:
        return features
    said, last, totals = dict(zip(predictions.nights, predictions.totals, strict=True)), 0.0, []
    for night, of_features in zip(features.nights, features.totals, strict=True):
        last = said.get(night, last)
        share = PREDICTIONS_SHARE if night >= predictions.nights[0] else 0.0
        totals.append((1 - share) * of_features + share * last)
    weighed = [
        replace(each, evidence=each.evidence * share)
        for of, share in ((features, 1 - PREDICTIONS_SHARE), (predictions, PREDICTIONS_SHARE))
        for each in of.found
    ]
    return Evidence(features.nights, tuple(totals), tuple(sorted(weighed, key=lambda each: -each.evidence)))


def followed(one: Series, other: Series) -> Series:
    """Return the nights of both, those of ``other`` being later."""
    return Series(
        one.nights + other.nights,
        one.names,
        np.concatenate([one.values, other.values]),
        np.concatenate([one.variances, other.variances]),
    )


def _found(later: Series, of: Usual, per_measure: Floats) -> tuple[Found, ...]:
    told = []
    for number in np.argsort(-per_measure[-1], kind="stable"):
        strength = float(per_measure[-1, number])
        if strength < ALARM / 10:
            break
        start = began(per_measure[:, number])
        column, measure = later.names[number]
        value = float(np.nanmean(later.values[start:, number]))
        told.append(
            Found(column, measure, strength, later.nights[start], value, float(of.levels[:, number].mean()))
        )
    return tuple(told)


def began(evidence: Floats) -> int:
    """Return the night, by its number, since which ``evidence``, (nights,), is more than if nothing had been seen."""
    quiet = np.flatnonzero(evidence < evidence[-1] / 1000)
    return int(quiet[-1]) + 1 if quiet.size else 0


WORDS = {
    "rank": "{column} shifted: a row exceeds one of the training with probability {value:.2f} since {since} "
    "({usual:.2f} in training)",
    "spread": "{column} spreads otherwise: {value:.2f} from the middle of the training since {since} "
    "({usual:.2f} in training)",
    "unknown": "{column}: {value:.1%} of rows in categories that the training did not name since {since} ({usual:.1%})",
}


def words(found: Found) -> str:
    """Return what moved, from where to where and since when."""
    return WORDS[found.measure].format(
        column=found.column, value=found.value, usual=found.usual, since=found.since
    )
