"""Scoring: features in, one number an entity out, in chunks so that memory stays flat."""

from collections.abc import Callable

import numpy as np
import pandas as pd

CHUNK_ROWS = 100_000
CHAMPION_ARM = "champion"

Predict = Callable[[pd.DataFrame], np.ndarray]


def score(features: pd.DataFrame, predict: Predict, entity: list[str]) -> pd.DataFrame:
    """Return ``batch_date``, ``entity`` and ``prediction`` (float64, finite) for each row of ``features``."""
    chunks = [
        predict(features.iloc[start : start + CHUNK_ROWS]) for start in range(0, len(features), CHUNK_ROWS)
    ]
    predictions = np.concatenate(chunks) if chunks else np.empty(0)
    if not np.isfinite(predictions).all():
        raise ValueError(f"{int((~np.isfinite(predictions)).sum())} predictions are not finite numbers")
    return features[["batch_date", *entity]].assign(prediction=predictions)
