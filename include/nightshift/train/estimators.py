"""Which estimator a spec names. Importing a module runs it, so a path is held against a list first.

``LIBRARIES`` and ``OURS`` may always be imported; what else may be, ``allowed_types`` of ``project.yaml`` names.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils._param_validation import InvalidParameterError

from nightshift.errors import SpecError
from nightshift.freeform import Arguments
from nightshift.specs import NOTHING, Model, Own

LIBRARIES = ("sklearn", "lightgbm")
OURS = ("nightshift.train.networks.NetworkClassifier", "nightshift.train.networks.NetworkRegressor")
# LightGBM's classes take any keyword, and say nothing of one that it does not know.
KEYWORDS = {
    "lightgbm": frozenset({"deterministic", "force_col_wise", "force_row_wise", "max_bin", "verbosity"}),
}
INSTEAD = {
    "classification": "sklearn.linear_model.LogisticRegression or sklearn.ensemble.HistGradientBoostingClassifier",
    "regression": "sklearn.linear_model.Ridge or sklearn.ensemble.HistGradientBoostingRegressor",
}


def estimator_class(
    model: Model, path: str, params: Iterable[str], key: str = "estimator.params", own: Own = NOTHING
) -> type[BaseEstimator]:
    """Return the class at a dotted path. ``key``: where the spec names ``params``.

    Raises:
        SpecError: it may not be imported (then it was not), is not there, is no estimator, or has not one of these
            parameters.
    """
    kind = _found(model, path, own)
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise SpecError(f"model '{model.name}': estimator.class '{path}' is no scikit-learn estimator")
    unknown = sorted(set(params) - _parameters(kind))
    if unknown:
        raise SpecError(f"model '{model.name}': {key}: {kind.__name__} has no parameter {unknown}")
    return kind


def made(model: Model, own: Own = NOTHING) -> BaseEstimator:
    """Return the estimator that a spec declares, not fitted.

    Raises:
        SpecError: as :func:`estimator_class`; or a parameter's value is wrong, or it is not for the model's task.
    """
    declared = model.estimator
    estimator = estimator_class(model, declared.named, declared.params, own=own)(**declared.params)
    where = f"model '{model.name}', key 'estimator.params'"
    try:
        if hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own check, which fit does first
            estimator._validate_params()
    except InvalidParameterError as error:
        raise SpecError(f"{where}: {error}") from error
    require_task(model, estimator)
    _require_weights_of_classes(model, estimator, where)
    return estimator


def _require_weights_of_classes(model: Model, estimator: BaseEstimator, where: str) -> None:
    """Raise SpecError if ``class_weight`` names what the estimator will not look up: else a fit says so, or nothing."""
    weights, kind = model.estimator.params.get("class_weight"), type(estimator)
    library = kind.__module__.partition(".")[0]
    if not isinstance(weights, Mapping) or library not in LIBRARIES:
        return
    if model.classes and kind.__name__ == "HistGradientBoostingClassifier":
        raise SpecError(
            f"{where}: {kind.__name__} looks class_weight up by the place of a class among those of its rows, which no "
            "spec can know; write class_weight: balanced, or take another estimator"
        )
    told = [_looked_up(name, library) for name in model.classes] or [0, 1]
    unknown = [name for name in weights if name not in told]
    if unknown:
        known = "those of target.classes" if model.classes else "1 (the positive class) and 0 (all else)"
        raise SpecError(
            f"{where}: class_weight names {unknown[0]!r}; the classes are {known}, here {', '.join(map(repr, told))}"
        )


def _looked_up(name: str, library: str) -> int | str:
    """Return what a library takes as the key of a class: scikit-learn an integer also where the class is its text."""
    try:
        return int(name) if library == "sklearn" else name
    except ValueError:
        return name


def require_estimator(model: Model, own: Own = NOTHING) -> None:
    """Raise SpecError unless what the spec names can be trained: a class as :func:`made`, or a training function."""
    if model.estimator.function:
        training_function(model, model.estimator.params, own)
    else:
        made(model, own)


def training_function(model: Model, params: Arguments, own: Own) -> Callable[..., Any]:
    """Return the function of the project that trains a model.

    Raises:
        SpecError: it is not allowed or no function of a module under ``include/`` (then it was not imported), or does
            not take the features, the label and these parameters.
    """
    path = str(model.estimator.function)
    where = f"model '{model.name}', key 'estimator.function'"
    if path not in own.types or own.file(path.rpartition(".")[0]) is None:
        raise SpecError(
            f"{where}: '{path}' is not imported: write it into a module under {own.folder or 'include'}, and name it "
            f"in include/project.yaml, allowed_types: [{path}]"
        )
    function = own.imported(path)
    if not inspect.isfunction(function):
        raise SpecError(
            f"{where}: '{path}' is no function, but {type(function).__name__}; a class is given as 'class'"
        )
    try:
        inspect.signature(function).bind(None, None, **params)
    except TypeError as error:
        raise SpecError(f"{where}: {path}(features, label, {', '.join(params)}): {error}") from error
    return function


def _found(model: Model, path: str, own: Own) -> Any:
    root = path.partition(".")[0]
    if path in own.types:
        try:
            return own.imported(path)
        except SpecError as error:
            raise SpecError(f"model '{model.name}': estimator.class {error}") from error
    if root not in LIBRARIES and path not in OURS:
        raise SpecError(
            f"model '{model.name}': estimator.class '{path}' is not imported: it is of none of {', '.join(LIBRARIES)}; "
            "if its code is to be run, name it in include/project.yaml, allowed_types: "
            f"[{path}]{_of_the_project(path, own)}"
        )
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        extra = "" if find_spec(root) else f"; install the extra '{root}'"
        raise SpecError(
            f"model '{model.name}': estimator.class '{path}' not found: {error}{extra}"
        ) from error


def _of_the_project(path: str, own: Own) -> str:
    file = own.file(path.rpartition(".")[0])
    return f" ({file} would be run)" if file else ""


def require_task(model: Model, estimator: Any) -> None:
    """Raise SpecError unless an estimator, fitted or not, can do the model's task."""
    name, where = type(estimator).__name__, f"model '{model.name}', key 'estimator.class'"
    fits = is_classifier(estimator) if model.task == "classification" else is_regressor(estimator)
    if not fits:
        raise SpecError(
            f"{where}: {name} is no estimator for {model.task}; write one that is, such as {INSTEAD[model.task]}"
        )
    if model.task == "classification" and not hasattr(estimator, "predict_proba"):
        raise SpecError(
            f"{where}: {name} as declared has no predict_proba, and a classifier is judged by its probabilities; "
            f"write {INSTEAD['classification']}"
        )


def _parameters(kind: type[BaseEstimator]) -> set[str]:
    """Return the names a class takes; what its ``**kwargs`` would swallow counts only if it is known to mean it."""
    named = inspect.signature(kind).parameters.values()
    keywords = KEYWORDS.get(kind.__module__.partition(".")[0], frozenset())
    return {each.name for each in named if each.kind is not each.VAR_KEYWORD} | keywords
