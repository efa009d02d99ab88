"""Probation: the version before is scored beside a new champion, and a champion that is surely worse goes back."""

from datetime import date, timedelta
from functools import cache

import pandas as pd

from nightshift import results
from nightshift import score as scoring
from nightshift.calendar import DateRange
from nightshift.monitor import probation
from nightshift.platform import Platform, Try
from nightshift.platform.faults import faulty_nights
from nightshift.platform.fitted import load_version
from nightshift.platform.inputs import ensure_predictions, read_features
from nightshift.platform.predictions import prediction_sketches
from nightshift.platform.recalibrating import ensure_past, past_of, recalibrated
from nightshift.records import features as partitions
from nightshift.records import ledger, sketches
from nightshift.records import monitoring as records
from nightshift.records.features import PredictionBatch, Recalibration
from nightshift.records.ledger import OnProbation
from nightshift.records.monitoring import Probation
from nightshift.score import BEFORE_ARM, CHAMPION_ARM
from nightshift.specs import FeatureSet, Model
from nightshift.warehouse import feature_table, prediction_table


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
    feature_set = platform.project.feature_set(model.features)
    table = prediction_table(model, feature_set)
    ensure_predictions(platform, table)
    platform.warehouse.ensure(feature_table(feature_set))
    ensure_past(platform, model)
    lease = platform.warehouse.lease(table, sorted(found), asked.holder, BEFORE_ARM)
    parts, moved = _said_before(platform, model, found)
    predictions = pd.concat(parts.values(), ignore_index=True).assign(
        arm=BEFORE_ARM, run_id=asked.run_id, feature_version=feature_set.version
    )
    sketched = prediction_sketches(platform, model, predictions, BEFORE_ARM, moved)
    with platform.warehouse.write(lease) as write:
        write.replace(table, predictions, dates=sorted(found), arm=BEFORE_ARM)
        for (night, part), sketch in zip(parts.items(), sketched, strict=True):
            batch = _batch(name, feature_set, night, found[night].before, len(part), asked, moved.get(night))
            write.run(partitions.SCORED, batch)
            write.run(sketches.KEEP_PREDICTIONS, sketch)
    return {"model": name, "nights": len(parts), "rows": len(predictions)}


def _said_before(
    platform: Platform, model: Model, found: dict[date, OnProbation]
) -> tuple[dict[date, pd.DataFrame], dict[date, Recalibration]]:
    """Return what the version before says of each night, as it would have served it, and what moved it."""
    whole = DateRange(min(found), max(found))
    entity = platform.project.feature_set(model.features).entity
    with platform.warehouse.reading() as reading:
        rows = read_features(reading, platform, model, whole)
        past = past_of(reading, platform, model, whole, BEFORE_ARM)
    loaded = cache(lambda version: load_version(platform, model, version))  # once for all its nights
    parts, moved = {}, {}
    for night in sorted(found):  # in their order: a night's offset comes from those before it
        before = found[night].before
        by = past.recalibration(night, before) if past else None
        features = rows[rows["batch_date"] == pd.Timestamp(night)]
        said = scoring.score(features, recalibrated(model, loaded(before), by), entity, model.classes)
        parts[night] = said.assign(model_version=before)
        if past and by:
            moved[night] = by
            past.add(night, before, said, by)
    return parts, moved


def _batch(
    name: str,
    spec: FeatureSet,
    night: date,
    version: int,
    rows: int,
    asked: Try,
    by: Recalibration | None,
) -> PredictionBatch:
    return PredictionBatch(
        model=name,
        batch_date=night,
        arm=BEFORE_ARM,
        model_version=version,
        row_count=rows,
        run_id=asked.run_id,
        feature_set=spec.set,
        feature_version=spec.version,
        features_sha256=None,
        recalibration=by,
    )


def judge_probation(platform: Platform, name: str, batch_date: date, asked: Try) -> results.Probation:
    """Judge the champion of a night against the version before, by what labels say of the nights that both scored.

    What it says is kept in ``monitoring.probations``. ``roll_back``: it is surely worse, is champion still, and no
    backfill asks; the answer names the version to go back to and the run that does it.
    """
    model = platform.project.model(name)
    if model.target is None or not (found := on_probation(platform, model, batch_date)):
        return {"model": name, "roll_back": False, "reason": "not on probation"}
    differences = _differences(platform, model, found, batch_date)
    gate = found.evaluation.nights if found.evaluation else ()
    said, limit = probation.evidence(gate, differences), model.retrain.probation_evidence
    mean = sum(differences) / len(differences) if differences else None
    told = f"{mean:+.4f} a night over {len(differences)} nights" if mean is not None else "no labels yet"
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
            nights=len(differences),
            evidence=said,
            difference=mean,
            rolls_back=rolls_back,
            reason=reason,
            run_id=asked.run_id,
        ),
    )
    answer: results.Probation = {"model": name, "roll_back": rolls_back, "reason": reason}
    if rolls_back:
        answer |= {"version": found.before, "run_id": f"probation__{name}__{found.training_id}"}
    return answer


def on_probation(platform: Platform, model: Model, night: date) -> OnProbation | None:
    """Return the champion of a night and the one before it, if the night is one of its probation."""
    nights = model.retrain.probation_nights
    return platform.warehouse.one(ledger.ON_PROBATION, model=model.name, night=night, nights=nights)


def _is_head(platform: Platform, name: str, found: OnProbation) -> bool:
    head = platform.warehouse.one(ledger.HEAD, model=name)
    return head is not None and (head.version, head.training_id) == (found.version, found.training_id)


def _differences(platform: Platform, model: Model, found: OnProbation, batch_date: date) -> list[float]:
    """Return the loss of the champion less that of the version before, of each night that has both."""
    of = {"model": model.name, "after": found.since - timedelta(days=1), "known_on": batch_date}
    mine, theirs = (
        {row.losses.night: row.losses.loss for row in platform.warehouse.all(records.LOSSES, **of, **arm)}
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
    return [mine[night] - theirs[night] for night in both if night not in faulty]
