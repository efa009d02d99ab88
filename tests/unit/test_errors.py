"""Errors carry data, and their sentence is made in one place."""

import pickle
import re
from datetime import date

import pytest

from nightshift.errors import BY_HAND, ClearTask, NightshiftError, NotReady, RunStage, Subject
from nightshift.root import INCLUDE, ROOT
from nightshift.specs import load_project
from nightshift.specs.derived import STAGES, dag_id

NIGHT, NEXT = date(2013, 2, 8), date(2013, 2, 9)
MODEL = Subject("model", "late_arrival")
ENGINE = {path: path.read_text() for path in sorted((INCLUDE / "nightshift").rglob("*.py"))}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotReady("it is so"), "it is so"),
        (NotReady("has no version", subject=MODEL), "model 'late_arrival' has no version"),
        (NotReady("no snapshot abc", remedy=ClearTask("snapshot")), "no snapshot abc; clear 'snapshot'"),
        (
            NotReady(
                "has no verdict", subject=MODEL, nights=[NIGHT], remedy=RunStage("monitor", "late_arrival")
            ),
            "model 'late_arrival' has no verdict for 2013-02-08; run monitor_late_arrival for it",
        ),
        (
            NotReady(
                "has no batch", subject=MODEL, nights=[NIGHT, NEXT], remedy=RunStage("collect", "flights")
            ),
            "model 'late_arrival' has no batch for 2013-02-08 and 1 more nights; run collect_flights for them",
        ),
        (
            NotReady("has no champion", subject=MODEL, remedy=RunStage("train", "late_arrival", as_of=NIGHT)),
            "model 'late_arrival' has no champion; trigger train_late_arrival as of 2013-02-08 or earlier",
        ),
    ],
)
def test_the_sentence_is_made_of_what_is_known(error: NightshiftError, sentence: str) -> None:
    assert str(error) == sentence
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - as a pool of processes hands an error on
    assert (str(back), back.subject, back.nights, back.remedy) == (
        sentence,
        error.subject,
        error.nights,
        error.remedy,
    )


def test_what_cures_an_error_is_a_stage_that_there_is() -> None:
    stages = {stage for each in STAGES.values() for stage in each}
    named = {stage for text in ENGINE.values() for stage in re.findall(r'RunStage\(\s*"(\w+)"', text)}
    assert {"collect", "features", "train", "monitor"} <= named <= stages
    assert stages >= BY_HAND
    model = load_project().model("late_arrival")
    assert RunStage("train", model.name).dag_id == dag_id("train", model)


def test_what_cures_an_error_is_a_task_that_there_is() -> None:
    named = {task for text in ENGINE.values() for task in re.findall(r'ClearTask\("(\w+)"', text)}
    dags = "".join(path.read_text() for path in (ROOT / "dags").glob("*.py"))
    assert named
    assert named <= set(re.findall(r"    def (\w+)\(", dags))
