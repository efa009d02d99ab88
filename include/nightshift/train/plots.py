"""Plots of a training, as PNG bytes for the registry."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve

from nightshift.records.decisions import Evaluation, Intervals
from nightshift.specs import Model

mpl.use("agg")

from matplotlib.figure import Figure

MOST_LINES = 10  # of classes, in one picture


def plots(
    model: Model, label: np.ndarray, score: np.ndarray, importance: Mapping[str, float]
) -> dict[str, bytes]:
    """Return PNGs by file name: importance, and calibration and ROC or confusion, or predicted against actual."""
    drawn = {"importance.png": _importance(importance)}
    if model.kind == "multiclass":
        each = {name: (label == number, score[:, number]) for number, name in enumerate(model.classes)}
        confusion = _confusion(model.classes, label, score.argmax(axis=1))
        return {**drawn, "calibration.png": _calibration(each), "confusion.png": confusion}
    if model.kind == "classification":
        calibration = _calibration({model.truth.rule: (label, score)})
        return {**drawn, "calibration.png": calibration, "roc.png": _roc(label, score)}
    return {**drawn, "predicted_actual.png": _scatter(label, score)}


def gain_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """Return a PNG a metric: what the challenger gains on the champion, overall and a slice at a time, with intervals.

    Nothing without a champion.
    """
    parts = {"overall": evaluation.gains, **{name: part.gains for name, part in evaluation.slices.items()}}
    return {
        f"gain_{m}.png": _gains(parts, m, evaluation.confidence)
        for m, found in evaluation.gains.items()
        if found
    }


def _gains(parts: Mapping[str, Intervals], metric: str, confidence: float) -> bytes:
    between = {name: found for name, gains in parts.items() if (found := gains.get(metric))}
    figure = Figure(figsize=(7, 1.5 + 0.25 * len(between)), layout="constrained")
    axes = figure.subplots()
    for row, (low, high) in enumerate(reversed(between.values())):
        axes.plot([low, high], [row, row], color="tab:blue", linewidth=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(range(len(between)), [_plain(name) for name in reversed(between)])
    axes.set_xlabel(f"gain in {metric} ({confidence:.0%} interval by days; right of 0 is better)")
    return _png(figure)


def _importance(importance: Mapping[str, float]) -> bytes:
    ranked = sorted(importance.items(), key=lambda item: item[1])[-20:]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ranked], [value for _, value in ranked])
    axes.set_xlabel("loss added by shuffling (holdout)")
    return _png(figure)


def _calibration(classes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Draw a line a class, of those that occur in the rows and are missing from others; the most frequent ones."""
    drawable = {name: one for name, one in classes.items() if 0 < one[0].mean() < 1}
    frequent = sorted(drawable.items(), key=lambda item: -item[1][0].mean())[:MOST_LINES]
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, (label, score) in frequent:
        actual, predicted = calibration_curve(label, score, n_bins=10, strategy="quantile")
        axes.plot(predicted, actual, marker="o", label=_plain(name))
    axes.set(xlabel="predicted probability", ylabel="observed share", title="calibration on the holdout")
    axes.legend(loc="upper left", fontsize="small")
    return _png(figure)


def _confusion(classes: Sequence[str], label: np.ndarray, said: np.ndarray) -> bytes:
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (label.astype("int64"), said), 1)
    rows = counts.sum(axis=1, keepdims=True)
    side = 2.5 + 0.35 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts / np.maximum(rows, 1), vmin=0, vmax=1, cmap="Blues")
    names = [_plain(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    for actual, predicted in zip(*np.nonzero(counts), strict=True):
        axes.text(predicted, actual, f"{counts[actual, predicted]:.0f}", ha="center", va="center", fontsize=7)
    axes.set(xlabel="predicted", ylabel="actual", title="holdout, rows")
    return _png(figure)


def _roc(label: np.ndarray, score: np.ndarray) -> bytes:
    false_positive, true_positive, _ = roc_curve(label, score)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot(false_positive, true_positive)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC on the holdout")
    return _png(figure)


def _scatter(label: np.ndarray, score: np.ndarray) -> bytes:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(score[:2000], label[:2000], s=4, alpha=0.4)
    axes.set(xlabel="predicted", ylabel="actual", title="holdout")
    return _png(figure)


def _plain(name: str) -> str:
    """Return a name of the data's for a picture: "$" would start mathematics, "_" hides a line from the legend."""
    return name[:40].replace("$", r"\$").lstrip("_")


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return drawn.getvalue()
