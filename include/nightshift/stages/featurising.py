"""Build feature partitions from raw ones."""

import hashlib
from datetime import date

import pandas as pd

from nightshift import featurise
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, SpecError
from nightshift.specs import FeatureSet
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import feature_table, raw_table

FILE = (
    "INSERT INTO catalog.feature_batches (feature_set, feature_version, batch_date, row_count, content_sha256, "
    "code_sha256, run_id) VALUES (%s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (feature_set, feature_version, batch_date) DO UPDATE SET (row_count, content_sha256, "
    "code_sha256, run_id, built_at) = (excluded.row_count, excluded.content_sha256, excluded.code_sha256, "
    "excluded.run_id, clock_timestamp())"
)


def build_features(
    platform: Platform, name: str, nights: DateRange, asked: Try, *, redefine: bool = False
) -> Facts:
    """Build a set's partitions for each night from what that night could know.

    Raises:
        SpecError: another definition built this version's other nights, and ``redefine`` does not say it may.
        NotReady: an input has no batch for one of the nights.
        BatchRejected: ``build()`` returned something other than what the set declares.
    """
    spec = platform.project.feature_set(name)
    if not redefine:
        _require_same_definition(platform, spec, nights)
    table = feature_table(spec)
    platform.warehouse.ensure(table)
    lease = platform.warehouse.lease(table, nights.dates, asked.holder)
    frames = _inputs(platform, spec, nights)
    build = featurise.load_build(spec)
    built = {}
    for batch_date in nights.dates:
        seen = featurise.visible(frames, spec, platform.project.calendar, batch_date)
        built[batch_date] = featurise.compute(spec, build, seen, batch_date)
    with platform.warehouse.write(lease) as write:
        rows = write.replace(table, pd.concat(built.values(), ignore_index=True))
    _record(platform, spec, built, asked)
    return {"feature_set": spec.table, "nights": str(nights), "rows": rows}


def content_sha256(frame: pd.DataFrame) -> str:
    """Return the hash of the rows of a frame, in their order, column names included."""
    digest = hashlib.sha256(",".join(frame.columns).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _require_same_definition(platform: Platform, spec: FeatureSet, nights: DateRange) -> None:
    """Raise SpecError if a night that this build leaves standing was built by another definition."""
    found = platform.warehouse.row(
        "SELECT min(batch_date) AS first, max(batch_date) AS last, count(*) AS nights FROM catalog.feature_batches "
        "WHERE feature_set = %s AND feature_version = %s AND code_sha256 <> %s AND NOT batch_date BETWEEN %s AND %s",
        (spec.set, spec.version, featurise.definition_sha256(spec), nights.first, nights.last),
    )
    if found and found["nights"]:
        raise SpecError(
            f"{spec.path}: {spec.set} v{spec.version} was built by another definition ({found['nights']} nights, "
            f"{found['first']} .. {found['last']}); copy it to {spec.set}_v{spec.version + 1}.py, or, to redefine "
            f"v{spec.version} and rebuild its nights, run features_{spec.name} for them with definition: changed"
        )


def _inputs(platform: Platform, spec: FeatureSet, nights: DateRange) -> dict[str, pd.DataFrame]:
    frames = {}
    for source in spec.inputs:
        table = raw_table(platform.project.source(source))
        platform.warehouse.ensure(table)
        _require_batches(platform, source, nights)
        first = featurise.earliest_input(spec, source, nights.first)
        frames[source] = featurise.dated(platform.warehouse.read(table, first, nights.last))
    return frames


def _require_batches(platform: Platform, source: str, nights: DateRange) -> None:
    have = platform.warehouse.dates(raw_table(platform.project.source(source)), nights.first, nights.last)
    missing = sorted(set(nights.dates) - set(have))
    if missing:
        raise NotReady(
            f"source '{source}' has no batch for {len(missing)} of {len(nights.dates)} nights, first {missing[0]}; "
            f"run collect_{source} for it"
        )


def _record(platform: Platform, spec: FeatureSet, built: dict[date, pd.DataFrame], asked: Try) -> None:
    code = featurise.definition_sha256(spec)
    rows = [
        (spec.set, spec.version, batch_date, len(frame), content_sha256(frame), code, asked.run_id)
        for batch_date, frame in built.items()
    ]
    with platform.warehouse.transaction() as cursor:
        cursor.executemany(FILE, rows)
