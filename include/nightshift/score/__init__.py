"""Scoring: features in, one number an entity out, or one a class, in chunks so that memory stays flat."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from nightshift.specs import class_column

CHUNK_ROWS = 100_000
CHAMPION_ARM = "champion"
# The version before, on the nights of a new champion's probation.
BEFORE_ARM = "before"

Predict = Callable[[pd.DataFrame], np.ndarray]


def score(
    features: pd.DataFrame, predict: Predict, entity: list[str], classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Return ``batch_date``, ``entity`` and ``prediction`` (float64, finite) for each row of ``features``.

    With ``classes``, ``prediction`` is the likeliest of them, of equals the first, and each has a column of its own
    with its probability.
    """
    return rows_of(features[["batch_date", *entity]], said(features, predict, classes), classes)


def said(features: pd.DataFrame, predict: Predict, classes: Sequence[str] = ()) -> np.ndarray:
    """Return what is predicted of each row of ``features``: (n,), or (n, classes)."""
    chunks = [
        predict(features.iloc[start : start + CHUNK_ROWS]) for start in range(0, len(features), CHUNK_ROWS)
    ]
    return np.concatenate(chunks) if chunks else np.empty((0, len(classes)) if classes else 0)


def rows_of(found: pd.DataFrame, predictions: np.ndarray, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows of a predictions table: the keys ``found``, and what is predicted of each.

    Raises:
        ValueError: a prediction is not a finite number.
    """
    if not np.isfinite(predictions).all():
        raise ValueError(f"{int((~np.isfinite(predictions)).sum())} predictions are not finite numbers")
    if not classes:
        return found.assign(prediction=predictions)
    likeliest = np.array(classes)[predictions.argmax(axis=1)]
    each = {class_column(name): predictions[:, number] for number, name in enumerate(classes)}
    return found.assign(prediction=likeliest, **each)


def predicted(rows: pd.DataFrame, classes: Sequence[str] = ()) -> np.ndarray:
    """Return what :func:`score` was given, from rows of a predictions table: (n,), or (n, classes)."""
    if not classes:
        return rows["prediction"].to_numpy(dtype="float64")
    # A class that was declared later has no value in older rows: their version gave it none.
    return rows[list(map(class_column, classes))].fillna(0.0).to_numpy(dtype="float64")
