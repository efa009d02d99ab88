"""From a verdict to a training, or to the guard that held it back."""

from datetime import date
from typing import Any

from nightshift import retrain
from nightshift.errors import NotReady
from nightshift.stages.platform import Facts, Platform, Try

ASKED = (
    "INSERT INTO monitoring.retrain_requests (model, batch_date, status, guard, reason, training_id, requested_by) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (model, batch_date) DO NOTHING"
)


def verdict_of(platform: Platform, name: str, batch_date: date) -> Facts | None:
    """Return the verdict of a night, or None if there is none yet."""
    return platform.warehouse.row(
        "SELECT status, retrain, reason FROM monitoring.verdicts WHERE model = %s AND batch_date = %s",
        (name, batch_date),
    )


def training_id(name: str, batch_date: date) -> str:
    """Return the run id of the training that a night may start: the same night starts it once."""
    return f"retrain__{name}__{batch_date}"


def decide_retraining(
    platform: Platform, name: str, batch_date: date, asked: Try, *, requested_by: str | None = None
) -> Facts:
    """Ask the guards, and write the answer. A night answered before gets the same answer again.

    ``requested_by``: the person who had the night ask by hand; they will not sign the training.

    Raises:
        NotReady: the night has no verdict.
    """
    verdict = verdict_of(platform, name, batch_date)
    if verdict is None:
        raise NotReady(f"model '{name}' has no verdict for {batch_date}; run monitor_{name} for it")
    if not verdict["retrain"]:
        return {"start": False, "reason": verdict["reason"]}
    with platform.warehouse.transaction() as cursor:
        # One decision at a time: two runs must not both find that nothing is under way.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"retrain {name}",))
        request = _request(cursor, name, batch_date, verdict["reason"], asked)
        answer = retrain.ask(platform.project.model(name).retrain, request)
        status = "started" if answer.may_start else "suppressed"
        started = training_id(name, batch_date) if answer.may_start else None
        words = _words(answer, request)
        cursor.execute(ASKED, (name, batch_date, status, answer.guard, words, started, requested_by))
        cursor.execute(
            "SELECT status, reason, training_id FROM monitoring.retrain_requests WHERE model = %s AND batch_date = %s",
            (name, batch_date),
        )
        kept: Facts = cursor.fetchone() or {}
    return {
        "start": kept["status"] == "started",
        "reason": kept["reason"],
        "training_id": kept["training_id"],
    }


def _words(answer: retrain.Answer, request: retrain.Request) -> str:
    return request.reason if answer.may_start else f"{answer.words} (asked for because {request.reason})"


def _request(cursor: Any, name: str, batch_date: date, reason: str, asked: Try) -> retrain.Request:
    cursor.execute(
        "SELECT batch_date, training_id, outcome FROM monitoring.retrain_requests "
        "WHERE model = %s AND status = 'started' AND batch_date < %s ORDER BY batch_date DESC LIMIT 1",
        (name, batch_date),
    )
    last = cursor.fetchone()
    # as_of, not effective_from: one that had past nights scored again still happened after the last of them, and
    # that night may not have decided yet.
    cursor.execute(
        "SELECT max(as_of) AS night FROM governance.promotions "
        "WHERE model = %s AND kind = 'rollback' AND as_of - 1 <= %s",
        (name, batch_date),
    )
    rolled_back = cursor.fetchone()
    return retrain.Request(
        batch_date=batch_date,
        reason=reason,
        last_started=last["batch_date"] if last else None,
        unfinished=last["training_id"] if last and last["outcome"] is None else None,
        is_backfill=asked.is_backfill,
        rolled_back=rolled_back["night"] if rolled_back else None,
    )
