"""The project's clock: the time zone that the nights of this warehouse were cut in, and no other."""

from datetime import date, timedelta

import pandas as pd

from nightshift.errors import SpecError
from nightshift.specs import Project
from nightshift.stages.platform import Platform
from nightshift.warehouse import Warehouse

RECORD = "INSERT INTO catalog.clock (timezone) VALUES (%s) ON CONFLICT (is_only) DO NOTHING"
# Once it is known to change nothing: no batch was judged yet, or it is another name of the same clock.
RENAME = "UPDATE catalog.clock SET (timezone, recorded_at) = (%s, clock_timestamp()) WHERE timezone <> %s"
# Rows of a night may tell of earlier events; a year holds every change of the clocks.
YEAR = timedelta(days=366)


def require_same_clock(platform: Platform) -> None:
    """Write down the project's time zone at the first use of a warehouse; refuse another one afterwards.

    Raises:
        SpecError: the warehouse's nights were cut by another clock than that of the zone ``project.yaml`` names now.
    """
    zone = platform.project.settings.timezone
    platform.warehouse.execute(RECORD, (zone,))
    check_clock(platform.project, platform.warehouse)
    platform.warehouse.execute(RENAME, (zone, zone))


def check_clock(project: Project, warehouse: Warehouse) -> None:
    """Compare the project's time zone with the warehouse's, without writing one down. Raises as above."""
    zone = project.settings.timezone
    there = warehouse.row("SELECT to_regclass('catalog.clock') AS clock")
    if not there or there["clock"] is None:  # a warehouse that waits for `nightshift migrate`
        return
    found = warehouse.row("SELECT timezone FROM catalog.clock")
    if found is None or found["timezone"] == zone:
        return
    cut = warehouse.row(
        "SELECT count(DISTINCT batch_date) AS n, min(batch_date) AS first, max(batch_date) AS last FROM catalog.batches"
    )
    if cut and cut["n"] and not _show_the_same(found["timezone"], zone, cut["first"], cut["last"]):
        raise SpecError(
            f"{project.folder / 'project.yaml'}: key 'timezone': {cut['n']} nights of this warehouse were cut at "
            f"midnight of {found['timezone']}, and {zone} cuts elsewhere: what was known by a night, and which rows it "
            f"holds, would no longer be what its features and models saw. Put {found['timezone']} back, or start "
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
