"""The emitted script is the training: alone in an empty folder it comes to the same numbers, without us."""

import ast
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nightshift import metrics, train
from nightshift.specs import FeatureSet, Model
from nightshift.stages.collecting import parquet

NIGHTS, A_NIGHT = 20, 60
FACTS = {"snapshot_id": "0" * 64, "train_last": date(2013, 1, 15), "holdout_first": date(2013, 1, 16)}
TREES = {"random_state": 0, "min_samples_leaf": 20}
BOOSTED = {"n_estimators": 20, "verbosity": -1, "n_jobs": 1, "random_state": 0}
CASES = {
    "sklearn.ensemble.HistGradientBoostingClassifier": ("classification", {**TREES, "learning_rate": 0.1234567890123}),
    "sklearn.linear_model.LogisticRegression": ("classification", {"C": 1 / 3, "class_weight": {0: 1.0, 1: 2.5}}),
    "sklearn.ensemble.RandomForestRegressor": ("regression", {**TREES, "n_estimators": 10}),
    "sklearn.linear_model.Ridge": ("regression", {}),
    "lightgbm.LGBMClassifier": ("classification", BOOSTED),
    "lightgbm.LGBMRegressor": ("regression", BOOSTED),
}  # fmt: skip


def spec(path: str, task: str, params: dict) -> Model:
    first = "roc_auc" if task == "classification" else "r2"
    gates = [{"gate": gate, "metric": first} for gate in ("minimum_score", "beats_champion")]
    target = {"source": "truth", "column": "y", "above": 0 if task == "classification" else None}
    return Model.model_validate(
        {
            "name": "toy",
            "owner": "me",
            "description": '""" \\ {braces}',
            "task": task,
            "features": "toy",
            "target": target,
            "estimator": {"class": path, "params": params},
            "gates": gates,
        }
    )


@pytest.fixture
def feature_set() -> FeatureSet:
    columns = {"a": "float", "word": "string", "b": "float", "c": "integer"}
    described = {"name": "toy", "owner": "me", "description": "A toy.", "version": 1, "entity": ["id"]}
    return FeatureSet(**described, inputs={"truth": {}}, columns=columns, path=Path("toy.py"))


def rows(task: str) -> pd.DataFrame:
    random = np.random.default_rng(0)
    n = NIGHTS * A_NIGHT
    made = pd.DataFrame(
        {"id": np.arange(n).astype(str), "a": random.normal(size=n), "b": random.normal(size=n)}
    )
    made["c"], made["word"] = random.integers(0, 9, n), random.choice(["x", "y", "z"], n)
    made.loc[random.random(n) < 0.1, ["b"]] = np.nan
    made["batch_date"] = np.repeat([date(2013, 1, 1) + timedelta(days=day) for day in range(NIGHTS)], A_NIGHT)
    value = made["a"] * 2 + (made["word"] == "x") + random.normal(size=n)
    made["label"] = (value > 0).astype(float) if task == "classification" else value
    return made


@pytest.mark.parametrize("path", CASES)
def test_a_script_alone_in_a_folder_comes_to_the_same_metrics(
    path: str, feature_set: FeatureSet, tmp_path: Path
) -> None:
    task, params = CASES[path]
    model, frame = spec(path, task, params), rows(task)
    fitting = frame[frame["batch_date"] <= FACTS["train_last"]]
    holdout = frame[frame["batch_date"] >= FACTS["holdout_first"]]
    pipeline = train.fit(model, feature_set, fitting, fitting["label"])
    expected = metrics.score(task, holdout["label"], train.predict(pipeline, holdout))
    (tmp_path / "snapshot.parquet").write_bytes(parquet(frame))
    (tmp_path / "train_toy.py").write_text(train.script(model, FACTS, pipeline))
    # -I: no PYTHONPATH, nothing of the folder or the user's; -W error: nobody is to read past a warning.
    run = subprocess.run(
        [sys.executable, "-I", "-W", "error", "train_toy.py", "snapshot.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == expected


@pytest.mark.parametrize("path", CASES)
def test_a_script_imports_what_it_needs_and_nothing_of_ours(path: str, feature_set: FeatureSet) -> None:
    task, params = CASES[path]
    model, frame = spec(path, task, params), rows(task)
    text = train.script(model, FACTS, train.fit(model, feature_set, frame, frame["label"]))
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    own = path.partition(".")[0]
    assert {name.partition(".")[0] for name in names} == {"json", "sys", "numpy", "pandas", "sklearn", own}
    check = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,I,E4,E7", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout


def test_values_without_a_literal_are_written_so_that_python_reads_them(feature_set: FeatureSet) -> None:
    params = {
        "max_depth": None,
        "max_features": float("inf"),
        "categorical_features": [float("nan"), {"a": 1}],
    }
    model = spec("sklearn.ensemble.HistGradientBoostingRegressor", "regression", params)
    plain = spec("sklearn.ensemble.HistGradientBoostingRegressor", "regression", {})
    frame = rows("regression")
    text = train.script(model, FACTS, train.fit(plain, feature_set, frame, frame["label"]))
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if ast.unparse(call.func) == "HistGradientBoostingRegressor"]
    written = {each.arg: eval(ast.unparse(each.value)) for each in call.keywords}  # noqa: S307 our own text
    assert repr(written) == repr(params)
