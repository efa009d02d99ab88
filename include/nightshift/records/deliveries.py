"""Deliveries and batches: what each run landed, how each night was judged, what was announced, by whose clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from nightshift.freeform import Declared
from nightshift.rows import JSON, Command, Query, Row, insert, select, stamped, upsert


@dataclass(frozen=True, kw_only=True)
class Landing(Row, table="catalog.landings", key=("source", "batch_date", "run_id")):
    """What a run found upstream for a night: the file as delivered, by its key and hash."""

    source: str
    batch_date: date
    run_id: str
    object_key: str
    sha256: str
    row_count: int
    landed_at: datetime = stamped()


LAND = upsert(Landing)
LANDED = select(
    Landing,
    "source = %(source)s AND run_id = %(run_id)s AND batch_date BETWEEN %(first)s AND %(last)s",
    order="batch_date",
)


@dataclass(frozen=True, kw_only=True)
class Batch(Row, table="catalog.batches", key=("source", "batch_date")):
    """The last judgement of a night's delivery. A failed one leaves the rows of ``raw.<source>`` as they were."""

    source: str
    batch_date: date
    status: str
    collected: int
    accepted: int
    rejected: int
    reasons: str
    warnings: str
    landed_sha256: str
    docs_key: str | None
    run_id: str
    recorded_at: datetime = stamped()


JUDGED = upsert(Batch)
NEWEST = select(Batch, "source = %(source)s AND status = 'published'", order="batch_date DESC LIMIT 1")
BATCHES = select(
    Batch, "source = %(source)s AND batch_date BETWEEN %(first)s AND %(last)s", order="batch_date"
)
# The same content found again keeps the run that first had it. ``earlier``: the hash of the first kind: after an
# upgrade no batch is news that is not.
CONTENT_CHANGED = Command(
    "UPDATE catalog.batches SET content_sha256 = %(content)s, content_run_id = %(run_id)s "
    "WHERE source = %(source)s AND batch_date = %(batch_date)s AND content_sha256 IS DISTINCT FROM %(content)s "
    "AND content_sha256 IS DISTINCT FROM %(earlier)s"
)


@dataclass(frozen=True, kw_only=True)
class Judged(Row):
    """A batch that has its delivery's file: what a replay starts from."""

    batch_date: date
    status: str
    accepted: int
    run_id: str
    content_sha256: str | None
    sha256: str
    object_key: str
    row_count: int


WITH_FILES = Query(
    "SELECT DISTINCT ON (b.batch_date) b.batch_date, b.status, b.accepted, b.run_id, "
    "b.content_sha256, b.landed_sha256 AS sha256, l.object_key, l.row_count "
    "FROM catalog.batches b JOIN catalog.landings l "
    "ON (l.source, l.batch_date, l.sha256) = (b.source, b.batch_date, b.landed_sha256) "
    "WHERE b.source = %(source)s AND b.batch_date BETWEEN %(first)s AND %(last)s ORDER BY b.batch_date",
    Judged,
)


@dataclass(frozen=True, kw_only=True)
class Content(Row):
    """The hash of what a night holds now; None: not known."""

    batch_date: date
    content_sha256: str | None


CONTENTS = Query(
    "SELECT batch_date, content_sha256 FROM catalog.batches "
    "WHERE source = %(name)s AND status = 'published' AND batch_date BETWEEN %(first)s AND %(last)s",
    Content,
)


@dataclass(frozen=True, kw_only=True)
class Night(Row):
    """A night."""

    batch_date: date


# By a run: what it judged first to be as it is now. ``since``: and of nights since then what another run changed, and
# died before it said so, until this one has said it; none if it is null.
CHANGED_BY = Query(
    "SELECT b.batch_date FROM catalog.batches b LEFT JOIN catalog.announcements a "
    "ON a.asset = 'raw.' || b.source AND a.batch_date = b.batch_date WHERE b.source = %(source)s "
    "AND (b.content_run_id = %(run_id)s OR (b.batch_date >= %(since)s AND a.announced AND (a.run_id = %(run_id)s "
    "OR (b.status = 'published' AND a.content_sha256 IS DISTINCT FROM b.content_sha256)))) ORDER BY b.batch_date",
    Night,
)


@dataclass(frozen=True, kw_only=True)
class Behind(Row):
    """The landing that a night's rows came from; None: not known."""

    batch_date: date
    published_sha256: str | None
    published_by: str | None


BEHIND = Query(
    "SELECT batch_date, published_sha256, published_by FROM catalog.batches "
    "WHERE source = %(source)s AND batch_date BETWEEN %(first)s AND %(last)s",
    Behind,
)


@dataclass(frozen=True, kw_only=True)
class Account(Row):
    """The rows of a published batch: landed, judged, and those there are."""

    batch_date: date
    landed: int
    accepted: int
    rejected: int
    raw: int
    quarantined: int


# ``{}``: the source's own table.
ACCOUNTS = Query(
    "SELECT b.batch_date, coalesce(l.row_count, 0) AS landed, b.accepted, b.rejected, "
    "coalesce(r.n, 0) AS raw, coalesce(q.n, 0) AS quarantined FROM catalog.batches b "
    "LEFT JOIN (SELECT source, batch_date, sha256, max(row_count) AS row_count FROM catalog.landings "
    "GROUP BY 1, 2, 3) l "
    "ON (l.source, l.batch_date, l.sha256) = (b.source, b.batch_date, b.landed_sha256) "
    "LEFT JOIN (SELECT batch_date, count(*) AS n FROM {} GROUP BY 1) r ON r.batch_date = b.batch_date "
    "LEFT JOIN (SELECT source, batch_date, count(*) AS n FROM quarantine.rows GROUP BY 1, 2) q "
    "ON (q.source, q.batch_date) = (b.source, b.batch_date) "
    "WHERE b.source = %(source)s AND b.status = 'published' AND b.batch_date BETWEEN %(first)s AND %(last)s "
    "ORDER BY 1",
    Account,
)


@dataclass(frozen=True, kw_only=True)
class Announcement(Row, table="catalog.announcements", key=("asset", "batch_date")):
    """The last word on a partition: told to what follows, or left; with the hash of what it held.

    ``first_run_id``: of the run that told it first; None: it was never told.
    """

    asset: str
    batch_date: date
    announced: bool
    content_sha256: str | None
    run_id: str
    first_run_id: str | None
    decided_at: datetime = stamped()


ANNOUNCE = upsert(
    Announcement, first_run_id="coalesce(catalog.announcements.first_run_id, excluded.first_run_id)"
)
ANNOUNCED = select(Announcement, "asset = %(asset)s AND batch_date BETWEEN %(first)s AND %(last)s")
# ``night``: of that night; else of the ``days`` before the newest that anything was said of, and of it.
LATELY = select(
    Announcement,
    "asset = ANY(%(assets)s) "
    "AND batch_date >= coalesce(%(night)s::date, "
    "(SELECT max(batch_date) FROM catalog.announcements) - %(days)s::integer) "
    "AND batch_date <= coalesce(%(night)s::date, 'infinity')",
)
RENAME_ASSET = Command("UPDATE catalog.announcements SET asset = %(new)s WHERE asset = %(old)s")


@dataclass(frozen=True, kw_only=True)
class Stands(Row):
    """The delivery that a night's published rows are of: its hash, when it was landed last, and by which run.

    Whatever was judged since: rows that were published stand also where a later delivery failed.
    """

    batch_date: date
    sha256: str
    landed_at: datetime
    run_id: str


STANDS = Query(
    "SELECT DISTINCT ON (b.batch_date) b.batch_date, l.sha256, l.landed_at, l.run_id FROM catalog.batches b "
    "JOIN catalog.landings l ON (l.source, l.batch_date, l.sha256) = (b.source, b.batch_date, b.published_sha256) "
    "WHERE b.source = %(source)s AND b.batch_date = ANY(%(nights)s) "
    "ORDER BY b.batch_date, l.landed_at DESC",
    Stands,
)


@dataclass(frozen=True, kw_only=True)
class Earlier(Row):
    """The file of an earlier delivery of a night."""

    sha256: str
    object_key: str


# Those that count: people decided about rows of it, it was judged last, or what stands is of it.
EARLIER = Query(
    "SELECT l.sha256, max(l.object_key) AS object_key FROM catalog.landings l "
    "LEFT JOIN (SELECT landed_sha256, max(resolved_at) AS decided_at FROM quarantine.resolutions "
    "WHERE source = %(source)s AND batch_date = %(batch_date)s GROUP BY 1) r ON r.landed_sha256 = l.sha256 "
    "LEFT JOIN catalog.batches b ON (b.source, b.batch_date) = (l.source, l.batch_date) "
    "AND l.sha256 IN (b.landed_sha256, b.published_sha256) "
    "WHERE l.source = %(source)s AND l.batch_date = %(batch_date)s AND l.row_count = %(rows)s "
    "AND (r.decided_at IS NOT NULL OR b.source IS NOT NULL) "
    "GROUP BY l.sha256 ORDER BY max(r.decided_at) DESC NULLS LAST, max(l.landed_at) DESC",
    Earlier,
)


@dataclass(frozen=True, kw_only=True)
class Clock(Row, table="catalog.clock", key=("is_only",)):
    """The time zone that the nights of this warehouse are cut in."""

    timezone: str


CLOCK = select(Clock)
START_CLOCK = Command(
    "INSERT INTO catalog.clock (timezone) VALUES (%(zone)s) ON CONFLICT (is_only) DO NOTHING"
)
# Once it is known to change nothing: no batch was judged yet, or it is another name of the same clock.
RENAME_CLOCK = Command(
    "UPDATE catalog.clock SET (timezone, recorded_at) = (%(zone)s, clock_timestamp()) WHERE timezone <> %(zone)s"
)


@dataclass(frozen=True)
class Reading:
    """How a source's values are read: the zone of each timestamp column, and a CSV's dialect as its spec has it."""

    zones: Mapping[str, str]
    dialect: Declared | None
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class ReadBy(Row, table="catalog.readings", key=("source",)):
    """How the batches of a source were read."""

    source: str
    reading: Annotated[Reading, JSON]
    recorded_at: datetime = stamped()


READ_BY = select(ReadBy, "source = %(source)s")
START_READING = insert(ReadBy, "ON CONFLICT (source) DO NOTHING")
CHANGE_READING = upsert(ReadBy)


@dataclass(frozen=True, kw_only=True)
class Exists(Row):
    """Whether a table is there: it is not before ``nightshift migrate``."""

    found: bool


HAS_CLOCK = Query("SELECT to_regclass('catalog.clock') IS NOT NULL AS found", Exists)
HAS_READINGS = Query("SELECT to_regclass('catalog.readings') IS NOT NULL AS found", Exists)


@dataclass(frozen=True, kw_only=True)
class Span(Row):
    """How many nights, the first and the last."""

    nights: int
    first: date | None
    last: date | None


CUT = Query(
    "SELECT count(DISTINCT batch_date) AS nights, min(batch_date) AS first, max(batch_date) AS last "
    "FROM catalog.batches",
    Span,
)
PUBLISHED = Query(
    "SELECT count(*) AS nights, min(batch_date) AS first, max(batch_date) AS last "
    "FROM catalog.batches WHERE source = %(source)s AND published_sha256 IS NOT NULL",
    Span,
)
