"""Score: the champion of the night, resolved once, over the night's features; one partition replaced."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from pathlib import Path

import pyarrow as pa

from nightshift import metrics, results, train
from nightshift.calendar import DateRange
from nightshift.database import Reads
from nightshift.engine.compute import Runner, engine_of
from nightshift.engine.job import BLOCK_ROWS, Job
from nightshift.engine.receipts import Receipt, pieces, read, summed
from nightshift.errors import BatchRejected, ChampionChanged, NightshiftError, Unreachable, Unreconciled
from nightshift.govern import Ledger, require_champions
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.counting import profile_counts
from nightshift.platform.faults import open_faults
from nightshift.platform.fitted import load_version, stored
from nightshift.platform.inputs import ensure_predictions, read_features, read_labels, require_features
from nightshift.platform.lineage import feature_contents
from nightshift.platform.predictions import edges_of_predictions, prediction_sketch, profile_of
from nightshift.platform.recalibrating import ensure_past, past_of, told
from nightshift.platform.scratch import scratch
from nightshift.records import features as records
from nightshift.records import ledger, sketches
from nightshift.records.faults import Fault
from nightshift.records.features import PredictionBatch
from nightshift.records.leases import watching
from nightshift.records.sketches import PredictionSketch, ProfileCounts
from nightshift.score import CHAMPION_ARM
from nightshift.specs import FeatureSet, Model
from nightshift.stages.publishing import month_before
from nightshift.warehouse import (
    ROWS_A_PIECE,
    Lease,
    PartitionWrite,
    Reading,
    Table,
    feature_table,
    prediction_table,
)

# What all rows of a night have alike.
ALIKE = ("arm", "model_version", "run_id", "feature_version")
MOST_TOLD = 5
MOST_SAID = 200


def score(platform: Platform, name: str, nights: DateRange, asked: Try) -> results.Scored:
    """Replace the predictions of each night by those of its champion.

    A past night is scored by the version that was champion then: the same rows come out again. With ``recalibrate``,
    each night is moved by the offset that follows from the nights before it.

    Raises:
        LedgerMismatch: the registry's alias is not what the ledger says.
        NotReady: no champion, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
        BatchRejected: a fault in a night's features is open, and the model holds such nights; the others are scored.
        ChampionChanged: another version became champion of a night meanwhile; nothing was written.
    """
    require_same_clock(platform)
    model = platform.project.model(name)
    feature_set = platform.project.feature_set(model.features)
    _unheld(model, feature_set, nights, open_faults(platform, feature_set, nights))
    table = prediction_table(model, feature_set)
    ensure_predictions(platform, table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder, CHAMPION_ARM)
    champions = Ledger(platform.warehouse, name)
    champions.check(platform.registry.champion(name))
    faults: list[Fault] = []

    def wanted(reading: Reads) -> list[date]:
        # Again, of the instant of the features that are read: they may have been built anew meanwhile.
        faults.extend(open_faults(reading, feature_set, nights))
        return _unheld(model, feature_set, nights, faults)

    batches = serve(
        platform,
        model,
        wanted,
        lambda night: champions.champion_on(night).version,
        lease,
        asked,
        confirm=partial(_still_champions, name),
    )
    if len(batches) < len(nights.dates):
        raise _refused(name, feature_set, faults)
    scored = _told(model, nights, batches)
    return {**scored, "faults": [fault.told for fault in faults[:MOST_TOLD]]} if faults else scored


def _unheld(model: Model, spec: FeatureSet, nights: DateRange, faults: list[Fault]) -> list[date]:
    """Return the nights that may be scored. Raises BatchRejected if the model holds them all for these open faults."""
    held = {fault.batch_date for fault in faults} if model.drift.faults == "hold" else set()
    wanted = [night for night in nights.dates if night not in held]
    if not wanted:
        raise _refused(model.name, spec, faults)
    return wanted


def score_missed(platform: Platform, name: str, night: date, asked: Try) -> list[str]:
    """Score the nights of the month before ``night`` that were announced while the model's DAG was paused.

    Return what came of each, in words; one that cannot be scored keeps no other from it, and is not tried again, unless
    a fault held it: then it is asked for each night until the fault is closed.

    Raises:
        Unreachable, ChampionChanged: what may pass; the nights that are left are asked for again.
    """
    model, told = platform.project.model(name), []
    for missed in unscored(platform, model, night, asked):
        if missed not in unscored(platform, model, night, asked):
            continue  # somebody has begun with it meanwhile
        try:
            score(platform, name, DateRange(missed, missed), asked)
            told.append(str(missed))
        except (Unreachable, ChampionChanged):
            raise
        except NightshiftError as error:
            told.append(f"{missed} is not scored: {str(error)[:MOST_SAID]}")
    return told


def unscored(platform: Platform, model: Model, night: date, asked: Try) -> list[date]:
    """Return the nights of the month before ``night`` whose features were announced, and whose scoring never began.

    Not those before the first night that was scored: a new model owes no history.
    """
    feature_set = platform.project.feature_set(model.features)
    found = platform.warehouse.all(
        records.NEVER_SCORED,
        model=model.name,
        asset=feature_table(feature_set).qualified,
        table=prediction_table(model, feature_set).qualified,
        run=asked.run_id,
        **month_before(night),
    )
    return [each.batch_date for each in found]


def unwatched(platform: Platform, name: str, night: date, asked: Try) -> list[date]:
    """Return the nights of the month before ``night`` that were scored, and whose monitoring never began.

    Those that were announced, or that this run has scored; not those before the model's first verdict.
    """
    found = platform.warehouse.all(
        records.NEVER_WATCHED,
        model=name,
        asset=f"predictions.{name}",
        table=watching(name),
        run=asked.run_id,
        **month_before(night),
    )
    return [each.batch_date for each in found]


def serve(
    platform: Platform,
    model: Model,
    wanted: Callable[[Reads], list[date]],
    version_on: Callable[[date], int],
    lease: Lease,
    asked: Try,
    arm: str = CHAMPION_ARM,
    confirm: Callable[[PartitionWrite, Mapping[date, int]], None] | None = None,
) -> list[PredictionBatch]:
    """Replace the predictions of an arm's nights by those of the version of each, with their records and sketches.

    ``wanted``: returns the nights, asked in the transaction that reads their features; it may raise. ``confirm``: is
    given the version of each night last of all, and may raise: then nothing was written.

    Nights one after the other, each block by block; what is said waits in files, so that the transaction that replaces
    the nights, all or none, lasts no longer than a COPY and a newer try never waits for a model.

    Raises:
        NotReady: no version, or no features, for one of the nights.
        ArtifactRefused: the model file is not the one that was promoted.
    """
    table = prediction_table(model, platform.project.feature_set(model.features))
    engine = engine_of(model, platform.project.settings, platform.connection)
    with scratch("score", engine.folder) as folder:
        with engine.started(folder) as runner:
            found = _predicted(platform, model, wanted, version_on, (arm, asked.run_id), folder, runner)
        nights = [night.batch.batch_date for night in found]
        with platform.warehouse.write(lease) as write:
            rows = write.replace(table, lambda: _rows(table, found), dates=nights, arm=arm)
            _require_whole(table, rows, sum(night.batch.row_count for night in found))
            for night in found:
                write.run(records.SCORED, night.batch)
                write.run(sketches.KEEP_PREDICTIONS, night.sketch)
                if night.counts:
                    write.run(sketches.KEEP_COUNTS, night.counts)
            if confirm:
                confirm(write, {night.batch.batch_date: night.batch.model_version for night in found})
    return [night.batch for night in found]


def _still_champions(name: str, write: PartitionWrite, versions: Mapping[date, int]) -> None:
    """Raise ChampionChanged if another version became champion of a night meanwhile."""
    # Whoever promotes waits for this commit, and finds the night done; or has been, and is found here.
    write.run(ledger.LOCK, model=name)
    require_champions(Reading(write.cursor), name, versions)


@dataclass(frozen=True)
class _Night:
    """What is served of a night: its record, its sketch and its counts, and the receipts of its rows."""

    batch: PredictionBatch
    sketch: PredictionSketch
    counts: ProfileCounts | None
    receipts: list[Receipt]


def _predicted(
    platform: Platform,
    model: Model,
    wanted: Callable[[Reads], list[date]],
    version_on: Callable[[date], int],
    whose: tuple[str, str],
    folder: Path,
    runner: Runner,
) -> list[_Night]:
    """Return what is served of each night's version, done by ``runner``. ``whose``: arm and run."""
    feature_set = platform.project.feature_set(model.features)
    platform.warehouse.ensure(feature_table(feature_set))
    ensure_past(platform, model)
    # Once for all nights of a version.
    job_of = cache(lambda version: _job(platform, model, version, folder))
    found = []
    with platform.warehouse.reading() as reading:
        nights = wanted(reading)
        whole = DateRange(nights[0], nights[-1])
        require_features(reading, platform, model, nights)
        contents = feature_contents(reading, feature_set, whole)
        past = past_of(reading, platform, model, whole, whose[0])
        for batch_date in nights:  # in their order: a night's offset comes from those before it
            version = version_on(batch_date)
            by = past.recalibration(batch_date, version) if past else None
            job = replace(job_of(version), by=by)
            blocks = reading.blocks(feature_table(feature_set), batch_date, batch_date, BLOCK_ROWS)
            receipts = runner.score(job, blocks, folder)
            batch = PredictionBatch(
                model=model.name,
                batch_date=batch_date,
                arm=whose[0],
                model_version=version,
                row_count=sum(receipt.rows for receipt in receipts),
                run_id=whose[1],
                feature_set=feature_set.set,
                feature_version=feature_set.version,
                features_sha256=contents.get(batch_date),
                recalibration=by,
            )
            found.append(_night(job, batch, receipts))
            if past and by:
                past.add(batch_date, version, read(receipts), by)
    return found


def _require_whole(table: Table, written: int, served: int) -> None:
    """Raise Unreconciled, which ends the transaction, unless as many rows were written as the receipts are of."""
    if written != served:
        raise Unreconciled(
            f"{table.qualified}: {written} rows were copied, and the receipts of their blocks are of {served}; nothing "
            "is written. Clear the task"
        )


def _job(platform: Platform, model: Model, version: int, folder: Path) -> Job:
    feature_set = platform.project.feature_set(model.features)
    profile, columns = profile_of(platform, model, version), prediction_table(model, feature_set).columns
    return Job(
        model=model,
        stored=stored(platform, model, version, folder),
        columns={name: kind for name, kind in columns.items() if name not in ALIKE},
        keys=("batch_date", *feature_set.entity),
        profile=profile,
        edges=edges_of_predictions(profile),
    )


def _night(job: Job, batch: PredictionBatch, receipts: list[Receipt]) -> _Night:
    """Return a night as it is kept. Where its rows do not fit the profile, the verdict counts them, and says so."""
    sketch, counted = summed(receipts, job.edges, job.profile)
    night, content, counts = batch.batch_date, batch.features_sha256, None
    if counted and content:
        counts = profile_counts(job.model, batch.model_version, (night, content), counted)
    return _Night(batch, prediction_sketch(batch, job.edges, sketch), counts, receipts)


def _rows(table: Table, nights: list[_Night]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all nights as the table has them."""
    for night in nights:
        alike = {name: getattr(night.batch, name) for name in ALIKE}
        yield from pieces(night.receipts, table.arrow_schema, ROWS_A_PIECE, **alike)


def _refused(name: str, spec: FeatureSet, faults: list[Fault]) -> BatchRejected:
    """Return why nights are not scored, and what to do; what was predicted for them before stands."""
    told = "; ".join(f"{fault.batch_date}, {fault.told}" for fault in faults[:MOST_TOLD])
    more = f"; and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else ""
    return BatchRejected(
        f"model '{name}': a fault is open in features {spec.name}: {told}{more}. Correct the source and collect the "
        f"night anew; or, if the rows are right, close it: nightshift close-faults {spec.name} NIGHT --reason WHY; or "
        "score such nights all the same, drift.faults: warn"
    )


def _told(model: Model, nights: DateRange, batches: list[PredictionBatch]) -> results.Scored:
    by = sorted({batch.model_version for batch in batches})
    moved = [
        f"{batch.batch_date}: {told(model, batch.recalibration)}" for batch in batches if batch.recalibration
    ]
    rows = sum(batch.row_count for batch in batches)
    scored: results.Scored = {"model": model.name, "nights": str(nights), "rows": rows}
    scored |= {"version": by[0]} if len(by) == 1 else {"versions": by}
    return {**scored, "recalibrated": moved[-MOST_TOLD:]} if moved else scored


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
