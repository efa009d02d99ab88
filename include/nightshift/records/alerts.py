"""Alerts: what is wrong now, what was told of it, what waits to be sent, silences; and what conditions read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from nightshift.rows import JSON, Command, Query, Row, insert, numbered, select, upsert

What = Literal["opened", "reminded", "resolved", "test"]
# Counts, shares, evidence; a text is a date or a name of a spec, never a value of a row.
Numbers = Mapping[str, int | float | str | None]


@dataclass(frozen=True, kw_only=True)
class OpenAlert(Row, table="alerts.open", key=("fingerprint",)):
    """What is wrong now. ``subject``: ``model:NAME``, ``source:NAME``, ``features:NAME``, ``project`` and so on.

    ``muted_by``: the fingerprint of what it follows from. ``told_at``: None until anybody was told of it: it is muted,
    silenced, or too young. ``action``: what to do; ``runbook``: the anchor in docs/runbooks.md.
    """

    fingerprint: str
    kind: str
    subject: str
    severity: str
    owner: str
    title: str
    action: str
    runbook: str
    dag_id: str | None
    numbers: Annotated[dict[str, int | float | str | None], JSON]
    since: datetime
    opened_at: datetime
    seen_at: datetime
    told_at: datetime | None = None
    told: int = 0
    muted_by: str | None = None
    silenced_until: datetime | None = None


# The worst first, then the oldest.
OPEN = select(
    OpenAlert,
    order="array_position(ARRAY['critical', 'error', 'warning'], severity), muted_by IS NOT NULL, since, fingerprint",
)
KEEP_OPEN = upsert(OpenAlert)
CLOSE = Command("DELETE FROM alerts.open WHERE fingerprint = %(fingerprint)s")


@dataclass(frozen=True, kw_only=True)
class AlertEvent(Row, table="alerts.events", key=("event",)):
    """What happened to an alert, and when. Append-only. ``told``: whether receivers were told."""

    event: int = numbered()
    happened_at: datetime
    fingerprint: str
    what: str
    severity: str
    owner: str
    title: str
    told: bool
    why: str = ""


HAPPENED = insert(AlertEvent)
EVENTS = select(AlertEvent, "fingerprint = %(fingerprint)s", order="event DESC LIMIT %(most)s")


@dataclass(frozen=True, kw_only=True)
class Resolved(Row):
    """When an alert was last resolved, and whose it was."""

    fingerprint: str
    at: datetime
    owner: str = ""


RESOLVED_SINCE = Query(
    "SELECT DISTINCT ON (fingerprint) fingerprint, happened_at AS at, owner FROM alerts.events "
    "WHERE what = 'resolved' AND happened_at > %(since)s ORDER BY fingerprint, event DESC",
    Resolved,
)


@dataclass(frozen=True)
class Message:
    """What a receiver is told. ``fingerprint``: the same from the first word on an alert to the last.

    ``link``: the page in Airflow's UI. No value of a row and no secret is in it.
    """

    what: What
    fingerprint: str
    kind: str
    subject: str
    severity: str
    owner: str
    title: str
    action: str
    runbook: str
    link: str
    numbers: Numbers
    since: datetime
    at: datetime
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Outgoing(Row, table="alerts.outbox", key=("message",)):
    """A message to one receiver, until it is delivered and ever after. ``error``: why the last try failed."""

    message: int = numbered()
    fingerprint: str
    receiver: str
    what: str
    body: Annotated[Message, JSON]
    made_at: datetime
    not_before: datetime
    tries: int = 0
    delivered_at: datetime | None = None
    error: str | None = None


POST = insert(Outgoing)
# A reminder adds nothing to a message that still waits.
REMIND = Command(
    "INSERT INTO alerts.outbox (fingerprint, receiver, what, body, made_at, not_before, tries) "
    "SELECT %(fingerprint)s::text, %(receiver)s::text, %(what)s::text, %(body)s::jsonb, %(made_at)s::timestamptz, "
    "%(not_before)s::timestamptz, 0 WHERE NOT EXISTS (SELECT 1 FROM alerts.outbox WHERE delivered_at IS NULL "
    "AND fingerprint = %(fingerprint)s AND receiver = %(receiver)s)",
    frozenset({"body"}),
)


@dataclass(frozen=True, kw_only=True)
class Told(Row):
    """A receiver that was told that an alert is open."""

    receiver: str


TOLD = Query(
    "SELECT DISTINCT receiver FROM alerts.outbox WHERE fingerprint = %(fingerprint)s "
    "AND what IN ('opened', 'reminded') AND made_at >= %(since)s ORDER BY receiver",
    Told,
)


@dataclass(frozen=True, kw_only=True)
class Heard(Row):
    """A receiver of an alert that is open: whether it has taken a message of it, and whether one waits."""

    fingerprint: str
    receiver: str
    took: bool
    waits: bool


HEARD = Query(
    "SELECT o.fingerprint, o.receiver, bool_or(o.delivered_at IS NOT NULL) AS took, "
    "bool_or(o.delivered_at IS NULL) AS waits FROM alerts.outbox o JOIN alerts.open a USING (fingerprint) "
    "WHERE o.made_at >= a.opened_at AND o.what IN ('opened', 'reminded') GROUP BY 1, 2 ORDER BY 1, 2",
    Heard,
)
# One at a time, and of one alert to one receiver in their order: nobody hears of an end before the beginning. The row
# is held until the transaction ends, so a sender that dies gives it back at once.
# ``away``: receivers that are left alone.
# The first of each alert and receiver is found at once for all: asked row by row, 3,000 that waited took 4 s each.
CLAIM = Query(
    f"SELECT {', '.join(Outgoing.columns())} FROM alerts.outbox o WHERE delivered_at IS NULL "
    "AND not_before <= %(now)s AND receiver <> ALL(%(away)s::text[]) "
    "AND message IN (SELECT min(b.message) FROM alerts.outbox b WHERE b.delivered_at IS NULL "
    "GROUP BY b.fingerprint, b.receiver) ORDER BY not_before, message LIMIT 1 FOR UPDATE OF o SKIP LOCKED",
    Outgoing,
)
# A mark that a crash of the database loses is sent once more; to wait for the disk would make that likelier, not rarer.
HURRY = Command("SET LOCAL synchronous_commit = off")
DELIVERED = Command(
    "UPDATE alerts.outbox SET (delivered_at, tries, error) = (%(now)s, tries + 1, NULL) WHERE message = %(message)s"
)
FAILED = Command(
    "UPDATE alerts.outbox SET (delivered_at, not_before, error) = (NULL, %(not_before)s, %(error)s) "
    "WHERE message = %(message)s"
)


@dataclass(frozen=True, kw_only=True)
class Unsent(Row):
    """What waits for a receiver that did not take it. ``takes_others``: it has taken a message since the oldest."""

    receiver: str
    messages: int
    oldest: datetime
    takes_others: bool = False


UNSENT = Query(
    "SELECT w.*, EXISTS (SELECT 1 FROM alerts.outbox t WHERE t.receiver = w.receiver AND t.delivered_at > w.oldest) "
    "AS takes_others FROM (SELECT receiver, count(*) AS messages, min(made_at) AS oldest FROM alerts.outbox "
    "WHERE delivered_at IS NULL AND tries > 0 GROUP BY receiver) w ORDER BY receiver",
    Unsent,
)


@dataclass(frozen=True, kw_only=True)
class Silence(Row, table="alerts.silences", key=("silence",)):
    """Nobody is told of these alerts until then. ``kind`` and ``subject``: ``*`` is each."""

    silence: int = numbered()
    kind: str
    subject: str
    owner: str
    until: datetime
    reason: str
    actor: str
    made_at: datetime


SILENCE = insert(Silence)
SILENCES = select(Silence, "until > %(now)s", order="silence")
RENAME_SILENCED = Command("UPDATE alerts.silences SET subject = %(new)s WHERE subject = %(old)s")
# One evaluation at a time: two that read at different instants would open and close in turn.
LOCK = Command("SELECT pg_advisory_xact_lock(hashtext('nightshift alerts'))")


LATE = timedelta(minutes=12)


@dataclass(frozen=True, kw_only=True)
class Pulse(Row, table="alerts.pulse", key=("is_only",)):
    """When alerts were last evaluated, and by whom."""

    evaluated_at: datetime
    evaluated_by: str

    def is_late(self, now: datetime) -> bool:
        """Whether nobody has looked for two rounds and a little."""
        return now - self.evaluated_at > LATE


PULSE = select(Pulse)


@dataclass(frozen=True, kw_only=True)
class Looked(Row):
    """When somebody looked last, and whether that is too long ago by the database's clock."""

    at: datetime
    late: bool


# ``late``: after how long it is.
LOOKED = Query(
    "SELECT evaluated_at AS at, clock_timestamp() - evaluated_at > %(late)s AS late FROM alerts.pulse",
    Looked,
)
BEAT = Command(
    "INSERT INTO alerts.pulse (evaluated_at, evaluated_by) VALUES (%(now)s, %(by)s) ON CONFLICT (is_only) "
    "DO UPDATE SET (evaluated_at, evaluated_by) = (excluded.evaluated_at, excluded.evaluated_by)"
)


@dataclass(frozen=True, kw_only=True)
class Declared(Row, table="alerts.declared", key=("name",)):
    """Since when a source, or a feature set by its table, is declared: the first look that saw it, or its file then."""

    name: str
    since: datetime


DECLARED = select(Declared)
DECLARE = upsert(Declared, since="least(declared.since, excluded.since)")
UNDECLARE = Command("DELETE FROM alerts.declared WHERE name <> ALL(%(names)s)")

# What conditions read: of each source, set and model the newest nights, newest first.


@dataclass(frozen=True, kw_only=True)
class Batch(Row):
    """The judgement of a night's delivery. ``stale``: its newest event was too old."""

    source: str
    batch_date: date
    status: str
    collected: int
    rejected: int
    stale: bool
    recorded_at: datetime


def _newest(table: str, of: str) -> str:
    """Return the newest nights of each thing in a table."""
    return (
        f"(SELECT *, row_number() OVER (PARTITION BY {of} ORDER BY batch_date DESC) AS n FROM {table}) newest "
        "WHERE n <= %(nights)s"
    )


BATCHES = Query(
    "SELECT source, batch_date, status, collected, rejected, "
    "position('hours before the cut-off' IN reasons) > 0 AS stale, recorded_at "
    f"FROM {_newest('catalog.batches', 'source')} ORDER BY source, batch_date DESC",
    Batch,
)


@dataclass(frozen=True, kw_only=True)
class Announced(Row):
    """A night of a source that was announced to what follows."""

    asset: str
    batch_date: date
    decided_at: datetime


ANNOUNCED = Query(
    "SELECT asset, batch_date, decided_at FROM "
    "(SELECT *, row_number() OVER (PARTITION BY asset ORDER BY batch_date DESC) AS n FROM catalog.announcements "
    "WHERE announced AND starts_with(asset, 'raw.')) newest WHERE n <= %(nights)s ORDER BY asset, batch_date DESC",
    Announced,
)


@dataclass(frozen=True, kw_only=True)
class Built(Row):
    """A night of a feature set, and the columns in which a fault is open."""

    features: str
    batch_date: date
    built_at: datetime
    faulty: list[str]
    found_at: datetime | None


BUILT = Query(
    "SELECT b.features, b.batch_date, b.built_at, "
    "coalesce(array_agg(DISTINCT f.column_name ORDER BY f.column_name) FILTER (WHERE f.column_name IS NOT NULL), "
    "ARRAY[]::text[]) AS faulty, min(f.found_at) AS found_at "
    "FROM (SELECT *, feature_set || '_v' || feature_version AS features, row_number() OVER (PARTITION BY "
    "feature_set, feature_version ORDER BY batch_date DESC) AS n FROM catalog.feature_batches) b "
    "LEFT JOIN monitoring.faults f ON (f.feature_set, f.feature_version, f.batch_date) "
    "= (b.feature_set, b.feature_version, b.batch_date) AND f.closed_at IS NULL "
    "WHERE n <= %(nights)s GROUP BY 1, 2, 3 ORDER BY 1, 2 DESC",
    Built,
)


@dataclass(frozen=True, kw_only=True)
class Judged(Row):
    """A scored night of a model, and what its verdict says; None: there is none yet, or that reason is switched off."""

    model: str
    batch_date: date
    scored_at: datetime
    decided_at: datetime | None
    harm: float | None
    harm_limit: float | None
    shift: float | None
    shift_limit: float | None


def _said(reason: str) -> str:
    """Return the evidence of a reason and its limit."""
    found = f"(SELECT r FROM jsonb_array_elements(v.reasons -> 'said') r WHERE r ->> 'name' = '{reason}')"
    return ", ".join(
        f"({found} ->> '{key}')::double precision AS {name}"
        for key, name in (("value", reason), ("limit", f"{reason}_limit"))
    )


JUDGED = Query(
    f"SELECT p.model, p.batch_date, p.scored_at, v.decided_at, {_said('harm')}, {_said('shift')} "
    "FROM (SELECT *, row_number() OVER (PARTITION BY model ORDER BY batch_date DESC) AS n "
    "FROM catalog.prediction_batches WHERE arm = 'champion') p "
    "LEFT JOIN monitoring.verdicts v USING (model, batch_date, arm) "
    "WHERE n <= %(nights)s ORDER BY p.model, p.batch_date DESC",
    Judged,
)


@dataclass(frozen=True, kw_only=True)
class Champion(Row):
    """The newest entry of a model's ledger: the version that the alias must point at, and since when.

    ``promoted_at``: when a version was last promoted; the newest entry may be a rollback, or a renaming.
    """

    model: str
    version: int
    effective_from: date
    promoted_at: datetime | None


CHAMPIONS = Query(
    "SELECT DISTINCT ON (model) model, version, effective_from, max(promoted_at) FILTER (WHERE kind = 'promotion') "
    "OVER (PARTITION BY model) AS promoted_at FROM governance.promotions ORDER BY model, entry DESC",
    Champion,
)


@dataclass(frozen=True, kw_only=True)
class Request(Row):
    """A night that asked for a training: what it started or what held it back, and how that ended."""

    model: str
    batch_date: date
    status: str
    guard: str | None
    outcome: str | None
    requested_at: datetime
    not_before: date | None = None


REQUESTS = Query(
    "SELECT model, batch_date, status, guard, outcome, requested_at, not_before FROM "
    "(SELECT *, row_number() OVER (PARTITION BY model, status ORDER BY batch_date DESC) AS n "
    "FROM monitoring.retrain_requests) newest WHERE n <= %(nights)s ORDER BY model, batch_date DESC",
    Request,
)


@dataclass(frozen=True, kw_only=True)
class Waiting(Row):
    """A challenger that passed its gates and waits for a signature."""

    model: str
    version: int
    decided_at: datetime


WAITING = Query(
    "SELECT d.model, d.challenger AS version, d.decided_at FROM governance.decisions d WHERE d.passed "
    "AND d.approval = 'required' "
    "AND NOT EXISTS (SELECT 1 FROM governance.signatures s WHERE s.training_id = d.training_id) "
    "AND NOT EXISTS (SELECT 1 FROM governance.outcomes o WHERE o.training_id = d.training_id) "
    "ORDER BY d.model, d.decided_at",
    Waiting,
)


@dataclass(frozen=True, kw_only=True)
class Lost(Row):
    """The newest night of a model's probations: whether it sends the new champion back."""

    model: str
    batch_date: date
    model_version: int
    before: int
    evidence: float
    rolls_back: bool
    judged_at: datetime


PROBATIONS = Query(
    "SELECT DISTINCT ON (model) model, batch_date, model_version, before, evidence, rolls_back, judged_at "
    "FROM monitoring.probations ORDER BY model, batch_date DESC",
    Lost,
)


@dataclass(frozen=True, kw_only=True)
class SetAside(Row):
    """The rows of a source that wait in quarantine: of its newest seven nights, and of all."""

    source: str
    newest: int
    all: int
    since: date


SET_ASIDE = Query(
    "SELECT q.source, count(*) FILTER (WHERE q.batch_date > b.newest - 7) AS newest, count(*) AS all, "
    "min(q.batch_date) AS since FROM quarantine.open_rows q JOIN (SELECT source, max(batch_date) AS newest "
    "FROM catalog.batches GROUP BY source) b USING (source) GROUP BY q.source ORDER BY q.source",
    SetAside,
)
