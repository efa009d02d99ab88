"""Lineage by ids: from which deliveries raw rows came, and what features and snapshots were made of.

Read within the transaction that reads the rows themselves: so it is of them, whatever is replaced meanwhile.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from nightshift.calendar import DateRange
from nightshift.database import Reads, Session
from nightshift.records import deliveries, features, snapshots
from nightshift.records.snapshots import SnapshotInput, SnapshotSource
from nightshift.specs import FeatureSet

Landing = tuple[str | None, str | None]  # hash of the file, and the run that landed it; None: not known
UNKNOWN: Landing = (None, None)


@dataclass(frozen=True)
class Origin:
    """What a snapshot is made of: hashes of feature partitions, and rows (role, source, date, hash, run)."""

    contents: dict[date, str | None]
    sources: list[tuple[str, str, date, str, str | None]]


def landings(reading: Reads, source: str, nights: DateRange) -> dict[date, Landing]:
    """Return which landing the raw rows of each of the nights came from."""
    return {
        batch.batch_date: (batch.published_sha256, batch.published_by)
        for batch in reading.all(deliveries.BEHIND, source=source, first=nights.first, last=nights.last)
    }


def feature_contents(reading: Reads, spec: FeatureSet, nights: DateRange) -> dict[date, str | None]:
    """Return the recorded hash of each of the set's partitions of ``nights``."""
    of = {"feature_set": spec.set, "version": spec.version, "first": nights.first, "last": nights.last}
    return {each.batch_date: each.content_sha256 for each in reading.all(features.CONTENTS_OF_SET, **of)}


def origin(
    reading: Reads,
    spec: FeatureSet,
    nights: DateRange,
    source: str,
    reported: Iterable[date],
    left_out: Collection[date] = (),
) -> Origin:
    """Return what a snapshot of ``nights``, with labels from the batches ``reported`` of ``source``, is made of.

    ``left_out``: those of the nights whose rows are not in it.
    """
    days = sorted(reported)
    told = landings(reading, source, DateRange(days[0], days[-1])) if days else {}
    of = {"feature_set": spec.set, "version": spec.version, "first": nights.first, "last": nights.last}
    behind = reading.all(features.INPUTS, **of, left_out=sorted(left_out))
    contents = feature_contents(reading, spec, nights)
    built_from = [
        ("features", each.source, each.source_batch_date, each.landed_sha256 or "", each.landed_by)
        for each in behind
    ]
    labels = [("labels", source, day, *_named(told.get(day, UNKNOWN))) for day in days]
    return Origin(
        {night: content for night, content in contents.items() if night not in left_out},
        [*built_from, *labels],
    )


def freeze(session: Session, snapshot_id: str, spec: FeatureSet, made_of: Origin) -> None:
    """Record what a new snapshot is made of, in the snapshot's own transaction."""
    session.each(
        snapshots.FREEZE_INPUT,
        [
            SnapshotInput(
                snapshot_id=snapshot_id,
                feature_set=spec.set,
                feature_version=spec.version,
                batch_date=night,
                content_sha256=content or "",
            )
            for night, content in made_of.contents.items()
        ],
    )
    session.each(
        snapshots.FREEZE_SOURCE,
        [
            SnapshotSource(
                snapshot_id=snapshot_id,
                role=role,
                source=source,
                source_batch_date=day,
                landed_sha256=sha256,
                landed_by=run_id,
            )
            for role, source, day, sha256, run_id in made_of.sources
        ],
    )


def _named(landing: Landing) -> tuple[str, str | None]:
    return landing[0] or "", landing[1]


def first_content_sha256(frame: pd.DataFrame) -> str:
    """Return the hash that partitions had first: of the rows in their order, as pandas hashes them."""
    digest = hashlib.sha256(",".join(frame.columns).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
