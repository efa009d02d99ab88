"""A version made again from its record: equal to the bit here, refused if the record was changed, and told apart."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nightshift import artifacts, stages
from nightshift.errors import ArtifactRefused, NotReady, SpecError
from nightshift.kept import SERVED
from nightshift.platform.papers import recorded_spec, version_row
from nightshift.platform.provenance import SPEC_FILE, spec_text
from nightshift.root import INCLUDE, ROOT
from nightshift.specs import Model
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

MODEL = "late_arrival"
NIGHT = date(2013, 2, 6)


# Airflow itself runs the DAG, on a metadata database of its own.
RUN_THE_DAG = """
import json, os, sys
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(os.path.join(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], "operations.py"))
for conf in json.loads(sys.argv[1]):
    run = bag.dags["reproduce_late_arrival"].test(run_conf=conf)
    print("ENDED", run.state.value, run.run_id)
"""


def with_model(platform: Platform, change: Callable[[dict], object]) -> Platform:
    """Return the platform with its model's spec changed."""
    content = platform.project.model(MODEL).model_dump(by_alias=True)
    change(content)
    models = {MODEL: Model.model_validate(content)}
    return replace(platform, project=platform.project.model_copy(update={"models": models}))


def judged(platform: Platform, run_id: str, reason: str = "a test") -> int:
    """Train up to the decision; return the version."""
    asked = Try(run_id)
    frozen = stages.snapshot(platform, MODEL, NIGHT, asked)
    stages.fit(platform, MODEL, frozen["snapshot_id"], asked, reason=reason)
    return stages.evaluate(platform, MODEL, NIGHT, asked, reason=reason)["version"]


def again(platform: Platform, version: int | None, run_id: str = "again") -> dict[str, Any]:
    return stages.reproduce(platform, MODEL, version, Try(run_id), reason="an audit")


def findings(platform: Platform, run_id: str = "again") -> dict[str, Any]:
    row = platform.warehouse.row("SELECT * FROM governance.reproductions WHERE run_id = %s", (run_id,))
    assert row
    return row


def test_the_champion_made_again_is_the_champion_to_the_bit(loop: Platform) -> None:
    champion = loop.registry.champion(MODEL)
    found = again(loop, None)
    print(f"reproduce: {found['outcome']}")
    assert (found["version"], found["equal"]) == (champion, True)
    # A commit may be made while the tests run.
    assert [each for each in found["different"] if not each.startswith("code_commit: ")] == []
    recorded = version_row(loop, MODEL, found["version"])
    row = findings(loop)
    said = row["findings"]["predictions"]
    assert (row["version"], row["equal"], row["reason"]) == (champion, True, "an audit")
    assert said["recorded_sha256"] == recorded.predictions_sha256 is not None
    assert said["again_sha256"] == said["registered_sha256"] == said["recorded_sha256"]
    assert (said["differing"], said["largest"]) == (0, 0.0)
    assert said["rows"] > 10_000
    metrics = row["findings"]["metrics"]
    assert set(metrics) == {"roc_auc", "log_loss", "brier", "average_precision"}
    assert all(one["then"] == one["now"] is not None for one in metrics.values())
    page = loop.objects.get(found["page"]).decode()
    assert "Equal: every metric and all" in page
    assert SERVED.fullmatch(found["page"])
    again(loop, None)
    rows = loop.warehouse.rows("SELECT 1 FROM governance.reproductions")
    assert len(rows) == 1, "the same run, one row"


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_command_finds_it_equal_in_a_process_of_its_own_with_one_thread_and_with_two(
    loop: Platform, threads: int
) -> None:
    ours = {
        "NIGHTSHIFT_WAREHOUSE_URL": loop.warehouse.url,
        "NIGHTSHIFT_OBJECTS": loop.objects.root,
        "MLFLOW_TRACKING_URI": loop.registry.uri,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": str(INCLUDE),
    }
    command = [sys.executable, "-m", "nightshift.cli", "reproduce", MODEL]
    done = subprocess.run(
        command, env=os.environ | ours, capture_output=True, text=True, timeout=250, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Equal: every metric and all" in done.stdout
    assert ("environment.openmp_threads: 1 then, 2 now" in done.stdout) is (threads == 2)
    # The history's spec trains faster than the one that is declared.
    assert "spec.train.window_days: 14 then, all now" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_dag_makes_the_version_of_its_form_again_and_refuses_what_no_form_has(
    loop: Platform, tmp_path: Path
) -> None:
    champion = loop.registry.champion(MODEL)
    ours = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_WAREHOUSE": loop.warehouse.url,
        "AIRFLOW_CONN_MLFLOW": loop.registry.uri,
        "NIGHTSHIFT_OBJECTS": loop.objects.root,
        "PYTHONPATH": str(INCLUDE),
    }
    conf = json.dumps([{"version": champion, "reason": "the auditors ask"}, {"versoin": champion}])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_THE_DAG, conf],
        env=os.environ | ours,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ended = re.findall(r"^ENDED (\w+) (\S+)$", done.stdout, re.MULTILINE)
    assert [state for state, _ in ended] == ["success", "failed"], done.stdout[-3000:] + done.stderr[-3000:]
    assert "unknown parameter 'versoin'; did you mean 'version'?" in done.stdout
    row = findings(loop, ended[0][1])
    assert (row["version"], row["equal"], row["reason"]) == (champion, True, "the auditors ask")
    assert SERVED.fullmatch(row["page_key"])
    assert len(loop.warehouse.rows("SELECT 1 FROM governance.reproductions")) == 1


def test_a_feature_set_that_has_gained_columns_since_changes_nothing_of_the_past(loop: Platform) -> None:
    departure = loop.project.feature_set("departure")
    gained = departure.model_copy(update={"version": 2, "columns": {"pilot": "string", **departure.columns}})
    sets = {**loop.project.feature_sets, "departure": gained}
    changed = replace(loop, project=loop.project.model_copy(update={"feature_sets": sets}))
    found = again(changed, loop.registry.champion(MODEL))
    assert found["equal"]
    columns = next(each for each in found["different"] if each.startswith("features.columns: "))
    then, _, now = columns.partition(" then, ")
    assert "pilot" not in then
    assert "pilot" in now
    assert "features.version: 1 then, 2 now" in found["different"]


def test_a_version_is_made_again_by_its_own_spec_whatever_is_declared_now(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = loop.registry.champion(MODEL)
    changed = with_model(loop, lambda m: m["estimator"]["params"].update(max_iter=3, random_state=9))
    monkeypatch.setenv("NIGHTSHIFT_CODE_COMMIT", "another")
    found = again(changed, champion)
    then = version_row(loop, MODEL, champion or 0).code_commit
    assert found["equal"]
    assert found["different"] == [
        f"code_commit: {then} then, another now",
        "spec.estimator.params.max_iter: 25 then, 3 now",
        "spec.estimator.params.random_state: 0 then, 9 now",
    ]
    gone = replace(loop, project=loop.project.model_copy(update={"models": {}}))
    assert again(gone, champion, "undeclared")["equal"], (
        "a model that is no longer declared keeps its versions"
    )


def test_a_linear_regression_is_equal_too_and_has_a_card(loop: Platform) -> None:
    content = loop.project.model(MODEL).model_dump(by_alias=True)
    regression = {
        "name": "linear_delay",
        "task": "regression",
        "target": {"source": "arrivals", "column": "arr_delay", "matures_after_days": 2},
        "estimator": {"class": "sklearn.linear_model.Ridge", "params": {"alpha": 2.0}},
        "gates": [
            {"gate": "minimum_score", "metric": "r2", "value": -1.0},
            {"gate": "beats_champion", "metric": "mae"},
        ],
        "performance": None,
    }
    models = {"linear_delay": Model.model_validate({**content, **regression})}
    linear = replace(loop, project=loop.project.model_copy(update={"models": models}))
    asked = Try("linear")
    frozen = stages.snapshot(linear, "linear_delay", NIGHT, asked)
    version = stages.fit(linear, "linear_delay", frozen["snapshot_id"], asked, reason="a test")["version"]
    stages.evaluate(linear, "linear_delay", NIGHT, asked, reason="a test")
    found = stages.reproduce(linear, "linear_delay", version, Try("again"), reason="an audit")
    print(f"reproduce, Ridge: {found['outcome']}")
    assert found["equal"], found
    assert set(findings(loop)["findings"]["metrics"]) == {"mae", "rmse", "r2"}
    shown = loop.objects.get(stages.write_card(linear, "linear_delay", asked)["card"]).decode()
    facts = dict(re.findall(r"<tr><th[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td>", shown))
    assert facts["Says"] == "arrivals.arr_delay"
    assert facts["estimator.alpha"] == "2"


def test_a_model_without_a_seed_comes_out_otherwise_and_it_is_said_by_how_much(loop: Platform) -> None:
    unseeded = with_model(
        loop,
        lambda m: (
            m["estimator"]["params"].pop("random_state"),
            m["estimator"]["params"].update(early_stopping=True),
        ),
    )
    version = judged(unseeded, "unseeded")
    found = again(unseeded, version)
    print(f"reproduce, no seed: {found['outcome']}")
    assert not found["equal"]
    row = findings(loop)
    said, metrics = row["findings"]["predictions"], row["findings"]["metrics"]
    assert row["equal"] is False
    assert said["registered_sha256"] == said["recorded_sha256"] != said["again_sha256"]
    assert 0 < said["differing"] <= said["rows"]
    assert 0 < said["largest"] < 1
    assert metrics["log_loss"]["difference"] == metrics["log_loss"]["now"] - metrics["log_loss"]["then"] != 0
    assert f"Different: {said['differing']} of {said['rows']} predictions differ" in found["outcome"]


def test_a_snapshot_that_was_altered_is_refused(loop: Platform) -> None:
    champion = loop.registry.champion(MODEL)
    recorded = version_row(loop, MODEL, champion or 0)
    key = f"snapshots/{MODEL}/{recorded.snapshot_id}.parquet"
    loop.objects.put(key, loop.objects.get(key)[:-1] + b"!")
    with pytest.raises(
        ArtifactRefused, match=rf"snapshot {key} has sha256 .* {recorded.snapshot_id} was recorded"
    ):
        again(loop, champion)
    assert loop.warehouse.rows("SELECT 1 FROM governance.reproductions") == []


def test_a_spec_that_was_altered_is_refused(loop: Platform) -> None:
    version = judged(loop, "altered spec")
    recorded = version_row(loop, MODEL, version)
    spec = json.loads(loop.registry.file(recorded.mlflow_run_id, SPEC_FILE))
    spec["estimator"]["params"]["max_iter"] = 24
    loop.registry.log_file(recorded.mlflow_run_id, SPEC_FILE, spec)
    with pytest.raises(ArtifactRefused, match=r"spec\.json of run .* has sha256"):
        again(loop, version)


def test_the_logged_spec_is_the_one_whose_hash_is_recorded(still: Platform) -> None:
    recorded = version_row(still, MODEL, still.registry.champion(MODEL) or 0)
    content = still.registry.file(recorded.mlflow_run_id, SPEC_FILE)
    assert hashlib.sha256(content).hexdigest() == recorded.spec_sha256
    assert recorded_spec(still, recorded) == still.project.model(MODEL)
    assert spec_text(still.project.model(MODEL)).encode() == content
    # What versions were given before the hash was that of the file.
    first = json.dumps(still.project.model(MODEL).model_dump(mode="json"), sort_keys=True)
    older = replace(recorded, spec_sha256=hashlib.sha256(first.encode()).hexdigest())
    assert older.spec_sha256 != recorded.spec_sha256
    assert recorded_spec(still, older) == still.project.model(MODEL)
    with pytest.raises(ArtifactRefused):
        recorded_spec(still, replace(recorded, spec_sha256="0" * 64))


def test_a_model_file_is_never_the_same_twice_so_it_is_not_compared(still: Platform) -> None:
    """Skops writes addresses and times: a new hash of an equal model says nothing."""
    import skops.io

    recorded = version_row(still, MODEL, still.registry.champion(MODEL) or 0)
    content = still.registry.model_bytes(recorded.mlflow_run_id, recorded.artifact_sha256)
    pipeline = artifacts.load(content, recorded.artifact_sha256)
    assert artifacts.seal(skops.io.dumps(pipeline)) != recorded.artifact_sha256


def test_what_is_not_there_is_named(still: Platform) -> None:
    with pytest.raises(SpecError, match="model 'late_arival' is unknown; did you mean 'late_arrival'"):
        stages.reproduce(still, "late_arival", 1, Try("typo"), reason="")
    with pytest.raises(SpecError, match="model 'late_arival' is unknown; did you mean 'late_arrival'"):
        stages.reproduce(still, "late_arival", None, Try("typo"), reason="")
    with pytest.raises(NotReady, match=r"model 'late_arrival' has no version 999999; known: \d"):
        again(still, 999_999)
