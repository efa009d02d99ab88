"""What conditions look at: rows of the warehouse, what is seen beside it, and the instant of the look."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Protocol, TypeVar

from nightshift.records import alerts as rows
from nightshift.rows import Row
from nightshift.specs import Project

NIGHTS = 31  # of each source, set and model: the longest that `alerts.nights` can count


@dataclass(frozen=True)
class Disk:
    """Room on a disk, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Seen:
    """What is not in the warehouse. None: nobody could look, which is neither good nor bad.

    ``aliases``: the version that each model's alias points at; None: there is none. ``broken``: the models whose ledger
    does not hold. ``components``: those that were looked at, and whether each is well; ``whole_stack``: there are no
    others in the local stack.
    """

    aliases: Mapping[str, int | None] | None = None
    broken: frozenset[str] | None = None
    disks: Mapping[str, Disk] | None = None
    components: Mapping[str, bool] | None = None
    whole_stack: bool = False


@dataclass(frozen=True)
class Facts:
    """All of it. Of each source, set and model the newest nights, newest first.

    ``declared``: since when the file of each source (by its name) and set (by its table) is as it is.
    """

    now: datetime
    batches: tuple[rows.Batch, ...] = ()
    announced: tuple[rows.Announced, ...] = ()
    built: tuple[rows.Built, ...] = ()
    judged: tuple[rows.Judged, ...] = ()
    champions: tuple[rows.Champion, ...] = ()
    requests: tuple[rows.Request, ...] = ()
    waiting: tuple[rows.Waiting, ...] = ()
    probations: tuple[rows.Lost, ...] = ()
    set_aside: tuple[rows.SetAside, ...] = ()
    unsent: tuple[rows.Unsent, ...] = ()
    declared: Mapping[str, datetime] = field(default_factory=dict)
    seen: Seen = Seen()


class Nightly(Protocol):
    """A row of a night."""

    @property
    def batch_date(self) -> date:
        """Its night."""


N = TypeVar("N", bound=Nightly)
R = TypeVar("R", bound=Row)


def grouped(rows: Iterable[R], of: str) -> dict[str, list[R]]:
    """Return rows by the name in their column ``of``, in their order."""
    found: dict[str, list[R]] = {}
    for row in rows:
        found.setdefault(getattr(row, of), []).append(row)
    return found


def of_night(rows: Iterable[N], night: date) -> N | None:
    """Return the row of a night, or None."""
    return next((row for row in rows if row.batch_date == night), None)


def in_a_row(wrong: Iterable[bool]) -> int:
    """Return how many of the newest are wrong without a break."""
    return sum(1 for _ in takewhile(bool, wrong))


def declared(project: Project) -> dict[str, datetime]:
    """Return since when the files of sources and sets (by its table) are as they are, of those that are there."""
    files = {name: project.folder / "sources" / f"{name}.yaml" for name in project.sources}
    files |= {spec.table: spec.path for spec in project.feature_sets.values()}
    return {
        name: datetime.fromtimestamp(file.stat().st_mtime, UTC)
        for name, file in files.items()
        if file.exists()
    }


def deadline(project: Project, night: date) -> datetime:
    """Return the instant (UTC) by which a night is over: the agreed hour after its start."""
    settings, calendar = project.settings, project.calendar
    # A night that starts at 22:30 is over by six of the next morning.
    later = timedelta(days=settings.alerts.by <= settings.begins)
    return datetime.combine(night + later, settings.alerts.by, calendar.zone)


def began(project: Project, night: date) -> datetime:
    """Return the instant at which a night starts."""
    return datetime.combine(night, project.settings.begins, project.calendar.zone)


def due_night(project: Project, now: datetime) -> date | None:
    """Return the newest night whose deadline has passed; None: the project has none then, or its last one is past."""
    calendar = project.calendar
    night = calendar.date_of(now)
    while deadline(project, night) > now:
        night -= timedelta(days=1)
    ended = calendar.last_night is not None and night > calendar.last_night
    return None if ended or night < calendar.first_night else night
