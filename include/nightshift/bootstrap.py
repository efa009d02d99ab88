"""The bootstrap by blocks of days: how far a metric would move with other days of the same kind.

The rows of one day share their weather, their staff and their delays: they are not independent, and an interval that
resamples rows is far too narrow. Whole days are drawn with replacement instead (Künsch 1989, "The jackknife and the
bootstrap for general stationary observations"; blocks of one day). The metrics of ``REPLICATES`` are computed from sums
a day, so that a resample costs a product of matrices, not a pass over the rows.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nightshift.metrics import METRICS

Array = NDArray[np.float64]
RESAMPLES = 1000
_PIECE = 100  # resamples whose weights a row are held at once
# Of more days than this, pairs of days are more than rows to rank.
_MOST_DAYS = 400


def draws(days: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Return how often each day is drawn, in each resample. Shape (resamples, days); each row sums to ``days``."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(days, np.full(days, 1 / days), size=resamples).astype("float64")


def replicates(metric: str, y_true: ArrayLike, y_score: ArrayLike, day: ArrayLike, weights: Array) -> Array:
    """Return a metric of every resample, shape (resamples,); NaN where a resample does not define it.

    ``y_true``, ``y_score``: n rows, finite, as :data:`nightshift.metrics.METRICS` takes them. ``day``: shape (n,),
    the index of each row's day in the columns of ``weights`` (:func:`draws`). The same weights for two models make
    the comparison paired.

    Raises:
        KeyError: no such metric.
    """
    truth, scores = np.asarray(y_true, dtype="float64"), np.asarray(y_score, dtype="float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        each, days = REPLICATES.get(metric), np.asarray(day, dtype="int64")
        return (
            each(truth, scores, days, weights)
            if each
            else _drawn(METRICS[metric].function, truth, scores, days, weights)
        )


def interval(values: Array, confidence: float) -> tuple[float, float] | None:
    """Return the central percentile interval; None if no resample defines the metric."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _drawn(
    function: Callable[[Array, Array], float],
    truth: Array,
    scores: Array,
    day: NDArray[np.int64],
    weights: Array,
) -> Array:
    """Return a metric of every resample, each over its rows: right for any metric, and as slow as that many metrics."""
    found, every = np.full(len(weights), np.nan), np.arange(len(truth))
    for number, drawn in enumerate(weights.astype("int64")):
        rows = np.repeat(every, drawn[day])
        if rows.size:
            found[number] = function(truth[rows], scores[rows])
    return found


def _sums(values: Array, day: NDArray[np.int64], weights: Array) -> Array:
    return weights @ np.bincount(day, weights=values, minlength=weights.shape[1])


def _mean(values: Array, day: NDArray[np.int64], weights: Array) -> Array:
    return _sums(values, day, weights) / _sums(np.ones_like(values), day, weights)


def _log_loss(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    # Clipped as scikit-learn clips: a certainty that is wrong costs much, not infinitely much.
    smallest = np.finfo("float64").eps
    p = np.clip(scores, smallest, 1 - smallest)
    likely = np.where(truth > 0, p, 1 - p) if p.ndim == 1 else p[np.arange(len(p)), truth.astype("int64")]
    return _mean(-np.log(likely), day, weights)


def _balanced_accuracy(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    right = (scores.argmax(axis=1) == truth).astype("float64")
    return _over_classes([_mean(right[truth == k], day[truth == k], weights) for k in np.unique(truth)])


def _macro_f1(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    said, found = scores.argmax(axis=1), []
    for k in np.union1d(truth, said):
        is_k, says_k = truth == k, said == k
        hits = _sums((is_k & says_k).astype("float64"), day, weights)
        found.append(2 * hits / _sums(is_k.astype("float64") + says_k, day, weights))
    return _over_classes(found)


def _roc_auc_ovr(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    return _over_classes(
        [_roc_auc((truth == k).astype("float64"), scores[:, int(k)], day, weights) for k in np.unique(truth)]
    )


def _over_classes(found: list[Array]) -> Array:
    """Return the mean over the classes that a resample has; where it has none of some, their number is NaN."""
    values = np.array(found)
    return np.nansum(values, axis=0) / np.count_nonzero(~np.isnan(values), axis=0)


def _r2(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    shifted = truth - truth.mean()  # the spread does not change, and large values cancel less
    left = _sums((scores - truth) ** 2, day, weights)
    rows, total = _sums(np.ones_like(truth), day, weights), _sums(shifted, day, weights)
    spread = _sums(shifted**2, day, weights) - total**2 / rows
    return np.where((spread > 0) & ~_is_constant(truth, day, weights), 1 - left / spread, np.nan)


def _is_constant(values: Array, day: NDArray[np.int64], weights: Array) -> NDArray[np.bool_]:
    """Return of which resamples all values are one, (resamples,): rounding leaves their spread more than none."""
    low, high = np.full(weights.shape[1], np.inf), np.full(weights.shape[1], -np.inf)
    np.minimum.at(low, day, values)
    np.maximum.at(high, day, values)
    drawn = weights > 0
    return np.where(drawn, low, np.inf).min(axis=1) == np.where(drawn, high, -np.inf).max(axis=1)


def _roc_auc(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    days = weights.shape[1]
    if days > _MOST_DAYS:
        return _roc_auc_by_rank(truth, scores, day, weights)
    positive = truth > 0
    scored, of = scores[positive], day[positive]
    order = np.argsort(scored, kind="stable")
    scored, of = scored[order], of[order]
    # won[i, j]: pairs of a positive of day i and a negative of day j that are ranked right; a tie is half a pair.
    won = np.empty((days, days))
    for j in range(days):
        negatives = np.sort(scores[~positive & (day == j)])
        below = np.searchsorted(negatives, scored, "left") + np.searchsorted(negatives, scored, "right")
        won[:, j] = np.bincount(of, weights=below / 2, minlength=days)
    pairs = _sums(positive.astype("float64"), day, weights) * _sums(
        (~positive).astype("float64"), day, weights
    )
    return np.einsum("bi,ij,bj->b", weights, won, weights, optimize=True) / pairs


def _roc_auc_by_rank(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    found = np.empty(len(weights))
    for piece, hits, taken in _by_threshold(truth, scores, day, weights):
        misses = taken - hits
        # A positive wins against the negatives below it; a tie is half a pair.
        below = misses[:, -1:] - misses + np.diff(misses, axis=1, prepend=0.0) / 2
        won = (np.diff(hits, axis=1, prepend=0.0) * below).sum(axis=1)
        found[piece] = won / (hits[:, -1] * misses[:, -1])
    return found


def _average_precision(truth: Array, scores: Array, day: NDArray[np.int64], weights: Array) -> Array:
    found = np.empty(len(weights))
    for piece, hits, taken in _by_threshold(truth, scores, day, weights):
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        found[piece] = (gained * precision).sum(axis=1) / hits[:, -1]
    return found


def _by_threshold(
    truth: Array, scores: Array, day: NDArray[np.int64], weights: Array
) -> Iterator[tuple[slice, Array, Array]]:
    """Yield some resamples at a time: which, and their positives and rows at or above each score, (n, scores)."""
    order = np.argsort(-scores, kind="stable")
    positive, of = truth[order] > 0, day[order]
    # One threshold a distinct score: rows with the same score are taken or left together.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    for start in range(0, len(weights), _PIECE):
        piece = slice(start, start + _PIECE)
        w = weights[piece][:, of]
        yield piece, np.cumsum(w * positive, axis=1)[:, ends], np.cumsum(w, axis=1)[:, ends]


# What sums a day are enough for; any other metric is computed anew for each resample.
REPLICATES: dict[str, Callable[[Array, Array, NDArray[np.int64], Array], Array]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "roc_auc_ovr": _roc_auc_ovr,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "brier": lambda truth, scores, day, weights: _mean((scores - truth) ** 2, day, weights),
    "mae": lambda truth, scores, day, weights: _mean(np.abs(scores - truth), day, weights),
    "rmse": lambda truth, scores, day, weights: np.sqrt(_mean((scores - truth) ** 2, day, weights)),
    "r2": _r2,
}
