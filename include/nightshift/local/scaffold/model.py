"""The text of a model's spec, with thresholds taken from what was seen of its target. Pure."""

import math
from dataclasses import dataclass
from typing import Any

from nightshift.errors import RequestError
from nightshift.local.scaffold.look import Seen
from nightshift.local.scaffold.source import scalar
from nightshift.specs import FilesConnector, Source

CLASS = "sklearn.ensemble.HistGradientBoosting"
PARAMS = "{max_iter: 150, learning_rate: 0.06, max_leaf_nodes: 15, min_samples_leaf: 20, random_state: 0}"


@dataclass(frozen=True)
class Ask:
    """What the user said: the target's column, and what was not left to guess."""

    features: str
    column: str
    task: str | None = None
    above: float | None = None


def draft(ask: Ask, source: Source, seen: Seen | None, *, owner: str) -> str:
    """Return the YAML of a model.

    Raises:
        RequestError: the column cannot be a target, or nothing says where its positive class begins.
    """
    kind = source.columns[ask.column].type
    if kind not in ("float", "integer", "boolean"):
        raise RequestError(
            f"--target: column '{ask.column}' of source '{source.name}' is {kind}; a target is a number or a boolean"
        )
    task = ask.task or ("classification" if kind == "boolean" or ask.above is not None else "regression")
    above, why = _above(ask, kind, seen) if task == "classification" else (None, "")
    sizes = _sizes(seen)
    late = _matures(source, seen)
    target = f"source: {source.name}, column: {scalar(ask.column)}"
    target += f", above: {above:g}" if above is not None else ""
    told = (
        f"{len(seen.values)} values in the warehouse"
        if seen
        else "the spec alone; no values are collected yet"
    )
    estimator = CLASS + ("Classifier" if task == "classification" else "Regressor")
    sizes_of = "train: {{window_days: {window}, holdout_days: {holdout}, min_rows: {rows}}}"
    lines = [
        f"# Drafted from {told}. What says 'guess' is one: read it, then edit it.",
        f"owner: {scalar(owner)}",
        f"description: {scalar(_described(ask, source, above))}",
        f"task: {task}",
        f"features: {ask.features}",
        *([f"# above: the positive class is {ask.column} > {above:g}; {why}."] if above is not None else []),
        f"# matures_after_days, a guess: the night of D + {late} knows what came of D.",
        f"target: {{{target}, matures_after_days: {late}}}",
        "estimator:",
        f"  class: {estimator}",
        f"  params: {PARAMS}",
        sizes_of.format(**sizes) + _per_night(seen),
        *_gates(task, above, seen),
        f"drift: {{{_window(sizes, 'min_rows')}}}",
        f"performance: {{metric: {_loss(task)}, tolerance: 0.15, {_window(sizes, 'min_labels')}}}",
        "retrain: {cooldown_days: 14}",
    ]
    return "\n".join(lines) + "\n"


def _loss(task: str) -> str:
    return "log_loss" if task == "classification" else "mae"


def _window(sizes: dict[str, int], least: str) -> str:
    return f"window_days: {sizes['drift']}, {least}: {sizes['drift_rows']}"


def _described(ask: Ask, source: Source, above: float | None) -> str:
    if above is None:
        return f"{ask.column} of source {source.name}, predicted beforehand."
    return f"Probability that {ask.column} of source {source.name} is above {above:g}."


def _above(ask: Ask, kind: str, seen: Seen | None) -> tuple[float, str]:
    if ask.above is not None:
        return ask.above, "as asked"
    if kind == "boolean":
        return 0.0, "true is 1"
    if seen is None:
        raise RequestError(
            f"--above: where does the positive class of '{ask.column}' begin? Nothing is collected yet to guess from"
        )
    return float(seen.values.median()), "a guess, the median of what was seen"


def _sizes(seen: Seen | None) -> dict[str, int]:
    """Return windows that hold some hundreds of rows, by how many a night brings."""
    if seen is None:
        return {"window": 45, "holdout": 14, "rows": 500, "drift": 7, "drift_rows": 300}
    rows = seen.rows_a_night
    window, holdout = _between(3000 / rows, 45, 365), _between(600 / rows, 14, 60)
    drift = _between(300 / rows, 7, 30)
    return {
        "window": window,
        "holdout": holdout,
        "rows": _between(0.5 * rows * window, 30, 5000),
        "drift": drift,
        "drift_rows": _between(0.5 * rows * drift, 10, 300),
    }


def _between(number: float, low: int, high: int) -> int:
    return int(min(max(math.ceil(number), low), high))


def _per_night(seen: Seen | None) -> str:
    return f"  # {seen.rows_a_night:.3g} rows a night" if seen else "  # guess: some hundred rows a night"


def _matures(source: Source, seen: Seen | None) -> int:
    if seen and seen.matures_after is not None:
        return seen.matures_after
    late = source.connector.offset_days if isinstance(source.connector, FilesConnector) else 0
    return max(-late, 1)


def _gates(task: str, above: float | None, seen: Seen | None) -> list[str]:
    """Return gates that a model passes only if it knows more than a constant does."""
    minimum: dict[str, Any]
    if task == "regression":
        spread = float((seen.values - seen.values.median()).abs().mean()) if seen else None
        why = "r2 0: no better than always saying the holdout's own mean"
        why += f"; always saying the median misses by {spread:.3g} (mae)" if spread is not None else ""
        minimum = {"metric": "r2", "value": 0}
    else:
        share = float((seen.values > above).mean()) if seen else None
        if share is None or not 0 < share < 1:
            why = "roc_auc 0.5 is chance"
            minimum = {"metric": "roc_auc", "value": 0.55}
        else:
            alone = -share * math.log(share) - (1 - share) * math.log(1 - share)
            why = f"what always saying {share:.0%} would score"
            minimum = {"metric": "log_loss", "value": math.floor(alone * 1000) / 1000}
    return [
        f"# minimum_score: {why}.",
        "gates:",
        f"  - {{gate: minimum_score, metric: {minimum['metric']}, value: {minimum['value']}}}",
        f"  - {{gate: beats_champion, metric: {_loss(task)}}}",
    ]
