"""A training that searches, on real nights, PostgreSQL and MLflow: what it keeps, and what a retry makes of it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from nightshift import stages, train
from nightshift.calendar import DateRange
from nightshift.errors import ArtifactRefused, SpecError
from nightshift.platform.fitted import load_version
from nightshift.platform.frozen import read_snapshot, split
from nightshift.specs import Estimator, Model
from nightshift.stages import Platform, Try
from nightshift.stages.searching import Journal, find
from nightshift.train import Trial

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
AS_OF = date(2013, 2, 4)
SPACE = {
    "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
    "max_leaf_nodes": {"low": 3, "high": 31, "log": True, "integer": True},
}
TRIED = "SELECT trial, estimator, params, sampled, scores, state, recorded_at FROM governance.trials "


def searching(platform: Platform, name: str = MODEL, **train: object) -> Platform:
    """Return the platform with a model that searches."""
    content = platform.project.model(MODEL).model_dump(by_alias=True)
    content |= {"name": name, "train": {**content["train"], **train}}
    models = {**platform.project.models, name: Model.model_validate(content)}
    return replace(platform, project=platform.project.model_copy(update={"models": models}))


def fitted(platform: Platform, run_id: str, name: str = MODEL, as_of: date = AS_OF) -> dict:
    frozen = stages.snapshot(platform, name, as_of, Try(run_id))
    done = stages.fit(platform, name, frozen["snapshot_id"], Try(run_id), reason="test")
    return {**done, **frozen}


def trials(platform: Platform, training_id: str) -> list[dict]:
    return platform.warehouse.rows(TRIED + "WHERE training_id = %s ORDER BY trial", (training_id,))


def decided(rows: list[dict]) -> list[tuple]:
    """Return what a search found, without the clock."""
    return [(row["estimator"], row["params"], row["sampled"], row["scores"], row["state"]) for row in rows]


def test_a_tuned_model_is_better_on_the_folds_and_mlflow_shows_why(loop: Platform, tmp_path: Path) -> None:
    platform = searching(loop, tune={"trials": 8, "space": SPACE})
    done = fitted(platform, "tuned")
    rows = trials(platform, "tuned")
    assert [row["trial"] for row in rows] == list(range(8))
    declared, best = (
        rows[0],
        min((row for row in rows if row["state"] == "complete"), key=lambda row: sum(row["scores"])),
    )
    assert declared["params"] == platform.project.model(MODEL).estimator.params
    assert declared["sampled"] == {}
    client = MlflowClient(loop.registry.uri)
    run = client.get_run(done["mlflow_run_id"]).data
    assert {name: run.params[name] for name in best["params"]} == {
        k: str(v) for k, v in best["params"].items()
    }
    assert run.params["search"] == "tune"
    assert run.metrics["search_trials"] == 8
    assert run.metrics["search_best_log_loss"] == pytest.approx(sum(best["scores"]) / 3)
    assert run.metrics["search_declared_log_loss"] == pytest.approx(sum(declared["scores"]) / 3)
    assert run.metrics["search_best_log_loss"] < run.metrics["search_declared_log_loss"]
    written = json.loads(
        Path(client.download_artifacts(done["mlflow_run_id"], "trials.json", str(tmp_path))).read_text()
    )
    assert [trial["params"] for trial in written["trials"]] == [row["params"] for row in rows]
    spec = json.loads(
        Path(client.download_artifacts(done["mlflow_run_id"], "spec.json", str(tmp_path))).read_text()
    )
    assert spec == platform.project.model(MODEL).model_dump(mode="json", by_alias=True), "what was declared"
    facts, frame = read_snapshot(platform, done["snapshot_id"])
    fitting, holdout = split(facts, frame)
    won = platform.project.model(MODEL).model_copy(
        update={"estimator": Estimator.model_validate({"class": best["estimator"], "params": best["params"]})}
    )
    again = train.fit(won, platform.project.feature_set("departure"), fitting, fitting["label"])
    registered = load_version(platform, platform.project.model(MODEL), done["version"])(holdout)
    assert (registered == train.predict(again, holdout)).all(), "the winner, fitted on all rows to fit on"


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param({"tune": {"trials": 5}, "automl": ["linear", "lightgbm"]}, id="automl"),
        pytest.param({}, id="as declared", marks=pytest.mark.slow),
    ],
)
def test_the_emitted_script_alone_comes_to_the_holdout_metrics_of_the_run(
    loop: Platform, declared: dict, tmp_path: Path
) -> None:
    platform = searching(loop, **declared)
    done = fitted(platform, f"emitted {len(declared)}")
    client = MlflowClient(loop.registry.uri)
    client.download_artifacts(done["mlflow_run_id"], f"train_{MODEL}.py", str(tmp_path))
    facts, _ = read_snapshot(platform, done["snapshot_id"])
    (tmp_path / "snapshot.parquet").write_bytes(platform.objects.get(facts.object_key))
    command = [sys.executable, "-I", "-W", "error", f"train_{MODEL}.py", "snapshot.parquet"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    logged = client.get_run(done["mlflow_run_id"]).data.metrics
    holdout = {k.removeprefix("holdout_"): v for k, v in logged.items() if k.startswith("holdout_")}
    assert len(holdout) == 4
    assert json.loads(run.stdout) == pytest.approx(holdout, abs=1e-12)


@pytest.mark.slow
def test_a_lightgbm_model_goes_the_whole_way(loop: Platform) -> None:
    content = loop.project.model(MODEL).model_dump(by_alias=True)
    params = {"n_estimators": 60, "learning_rate": 0.05, "n_jobs": 1, "verbosity": -1, "random_state": 0}
    content["estimator"] = {"class": "lightgbm.LGBMClassifier", "params": params}
    models = {MODEL: Model.model_validate(content)}
    platform = replace(loop, project=loop.project.model_copy(update={"models": models}))
    done = fitted(platform, "lightgbm")
    verdict = stages.evaluate(platform, MODEL, AS_OF, Try("lightgbm"), reason="test")
    assert verdict["passed"], verdict["gates"]
    promoted = stages.promote(platform, MODEL, AS_OF, Try("lightgbm"), actor="tester")
    assert promoted["outcome"] == "promoted"
    night = date.fromisoformat(promoted["effective_from"])
    scored = stages.score(platform, MODEL, DateRange(night, night), Try("scored"))
    assert scored["version"] == done["version"]
    assert scored["rows"] > 500
    requirements = MlflowClient(loop.registry.uri).download_artifacts(
        done["mlflow_run_id"], "model/requirements.txt"
    )
    assert "lightgbm==" in Path(requirements).read_text()


def test_a_search_never_sees_the_holdout(loop: Platform) -> None:
    platform = searching(loop, tune={"trials": 4, "space": SPACE})
    before = fitted(platform, "as it was")
    facts, _ = read_snapshot(platform, before["snapshot_id"])
    changed = loop.warehouse.execute(
        "UPDATE raw.arrivals SET arr_delay = -arr_delay WHERE flight_id IN "
        "(SELECT flight_id FROM features.departure_v1 WHERE batch_date >= %s)",
        (facts.holdout_first,),
    )
    assert changed > 1000
    after = fitted(platform, "other truth in the holdout")
    assert after["snapshot_id"] != before["snapshot_id"]
    assert decided(trials(platform, "other truth in the holdout")) == decided(trials(platform, "as it was"))
    client = MlflowClient(loop.registry.uri)
    losses = [
        client.get_run(done["mlflow_run_id"]).data.metrics["holdout_log_loss"] for done in (before, after)
    ]
    assert abs(losses[0] - losses[1]) > 0.01, "the holdout did change"


KILLED = """
import json, sys
from nightshift import stages
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.specs import Model, load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse

warehouse, registry, objects, spec, snapshot, training = sys.argv[1:]
model = Model.model_validate_json(spec)
project = load_project().model_copy(update={"models": {model.name: model}})
platform = Platform(project, Warehouse(warehouse), Registry(registry), Objects(objects), {}.__getitem__)
stages.fit(platform, model.name, snapshot, Try(training), reason="test")
"""


@pytest.mark.slow
def test_a_task_killed_in_its_search_goes_on_where_it_ended(
    loop: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    platform = searching(loop, tune={"trials": 10, "space": SPACE})
    straight = fitted(platform, "straight")
    spec = platform.project.model(MODEL).model_dump_json(by_alias=True)
    handed = [
        loop.warehouse.url,
        loop.registry.uri,
        loop.objects.root,
        spec,
        straight["snapshot_id"],
        "killed",
    ]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *handed], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(trials(platform, "killed")) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    left = trials(platform, "killed")
    assert 2 <= len(left) < 10
    caplog.clear()
    with caplog.at_level("INFO", "nightshift.train.tuning"):
        stages.fit(platform, MODEL, straight["snapshot_id"], Try("killed"), reason="test")
    tried = [line.split(":")[0] for line in caplog.messages if line.startswith("trial ")]
    assert tried == [f"trial {number} of 10" for number in range(len(left) + 1, 11)], "none is tried again"
    whole = trials(platform, "killed")
    assert whole[: len(left)] == left
    assert decided(whole) == decided(trials(platform, "straight")), "as if it had never stopped"
    versions = loop.warehouse.rows("SELECT 1 FROM governance.versions WHERE training_id = 'killed'")
    assert len(versions) == 1
    stages.fit(platform, MODEL, straight["snapshot_id"], Try("killed"), reason="test")
    assert trials(platform, "killed") == whole


def test_two_tries_at_once_keep_one_trial_of_each_number(loop: Platform) -> None:
    journal = Journal(loop, loop.project.model(MODEL), "twice", "0" * 64)
    ours = Trial(0, "a.B", {"x": 1}, {"x": 1e-05, "y": 1e16, "z": None}, (0.1, 1 / 3), "complete", 1.5)
    assert journal.record(ours) == ours == journal.read()[0]
    assert isinstance(journal.read()[0].sampled["y"], float), "numbers come out as they went in"
    assert journal.record(replace(ours, sampled={"x": 2}, scores=(0.9,))) == ours
    assert journal.read() == [ours]


def test_parameters_that_json_cannot_hold_come_out_of_a_search_as_they_were_declared(loop: Platform) -> None:
    content = loop.project.model(MODEL).model_dump(by_alias=True)
    params = {"class_weight": {0: 1.0, 1: 2.0}, "C": float("inf"), "max_iter": 2000}
    content["estimator"] = {"class": "sklearn.linear_model.LogisticRegression", "params": params}
    content["train"]["tune"] = {"trials": 2, "space": {"tol": {"choices": [0.1, 0.01]}}}
    model = Model.model_validate(content)
    frozen = stages.snapshot(loop, MODEL, AS_OF, Try("json"))["snapshot_id"]
    rows, _ = split(*read_snapshot(loop, frozen))
    for _ in range(2):  # the second time from the rows alone
        found = find(loop, model, rows, frozen, "json")
        assert {name: found.model.estimator.params[name] for name in params} == params
    kept = trials(loop, "json")[0]["params"]
    assert kept == {"class_weight": {"0": 1.0, "1": 2.0}, "C": "Infinity", "max_iter": 2000}


def test_another_search_under_the_same_training_begins_anew_and_more_budget_carries_it_on(
    loop: Platform,
) -> None:
    frozen = stages.snapshot(loop, MODEL, AS_OF, Try("x"))["snapshot_id"]
    rows, _ = split(*read_snapshot(loop, frozen))
    found = {}
    for name, tune in {
        "three": {"trials": 3, "space": SPACE},
        "five": {"trials": 5, "space": SPACE},
        "other": {"trials": 2, "space": {"learning_rate": {"choices": [0.1, 0.2]}}},
    }.items():
        model = searching(loop, tune=tune).project.model(MODEL)
        found[name] = find(loop, model, rows, frozen, "one training").trials
    assert found["five"][:3] == found["three"]
    assert len(found["five"]) == 5
    assert found["other"][1].params["learning_rate"] in {0.1, 0.2}
    assert loop.warehouse.rows("SELECT count(*) AS n FROM governance.trials") == [{"n": 7}]


def test_a_parameter_that_the_estimator_has_not_ends_the_training_before_anything_is_kept(
    loop: Platform,
) -> None:
    platform = searching(loop, tune={"trials": 3, "space": {"max_leafs": {"low": 2, "high": 9}}})
    with pytest.raises(SpecError, match=r"train\.tune\.space: HistGradientBoostingClassifier .*max_leafs"):
        fitted(platform, "unknown parameter")
    assert trials(platform, "unknown parameter") == []


def test_a_model_of_types_that_may_not_be_stored_leaves_no_version_and_no_file(loop: Platform) -> None:
    content = loop.project.model(MODEL).model_dump(by_alias=True)
    content["estimator"] = {
        "class": "sklearn.neighbors.KNeighborsClassifier",
        "params": {"algorithm": "kd_tree"},
    }
    models = {MODEL: Model.model_validate(content)}
    platform = replace(loop, project=loop.project.model_copy(update={"models": models}))
    with pytest.raises(ArtifactRefused, match=r"KDTree.*project\.yaml, allowed_types"):
        fitted(platform, "refused")
    assert loop.warehouse.rows("SELECT 1 FROM governance.versions WHERE training_id = 'refused'") == []
    client = MlflowClient(loop.registry.uri)
    (run,) = client.search_runs(
        [client.get_experiment_by_name(MODEL).experiment_id], "tags.`nightshift.training_id` = 'refused'"
    )
    assert client.list_artifacts(run.info.run_id) == []


def test_without_a_budget_nothing_is_searched_and_the_model_is_the_declared_one(loop: Platform) -> None:
    done = fitted(loop, "as before")
    assert loop.warehouse.rows("SELECT count(*) AS n FROM governance.trials") == [{"n": 0}]
    facts, frame = read_snapshot(loop, done["snapshot_id"])
    fitting, holdout = split(facts, frame)
    model = loop.project.model(MODEL)
    plain = train.fit(model, loop.project.feature_set("departure"), fitting, fitting["label"])
    assert (load_version(loop, model, done["version"])(holdout) == train.predict(plain, holdout)).all()
    names = {file.path for file in MlflowClient(loop.registry.uri).list_artifacts(done["mlflow_run_id"])}
    assert f"train_{MODEL}.py" in names
    assert "trials.json" not in names
