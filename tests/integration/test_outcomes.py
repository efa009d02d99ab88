"""How a training ends: from a night's verdict to a signature, and each outcome written by what decides it."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from integration.champions import better, judged, promoted, with_spec
from integration.conftest import MODEL, History
from nightshift import stages
from nightshift.errors import Barred, NotReady, RequestError, SpecError, WarehouseRefused
from nightshift.govern import Ledger
from nightshift.specs import Model
from nightshift.stages import Answer, Platform, Try
from nightshift.warehouse import Json

pytestmark = pytest.mark.integration

NIGHT, DAY = date(2013, 2, 6), timedelta(days=1)
NOON = datetime(2013, 2, 6, 12, tzinfo=UTC)
TRAINING = f"retrain__{MODEL}__{NIGHT}"
ASKED = Try(TRAINING)


def asks(platform: Platform, *, report: str | None = "reports/kept.html", by: str | None = None) -> Try:
    """Have a night ask for a training, as its verdict and the guards do; return the training."""
    platform.warehouse.execute(
        "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, "
        "report_key, run_id) VALUES (%s, %s, 1, 'breached', true, true, 'carriers drifted', %s, %s, 'test')",
        (MODEL, NIGHT, Json({}), report),
    )
    answer = stages.decide_retraining(platform, MODEL, NIGHT, Try("night"), requested_by=by)
    assert (answer["start"], answer["training_id"]) == (True, TRAINING)
    return Try(TRAINING)


def outcome(platform: Platform) -> str | None:
    row = platform.warehouse.row(
        "SELECT outcome FROM monitoring.retrain_requests WHERE model = %s AND batch_date = %s", (MODEL, NIGHT)
    )
    assert row is not None
    return row["outcome"]


def signed_off(platform: Platform) -> Platform:
    return with_spec(
        better(platform), lambda m: m.update(approval="required", approvers=["olga", "ben"]), MODEL
    )


def worse(platform: Platform) -> Platform:
    """Return the platform with a spec that overshoots: less sure steps than this would still beat an old champion."""
    return with_spec(
        platform, lambda m: m["estimator"]["params"].update(max_iter=1, learning_rate=5.0), MODEL
    )


def answer(by: str | None, *, approved: bool) -> Answer:
    return Answer(approved=approved, by=by, comment=None, at=NOON)


@pytest.fixture(scope="module")
def _waits(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    def go_on(month: Platform) -> None:
        asks(month)
        assert judged(signed_off(month), MODEL, NIGHT, TRAINING)["passed"]

    with history.continued(tmp_path_factory.mktemp("waits"), go_on) as waits:
        yield waits


@pytest.fixture
def waits(_waits: History, tmp_path: Path) -> Iterator[Platform]:
    """Return the month with a training that a night asked for: it passed its gates and waits for a signature."""
    with _waits.copied(tmp_path) as platform:
        yield signed_off(platform)


def test_nothing_is_trained_beside_a_challenger_that_waits_for_its_signature(waits: Platform) -> None:
    """By a night or by hand, and longer than a training that is lost would hold others back."""
    platform = with_spec(signed_off(waits), lambda m: m.update(approve_within_hours=14 * 24), MODEL)

    def asked(days: int) -> dict[str, Any]:
        night = NIGHT + days * DAY
        waits.warehouse.execute(
            "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, "
            "drift, run_id) SELECT model, %s, model_version, status, breach, retrain, reason, drift, run_id "
            "FROM monitoring.verdicts WHERE batch_date = %s AND model = %s",
            (night, NIGHT, MODEL),
        )
        return dict(stages.decide_retraining(platform, MODEL, night, Try("later")))

    held = asked(8)
    assert (held["start"], held.get("guard")) == (False, "one_at_a_time")
    assert held["reason"].startswith(f"training '{TRAINING}' waits for its signature")
    with pytest.raises(NotReady, match="failed"):
        stages.conclude(platform, ASKED)
    assert asked(9).get("guard") != "one_at_a_time", "nobody can sign it any more"


@pytest.mark.parametrize("report", ["reports/kept.html", None], ids=["with its report", "without a report"])
def test_a_training_that_a_night_started_is_asked_signed_and_promoted(
    waits: Platform, report: str | None
) -> None:
    waits.warehouse.execute("UPDATE monitoring.verdicts SET report_key = %s WHERE run_id = 'test'", (report,))
    request = stages.ask_for_signature(
        waits, MODEL, ASKED, airflow_run="http://here", page="http://kept/{}".format
    )
    assert request is not None
    assert "What asked for it: the night of 2013-02-06: carriers drifted" in request["body"]
    assert ("[drift report](http://kept/reports/kept.html)" in request["body"]) is bool(report)
    for name in ("MLflow run", "model card", "training in Airflow"):
        assert request["body"].count(f"[{name}]") == 1
    stages.sign(waits, MODEL, ASKED, answer("olga", approved=True))
    assert stages.promote(waits, MODEL, NIGHT, ASKED, actor="scheduled")["outcome"] == "promoted"
    head = waits.warehouse.row("SELECT actor, training_id FROM governance.promotions ORDER BY entry DESC")
    assert head == {"actor": "olga", "training_id": TRAINING}
    assert stages.conclude(waits, ASKED) == {"outcome": "promoted"}
    assert outcome(waits) == "promoted"


def test_no_other_training_starts_beside_one_that_waits_for_its_signature(waits: Platform) -> None:
    """However many nights that takes; a training without a word is lost after two."""

    def at_once(night: date) -> tuple[bool, str]:
        waits.warehouse.execute(
            "INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, "
            "drift, run_id) VALUES (%s, %s, 1, 'breached', true, true, 'carriers drifted', %s, 'test')",
            (MODEL, night, Json({})),
        )
        stages.decide_retraining(waits, MODEL, night, Try(str(night)))
        row = waits.warehouse.row(
            "SELECT a->'objects' AS objects, a->>'words' AS words FROM monitoring.retrain_requests, "
            "jsonb_array_elements(answers) a WHERE batch_date = %s AND a->>'guard' = 'one_at_a_time'",
            (night,),
        )
        assert row
        return row["objects"], row["words"]

    assert at_once(NIGHT + 10 * DAY) == (True, f"training '{TRAINING}' waits for its signature")
    stages.sign(waits, MODEL, ASKED, answer("olga", approved=False))
    stages.promote(waits, MODEL, NIGHT, ASKED, actor="scheduled")
    stages.conclude(waits, ASKED)
    assert at_once(NIGHT + 11 * DAY) == (False, "")


def test_who_had_a_night_ask_by_hand_does_not_sign_its_training(loop: Platform) -> None:
    """Nor the training that repeats it; a training that has another starter has two."""
    asked, platform = asks(loop, by="olga"), signed_off(loop)
    judged(platform, MODEL, NIGHT, TRAINING)
    decided = loop.warehouse.row("SELECT requested_by FROM governance.decisions ORDER BY decided_at DESC")
    assert decided == {"requested_by": "olga"}
    request = stages.ask_for_signature(platform, MODEL, asked, airflow_run="x", page=str)
    assert (request or {})["approvers"] == ["ben"]
    with pytest.raises(RequestError, match="olga started this training"):
        stages.sign(platform, MODEL, asked, answer("olga", approved=True))
    loop.warehouse.execute(
        "ALTER TABLE governance.decisions DISABLE TRIGGER append_only; "
        "UPDATE governance.decisions SET requested_by = 'ben' WHERE challenger > 1"
    )
    with pytest.raises(RequestError, match="ben and olga started this training and is its only approver"):
        stages.ask_for_signature(platform, MODEL, asked, airflow_run="x", page=str)


def test_a_comment_that_is_none_records_nothing(waits: Platform) -> None:
    comments: list[Any] = [5, {"a": 1}, ["x"], True, "x" * 501, "a\0b", "\ud800"]
    for comment in comments:
        said = Answer(approved=True, by="olga", comment=comment, at=NOON)
        with pytest.raises(RequestError, match="comment: expected text of at most 500 characters"):
            stages.sign(waits, MODEL, ASKED, said)
    assert waits.warehouse.row("SELECT 1 FROM governance.signatures") is None


def test_a_promotion_is_booked_as_such_in_the_transaction_that_writes_it(loop: Platform) -> None:
    """The alias may not be moved any more: the ledger says who is champion, and so does the outcome."""
    asked = asks(loop)
    judged(better(loop), MODEL, NIGHT, TRAINING)
    Ledger(loop.warehouse, MODEL).append(training_id=TRAINING, effective_from=NIGHT, actor="then killed")
    assert stages.conclude(loop, asked) == {"outcome": "promoted"}
    assert outcome(loop) == "promoted"


def test_what_its_gates_reject_is_rejected_before_anybody_is_asked(loop: Platform) -> None:
    """With sign-off the task promote is skipped then: the decision itself ends the training."""
    asked = asks(loop)
    platform = with_spec(worse(loop), lambda m: m.update(approval="required", approvers=["olga"]), MODEL)
    assert not judged(platform, MODEL, NIGHT, TRAINING)["passed"]
    assert stages.ask_for_signature(platform, MODEL, asked, airflow_run="x", page=str) is None
    assert stages.conclude(platform, asked) == {"outcome": "rejected"}
    assert outcome(loop) == "rejected"


@pytest.mark.parametrize(("by", "said"), [("olga", "rejected"), (None, "timed out")])
def test_what_a_person_or_the_time_rejects_needs_no_promotion_to_say_so(
    waits: Platform, by: str | None, said: str
) -> None:
    stages.sign(waits, MODEL, ASKED, answer(by, approved=False))
    stages.sign(waits, MODEL, ASKED, answer("ben", approved=True))  # too late: it changes nothing
    assert stages.conclude(waits, ASKED) == {"outcome": said}
    assert outcome(waits) == said


@pytest.mark.parametrize("approval", [pytest.param("auto", marks=pytest.mark.slow), "required"])
def test_a_champion_that_changed_meanwhile_makes_it_stale(loop: Platform, approval: str) -> None:
    asked = asks(loop)
    platform = signed_off(loop) if approval == "required" else better(loop)
    judged(platform, MODEL, NIGHT, TRAINING)
    assert promoted(better(loop), MODEL, NIGHT - DAY, "meanwhile")["outcome"] == "promoted"
    if approval == "required":
        stages.sign(platform, MODEL, asked, answer("olga", approved=True))
        assert stages.promote(platform, MODEL, NIGHT, asked, actor="x")["outcome"] == "stale"
    else:
        with pytest.raises(NotReady, match="was judged against version"):
            stages.promote(platform, MODEL, NIGHT, asked, actor="x")
    assert stages.conclude(platform, asked) == {"outcome": "stale"}
    assert outcome(loop) == "stale"


@pytest.mark.parametrize("approval", [pytest.param("auto", marks=pytest.mark.slow), "required"])
def test_a_copy_of_what_was_rolled_back_is_barred_and_free_again_once_the_bar_is_lifted(
    loop: Platform, approval: str
) -> None:
    asked = asks(loop)  # before the rollback, whose cooldown would refuse it
    second = promoted(better(loop), MODEL, NIGHT, "second")["version"]
    stages.roll_back(loop, MODEL, Try("back"), to=None, reason="bad", actor="olga", as_of=None, again=None)
    platform = signed_off(loop) if approval == "required" else better(loop)
    assert judged(platform, MODEL, NIGHT, TRAINING)["passed"]
    _copy_of(loop, second)
    if approval == "required":
        stages.sign(platform, MODEL, asked, answer("olga", approved=True))
    with pytest.raises(Barred, match=f"as a copy of version {second}"):
        stages.promote(platform, MODEL, NIGHT, asked, actor="x")
    assert stages.conclude(platform, asked) == {"outcome": "barred"}
    assert outcome(loop) == "barred"
    loop.warehouse.execute(
        "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
        "VALUES (%s, %s, false, 'it was fine', 'olga', 'lifted')",
        (MODEL, second),
    )
    assert stages.promote(platform, MODEL, NIGHT, asked, actor="x")["outcome"] == "promoted"
    assert stages.conclude(platform, asked) == {"outcome": "promoted"}


def _copy_of(platform: Platform, version: int) -> None:
    """Have the newest training's version come from the snapshot and the spec of another: it is a copy of that."""
    platform.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER append_only; "
        "UPDATE governance.versions SET (snapshot_id, spec_sha256) = (SELECT snapshot_id, spec_sha256 FROM "
        "governance.versions WHERE model = %s AND version = %s) WHERE training_id = %s",
        (MODEL, version, TRAINING),
    )


@pytest.mark.slow
def test_what_the_database_refuses_has_failed_and_is_no_stale_training(
    waits: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look before the write finds nothing; the ledger's own trigger has the last word."""
    unsigned = with_spec(better(waits), lambda m: m.update(approval="auto", approvers=[]), MODEL)
    promoted(unsigned, MODEL, NIGHT - DAY, "meanwhile")
    stages.sign(waits, MODEL, ASKED, answer("olga", approved=True))
    monkeypatch.setattr(Ledger, "is_past", lambda *_: False)
    with pytest.raises(WarehouseRefused, match="was judged against"):
        stages.promote(waits, MODEL, NIGHT, ASKED, actor="x")
    with pytest.raises(NotReady, match="failed; the task that failed says why"):
        stages.conclude(waits, ASKED)
    assert outcome(waits) == "failed"


def _promote_until_killed(where: tuple[str, str, str], spec: dict[str, Any]) -> None:
    from nightshift.objects import Objects
    from nightshift.registry import Registry
    from nightshift.specs import load_project
    from nightshift.warehouse import Warehouse

    class Dying(Ledger):
        def append(self, **_: Any) -> Any:
            os.kill(os.getpid(), signal.SIGKILL)

    stages.train.Ledger = Dying  # type: ignore[attr-defined,misc]
    model = Model.model_validate(spec)
    project = load_project().model_copy(update={"models": {model.name: model}})
    warehouse, mlflow, objects = where
    platform = Platform(project, Warehouse(warehouse), Registry(mlflow), Objects(objects), {}.__getitem__)
    stages.promote(platform, MODEL, NIGHT, Try(TRAINING), actor="x")


def test_a_promotion_killed_before_it_wrote_anything_has_failed_until_its_retry(waits: Platform) -> None:
    stages.sign(waits, MODEL, ASKED, answer("olga", approved=True))
    where = (waits.warehouse.url, waits.registry.uri, waits.objects.root)
    spec = waits.project.model(MODEL).model_dump(by_alias=True, mode="json")
    process = get_context("spawn").Process(target=_promote_until_killed, args=(where, spec))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(NotReady, match="failed"):
        stages.conclude(waits, ASKED)
    assert outcome(waits) == "failed"
    assert stages.promote(waits, MODEL, NIGHT, ASKED, actor="x")["outcome"] == "promoted"
    assert stages.conclude(waits, ASKED) == {"outcome": "promoted"}
    assert outcome(waits) == "promoted"


def _empty(platform: Platform) -> Platform:
    return with_spec(platform, lambda m: m["estimator"]["params"].update(max_iter=-1), MODEL)


@pytest.mark.parametrize("fails", [_empty], ids=["the estimator refuses"])
def test_a_training_that_never_came_to_a_decision_has_failed(
    loop: Platform, fails: Callable[[Platform], Platform]
) -> None:
    asked = asks(loop)
    with pytest.raises(SpecError, match="max_iter"):
        judged(fails(loop), MODEL, NIGHT, TRAINING)
    with pytest.raises(NotReady, match="failed"):
        stages.conclude(loop, asked)
    assert outcome(loop) == "failed"
