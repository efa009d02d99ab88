"""Probation: the version before is scored beside a new champion, and a champion that is surely worse goes back."""

from datetime import date, timedelta

from nightshift import results
from nightshift.calendar import DateRange
from nightshift.monitor import probation
from nightshift.monitor.probation import Since
from nightshift.platform import Platform, Try
from nightshift.platform.faults import faulty_nights
from nightshift.platform.inputs import ensure_predictions
from nightshift.platform.predictions import profile_of
from nightshift.records import ledger
from nightshift.records import monitoring as records
from nightshift.records.ledger import OnProbation
from nightshift.records.monitoring import Probation
from nightshift.records.profile import NightLoss
from nightshift.score import BEFORE_ARM, CHAMPION_ARM
from nightshift.specs import Model
from nightshift.stages.governing import probation_run
from nightshift.stages.maturing import matured
from nightshift.stages.score import serve
from nightshift.warehouse import prediction_table


def score_beside(platform: Platform, name: str, nights: DateRange, asked: Try) -> results.Beside:
    """Score the nights of a probation with the version before, under an arm of its own that no consumer reads.

    Raises:
        NotReady: no features for one of the nights.
        ArtifactRefused: the model file of the version before is not the one that was promoted.
    """
    model = platform.project.model(name)
    found = {night: of for night in nights.dates if (of := on_probation(platform, model, night))}
    if not found:
        return {"model": name, "nights": 0, "rows": 0}
    table = prediction_table(model, platform.project.feature_set(model.features))
    ensure_predictions(platform, table)
    dates = sorted(found)
    lease = platform.warehouse.lease(table, dates, asked.holder, BEFORE_ARM)
    batches = serve(
        platform, model, lambda _: dates, lambda night: found[night].before, lease, asked, BEFORE_ARM
    )
    return {"model": name, "nights": len(dates), "rows": sum(each.row_count for each in batches)}


def judge_probation(platform: Platform, name: str, batch_date: date, asked: Try) -> results.Probation:
    """Judge the champion of a night against the version before, by what labels say of the nights that both scored.

    What it says is kept in ``monitoring.probations``. ``roll_back``: it is surely worse, is champion still, and no
    backfill asks; the answer names the version to go back to and the run that does it.
    """
    model = platform.project.model(name)
    if model.target is None or not (found := on_probation(platform, model, batch_date)):
        return {"model": name, "roll_back": False, "reason": "not on probation"}
    nights = _nights_since(platform, model, found, batch_date)
    gate = found.evaluation.nights if found.evaluation else ()
    said = probation.evidence(gate, nights, _nights_of_training(platform, model, found.before))
    limit = model.retrain.probation_evidence
    mean = sum(night.difference for night in nights) / len(nights) if nights else None
    compared = f"{mean:+.4f} a night over {len(nights)} nights" if mean is not None else None
    told = compared or _why_none(platform, name, found, batch_date)
    reason = (
        f"version {found.version} on probation since {found.since}: loss against version {found.before} {told}; "
        f"evidence that it is worse {said:,.1f} of {limit:g}"
    )
    rolls_back = said >= limit and not asked.is_backfill and _is_head(platform, name, found)
    platform.warehouse.run(
        records.JUDGE_PROBATION,
        Probation(
            model=name,
            batch_date=batch_date,
            model_version=found.version,
            before=found.before,
            since=found.since,
            nights=len(nights),
            evidence=said,
            difference=mean,
            rolls_back=rolls_back,
            reason=reason,
            run_id=asked.run_id,
        ),
    )
    answer: results.Probation = {"model": name, "roll_back": rolls_back, "reason": reason}
    if rolls_back:
        answer |= {"version": found.before, "run_id": probation_run(name, found.training_id)}
    return answer


def on_probation(platform: Platform, model: Model, night: date) -> OnProbation | None:
    """Return the champion of a night and the one before it, if the night is one of its probation."""
    nights = model.retrain.probation_nights
    return platform.warehouse.one(ledger.ON_PROBATION, model=model.name, night=night, nights=nights)


def _nights_of_training(platform: Platform, model: Model, version: int) -> tuple[NightLoss, ...]:
    profile = profile_of(platform, model, version)
    return profile.losses.nights if profile and profile.losses else ()


def _why_none(platform: Platform, name: str, found: OnProbation, batch_date: date) -> str:
    """Return why there is no night to compare: no labels, or nights that were measured when losses were not kept."""
    versions = [found.before, found.version]
    without = platform.warehouse.all(
        records.LOSSLESS, model=name, versions=versions, since=found.since, known_on=batch_date
    )
    if not without:
        return "no labels yet"
    return f"not known: version {without[0].version} has no losses to compare with"


def _is_head(platform: Platform, name: str, found: OnProbation) -> bool:
    head = platform.warehouse.one(ledger.HEAD, model=name)
    return head is not None and (head.version, head.training_id) == (found.version, found.training_id)


def _nights_since(platform: Platform, model: Model, found: OnProbation, batch_date: date) -> list[Since]:
    """Return the nights that have the losses of both and may be judged.

    Of a night whose late positives are missing, who says more of them looks the worse one: it waits until it is final.
    """
    of = {"model": model.name, "after": found.since - timedelta(days=1), "known_on": batch_date}
    mine, theirs = (
        {row.losses.night: row.losses for row in platform.warehouse.all(records.LOSSES, **of, **arm)}
        for arm in (
            {"arm": CHAMPION_ARM, "version": found.version},
            {"arm": BEFORE_ARM, "version": found.before},
        )
    )
    both = sorted(mine.keys() & theirs.keys())
    if not both:
        return []
    spec = platform.project.feature_set(model.features)
    faulty = faulty_nights(platform, spec, DateRange(both[0], both[-1]))
    labels = matured(platform, model, batch_date)
    return [
        Since(mine[night].rows, mine[night].loss - theirs[night].loss)
        for night in both
        if night not in faulty and labels.is_final(night)
    ]
