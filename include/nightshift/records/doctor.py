"""What an installation is examined by: the revision of the tables, the server's clock, its logins."""

from dataclasses import dataclass
from datetime import datetime

from nightshift.records.deliveries import Exists
from nightshift.rows import Query, Row


@dataclass(frozen=True, kw_only=True)
class Revision(Row):
    """The migration that the tables are at."""

    version_num: str


HAS_REVISION = Query("SELECT to_regclass('catalog.migrations') IS NOT NULL AS found", Exists)
REVISION = Query("SELECT version_num::text AS version_num FROM catalog.migrations", Revision)


@dataclass(frozen=True, kw_only=True)
class Clock(Row):
    """What the server's clock says, and when anything was last written down."""

    now: datetime
    newest: datetime | None


CLOCK = Query(
    "SELECT clock_timestamp() AS now, (SELECT max(recorded_at) FROM catalog.batches) AS newest", Clock
)


@dataclass(frozen=True, kw_only=True)
class Missing(Row):
    """Logins that the server does not have; None: it has all."""

    missing: list[str] | None


LOGINS = Query(
    "SELECT array_agg(name) AS missing FROM unnest(%(names)s::text[]) name WHERE to_regrole(name) IS NULL",
    Missing,
)
