"""A silence is about something, or it is refused: nobody believes that to be silent which is told all the same."""

from types import SimpleNamespace
from typing import Any

import pytest
from nightly_project import FIRST, SET, at, project

from nightshift.alerts.silencing import silence
from nightshift.errors import RequestError
from nightshift.records.alerts import Silence

TEAM = {"team": {"kind": "slack", "connection": "slack_ml"}}


def silenced(subject: str, **more: Any) -> Silence:
    kept: list[Silence] = []
    database: Any = SimpleNamespace(run=lambda command, row: kept.append(row))
    live = project(receivers=TEAM).model_copy(update=more)
    wanted = {"kind": "*", "subject": subject, "owner": "ops", "until": "2026-03-05", "reason": "moving"}
    return silence(database, live, wanted, actor="ops", now=at(FIRST, 6))


@pytest.mark.parametrize(
    "subject",
    ["*", "project", "model:model_00", "model:*", "m*", "source:weath*", f"features:{SET}", "receiver:team",
     "component:mlflow", "spec:models/x.yaml", "[ms]o*:*"],
)  # fmt: skip
def test_what_an_alert_can_be_about_is_silenced(subject: str) -> None:
    assert silenced(subject).subject == subject


@pytest.mark.parametrize(
    "subject",
    ["", "component", "spec:", "receiver:teem", "model:model_9*", "modle:*", "source:model_00", "projects"],
)
def test_what_no_alert_can_be_about_is_refused(subject: str) -> None:
    with pytest.raises(RequestError, match="subject: "):
        silenced(subject)


def test_what_a_spec_that_does_not_load_declares_can_be_silenced() -> None:
    live = project()
    path = live.folder / "models/lost.yaml"
    assert silenced("model:lost", problems={path: f"{path}: no mapping"})
