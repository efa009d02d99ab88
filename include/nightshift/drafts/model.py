"""The text of a model's spec, with thresholds taken from what was seen of its target. Pure."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nightshift.drafts.inference import MOST_CLASSES, ROWS_A_CLASS
from nightshift.drafts.look import Seen
from nightshift.drafts.source import prose, scalar
from nightshift.errors import RequestError
from nightshift.specs import FilesConnector, Source
from nightshift.spelling import spelled_otherwise

CLASS = "sklearn.ensemble.HistGradientBoosting"
PARAMS = "{max_iter: 150, learning_rate: 0.06, max_leaf_nodes: 15, min_samples_leaf: 20, random_state: 0}"


# What a yes is called; where nothing is, the rarer of two values is the one to look for.
POSITIVE = (
    "yes",
    "true",
    "y",
    "t",
    "1",
    "up",
    "positive",
    "churned",
    "canceled",
    "cancelled",
    "default",
    "fraud",
)
FEW_INTEGERS = 10
EIGHT_WEEKS = 56


@dataclass(frozen=True)
class Ask:
    """What the user said: the target's column, and what was not left to guess."""

    features: str
    column: str
    task: str | None = None
    above: float | None = None
    equals: str | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Goal:
    """What is learned of the target: ``key`` is that of the spec's target (none: the number itself), ``why`` a comment.

    ``shares``: of each class among the values that were seen, if any were.
    """

    key: str | None = None
    value: Any = None
    why: str = ""
    shares: tuple[float, ...] = ()

    @property
    def task(self) -> str:
        """The spec's task."""
        return "classification" if self.key else "regression"


def draft(ask: Ask, source: Source, seen: Seen | None, *, owner: str, lag: int = 0) -> str:
    """Return the YAML of a model. ``lag``: how many nights after its day a row of its features is announced.

    Raises:
        RequestError: the column cannot be a target, or nothing says which of its values are what.
    """
    kind = source.columns[ask.column].type
    if kind in ("date", "timestamp"):
        raise RequestError(
            f"--target: column '{ask.column}' of source '{source.name}' is {kind}; a target is a number, a text or a "
            "boolean. Have the source deliver what is asked: days until then, happened or not"
        )
    goal = _goal(ask, kind, seen)
    sizes = _sizes(seen)
    late = max(_matures(source, seen) - lag, 0)
    target = f"source: {source.name}, column: {scalar(ask.column)}"
    target += f", {goal.key}: {_shown(goal.value)}" if goal.key else ""
    told = f"{len(seen.values)} values of {ask.column}" if seen else "the spec alone; no value was to be seen"
    estimator = CLASS + ("Classifier" if goal.key else "Regressor")
    sizes_of = "train: {{window_days: all, holdout_days: {holdout}, min_rows: {rows}}}"
    lines = [
        f"# Drafted from {prose(told)}. What says 'guess' is one: read it, then edit it.",
        f"owner: {scalar(owner)}",
        f"description: {scalar(_described(ask, source, goal))}",
        f"task: {goal.task}",
        f"features: {ask.features}",
        *([f"# {prose(goal.why)}"] if goal.key else []),
        f"# matures_after_days, a guess: the night of D + {late} knows what came of D.",
        f"target: {{{target}, matures_after_days: {late}}}",
        "estimator:",
        f"  class: {estimator}",
        f"  params: {PARAMS}",
        sizes_of.format(**sizes) + _per_night(seen),
        *_gates(goal, seen),
        f"drift: {{{_window(sizes, 'min_rows')}}}",
        f"performance: {{metric: {_loss(goal)}, tolerance: 0.15, {_window(sizes, 'min_labels')}}}",
        # Refitted on its holdout, a version is behind by the nights that labels take.
        f"retrain: {{when: {{shift: 365, harm: 365, age_days: {EIGHT_WEEKS + late}}}, cooldown_days: 14}}",
    ]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return f"[{', '.join(map(scalar, value))}]" if isinstance(value, tuple) else scalar(value)


def _goal(ask: Ask, kind: str, seen: Seen | None) -> Goal:
    """Return what is learned: as asked, else by the values. A few values are classes, many are a measurement."""
    asked = [name for name in ("above", "equals", "classes") if getattr(ask, name) is not None]
    if len(asked) > 1 or (asked and ask.task == "regression"):
        raise RequestError(f"--{asked[-1]}: give one of --above, --equals, --classes and --task regression")
    if ask.above is not None:
        return Goal(
            "above", ask.above, f"above: the positive class is {ask.column} > {_shown(ask.above)}, as asked."
        )
    if ask.equals is not None:
        return _one(ask, seen, _typed(ask.equals, kind, "--equals"), "as asked")
    if ask.classes is not None:
        return _several(ask, seen, tuple(_typed(each, kind, "--classes") for each in ask.classes))
    if ask.task == "regression":
        _require_number(ask, kind)
        return Goal()
    return _guessed(ask, kind, seen)


def _require_number(ask: Ask, kind: str) -> None:
    if kind not in ("float", "integer"):
        raise RequestError(
            f"--task regression: column '{ask.column}' is {kind}; a regression learns a number"
        )


def _guessed(ask: Ask, kind: str, seen: Seen | None) -> Goal:
    if kind == "boolean":
        return _one(ask, seen, True, "the column says true or false")
    if seen is None:
        if kind != "string" and ask.task is None:
            return Goal()
        raise RequestError(
            f"--above, --equals or --classes: what is the positive class of '{ask.column}'? There is no value to "
            "guess from: collect its source first, or say it"
        )
    found = sorted(seen.values.unique().tolist())
    if len(found) < 2:
        raise RequestError(
            f"--target: '{ask.column}' is {found[0]!r} in every row; there is nothing to learn"
        )
    if kind == "float" or (kind == "integer" and _measures(seen)):
        return _number(ask, seen, found)
    return _classes(ask, seen, found)


def _classes(ask: Ask, seen: Seen, found: list[Any]) -> Goal:
    if len(found) > MOST_CLASSES:
        raise RequestError(
            f"--target: '{ask.column}' has {len(found)} different values; say --equals VALUE, one against the rest, or "
            "--classes A,B,C"
        )
    if len(found) > 2:
        return _several(ask, seen, tuple(found))
    value = _positive(found, seen)
    return _one(ask, seen, value, f"a guess, it is in {_share(seen, value):.0%} of the rows")


def _measures(seen: Seen) -> bool:
    """Return whether whole numbers are measured. Classes are few, frequent, and numbered without a gap."""
    found = seen.values.value_counts()
    gaps = float(found.index.max() - found.index.min()) + 1 > len(found)
    return bool(len(found) > 2 and (len(found) > FEW_INTEGERS or gaps or found.min() < ROWS_A_CLASS))


def _number(ask: Ask, seen: Seen, found: list[Any]) -> Goal:
    """Return what is learned of a measured number: 0 and 1 are classes, others are if that was asked."""
    values = seen.values.astype("float64")
    if found == [0, 1]:
        why = f"above: {ask.column} is 0 or 1, though with a fraction; the positive class is 1."
        return Goal("above", 0.0, why, _shares(values > 0))
    if not ask.task:
        return Goal()
    above, what = float(values.median()), "the median of what was seen"
    if above == found[-1]:  # most rows are of the largest value: nothing is above it
        above, what = float(found[-2]), "the largest value below the most that was seen"
    why = f"above: the positive class is {ask.column} > {above:g}; a guess, {what}."
    return Goal("above", above, why, _shares(values > above))


def _one(ask: Ask, seen: Seen | None, value: Any, why: str) -> Goal:
    _require_there(ask, seen, value)
    shares = _shares(seen.values == value) if seen else ()
    return Goal(
        "equals", value, f"equals: the positive class is {ask.column} {_shown(value)}; {why}.", shares
    )


def _require_there(ask: Ask, seen: Seen | None, value: Any) -> None:
    """Raise RequestError for a text that is nowhere, where it is but for its case and spaces."""
    if seen is None or not isinstance(value, str) or (seen.values == value).any():
        return
    others = spelled_otherwise(seen.values, value)
    if others:
        raise RequestError(
            f"{value!r} is in no row of '{ask.column}', and texts are compared to the letter; did you mean "
            f"{next(iter(others))!r}?"
        )


def _several(ask: Ask, seen: Seen | None, values: tuple[Any, ...]) -> Goal:
    for each in values:
        _require_there(ask, seen, each)
    shares = tuple(float((seen.values == each).mean()) for each in values) if seen else ()
    told = ", ".join(f"{each} {share:.0%}" for each, share in zip(values, shares, strict=False))
    return Goal("classes", values, f"classes: {told or 'as asked'}. Add those that may still come.", shares)


def _typed(text: str, kind: str, option: str) -> Any:
    """Return a value that was typed for an option as one of the column's. Raises RequestError."""
    try:
        if kind == "integer":
            return int(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise RequestError(f"{option} {text!r}: the column is {kind}") from None
    if kind == "float":
        raise RequestError(f"{option} {text!r}: the column is float; give --above NUMBER")
    return text


def _positive(found: list[Any], seen: Seen) -> Any:
    named = [value for value in found if str(value).lower() in POSITIVE]
    return named[0] if len(named) == 1 else min(found, key=lambda value: _share(seen, value))


def _share(seen: Seen, value: Any) -> float:
    return float((seen.values == value).mean())


def _shares(positive: pd.Series) -> tuple[float, ...]:
    share = float(positive.mean())
    return (1 - share, share)


def _loss(goal: Goal) -> str:
    return "log_loss" if goal.key else "mae"


def _window(sizes: dict[str, int], least: str) -> str:
    return f"window_days: {sizes['drift']}, {least}: {sizes['drift_rows']}"


def _described(ask: Ask, source: Source, goal: Goal) -> str:
    what = f"{ask.column} of source {source.name}"
    return {
        None: f"{what}, predicted beforehand.",
        "above": f"Probability that {what} is above {_shown(goal.value)}.",
        "equals": f"Probability that {what} is {goal.value}.",
        "classes": f"Which of its classes {what} will be.",
    }[goal.key]


def _sizes(seen: Seen | None) -> dict[str, int]:
    """Return windows that hold some hundreds of labels, by how many a night brings."""
    if seen is None:
        return {"window": 45, "holdout": 14, "rows": 500, "drift": 7, "drift_rows": 300}
    rows = seen.rows_a_night
    window, holdout = _between(3000 / rows, 45, 365), _between(600 / rows, 14, 60)
    drift = _between(300 / rows, 7, 30)
    # Half of what there is before a holdout at the end: a first champion needs no year that nobody has yet.
    there = window if seen.nights is None else min(window, seen.nights - holdout)
    return {
        "window": window,
        "holdout": holdout,
        "rows": _between(0.5 * rows * there, 30, 5000),
        "drift": drift,
        "drift_rows": _between(0.5 * rows * drift, 10, 300),
    }


def _between(number: float, low: int, high: int) -> int:
    return int(min(max(math.ceil(number), low), high))


def _per_night(seen: Seen | None) -> str:
    return f"  # {seen.rows_a_night:.3g} labels a night" if seen else "  # guess: some hundred labels a night"


def _matures(source: Source, seen: Seen | None) -> int:
    if seen and seen.matures_after is not None:
        return seen.matures_after
    late = source.connector.offset_days if isinstance(source.connector, FilesConnector) else 0
    return max(-late, 1)


def _gates(goal: Goal, seen: Seen | None) -> list[str]:
    """Return gates that a model passes only if it knows more than a constant does."""
    metric, value, why = _minimum(goal, seen)
    return [
        f"# minimum_score: {why}.",
        "gates:",
        f"  - {{gate: minimum_score, metric: {metric}, value: {value}}}",
        f"  - {{gate: beats_champion, metric: {_loss(goal)}}}",
    ]


def _minimum(goal: Goal, seen: Seen | None) -> tuple[str, float, str]:
    if goal.key is None:
        why = "r2 0: no better than always saying the holdout's own mean"
        if seen:
            numbers = seen.values.astype("float64")
            spread = float((numbers - numbers.median()).abs().mean())
            why += f"; always saying the median misses by {spread:.3g} (mae)"
        return "r2", 0, why
    if all(0 < share < 1 for share in goal.shares) and goal.shares:
        alone = -sum(share * math.log(share) for share in goal.shares)
        said = f"{100 * goal.shares[-1]:.2g} %" if len(goal.shares) == 2 else "each class's share"
        digits = max(3, 2 - math.floor(math.log10(alone)))  # a class that is rare leaves little to gain
        return (
            "log_loss",
            math.floor(alone * 10**digits) / 10**digits,
            f"what always saying {said} would score",
        )
    if goal.key == "classes":
        return "balanced_accuracy", round(1 / len(goal.value), 3), "what always saying one class would score"
    return "roc_auc", 0.55, "roc_auc 0.5 is chance"
