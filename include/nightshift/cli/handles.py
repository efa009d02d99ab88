"""What commands work with: the warehouse, files and registry that the environment names, else the local stack's."""

import os
from typing import TYPE_CHECKING

from nightshift.runtime import state
from nightshift.runtime.state import Runtime
from nightshift.specs import load_project

if TYPE_CHECKING:
    from nightshift.registry import Registry
    from nightshift.stages import Platform

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def platform(role: str | None, registry: "Registry | None" = None) -> "Platform":
    """Return handles on NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or the local stack's.

    ``role``: whose login the local stack's warehouse is entered with; None: its owner's. ``registry``: another than
    these. Libraries compute in one thread, as in tasks, unless told otherwise.

    Raises:
        NightshiftError: neither is the environment set nor a local stack known.
    """
    for limit in LIMITS:  # read once, when the library is imported
        os.environ.setdefault(limit, "1")
    from nightshift.stages import Platform

    objects = os.environ.get("NIGHTSHIFT_OBJECTS")
    return Platform.of(
        load_project(),
        registry or _registry(os.environ.get("MLFLOW_TRACKING_URI")),
        warehouse=warehouse_url(role),
        objects=objects or str(state.home() / "objects"),
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
    if given := os.environ.get("NIGHTSHIFT_WAREHOUSE_URL"):
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
