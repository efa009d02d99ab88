"""Plots of a training, as PNG bytes for the registry."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve

mpl.use("agg")

from matplotlib.figure import Figure


def plots(
    task: str, label: np.ndarray, score: np.ndarray, importance: Mapping[str, float]
) -> dict[str, bytes]:
    """Return PNGs by file name: importance, and calibration and ROC, or predicted against actual."""
    drawn = {"importance.png": _importance(importance)}
    if task == "classification":
        return {**drawn, "calibration.png": _calibration(label, score), "roc.png": _roc(label, score)}
    return {**drawn, "predicted_actual.png": _scatter(label, score)}


def gain_plots(evaluation: Mapping[str, Any]) -> dict[str, bytes]:
    """Return a PNG a metric: what the challenger gains on the champion, overall and a slice at a time, with intervals.

    ``evaluation``: as the decision keeps it. Nothing without a champion.
    """
    parts = {"overall": evaluation, **evaluation["slices"]}
    return {
        f"gain_{m}.png": _gains(parts, m, evaluation) for m, found in evaluation["gains"].items() if found
    }


def _gains(parts: Mapping[str, Any], metric: str, evaluation: Mapping[str, Any]) -> bytes:
    between = {name: part["gains"][metric] for name, part in parts.items() if part["gains"].get(metric)}
    figure = Figure(figsize=(7, 1.5 + 0.25 * len(between)), layout="constrained")
    axes = figure.subplots()
    for row, (low, high) in enumerate(reversed(between.values())):
        axes.plot([low, high], [row, row], color="tab:blue", linewidth=3)
    axes.axvline(0, color="grey", linewidth=1)
    # "$" would start mathematics in a slice's name.
    axes.set_yticks(range(len(between)), [name.replace("$", r"\$") for name in reversed(between)])
    axes.set_xlabel(
        f"gain in {metric} ({evaluation['confidence']:.0%} interval by days; right of 0 is better)"
    )
    return _png(figure)


def _importance(importance: Mapping[str, float]) -> bytes:
    ranked = sorted(importance.items(), key=lambda item: item[1])[-20:]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ranked], [value for _, value in ranked])
    axes.set_xlabel("loss added by shuffling (holdout)")
    return _png(figure)


def _calibration(label: np.ndarray, score: np.ndarray) -> bytes:
    actual, predicted = calibration_curve(label, score, n_bins=10, strategy="quantile")
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot(predicted, actual, marker="o")
    axes.set(xlabel="predicted probability", ylabel="observed share", title="calibration on the holdout")
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


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return drawn.getvalue()
