"""Announcements go one at a time: two at once can lose a night (nightshift.orchestration.publishing)."""

from pathlib import Path

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dagbag() -> DagBag:
    return DagBag(dag_folder=str(ROOT / "dags"))


def test_every_task_that_announces_an_asset_waits_for_the_one_slot(dagbag: DagBag) -> None:
    announcing = [task for dag in dagbag.dags.values() for task in dag.tasks if task.outlets]
    assert announcing
    assert {task.pool for task in announcing} == {"publishing"}
    assert {task.pool_slots for task in announcing} == {1}


def test_the_pool_has_one_slot() -> None:
    settings = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text())
    slots = {pool["pool_name"]: pool["pool_slot"] for pool in settings["airflow"]["pools"]}
    assert slots["publishing"] == 1


def test_every_pool_that_a_task_names_is_declared(dagbag: DagBag) -> None:
    settings = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text())
    declared = {pool["pool_name"] for pool in settings["airflow"]["pools"]} | {"default_pool"}
    assert {task.pool for dag in dagbag.dags.values() for task in dag.tasks} <= declared


def test_a_night_that_is_owed_is_told_although_the_source_brought_no_news(dagbag: DagBag) -> None:
    """``publish`` is skipped then: what rebuilds goes by ``none_failed``, and looks by itself."""
    rebuilding = [
        task for dag in dagbag.dags.values() for task in dag.tasks if task.task_id.startswith("rebuild_")
    ]
    assert {task.dag_id for task in rebuilding} >= {"collect_weather", "collect_flights"}
    assert {task.trigger_rule.value for task in rebuilding} == {"none_failed"}
