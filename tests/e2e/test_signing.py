"""Sign-off in Airflow's own UI: an approver says yes and the ledger shows it; nobody else can, and silence is a no."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from e2e.conftest import CHAMPION_AS_OF, NIGHTS, PATIENCE_MS, SECONDS, Photograph, log_in
from examples.nyc_flights.demo import Demo
from nightshift.errors import RequestError
from nightshift.runtime.api import Client

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900)]

# Its spec says approval: required, approvers: admin and olga.
MODEL = "arrival_delay"
TRAIN = f"train_{MODEL}"


def asked(loop: Demo, name: str) -> str:
    """Have admin start a training; return its run once it waits for a signature.

    Of a model without a champion: the same training again would not beat itself.
    """
    run_id = loop.api.trigger(TRAIN, conf={"as_of": str(CHAMPION_AS_OF), "reason": f"sign-off, {name}"})
    return waiting(loop, run_id)


def waiting(loop: Demo, run_id: str) -> str:
    """Return the run once it waits for a signature."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        states = {task["task_id"]: task["state"] for task in loop.api.task_instances(TRAIN, run_id)}
        if states.get("sign_off") == "awaiting_input":
            return run_id
        if "failed" in states.values():
            break
        time.sleep(0.5)
    pytest.fail(f"{states}\n{loop.api.failure(TRAIN, run_id)}")


def request_of(loop: Demo, run_id: str) -> dict[str, Any]:
    path = f"/dags/{TRAIN}/dagRuns/{run_id}/taskInstances/sign_off/-1/hitlDetails"
    return dict(loop.api.request("GET", path).json())


def asked_again(loop: Demo, run_id: str) -> None:
    """Wait until an answer that does not count is taken back, and the request waits again."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and request_of(loop, run_id)["response_received"]:
        time.sleep(0.5)
    assert not request_of(loop, run_id)["response_received"]
    waiting(loop, run_id)


def respond(client: Client, run_id: str, option: str = "Approve") -> Any:
    path = f"/dags/{TRAIN}/dagRuns/{run_id}/taskInstances/sign_off/-1/hitlDetails"
    return client.request(
        "PATCH", path, json={"chosen_options": [option], "params_input": {"comment": "by API"}}
    )


def request_page(loop: Demo, visitor: BrowserContext, run_id: str) -> Page:
    """Return the request as olga finds it in Airflow's UI."""
    expect.set_options(timeout=PATIENCE_MS)
    if not visitor.cookies():
        log_in(visitor, loop, "olga")
    page = visitor.new_page()
    page.goto(f"{loop.runtime.airflow_url}/dags/{TRAIN}/runs/{run_id}/tasks/sign_off/required_actions")
    expect(page.get_by_text(f"of {MODEL}?")).to_be_visible()
    return page


@contextmanager
def nightly(loop: Demo) -> Iterator[None]:
    """Let the nights go on for the model, which is set aside while it has no champion."""
    dags = [f"{stage}_{MODEL}" for stage in ("score", "monitor", "retrain")]
    try:
        for dag_id in dags:
            loop.api.unpause(dag_id)
        yield
    finally:
        for dag_id in dags:
            loop.api.unpause(dag_id, paused=True)


def require_champion(loop: Demo) -> None:
    """Have a champion of the winter, unless a test before has signed one."""
    if loop.warehouse.row("SELECT 1 FROM governance.promotions WHERE model = %s", (MODEL,)):
        return
    run_id = asked(loop, "of the winter")
    with Client.of(loop.runtime, "olga") as olga:
        respond(olga, run_id)
    ended(loop, run_id)


def drifts(loop: Demo, night: date) -> None:
    """Have a champion of the winter score two nights of summer, up to ``night``, and the night decide on a training."""
    require_champion(loop)
    monitor = f"monitor_{MODEL}"
    with nightly(loop):
        for each in (night - timedelta(days=1), night):
            reason = {"downstream": "wake", "reason": "a night of summer"}
            loop.run(f"score_{MODEL}", conf={"batch_date": str(each), **reason})
            loop.ended(monitor, loop.api.wait_for_run(monitor, str(each), SECONDS))
        loop.all([f"retrain_{MODEL}"], partition_key=str(night))
    verdict = loop.warehouse.row(
        "SELECT status, retrain FROM monitoring.verdicts WHERE model = %s AND batch_date = %s", (MODEL, night)
    )
    assert verdict == {"status": "breached", "retrain": True}


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


@pytest.mark.slow
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
    respond(loop.api, run_id)  # admin is an approver, and started this training
    asked_again(loop, run_id)
    assert promotion(loop, run_id) is None

    page = request_page(loop, visitor, run_id)
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


def test_a_night_that_drifted_ends_with_a_champion_that_a_person_signed(
    loop: Demo, visitor: BrowserContext, photograph: Photograph
) -> None:
    """Drift, verdict, sensor, guards, training, signature, ledger: nothing of it is put there by the test."""
    night = NIGHTS[-1]
    drifts(loop, night)
    run_id = waiting(loop, f"retrain__{MODEL}__{night}")
    page = request_page(loop, visitor, run_id)
    expect(page.get_by_text(f"the night of {night}")).to_be_visible()
    expect(page.get_by_role("link", name="drift report")).to_be_visible()
    expect(page.get_by_text("Asked: olga. An answer of anybody else does not count.")).to_be_visible()
    photograph(page, "sign-off-of-a-night")
    page.get_by_role("button", name="Approve").click()

    states = ended(loop, run_id)
    assert (states["ask"], states["sign_off"], states["promote"]) == ("success", "success", "success")
    signed = promotion(loop, run_id)
    assert signed is not None
    assert (signed["actor"], signed["signed_by"], signed["same"]) == ("olga", "olga", True)
    head = loop.warehouse.row(
        "SELECT training_id, effective_from FROM governance.promotions WHERE model = %s ORDER BY entry DESC LIMIT 1",
        (MODEL,),
    )
    assert head == {"training_id": run_id, "effective_from": night + timedelta(days=1)}
    request = loop.warehouse.row(
        "SELECT status, outcome, requested_by FROM monitoring.retrain_requests WHERE training_id = %s",
        (run_id,),
    )
    # The night's run was admin's: an approver, who was not asked.
    assert request == {"status": "started", "outcome": "promoted", "requested_by": "admin"}
