"""An Airflow run id is unique within a DAG: a training is never taken for that of another model."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from integration.conftest import CHAMPION_AS_OF, MODEL
from nightshift import stages
from nightshift.errors import RequestError
from nightshift.stages import Answer, Platform, Try

pytestmark = pytest.mark.integration
OTHER = "another"


def test_a_run_whose_id_is_another_models_training_is_refused_at_every_task(still: Platform) -> None:
    model = still.project.model(MODEL).model_copy(update={"name": OTHER})
    project = still.project.model_copy(update={"models": {MODEL: still.project.model(MODEL), OTHER: model}})
    platform, same = replace(still, project=project), Try("history")
    answer = Answer(approved=True, by="somebody", comment=None, at=datetime(2013, 2, 1, tzinfo=UTC))
    frozen = still.warehouse.row("SELECT snapshot_id FROM governance.versions WHERE training_id = 'history'")
    assert frozen
    for step in (
        lambda: stages.snapshot(platform, OTHER, CHAMPION_AS_OF, same),
        lambda: stages.fit(platform, OTHER, frozen["snapshot_id"], same, reason="by hand"),
        lambda: stages.evaluate(platform, OTHER, CHAMPION_AS_OF, same, reason="by hand"),
        lambda: stages.ask_for_signature(platform, OTHER, same, airflow_run="", page=str),
        lambda: stages.sign(platform, OTHER, same, answer),
        lambda: stages.promote(platform, OTHER, CHAMPION_AS_OF, same, actor="somebody"),
        lambda: stages.write_card(platform, OTHER, same),
        lambda: stages.judge_again(platform, OTHER, same),
    ):
        with pytest.raises(RequestError, match=f"training 'history' is of model '{MODEL}', not of '{OTHER}'"):
            step()
