"""`nightshift check --deep` tries what the specs name: a mistake shows before a night does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nightshift.root import INCLUDE


def test_a_deep_check_refuses_a_parameter_that_an_estimator_has_not(tmp_path: Path) -> None:
    project = tmp_path / "include"
    shutil.copytree(INCLUDE, project, ignore=shutil.ignore_patterns("__pycache__"))
    spec = project / "models" / "late_arrival.yaml"
    declared = "train: {window_days: all,"
    assert declared in spec.read_text()
    searched = "tune: {trials: 5, space: {max_leafs: {low: 2, high: 9}}},"
    spec.write_text(spec.read_text().replace(declared, f"{declared} {searched}"))
    run = subprocess.run(
        [sys.executable, "-c", "from nightshift.cli.app import app; app()", "check", "--deep"],
        env={**os.environ, "PYTHONPATH": str(project)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    said = " ".join((run.stdout + run.stderr).split())
    assert (
        "'late_arrival': train.tune.space: HistGradientBoostingClassifier has no parameter ['max_leafs']"
        in said
    )
