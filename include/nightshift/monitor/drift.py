"""The decision: has this window drifted from what the model was trained on? Every row counts.

A feature has drifted when its PSI passes two bars. The *limit* is the larger of the spec's ``psi`` and
the most that a training window differed from the others (see :mod:`nightshift.monitor.profile`): it asks
whether the change is large. The *critical* value asks whether it is more than sampling noise: without
drift, ``PSI * n * m / (n + m)`` follows a chi-square distribution with bins - 1 degrees of freedom
(Yurdakul and Naranjo 2020, "Statistical properties of the population stability index", Journal of Risk
Model Validation 14(4)); the bar is its quantile at a family-wise error of 1 % over all columns
(Bonferroni). Below a few hundred rows that approximation errs to the lively side (ten bins of 150 rows:
twice the nominal error), which the limit then absorbs.

A window has drifted when the drifted features carry ``drift.share`` of the model's importance, when the
predictions drifted, or when one feature is *ruined*, which no share of importance may hide: a measure of
:data:`MEASURES` speaks up, such as that its missing share rose by more than 25 points. A new measure is a
function and a line there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from nightshift.distributions import psi
from nightshift.monitor.profile import PREDICTION
from nightshift.records.monitoring import DriftResult, FeatureDrift
from nightshift.records.profile import FeatureProfile, Profile
from nightshift.records.sketches import Counted
from nightshift.specs.model import Drift

Ints = NDArray[np.int64]

FAMILY_ERROR = 0.01
# A ruined feature: its missing share rose by more than RUINED_RISE and more than in any training window;
# a training window with an outage of its own lifts this bar at most to RUINED_RISE_AT_MOST.
RUINED_RISE = 0.25
RUINED_RISE_AT_MOST = 0.50
MOST_REASONS = 5


@dataclass(frozen=True)
class Column:
    """A feature in training and in the window: rows a bin, (bins,). ``error``: how often chance may make it ruined.

    The last bin holds what has no value; of a category, the one before it those that training did not keep apart.
    """

    then: FeatureProfile
    reference: Ints
    current: Ints
    error: float


def decide(profile: Profile, counts: Counted, drift: Drift) -> DriftResult:
    """Return whether the window drifted from ``profile``; ``counts``: its rows, those of its nights summed.

    The window is all rows of the last ``drift.window_days`` nights.
    """
    if counts.rows < drift.min_rows:
        return _too_few(counts.rows, drift)
    error = FAMILY_ERROR / (len(profile.features) + len(profile.predictions))
    columns, scores = (
        tuple(_compare(then, np.array(now), drift, error) for then, now in zip(of, rows, strict=True))
        for of, rows in ((profile.features, counts.features), (profile.predictions, counts.predictions))
    )
    farthest = max(scores, key=lambda score: (score.drifted, score.psi / score.limit))
    share = sum(column.importance for column in columns if column.drifted)
    reasons = _reasons(columns, scores, share, drift)
    return DriftResult(
        rows=counts.rows,
        status="drifted" if reasons else "ok",
        drifted_share=share,
        features=columns,
        prediction_psi=farthest.psi,
        prediction_limit=farthest.limit,
        prediction_drifted=farthest.drifted,
        reasons=reasons,
        predictions=scores if profile.classes else (),
    )


def critical_psi(bins: int, n: int, m: int, error: float) -> float:
    """Return the PSI that samples of ``n`` and ``m`` rows of one distribution exceed with ``error``."""
    return float(chdtri(bins - 1, error)) * (1 / n + 1 / m) if bins > 1 else 0.0


def _compare(then: FeatureProfile, current: Ints, drift: Drift, error: float) -> FeatureDrift:
    reference = np.array(then.counts)
    n, m = int(reference.sum()), int(current.sum())
    distance = float(psi(reference, current))
    limit = max(drift.psi, then.psi_envelope)
    critical = critical_psi(int(np.count_nonzero(reference + current)), n, m, error)
    column = Column(then, reference, current, error)
    ruins = tuple(words for measure in MEASURES.values() if (words := measure(column, drift)))
    return FeatureDrift(
        name=then.name,
        psi=distance,
        limit=limit,
        critical=critical,
        missing_now=float(current[-1] / m),
        missing_then=then.missing_share,
        importance=then.importance,
        drifted=distance >= limit and distance > critical,
        ruined=bool(ruins),
        ruins=ruins,
    )


def missing(column: Column, _: Drift) -> str | None:
    """A larger share without a value than in training, and than in any week of it."""
    n, m = int(column.reference.sum()), int(column.current.sum())
    then, now = column.then.missing_share, float(column.current[-1] / m)
    if now - then <= max(RUINED_RISE, min(column.then.missing_envelope, RUINED_RISE_AT_MOST)):
        return None
    return (
        f"{now:.0%} missing, {then:.0%} in training" if surely_more(then, n, now, m, column.error) else None
    )


def surely_more(then: float, n: int, now: float, m: int, error: float) -> bool:
    """Return whether a share of ``m`` rows exceeds that of ``n`` by more than chance does with ``error``.

    Two-proportion z-test with the pooled share.
    """
    pooled = (now * m + then * n) / (n + m)
    return now - then > -float(ndtri(error)) * sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def _reasons(
    columns: tuple[FeatureDrift, ...], scores: tuple[FeatureDrift, ...], share: float, drift: Drift
) -> tuple[str, ...]:
    """Return why the window counts as drifted, gravest first; empty if it does not."""
    reasons = _told([f"{c.name} is ruined: {'; '.join(c.ruins)}" for c in columns if c.ruined])
    reasons += _told([_prediction_words(score) for score in scores if score.drifted], "classes")
    # The sum of shares that make up exactly drift.share may fall short of it by a rounding error.
    if share >= drift.share - 1e-9:
        drifted = sorted((c for c in columns if c.drifted), key=lambda c: -c.importance)
        reasons.append(f"drifted features carry {share:.0%} of the importance, limit {drift.share:.0%}")
        reasons += _told([f"{c.name} drifted: PSI {c.psi:.2f}, limit {c.limit:.2f}" for c in drifted])
    return tuple(reasons)


def _prediction_words(score: FeatureDrift) -> str:
    of = "" if score.name == PREDICTION else f" of '{score.name}'"
    return f"predictions{of} drifted: PSI {score.psi:.2f}, limit {score.limit:.2f}"


def _told(reasons: list[str], what: str = "features") -> list[str]:
    """Return the first few reasons and the number of the others: they go into messages."""
    more = len(reasons) - MOST_REASONS
    return [*reasons[:MOST_REASONS], f"and {more} more {what}"] if more > 1 else reasons


def _too_few(rows: int, drift: Drift) -> DriftResult:
    return DriftResult(
        rows=rows,
        status="too_few_rows",
        drifted_share=None,
        features=(),
        prediction_psi=None,
        prediction_limit=None,
        prediction_drifted=False,
        reasons=(f"{rows:,} rows, fewer than min_rows {drift.min_rows:,}: not judged",),
    )


# A measure is a function from a column to words, or to None where nothing is wrong. Words make the window drifted.
MEASURES: Mapping[str, Callable[[Column, Drift], str | None]] = {"missing": missing}
