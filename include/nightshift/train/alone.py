"""What each feature is worth alone: who makes a score too good to be true."""

import pandas as pd

from nightshift import metrics
from nightshift.errors import FitFailed
from nightshift.specs import Estimator, FeatureSet, Model
from nightshift.train.fitting import fit, predict

MOST_ROWS = 20_000
# A tree finds any dependence, a line one that goes on beyond the values that were fitted on.
PLAIN = {
    "classification": ("sklearn.tree.DecisionTreeClassifier",),
    "regression": ("sklearn.tree.DecisionTreeRegressor", "sklearn.linear_model.LinearRegression"),
}
LEAVES = {"min_samples_leaf": 5, "random_state": 0}


def alone(
    model: Model, feature_set: FeatureSet, metric: str, fitting: pd.DataFrame, holdout: pd.DataFrame
) -> dict[str, float]:
    """Return, a feature, ``metric`` on the holdout of plain estimators that know it only: the best.

    ``fitting``, ``holdout``: labelled rows, of which at most 20,000 each are looked at. A feature that never changes is
    left out.
    """
    fitting, holdout = (rows.sample(min(len(rows), MOST_ROWS), random_state=0) for rows in (fitting, holdout))
    found = {}
    for name, kind in feature_set.columns.items():
        if fitting[name].nunique(dropna=False) < 2:
            continue
        only = feature_set.model_copy(update={"columns": {name: kind}})
        scores = [_score(model, path, only, metric, fitting, holdout) for path in PLAIN[model.task]]
        known = [score for score in scores if score is not None]
        if known:
            found[name] = max(known)
    return found


def _score(
    model: Model, path: str, only: FeatureSet, metric: str, fitting: pd.DataFrame, holdout: pd.DataFrame
) -> float | None:
    params = LEAVES if ".tree." in path else {}
    plain = model.model_copy(
        update={"estimator": Estimator.model_validate({"class": path, "params": params})}
    )
    try:
        pipeline = fit(plain, only, fitting, fitting["label"])
    except FitFailed:  # a feature that cannot be learned from alone gives nothing away
        return None
    said = predict(pipeline, holdout, model.classes)
    return metrics.score(model.kind, holdout["label"], said)[metric]
