"""Frozen training data, read back and checked: the file is the one that was frozen, its labels mean the same."""

import io
import json

import pandas as pd
import pyarrow.parquet as pq

from nightshift import artifacts
from nightshift.errors import ClearTask, NotReady
from nightshift.platform.handles import Platform
from nightshift.records import snapshots
from nightshift.records.snapshots import Snapshot
from nightshift.specs import Model
from nightshift.types import to_frame


def read_snapshot(
    platform: Platform, snapshot_id: str, model: Model | None = None
) -> tuple[Snapshot, pd.DataFrame]:
    """Return a snapshot and its rows. ``model``: whose labels they are to be.

    Raises:
        ArtifactRefused: the file is not what was frozen.
        NotReady: there is none, its file is gone, or the model's target is another than the one it was frozen with.
    """
    snapshot = platform.warehouse.one(snapshots.SNAPSHOT, snapshot_id=snapshot_id)
    if snapshot is None:
        raise NotReady(f"no snapshot {snapshot_id}", remedy=ClearTask("snapshot"))
    content = platform.objects.find(snapshot.object_key)
    if content is None:
        raise NotReady(
            f"{platform.objects.uri(snapshot.object_key)}: the file of snapshot {snapshot_id[:12]} is gone. Of a "
            "training without a version retention takes it (catalog.retired says when): train again. Of a version: "
            "restore it from a backup"
        )
    artifacts.check_sha256(content, snapshot_id, f"snapshot {snapshot.object_key}")
    table = pq.read_table(io.BytesIO(content))
    if model is not None:
        _require_same_target(model, table.schema.metadata or {}, snapshot)
    return snapshot, to_frame(table)


def definition(model: Model) -> str:
    """Return what the labels of a model mean, as it is frozen with them."""
    return model.target.definition if model.target else "none"


def _require_same_target(model: Model, about: dict[bytes, bytes], snapshot: Snapshot) -> None:
    """Raise NotReady unless labels of a snapshot mean what the spec declares. Old ones tell their classes only."""
    if b"target" in about:
        frozen, declared = about[b"target"].decode(), definition(model)
    else:
        frozen, declared = about.get(b"classes", b"[]").decode(), json.dumps(model.classes)
    if frozen != declared:
        raise NotReady(
            f"model '{model.name}': its target is {declared} now; the snapshot as of {snapshot.as_of} was frozen with "
            f"{frozen}: its labels mean others. Undo the change, or train again (trigger train_{model.name})"
        )


def split(snapshot: Snapshot, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to fit on and the holdout."""
    dates = rows["batch_date"]
    last, first = pd.Timestamp(snapshot.train_last), pd.Timestamp(snapshot.holdout_first)
    return rows[dates <= last], rows[dates >= first]
