"""What is recorded of a version, read back and checked: its spec, its snapshot, its decision, its promotions."""

import hashlib
import json
import re
from typing import Any

import pandas as pd

from nightshift import artifacts, train
from nightshift.cards import Record, counts
from nightshift.errors import ClearTask, NotReady, RequestError, RunStage, Subject
from nightshift.platform.fitted import load_pipeline
from nightshift.platform.frozen import read_snapshot
from nightshift.platform.handles import Platform
from nightshift.platform.provenance import SPEC_FILE, TRIALS_FILE
from nightshift.records import decisions, ledger, monitoring, snapshots, versions
from nightshift.records.decisions import Decision
from nightshift.records.versions import Version
from nightshift.specs import Model


def version_row(platform: Platform, name: str, version: int) -> Version:
    """Return a version's row of ``governance.versions``.

    Raises:
        SpecError: neither such a version nor such a model.
        NotReady: no such version.
    """
    row = platform.warehouse.one(versions.VERSION, model=name, version=version)
    if row is None:
        platform.project.model(name)
        known = ", ".join(map(str, _known(platform, name))) or "none"
        raise NotReady(f"model '{name}' has no version {version}; known: {known}")
    return row


def require_own(platform: Platform, name: str, training_id: str) -> None:
    """Raise RequestError where a training of this id is another model's: run ids are unique within a DAG alone."""
    version = platform.warehouse.one(versions.OF_TRAINING, training_id=training_id)
    decision = platform.warehouse.one(decisions.DECISION, training_id=training_id)
    for row in (version, decision):
        if row is not None and row.model != name:
            raise RequestError(
                f"training '{training_id}' is of model '{row.model}', not of '{name}'; start the run with another id"
            )


def trained_version(platform: Platform, name: str, training_id: str) -> Version:
    """Return the version that a training registered.

    Raises:
        NotReady: it has none.
        RequestError: it is not a training of ``name``.
    """
    require_own(platform, name, training_id)
    version = platform.warehouse.one(versions.OF_TRAINING, training_id=training_id)
    if version is None:
        raise NotReady(
            "has registered no version", subject=Subject("training", training_id), remedy=ClearTask("fit")
        )
    return version


def decision_of(platform: Platform, name: str, training_id: str) -> Decision:
    """Return the decision of a training.

    Raises:
        NotReady: its gates have not run.
        RequestError: it is not a training of ``name``.
    """
    require_own(platform, name, training_id)
    decision = platform.warehouse.one(decisions.DECISION, training_id=training_id)
    if decision is None:
        raise NotReady(
            "has no decision", subject=Subject("training", training_id), remedy=ClearTask("evaluate")
        )
    return decision


def newest_version(platform: Platform, name: str) -> int:
    """Return the newest registered version. Raises SpecError for an unknown model, NotReady if it has none."""
    known = _known(platform, name)
    if not known:
        platform.project.model(name)
        raise NotReady("has no version", subject=Subject("model", name), remedy=RunStage("train", name))
    return known[-1]


def recorded_spec(platform: Platform, version: Version) -> Model:
    """Return the spec of a version as it was when it was trained.

    Raises:
        ArtifactRefused: the spec logged with its run is not the one whose hash was recorded.
        NotReady: the run has none.
    """
    content = platform.registry.file(version.mlflow_run_id, SPEC_FILE)
    expected = version.spec_sha256
    if _as_first_hashed(content) != expected:  # an older version's
        artifacts.check_sha256(content, expected, f"{SPEC_FILE} of run {version.mlflow_run_id}")
    return _by_its_names(platform, Model.model_validate_json(content), version)


def _by_its_names(platform: Platform, spec: Model, version: Version) -> Model:
    """Return the spec with what was renamed since under the names of now, so that it is found."""
    features, source = spec.features, spec.target.source if spec.target else ""
    for renamed in platform.warehouse.all(ledger.RENAMED_SINCE, since=version.created_at):
        if renamed.kind == "source" and source == renamed.old_name:
            source = renamed.new_name
        if renamed.kind == "features" and re.fullmatch(f"{renamed.old_name}(_v[1-9][0-9]*)?", features):
            features = renamed.new_name + features.removeprefix(renamed.old_name)
    target = spec.target.model_copy(update={"source": source}) if spec.target else None
    return spec.model_copy(update={"name": version.model, "features": features, "target": target})


def recipe(platform: Platform, version: Version, declared: Model, pipeline: Any) -> Model:
    """Return the recorded spec of a version with the estimator that was fitted, a search's winner if there was one.

    Of what a function has made, the winner is the one of the recorded trials.
    """
    if train.is_by_function(declared, pipeline) and declared.train.tune.trials and not version.brought:
        told = json.loads(platform.registry.file(version.mlflow_run_id, TRIALS_FILE))
        declared = train.chosen(declared, [train.Trial(**trial) for trial in told["trials"]])
    return train.as_fitted(declared, pipeline)


def record_of(platform: Platform, version: Version) -> tuple[Record, pd.DataFrame]:
    """Return everything recorded of a version, and the rows of its snapshot.

    Raises:
        ArtifactRefused: the spec, the snapshot or the model file is not what was recorded.
    """
    declared = recorded_spec(platform, version)
    pipeline = load_pipeline(platform, declared, version.version)
    spec = recipe(platform, version, declared, pipeline)
    snapshot, rows = read_snapshot(platform, version.snapshot_id)
    entity = platform.project.feature_set(spec.features).entity
    with platform.warehouse.session() as session:
        record = Record(
            spec=spec,
            version=version,
            snapshot=snapshot,
            counts=counts(snapshot, rows, entity),
            sources=session.all(snapshots.DELIVERIES, snapshot_id=version.snapshot_id),
            decision=session.one(decisions.DECISION, training_id=version.training_id),
            promotions=session.all(ledger.ENTRIES_OF, model=version.model, version=version.version),
            request=session.one(monitoring.ASKED, training_id=version.training_id),
            url=platform.registry.url(version.mlflow_run_id),
            signature=session.one(decisions.SIGNATURE, training_id=version.training_id),
            encodings=train.told(pipeline),
            unseeded=train.final(pipeline).get_params().get("random_state", 0) is None,
        )
    return record, rows


def _as_first_hashed(content: bytes) -> str | None:
    """Return the hash that versions got before theirs was that of the file: of the spec by its fields' own names."""
    try:
        spec: dict[str, Any] = json.loads(content)
        spec["estimator"]["path"] = spec["estimator"].pop("class")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def _known(platform: Platform, name: str) -> list[int]:
    return [each.version for each in platform.warehouse.all(versions.KNOWN, model=name)]
