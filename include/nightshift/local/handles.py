"""What commands work with: the warehouse, files and registry that the environment names, else the local stack's."""

import os
from typing import TYPE_CHECKING, NoReturn

from nightshift.errors import NightshiftError
from nightshift.local import state
from nightshift.specs import load_project

if TYPE_CHECKING:
    from nightshift.stages import Platform

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def platform(registry: str | None = None) -> "Platform":
    """Return handles on NIGHTSHIFT_WAREHOUSE_URL, NIGHTSHIFT_OBJECTS and MLFLOW_TRACKING_URI, or the local stack's.

    ``registry``: another address than these. Libraries compute in one thread, as in tasks, unless told otherwise.

    Raises:
        NightshiftError: neither is the environment set nor a local stack known.
    """
    for limit in LIMITS:  # read once, when the library is imported
        os.environ.setdefault(limit, "1")
    from nightshift.objects import Objects
    from nightshift.registry import Registry
    from nightshift.stages import Platform
    from nightshift.warehouse import Warehouse

    url, objects = (os.environ.get(f"NIGHTSHIFT_{name}") for name in ("WAREHOUSE_URL", "OBJECTS"))
    return Platform(
        load_project(),
        Warehouse(url or state.load().warehouse_url),
        Registry(registry or os.environ.get("MLFLOW_TRACKING_URI") or state.load().mlflow_url),
        Objects(objects or str(state.home() / "objects")),
        connection=_no_source,
    )


def _no_source(name: str) -> NoReturn:
    raise NightshiftError(f"connection '{name}': a command collects nothing")
