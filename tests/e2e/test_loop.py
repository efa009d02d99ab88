"""The loop through the real scheduler: what three nights leave in the warehouse, the ledger and the registry."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from e2e.conftest import HOSTILE_REASON, MODEL, NIGHTS, SECONDS
from examples.nyc_flights.demo import MUST_HOLD, Demo
from nightshift.specs import load_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ASKED, SCORED_ANEW = NIGHTS[0], NIGHTS[1]
FOLLOWERS = ["features_departure", f"score_{MODEL}", f"monitor_{MODEL}"]
TRAIN = f"train_{MODEL}"
TRAINING = f"retrain__{MODEL}__{ASKED}"


@pytest.mark.parametrize("statement", MUST_HOLD)
def test_the_loop_closes(loop: Demo, statement: str) -> None:
    values = {"model": MODEL, "first": NIGHTS[0], "last": NIGHTS[-1]}
    assert loop.warehouse.row(MUST_HOLD[statement], values) is None, f"not true: {statement}"


def test_one_request_started_one_training_with_its_reason(loop: Demo) -> None:
    requests = loop.warehouse.rows("SELECT * FROM monitoring.retrain_requests WHERE model = %s", (MODEL,))
    assert [(r["batch_date"], r["status"], r["outcome"]) for r in requests] == [
        (ASKED, "started", "promoted")
    ]
    assert requests[0]["training_id"] == TRAINING
    assert "fitted on nights up to 2013-03-02" in requests[0]["reason"]
    decision = loop.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = %s", (TRAINING,))
    assert decision is not None
    assert (decision["champion"], decision["challenger"], decision["passed"]) == (1, 2, True)
    assert decision["reason"] == requests[0]["reason"]


def test_ledger_and_registry_name_the_same_champion(loop: Demo) -> None:
    ledger = loop.warehouse.rows(
        "SELECT * FROM governance.promotions WHERE model = %s ORDER BY entry", (MODEL,)
    )
    assert [(row["version"], row["effective_from"]) for row in ledger][1:] == [(2, SCORED_ANEW)]
    path = f"{loop.runtime.mlflow_url}/api/2.0/mlflow/registered-models/alias"
    login = (loop.runtime.mlflow_user, loop.runtime.mlflow_password)
    asked = {"name": MODEL, "alias": "champion"}
    answer = httpx.get(path, params=asked, auth=login, trust_env=False).raise_for_status()
    assert int(answer.json()["model_version"]["version"]) == 2


def test_every_night_follows_by_assets_once(loop: Demo) -> None:
    for dag_id in FOLLOWERS:
        runs = [r for r in loop.api.runs(dag_id) if r["run_type"] == "asset_triggered"]
        assert sorted(r["partition_key"] for r in runs) == [str(night) for night in NIGHTS], dag_id
    scored = loop.warehouse.rows(
        "SELECT batch_date, run_id FROM catalog.prediction_batches WHERE model = %s", (MODEL,)
    )
    keys = {r["dag_run_id"]: r["partition_key"] for r in loop.api.runs(f"score_{MODEL}")}
    assert {str(row["batch_date"]): keys[row["run_id"]] for row in scored} == {str(n): str(n) for n in NIGHTS}


def test_a_successful_run_is_one_whose_tasks_ran(loop: Demo) -> None:
    """A run that lies outside its DAG's dates has no tasks, and Airflow calls it a success."""
    for run in loop.api.runs(state="success"):
        tasks = loop.api.task_instances(run["dag_id"], run["dag_run_id"])
        assert tasks, f"{run['dag_id']} {run['dag_run_id']}: {run['state']} without a task"
        assert {t["state"] for t in tasks} <= {"success", "skipped"}, run["dag_run_id"]
    trained = {t["task_id"]: t for t in loop.api.task_instances(TRAIN, TRAINING)}
    assert sorted(trained) == ["card", "conclude", "evaluate", "fit", "promote", "snapshot"]
    assert all(t["state"] == "success" and t["duration"] > 0 for t in trained.values())


def test_a_second_run_of_a_night_changes_nothing(loop: Demo) -> None:
    """Run like the schedule's, it wakes nobody; told to wake, what follows runs and says the same again."""
    before, (build, _, monitor) = everything_of(loop), FOLLOWERS
    cron = [*(f"collect_{source}" for source in load_project().sources_of(MODEL)), f"retrain_{MODEL}"]
    loop.all(cron, partition_key=str(ASKED))
    published = [
        task["state"]
        for dag_id in cron[:-1]
        for task in loop.api.task_instances(dag_id, loop.api.wait_for_run(dag_id, str(ASKED))["dag_run_id"])
        if task["task_id"] == "publish"
    ]
    assert published == ["skipped"] * len(cron[:-1])
    loop.all(cron[:-1], partition_key=str(ASKED), conf={"downstream": "wake"})
    wait_until(lambda: len([r for r in loop.api.runs(build) if r["partition_key"] == str(ASKED)]) == 2)
    loop.ended(build, loop.api.wait_for_run(build, str(ASKED), SECONDS))
    # The same features again are no news either: what stands on them runs when it is told to.
    loop.run(build, conf={"batch_date": str(ASKED), "downstream": "wake"})
    wait_until(lambda: len([r for r in loop.api.runs(monitor) if r["partition_key"] == str(ASKED)]) == 2)
    loop.ended(monitor, loop.api.wait_for_run(monitor, str(ASKED), SECONDS))
    assert everything_of(loop) == before
    assert len(loop.api.runs(TRAIN)) == 2, "the request of that night was met already"


def everything_of(loop: Demo) -> dict[str, Any]:
    """Return what the loop has said so far, without who wrote it and when."""
    tables = [
        f"predictions.{MODEL}",
        "features.departure_v1",
        "monitoring.verdicts",
        "monitoring.performance",
        "monitoring.retrain_requests",
        "governance.decisions",
        "governance.promotions",
    ]
    kept = "(to_jsonb(t) - 'run_id' - 'decided_at' - 'known_on')::text"
    query = "SELECT count(*) AS rows, md5(string_agg({kept}, '|' ORDER BY {kept})) AS hash FROM {table} t"
    return {table: loop.warehouse.row(query.format(kept=kept, table=table)) for table in tables}


def test_hostile_reason_is_kept_as_text(loop: Demo) -> None:
    """The first champion was trained for a reason that is a template and SQL at once."""
    row = loop.warehouse.row(
        "SELECT reason FROM governance.promotions WHERE version = 1 AND model = %s", (MODEL,)
    )
    assert row == {"reason": HOSTILE_REASON}


def wait_until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {seconds} s")
        time.sleep(0.5)
