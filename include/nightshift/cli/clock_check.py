"""`nightshift check --deep`: whether the project's time zone is still the one that its nights were cut in."""

import os

from nightshift.errors import NotReady
from nightshift.runtime import control
from nightshift.specs import Project


def run(project: Project) -> None:
    """Compare with the warehouse of NIGHTSHIFT_WAREHOUSE_URL, or of the stack that runs here; without one, nothing.

    Raises:
        SpecError: the nights there were cut in another time zone.
    """
    from nightshift.platform.clock import check_clock
    from nightshift.warehouse import Warehouse

    try:
        url = os.environ.get("NIGHTSHIFT_WAREHOUSE_URL") or control.running().warehouse_as("reader")
    except NotReady:
        return
    check_clock(project, Warehouse(url))
