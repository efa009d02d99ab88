"""Recalibration: what a version says, moved by one offset a night so that on the whole it agrees with what came true.

A training learns who is likelier than whom; how likely all are moves from week to week, and costs little to follow.
The offset of a night comes from the nights that the same version has said before and whose labels are complete:

- classification: on the logit, by maximum likelihood: the intercept of a logistic regression with slope 1 (Cox 1958,
  "Two further applications of a model for binary regression", Biometrika 45; "calibration in the large").
- several classes: one a class on the logarithms of the probabilities, likewise, then these are made to sum to 1.
- regression: added, the value that the metric of gate ``beats_champion`` is least at: the median of the residuals of
  ``mae``, their mean of all others (Gneiting 2011, "Making and evaluating point forecasts", JASA 106).

Nights, not rows, are what differ: of n nights it is multiplied by n / (n + ``shrink_nights``), as the mean of n
observations is by a prior worth so many. A night with fewer labels than ``FULL`` counts as that part of one, so that
little is made of little. It is cut off at the bound that the spec declares, and kept with six digits: in which order a
machine sums cannot be seen in them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import fsum

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from nightshift.calendar import DateRange
from nightshift.records.features import Recalibration
from nightshift.score import Predict
from nightshift.specs import BeatsChampion, Kind, Model, Recalibrate

Floats = NDArray[np.float64]
ONE = ("prediction",)
FULL = 50
MOST_STEPS, LONGEST_STEP, NEAR, SINGULAR = 100, 1.0, 1e-10, 1e-10
# Each score of a sum may be off by so much. Where all are next to 0 or 1, no more may be left of what the labels ask
# for, nor of what a step moves: one divided by the other is any offset, or none.
ROUNDING, LEAST = float(np.finfo(np.float64).eps), 1e-300


@dataclass(frozen=True)
class Offset:
    """One value, or one a class in their order; from how many nights and labels."""

    values: tuple[float, ...]
    nights: int = 0
    labels: int = 0


def window(model: Model, night: date) -> DateRange:
    """Return the nights that the offset of ``night`` may come from: their labels are complete by then.

    A night never sees its own labels, also where these are complete at once.
    """
    last = night - timedelta(days=max(model.matures_after_days, 1))
    return DateRange(last - timedelta(days=_asked(model).window_days - 1), last)


def offset(model: Model, nights: Sequence[tuple[Floats, Floats]]) -> Offset:
    """Return the offset that follows from nights: the scores of each, (n,) or (n, classes), and its labels, (n,).

    It depends neither on the order of the nights nor on that of their rows. Rows whose label is NaN have none yet.
    """
    spec = _asked(model)
    labelled = [(scores[~np.isnan(labels)], labels[~np.isnan(labels)]) for scores, labels in nights]
    there = [each for each in labelled if each[1].size]
    if not there:
        return Offset((0.0,) * (len(model.classes) or 1))
    scores, labels = (np.concatenate(parts) for parts in zip(*there, strict=True))
    worth = fsum(min(1.0, part.size / FULL) for _, part in there)
    found = FINDS[_kind_of_offset(model)](scores, labels) * worth / (worth + spec.shrink_nights)
    short = np.clip([float(f"{value:.6g}") for value in found], -spec.bound, spec.bound)
    return Offset(tuple(short.tolist()), len(there), labels.size)


def moved_by(model: Model, scores: Floats, by: Recalibration | None) -> Floats:
    """Return scores, (n,) or (n, classes), moved by what was found for a night; None moves nothing."""
    return shifted(model.kind, scores, offsets(model, by)) if by else scores


def offsets(model: Model, by: Recalibration) -> tuple[float, ...]:
    """Return the offsets in the order of the classes; one that was declared later had none."""
    return tuple(by.offsets.get(name, 0.0) for name in model.classes or ONE)


def shifted(kind: Kind, scores: Floats, by: Sequence[float]) -> Floats:
    """Return scores moved by an offset, of their shape. Moved by the opposite, they come back to within rounding."""
    if not any(by):
        return scores
    if kind == "regression":
        return scores + by[0]
    if kind == "classification":
        moved = scores * np.exp(by[0])
        return moved / (moved + (1 - scores))
    moved = scores * np.exp(np.asarray(by) - max(by))
    return moved / moved.sum(axis=1, keepdims=True)


def undone(kind: Kind, scores: Floats, by: Sequence[float]) -> Floats:
    """Return what scores were before they were moved by an offset."""
    return shifted(kind, scores, [-value for value in by])


def as_served(model: Model, dates: ArrayLike, scores: Floats, labels: ArrayLike) -> Floats:
    """Return what would have been served of a version's scores: those of each night with the offset of then.

    ``dates``, (n,): all nights that the version had in service or can be thought to have had, none that it was fitted
    on; ``labels``, (n,): NaN where there is none. A label counts from the night by which those of its night are
    complete. Without ``recalibrate`` the scores come back as they are.
    """
    if model.recalibrate is None or not scores.size:
        return scores
    codes, found = pd.factorize(np.asarray(dates, dtype="datetime64[D]"), sort=True)
    order = np.argsort(codes, kind="stable")
    nights = [day.date() for day in pd.DatetimeIndex(found)]
    rows = dict(zip(nights, np.split(order, np.bincount(codes).cumsum()[:-1]), strict=True))
    truth, served = np.asarray(labels, dtype="float64"), scores.copy()
    for night, mine in rows.items():
        seen = window(model, night)
        known = [(scores[part], truth[part]) for day, part in rows.items() if seen.first <= day <= seen.last]
        served[mine] = shifted(model.kind, scores[mine], offset(model, known).values)
    return served


def on_holdout(
    model: Model, rows: pd.DataFrame, predict: Predict, train_last: date, holdout_first: date
) -> Floats:
    """Return what a version would have served on a holdout, from its own nights in the snapshot.

    ``rows``: of the snapshot, with ``batch_date`` and ``label``; ``train_last``: the last day that the version was
    fitted on. What it says of later days is its own, also before the holdout.
    """
    first, dates = pd.Timestamp(holdout_first), rows["batch_date"]
    if model.recalibrate is None:
        return predict(rows[dates >= first])
    earliest = window(model, holdout_first).first
    own = rows[(dates > pd.Timestamp(train_last)) & (dates >= pd.Timestamp(earliest)) | (dates >= first)]
    served = as_served(model, own["batch_date"], predict(own), own["label"])
    return served[(own["batch_date"] >= first).to_numpy()]


def words(model: Model, found: Offset | None) -> str:
    """Return an offset in words."""
    if found is None:
        return "as it says"
    unit = {"classification": " on the logit", "multiclass": " on the logarithms"}.get(model.kind, "")
    said = ", ".join(f"{value:+.3g}" for value in found.values)
    return f"moved by {said}{unit}, from {found.labels:,} labels of {found.nights} nights"


def _asked(model: Model) -> Recalibrate:
    if model.recalibrate is None:
        raise ValueError(f"model '{model.name}' has no recalibrate")
    return model.recalibrate


def _kind_of_offset(model: Model) -> str:
    if model.kind != "regression":
        return model.kind
    compared = [gate.metric for gate in model.gates if isinstance(gate, BeatsChampion)]
    return "median" if compared[:1] == ["mae"] else "mean"


def _on_logit(scores: Floats, labels: Floats) -> Floats:
    """Return the likeliest offset by Newton's method; with one row more on which the scores are right, it is finite.

    No offset moves a score of 0 or 1: such rows have no say.
    """
    moves, found = (scores > 0) & (scores < 1), np.zeros(1)
    if not moves.any():
        return found
    given = np.sort(scores[moves])
    given = np.append(given, given.mean())
    wanted, rounding = labels[moves].sum() + given[-1], given.size * ROUNDING
    for _ in range(MOST_STEPS):
        said = shifted("classification", given, found.tolist())
        missed = wanted - said.sum()
        if abs(missed) <= rounding:
            break
        information = max((said * (1 - said)).sum(), LEAST)
        step = np.clip(missed / information, -LONGEST_STEP, LONGEST_STEP)
        found += step
        if abs(step) < NEAR:
            break
    return found


def _on_logarithms(scores: Floats, labels: Floats) -> Floats:
    """Return the likeliest offset of each class, likewise. Only differences matter: they sum to 0.

    A row whose class had no probability has none by any offset, and no say.
    """
    true = labels.astype(np.int64)
    moves, found = scores[np.arange(len(true)), true] > 0, np.zeros(scores.shape[1])
    if not moves.any():
        return found
    given = scores[moves][np.lexsort(scores[moves].T)]
    given = np.vstack([given, given.mean(axis=0)])
    wanted, rounding = np.bincount(true[moves], minlength=scores.shape[1]) + given[-1], len(given) * ROUNDING
    for _ in range(MOST_STEPS):
        said = shifted("multiclass", given, found.tolist())
        missed = wanted - said.sum(axis=0)
        if np.abs(missed).max() <= rounding:
            break
        information = np.diag(said.sum(axis=0)) - said.T @ said
        # To add the same to all classes moves nothing: that direction is left out.
        step = np.linalg.pinv(information, rcond=SINGULAR, hermitian=True) @ missed
        step /= max(1.0, np.abs(step).max() / LONGEST_STEP)
        found += step
        if np.abs(step).max() < NEAR:
            break
    return found - found.mean()


FINDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "classification": _on_logit,
    "multiclass": _on_logarithms,
    "mean": lambda scores, labels: np.sort(labels - scores).mean(keepdims=True),
    "median": lambda scores, labels: np.median(labels - scores, keepdims=True),
}
