"""From a spec's dotted path to a fitted pipeline, and from a pipeline to predictions."""

import hashlib
import importlib
import inspect
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from nightshift.errors import SpecError
from nightshift.specs import FeatureSet, Model

IMPORTANCE_ROWS = 3000
# LightGBM's classes take any keyword, and say nothing of one that it does not know.
KEYWORDS = {
    "lightgbm": frozenset({"deterministic", "force_col_wise", "force_row_wise", "max_bin", "verbosity"}),
}
SCORING = {"classification": "neg_log_loss", "regression": "neg_mean_absolute_error"}


def fit(model: Model, feature_set: FeatureSet, features: pd.DataFrame, label: pd.Series) -> Pipeline:
    """Return a pipeline fitted on ``features`` (the declared columns) and ``label``."""
    categories = [name for name, kind in feature_set.columns.items() if kind == "string"]
    numbers = [name for name in feature_set.columns if name not in categories]
    estimator = _estimator(model)
    target = label.astype(int) if model.task == "classification" else label
    pipeline = Pipeline([("columns", _columns(estimator, categories, numbers)), ("estimator", estimator)])
    return pipeline.fit(features[categories + numbers], target)


def predict(pipeline: Pipeline, features: pd.DataFrame) -> np.ndarray:
    """Return one number a row: P(positive) of a classifier, the value of a regressor. Shape (n,), float64."""
    columns = features[list(pipeline.feature_names_in_)]
    if is_classifier(pipeline):
        return np.asarray(pipeline.predict_proba(columns)[:, 1], dtype="float64")
    return np.asarray(pipeline.predict(columns), dtype="float64")


def as_fitted(model: Model, pipeline: Pipeline) -> Model:
    """Return ``model`` with the estimator of ``pipeline``, if it is another than declared: a search may have chosen it.

    Only what differs counts: a parameter that the spec leaves out has its default in both.
    """
    estimator = pipeline.named_steps["estimator"]
    kind, params = type(estimator), estimator.get_params(deep=False)
    declared = model.estimator
    same = kind.__name__ == declared.path.rpartition(".")[2]
    if same and all(params.get(name) == value for name, value in declared.params.items()):
        return model
    path = f"{kind.__module__}.{kind.__qualname__}"
    return model.model_copy(
        update={"estimator": declared.model_copy(update={"path": path, "params": params})}
    )


def predictions_sha256(predictions: np.ndarray) -> str:
    """Return the hash of predictions, (n,): their float64 bytes in order. One bit of one of them changes it."""
    return hashlib.sha256(np.ascontiguousarray(predictions, dtype="<f8").tobytes()).hexdigest()


def out_of_fold(
    model: Model, feature_set: FeatureSet, features: pd.DataFrame, label: pd.Series
) -> np.ndarray:
    """Return a prediction a row by pipelines that were not fitted on it. Shape (n,).

    Three folds of consecutive rows (so, of consecutive nights). What a model says of its own training rows
    is more extreme than what it says of new ones; a drift profile of those would see drift every night.
    """
    predictions = np.empty(len(features))
    for fitting, left_out in KFold(3).split(features):
        pipeline = fit(model, feature_set, features.iloc[fitting], label.iloc[fitting])
        predictions[left_out] = predict(pipeline, features.iloc[left_out])
    return predictions


def importance(
    model: Model, pipeline: Pipeline, features: pd.DataFrame, label: pd.Series
) -> dict[str, float]:
    """Return each feature's permutation importance on held-out rows: the loss added by shuffling it, >= 0.

    Source: Breiman 2001, "Random Forests", section 10; sklearn.inspection.permutation_importance.
    """
    rows = features.sample(min(len(features), IMPORTANCE_ROWS), random_state=0)
    columns = rows[list(pipeline.feature_names_in_)]
    target = label.loc[rows.index].astype(int) if model.task == "classification" else label.loc[rows.index]
    found = permutation_importance(
        pipeline, columns, target, scoring=SCORING[model.task], n_repeats=2, random_state=0, n_jobs=1
    )
    return {
        str(name): max(float(value), 0.0) for name, value in zip(columns, found.importances_mean, strict=True)
    }


def estimator_class(
    model: Model, path: str, params: Iterable[str], key: str = "estimator.params"
) -> type[BaseEstimator]:
    """Return the class at a dotted path. ``key``: where the spec names ``params``.

    Raises:
        SpecError: it is not there, is no estimator, or has not one of these parameters.
    """
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError(f"model '{model.name}': estimator.class '{path}' not found: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise SpecError(f"model '{model.name}': estimator.class '{path}' is no scikit-learn estimator")
    unknown = sorted(set(params) - _parameters(kind))
    if unknown:
        raise SpecError(f"model '{model.name}': {key}: {kind.__name__} has no parameter {unknown}")
    return kind


def _estimator(model: Model) -> BaseEstimator:
    declared = model.estimator
    return estimator_class(model, declared.path, declared.params)(**declared.params)


def _parameters(kind: type[BaseEstimator]) -> set[str]:
    """Return the names a class takes; what its ``**kwargs`` would swallow counts only if it is known to mean it."""
    named = inspect.signature(kind).parameters.values()
    keywords = KEYWORDS.get(kind.__module__.partition(".")[0], frozenset())
    return {each.name for each in named if each.kind is not each.VAR_KEYWORD} | keywords


def _columns(estimator: BaseEstimator, categories: list[str], numbers: list[str]) -> ColumnTransformer:
    """Return the encoding: categories one-hot; numbers as they are if the estimator knows NaN, else imputed.

    One-hot for gradient boosting too: its own handling of categories keeps a ``functools.partial`` in the
    fitted estimator, a type that no safe artifact may hold.
    """
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    knows_nan = get_tags(estimator).input_tags.allow_nan
    scaled = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    return ColumnTransformer(
        [("categories", one_hot, categories), ("numbers", "passthrough" if knows_nan else scaled, numbers)]
    )
