"""Models as files: skops, our own list of allowed types, and a hash. Never pickle.

A skops file names the types it holds, and may name the types to trust: a file that vouches for itself.
So the ledger's SHA-256 is compared first, then every type is held against ``ALLOWED`` below.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import skops.io

from nightshift.errors import ArtifactRefused
from nightshift.specs import Own

# Types outside skops' own defaults that our estimators are made of. Adding one is a security review. The registry
# is handed this list. A project allows others, those of its own estimators, by name: ``more`` below.
ALLOWED = (
    # A LightGBM booster is its text model, parsed again when it is loaded; OrderedDict holds its scores' names.
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "nightshift.train.networks.NetworkClassifier",
    "nightshift.train.networks.NetworkRegressor",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # How a target encoder was cross-fitted: three numbers.
    "sklearn.model_selection._split.KFold",
    "sklearn.tree._tree.Tree",
)
# Of a record that holds packages and relative imports too; no module has this name. Earlier ones left them out.
WHOLE = {"": "with packages and relative imports"}


@dataclass(frozen=True)
class Stored:
    """A version's file on a disk, as another process can open it: what it must be is told, not the model itself.

    ``what``: as errors name it. ``own_code``: the project's modules that opening it runs, and the hash of each.
    """

    what: str
    file: Path
    sha256: str
    own: Own
    own_code: tuple[tuple[str, str], ...] = ()

    def opened(self) -> Any:
        """Return the pipeline in the file. Raises ArtifactRefused as :func:`opened`."""
        return opened(self.what, self.own, self.file.read_bytes(), self.sha256, dict(self.own_code))


def opened(what: str, own: Own, content: bytes, sha256: str, recorded: Mapping[str, str]) -> Any:
    """Return the pipeline in ``content``, with the project's code that it was made with.

    Raises:
        ArtifactRefused: it is not the file that was registered, or the code behind it is another.
    """
    check_sha256(content, sha256, "model artifact")
    require_same_code(what, own, content, recorded)
    with own.importable():
        return load(content, sha256, own.types)


def own_code(own: Own, content: bytes) -> dict[str, str]:
    """Return what is recorded of the project's modules that opening a model file would run: the hash of each."""
    code = _own_code(own, content)
    return code | WHOLE if code else code


def _own_code(own: Own, content: bytes) -> dict[str, str]:
    return own.code(types(content) & set(own.types)) if own.types else {}


def require_same_code(what: str, own: Own, content: bytes, recorded: Mapping[str, str]) -> None:
    """Raise ArtifactRefused if the code behind a file's own types is another than the version was made with."""
    # What an earlier record left out cannot be held against it.
    earlier = bool(recorded) and not WHOLE.keys() <= recorded.keys()
    for module, digest in _own_code(own, content).items():
        if recorded.get(module) != digest and not (earlier and module not in recorded):
            raise ArtifactRefused(
                f"{what}: {own.file(module)} has sha256 {digest}, {recorded.get(module, 'none')} was recorded: it "
                "might predict otherwise. Put the file back, and give what has changed another name; or train again"
            )


def check(estimator: Any, more: Collection[str] = ()) -> None:
    """Raise ArtifactRefused, naming the types, if a file of this estimator would be refused. Stores nothing."""
    written(estimator, more)


def written(estimator: Any, more: Collection[str] = ()) -> bytes:
    """Return the file of an estimator. Raises ArtifactRefused, naming the types, if :func:`load` would refuse it."""
    try:
        content = skops.io.dumps(estimator)
    except Exception as error:
        raise ArtifactRefused(
            f"{type(estimator).__name__} cannot be written as a skops file: {error}; pickle is no way out"
        ) from error
    _refuse_unknown_types(content, more)
    return content


def seal(content: bytes, more: Collection[str] = ()) -> str:
    """Return the SHA-256 by which :func:`load` will know this artifact.

    Raises:
        ArtifactRefused: it holds a type that :func:`load` would refuse; better now than at night.
    """
    _refuse_unknown_types(content, more)
    return hashlib.sha256(content).hexdigest()


def load(content: bytes, expected_sha256: str, more: Collection[str] = ()) -> Any:
    """Return the estimator in ``content``.

    Raises:
        ArtifactRefused: the hash is not the ledger's, or a type is not allowed: nothing was deserialised. Or
            its library is not installed.
    """
    check_sha256(content, expected_sha256, "model artifact")
    _refuse_unknown_types(content, more)
    try:
        return skops.io.loads(content, trusted=allowed(more))
    except ImportError as error:
        raise ArtifactRefused(
            f"model artifact needs a library that is not installed: {error}; install the extra that it was trained with"
        ) from error


def check_sha256(content: bytes, expected: str, what: str) -> None:
    """Raise ArtifactRefused, naming ``what``, unless ``content`` has this hash."""
    require_same_sha256(hashlib.sha256(content).hexdigest(), expected, what)


def require_same_sha256(actual: str, expected: str, what: str) -> None:
    """Raise ArtifactRefused, naming ``what``, unless its hash is the one that was recorded."""
    if actual != expected:
        raise ArtifactRefused(
            f"{what} has sha256 {actual}, {expected} was recorded: it is not what was stored"
        )


def allowed(more: Collection[str] = ()) -> list[str]:
    """Return the types that a file may hold beyond skops' own."""
    return sorted({*ALLOWED, *more})


def types(content: bytes) -> set[str]:
    """Return the types in a file that skops does not trust by itself; none of them is imported."""
    try:
        return set(skops.io.get_untrusted_types(data=content))
    except Exception as error:
        raise ArtifactRefused(f"model artifact is not a skops file: {error}") from error


def _refuse_unknown_types(content: bytes, more: Collection[str]) -> None:
    unknown = types(content) - set(allowed(more))
    if unknown:
        raise ArtifactRefused(
            f"model artifact holds types that are not allowed: {', '.join(sorted(unknown))}; if what they do when a "
            "file is opened is safe, name them in include/project.yaml, allowed_types"
        )
