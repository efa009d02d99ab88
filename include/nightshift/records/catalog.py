"""The catalog: what there is, how fresh and how good; explorations; reproductions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from nightshift.freeform import Json
from nightshift.rows import JSON, Command, Query, Row, insert, numbered, select, stamped, upsert


@dataclass(frozen=True)
class DescribedColumn:
    """A column of a dataset: its declared type, and what its owner says of it."""

    name: str
    type: str
    nullable: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class Dataset(Row, table="catalog.datasets", key=("kind", "name")):
    """A source, feature set or model."""

    kind: str
    name: str
    owner: str
    description: str
    schema: Annotated[Sequence[DescribedColumn], JSON]
    reads: list[str]
    read_by: list[str]
    spec_sha256: str
    as_of: date
    described_by: str
    described_at: datetime = stamped()


LOCK = Command("LOCK TABLE catalog.datasets IN SHARE ROW EXCLUSIVE MODE")
LATER = select(Dataset, "as_of > %(night)s", order="as_of LIMIT 1")
CLEAR = Command("DELETE FROM catalog.datasets")
FORGET = Command("DELETE FROM catalog.datasets WHERE (kind, name) = (%(kind)s, %(name)s)")
DESCRIBE = insert(Dataset)


@dataclass(frozen=True, kw_only=True)
class Night(Row):
    """Volume and quality of a dataset's night. ``row_count``: what readers find; None: a failed try."""

    kind: str
    name: str
    batch_date: date
    row_count: int | None
    status: str
    rejected_share: float | None
    drift: str | None
    why: str
    run_id: str
    recorded_at: datetime


NIGHTS = Query(
    f"SELECT {', '.join(Night.columns())} FROM catalog.nights "
    "WHERE batch_date BETWEEN %(first)s AND %(last)s ORDER BY kind, name, batch_date",
    Night,
)


@dataclass(frozen=True, kw_only=True)
class Freshness(Row):
    """The newest night and instant of a dataset."""

    kind: str
    name: str
    newest_batch_date: date | None
    newest_known_at: datetime | None
    recorded_at: datetime


FRESHNESS = Query(f"SELECT {', '.join(Freshness.columns())} FROM catalog.freshness", Freshness)


@dataclass(frozen=True, kw_only=True)
class Open(Row):
    """How many rows of a source wait in quarantine."""

    source: str
    rows: int


OPEN = Query("SELECT source, count(*) AS rows FROM quarantine.open_rows GROUP BY source", Open)


@dataclass(frozen=True, kw_only=True)
class Champion(Row):
    """A model's champion of a night, and since which night."""

    model: str
    version: int
    effective_from: date


CHAMPIONS = Query(
    "SELECT DISTINCT ON (model) model, version, effective_from FROM governance.promotions "
    "WHERE effective_from <= %(night)s ORDER BY model, entry DESC",
    Champion,
)


@dataclass(frozen=True, kw_only=True)
class Report(Row):
    """A model's newest drift report."""

    model: str
    batch_date: date
    report_key: str


REPORTS = Query(
    "SELECT DISTINCT ON (model) model, batch_date, report_key FROM monitoring.verdicts "
    "WHERE report_key IS NOT NULL AND batch_date <= %(night)s ORDER BY model, batch_date DESC",
    Report,
)


@dataclass(frozen=True, kw_only=True)
class Exploration(Row, table="catalog.explorations", key=("subject", "run_id")):
    """A range that somebody looked at: the files it gave, who asked, and why."""

    subject: str
    first_night: date
    last_night: date
    compared_first: date | None
    compared_last: date | None
    target: str | None
    row_count: int
    snapshot_sha256: str
    snapshot_key: str
    report_key: str
    notebook_key: str
    spec_sha256: str
    reason: str
    actor: str
    run_id: str
    try_number: int
    recorded_at: datetime = stamped()


# An older try that ends last changes nothing.
EXPLORED = upsert(Exploration, where="catalog.explorations.try_number <= excluded.try_number")
RENAME_SUBJECT = Command("UPDATE catalog.explorations SET subject = %(new)s WHERE subject = %(old)s")
RENAME_TARGET = Command("UPDATE catalog.explorations SET target = %(new)s WHERE target = %(old)s")


@dataclass(frozen=True)
class Difference:
    """Something that was otherwise when a version was trained."""

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class PredictionsAgain:
    """Hashes of a version's predictions: recorded, by the registered model and by the one made again.

    ``differing``: rows on which the last two differ, and ``largest``: by how much at most.
    """

    rows: int
    recorded_sha256: str | None
    registered_sha256: str
    again_sha256: str
    differing: int
    largest: float
    equal: bool


@dataclass(frozen=True)
class ScoreAgain:
    """A metric on the holdout, of the version and of the one made again. None: not defined."""

    then: float | None
    now: float | None
    difference: float | None


@dataclass(frozen=True)
class Findings:
    """What a version made again came to. ``judged``: of what was judged, if another fit serves; metrics by name."""

    snapshot_id: str
    predictions: PredictionsAgain
    judged: PredictionsAgain | None
    metrics: Mapping[str, ScoreAgain]
    differences: Sequence[Difference]


@dataclass(frozen=True, kw_only=True)
class Reproduced(Row, table="governance.reproductions", key=("model", "version", "run_id")):
    """A version that was made again from its record, and whether it came out equal."""

    model: str
    version: int
    run_id: str
    equal: bool
    findings: Annotated[Findings, JSON]
    page_key: str
    reason: str
    reproduced_at: datetime = stamped()


REPRODUCED = upsert(Reproduced)


@dataclass(frozen=True, kw_only=True)
class Event(Row, table="catalog.events", key=("event",)):
    """What happened, to what, when, who did it and why. Triggers write it, in the transaction of the fact."""

    event: int = numbered()
    happened_at: datetime = stamped()
    what: str
    kind: str
    name: str
    batch_date: date | None
    run_id: str | None
    actor: str | None
    why: str
    about: Annotated[Json, JSON]


EVENTS = select(Event, "kind = %(kind)s AND name = %(name)s", order="event DESC LIMIT %(most)s")
