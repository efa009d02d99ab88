"""From a spec's dotted path to a fitted pipeline, and from a pipeline to predictions."""

import hashlib
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from nightshift.errors import FitFailed, NightshiftError, SchemaMismatch, Unreachable, did_you_mean
from nightshift.metrics import METRICS
from nightshift.specs import NOTHING, FeatureSet, Kind, Model, Own
from nightshift.train import classes, encoding
from nightshift.train.estimators import made, require_task, training_function

MOST_TOLD = 5
# What an estimator may raise that another try can cure: it says nothing of the estimator.
NOT_ITS_OWN = (MemoryError, ConnectionError, TimeoutError, Unreachable)

IMPORTANCE_ROWS, SHUFFLES, ROWS_AT_ONCE = 3000, 2, 60_000
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
    if model.estimator.function:
        return _by_function(model, feature_set, features, label, own)
    estimator = made(model, own)
    encodings = encoding.chosen(model, feature_set, features)
    numbers = [name for name in feature_set.columns if name not in encodings]
    columns = encoding.columns(model, estimator, encodings, numbers)
    pipeline = Pipeline([("columns", columns), ("estimator", estimator)])
    rows = encoding.taken(features, list(encodings), encoding.texts_of(encodings), numbers)
    with _explained(model, rows, label):
        return pipeline.fit(rows, classes.learned(model, label))


def _by_function(
    model: Model, feature_set: FeatureSet, features: pd.DataFrame, label: pd.Series, own: Own
) -> Pipeline:
    """Return what the project's function made of the features (categories as text, numbers as floats) and the label."""
    function = training_function(model, model.estimator.params, own)
    categories = [name for name, kind in feature_set.columns.items() if kind == "string"]
    numbers = [name for name in feature_set.columns if name not in categories]
    rows = encoding.taken(features, categories, [], numbers)[list(feature_set.columns)]
    with _explained(model, rows, label):
        fitted = function(rows, classes.learned(model, label), **model.estimator.params)
        require_fitted(model, fitted, list(rows.columns))
    return Pipeline([("estimator", fitted)])


def require_fitted(model: Model, fitted: Any, columns: list[str]) -> None:
    """Raise FitFailed unless this is a fitted estimator for the model's task that knows its features by these names.

    Raises:
        SpecError: it is for another task, or has no ``predict_proba``.
    """
    where = f"model '{model.name}', {model.estimator.named}"
    if not isinstance(fitted, BaseEstimator):
        raise FitFailed(f"{where}: expected a fitted scikit-learn estimator, got {type(fitted).__name__}")
    require_task(model, fitted)
    if isinstance(getattr(fitted, "classes_", None), list):
        raise FitFailed(
            f"{where}: it was fitted on several targets; fit it on the label alone, of shape (n,)"
        )
    names = getattr(fitted, "feature_names_in_", None)
    if names is None:
        raise FitFailed(
            f"{where}: {type(fitted).__name__} is not fitted, or does not know its features by name; fit it on a "
            "DataFrame, so that it has feature_names_in_"
        )
    unknown, unused = (sorted(each) for each in (set(names) - set(columns), set(columns) - set(names)))
    if unknown:
        raise FitFailed(
            f"{where}: it was fitted on {', '.join(unknown[:5])}, which feature set '{model.features}' does not have"
            f"{did_you_mean(unknown[0], columns)}"
        )
    if unused:
        raise FitFailed(
            f"{where}: it was not fitted on {', '.join(unused[:5])} of feature set '{model.features}'; give it a set "
            "that has its columns only, so that no other is watched for drift"
        )


def predict(pipeline: Pipeline, features: pd.DataFrame, of: Sequence[str] = ()) -> np.ndarray:
    """Return one number a row, (n,) float64: P(positive) of a classifier, the value of a regressor.

    ``of``: the classes of a model of several; then P(class), a row, in their order, shape (n, classes).

    Raises:
        SchemaMismatch: the pipeline knows other classes, or features that are not there; or it says another number of
            numbers, or some that are not finite.
    """
    columns = taken(pipeline, features)
    if not is_classifier(pipeline):
        return _numbers(pipeline, pipeline.predict(columns), (len(columns),))
    known = pipeline.classes_
    found = _numbers(pipeline, pipeline.predict_proba(columns), (len(columns), len(known)))
    return classes.each(known, found, of) if of else classes.positive(known, found)


def _numbers(pipeline: Any, said: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what an estimator says as floats of this shape; a column of numbers is one number a row."""
    found, name = np.asarray(said, dtype="float64"), type(final(pipeline)).__name__
    if found.size != np.prod(shape):
        raise SchemaMismatch(
            f"{name} says {found.shape} numbers of {shape[0]} rows, expected {shape}: it must have been fitted on the "
            "label alone"
        )
    if not np.isfinite(found).all():
        wrong = np.count_nonzero(~np.isfinite(found))
        raise SchemaMismatch(
            f"{wrong} predictions of {name} for {shape[0]} rows are not finite numbers: train again, with other "
            "estimator.params or another class"
        )
    return found.reshape(shape)


def taken(pipeline: Pipeline, features: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that ``pipeline`` was fitted on, as it takes them. Raises SchemaMismatch if one is missing."""
    _require_there(pipeline, features)
    encodings, names = encoding.encodings_of(pipeline), list(pipeline.feature_names_in_)
    strings = [name for name in names if not pd.api.types.is_numeric_dtype(features[name].dtype)]
    categories = [name for name in names if name in encodings or name in strings]
    numbers = [name for name in names if name not in categories]
    return encoding.taken(features, categories, encoding.texts_of(encodings), numbers)[names]


def require_answers(
    pipeline: Pipeline, trained: Mapping[str, str], columns: Mapping[str, str], of: Sequence[str] = ()
) -> None:
    """Raise SchemaMismatch unless a pipeline can be asked for rows with these ``columns``, and for the classes ``of``.

    ``trained``, ``columns``: types by name, as it was fitted, where that was kept, and as they are declared now.
    """
    _require_there(pipeline, columns)
    for name in pipeline.feature_names_in_:
        was, now = trained.get(name, columns[name]), columns[name]
        if (was == "string") != (now == "string"):
            raise SchemaMismatch(f"the model was fitted on feature '{name}' as {was}, and it is {now} now")
    if is_classifier(pipeline):
        known = pipeline.classes_
        none = np.empty((0, len(known)))
        _ = classes.each(known, none, of) if of else classes.positive(known, none)


def _require_there(pipeline: Pipeline, columns: Container[str]) -> None:
    if missing := [name for name in pipeline.feature_names_in_ if name not in columns]:
        raise SchemaMismatch(
            f"the model was fitted on features that are not there: {', '.join(missing[:MOST_TOLD])}. Its set has lost "
            "them, or 'features' in the model's spec names another set than it was trained for: put back the one or "
            "the other, or give the other set a model of its own"
        )


def final(pipeline: Any) -> BaseEstimator:
    """Return the estimator at the end of a pipeline, or what is no pipeline."""
    return pipeline.steps[-1][1] if isinstance(pipeline, Pipeline) else pipeline


def as_fitted(model: Model, pipeline: Pipeline) -> Model:
    """Return ``model`` with the encodings and the estimator of ``pipeline``; a search may have chosen another.

    Of what differs from the declared one all parameters are told. Where something was searched, one that the spec
    leaves out may have been; else it has its default, or what a ``fit`` of such a class makes of its rows.
    What a function of the project has made does not tell what the function was given: the model stays as it is.
    """
    if is_by_function(model, pipeline) or not model.estimator.is_trained:
        return model
    encoded = model.model_copy(update={"encoding": encoding.encodings_of(pipeline)})
    estimator = final(pipeline)
    kind, params = type(estimator), estimator.get_params(deep=False)
    declared = model.estimator
    if kind.__name__ == declared.named.rpartition(".")[2] and declared.params.keys() <= params.keys():
        told = kind(**declared.params).get_params(deep=False) if model.train.tune.trials else declared.params
        if all(repr(params.get(name)) == repr(value) for name, value in told.items()):
            return encoded
    path = f"{kind.__module__}.{kind.__qualname__}"
    chosen = declared.model_copy(update={"path": path, "function": None, "params": params})
    return encoded.model_copy(update={"estimator": chosen})


def is_by_function(model: Model, pipeline: Any) -> bool:
    """Return whether a pipeline is what the model's function returned, not a class that a search preferred to it."""
    return bool(model.estimator.function) and "columns" not in getattr(pipeline, "named_steps", {})


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
    model = model.model_copy(update={"encoding": encoding.chosen(model, feature_set, features)})
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

    The mean of two shuffles. Many are predicted at once: a call costs more than the three thousand rows in it.

    Source: Breiman 2001, "Random Forests", section 10.
    """
    rows = features.sample(min(len(features), IMPORTANCE_ROWS), random_state=0)
    target = label.loc[rows.index].to_numpy(dtype="float64")
    loss, random = METRICS[LOSS[model.kind]].function, np.random.default_rng(0)
    names = [str(name) for name in pipeline.feature_names_in_]
    usual = loss(target, predict(pipeline, rows, model.classes))
    added = dict.fromkeys(names, 0.0)
    shuffles, many = names * SHUFFLES, max(1, ROWS_AT_ONCE // len(rows))
    for some in (shuffles[n : n + many] for n in range(0, len(shuffles), many)):
        shuffled = [rows.assign(**{name: rows[name].array[random.permutation(len(rows))]}) for name in some]
        predictions = predict(pipeline, pd.concat(shuffled, ignore_index=True), model.classes)
        for name, each in zip(some, np.split(predictions, len(some)), strict=True):
            added[name] += (loss(target, each) - usual) / SHUFFLES
    return {name: max(float(value), 0.0) for name, value in added.items()}


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
    except (NightshiftError, *NOT_ITS_OWN):
        raise
    except Exception as error:  # any estimator, any library: whatever it raises
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no word'])[0][:300]}"
        raise FitFailed(
            f"{where}: {model.estimator.named} could not be fitted on {len(features)} rows: {said}. "
            + (
                _why(model, features)
                or "Look at its parameters (estimator.params) and at the features named there"
            )
        ) from error


def _why(model: Model, features: pd.DataFrame) -> str:
    """Return what is wrong with features that no estimator can learn from, and what to do."""
    empty = [name for name in features if not (features[name].notna() & (features[name] != "")).any()]
    numbers = features.select_dtypes("number").astype("float64")
    infinite = [name for name in numbers if np.isinf(numbers[name]).any()]
    found = [f"feature '{name}' is null in all of them" for name in empty]
    found += [f"feature '{name}' holds infinities" for name in infinite]
    by_words = [name for name, given in model.encoding.items() if given == "tfidf" and name in features]
    for name in by_words:
        if name not in empty and encoding.is_wordless(features[name]):
            return (
                f"feature '{name}' has no word of two letters or more in them, and tfidf takes no other: write "
                f"encoding.{name}: target, or hashing"
            )
    if not found:
        return ""
    words = "; ".join(found)
    return f"{words}: take it out of FEATURES['columns'] of {model.features}, or train on nights that have it"


def _folds(model: Model, label: pd.Series) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions to fit on and those left out, three times."""
    if len(label) < 3:
        raise FitFailed(
            f"model '{model.name}': {len(label)} rows to fit on; at least 3 are needed. Train on more days "
            f"(train.window_days: {model.train.window_days})"
        )
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
