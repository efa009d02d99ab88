"""The project's clock: the time zone that the nights of this warehouse were cut in, and no other."""

from nightshift.errors import SpecError
from nightshift.platform import Platform
from nightshift.records import deliveries
from nightshift.specs import Project
from nightshift.spelling import clocks_agree
from nightshift.warehouse import Warehouse


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
    if cut and cut.first and cut.last and not clocks_agree(clock.timezone, zone, cut.first, cut.last):
        raise SpecError(
            f"{project.folder / 'project.yaml'}: key 'timezone': {cut.nights} nights of this warehouse were cut at "
            f"midnight of {clock.timezone}, and {zone} cuts elsewhere: what was known by a night, and which rows it "
            f"holds, would no longer be what its features and models saw. Put {clock.timezone} back, or start "
            "with an empty warehouse"
        )
