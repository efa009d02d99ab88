"""What commands work with: the warehouse, files and registry that the environment names, else the local stack's."""

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from nightshift.errors import RequestError
from nightshift.runtime import state
from nightshift.runtime.state import Runtime
from nightshift.specs import load_project

if TYPE_CHECKING:
    from nightshift.registry import Registry
    from nightshift.stages import Platform

WAREHOUSE, OBJECTS, REGISTRY = "NIGHTSHIFT_WAREHOUSE_URL", "NIGHTSHIFT_OBJECTS", "MLFLOW_TRACKING_URI"
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def platform(
    role: str | None, registry: "Registry | None" = None, *, needs: Collection[str] = (OBJECTS, REGISTRY)
) -> "Platform":
    """Return handles on NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or the local stack's.

    Never some of each: what one warehouse does not name is, in the files and the registry of another, no rubbish. So
    where it is named, what a command ``needs`` beside it must be too; and where it is not, the others do not count.

    ``role``: whose login the local stack's warehouse is entered with; None: its owner's. ``registry``: another than
    these. Libraries compute in one thread, as in tasks, unless told otherwise.

    Raises:
        RequestError: the environment names a warehouse, and not what belongs to it.
        NightshiftError: neither is the environment set nor a local stack known.
    """
    for limit in LIMITS:  # read once, when the library is imported
        os.environ.setdefault(limit, "1")
    named = os.environ if os.environ.get(WAREHOUSE) else {}
    missing = [variable for variable in needs if named and not named.get(variable)]
    if missing:
        raise RequestError(f"{WAREHOUSE} is set: set {' and '.join(missing)} too")
    from nightshift.stages import Platform

    return Platform.of(
        load_project(),
        registry or _registry(named.get(REGISTRY)),
        warehouse=warehouse_url(role),
        objects=named.get(OBJECTS) or str(state.home() / "objects"),
    )


def of_the_stack(runtime: Runtime) -> "Platform":
    """Return handles on a local stack, whatever the environment names."""
    from nightshift.stages import Platform

    return Platform.of(
        load_project(),
        local_registry(runtime),
        warehouse=runtime.warehouse_as("reader"),
        objects=str(runtime.home / "objects"),
    )


def warehouse_url(role: str | None) -> str:
    """Return NIGHTSHIFT_WAREHOUSE_URL, or the local stack's warehouse with the login of a role, or its owner's.

    Raises:
        NotReady: neither is the environment set nor a local stack known.
    """
    if given := os.environ.get(WAREHOUSE):
        return given
    runtime = state.load()
    return runtime.warehouse_as(role) if role else runtime.warehouse_url


def local_registry(runtime: Runtime | None = None) -> "Registry":
    """Return the local stack's registry, its login told to MLflow by environment: MLflow logs its addresses."""
    from nightshift.registry import Registry

    runtime = runtime or state.load()
    os.environ["MLFLOW_TRACKING_USERNAME"] = runtime.mlflow_user
    os.environ["MLFLOW_TRACKING_PASSWORD"] = runtime.mlflow_password
    return Registry(runtime.mlflow_url)


def _registry(given: str | None) -> "Registry":
    from nightshift.registry import Registry

    return Registry(given) if given else local_registry()
