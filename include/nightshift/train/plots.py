"""Plots of a training, as PNG bytes for the registry."""

import io
from collections.abc import Mapping

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
