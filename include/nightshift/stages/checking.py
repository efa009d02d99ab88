"""Check that features do not leak, and that training, scoring and a rebuild see the same rows. Writes nothing."""

from collections.abc import Iterator
from datetime import date

import pandas as pd

from nightshift import featurise
from nightshift.errors import NotReady
from nightshift.featurise import leaks
from nightshift.featurise.leaks import DAY, Case, Finding, See
from nightshift.specs import FeatureSet
from nightshift.stages.platform import Platform
from nightshift.stages.training import read_snapshot
from nightshift.warehouse import feature_table, raw_table

# So many nights on either side of the one under attack: later rows to hide, other nights to build.
NEIGHBOURS = 2


def newest_nights(platform: Platform, name: str, count: int = 3) -> list[date]:
    """Return the newest nights that a feature set was built for, ascending. Raises NotReady if there is none."""
    spec = platform.project.feature_set(name)
    rows = platform.warehouse.rows(
        "SELECT batch_date FROM catalog.feature_batches WHERE feature_set = %s AND feature_version = %s "
        "ORDER BY batch_date DESC LIMIT %s",
        (spec.set, spec.version, count),
    )
    if not rows:
        raise NotReady(f"feature set '{name}' has no night in this warehouse; run features_{name}")
    return sorted(row["batch_date"] for row in rows)


def check_features(
    platform: Platform, name: str, night: date, *, see: See = featurise.visible
) -> list[Finding]:
    """Attack one night of a set, and compare what is built with its partition and with the newest snapshot of it.

    Raises:
        NotReady: the night has no partition.
    """
    spec = platform.project.feature_set(name)
    stored = _stored(platform, spec, night)
    case = _case(platform, spec, night, see)
    built = case.built(case.load(), night)
    parity = [("stored partition", stored, False)]
    parity += [(f"snapshot {digest[:12]}", rows, True) for digest, rows in _frozen(platform, spec, night)]
    compared = [
        Finding(words, 0, len(rows), *leaks.differing(spec, built, rows, partly=partly))
        for words, rows, partly in parity
    ]
    return leaks.check(case) + compared


def _case(platform: Platform, spec: FeatureSet, night: date, see: See) -> Case:
    frames = {}
    for source in spec.inputs:
        table = raw_table(platform.project.source(source))
        platform.warehouse.ensure(table)
        first = featurise.earliest_input(spec, source, night - NEIGHBOURS * DAY)
        frames[source] = featurise.dated(platform.warehouse.read(table, first, night + NEIGHBOURS * DAY))
    keys = {source: platform.project.source(source).key for source in spec.inputs}
    return Case(spec, platform.project.calendar, night, frames, keys, lambda: featurise.load_build(spec), see)


def _stored(platform: Platform, spec: FeatureSet, night: date) -> pd.DataFrame:
    table = feature_table(spec)
    platform.warehouse.ensure(table)
    rows = platform.warehouse.read(table, night, night)
    if rows.empty:
        raise NotReady(
            f"feature set '{spec.name}' has no partition for {night}; run features_{spec.name} for it"
        )
    return rows


def _frozen(platform: Platform, spec: FeatureSet, night: date) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the newest snapshot that holds the night: its hash and the night's rows. Only labelled rows are in it."""
    row = platform.warehouse.row(
        "SELECT snapshot_id FROM governance.snapshots WHERE feature_set = %s AND feature_version = %s "
        "AND %s BETWEEN train_first AND holdout_last ORDER BY created_at DESC LIMIT 1",
        (spec.set, spec.version, night),
    )
    if row:
        _, rows = read_snapshot(platform, row["snapshot_id"])
        yield row["snapshot_id"], rows[rows["batch_date"] == night]
