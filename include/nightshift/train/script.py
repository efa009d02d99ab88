"""A training as a script of its own: what was fitted, in plain scikit-learn, with nothing of ours to import."""

import ast
import inspect
from collections.abc import Mapping
from importlib import import_module
from math import isfinite
from pprint import pformat
from typing import Any

from sklearn.pipeline import Pipeline

from nightshift import metrics
from nightshift.freeform import Arguments
from nightshift.records.snapshots import Snapshot
from nightshift.specs import Kind, Model
from nightshift.syntax import parse
from nightshift.train import encoding

TEMPLATE = '''\
"""Train {model} as it was trained: the same rows, the same pipeline, the parameters that were fitted.

    python train_{model}.py <snapshot>.parquet

The snapshot: the file with the SHA-256 {snapshot}.
Prints the metrics on the holdout, as JSON.
{serves}"""

import json
import sys

import numpy as np
import pandas as pd
{imports}

TRAIN_LAST = pd.Timestamp("{train_last}")
HOLDOUT_FIRST = pd.Timestamp("{holdout_first}")
CATEGORIES = {categories}
TEXTS = {texts}
NUMBERS = {numbers}
LABEL = "label"
{class_names}

{classes}{taken}

def features(rows):
    return taken(rows, CATEGORIES, TEXTS, NUMBERS)


def pipeline():
    """Return the pipeline, not fitted."""
    columns = ColumnTransformer(
        [
{encoders}        ],
        sparse_threshold={threshold},
    )
    estimator = {estimator}
    return Pipeline([("columns", columns), ("estimator", estimator)])


def fitted(rows):
    return pipeline().fit(features(rows), {learned})


{predict}


{score}


def main(snapshot):
    rows = pd.read_parquet(snapshot)
    night = pd.to_datetime(rows["batch_date"])
    fitting, holdout = rows[night <= TRAIN_LAST], rows[night >= HOLDOUT_FIRST]
    model = fitted(fitting)
    print(json.dumps(score(holdout[LABEL].to_numpy(), predict(model, holdout))))


if __name__ == "__main__":
    main(sys.argv[1])
'''

CLASSIFICATION = '''\
def predict(model, rows):
    """Return P(label = 1), a row."""
    return model.predict_proba(features(rows))[:, 1]'''

SEVERAL = '''\
def predict(model, rows):
    """Return P(class), a row, in the order of CLASSES; one that was in no row to fit on has 0."""
    found = model.predict_proba(features(rows))
    predicted = np.zeros((len(rows), len(CLASSES)))
    predicted[:, [CLASSES.index(name) for name in model.classes_]] = found
    return predicted'''

REGRESSION = '''\
def predict(model, rows):
    """Return a value a row."""
    return np.asarray(model.predict(features(rows)), dtype="float64").reshape(len(rows))'''

# Of each kind: what comes after the pipeline, and what it learns.
KINDS = {
    "classification": (CLASSIFICATION, "rows[LABEL].astype(int)"),
    "multiclass": (SEVERAL, "np.array(CLASSES)[rows[LABEL].astype(int)]"),
    "regression": (REGRESSION, "rows[LABEL]"),
}
REFIT = """
That is of what was judged, fitted up to {train_last}. What serves is fitted(rows) up to {holdout_last}, of at most
{max_rows} rows, drawn by their hash.
"""
IMPORTS = {"sklearn.compose": {"ColumnTransformer"}, "sklearn.pipeline": {"Pipeline"}}
FOR_METRICS = {"sklearn": {"metrics as sk"}}


def script(model: Model, frozen: Snapshot, pipeline: Pipeline) -> str:
    """Return the training of ``model`` as Python. ``frozen``: its snapshot; ``pipeline``: as it was fitted."""
    columns = pipeline.named_steps["columns"]
    encodings = encoding.encodings_of(pipeline)
    name = model.estimator.named.rpartition(".")[2]
    imported, classes = _where_from(model.estimator.named)
    predict, learned = KINDS[model.kind]
    score = _score(model.kind)
    used = _Sources()
    encoders = [
        f"            ({each!r}, {used.of(encoder)}, {_given(names)}),\n"
        for each, encoder, names in columns.transformers
    ]
    return TEMPLATE.format(
        model=model.name,
        snapshot=frozen.snapshot_id,
        serves=REFIT.format(
            train_last=frozen.train_last, holdout_last=frozen.holdout_last, max_rows=model.train.max_rows
        )
        if model.train.refit
        else "",
        imports=_imports(IMPORTS, imported, used.imports, FOR_METRICS if "sk." in score else {}),
        train_last=frozen.train_last,
        holdout_first=frozen.holdout_first,
        categories=pformat(list(encodings), width=100, compact=True),
        texts=pformat(encoding.texts_of(encodings), width=100, compact=True),
        numbers=pformat(columns.transformers[-1][2], width=100, compact=True),
        classes=classes,
        taken=f"{inspect.getsource(encoding.taken)}\n",
        encoders="".join(encoders),
        threshold=columns.sparse_threshold,
        estimator=_call(name, model.estimator.params),
        class_names=f"CLASSES = {pformat(list(model.classes), width=100, compact=True)}\n"
        if model.classes
        else "",
        predict=predict,
        score=score,
        learned=learned,
    )


def _score(kind: Kind) -> str:
    """Return the metrics of a kind as :mod:`nightshift.metrics` writes them, and ``score``, which gives them all."""
    mine = sorted(name for name, metric in metrics.METRICS.items() if kind in metric.tasks)
    texts: dict[str, str] = {}
    wanted = [metrics.METRICS[name].function for name in mine]
    while wanted:
        function = wanted.pop()
        texts[function.__name__] = text = inspect.getsource(function)
        named = {node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)}
        called = [getattr(metrics, name, None) for name in sorted(named - texts.keys())]
        wanted += [each for each in called if inspect.isfunction(each)]
    given = "".join(
        f'        "{name}": {metrics.METRICS[name].function.__name__}(label, predicted),\n' for name in mine
    )
    every = f"def score(label, predicted):\n    return {{\n{given}    }}"
    return "Array = np.ndarray\n\n\n" + "\n\n".join([*texts.values(), every])


def _given(names: Any) -> str:
    return pformat(names, width=1000)


class _Sources:
    """Estimators of scikit-learn as Python writes them, and ``imports``, what that text needs."""

    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {}

    def of(self, value: Any) -> str:
        """Return the text that makes ``value`` again: what differs from its class's defaults."""
        if isinstance(value, Pipeline):
            self._needs("sklearn.pipeline", "make_pipeline")
            return f"make_pipeline({', '.join(self.of(step) for _, step in value.steps)})"
        if not type(value).__module__.startswith("sklearn."):
            return _literal(value)
        kind = type(value)
        public = [part for part in kind.__module__.split(".") if not part.startswith("_")]
        self._needs(".".join(public), kind.__name__)
        named = inspect.signature(kind).parameters.values()
        given = {each.name: getattr(value, each.name) for each in named}
        differing = [
            each.name
            for each in named
            if given[each.name] is not each.default and given[each.name] != each.default
        ]
        return f"{kind.__name__}({', '.join(f'{key}={self.of(given[key])}' for key in differing)})"

    def _needs(self, module: str, name: str) -> None:
        self.imports.setdefault(module, set()).add(name)


def _where_from(path: str) -> tuple[dict[str, set[str]], str]:
    """Return what to import for an estimator, and its classes as text, where they are ours."""
    module, _, name = path.rpartition(".")
    if not module.startswith("nightshift."):
        return {module: {name}}, ""
    source = inspect.getsource(import_module(module))
    nodes = parse(source).body
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


def _call(name: str, params: Arguments) -> str:
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
