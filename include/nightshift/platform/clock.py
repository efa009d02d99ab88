"""The project's clock: the time zone that the nights of this warehouse were cut in, and no other."""

from datetime import date, timedelta

import pandas as pd

from nightshift.errors import SpecError
from nightshift.platform import Platform
from nightshift.records import deliveries
from nightshift.specs import Project
from nightshift.warehouse import Warehouse

# Rows of a night may tell of earlier events; a year holds every change of the clocks.
YEAR = timedelta(days=366)


def require_same_clock(platform: Platform) -> None:
    """Write down the project's time zone at the first use of a warehouse; refuse another one afterwards.

    Raises:
        SpecError: the warehouse's nights were cut by another clock than that of the zone ``project.yaml`` names now.
    """
    zone = platform.project.settings.timezone
    platform.warehouse.run(deliveries.START_CLOCK, zone=zone)
    check_clock(platform.project, platform.warehouse)
    platform.warehouse.run(deliveries.RENAME_CLOCK, zone=zone)


def check_clock(project: Project, warehouse: Warehouse) -> None:
    """Compare the project's time zone with the warehouse's, without writing one down. Raises as above."""
    zone = project.settings.timezone
    there = warehouse.one(deliveries.HAS_CLOCK)
    if not there or not there.found:  # a warehouse that waits for `nightshift migrate`
        return
    clock = warehouse.one(deliveries.CLOCK)
    if clock is None or clock.timezone == zone:
        return
    cut = warehouse.one(deliveries.CUT)
    if cut and cut.first and cut.last and not _show_the_same(clock.timezone, zone, cut.first, cut.last):
        raise SpecError(
            f"{project.folder / 'project.yaml'}: key 'timezone': {cut.nights} nights of this warehouse were cut at "
            f"midnight of {clock.timezone}, and {zone} cuts elsewhere: what was known by a night, and which rows it "
            f"holds, would no longer be what its features and models saw. Put {clock.timezone} back, or start "
            "with an empty warehouse"
        )


def _show_the_same(one: str, other: str, first: date, last: date) -> bool:
    """Return whether the clocks of two zones agree in every hour from a year before ``first`` to a year after ``last``.

    Names do not tell: US/Eastern is America/New_York.
    """
    hours = pd.date_range(first - YEAR, last + YEAR, freq="h", tz="UTC")
    try:
        shown = [hours.tz_convert(zone).tz_localize(None) for zone in (one, other)]
    except (KeyError, ValueError):  # a name that this machine's time zones no longer have
        return False
    return shown[0].equals(shown[1])
