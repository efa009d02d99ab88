"""The project's clock: the time zone that the nights of this warehouse were cut in, and no other."""

from nightshift.errors import SpecError
from nightshift.specs import Project
from nightshift.stages.platform import Platform
from nightshift.warehouse import Warehouse

RECORD = "INSERT INTO catalog.clock (timezone) VALUES (%s) ON CONFLICT (is_only) DO NOTHING"
# Until the first batch is judged, nothing depends on it.
MOVE = (
    "UPDATE catalog.clock SET (timezone, recorded_at) = (%s, clock_timestamp()) "
    "WHERE timezone <> %s AND NOT EXISTS (SELECT 1 FROM catalog.batches)"
)


def require_same_clock(platform: Platform) -> None:
    """Write down the project's time zone at the first use of a warehouse; refuse another one afterwards.

    Raises:
        SpecError: the warehouse's nights were cut in another zone than ``project.yaml`` names now.
    """
    zone = platform.project.settings.timezone
    platform.warehouse.execute(RECORD, (zone,))
    platform.warehouse.execute(MOVE, (zone, zone))
    check_clock(platform.project, platform.warehouse)


def check_clock(project: Project, warehouse: Warehouse) -> None:
    """Compare the project's time zone with the warehouse's, without writing one down. Raises as above."""
    zone = project.settings.timezone
    there = warehouse.row("SELECT to_regclass('catalog.clock') AS clock")
    if not there or there["clock"] is None:  # a warehouse that waits for `nightshift migrate`
        return
    found = warehouse.row("SELECT timezone, recorded_at FROM catalog.clock")
    if found is None or found["timezone"] == zone:
        return
    nights = warehouse.row("SELECT count(DISTINCT batch_date) AS n FROM catalog.batches") or {"n": 0}
    if nights["n"]:
        raise SpecError(
            f"{project.folder / 'project.yaml'}: key 'timezone': {nights['n']} nights of this warehouse were cut at "
            f"midnight of {found['timezone']}, and {zone} cuts elsewhere: what was known by a night, and which rows it "
            f"holds, would no longer be what its features and models saw. Put {found['timezone']} back, or start "
            "with an empty warehouse"
        )
