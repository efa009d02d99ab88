"""Does the model cost more than it did? Losses of nights against those of saying what was usual in training.

A hard day costs everybody: what is looked at is the difference to the base rate's loss (of a regression: the median's)
on the same rows, night by night, in units of the base rate's loss in training. How much such nights differ is learned
from the training's own nights, each predicted by a model that had not seen it; what follows is judged by the machinery
of :mod:`nightshift.monitor.shift`: innovations of a Kalman filter, an e-detector, for growing losses only.

It needs labels, so it comes late; and it says that a model is worse than it was, not that another would be better.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nightshift.distributions import Floats
from nightshift.metrics import Task, row_losses
from nightshift.monitor import shift
from nightshift.records.monitoring import Harm
from nightshift.records.profile import NightLoss, TrainingLosses

FEWEST_NIGHTS = 14


def base_of(task: Task, truth: Floats, classes: int = 2) -> tuple[float, ...]:
    """Return what is always said without a model: the median, or the share of each class, (classes,)."""
    if task == "regression":
        return (float(np.median(truth)),)
    counts = np.bincount(truth.astype(np.int64), minlength=classes)
    return tuple((counts / counts.sum()).tolist())


def night_losses(
    task: Task, dates: pd.Series, truth: Floats, predictions: Floats, base: Sequence[float]
) -> list[NightLoss]:
    """Return the mean loss of each night, (n,) labelled rows, of the predictions and of ``base``; by date."""
    of_base = np.asarray(base)
    always = of_base if task == "multiclass" else of_base[-1:]
    said = (
        np.broadcast_to(always, (len(truth), len(always)))
        if task == "multiclass"
        else always.repeat(len(truth))
    )
    mine, usual = row_losses(task, truth, predictions), row_losses(task, truth, said)
    rows = pd.DataFrame({"loss": mine, "base": usual, "beyond": mine - usual})
    found = []
    for night, part in rows.groupby(pd.to_datetime(dates).dt.date.to_numpy()):
        n = len(part)
        variance = float(part["beyond"].var()) / n if n > 1 else None
        found.append(
            NightLoss(
                night=night,
                rows=n,
                loss=float(part["loss"].mean()),
                base=float(part["base"].mean()),
                variance=variance,
            )
        )
    return found


def of_training(
    task: Task, dates: pd.Series, label: pd.Series, out_of_fold: Floats, classes: Sequence[str] = ()
) -> TrainingLosses:
    """Return the losses of a training's nights, (n,) rows, by predictions of models that had not seen their rows.

    ``classes``: of a model of several.
    """
    truth = label.to_numpy(dtype="float64")
    base = base_of(task, truth, max(len(classes), 2))
    return TrainingLosses(base=base, nights=tuple(night_losses(task, dates, truth, out_of_fold, base)))


def evidence(training: TrainingLosses, later: Sequence[NightLoss], alarm: float) -> Harm | None:
    """Return the evidence that losses grew after the last of ``later`` nights; None without any, or few of training.

    ``alarm``: what is passed about once in so many nights if nothing changed.
    """
    grown = after_each(training, later)
    if not grown.size:
        return None
    start = shift.began(grown)
    usual, skill = _skill(training.nights), _skill(later[start:])
    words = f"skill {skill:.3f} since {later[start].night}, {usual:.3f} in training"
    return Harm(float(grown[-1]), alarm, len(later), skill, usual, words)


def after_each(training: TrainingLosses, later: Sequence[NightLoss]) -> Floats:
    """Return the evidence after each of the ``later`` nights, (nights,); empty where there is none."""
    unit = _mean([night.base for night in training.nights], training.nights) if training.nights else 0.0
    if len(training.nights) < FEWEST_NIGHTS or not later or unit <= 0:
        return np.empty(0)
    row = _row_variance(training.nights)
    then, now = _series(training.nights, unit, row), _series(later, unit, row)
    of = shift.usual(then)
    made = shift.innovations(shift.followed(then, now), of)[len(then.nights) :]
    worse = shift.likelihoods(made, of)[:, :, : len(shift.SIZES)]
    return shift.accumulate(worse, np.ones(1)).sum(axis=(1, 2))


def _row_variance(nights: Sequence[NightLoss]) -> float | None:
    """Return how far chance moves a row, of all nights together; None where each is of one row.

    A night's own would say it wrong: one without a positive has nearly none, and lies above the mean, so a model that
    is as good as ever would surely be worse on most nights.
    """
    several = [(night.rows, night.variance) for night in nights if night.variance is not None]
    freedom = sum(rows - 1 for rows, _ in several)
    return sum(variance * rows * (rows - 1) for rows, variance in several) / freedom if freedom else None


def _series(nights: Sequence[NightLoss], unit: float, row_variance: float | None) -> shift.Series:
    beyond = [[(night.loss - night.base) / unit] for night in nights]
    # Nothing is known of how far chance moves a row: as far as it can.
    row = unit**2 if row_variance is None else row_variance
    variances = [[row / night.rows / unit**2] for night in nights]
    return shift.Series(
        tuple(night.night for night in nights), (("loss", "harm"),), np.array(beyond), np.array(variances)
    )


def _mean(values: Sequence[float], nights: Sequence[NightLoss]) -> float:
    rows = np.array([night.rows for night in nights], dtype=np.float64)
    return float(np.dot(values, rows) / rows.sum())


def _skill(nights: Sequence[NightLoss]) -> float:
    """Return the share of the base's loss that the model does without: 0 is no better, below is worse."""
    base = _mean([night.base for night in nights], nights)
    return 1 - _mean([night.loss for night in nights], nights) / base if base > 0 else 0.0
