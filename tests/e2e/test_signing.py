"""Sign-off in Airflow's own UI: an approver says yes and the ledger shows it; nobody else can, and silence is a no."""

import time
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import BrowserContext, expect

from e2e.conftest import CHAMPION_AS_OF, PATIENCE_MS, SECONDS, Photograph, log_in
from nightshift.errors import RequestError
from nightshift.local.api import Client
from nightshift.local.demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900)]

# Its spec says approval: required, approvers: admin and olga.
MODEL = "arrival_delay"
TRAIN = f"train_{MODEL}"


def asked(loop: Demo, name: str) -> str:
    """Have admin start a training; return its run once it waits for a signature.

    Of a model without a champion: the same training again would not beat itself.
    """
    run_id = loop.api.trigger(TRAIN, conf={"as_of": str(CHAMPION_AS_OF), "reason": f"sign-off, {name}"})
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        states = {task["task_id"]: task["state"] for task in loop.api.task_instances(TRAIN, run_id)}
        if states.get("sign_off") == "awaiting_input":
            return run_id
        if "failed" in states.values():
            break
        time.sleep(0.5)
    pytest.fail(f"{states}\n{loop.api.failure(TRAIN, run_id)}")


def respond(client: Client, run_id: str, option: str = "Approve") -> Any:
    path = f"/dags/{TRAIN}/dagRuns/{run_id}/taskInstances/sign_off/-1/hitlDetails"
    return client.request(
        "PATCH", path, json={"chosen_options": [option], "params_input": {"comment": "by API"}}
    )


def promotion(loop: Demo, run_id: str) -> dict[str, Any] | None:
    return loop.warehouse.row(
        "SELECT p.actor, s.answer, s.signed_by, s.comment, s.evidence_sha256 = p.evidence_sha256 AS same "
        "FROM governance.promotions p JOIN governance.signatures s USING (training_id) WHERE training_id = %s",
        (run_id,),
    )


def ended(loop: Demo, run_id: str) -> dict[str, str]:
    """Return the states of the tasks of a run that ended well."""
    loop.ended(TRAIN, loop.api.wait(TRAIN, run_id, SECONDS))
    return {task["task_id"]: task["state"] for task in loop.api.task_instances(TRAIN, run_id)}


def test_no_answer_in_time_is_a_rejection_and_ends_the_run_cleanly(loop: Demo) -> None:
    run_id = asked(loop, "timed out")
    # The deadline of the wait is put into the past; Airflow's scheduler finds it there.
    with closing(psycopg2.connect(loop.runtime.airflow_database_url)) as connection, connection:
        connection.cursor().execute(
            "UPDATE task_instance SET trigger_timeout = now() - interval '1 minute' "
            "WHERE dag_id = %s AND run_id = %s AND task_id = 'sign_off'",
            (TRAIN, run_id),
        )
    states = ended(loop, run_id)
    assert (states["sign_off"], states["promote"], states["conclude"]) == ("success", "skipped", "success")
    assert promotion(loop, run_id) is None
    said = loop.warehouse.row(
        "SELECT answer, signed_by FROM governance.signatures WHERE training_id = %s", (run_id,)
    )
    assert said == {"answer": "timed out", "signed_by": None}


def test_only_an_approver_can_sign_and_not_who_started_it_and_the_ledger_shows_who_did(
    loop: Demo, visitor: BrowserContext, photograph: Photograph
) -> None:
    run_id = asked(loop, "approved")
    with Client.of(loop.runtime, "vic") as viewer, pytest.raises(RequestError, match="403"):
        respond(viewer, run_id)
    with pytest.raises(RequestError, match=r"403.*is not a respondent"):
        respond(loop.api, run_id)  # admin is an approver, and started this training
    assert promotion(loop, run_id) is None

    expect.set_options(timeout=PATIENCE_MS)
    log_in(visitor, loop, "olga")
    page = visitor.new_page()
    page.goto(f"{loop.runtime.airflow_url}/dags/{TRAIN}/runs/{run_id}/tasks/sign_off/required_actions")
    expect(page.get_by_text(f"of {MODEL}?")).to_be_visible()
    expect(page.get_by_role("cell", name="mae", exact=True)).to_be_visible()
    expect(page.get_by_text("sign-off, approved")).to_be_visible()
    expect(page.get_by_role("link", name="model card")).to_be_visible()
    photograph(page, "sign-off")
    page.get_by_role("textbox").last.fill("holds on every airport")
    page.get_by_role("button", name="Approve").click()

    states = ended(loop, run_id)
    assert states["promote"] == "success"
    assert states["train_again"] == "skipped"
    assert promotion(loop, run_id) == {
        "actor": "olga",
        "answer": "approved",
        "signed_by": "olga",
        "comment": "holds on every airport",
        "same": True,
    }
    with Client.of(loop.runtime, "olga") as olga, pytest.raises(RequestError, match=r"409|404"):
        respond(olga, run_id, "Reject")
