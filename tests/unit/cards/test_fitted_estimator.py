"""What was fitted is read off the model: a search may have chosen another estimator than the spec declares."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from recorded_version import spec
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from nightshift.artifacts import ALLOWED
from nightshift.specs import FeatureSet, Model
from nightshift.train import as_fitted, fit, predict

FEATURES = FeatureSet.model_validate(
    {
        "name": "departure",
        "owner": "us",
        "description": "two numbers",
        "version": 1,
        "entity": ["flight_id"],
        "inputs": {"flights": {}},
        "columns": {"carrier": "string", "temp": "float"},
        "path": Path("departure.py"),
    }
)
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def declared(path: str = BOOSTING, **params: Any) -> Model:
    return spec(estimator={"class": path, "params": params})


def searched(**params: Any) -> Model:
    found = declared(**params)
    tune = found.train.tune.model_copy(update={"trials": 5})
    return found.model_copy(update={"train": found.train.model_copy(update={"tune": tune})})


class Settles(HistGradientBoostingClassifier):
    """Sets a parameter to what it finds in its rows, as some libraries' classes do."""

    def fit(self, X: Any, y: Any) -> "Settles":
        self.min_samples_leaf = len(X) // 100
        return super().fit(X, y)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"carrier": random.choice(["AA", "UA"], 2000), "temp": random.normal(size=2000)}
    ).astype({"carrier": "str"})
    return frame.assign(label=(frame["temp"] + random.normal(size=2000) > 0).astype(float))


def stored(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline as it comes out of its file."""
    return skops.io.loads(skops.io.dumps(pipeline), trusted=list(ALLOWED))


def test_the_declared_estimator_stays_as_it_is_declared(rows: pd.DataFrame) -> None:
    model = declared(max_iter=5, random_state=0)
    found = as_fitted(model, stored(fit(model, FEATURES, rows, rows["label"])))
    assert found.estimator is model.estimator
    assert found.encoding == {"carrier": "one_hot"}, "what was left to the data is told"


@pytest.mark.parametrize(
    "chosen",
    [
        declared(max_iter=9, random_state=3),
        declared(max_iter=5, random_state=0, learning_rate=0.5),
        declared(LOGISTIC, C=0.5),
    ],
    ids=["parameters", "a parameter that the spec leaves out", "family"],
)
def test_what_a_search_chose_is_fitted_again_to_the_bit(rows: pd.DataFrame, chosen: Model) -> None:
    pipeline = stored(fit(chosen, FEATURES, rows, rows["label"]))
    found = as_fitted(searched(max_iter=5, random_state=0), pipeline)
    again = fit(found, FEATURES, rows, rows["label"])
    assert type(again.named_steps["estimator"]) is type(pipeline.named_steps["estimator"])
    assert (predict(again, rows) == predict(pipeline, rows)).all()
    unlike = fit(declared(max_iter=5, random_state=0), FEATURES, rows, rows["label"])
    assert (predict(unlike, rows) != predict(pipeline, rows)).any()


def test_what_a_fit_made_of_its_rows_is_made_of_the_next_rows_anew(rows: pd.DataFrame) -> None:
    model = declared(f"{Settles.__module__}.{Settles.__qualname__}", max_iter=5)
    estimator = Settles(max_iter=5).fit(rows[["temp"]], rows["label"])
    columns = fit(declared(max_iter=5), FEATURES, rows, rows["label"]).named_steps["columns"]
    found = as_fitted(model, Pipeline([("columns", columns), ("estimator", estimator)]))
    assert found.estimator is model.estimator
