"""Build feature partitions from raw ones."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from nightshift import featurise, results
from nightshift.calendar import DateRange
from nightshift.engine.building import Builder, Built, built
from nightshift.engine.compute import engine_of
from nightshift.engine.dealing import Shards, shards
from nightshift.errors import NotReady, RunStage, SpecError, Subject
from nightshift.featurise.origins import origins
from nightshift.monitor.sketches import empty, merge, sketch
from nightshift.platform import Platform, Try
from nightshift.platform.blocks import content_of
from nightshift.platform.clock import require_same_clock
from nightshift.platform.lineage import (
    UNKNOWN,
    Landing,
    feature_contents,
    first_content_sha256,
    landings,
)
from nightshift.platform.looking import Origins, look
from nightshift.platform.scratch import scratch
from nightshift.platform.sketching import edges_for, feature_sketch
from nightshift.records import faults, features, sketches
from nightshift.records.faults import Fault
from nightshift.records.features import FeatureBatch
from nightshift.records.sketches import Edges, FeatureSketch
from nightshift.specs import FeatureSet
from nightshift.types import as_numbers, content_sha256
from nightshift.warehouse import (
    ROWS_A_PIECE,
    PartitionWrite,
    Reading,
    Table,
    feature_inputs_table,
    feature_table,
    raw_table,
)

log = logging.getLogger(__name__)
MOST_TOLD = 5
Landings = dict[str, dict[date, Landing]]  # by source and batch date


def build_features(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, redefine: bool = False
) -> results.Built:
    """Build a set's partitions for each night from what that night could know.

    Large nights of a set that declares ``shards`` are built a shard at a time, and never held whole.

    Raises:
        SpecError: another definition built this version's other nights, and ``redefine`` does not say it may; or the
            project's time zone is not that of older nights.
        NotReady: an input has no batch for one of the nights.
        BatchRejected: ``build()`` returned something other than what the set declares, or comes to something else in
            shards.
    """
    require_same_clock(platform)
    spec = platform.project.feature_set(name)
    if not redefine:
        _require_same_definition(platform, spec, nights)
    table = feature_table(spec)
    platform.warehouse.ensure(table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    builder = Builder(spec, featurise.load_build(spec), platform.project.calendar)
    engine = engine_of(spec, platform.project.settings, platform.connection)
    with scratch("features", engine.folder) as folder:
        dealt, landed = _inputs(platform, spec, nights, folder)
        found_of = built(builder, dealt, nights, engine, folder)
        edges = edges_for(platform, spec, {night: each.rows for night, each in found_of.items()})
        looked = {night: _looked_at(spec, night, each, edges) for night, each in found_of.items()}
        sketched = [each.sketch for each in looked.values()]
        found = look(platform, spec, sketched, edges, _origins(platform, builder, dealt), asked.run_id)
        with platform.warehouse.write(lease) as write:
            rows = _replace(write, table, found_of)
            stood = feature_contents(Reading(write.cursor), spec, nights)
            _record(write, spec, found_of, looked, landed, asked)
            _keep_faults(write, spec, looked, found, stood)
    told: results.Built = {"feature_set": spec.table, "nights": str(nights), "rows": rows}
    return (
        {**told, "faults": [f"{fault.batch_date}, {fault.told}" for fault in found[:MOST_TOLD]]}
        if found
        else told
    )


@dataclass(frozen=True)
class _Looked:
    """What is kept of a night's rows beside them. ``first``: the hash that they once had, if they are one block."""

    sketch: FeatureSketch
    content: str
    first: str


def _looked_at(spec: FeatureSet, night: date, of: Built, edges: Edges) -> _Looked:
    made, hashes, first = empty(edges), [], ""
    for block in of.rows.each():
        made = merge(made, sketch(block, edges))
        hashes.append(content_sha256(block))
        if len(block) == of.rows.rows:
            first = first_content_sha256(as_numbers(block).assign(batch_date=block["batch_date"].dt.date))
    return _Looked(feature_sketch(spec, night, made, edges), content_of(hashes), first)


def _origins(platform: Platform, builder: Builder, dealt: Shards) -> Origins:
    def of(night: date, columns: list[str]) -> Mapping[str, list[str]]:
        seen = _fullest(builder, dealt, night)
        compute = partial(builder.compute, night=night)
        try:
            rows = compute({name: frame.copy() for name, frame in seen.items()})
            return origins(builder.spec, compute, seen, rows, platform.project.sources, columns)
        except Exception as error:  # noqa: BLE001 - the night is built; all inputs are named instead
            log.warning(
                "features %s, %s: where %s come from is not known: %s",
                builder.spec.name,
                night,
                ", ".join(columns),
                error,
            )
            return {}

    return of


def _fullest(builder: Builder, dealt: Shards, night: date) -> dict[str, pd.DataFrame]:
    """Return what the night may use of the shard that has rows of most inputs, of those first that it must have.

    A column comes from the same sources in each shard: one that has rows of them all tells as well as any.
    """
    must = [name for name, given in builder.spec.inputs.items() if not given.look_back_days]
    found, most = dict[str, pd.DataFrame](), (-1, -1)
    for number in range(dealt.count):
        seen = builder.seen(dealt.load(number), night)
        there = [name for name, frame in seen.items() if not frame.empty]
        if (has := (len({*must} & {*there}), len(there))) > most:
            found, most = seen, has
        if len(there) == len(seen):
            break
    return found


def _require_same_definition(platform: Platform, spec: FeatureSet, nights: DateRange) -> None:
    """Raise SpecError if a night that this build leaves standing was built by another definition."""
    found = platform.warehouse.one(
        features.OTHERWISE_DEFINED,
        feature_set=spec.set,
        version=spec.version,
        codes=featurise.definitions_sha256(spec),
        first=nights.first,
        last=nights.last,
    )
    if found and found.first and found.last:
        raise SpecError(
            f"{spec.path}: {spec.set} v{spec.version} was built by another definition ({found.nights} nights, "
            f"{found.first} .. {found.last}); copy it to {spec.set}_v{spec.version + 1}.py, or, to redefine "
            f"v{spec.version} and rebuild its nights: nightshift trigger features_{spec.name} "
            f"--from {min(found.first, nights.first)} --to {max(found.last, nights.last)} --set definition=changed"
        )


def _inputs(platform: Platform, spec: FeatureSet, nights: DateRange, folder: Path) -> tuple[Shards, Landings]:
    """Return the shards of what the nights may need, and by source and batch which landing it came from."""
    tables = {source: raw_table(platform.project.source(source)) for source in spec.inputs}
    for source, table in tables.items():
        platform.warehouse.ensure(table)
        _require_batches(platform, source, nights)
    with platform.warehouse.reading() as reading:
        dealt = shards(reading, spec, tables, nights, folder)
        landed = {
            source: landings(
                reading, source, DateRange(featurise.earliest_input(spec, source, nights.first), nights.last)
            )
            for source in spec.inputs
        }
    return dealt, landed


def _require_batches(platform: Platform, source: str, nights: DateRange) -> None:
    have = platform.warehouse.dates(raw_table(platform.project.source(source)), nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(have))
    if missing:
        raise NotReady(
            f"has no batch for {len(missing)} of {len(nights.dates)} nights, first {missing[0]}",
            subject=Subject("source", source),
            remedy=RunStage("collect", source),
        )


def _replace(write: PartitionWrite, table: Table, nights: Mapping[date, Built]) -> int:
    def pieces() -> Iterator[pa.RecordBatch]:
        for each in nights.values():
            for block in each.rows.each():
                yield from table.arrow(block).to_batches(max_chunksize=ROWS_A_PIECE)

    return write.replace(table, pieces)


def _keep_faults(
    write: PartitionWrite,
    spec: FeatureSet,
    looked: Mapping[date, _Looked],
    found: list[Fault],
    stood: Mapping[date, str | None],
) -> None:
    """Close the faults of rows that others replace, and keep what was found. ``stood``: the contents of before."""
    for night, each in looked.items():
        same = stood.get(night) in (each.content, each.first)
        of = {"feature_set": spec.set, "version": spec.version, "batch_date": night, "same": same}
        write.run(faults.CORRECTED, sketch_sha256=each.sketch.sketch_sha256, **of)
        for fault in found:
            if fault.batch_date == night:
                write.run(faults.FIND, fault, same=same)


def _record(
    write: PartitionWrite,
    spec: FeatureSet,
    nights: Mapping[date, Built],
    looked: Mapping[date, _Looked],
    landed: Landings,
    asked: Try,
) -> None:
    code = featurise.definition_sha256(spec)
    for batch_date, each in nights.items():
        batch = FeatureBatch(
            feature_set=spec.set,
            feature_version=spec.version,
            batch_date=batch_date,
            row_count=each.rows.rows,
            content_sha256=looked[batch_date].content,
            code_sha256=code,
            run_id=asked.run_id,
        )
        write.run(features.BUILT, batch, earlier=looked[batch_date].first)
        write.run(sketches.KEEP_FEATURES, looked[batch_date].sketch)
    table = feature_inputs_table()
    used = [
        (spec.set, spec.version, batch_date, source, day, *landed[source].get(day, UNKNOWN))
        for batch_date, each in nights.items()
        for source, day in each.of
    ]
    rows = pd.DataFrame(used, columns=list(table.columns))
    write.replace(table, rows, feature_set=spec.set, feature_version=spec.version)
