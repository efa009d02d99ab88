"""What a training may search: values of an estimator's parameters, and families of estimators.

``FAMILIES`` is the one table of presets. Pure data: specs are read each time DAG files are parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator, model_validator

from nightshift.errors import did_you_mean
from nightshift.specs.parts import Spec

Value = bool | int | float | str | None


class Values(Spec):
    """The values that one parameter may take: ``low`` .. ``high``, both included, or one of ``choices``."""

    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    # Sampled by their logarithm: 0.001 to 0.01 is as wide as 0.1 to 1.
    log: bool = False
    integer: bool = False
    choices: list[Value] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Values":
        bounds = (self.low, self.high)
        if self.choices is None and None in bounds:
            raise ValueError("give 'low' and 'high', or 'choices'")
        if self.choices is not None and (bounds != (None, None) or self.log or self.integer):
            raise ValueError("'choices' stand alone: no low, high, log or integer")
        if self.choices == []:
            raise ValueError("choices: none is given")
        return self

    @model_validator(mode="after")
    def _a_range(self) -> "Values":
        if self.low is None or self.high is None:
            return self
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"log: low ({self.low:g}) must be above 0")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"integer: low ({self.low:g}) and high ({self.high:g}) must be whole numbers")
        return self


class Tune(Spec):
    """A search's budget: at most ``trials`` candidates, and none begun after ``seconds`` of them."""

    trials: int = Field(default=0, ge=0, le=10_000)
    seconds: float = Field(default=3600, gt=0, allow_inf_nan=False)
    folds: int = Field(default=3, ge=1, le=20)
    # Empty, or ``preset``: the space of the estimator's own family.
    space: dict[str, Values] = {}

    @field_validator("space", mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, str) and given != "preset":
            raise ValueError(f"a mapping of parameters, or 'preset'; got '{given}'")
        return {} if given == "preset" else given


@dataclass(frozen=True)
class Preset:
    """An estimator by dotted path, the parameters that it is always given, and the values that are searched."""

    path: str
    fixed: Mapping[str, Value]
    space: Mapping[str, Values]


def families(given: Any) -> Any:
    """Return ``given`` if it is true, false, or a list of known families.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(given, bool):
        return given
    if not isinstance(given, list) or not given:
        raise ValueError(f"true, false, or a list of families; known: {', '.join(sorted(FAMILIES))}")
    for name in given:
        if name not in FAMILIES:
            raise ValueError(f"unknown family '{name}'{did_you_mean(str(name), FAMILIES)}")
    return given


def preset_of(path: str) -> Preset | None:
    """Return the preset of the estimator at this dotted path, or None."""
    presets = [preset for family in FAMILIES.values() for preset in family.values()]
    return next((preset for preset in presets if preset.path == path), None)


def _linear() -> dict[str, Preset]:
    strength = Values(low=1e-3, high=1e3, log=True)
    return {
        "classification": Preset(
            "sklearn.linear_model.LogisticRegression", {"max_iter": 1000}, {"C": strength}
        ),
        "regression": Preset("sklearn.linear_model.Ridge", {}, {"alpha": strength}),
    }


def _hist_gradient_boosting() -> dict[str, Preset]:
    space = {
        "max_iter": Values(low=50, high=400, log=True, integer=True),
        "learning_rate": Values(low=0.01, high=0.3, log=True),
        "max_leaf_nodes": Values(low=7, high=63, log=True, integer=True),
        "min_samples_leaf": Values(low=10, high=200, log=True, integer=True),
        "l2_regularization": Values(low=1e-3, high=10, log=True),
    }
    return _pair("sklearn.ensemble.HistGradientBoosting{}", {"random_state": 0}, space)


def _random_forest() -> dict[str, Preset]:
    space = {
        "max_depth": Values(low=4, high=14, integer=True),
        "min_samples_leaf": Values(low=5, high=100, log=True, integer=True),
        "max_features": Values(low=0.1, high=0.6),
    }
    return _pair("sklearn.ensemble.RandomForest{}", {"n_estimators": 100, "random_state": 0}, space)


def _lightgbm() -> dict[str, Preset]:
    # deterministic, and one way to count: the same trees however many threads there are.
    fixed = {"random_state": 0, "deterministic": True, "force_row_wise": True, "n_jobs": 1, "verbosity": -1}
    space = {
        "n_estimators": Values(low=50, high=400, log=True, integer=True),
        "learning_rate": Values(low=0.01, high=0.3, log=True),
        "num_leaves": Values(low=7, high=63, log=True, integer=True),
        "min_child_samples": Values(low=10, high=200, log=True, integer=True),
        "reg_lambda": Values(low=1e-3, high=10, log=True),
    }
    return _pair("lightgbm.LGBM{}", fixed, space)


def _pair(path: str, fixed: Mapping[str, Value], space: Mapping[str, Values]) -> dict[str, Preset]:
    kinds = {"classification": "Classifier", "regression": "Regressor"}
    return {task: Preset(path.format(kind), fixed, space) for task, kind in kinds.items()}


# By family and task.
FAMILIES: dict[str, dict[str, Preset]] = {
    "linear": _linear(),
    "hist_gradient_boosting": _hist_gradient_boosting(),
    "random_forest": _random_forest(),
    "lightgbm": _lightgbm(),
}
