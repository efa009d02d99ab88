"""From a verdict to a training, or to the guard that held it back."""

from datetime import date, timedelta

from nightshift import results, retrain, train
from nightshift.calendar import DateRange
from nightshift.database import Session
from nightshift.errors import NotReady, RunStage, Subject
from nightshift.platform import Platform, Try
from nightshift.platform.faults import open_faults
from nightshift.records import ledger, versions
from nightshift.records import monitoring as records
from nightshift.records.monitoring import Heard, RetrainRequest

# Nights before one that asks in which no fault may be open.
LOOKED_BACK_DAYS = 7


def verdict_of(platform: Platform, name: str, batch_date: date) -> Heard | None:
    """Return the verdict of a night, or None if there is none yet."""
    return platform.warehouse.one(records.HEARD, model=name, batch_date=batch_date)


def training_id(name: str, batch_date: date) -> str:
    """Return the run id of the training that a night may start: the same night starts it once."""
    return f"retrain__{name}__{batch_date}"


def decide_retraining(
    platform: Platform, name: str, batch_date: date, asked: Try, *, requested_by: str | None = None
) -> results.Retrain:
    """Ask the guards, and write the answer. A night answered before gets the same answer again.

    ``requested_by``: the person who had the night ask by hand; they will not sign the training.

    Raises:
        NotReady: the night has no verdict.
    """
    verdict = verdict_of(platform, name, batch_date)
    if verdict is None:
        raise NotReady(
            "has no verdict",
            subject=Subject("model", name),
            nights=[batch_date],
            remedy=RunStage("monitor", name),
        )
    if not verdict.retrain:
        return {"start": False, "reason": verdict.reason}
    with platform.warehouse.session() as session:
        # One decision at a time: two runs must not both find that nothing is under way.
        session.run(records.LOCK, name=f"retrain {name}")
        request = _request(platform, session, name, batch_date, verdict.reason, asked)
        answer = retrain.ask(platform.project.model(name).retrain, request)
        mine = RetrainRequest(
            model=name,
            batch_date=batch_date,
            status="started" if answer.may_start else "suppressed",
            guard=answer.guard,
            reason=_words(answer, request),
            training_id=training_id(name, batch_date) if answer.may_start else None,
            requested_by=requested_by,
        )
        session.run(records.ASK, mine)
        kept = session.one(records.REQUEST, model=name, batch_date=batch_date) or mine
    return {"start": kept.status == "started", "reason": kept.reason, "training_id": kept.training_id}


def _words(answer: retrain.Answer, request: retrain.Request) -> str:
    return request.reason if answer.may_start else f"{answer.words} (asked for because {request.reason})"


def _request(
    platform: Platform, session: Session, name: str, batch_date: date, reason: str, asked: Try
) -> retrain.Request:
    last = session.one(records.LAST_STARTED, model=name, batch_date=batch_date)
    spec = platform.project.feature_set(platform.project.model(name).features)
    recent = DateRange(batch_date - timedelta(days=LOOKED_BACK_DAYS - 1), batch_date)
    faults = open_faults(platform, spec, recent)
    rolled_back = session.one(ledger.LAST_ROLLBACK, model=name, night=batch_date)
    return retrain.Request(
        batch_date=batch_date,
        reason=reason,
        last_started=last.batch_date if last else None,
        unfinished=last.training_id if last and last.outcome is None else None,
        is_backfill=asked.is_backfill,
        rolled_back=rolled_back.night if rolled_back else None,
        fault=f"{faults[-1].batch_date}, {faults[-1].told}" if faults else None,
        fair_from=_fair_from(platform, session, name),
    )


def _fair_from(platform: Platform, session: Session, name: str) -> date | None:
    """Return the first night as of which a training can be judged against the champion; None without one."""
    head = session.one(ledger.HEAD, model=name)
    champion = session.one(versions.VERSION, model=name, version=head.version) if head else None
    return train.fair_from(platform.project.model(name), champion.trained_until) if champion else None
