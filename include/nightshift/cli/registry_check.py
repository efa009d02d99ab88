"""`nightshift reconcile` and `verify`: the registry beside the ledger, on the local stack or the servers given."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from nightshift.cli import handles

if TYPE_CHECKING:
    from nightshift.stages import Platform


def run(model: str | None, grace: timedelta) -> list[str]:
    """Return what was changed and what was left alone, in words.

    The servers are NIGHTSHIFT_WAREHOUSE_URL with MLFLOW_TRACKING_URI, or the local stack's.

    Raises:
        RequestError: a warehouse is given without its MLflow.
        LedgerBroken: the ledger does not verify.
        LedgerMismatch: the champion's version is gone from the registry.
    """
    platform = _platform("operate")
    from nightshift.stages import reconcile_registry

    facts = reconcile_registry(platform, now=datetime.now(UTC), grace=grace, model=model)
    return [*facts["changed"], *(f"{words} (left alone)" for words in facts["left"])]


def register_again(model: str, files: Path | None) -> str:
    """Register a model's champion again; return in words what was done. Of the servers as :func:`run`.

    Raises:
        NotReady, ArtifactRefused, LedgerMismatch, RequestError: as the stage.
    """
    platform = _platform("operate")
    from nightshift.stages import register_again

    return register_again(platform, model, files)


def verify(model: str | None) -> list[str]:
    """Return what was compared, a line a model. Of the servers as :func:`run`; raises as that does."""
    platform = _platform("reader")
    from nightshift.stages import verify_ledgers

    anchors = verify_ledgers(platform, model)["anchors"]
    return [f"{name}: every row is as it was sealed, and so at {n} anchors" for name, n in anchors.items()]


def _platform(role: str) -> "Platform":
    return handles.platform(role, needs=(handles.REGISTRY,))
