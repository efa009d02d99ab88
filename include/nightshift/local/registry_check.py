"""`nightshift reconcile`: the registry made to agree with the ledger, on the local stack or the servers given."""

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from nightshift.errors import NightshiftError, RequestError
from nightshift.local import state
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.specs import load_project
from nightshift.warehouse import Warehouse

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
    from nightshift.stages import reconcile_registry

    facts = reconcile_registry(_platform(), now=datetime.now(UTC), grace=grace, model=model)
    return [*facts["changed"], *(f"{words} (left alone)" for words in facts["left"])]


def _platform() -> "Platform":
    from nightshift.stages import Platform

    url, mlflow = (os.environ.get(name) for name in ("NIGHTSHIFT_WAREHOUSE_URL", "MLFLOW_TRACKING_URI"))
    if not url:
        runtime = state.load()
        url, mlflow = runtime.warehouse_url, runtime.mlflow_url
    if not mlflow:  # not the local stack's: one warehouse's ledger must not move another's alias
        raise RequestError("NIGHTSHIFT_WAREHOUSE_URL is set: set MLFLOW_TRACKING_URI too")
    return Platform(
        load_project(), Warehouse(url), Registry(mlflow), Objects(str(state.home() / "objects")), _no_source
    )


def _no_source(name: str) -> NoReturn:
    raise NightshiftError(f"connection '{name}': a reconciliation collects nothing")
