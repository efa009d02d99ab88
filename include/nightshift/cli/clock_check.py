"""`nightshift check --deep`: whether nights are still cut by the same clock, and sources read as their batches were."""

import os

from nightshift.errors import NotReady
from nightshift.runtime import control
from nightshift.specs import Project


def run(project: Project) -> None:
    """Compare with the warehouse of NIGHTSHIFT_WAREHOUSE_URL, or of the stack that runs here; without one, nothing.

    Raises:
        SpecError: the nights there were cut in another time zone, or a source's batches read otherwise.
    """
    from nightshift.platform.clock import check_clock
    from nightshift.stages.rereading import check_reading
    from nightshift.warehouse import Warehouse

    try:
        url = os.environ.get("NIGHTSHIFT_WAREHOUSE_URL") or control.running().warehouse_as("reader")
    except NotReady:
        return
    warehouse = Warehouse(url)
    check_clock(project, warehouse)
    for source in project.sources.values():
        check_reading(project, warehouse, source)
