"""What is recorded of a version, read back and checked: its spec, its snapshot, its decision, its promotions."""

import hashlib
import json
import re
from typing import Any

import pandas as pd

from nightshift import artifacts, train
from nightshift.cards import Record, counts
from nightshift.errors import NotReady
from nightshift.specs import Model
from nightshift.stages.platform import Facts, Platform
from nightshift.stages.scoring import load_pipeline
from nightshift.stages.training import SPEC_FILE, read_snapshot

SOURCES = (
    "SELECT role, source, count(*) AS batches, min(source_batch_date) AS first, max(source_batch_date) AS last, "
    "count(*) FILTER (WHERE landed_sha256 = '') AS unknown FROM catalog.snapshot_sources WHERE snapshot_id = %s "
    "GROUP BY 1, 2 ORDER BY 2, 1"
)
RENAMED = "SELECT kind, old_name, new_name FROM governance.renames WHERE renamed_at > %s ORDER BY rename"
REQUEST = (
    "SELECT r.batch_date, r.reason, r.requested_by, v.drift FROM monitoring.retrain_requests r "
    "LEFT JOIN monitoring.verdicts v USING (model, batch_date) WHERE r.training_id = %s"
)


def version_row(platform: Platform, name: str, version: int) -> Facts:
    """Return a version's row of ``governance.versions``.

    Raises:
        SpecError: neither such a version nor such a model.
        NotReady: no such version.
    """
    row = platform.warehouse.row(
        "SELECT * FROM governance.versions WHERE model = %s AND version = %s", (name, version)
    )
    if row is None:
        platform.project.model(name)
        raise NotReady(f"model '{name}' has no version {version}; known: {_known(platform, name)}")
    return row


def newest_version(platform: Platform, name: str) -> int:
    """Return the newest registered version. Raises SpecError for an unknown model, NotReady if it has none."""
    row = platform.warehouse.row(
        "SELECT max(version) AS version FROM governance.versions WHERE model = %s", (name,)
    )
    if row is None or row["version"] is None:
        platform.project.model(name)
        raise NotReady(f"model '{name}' has no version; trigger train_{name}")
    return int(row["version"])


def recorded_spec(platform: Platform, version: Facts) -> Model:
    """Return the spec of a version as it was when it was trained.

    Raises:
        ArtifactRefused: the spec logged with its run is not the one whose hash was recorded.
        NotReady: the run has none.
    """
    content = platform.registry.file(version["mlflow_run_id"], SPEC_FILE)
    expected = version["spec_sha256"]
    if _as_first_hashed(content) != expected:  # an older version's
        artifacts.check_sha256(content, expected, f"{SPEC_FILE} of run {version['mlflow_run_id']}")
    return _by_its_names(platform, Model.model_validate_json(content), version)


def _by_its_names(platform: Platform, spec: Model, version: Facts) -> Model:
    """Return the spec with what was renamed since under the names of now, so that it is found."""
    features, source = spec.features, spec.target.source if spec.target else ""
    for row in platform.warehouse.rows(RENAMED, (version["created_at"],)):
        if row["kind"] == "source" and source == row["old_name"]:
            source = row["new_name"]
        if row["kind"] == "features" and re.fullmatch(f"{row['old_name']}(_v[1-9][0-9]*)?", features):
            features = row["new_name"] + features.removeprefix(row["old_name"])
    target = spec.target.model_copy(update={"source": source}) if spec.target else None
    return spec.model_copy(update={"name": version["model"], "features": features, "target": target})


def record_of(platform: Platform, version: Facts) -> tuple[Record, pd.DataFrame]:
    """Return everything recorded of a version, and the rows of its snapshot.

    Raises:
        ArtifactRefused: the spec, the snapshot or the model file is not what was recorded.
    """
    declared = recorded_spec(platform, version)
    pipeline = load_pipeline(platform, declared, version["version"])
    spec = train.as_fitted(declared, pipeline)
    snapshot, rows = read_snapshot(platform, version["snapshot_id"])
    entity = platform.project.feature_set(spec.features).entity
    training = (version["training_id"],)
    found = platform.warehouse
    promotions = "SELECT * FROM governance.promotions WHERE model = %s AND version = %s ORDER BY entry"
    record = Record(
        spec=spec,
        version=version,
        snapshot=snapshot,
        counts=counts(snapshot, rows, entity),
        sources=found.rows(SOURCES, (version["snapshot_id"],)),
        decision=found.row("SELECT * FROM governance.decisions WHERE training_id = %s", training),
        promotions=found.rows(promotions, (version["model"], version["version"])),
        request=found.row(REQUEST, training),
        url=platform.registry.url(version["mlflow_run_id"]),
        signature=_signature(platform, version["training_id"]),
        encodings=train.told(pipeline),
        unseeded=train.final(pipeline).get_params().get("random_state", 0) is None,
    )
    return record, rows


def _signature(platform: Platform, training_id: str) -> Facts | None:
    return platform.warehouse.row(
        "SELECT * FROM governance.signatures WHERE training_id = %s", (training_id,)
    )


def _as_first_hashed(content: bytes) -> str | None:
    """Return the hash that versions got before theirs was that of the file: of the spec by its fields' own names."""
    try:
        spec: dict[str, Any] = json.loads(content)
        spec["estimator"]["path"] = spec["estimator"].pop("class")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def _known(platform: Platform, name: str) -> str:
    rows = platform.warehouse.rows(
        "SELECT version FROM governance.versions WHERE model = %s ORDER BY 1", (name,)
    )
    return ", ".join(str(row["version"]) for row in rows) or "none"
