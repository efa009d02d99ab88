"""A registered version, opened: only the file that was registered, with the project's code that it was made with.

What serves may be a refit of what was judged (``train.refit``): the version then has a file of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightshift import artifacts, train
from nightshift.artifacts import Stored
from nightshift.errors import ArtifactRefused, NotReady, SchemaMismatch
from nightshift.platform.handles import Platform
from nightshift.records import versions
from nightshift.records.versions import Examples, Version
from nightshift.score import Predict
from nightshift.specs import Model

# With the run of a version that serves by a refit: the fit that was judged.
JUDGED_FOLDER = "judged"


@dataclass(frozen=True)
class File:
    """A version's file, unopened, with what is recorded: its hash, and what it said of the holdout's first rows."""

    content: bytes
    sha256: str
    predictions: Sequence[float | Sequence[float]]


def serving(platform: Platform, version: Version) -> File:
    """Return the file that a version serves by."""
    content = platform.registry.model_bytes(version.mlflow_run_id, version.artifact_sha256)
    said = (version.examples or Examples()).predictions
    return File(content, version.artifact_sha256, said)


def judged(platform: Platform, version: Version) -> File:
    """Return the file that a version was judged by: what it serves by, unless that is a refit."""
    refit = version.refit
    if refit is None:
        return serving(platform, version)
    content = platform.registry.model_bytes(version.mlflow_run_id, refit.judged_sha256, JUDGED_FOLDER)
    return File(content, refit.judged_sha256, refit.judged_examples)


def load_version(
    platform: Platform, model: Model, version: int, classes: Sequence[str] | None = None
) -> Predict:
    """Return the prediction function of a registered version. Raises as :func:`load_pipeline`.

    ``classes``: whose probabilities it gives, in their order; None: those that the spec declares.
    """
    pipeline, of = load_pipeline(platform, model, version), model.classes if classes is None else classes
    return lambda rows: train.predict(pipeline, rows, of)


def require_serves(platform: Platform, model: Model, version: int) -> None:
    """Raise unless a version can score nights as they are built now.

    Raises:
        ArtifactRefused: its file, or the code behind it, is not what was registered.
        SchemaMismatch: features or classes that it knows are not there any more.
    """
    recorded = _recorded(platform, model, version)
    trained = (recorded.examples or Examples()).features
    columns = platform.project.feature_set(model.features).columns
    try:
        pipeline = opened(platform, serving(platform, recorded), recorded)
        train.require_answers(pipeline, trained, columns, model.classes)
    except (ArtifactRefused, SchemaMismatch) as error:
        raise type(error)(f"{_named(recorded)} cannot serve: {error}. Nothing was changed") from error


def load_pipeline(platform: Platform, model: Model, version: int) -> Any:
    """Return a registered version as it was fitted, its file checked against the ledger's hash.

    Raises:
        NotReady: no such version.
        ArtifactRefused: the file is not what was registered.
    """
    recorded = _recorded(platform, model, version)
    return opened(platform, serving(platform, recorded), recorded)


def opened(platform: Platform, file: File, version: Version) -> Any:
    """Return the pipeline in a file of a version.

    Raises:
        ArtifactRefused: it is not the file that was registered, or the code behind it is another.
    """
    recorded = version.own_code or {}
    return artifacts.opened(_named(version), platform.project.own, file.content, file.sha256, recorded)


def stored(platform: Platform, model: Model, version: int, folder: Path) -> Stored:
    """Return a registered version, its file laid in ``folder``, for whoever opens it there. Raises as above."""
    recorded = _recorded(platform, model, version)
    file = serving(platform, recorded)
    artifacts.check_sha256(file.content, file.sha256, "model artifact")
    path = folder / f"{file.sha256}.skops"
    path.write_bytes(file.content)
    code = tuple((recorded.own_code or {}).items())
    return Stored(_named(recorded), path, file.sha256, platform.project.own, code)


def _recorded(platform: Platform, model: Model, version: int) -> Version:
    recorded = platform.warehouse.one(versions.VERSION, model=model.name, version=version)
    if recorded is None:
        raise NotReady(f"model '{model.name}' has no version {version}")
    return recorded


def _named(version: Version) -> str:
    return f"model '{version.model}', version {version.version}"
