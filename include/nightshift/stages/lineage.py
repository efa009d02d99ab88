"""Lineage by ids: from which deliveries raw rows came, and what features and snapshots were made of.

Read within the transaction that reads the rows themselves: so it is of them, whatever is replaced meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from nightshift.calendar import DateRange
from nightshift.specs import FeatureSet
from nightshift.warehouse import Reading

LANDED = (
    "SELECT batch_date, published_sha256, published_by FROM catalog.batches "
    "WHERE source = $1 AND batch_date BETWEEN $2 AND $3"
)
CONTENTS = (
    "SELECT batch_date, content_sha256 FROM catalog.feature_batches "
    "WHERE feature_set = $1 AND feature_version = $2 AND batch_date BETWEEN $3 AND $4"
)
BEHIND = (
    "SELECT DISTINCT source, source_batch_date, landed_sha256, landed_by FROM catalog.feature_inputs "
    "WHERE feature_set = $1 AND feature_version = $2 AND batch_date BETWEEN $3 AND $4"
)
FREEZE_INPUTS = (
    "INSERT INTO catalog.snapshot_inputs (snapshot_id, feature_set, feature_version, batch_date, content_sha256) "
    "VALUES (%s, %s, %s, %s, %s)"
)
FREEZE_SOURCES = (
    "INSERT INTO catalog.snapshot_sources (snapshot_id, role, source, source_batch_date, landed_sha256, landed_by) "
    "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"  # the same file, landed by two runs
)
Landing = tuple[str | None, str | None]  # hash of the file, and the run that landed it; None: not known
UNKNOWN: Landing = (None, None)


@dataclass(frozen=True)
class Origin:
    """What a snapshot is made of: hashes of feature partitions, and rows (role, source, date, hash, run)."""

    contents: dict[date, str]
    sources: list[tuple[str, str, date, str, str | None]]


def landings(reading: Reading, source: str, nights: DateRange) -> dict[date, Landing]:
    """Return which landing the raw rows of each of the nights came from."""
    return {
        row["batch_date"]: (row["published_sha256"], row["published_by"])
        for row in reading.rows(LANDED, (source, nights.first, nights.last))
    }


def feature_contents(reading: Reading, spec: FeatureSet, nights: DateRange) -> dict[date, str]:
    """Return the recorded hash of each of the set's partitions of ``nights``."""
    wanted = (spec.set, spec.version, nights.first, nights.last)
    return {row["batch_date"]: row["content_sha256"] for row in reading.rows(CONTENTS, wanted)}


def origin(
    reading: Reading, spec: FeatureSet, nights: DateRange, source: str, reported: Iterable[date]
) -> Origin:
    """Return what a snapshot of ``nights``, with labels from the batches ``reported`` of ``source``, is made of."""
    days = sorted(reported)
    told = landings(reading, source, DateRange(days[0], days[-1])) if days else {}
    behind = reading.rows(BEHIND, (spec.set, spec.version, nights.first, nights.last))
    features = [
        ("features", row["source"], row["source_batch_date"], row["landed_sha256"] or "", row["landed_by"])
        for row in behind
    ]
    labels = [("labels", source, day, *_named(told.get(day, UNKNOWN))) for day in days]
    return Origin(feature_contents(reading, spec, nights), [*features, *labels])


def freeze(cursor: Any, snapshot_id: str, spec: FeatureSet, made_of: Origin) -> None:
    """Record what a new snapshot is made of. ``cursor``: psycopg2, in the snapshot's own transaction."""
    contents = made_of.contents.items()
    cursor.executemany(FREEZE_INPUTS, [(snapshot_id, spec.set, spec.version, *item) for item in contents])
    cursor.executemany(FREEZE_SOURCES, [(snapshot_id, *row) for row in made_of.sources])


def _named(landing: Landing) -> tuple[str, str | None]:
    return landing[0] or "", landing[1]
