"""Score: the champion of the night, resolved once, over the night's features; one partition replaced."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache

import pandas as pd

from nightshift import metrics, results, train
from nightshift import score as scoring
from nightshift.calendar import DateRange
from nightshift.errors import BatchRejected
from nightshift.govern import Ledger
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.counting import scored_counts
from nightshift.platform.faults import open_faults
from nightshift.platform.fitted import load_version
from nightshift.platform.inputs import ensure_predictions, read_features, read_labels
from nightshift.platform.lineage import feature_contents
from nightshift.platform.predictions import prediction_sketches, profile_of
from nightshift.platform.recalibrating import ensure_past, moved_by, past_of, told
from nightshift.records import features as records
from nightshift.records import sketches
from nightshift.records.faults import Fault
from nightshift.records.features import PredictionBatch, Recalibration
from nightshift.records.sketches import ProfileCounts
from nightshift.score import CHAMPION_ARM
from nightshift.specs import FeatureSet, Model
from nightshift.warehouse import Lease, feature_table, prediction_table

MOST_TOLD = 5


def score(platform: Platform, name: str, nights: DateRange, asked: Try) -> results.Scored:
    """Replace the predictions of each night by those of its champion.

    A past night is scored by the version that was champion then: the same rows come out again. With ``recalibrate``,
    each night is moved by the offset that follows from the nights before it.

    Raises:
        LedgerMismatch: the registry's alias is not what the ledger says.
        NotReady: no champion, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
        BatchRejected: a fault in a night's features is open, and the model holds such nights; the others are scored.
    """
    require_same_clock(platform)
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    faults = open_faults(platform, feature_set, nights)
    held = {fault.batch_date for fault in faults} if model.drift.faults == "hold" else set()
    wanted = [night for night in nights.dates if night not in held]
    if not wanted:
        raise _refused(name, feature_set, faults)
    table = prediction_table(model, feature_set)
    ensure_predictions(platform, table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder, CHAMPION_ARM)
    ledger = Ledger(platform.warehouse, name)
    ledger.check(platform.registry.champion(name))
    predictions, moved = serve(
        platform, model, wanted, lambda night: ledger.champion_on(night).version, lease, asked
    )
    if held:
        raise _refused(name, feature_set, faults)
    scored = _told(name, nights, predictions)
    if moved:
        scored["recalibrated"] = [f"{night}: {told(model, each)}" for night, each in moved.items()][
            -MOST_TOLD:
        ]
    return {**scored, "faults": [fault.told for fault in faults[:MOST_TOLD]]} if faults else scored


def serve(
    platform: Platform,
    model: Model,
    nights: list[date],
    version_on: Callable[[date], int],
    lease: Lease,
    asked: Try,
    arm: str = CHAMPION_ARM,
) -> tuple[pd.DataFrame, dict[date, Recalibration]]:
    """Replace the predictions of an arm's nights by those of the version of each, with their records and sketches.

    Returns the rows as they are kept, and what moved each night.

    Raises:
        NotReady: no version, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
    """
    feature_set = platform.project.feature_set(model.features)
    found = _predicted(platform, model, nights, version_on, arm)
    moved = found.moved
    predictions = found.rows.assign(arm=arm, run_id=asked.run_id, feature_version=feature_set.version)
    batches = _batches(model.name, feature_set, predictions, found.contents, moved)
    sketched = prediction_sketches(platform, model, predictions, arm, moved)
    with platform.warehouse.write(lease) as write:
        write.replace(prediction_table(model, feature_set), predictions, dates=nights, arm=arm)
        for batch, sketch in zip(batches, sketched, strict=True):
            write.run(records.SCORED, batch)
            write.run(sketches.KEEP_PREDICTIONS, sketch)
        for counts in found.counts:
            write.run(sketches.KEEP_COUNTS, counts)
    return predictions, moved


@dataclass(frozen=True)
class _Predicted:
    """What is served of nights: the rows, the hash of the features each is of, what moved it, and its counts."""

    rows: pd.DataFrame
    contents: dict[date, str | None]
    moved: dict[date, Recalibration]
    counts: list[ProfileCounts]


def _predicted(
    platform: Platform, model: Model, nights: list[date], version_on: Callable[[date], int], arm: str
) -> _Predicted:
    """Return what is served of each night's version."""
    feature_set = platform.project.feature_set(model.features)
    platform.warehouse.ensure(feature_table(feature_set))
    ensure_past(platform, model)
    whole = DateRange(nights[0], nights[-1])
    with platform.warehouse.reading() as reading:
        features = read_features(reading, platform, model, whole)
        contents = feature_contents(reading, feature_set, whole)
        past = past_of(reading, platform, model, whole, arm)
    # Once for all nights of a version.
    loaded = cache(lambda version: load_version(platform, model, version))
    profiles = cache(lambda version: profile_of(platform, model, version))
    parts, moved, counts = [], {}, []
    for batch_date in nights:  # in their order: a night's offset comes from those before it
        version = version_on(batch_date)
        rows = features[features["batch_date"] == pd.Timestamp(batch_date)]
        by = past.recalibration(batch_date, version) if past else None
        said = scoring.said(rows, loaded(version), model.classes)
        night = batch_date, contents.get(batch_date)
        counts.append(scored_counts(model, (version, profiles(version)), night, rows, said))
        served = scoring.rows_of(
            rows[["batch_date", *feature_set.entity]], moved_by(model, said, by), model.classes
        )
        parts.append(served.assign(model_version=version))
        if past and by:
            moved[batch_date] = by
            past.add(batch_date, version, served, by)
    return _Predicted(pd.concat(parts, ignore_index=True), contents, moved, [each for each in counts if each])


def _refused(name: str, spec: FeatureSet, faults: list[Fault]) -> BatchRejected:
    """Return why nights are not scored, and what to do; what was predicted for them before stands."""
    told = "; ".join(f"{fault.batch_date}, {fault.told}" for fault in faults[:MOST_TOLD])
    more = f"; and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else ""
    return BatchRejected(
        f"model '{name}': a fault is open in features {spec.name}: {told}{more}. Correct the source and collect the "
        f"night anew; or, if the rows are right, close it: nightshift close-faults {spec.name} NIGHT --reason WHY; or "
        "score such nights all the same, drift.faults: warn"
    )


def _told(name: str, nights: DateRange, predictions: pd.DataFrame) -> results.Scored:
    by = sorted({int(version) for version in predictions["model_version"]})
    scored: results.Scored = {"model": name, "nights": str(nights), "rows": len(predictions)}
    return {**scored, "version": by[0]} if len(by) == 1 else {**scored, "versions": by}


def compare(
    platform: Platform, name: str, versions: list[int], nights: DateRange, *, as_of: date
) -> list[results.Compared]:
    """Return, a version, its metrics on ``nights``: scored now, by labels known at the cut-off of ``as_of``.

    Writes nothing. Also for versions that never served these nights; so nothing is recalibrated: metrics are of what
    the versions say by themselves.
    """
    model = platform.project.model(name)
    entity = platform.project.feature_set(model.features).entity
    truth = read_labels(platform, model, nights.first, as_of)
    platform.warehouse.ensure(feature_table(platform.project.feature_set(model.features)))
    with platform.warehouse.reading() as reading:
        rows = train.labelled(read_features(reading, platform, model, nights), truth, entity)
    return [
        {
            "version": version,
            "labels": len(rows),
            "metrics": metrics.score(model.kind, rows["label"], load_version(platform, model, version)(rows)),
        }
        for version in versions
    ]


def _batches(
    name: str,
    spec: FeatureSet,
    predictions: pd.DataFrame,
    contents: dict[date, str | None],
    moved: dict[date, Recalibration],
) -> list[PredictionBatch]:
    said = predictions.groupby("batch_date").agg(
        version=("model_version", "first"),
        arm=("arm", "first"),
        run=("run_id", "first"),
        rows=("arm", "size"),
    )
    return [
        PredictionBatch(
            model=name,
            batch_date=night,
            arm=str(c["arm"]),
            model_version=int(c["version"]),
            row_count=int(c["rows"]),
            run_id=str(c["run"]),
            feature_set=spec.set,
            feature_version=spec.version,
            features_sha256=contents.get(night),
            recalibration=moved.get(night),
        )
        for night, c in zip(pd.DatetimeIndex(said.index).date, said.to_dict("records"), strict=True)
    ]
