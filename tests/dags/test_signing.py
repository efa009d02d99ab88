"""Who may answer a request for a signature: people are known by their user names, whatever auth manager Airflow has."""

import warnings
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public import hitl
from airflow.models.hitl import HITLDetail
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time import task_runner

from nightshift import stages
from nightshift.errors import RequestError
from nightshift.orchestration import run
from nightshift.orchestration.signing import SignOff

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # FAB stands on what starlette will drop
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
    from airflow.providers.fab.auth_manager.models import User

MANAGERS: dict[str, tuple[type, Callable[[int, str], Any]]] = {
    "fab": (FabAuthManager, lambda number, name: User(id=number, username=name)),
    "simple": (SimpleAuthManager, lambda _, name: SimpleAuthManagerUser(username=name, role="op")),
}
WITHIN = timedelta(hours=72)


class Request:
    """A request as the task writes it and Airflow's own route answers it; the rows are objects, not a database's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, manager: type) -> None:
        self.detail: Any = None
        self.answers: list[stages.Answer] = []
        self.task = SignOff(task_id="sign_off", model="m", within=WITHIN)
        self.context = {"task_instance": SimpleNamespace(id=uuid4())}
        self.waits: TaskAwaitingInput | None = None
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=self.write), raising=False)
        monkeypatch.setattr(hitl, "get_auth_manager", manager)
        monkeypatch.setattr(run, "this_run", lambda: SimpleNamespace(platform=None, asked=None))
        monkeypatch.setattr(stages, "sign", self.sign)

    def write(self, msg: Any) -> None:
        """What the execution API does: a request that is there loses its answer only."""
        if self.detail is None:
            people = [user.model_dump() for user in msg.assigned_users]
            self.detail = HITLDetail(ti_id=msg.ti_id, options=msg.options, subject="s", assignees=people)
        self.detail.responded_at = self.detail.responded_by = None

    def sign(self, platform: Any, model: str, asked: Any, answer: stages.Answer) -> dict[str, Any]:
        """Judge as the stage does where olga and ben may sign and ben started the training."""
        if answer.by != "olga":
            raise RequestError(f"{answer.by} may not")
        self.answers.append(answer)
        return {}

    def ask(self) -> None:
        with pytest.raises(TaskAwaitingInput) as waiting:
            self.task.execute(self.context)
        self.waits = waiting.value

    def respond(self, user: Any, params: dict[str, Any] | None = None) -> None:
        """Answer through Airflow's route, then resume the task as Airflow does."""
        instance = SimpleNamespace(id=self.detail.ti_id, hitl_detail=self.detail)
        session = SimpleNamespace(scalar=lambda _: instance, execute=lambda _: None, add=lambda _: None)
        payload = UpdateHITLDetailPayload(chosen_options=["Approve"], params_input=params or {})
        hitl.update_hitl_detail("d", "r", "sign_off", payload, user, session)  # type: ignore[arg-type]
        event = self.detail.as_resume_event_payload()
        assert self.waits is not None
        kwargs, self.waits = self.waits.kwargs or {}, None
        try:
            self.task.execute_complete(self.context, event=event, **kwargs)
        except TaskAwaitingInput as waiting:
            self.waits = waiting


@pytest.fixture(params=MANAGERS)
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Request, Any]:
    """Return a request that waits, and what makes a user of the auth manager."""
    manager, user = MANAGERS[request.param]
    made = Request(monkeypatch, manager)
    made.ask()
    return made, user


def test_an_approver_answers_by_the_name_they_log_in_with(asked: tuple[Request, Any]) -> None:
    made, user = asked
    made.respond(user(2, "olga"), {"comment": "fine"})
    assert [(a.by, a.approved, a.comment) for a in made.answers] == [("olga", True, "fine")]
    assert made.waits is None


@pytest.mark.parametrize("name", ["ben", "vic", "2", "Olga"])
def test_an_answer_of_anybody_else_spends_nothing(asked: tuple[Request, Any], name: str) -> None:
    made, user = asked
    until = made.waits.kwargs["until"]  # type: ignore[union-attr,index]
    for _ in range(2):
        made.respond(user(3, name))
        assert made.answers == []
        assert made.waits is not None, "it is asked again"
        assert made.waits.kwargs == {"until": until}, "within the same time"
        assert made.waits.timeout < WITHIN
    made.respond(user(2, "olga"))
    assert [answer.by for answer in made.answers] == ["olga"]


@pytest.mark.parametrize("params", [{"comment": "x", "more": 1}, {"reason": "x"}])
def test_an_answer_with_fields_that_nobody_asked_for_spends_nothing(
    asked: tuple[Request, Any], params: dict[str, Any]
) -> None:
    made, user = asked
    made.respond(user(2, "olga"), params)
    assert (made.answers, made.waits is None) == ([], False)
    made.respond(user(2, "olga"))
    assert len(made.answers) == 1


def test_once_the_time_is_over_asking_again_waits_for_nothing_more(asked: tuple[Request, Any]) -> None:
    made, user = asked
    made.waits.kwargs["until"] = "2013-02-06T12:00:00+00:00"  # type: ignore[union-attr,index]
    made.respond(user(3, "vic"))
    assert made.waits is not None
    assert made.waits.timeout == timedelta(seconds=1)
