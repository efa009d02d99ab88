"""`nightshift reconcile`: the registry made to agree with the ledger, on the local stack or the servers given."""

import os
from datetime import UTC, datetime, timedelta

from nightshift.cli import handles
from nightshift.errors import RequestError


def run(model: str | None, grace: timedelta) -> list[str]:
    """Return what was changed and what was left alone, in words.

    The servers are NIGHTSHIFT_WAREHOUSE_URL with MLFLOW_TRACKING_URI, or the local stack's.

    Raises:
        RequestError: a warehouse is given without its MLflow.
        LedgerBroken: the ledger does not verify.
        LedgerMismatch: the champion's version is gone from the registry.
    """
    given = os.environ.get("NIGHTSHIFT_WAREHOUSE_URL")
    if given and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise RequestError("NIGHTSHIFT_WAREHOUSE_URL is set: set MLFLOW_TRACKING_URI too")
    # One warehouse's ledger must not move another's alias.
    platform = handles.platform(None if given else handles.local_registry())
    from nightshift.stages import reconcile_registry

    facts = reconcile_registry(platform, now=datetime.now(UTC), grace=grace, model=model)
    return [*facts["changed"], *(f"{words} (left alone)" for words in facts["left"])]
