"""Retention: what there is of each kind and how old it is, what is marked to go, what is gone.

``day`` is the later of the night that a thing is of and the day it was written: what was written anew is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from nightshift.rows import Command, Query, Row, select, stamped, upsert


@dataclass(frozen=True, kw_only=True)
class Found(Row):
    """A file by its key, rows by ``<subject>/<night>``, a run of MLflow by its id.

    ``bytes``: None where the store knows. ``needed``: by what, in words; empty: by nothing. ``written``: when, last.
    """

    name: str
    day: date
    written: datetime
    things: int
    bytes: int | None
    needed: str


# What asked for a training that was judged is told of on its card and in its request.
_ASKED = (
    "EXISTS (SELECT 1 FROM monitoring.retrain_requests r JOIN governance.decisions d USING (training_id) "
    "WHERE r.model = v.model AND r.batch_date = v.batch_date)"
)


LANDED = Query(
    "SELECT object_key AS name, max(greatest(batch_date, landed_at::date)) AS day, max(landed_at) AS written, "
    "1::bigint AS things, NULL::bigint AS bytes, '' AS needed FROM catalog.landings GROUP BY object_key",
    Found,
)
SNAPSHOTS = Query(
    "SELECT s.object_key AS name, greatest(s.as_of, s.created_at::date) AS day, s.created_at AS written, "
    "1::bigint AS things, NULL::bigint AS bytes, CASE WHEN EXISTS (SELECT 1 FROM governance.versions v "
    "WHERE v.snapshot_id = s.snapshot_id) THEN 'a version is made again from it' ELSE '' END AS needed "
    "FROM governance.snapshots s",
    Found,
)
REPORTS = Query(
    "SELECT report_key AS name, max(greatest(batch_date, decided_at::date)) AS day, max(decided_at) AS written, "
    f"1::bigint AS things, NULL::bigint AS bytes, CASE WHEN bool_or({_ASKED}) "
    "THEN 'a training was asked for by it' ELSE '' END AS needed "
    "FROM monitoring.verdicts v WHERE report_key IS NOT NULL GROUP BY report_key",
    Found,
)
DATA_DOCS = Query(
    "SELECT docs_key AS name, max(greatest(batch_date, recorded_at::date)) AS day, max(recorded_at) AS written, "
    "1::bigint AS things, NULL::bigint AS bytes, '' AS needed "
    "FROM catalog.batches WHERE docs_key IS NOT NULL GROUP BY docs_key",
    Found,
)
EXPLORATIONS = Query(
    "SELECT name, max(greatest(last_night, recorded_at::date)) AS day, max(recorded_at) AS written, "
    "1::bigint AS things, NULL::bigint AS bytes, '' AS needed FROM catalog.explorations, "
    "unnest(ARRAY[snapshot_key, report_key, notebook_key]) AS name GROUP BY name",
    Found,
)
QUARANTINE = Query(
    "SELECT concat_ws('/', source, batch_date) AS name, greatest(batch_date, max(b.recorded_at)::date) AS day, "
    'max(b.recorded_at) AS written, count(*) AS things, sum(pg_column_size(q."row") + '
    "pg_column_size(q.violations))::bigint AS bytes, '' AS needed "
    "FROM quarantine.rows q JOIN catalog.batches b USING (source, batch_date) "
    'WHERE q."row"::text <> json_build_object()::text GROUP BY source, batch_date',
    Found,
)
# A champion is judged by all nights since its training, and so is the one before it, while it may come back.
SKETCHES = Query(
    "SELECT concat_ws('/', model, batch_date) AS name, greatest(batch_date, max(at)::date) AS day, max(at) AS written, "
    "count(*) AS things, sum(size)::bigint AS bytes, CASE WHEN bool_or((model, version) IN ("
    "SELECT model, version FROM (SELECT model, version, "
    "row_number() OVER (PARTITION BY model ORDER BY max(entry) DESC) AS n FROM governance.promotions "
    "GROUP BY model, version) newest WHERE n <= 2)) "
    "THEN 'a champion is judged by it' ELSE '' END AS needed FROM ("
    "SELECT model, batch_date, model_version AS version, sketched_at AS at, pg_column_size(sketch) AS size "
    "FROM catalog.prediction_sketches UNION ALL "
    "SELECT model, batch_date, model_version, counted_at, pg_column_size(counted) FROM catalog.profile_counts) s "
    "GROUP BY model, batch_date",
    Found,
)
VERDICTS = Query(
    "SELECT concat_ws('/', model, batch_date) AS name, greatest(batch_date, max(decided_at)::date) AS day, "
    "max(decided_at) AS written, count(*) AS things, sum(pg_column_size(drift))::bigint AS bytes, "
    f"CASE WHEN bool_or({_ASKED}) THEN 'a training was asked for by it' ELSE '' END AS needed "
    "FROM monitoring.verdicts v GROUP BY model, batch_date",
    Found,
)
_OF_NIGHTS = "(what IN ('published', 'failed', 'built', 'scored') OR starts_with(what, 'judged '))"
# The table itself keeps them for 35 days, by the clock: east of it, the date of a night comes sooner.
EVENTS = Query(
    "SELECT happened_at::date::text AS name, happened_at::date AS day, max(happened_at) AS written, "
    "count(*) AS things, sum(pg_column_size(about))::bigint AS bytes, "
    "CASE WHEN max(happened_at) < clock_timestamp() - interval '35 days' THEN '' "
    "ELSE 'it happened within 35 days' END AS needed FROM catalog.events "
    f"WHERE {_OF_NIGHTS} GROUP BY happened_at::date",
    Found,
)
RUNS = Query(
    "SELECT v.mlflow_run_id AS name, greatest(s.as_of, v.created_at::date) AS day, v.created_at AS written, "
    "1::bigint AS things, NULL::bigint AS bytes, CASE "
    "WHEN EXISTS (SELECT 1 FROM governance.promotions p WHERE (p.model, p.version) = (v.model, v.version)) "
    "THEN 'the ledger names its version' "
    "WHEN EXISTS (SELECT 1 FROM governance.signatures g WHERE g.training_id = v.training_id) "
    "THEN 'somebody signed for its version' "
    "WHEN EXISTS (SELECT 1 FROM governance.reproductions r WHERE (r.model, r.version) = (v.model, v.version)) "
    "THEN 'its version was made again' "
    "WHEN EXISTS (SELECT 1 FROM governance.decisions d WHERE d.training_id = v.training_id AND d.passed "
    "AND NOT EXISTS (SELECT 1 FROM governance.outcomes o WHERE o.training_id = d.training_id)) "
    "THEN 'its training has no outcome' ELSE '' END AS needed "
    "FROM governance.versions v JOIN governance.snapshots s USING (snapshot_id)",
    Found,
)
KINDS: Mapping[str, Query[Found]] = {
    "landed": LANDED,
    "snapshots": SNAPSHOTS,
    "reports": REPORTS,
    "data_docs": DATA_DOCS,
    "explorations": EXPLORATIONS,
    "quarantine": QUARANTINE,
    "sketches": SKETCHES,
    "verdicts": VERDICTS,
    "events": EVENTS,
    "mlflow": RUNS,
}

# Of one thing, just before it goes.
ONE: Mapping[str, Query[Found]] = {
    kind: Query(f"SELECT {', '.join(Found.columns())} FROM ({each.text}) found WHERE name = %(name)s", Found)
    for kind, each in KINDS.items()
}


@dataclass(frozen=True, kw_only=True)
class Retired(Row, table="catalog.retired", key=("kind", "name")):
    """What goes, or is gone. ``removed_at``: None while it is only marked."""

    kind: str
    name: str
    day: date
    things: int
    bytes: int
    why: str
    run_id: str
    marked_at: datetime = stamped()
    removed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Retention(Row, table="catalog.retentions", key=("run_id", "kind")):
    """What a run has taken away of a kind, and the oldest that is left."""

    run_id: str
    kind: str
    as_of: date
    things: int
    bytes: int
    oldest_kept: date | None
    recorded_at: datetime = stamped()


RETIRED = select(Retired)
# What an earlier try has marked is counted as it was then: some of it may be gone. What waits keeps who marked it.
MARK = upsert(
    Retired,
    run_id="CASE WHEN retired.removed_at IS NULL THEN retired.run_id ELSE excluded.run_id END",
    bytes="greatest(excluded.bytes, CASE WHEN retired.removed_at IS NULL THEN retired.bytes ELSE 0 END)",
)
SPARE = Command(
    "DELETE FROM catalog.retired WHERE kind = %(kind)s AND name = %(name)s AND removed_at IS NULL"
)
GONE = Command(
    "UPDATE catalog.retired SET removed_at = clock_timestamp() WHERE kind = %(kind)s AND name = %(name)s"
)
COUNT = upsert(Retention)
FORGET_REPORT = Command("UPDATE monitoring.verdicts SET report_key = NULL WHERE report_key = %(name)s")
FORGET_DOCS = Command("UPDATE catalog.batches SET docs_key = NULL WHERE docs_key = %(name)s")
# What is old goes, of a night that was found; what was written since stays. ``written``: when its rows were, last.
# That a row was set aside, by which rule and on which column, stays: rows still add up.
FORGET_VALUES = Command(
    'UPDATE quarantine.rows q SET (value, "row", violations) = (NULL, json_build_object(), (SELECT coalesce(json_agg('
    "json_build_object('rule', v ->> 'rule', 'column', v ->> 'column')), '[]') "
    "FROM json_array_elements(violations) v)) WHERE source = %(subject)s AND batch_date = %(night)s "
    "AND NOT EXISTS (SELECT 1 FROM catalog.batches b WHERE (b.source, b.batch_date) = (q.source, q.batch_date) "
    "AND b.recorded_at > %(written)s)"
)
FORGET_PREDICTIONS = Command(
    "DELETE FROM catalog.prediction_sketches WHERE model = %(subject)s AND batch_date = %(night)s "
    "AND sketched_at <= %(written)s"
)
FORGET_COUNTS = Command(
    "DELETE FROM catalog.profile_counts WHERE model = %(subject)s AND batch_date = %(night)s "
    "AND counted_at <= %(written)s"
)
FORGET_VERDICTS = Command(
    "DELETE FROM monitoring.verdicts WHERE model = %(subject)s AND batch_date = %(night)s "
    "AND decided_at <= %(written)s"
)
FORGET_EVENTS = Command(
    "DELETE FROM catalog.events WHERE happened_at::date = %(night)s AND happened_at <= %(written)s "
    f"AND {_OF_NIGHTS}"
)


@dataclass(frozen=True, kw_only=True)
class Newest(Row):
    """The newest night that anything was collected for."""

    night: date | None


NEWEST = Query("SELECT max(batch_date) AS night FROM catalog.batches", Newest)
