"""The emitted script is the training: alone in an empty folder it comes to the same numbers, without us."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from toys import FROZEN, feature_set, needs_torch, rows, spec

from nightshift import metrics, train
from nightshift.types import to_parquet as parquet

BOOSTING = "sklearn.ensemble.HistGradientBoostingRegressor"
TREES = {"random_state": 0, "min_samples_leaf": 20}
BOOSTED = {"n_estimators": 20, "verbosity": -1, "n_jobs": 1, "random_state": 0}
CASES = {
    "sklearn.ensemble.HistGradientBoostingClassifier": ("classification", {**TREES, "learning_rate": 0.1234567890123}),
    "sklearn.linear_model.LogisticRegression": ("classification", {"C": 1 / 3, "class_weight": {0: 1.0, 1: 2.5}}),
    "sklearn.ensemble.RandomForestRegressor": ("regression", {**TREES, "n_estimators": 10}),
    "sklearn.linear_model.Ridge": ("regression", {}),
    "sklearn.ensemble.RandomForestClassifier": ("multiclass", {**TREES, "n_estimators": 10}),
    "lightgbm.LGBMClassifier": ("classification", BOOSTED),
    "lightgbm.LGBMRegressor": ("regression", BOOSTED),
    "nightshift.train.networks.NetworkClassifier": ("classification", {"hidden": [8], "max_epochs": 3}),
    "nightshift.train.networks.NetworkRegressor": ("regression", {"hidden": [8, 4], "max_epochs": 3}),
}  # fmt: skip
LIBRARIES = {"sklearn": {"sklearn"}, "lightgbm": {"lightgbm"}, "nightshift": {"skorch", "torch"}}
PATHS = [pytest.param(path, marks=[needs_torch] if path.startswith("nightshift.") else []) for path in CASES]


@pytest.mark.parametrize("path", PATHS)
def test_a_script_alone_in_a_folder_comes_to_the_same_metrics(path: str, tmp_path: Path) -> None:
    kind, params = CASES[path]
    model, frame = spec(kind, path, params), rows(kind)
    fitting = frame[frame["batch_date"] <= FROZEN.train_last]
    holdout = frame[frame["batch_date"] >= FROZEN.holdout_first]
    pipeline = train.fit(model, feature_set(), fitting, fitting["label"])
    expected = metrics.score(kind, holdout["label"], train.predict(pipeline, holdout, model.classes))
    (tmp_path / "snapshot.parquet").write_bytes(
        parquet(frame.assign(batch_date=pd.to_datetime(frame["batch_date"]).astype("datetime64[s]")))
    )
    (tmp_path / "train_toy.py").write_text(train.script(model, FROZEN, pipeline))
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


@pytest.mark.parametrize("path", PATHS)
def test_a_script_imports_what_it_needs_and_nothing_of_ours(path: str) -> None:
    task, params = CASES[path]
    model, frame = spec(task, path, params), rows(task)
    text = train.script(model, FROZEN, train.fit(model, feature_set(), frame, frame["label"]))
    nodes = list(ast.walk(ast.parse(text)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    libraries = LIBRARIES[path.partition(".")[0]]
    found = {name.partition(".")[0] for name in names}
    assert found == {"json", "sys", "numpy", "pandas", "sklearn"} | libraries
    check = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,I,E4,E7", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout


def test_values_without_a_literal_are_written_so_that_python_reads_them() -> None:
    params = {
        "max_depth": None,
        "max_features": float("inf"),
        "categorical_features": [float("nan"), {"a": 1}],
    }
    model = spec("regression", BOOSTING, params)
    plain = spec("regression", BOOSTING, {})
    frame = rows("regression")
    text = train.script(model, FROZEN, train.fit(plain, feature_set(), frame, frame["label"]))
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if ast.unparse(call.func) == "HistGradientBoostingRegressor"]
    written = {each.arg: eval(ast.unparse(each.value)) for each in call.keywords}  # noqa: S307 our own text
    assert repr(written) == repr(params)
