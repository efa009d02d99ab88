"""Snapshots: the frozen training data, and what each was made of."""

from dataclasses import dataclass
from datetime import date, datetime

from nightshift.rows import Query, Row, insert, select, stamped


@dataclass(frozen=True, kw_only=True)
class Snapshot(Row, table="governance.snapshots", key=("snapshot_id",)):
    """Frozen rows: their file, by its hash, and the days to fit on and to hold out."""

    snapshot_id: str
    model: str
    as_of: date
    feature_set: str
    feature_version: int
    object_key: str
    row_count: int
    train_first: date
    train_last: date
    holdout_first: date
    holdout_last: date
    created_at: datetime = stamped()


FREEZE = insert(Snapshot, "ON CONFLICT (snapshot_id) DO NOTHING")
SNAPSHOT = select(Snapshot, "snapshot_id = %(snapshot_id)s")
HOLDING = select(
    Snapshot,
    "feature_set = %(feature_set)s AND feature_version = %(version)s "
    "AND %(night)s BETWEEN train_first AND holdout_last",
    order="created_at DESC",
)


@dataclass(frozen=True, kw_only=True)
class SnapshotInput(Row, table="catalog.snapshot_inputs"):
    """A feature partition that a snapshot was frozen from."""

    snapshot_id: str
    feature_set: str
    feature_version: int
    batch_date: date
    content_sha256: str


FREEZE_INPUT = insert(SnapshotInput)


@dataclass(frozen=True, kw_only=True)
class SnapshotSource(Row, table="catalog.snapshot_sources"):
    """A delivery behind a snapshot; ``landed_sha256`` is empty where it is not known."""

    snapshot_id: str
    role: str
    source: str
    source_batch_date: date
    landed_sha256: str
    landed_by: str | None


FREEZE_SOURCE = insert(SnapshotSource, "ON CONFLICT DO NOTHING")  # the same file, landed by two runs


@dataclass(frozen=True, kw_only=True)
class Deliveries(Row):
    """The deliveries of one source behind a snapshot, counted; ``unknown``: those whose file is not known."""

    role: str
    source: str
    batches: int
    first: date
    last: date
    unknown: int


# As people ask it.
EACH_DELIVERY = "SELECT upstream_id FROM catalog.lineage WHERE downstream_kind = 'snapshot'"
DELIVERIES = Query(
    "SELECT role, source, count(*) AS batches, min(source_batch_date) AS first, max(source_batch_date) AS last, "
    "count(*) FILTER (WHERE landed_sha256 = '') AS unknown FROM catalog.snapshot_sources "
    "WHERE snapshot_id = %(snapshot_id)s GROUP BY 1, 2 ORDER BY 2, 1",
    Deliveries,
)
