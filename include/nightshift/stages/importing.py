"""Bring a fitted model: its file becomes a version, by its own hash, and goes through the same gates as any other.

What it was trained on is not known, only what whoever brings it says: ``trained_until``. So the holdout must be later
than that day, and no way is around the gate.
"""

from datetime import date
from typing import Any

import pandas as pd

from nightshift import artifacts, kept, results, train
from nightshift.artifacts import own_code
from nightshift.environment import environment
from nightshift.errors import NotReady, RequestError, UnfairHoldout
from nightshift.monitor.profile import build_profile
from nightshift.platform import Platform, Try
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.papers import require_own
from nightshift.platform.provenance import ENVIRONMENT_FILE, SPEC_FILE, packages_of, spec_text
from nightshift.records import versions
from nightshift.records.profile import Profile
from nightshift.records.snapshots import Snapshot
from nightshift.records.versions import Brought, Examples
from nightshift.specs import Model
from nightshift.stages.train import EXAMPLES, Made, register, trained
from nightshift.types import as_numbers


def receive(platform: Platform, name: str, content: bytes) -> str:
    """Keep a model file that may be imported, and return its hash. The training ``name`` is not started.

    Raises:
        ArtifactRefused: it is no skops file, or holds types that are not allowed: nothing of it was opened.
        FitFailed, SpecError: what it holds is not fitted, not for the task, or on other features than the model's.
    """
    model = platform.project.model(name)
    _opened(platform, model, content)
    _, digest = platform.objects.put_once(kept.imports(name), content, ".skops")
    return digest


def take_over(
    platform: Platform,
    name: str,
    snapshot_id: str,
    asked: Try,
    *,
    file: str,
    trained_until: date,
    reason: str,
    actor: str,
) -> results.Fitted:
    """Register a received file as the version of this training; a retry finds what an earlier try finished.

    Raises:
        UnfairHoldout: the holdout is not later than ``trained_until``.
        NotReady: no such file was received.
        ArtifactRefused, FitFailed, SpecError: as :func:`receive`.
    """
    model = platform.project.model(name)
    require_own(platform, name, asked.run_id)
    known = platform.warehouse.one(versions.OF_TRAINING, training_id=asked.run_id)
    if known:
        return trained(platform, known.version, known.mlflow_run_id)
    frozen, rows = read_snapshot(platform, snapshot_id, model)
    _require_unseen(model, frozen, trained_until)
    content = _received(platform, name, file)
    pipeline = _opened(platform, model, content)
    unseen = rows[rows["batch_date"] > pd.Timestamp(trained_until)]

    def make(run_id: str) -> Made:
        profile, examples = _log(platform, model, frozen, unseen, (run_id, content, pipeline))
        own = platform.project.own
        return Made(
            artifact_sha256=artifacts.seal(content, own.types),
            own_code=own_code(own, content),
            profile=profile,
            examples=examples,
            predictions_sha256=train.predictions_sha256(train.predict(pipeline, rows, model.classes)),
            train_first=min(frozen.train_first, trained_until),
            train_last=trained_until,
            brought=Brought(file, actor, trained_until, reason),
        )

    return register(platform, model, frozen, asked, reason, make)


def _opened(platform: Platform, model: Model, content: bytes) -> Any:
    own = platform.project.own
    with own.importable():
        pipeline = artifacts.load(content, artifacts.seal(content, own.types), own.types)
    train.require_fitted(model, pipeline, list(platform.project.feature_set(model.features).columns))
    return pipeline


def _received(platform: Platform, name: str, file: str) -> bytes:
    try:
        content = platform.objects.get(kept.imports(name, file))
    except FileNotFoundError as error:
        raise NotReady(
            f"model '{name}': no file with SHA-256 {file} was received; start it with `nightshift import`"
        ) from error
    artifacts.check_sha256(content, file, kept.imports(name, file))
    return content


def _require_unseen(model: Model, frozen: Snapshot, trained_until: date) -> None:
    if trained_until >= frozen.as_of:
        raise RequestError(
            f"trained_until: {trained_until} is not before {frozen.as_of}, as of which it is imported"
        )
    if trained_until >= frozen.holdout_first:
        raise UnfairHoldout(
            f"model '{model.name}': trained until {trained_until}; the holdout as of {frozen.as_of} starts on "
            f"{frozen.holdout_first}, and must be later than all it was trained on. Import it as of a later night "
            f"(train.holdout_days: {model.train.holdout_days})"
        )


def _log(
    platform: Platform, model: Model, frozen: Snapshot, unseen: pd.DataFrame, made: tuple[str, bytes, Any]
) -> tuple[Profile, Examples]:
    """Log the file as it is, and what it says of rows that it has not seen: these are the profile for drift."""
    run_id, content, pipeline = made
    registry, own = platform.registry, platform.project.own
    columns = platform.project.feature_set(model.features).columns
    _, holdout = split(frozen, unseen)
    said = train.predict(pipeline, unseen, model.classes)
    weights = dict.fromkeys(columns, 1.0)
    if model.target:
        weights = train.importance(model, pipeline, holdout, holdout["label"])
    profile = build_profile(
        unseen[list(columns)], said, unseen["batch_date"], weights, model.drift, classes=model.classes
    )
    registry.log(run_id, params={"estimator": "imported", "holdout_first": frozen.holdout_first})
    registry.log_file(run_id, SPEC_FILE, spec_text(model))
    registry.log_file(run_id, ENVIRONMENT_FILE, environment())
    registry.log_model(
        run_id,
        pipeline,
        example=as_numbers(unseen[list(columns)].head(50)),
        packages=packages_of(model),
        trusted=artifacts.allowed(own.types),
        content=content,
    )
    examples = train.predict(pipeline, holdout.head(EXAMPLES), model.classes).tolist()
    return profile, Examples(predictions=examples, features=dict(columns))
