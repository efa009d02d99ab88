"""Build feature partitions from raw ones."""

import hashlib
from datetime import date

import pandas as pd

from nightshift import featurise
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.specs import FeatureSet
from nightshift.stages.lineage import UNKNOWN, Landing, landings
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import PartitionWrite, feature_inputs_table, feature_table, raw_table

Landings = dict[str, dict[date, Landing]]  # by source and batch date

FILE = (
    "INSERT INTO catalog.feature_batches (feature_set, feature_version, batch_date, row_count, content_sha256, "
    "code_sha256, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7) "
    "ON CONFLICT (feature_set, feature_version, batch_date) DO UPDATE SET (row_count, content_sha256, "
    "code_sha256, run_id, built_at) = (excluded.row_count, excluded.content_sha256, excluded.code_sha256, "
    "excluded.run_id, clock_timestamp())"
)


def build_features(platform: Platform, name: str, nights: DateRange, asked: Try) -> Facts:
    """Build a set's partitions for each night from what that night could know.

    Raises:
        NotReady: an input has no batch for one of the nights.
        BatchRejected: ``build()`` returned something other than what the set declares.
    """
    spec = platform.project.feature_set(name)
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
    with platform.warehouse.write(lease) as write:
        rows = write.replace(table, pd.concat(built.values(), ignore_index=True))
        _record(write, spec, built, inputs, asked)
    return {"feature_set": spec.table, "nights": str(nights), "rows": rows}


def content_sha256(frame: pd.DataFrame) -> str:
    """Return the hash of the rows of a frame, in their order, column names included."""
    digest = hashlib.sha256(",".join(frame.columns).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


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
            frame = reading.read(raw_table(platform.project.source(source)), wanted.first, wanted.last)
            dates = pd.to_datetime(frame["batch_date"]).astype("datetime64[s]")
            frames[source] = frame.assign(batch_date=dates)
            landed[source] = landings(reading, source, wanted)
    return frames, landed


def _used(batch_date: date, seen: dict[str, pd.DataFrame], landed: Landings) -> list[tuple[object, ...]]:
    """Return a row for each raw batch of which ``batch_date`` sees rows."""
    return [
        (batch_date, source, day, *landed[source].get(day, UNKNOWN))
        for source, frame in seen.items()
        for day in pd.DatetimeIndex(frame["batch_date"].unique()).date
    ]


def _require_batches(platform: Platform, source: str, nights: DateRange) -> None:
    have = platform.warehouse.dates(raw_table(platform.project.source(source)), nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(have))
    if missing:
        raise NotReady(
            f"source '{source}' has no batch for {len(missing)} of {len(nights.dates)} nights, first {missing[0]}; "
            f"run collect_{source} for it"
        )


def _record(
    write: PartitionWrite,
    spec: FeatureSet,
    built: dict[date, pd.DataFrame],
    inputs: list[tuple[object, ...]],
    asked: Try,
) -> None:
    code = featurise.code_sha256(spec)
    for batch_date, frame in built.items():
        row = (spec.name, spec.version, batch_date, len(frame), content_sha256(frame), code, asked.run_id)
        write.execute(FILE, row)
    table = feature_inputs_table()
    rows = pd.DataFrame([(spec.name, spec.version, *used) for used in inputs], columns=list(table.columns))
    write.replace(table, rows, feature_set=spec.name, feature_version=spec.version)
