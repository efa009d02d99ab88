"""From a verdict to a training, or to the guard that held it back."""

from datetime import date, timedelta

from nightshift import results, retrain, train
from nightshift.calendar import DateRange
from nightshift.database import Session
from nightshift.errors import NotReady, RunStage, Subject
from nightshift.monitor.several import Several, who_asks
from nightshift.platform import Platform, Try
from nightshift.platform.faults import open_faults
from nightshift.records import ledger
from nightshift.records import monitoring as records
from nightshift.records.monitoring import GuardAnswer, Heard, RetrainRequest
from nightshift.specs import Model

# Nights before one that asks in which no fault may be open.
LOOKED_BACK_DAYS = 7
# What is said in a guard's place where a model does not ask beside the others: no guard is asked then.
SEVERAL = "several_models"


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

    A night that is decided late is told what later nights have done: a training starts now, beside theirs, and the
    champion of now is who it would be compared with.

    Whether the night asks at all beside other models (:mod:`nightshift.monitor.several`) is decided here, not in the
    verdict: verdicts of one night are given at different times, and here all are seen.

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
    several = who_asks(platform.warehouse.all(records.WATCHED, night=batch_date), name, batch_date)
    reason = f"{verdict.reason}; {several.words}" if several.words else verdict.reason
    with platform.warehouse.session() as session:
        # One decision at a time: two runs must not both find that nothing is under way.
        session.run(records.LOCK, name=f"retrain {name}")
        request = _request(platform, session, name, batch_date, reason, asked)
        answer = (
            retrain.ask(platform.project.model(name).retrain, request) if several.asks else _alone(several)
        )
        mine = RetrainRequest(
            model=name,
            batch_date=batch_date,
            status="started" if answer.may_start else "suppressed",
            guard=answer.guard,
            reason=_words(answer, request),
            training_id=training_id(name, batch_date) if answer.may_start else None,
            requested_by=requested_by,
            answers=answer.answers,
            not_before=answer.not_before,
        )
        session.run(records.ASK, mine)
        kept = session.one(records.REQUEST, model=name, batch_date=batch_date) or mine
    answered: results.Retrain = {
        "start": kept.status == "started",
        "reason": kept.reason,
        "training_id": kept.training_id,
    }
    if kept.guard:
        answered["guard"] = kept.guard
    return answered


def _alone(several: Several) -> retrain.Answer:
    """Return the answer where no guard is asked: what a model has is not enough, of so many."""
    said = GuardAnswer(guard=SEVERAL, objects=True, words=several.words, until=None)
    return retrain.Answer(SEVERAL, several.words, (said,))


def _words(answer: retrain.Answer, request: retrain.Request) -> str:
    return request.reason if answer.may_start else f"{answer.words} (asked for because {request.reason})"


def _request(
    platform: Platform, session: Session, name: str, batch_date: date, reason: str, asked: Try
) -> retrain.Request:
    model = platform.project.model(name)
    spec = platform.project.feature_set(model.features)
    recent = DateRange(batch_date - timedelta(days=LOOKED_BACK_DAYS - 1), batch_date)
    faults = open_faults(platform, spec, recent)
    rolled_back = session.one(ledger.LAST_ROLLBACK, model=name)
    champion = session.one(records.CHAMPION, model=name)
    of = {"model": name, "batch_date": batch_date, "unsigned_hours": model.unsigned_hours}
    return retrain.Request(
        batch_date=batch_date,
        reason=reason,
        is_backfill=asked.is_backfill,
        started=tuple(session.all(records.STARTED, **of)),
        promoted=champion.as_of if champion and not champion.is_first else None,
        rolled_back=rolled_back.night if rolled_back else None,
        fault=f"{faults[-1].batch_date}, {faults[-1].told}" if faults else None,
        fair_from=train.fair_from(model, champion.fitted_until) if champion else None,
        new_labels=_new_labels(platform, model, champion.fitted_until, batch_date) if champion else None,
    )


def _new_labels(platform: Platform, model: Model, fitted_until: date, batch_date: date) -> int | None:
    """Return how many outcomes were reported since those of ``fitted_until``, up to ``batch_date``."""
    if model.target is None:
        return None
    found = platform.warehouse.one(
        records.NEW_OUTCOMES,
        source=model.target.source,
        after=fitted_until + timedelta(days=model.matures_after_days),
        night=batch_date,
    )
    return found.outcomes if found else 0
