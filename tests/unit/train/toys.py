"""A toy to train on: a model, a feature set and 24 nights of rows with a number, a word and missing values."""

from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nightshift.records.snapshots import Snapshot
from nightshift.specs import FeatureSet, Model

NIGHTS, A_NIGHT = 24, 50
# Their order is not that of the alphabet, and their texts would be no names of columns.
CLASSES = ("Light Rain", "C++", "high", "none yet")
METRICS = {
    "classification": ("roc_auc", "log_loss"),
    "multiclass": ("balanced_accuracy", "log_loss"),
    "regression": ("r2", "mae"),
}
TARGETS: dict[str, dict] = {
    "classification": {"above": 0},
    "multiclass": {"classes": CLASSES},
    "regression": {},
}
FROZEN = Snapshot(
    snapshot_id="0" * 64,
    model="toy",
    as_of=date(2013, 2, 1),
    feature_set="toy",
    feature_version=1,
    object_key="snapshots/toy.parquet",
    row_count=1,
    train_first=date(2013, 1, 1),
    train_last=date(2013, 1, 18),
    holdout_first=date(2013, 1, 19),
    holdout_last=date(2013, 1, 31),
)
needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="the extra 'torch' is not installed: it weighs more than all the rest"
)


def spec(kind: str, path: str, params: dict, **train: object) -> Model:
    """Return a model of the toy, chosen by log loss or mean absolute error."""
    minimum, better = METRICS[kind]
    return Model.model_validate(
        {
            "name": "toy",
            "owner": "me",
            "description": '""" \\ {braces}',
            "task": "regression" if kind == "regression" else "classification",
            "features": "toy",
            "target": {"source": "truth", "column": "y", **TARGETS[kind]},
            "estimator": {"class": path, "params": params},
            "train": train,
            "gates": [
                {"gate": "minimum_score", "metric": minimum, "value": 0.5},
                {"gate": "beats_champion", "metric": better},
            ],
        }
    )


def feature_set() -> FeatureSet:
    """Return the declaration of the toy's features."""
    columns = {"a": "float", "word": "string", "b": "float", "c": "integer"}
    described = {"name": "toy", "owner": "me", "description": "A toy.", "version": 1, "entity": ["id"]}
    return FeatureSet(**described, inputs={"truth": {}}, columns=columns, path=Path("toy.py"))


def rows(kind: str = "classification") -> pd.DataFrame:
    """Return labelled rows: the label, or what it is cut from, is linear in ``a`` and ``word``, with noise."""
    random = np.random.default_rng(0)
    n = NIGHTS * A_NIGHT
    made = pd.DataFrame(
        {"id": np.arange(n).astype(str), "a": random.normal(size=n), "b": random.normal(size=n)}
    )
    made["c"], made["word"] = random.integers(0, 9, n), random.choice(["x", "y", "z"], n)
    made.loc[random.random(n) < 0.1, "b"] = np.nan
    made["batch_date"] = np.repeat([date(2013, 1, 1) + timedelta(days=day) for day in range(NIGHTS)], A_NIGHT)
    value = made["a"] * 2 + (made["word"] == "x") + random.normal(size=n)
    made["label"] = value
    if kind == "classification":
        made["label"] = (value > 0).astype(float)
    if kind == "multiclass":  # nothing is of the last class
        made["label"] = np.digitize(value, [-1, 1]).astype(float)
    return made
