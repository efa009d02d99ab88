"""A registered version, opened: only the file that was registered, with the project's code that it was made with."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightshift import artifacts, train
from nightshift.errors import ArtifactRefused, NotReady
from nightshift.platform.handles import Platform
from nightshift.records import versions
from nightshift.records.versions import Version
from nightshift.score import Predict
from nightshift.specs import Model, Own


def load_version(
    platform: Platform, model: Model, version: int, classes: Sequence[str] | None = None
) -> Predict:
    """Return the prediction function of a registered version. Raises as :func:`load_pipeline`.

    ``classes``: whose probabilities it gives, in their order; None: those that the spec declares.
    """
    pipeline, of = load_pipeline(platform, model, version), model.classes if classes is None else classes
    return lambda rows: train.predict(pipeline, rows, of)


def load_pipeline(platform: Platform, model: Model, version: int) -> Any:
    """Return a registered version as it was fitted, its file checked against the ledger's hash.

    Raises:
        NotReady: no such version.
        ArtifactRefused: the file is not what was registered.
    """
    recorded = platform.warehouse.one(versions.VERSION, model=model.name, version=version)
    if recorded is None:
        raise NotReady(f"model '{model.name}' has no version {version}")
    return opened(platform, platform.registry.model_bytes(recorded.mlflow_run_id), recorded)


def opened(platform: Platform, content: bytes, version: Version) -> Any:
    """Return the pipeline in a version's model file.

    Raises:
        ArtifactRefused: it is not the file that was registered, or the code behind it is another.
    """
    artifacts.check_sha256(content, version.artifact_sha256, "model artifact")
    own = platform.project.own
    what = f"model '{version.model}', version {version.version}"
    require_same_code(what, own, content, version.own_code or {})
    with own.importable():
        return artifacts.load(content, version.artifact_sha256, own.types)


def own_code(own: Own, content: bytes) -> dict[str, str]:
    """Return the hash of each module of the project that opening a model file would run."""
    return own.code(artifacts.types(content) & set(own.types)) if own.types else {}


def require_same_code(what: str, own: Own, content: bytes, recorded: Mapping[str, str]) -> None:
    """Raise ArtifactRefused if the code behind a file's own types is another than the version was made with."""
    for module, digest in own_code(own, content).items():
        if recorded.get(module) != digest:
            raise ArtifactRefused(
                f"{what}: {own.file(module)} has sha256 {digest}, {recorded.get(module, 'none')} was recorded: it "
                "might predict otherwise. Put the file back, and give what has changed another name; or train again"
            )
