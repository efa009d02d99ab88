"""Build feature partitions from raw ones."""

from datetime import date
from functools import partial

import pandas as pd

from nightshift import featurise, results
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RunStage, SpecError, Subject
from nightshift.featurise.origins import origins
from nightshift.platform import Platform, Try
from nightshift.platform.clock import require_same_clock
from nightshift.platform.faults import Origins, look
from nightshift.platform.lineage import UNKNOWN, Landing, first_content_sha256, landings
from nightshift.platform.sketching import edges_for, feature_sketch
from nightshift.records import faults, features, sketches
from nightshift.records.features import FeatureBatch
from nightshift.specs import FeatureSet
from nightshift.types import as_numbers, content_sha256
from nightshift.warehouse import PartitionWrite, feature_inputs_table, feature_table, raw_table

MOST_TOLD = 5
Landings = dict[str, dict[date, Landing]]  # by source and batch date


def build_features(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, redefine: bool = False
) -> results.Built:
    """Build a set's partitions for each night from what that night could know.

    Raises:
        SpecError: another definition built this version's other nights, and ``redefine`` does not say it may; or the
            project's time zone is not that of older nights.
        NotReady: an input has no batch for one of the nights.
        BatchRejected: ``build()`` returned something other than what the set declares.
    """
    require_same_clock(platform)
    spec = platform.project.feature_set(name)
    if not redefine:
        _require_same_definition(platform, spec, nights)
    table = feature_table(spec)
    platform.warehouse.ensure(table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    frames, landed = _inputs(platform, spec, nights)
    build = featurise.load_build(spec)
    built, inputs = {}, []
    for batch_date in nights.dates:
        seen = featurise.visible(frames, spec, platform.project.calendar, batch_date)
        inputs += _used(batch_date, seen, landed)
        built[batch_date] = featurise.compute(spec, build, seen, batch_date)
    edges = edges_for(platform, spec, built)
    sketched = [feature_sketch(spec, night, rows, edges) for night, rows in built.items()]
    found = look(
        platform, spec, sketched, edges, _origins(platform, spec, build, frames, built), asked.run_id
    )
    with platform.warehouse.write(lease) as write:
        rows = write.replace(table, pd.concat(built.values(), ignore_index=True))
        _record(write, spec, built, inputs, asked)
        for each in sketched:
            write.run(sketches.KEEP_FEATURES, each)
            of = {"feature_set": spec.set, "version": spec.version, "batch_date": each.batch_date}
            write.run(faults.CORRECTED, sketch_sha256=each.sketch_sha256, **of)
        for fault in found:
            write.run(faults.FIND, fault)
    told: results.Built = {"feature_set": spec.table, "nights": str(nights), "rows": rows}
    return (
        {**told, "faults": [f"{fault.batch_date}, {fault.told}" for fault in found[:MOST_TOLD]]}
        if found
        else told
    )


def _origins(
    platform: Platform,
    spec: FeatureSet,
    build: featurise.Build,
    frames: dict[str, pd.DataFrame],
    built: dict[date, pd.DataFrame],
) -> Origins:
    def of(night: date, columns: list[str]) -> dict[str, list[str]]:
        seen = featurise.visible(frames, spec, platform.project.calendar, night)
        again = partial(featurise.compute, spec, build, batch_date=night)
        return origins(spec, again, seen, built[night], platform.project.sources, columns)

    return of


def _require_same_definition(platform: Platform, spec: FeatureSet, nights: DateRange) -> None:
    """Raise SpecError if a night that this build leaves standing was built by another definition."""
    found = platform.warehouse.one(
        features.OTHERWISE_DEFINED,
        feature_set=spec.set,
        version=spec.version,
        code=featurise.definition_sha256(spec),
        first=nights.first,
        last=nights.last,
    )
    if found and found.nights:
        raise SpecError(
            f"{spec.path}: {spec.set} v{spec.version} was built by another definition ({found.nights} nights, "
            f"{found.first} .. {found.last}); copy it to {spec.set}_v{spec.version + 1}.py, or, to redefine "
            f"v{spec.version} and rebuild its nights, run features_{spec.name} for them with definition: changed"
        )


def _inputs(
    platform: Platform, spec: FeatureSet, nights: DateRange
) -> tuple[dict[str, pd.DataFrame], Landings]:
    """Return, per source, the rows that the nights may need, and by batch which landing they came from."""
    for source in spec.inputs:
        platform.warehouse.ensure(raw_table(platform.project.source(source)))
        _require_batches(platform, source, nights)
    frames, landed = {}, {}
    with platform.warehouse.reading() as reading:
        for source in spec.inputs:
            wanted = DateRange(featurise.earliest_input(spec, source, nights.first), nights.last)
            table = raw_table(platform.project.source(source))
            frames[source] = reading.read(table, wanted.first, wanted.last)
            landed[source] = landings(reading, source, wanted)
    return frames, landed


def _used(batch_date: date, seen: dict[str, pd.DataFrame], landed: Landings) -> list[tuple[object, ...]]:
    """Return a row for each raw batch of which ``batch_date`` sees rows."""
    return [
        (batch_date, source, day, *landed[source].get(day, UNKNOWN))
        for source, frame in seen.items()
        for day in frame["batch_date"].dt.date.unique()
    ]


def _require_batches(platform: Platform, source: str, nights: DateRange) -> None:
    have = platform.warehouse.dates(raw_table(platform.project.source(source)), nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(have))
    if missing:
        raise NotReady(
            f"has no batch for {len(missing)} of {len(nights.dates)} nights, first {missing[0]}",
            subject=Subject("source", source),
            remedy=RunStage("collect", source),
        )


def _record(
    write: PartitionWrite,
    spec: FeatureSet,
    built: dict[date, pd.DataFrame],
    inputs: list[tuple[object, ...]],
    asked: Try,
) -> None:
    code = featurise.definition_sha256(spec)
    for batch_date, frame in built.items():
        first = as_numbers(frame).assign(batch_date=frame["batch_date"].dt.date)
        batch = FeatureBatch(
            feature_set=spec.set,
            feature_version=spec.version,
            batch_date=batch_date,
            row_count=len(frame),
            content_sha256=content_sha256(frame),
            code_sha256=code,
            run_id=asked.run_id,
        )
        write.run(features.BUILT, batch, earlier=first_content_sha256(first))
    table = feature_inputs_table()
    rows = pd.DataFrame([(spec.set, spec.version, *used) for used in inputs], columns=list(table.columns))
    write.replace(table, rows, feature_set=spec.set, feature_version=spec.version)
