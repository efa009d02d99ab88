"""Models as files: skops, our own list of allowed types, and a hash. Never pickle.

A skops file names the types it holds, and may name the types to trust: a file that vouches for itself.
So the ledger's SHA-256 is compared first, then every type is held against ``ALLOWED`` below.
"""

import hashlib
from typing import Any

import skops.io

from nightshift.errors import ArtifactRefused

# Types outside skops' own defaults that our estimators are made of. Adding one is a security review.
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
    "sklearn.tree._tree.Tree",
)


def check(estimator: Any) -> None:
    """Raise ArtifactRefused, naming the types, if a file of this estimator would be refused. Stores nothing."""
    try:
        content = skops.io.dumps(estimator)
    except Exception as error:
        raise ArtifactRefused(
            f"{type(estimator).__name__} cannot be written as a skops file: {error}; pickle is no way out"
        ) from error
    _refuse_unknown_types(content)


def seal(content: bytes) -> str:
    """Return the SHA-256 by which :func:`load` will know this artifact.

    Raises:
        ArtifactRefused: it holds a type that :func:`load` would refuse; better now than at night.
    """
    _refuse_unknown_types(content)
    return hashlib.sha256(content).hexdigest()


def load(content: bytes, expected_sha256: str) -> Any:
    """Return the estimator in ``content``.

    Raises:
        ArtifactRefused: the hash is not the ledger's, or a type is not allowed: nothing was deserialised. Or
            its library is not installed.
    """
    check_sha256(content, expected_sha256, "model artifact")
    _refuse_unknown_types(content)
    try:
        return skops.io.loads(content, trusted=list(ALLOWED))
    except ImportError as error:
        raise ArtifactRefused(
            f"model artifact needs a library that is not installed: {error}; install the extra that it was trained with"
        ) from error


def check_sha256(content: bytes, expected: str, what: str) -> None:
    """Raise ArtifactRefused, naming ``what``, unless ``content`` has this hash."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ArtifactRefused(
            f"{what} has sha256 {actual}, {expected} was recorded: it is not what was stored"
        )


def _refuse_unknown_types(content: bytes) -> None:
    try:
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(ALLOWED)
    except Exception as error:
        raise ArtifactRefused(f"model artifact is not a skops file: {error}") from error
    if unknown:
        raise ArtifactRefused(
            f"model artifact holds types that are not allowed: {', '.join(sorted(unknown))}; "
            "if they are safe, add them to nightshift.artifacts.ALLOWED"
        )
