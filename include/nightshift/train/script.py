"""A training as a script of its own: what was fitted, in plain scikit-learn, with nothing of ours to import."""

import ast
import inspect
from collections.abc import Mapping
from importlib import import_module
from math import isfinite
from pprint import pformat
from typing import Any

from sklearn.pipeline import Pipeline

from nightshift.specs import Model

TEMPLATE = '''\
"""Train {model} as it was trained: the same rows, the same pipeline, the parameters that were fitted.

    python train_{model}.py <snapshot>.parquet

The snapshot: the file with the SHA-256 {snapshot}.
Prints the metrics on the holdout, as JSON.
"""

import json
import sys

import numpy as np
import pandas as pd
{imports}

TRAIN_LAST = pd.Timestamp("{train_last}")
HOLDOUT_FIRST = pd.Timestamp("{holdout_first}")
CATEGORIES = {categories}
NUMBERS = {numbers}
LABEL = "label"
{class_names}

{classes}def pipeline():
    """Return the pipeline, not fitted."""
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    numbers = {encoding}
    columns = ColumnTransformer([("categories", one_hot, CATEGORIES), ("numbers", numbers, NUMBERS)])
    estimator = {estimator}
    return Pipeline([("columns", columns), ("estimator", estimator)])


{predict_and_score}


def main(snapshot):
    rows = pd.read_parquet(snapshot)
    night = pd.to_datetime(rows["batch_date"])
    fitting, holdout = rows[night <= TRAIN_LAST], rows[night >= HOLDOUT_FIRST]
    model = pipeline().fit(fitting[CATEGORIES + NUMBERS], {learned})
    print(json.dumps(score(holdout[LABEL].to_numpy(), predict(model, holdout))))


if __name__ == "__main__":
    main(sys.argv[1])
'''

CLASSIFICATION = '''\
def predict(model, rows):
    """Return P(label = 1), a row."""
    return model.predict_proba(rows[CATEGORIES + NUMBERS])[:, 1]


def score(label, predicted):
    return {
        "average_precision": float(metrics.average_precision_score(label, predicted)),
        "brier": float(np.mean((predicted - label) ** 2)),
        "log_loss": float(metrics.log_loss(label, predicted, labels=[0.0, 1.0])),
        "roc_auc": float(metrics.roc_auc_score(label, predicted)),
    }'''

SEVERAL = '''\
def predict(model, rows):
    """Return P(class), a row, in the order of CLASSES; one that was in no row to fit on has 0."""
    found = model.predict_proba(rows[CATEGORIES + NUMBERS])
    predicted = np.zeros((len(rows), len(CLASSES)))
    predicted[:, [CLASSES.index(name) for name in model.classes_]] = found
    return predicted


def score(label, predicted):
    chosen, there = predicted.argmax(axis=1), np.unique(label)
    ranked = [metrics.roc_auc_score(label == k, predicted[:, int(k)]) for k in there]
    return {
        "balanced_accuracy": float(metrics.recall_score(label, chosen, labels=there, average="macro")),
        "log_loss": float(metrics.log_loss(label, predicted, labels=np.arange(float(len(CLASSES))))),
        "macro_f1": float(metrics.f1_score(label, chosen, average="macro", zero_division=0.0)),
        "roc_auc_ovr": float(np.mean(ranked)),
    }'''

REGRESSION = '''\
def predict(model, rows):
    """Return a value a row."""
    return np.asarray(model.predict(rows[CATEGORIES + NUMBERS]), dtype="float64")


def score(label, predicted):
    off = predicted - label
    return {
        "mae": float(np.mean(np.abs(off))),
        "r2": 1 - float(np.sum(off**2)) / float(np.sum((label - label.mean()) ** 2)),
        "rmse": float(np.sqrt(np.mean(off**2))),
    }'''

# Of each kind: what comes after the pipeline, and what it learns.
KINDS = {
    "classification": (CLASSIFICATION, "fitting[LABEL].astype(int)"),
    "multiclass": (SEVERAL, "np.array(CLASSES)[fitting[LABEL].astype(int)]"),
    "regression": (REGRESSION, "fitting[LABEL]"),
}
IMPORTS = {
    "sklearn.compose": {"ColumnTransformer"},
    "sklearn.pipeline": {"Pipeline"},
    "sklearn.preprocessing": {"OneHotEncoder"},
}
SCALED = 'make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())'
FOR_CLASSIFICATION = {"sklearn": {"metrics"}}
FOR_SCALED = {
    "sklearn.impute": {"SimpleImputer"},
    "sklearn.pipeline": {"make_pipeline"},
    "sklearn.preprocessing": {"StandardScaler"},
}


def script(model: Model, facts: Mapping[str, Any], pipeline: Pipeline) -> str:
    """Return the training of ``model`` as Python. ``facts``: the snapshot's; ``pipeline``: as it was fitted."""
    (_, _, categories), (_, encoding, numbers) = pipeline.named_steps["columns"].transformers
    name = model.estimator.path.rpartition(".")[2]
    imported, classes = _where_from(model.estimator.path)
    scaled = encoding != "passthrough"
    predict_and_score, learned = KINDS[model.kind]
    return TEMPLATE.format(
        model=model.name,
        snapshot=facts["snapshot_id"],
        imports=_imports(
            IMPORTS,
            imported,
            FOR_CLASSIFICATION if model.task == "classification" else {},
            FOR_SCALED if scaled else {},
        ),
        train_last=facts["train_last"],
        holdout_first=facts["holdout_first"],
        categories=pformat(categories, width=100, compact=True),
        numbers=pformat(numbers, width=100, compact=True),
        classes=classes,
        encoding=SCALED if scaled else '"passthrough"',
        estimator=_call(name, model.estimator.params),
        class_names=f"CLASSES = {pformat(list(model.classes), width=100, compact=True)}\n"
        if model.classes
        else "",
        predict_and_score=predict_and_score,
        learned=learned,
    )


def _where_from(path: str) -> tuple[dict[str, set[str]], str]:
    """Return what to import for an estimator, and its classes as text, where they are ours."""
    module, _, name = path.rpartition(".")
    if not module.startswith("nightshift."):
        return {module: {name}}, ""
    source = inspect.getsource(import_module(module))
    nodes = ast.parse(source).body
    imported = {
        str(node.module): {alias.name for alias in node.names}
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    }
    classes = [ast.get_source_segment(source, node) for node in nodes if isinstance(node, ast.ClassDef)]
    return imported, "".join(f"{text}\n\n\n" for text in classes)


def _imports(*groups: Mapping[str, set[str]]) -> str:
    modules = sorted({module for group in groups for module in group})
    names = {module: set().union(*(group.get(module, set()) for group in groups)) for module in modules}
    return "\n".join(f"from {module} import {', '.join(sorted(names[module]))}" for module in modules)


def _call(name: str, params: Mapping[str, Any]) -> str:
    arguments = "".join(f"        {key}={_literal(value)},\n" for key, value in params.items())
    return f"{name}(\n{arguments}    )" if arguments else f"{name}()"


def _literal(value: Any) -> str:
    """Return ``value``, which came from YAML, as Python reads it: there NaN and infinity have no literal."""
    if isinstance(value, float) and not isfinite(value):
        return f'float("{value}")'
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(each)}' for key, each in value.items())}}}"
    return repr(value)
