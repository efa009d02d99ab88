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


def platform(registry: "Registry | None" = None) -> "Platform":
    """Return handles on NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or the local stack's.

    ``registry``: another than these. Libraries compute in one thread, as in tasks, unless told otherwise.

    Raises:
        NightshiftError: neither is the environment set nor a local stack known.
    """
    for limit in LIMITS:  # read once, when the library is imported
        os.environ.setdefault(limit, "1")
    from nightshift.stages import Platform

    url, objects = (os.environ.get(f"NIGHTSHIFT_{name}") for name in ("WAREHOUSE_URL", "OBJECTS"))
    return Platform.of(
        load_project(),
        registry or _registry(os.environ.get("MLFLOW_TRACKING_URI")),
        warehouse=url or state.load().warehouse_url,
        objects=objects or str(state.home() / "objects"),
    )


def of_the_stack(runtime: Runtime) -> "Platform":
    """Return handles on a local stack, whatever the environment names."""
    from nightshift.stages import Platform

    return Platform.of(
        load_project(),
        local_registry(runtime),
        warehouse=runtime.warehouse_url,
        objects=str(runtime.home / "objects"),
    )


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
