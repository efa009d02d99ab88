"""The metrics by which models are trained, judged and watched: one table, one meaning everywhere.

``METRICS`` maps a metric's name to its function and its direction. All functions take ``(y_true, y_score)``,
``y_true`` of shape (n,): for classification the labels 0/1 and P(label = 1), for multiclass the numbers of the classes
and P(class), shape (n, classes), for regression two arrays in the target's unit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

Task = Literal["classification", "multiclass", "regression"]
Array = NDArray[np.float64]
# A probability is never as sure as this: one row would weigh as all others do.
SUREST = 1e-15


@dataclass(frozen=True)
class Metric:
    """``function(y_true, y_score) -> float``, its direction, and the tasks it belongs to.

    ``too_good``: no honest model of data that leaves anything open scores above it.
    ``in_unit``: it is in the unit of the target.
    """

    function: Callable[[Array, Array], float]
    greater_is_better: bool
    tasks: tuple[Task, ...]
    too_good: float = inf
    in_unit: bool = False


def row_losses(task: Task, truth: Array, predictions: Array) -> Array:
    """Return the loss of each row, (n,): nats of a classification, the absolute error of a regression."""
    if task == "regression":
        return np.abs(truth - predictions)
    if task == "multiclass":
        said = predictions[np.arange(len(truth)), truth.astype(np.int64)]
    else:
        said = np.where(truth == 1, predictions, 1 - predictions)
    return -np.log(np.clip(said, SUREST, 1.0))


def difference_variances(task: Task, truth: Array, one: Array, other: Array) -> Array:
    """Return, (n,), the variance that chance gives each row's loss by ``one`` less that by ``other``.

    Of classes by what both say on average, whatever came true: of rare ones that did not come, a sample knows nothing.
    Of numbers the squared distance from the mean difference.
    """
    if task == "regression":
        beyond = row_losses(task, truth, one) - row_losses(task, truth, other)
        return (beyond - beyond.mean()) ** 2
    if task == "classification":
        one, other = (np.column_stack([1 - each, each]) for each in (one, other))
    apart = np.log(np.clip(other, SUREST, 1.0)) - np.log(np.clip(one, SUREST, 1.0))
    likely = (one + other) / 2
    return (likely * apart**2).sum(axis=1) - (likely * apart).sum(axis=1) ** 2


def roc_auc(y_true: Array, y_score: Array) -> float:
    """Return the probability that a positive is ranked above a negative (0 to 1; 0.5 is chance)."""
    return float(sk.roc_auc_score(y_true, y_score)) if _both_classes(y_true) else np.nan


def average_precision(y_true: Array, y_score: Array) -> float:
    """Return the precision averaged over recall (0 to 1; chance is the share of positives)."""
    return float(sk.average_precision_score(y_true, y_score)) if _both_classes(y_true) else np.nan


def log_loss(y_true: Array, y_score: Array) -> float:
    """Return the mean negative log-likelihood (nats a row; ln 2 = 0.693 is a coin's, ln k that of k even classes)."""
    classes = y_score.shape[1] if y_score.ndim == 2 else 2
    return float(sk.log_loss(y_true, y_score, labels=np.arange(float(classes))))


def brier(y_true: Array, y_score: Array) -> float:
    """Return the mean squared error of the probability (0 to 1)."""
    return float(np.mean((y_score - y_true) ** 2))


def balanced_accuracy(y_true: Array, y_score: Array) -> float:
    """Return the share of a class that is chosen right, averaged over the classes that occur (0 to 1)."""
    return float(sk.recall_score(y_true, chosen(y_score), labels=np.unique(y_true), average="macro"))


def macro_f1(y_true: Array, y_score: Array) -> float:
    """Return the F1 of a class, averaged over the classes that occur or are chosen (0 to 1)."""
    return float(sk.f1_score(y_true, chosen(y_score), average="macro", zero_division=0.0))


def roc_auc_ovr(y_true: Array, y_score: Array) -> float:
    """Return the ROC AUC of a class against the rest, averaged over the classes that occur (0.5 is chance)."""
    return float(np.mean([roc_auc(y_true == k, y_score[:, int(k)]) for k in np.unique(y_true)]))


def chosen(y_score: Array) -> Array:
    """Return the number of the likeliest class, a row; of equals, the first."""
    return y_score.argmax(axis=1).astype("float64")


def mae(y_true: Array, y_score: Array) -> float:
    """Return the mean absolute error (unit of the target)."""
    return float(np.mean(np.abs(y_score - y_true)))


def rmse(y_true: Array, y_score: Array) -> float:
    """Return the root of the mean squared error (unit of the target)."""
    return float(np.sqrt(np.mean((y_score - y_true) ** 2)))


def r2(y_true: Array, y_score: Array) -> float:
    """Return the share of variance explained (1 is perfect, 0 the mean's); NaN for a constant target."""
    # Not by the spread: the mean of a constant is off by a rounding error, and its spread is more than none.
    if y_true.min() == y_true.max():
        return np.nan
    spread = float(np.sum((y_true - y_true.mean()) ** 2))
    return 1 - float(np.sum((y_score - y_true) ** 2)) / spread if spread > 0 else np.nan


def score(task: Task, y_true: ArrayLike, y_score: ArrayLike) -> dict[str, float | None]:
    """Return every metric of ``task``.

    Rows whose label is NaN have no label yet and are left out. A metric that these rows do not define
    (ROC AUC where all labels are one class, R2 of a constant, anything of no rows) is None, never 0.

    Raises:
        ValueError: shapes differ, or a labelled row's ``y_score`` is NaN or infinite.
    """
    truth, scores = labelled(y_true, y_score)
    wanted = {name: metric for name, metric in METRICS.items() if task in metric.tasks}
    if not truth.size:
        return dict.fromkeys(wanted)
    values = {name: metric.function(truth, scores) for name, metric in wanted.items()}
    return {name: value if isfinite(value) else None for name, value in values.items()}


def labelled(y_true: ArrayLike, y_score: ArrayLike) -> tuple[Array, Array]:
    """Return the labels and scores of the rows that have a label, as floats.

    Raises:
        ValueError: shapes differ, or a labelled row's ``y_score`` is NaN or infinite.
    """
    truth, scores = np.asarray(y_true, dtype=float), np.asarray(y_score, dtype=float)
    if truth.shape != scores.shape[:1]:
        raise ValueError(f"{truth.shape} labels for {scores.shape} scores")
    known = ~np.isnan(truth)
    truth, scores = truth[known], scores[known]
    finite = np.isfinite(scores) if scores.ndim == 1 else np.isfinite(scores).all(axis=1)
    if not finite.all():
        raise ValueError(f"{np.count_nonzero(~finite)} of {truth.size} labelled rows have no finite score")
    return truth, scores


def calibration_error(y_true: ArrayLike, y_score: ArrayLike, bins: int = 10) -> float | None:
    """Return the expected calibration error of probabilities (0 to 1), in bins of equally many rows; None of no rows.

    Source: Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning";
    bins of equal mass after Nixon et al. 2019, "Measuring calibration in deep learning". Rows with the same
    probability share a bin, so a model that says one number has one bin. Of several classes it is the mean of theirs,
    each against the rest: classwise, after Kull et al. 2019, "Beyond temperature scaling: obtaining well-calibrated
    multiclass probabilities with Dirichlet calibration".
    """
    truth, scores = labelled(y_true, y_score)
    if not truth.size:
        return None
    if scores.ndim == 2:
        errors = [calibration_error(truth == k, scores[:, k], bins) for k in range(scores.shape[1])]
        return float(np.mean([error for error in errors if error is not None]))
    gaps, _ = _gaps(truth, scores, bins)
    return float(np.abs(gaps).sum() / truth.size)


def overconfidence(y_true: ArrayLike, y_score: ArrayLike, bins: int = 10) -> float | None:
    """Return the part of the calibration error that is of probabilities surer than came true (0 to 1); None of no rows.

    Surer: farther from the share of positives than the share in their bin is.
    """
    truth, scores = labelled(y_true, y_score)
    if not truth.size:
        return None
    if scores.ndim == 2:
        errors = [overconfidence(truth == k, scores[:, k], bins) for k in range(scores.shape[1])]
        return float(np.mean([error for error in errors if error is not None]))
    gaps, means = _gaps(truth, scores, bins)
    return float(np.maximum(gaps * np.sign(means - truth.mean()), 0.0).sum() / truth.size)


def _gaps(truth: Array, scores: Array, bins: int) -> tuple[Array, Array]:
    """Return of each bin of equally many rows the sum of scores less truths, and the mean score."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    index = np.searchsorted(edges, scores, "right")
    # A bin may be empty.
    rows, sums = np.bincount(index), np.bincount(index, weights=scores).astype("float64")
    return sums - np.bincount(index, weights=truth), sums / np.maximum(rows, 1)


def better(metric: str, a: float, b: float) -> bool:
    """Return whether ``a`` is strictly better than ``b``."""
    return a > b if METRICS[metric].greater_is_better else a < b


def worsening(metric: str, reference: float, current: float) -> float:
    """Return by which part of ``|reference|`` ``current`` is worse; negative when it is better.

    A log loss of 0.55 against 0.50, or a ROC AUC of 0.63 against 0.70, has worsened by 0.10. Against a
    reference of 0 any loss is infinitely worse.
    """
    loss = reference - current if METRICS[metric].greater_is_better else current - reference
    if loss == 0:
        return 0.0
    return loss / abs(reference) if reference else loss * inf


def _both_classes(y_true: Array) -> bool:
    return bool(y_true.min() < y_true.max())


BINARY: tuple[Task, ...] = ("classification",)
SEVERAL: tuple[Task, ...] = ("multiclass",)
REGRESSION: tuple[Task, ...] = ("regression",)
METRICS: dict[str, Metric] = {
    "roc_auc": Metric(roc_auc, greater_is_better=True, tasks=BINARY, too_good=0.995),
    "average_precision": Metric(average_precision, greater_is_better=True, tasks=BINARY),
    "log_loss": Metric(log_loss, greater_is_better=False, tasks=BINARY + SEVERAL),
    "brier": Metric(brier, greater_is_better=False, tasks=BINARY),
    "roc_auc_ovr": Metric(roc_auc_ovr, greater_is_better=True, tasks=SEVERAL, too_good=0.995),
    "balanced_accuracy": Metric(balanced_accuracy, greater_is_better=True, tasks=SEVERAL),
    "macro_f1": Metric(macro_f1, greater_is_better=True, tasks=SEVERAL),
    "mae": Metric(mae, greater_is_better=False, tasks=REGRESSION, in_unit=True),
    "rmse": Metric(rmse, greater_is_better=False, tasks=REGRESSION, in_unit=True),
    "r2": Metric(r2, greater_is_better=True, tasks=REGRESSION, too_good=0.999),
}
