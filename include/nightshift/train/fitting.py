"""From a spec's dotted path to a fitted pipeline, and from a pipeline to predictions."""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from nightshift.errors import FitFailed, NightshiftError
from nightshift.metrics import METRICS
from nightshift.specs import NOTHING, FeatureSet, Kind, Model, Own
from nightshift.train import classes
from nightshift.train.estimators import made

IMPORTANCE_ROWS = 3000
# What shuffling a feature adds to.
LOSS: dict[Kind, str] = {"classification": "log_loss", "multiclass": "log_loss", "regression": "mae"}


def fit(
    model: Model, feature_set: FeatureSet, features: pd.DataFrame, label: pd.Series, own: Own = NOTHING
) -> Pipeline:
    """Return a pipeline fitted on ``features`` (the declared columns) and ``label``. ``own``: the project's types.

    Raises:
        SpecError: the estimator is not what the spec may declare.
        FitFailed: these rows cannot be learned from; it names the features that are why.
    """
    categories = [name for name, kind in feature_set.columns.items() if kind == "string"]
    numbers = [name for name in feature_set.columns if name not in categories]
    estimator = made(model, own)
    pipeline = Pipeline([("columns", _columns(estimator, categories, numbers)), ("estimator", estimator)])
    with _explained(model, features[categories + numbers], label):
        return pipeline.fit(features[categories + numbers], classes.learned(model, label))


def predict(pipeline: Pipeline, features: pd.DataFrame, of: Sequence[str] = ()) -> np.ndarray:
    """Return one number a row, (n,) float64: P(positive) of a classifier, the value of a regressor.

    ``of``: the classes of a model of several; then P(class), a row, in their order, shape (n, classes).

    Raises:
        SchemaMismatch: the pipeline knows other classes.
    """
    columns = features[list(pipeline.feature_names_in_)]
    if not is_classifier(pipeline):
        return np.asarray(pipeline.predict(columns), dtype="float64")
    known, found = pipeline.classes_, pipeline.predict_proba(columns)
    return classes.each(known, found, of) if of else classes.positive(known, found)


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
    """Return the hash of predictions, n rows: their float64 bytes in order. One bit of one of them changes it."""
    return hashlib.sha256(np.ascontiguousarray(predictions, dtype="<f8").tobytes()).hexdigest()


def out_of_fold(
    model: Model, feature_set: FeatureSet, features: pd.DataFrame, label: pd.Series, own: Own = NOTHING
) -> np.ndarray:
    """Return predictions by pipelines that were not fitted on their rows, as :func:`predict` gives them.

    Three folds of consecutive rows (so, of consecutive nights), or, where one would leave a class out, of rows class by
    class. What a model says of its own training rows
    is more extreme than what it says of new ones; a drift profile of those would see drift every night.
    """
    predictions = np.empty((len(features), len(model.classes)) if model.classes else len(features))
    for fitting, left_out in _folds(model, label):
        rows = features.iloc[fitting]
        pipeline = fit(model, with_values(feature_set, rows), rows, label.iloc[fitting], own)
        predictions[left_out] = predict(pipeline, features.iloc[left_out], model.classes)
    return predictions


def with_values(feature_set: FeatureSet, rows: pd.DataFrame) -> FeatureSet:
    """Return the set without the features that are null in all of ``rows``: part of a training, before they began."""
    known = {name: kind for name, kind in feature_set.columns.items() if rows[name].notna().any()}
    return feature_set.model_copy(update={"columns": known or feature_set.columns})


def importance(
    model: Model, pipeline: Pipeline, features: pd.DataFrame, label: pd.Series
) -> dict[str, float]:
    """Return each feature's permutation importance on held-out rows: the loss added by shuffling it, >= 0.

    Source: Breiman 2001, "Random Forests", section 10; sklearn.inspection.permutation_importance.
    """
    rows = features.sample(min(len(features), IMPORTANCE_ROWS), random_state=0)
    columns = rows[list(pipeline.feature_names_in_)]
    loss = METRICS[LOSS[model.kind]].function

    def scoring(fitted: Pipeline, shuffled: pd.DataFrame, truth: np.ndarray) -> float:
        return -loss(truth, predict(fitted, shuffled, model.classes))

    target = label.loc[rows.index].to_numpy(dtype="float64")
    found = permutation_importance(
        pipeline, columns, target, scoring=scoring, n_repeats=2, random_state=0, n_jobs=1
    )
    return {
        str(name): max(float(value), 0.0) for name, value in zip(columns, found.importances_mean, strict=True)
    }


@contextmanager
def _explained(model: Model, features: pd.DataFrame, label: pd.Series) -> Iterator[None]:
    """Turn what a library says of rows that it cannot learn from into what to do about them."""
    where = f"model '{model.name}'"
    if model.task == "classification" and label.nunique() < 2:
        only = np.asarray(classes.learned(model, label))[0]
        raise FitFailed(
            f"{where}: all {len(label)} labels are {only}: there is nothing to tell apart. Train on more days "
            f"(train.window_days: {model.train.window_days}), or look at key 'target'"
        )
    try:
        yield
    except NightshiftError:
        raise
    except Exception as error:  # any estimator, any library: whatever it raises
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no word'])[0][:300]}"
        raise FitFailed(
            f"{where}: {model.estimator.path} could not be fitted on {len(features)} rows: {said}. "
            + (
                _why(model, features)
                or "Look at its parameters (estimator.params) and at the features named there"
            )
        ) from error


def _why(model: Model, features: pd.DataFrame) -> str:
    """Return what is wrong with features that no estimator can learn from, and what to do."""
    empty = [name for name in features if not features[name].notna().any()]
    numbers = features.select_dtypes("number").astype("float64")
    infinite = [name for name in numbers if np.isinf(numbers[name]).any()]
    found = [f"feature '{name}' is null in all of them" for name in empty]
    found += [f"feature '{name}' holds infinities" for name in infinite]
    if not found:
        return ""
    words = "; ".join(found)
    return f"{words}: take it out of FEATURES['columns'] of {model.features}, or train on nights that have it"


def _folds(model: Model, label: pd.Series) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions to fit on and those left out, three times."""
    consecutive = list(KFold(3).split(label))
    if model.task != "classification":
        yield from consecutive
        return
    there = label.nunique()
    if all(label.iloc[fitting].nunique() == there for fitting, _ in consecutive):
        yield from consecutive
        return
    # Of several classes a rare one may be missing where it is left out; two there must be everywhere.
    second = label.value_counts().iloc[1:2]
    if second.sum() < 3:
        name = np.asarray(classes.learned(model, second.index.to_series()))[0]
        raise FitFailed(
            f"model '{model.name}': label {name} stands on {second.sum()} of {len(label)} rows; at least 3 are needed. "
            f"Train on more days (train.window_days: {model.train.window_days})"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds
        yield from list(StratifiedKFold(3).split(label, label))


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
