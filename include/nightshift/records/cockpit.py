"""The operators' cockpit: one statement a page, and what its rows are. They read; nothing here writes."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from nightshift.records.decisions import GateResult, Slice
from nightshift.records.monitoring import FeatureDrift, GuardAnswer, Harm, PerformanceResult, Reason, Shift
from nightshift.records.profile import FeatureProfile
from nightshift.records.sketches import Counted
from nightshift.rows import JSON, Query, Row


@dataclass(frozen=True, kw_only=True)
class NewestNight(Row):
    """The newest night that anything was scored, built or collected of; None: nothing was."""

    night: date | None


NEWEST_NIGHT = Query(
    "SELECT coalesce((SELECT max(batch_date) FROM catalog.prediction_batches), "
    "(SELECT max(batch_date) FROM catalog.feature_batches), "
    "(SELECT max(batch_date) FROM catalog.batches)) AS night",
    NewestNight,
)


@dataclass(frozen=True)
class Delivery:
    """A source of a model: its newest published night, and how the night asked for went; None: it has none."""

    source: str
    newest: date | None
    status: str | None
    collected: int | None
    rejected: int | None
    why: str | None


@dataclass(frozen=True)
class OpenFault:
    """What is wrong with the features of a night."""

    batch_date: date
    column_name: str
    words: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Waiting:
    """A decision that waits for a signature. ``decided_on``: by the project's clock."""

    training_id: str
    challenger: int
    as_of: date
    decided_at: datetime
    decided_on: date


@dataclass(frozen=True)
class Asking:
    """A request for a training of the last 30 nights. ``hours``: how long ago it was made."""

    batch_date: date
    status: str
    guard: str | None
    reason: str
    training_id: str | None
    outcome: str | None
    not_before: date | None
    requested_at: datetime
    hours: float


@dataclass(frozen=True)
class Trial:
    """The newest night of a champion's probation."""

    batch_date: date
    before: int
    since: date
    evidence: float
    rolls_back: bool
    reason: str


@dataclass(frozen=True)
class Alert:
    """An alert that is open. ``action``: what to do; ``muted``: it follows from another one."""

    fingerprint: str
    severity: str
    title: str
    action: str
    runbook: str
    since: datetime
    muted: bool


@dataclass(frozen=True, kw_only=True)
class FleetRow(Row):
    """A model as it stands by a night. ``trend``: the metric of its windows, a night each, oldest first.

    ``missing``: nights of the last 30 without predictions, since the first that was ever scored. ``retrained``: the
    nights of the trend from which on another version served. ``promoted_at``: when a version was last promoted.
    ``breaker``: the newest request that it held back, unless a training was started since. ``kind``, ``actor`` and
    ``promoted_because``: of the entry that put the version in service, not of one that renamed the model.
    """

    model: str
    version: int | None
    since: date | None
    kind: str | None
    actor: str | None
    promoted_because: str | None
    promoted_at: datetime | None
    trained_until: date | None
    judged: date | None
    status: str | None
    reason: str | None
    retrain: bool | None
    report_key: str | None
    drift: str | None
    harm: Annotated[Harm | None, JSON]
    shift: Annotated[Shift | None, JSON]
    said: Annotated[tuple[Reason, ...] | None, JSON]
    performance: Annotated[PerformanceResult | None, JSON]
    top: Annotated[FeatureDrift | None, JSON]
    scored: date | None
    rows: int | None
    built: date | None
    missing: list[str]
    deliveries: Annotated[tuple[Delivery, ...], JSON]
    faults: Annotated[tuple[OpenFault, ...], JSON]
    labelled: int | None
    expected: int | None
    waiting: Annotated[Waiting | None, JSON]
    request: Annotated[Asking | None, JSON]
    breaker: Annotated[Asking | None, JSON]
    trial: Annotated[Trial | None, JSON]
    trend: list[float]
    retrained: list[str]
    alerts: Annotated[tuple[Alert, ...], JSON]


# ``declared``: of each model [{model, feature_set, feature_version, sources, unsigned_hours}]. What is read of a model
# lies between two dates, and a source is looked up once, however many models read it: a year of nights costs as two
# months.
_ASKING = (
    "jsonb_build_object('batch_date', r.batch_date, 'status', r.status, 'guard', r.guard, 'reason', r.reason, "
    "'training_id', r.training_id, 'outcome', r.outcome, 'not_before', r.not_before, 'requested_at', r.requested_at, "
    "'hours', extract(epoch FROM clock_timestamp() - r.requested_at)::float8 / 3600)"
)
FLEET = Query(
    f"""WITH d AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%(declared)s::text::jsonb)
    AS d(model text, feature_set text, feature_version integer, sources text[], unsigned_hours integer)
), delivered AS MATERIALIZED (
  SELECT x.source, (SELECT b.batch_date FROM catalog.batches b WHERE b.source = x.source AND b.status = 'published'
           AND b.batch_date <= %(night)s ORDER BY b.batch_date DESC LIMIT 1) AS newest,
         t.status, t.collected, t.rejected, t.reasons AS why
  FROM (SELECT DISTINCT unnest(d.sources) AS source FROM d) x
  LEFT JOIN catalog.batches t ON (t.source, t.batch_date) = (x.source, %(night)s::date)
)
SELECT d.model, c.version, c.effective_from AS since, put.kind, put.actor, put.reason AS promoted_because,
       (SELECT max(p.promoted_at) FROM governance.promotions p WHERE p.model = d.model AND p.kind = 'promotion'
        AND p.effective_from <= %(night)s) AS promoted_at,
       coalesce((w.refit->>'last')::date, w.train_last) AS trained_until,
       v.batch_date AS judged, v.status, v.reason, v.retrain, v.report_key, v.drift->>'status' AS drift,
       v.reasons->'harm' AS harm, v.drift->'shift' AS shift, v.reasons->'said' AS said, v.performance,
       (SELECT f FROM jsonb_array_elements(v.drift->'features') f
        ORDER BY (f->>'psi')::float8 / nullif((f->>'limit')::float8, 0) DESC NULLS LAST LIMIT 1) AS top,
       s.batch_date AS scored, s.row_count AS rows,
       (SELECT max(f.batch_date) FROM catalog.feature_batches f WHERE (f.feature_set, f.feature_version)
        = (d.feature_set, d.feature_version) AND f.batch_date <= %(night)s) AS built,
       ARRAY(SELECT n::date::text FROM generate_series(
             (SELECT greatest(p.batch_date, %(night)s::date - 29) FROM catalog.prediction_batches p
              WHERE p.model = d.model AND p.arm = 'champion' AND p.batch_date <= %(night)s
              ORDER BY p.batch_date LIMIT 1),
             %(night)s::date, '1 day') n
         WHERE n::date NOT IN (SELECT p.batch_date FROM catalog.prediction_batches p
           WHERE p.model = d.model AND p.arm = 'champion' AND p.batch_date BETWEEN %(night)s::date - 29 AND %(night)s)
         ORDER BY n) AS missing,
       coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.source) FROM delivered x WHERE x.source = ANY(d.sources)),
         '[]') AS deliveries,
       coalesce((SELECT jsonb_agg(f) FROM (SELECT batch_date, column_name, words, sources FROM monitoring.faults
         WHERE (feature_set, feature_version) = (d.feature_set, d.feature_version) AND closed_at IS NULL
         AND batch_date BETWEEN %(night)s::date - 13 AND %(night)s ORDER BY batch_date DESC, column_name LIMIT 5) f),
         '[]') AS faults,
       l.labelled, l.expected,
       (SELECT jsonb_build_object('training_id', g.training_id, 'challenger', g.challenger, 'as_of', g.as_of,
               'decided_at', g.decided_at, 'decided_on', (g.decided_at AT TIME ZONE %(zone)s)::date)
        FROM governance.decisions g
        WHERE g.model = d.model AND g.passed AND g.approval = 'required'
        AND g.decided_at + make_interval(hours => d.unsigned_hours) > clock_timestamp()
        AND NOT EXISTS (SELECT 1 FROM governance.outcomes o WHERE o.training_id = g.training_id)
        AND NOT EXISTS (SELECT 1 FROM governance.signatures o WHERE o.training_id = g.training_id)
        ORDER BY g.decided_at DESC LIMIT 1) AS waiting,
       (SELECT {_ASKING} FROM monitoring.retrain_requests r WHERE r.model = d.model
        AND r.batch_date BETWEEN %(night)s::date - 29 AND %(night)s
        ORDER BY r.batch_date DESC LIMIT 1) AS request,
       (SELECT {_ASKING} FROM monitoring.retrain_requests r WHERE r.model = d.model AND r.guard = 'breaker'
        AND r.batch_date BETWEEN %(night)s::date - 29 AND %(night)s
        AND NOT EXISTS (SELECT 1 FROM monitoring.retrain_requests l WHERE l.model = r.model AND l.status = 'started'
          AND l.batch_date BETWEEN r.batch_date + 1 AND %(night)s)
        ORDER BY r.batch_date DESC LIMIT 1) AS breaker,
       (SELECT jsonb_build_object('batch_date', p.batch_date, 'before', p.before, 'since', p.since,
               'evidence', p.evidence, 'rolls_back', p.rolls_back, 'reason', p.reason)
        FROM monitoring.probations p WHERE p.model = d.model AND p.model_version = c.version
        AND p.since = c.effective_from AND p.batch_date <= %(night)s ORDER BY p.batch_date DESC LIMIT 1) AS trial,
       ARRAY(SELECT (h.performance->>'value')::float8 FROM generate_series(%(first)s::date, %(night)s::date, '1 day') n
         LEFT JOIN (SELECT v.batch_date, v.performance FROM monitoring.verdicts v WHERE v.model = d.model
           AND v.arm = 'champion' AND v.batch_date BETWEEN %(first)s AND %(night)s) h ON h.batch_date = n::date
         ORDER BY n) AS trend,
       ARRAY(SELECT DISTINCT p.effective_from::text FROM governance.promotions p WHERE p.model = d.model
         AND p.kind <> 'rename' AND p.effective_from BETWEEN %(first)s AND %(night)s ORDER BY 1) AS retrained,
       coalesce((SELECT jsonb_agg(jsonb_build_object('fingerprint', a.fingerprint, 'severity', a.severity,
         'title', a.title, 'action', a.action, 'runbook', a.runbook, 'since', a.since, 'muted', a.muted_by IS NOT NULL)
         ORDER BY array_position(ARRAY['critical', 'error', 'warning'], a.severity), a.since)
         FROM alerts.open a WHERE a.subject = 'model:' || d.model), '[]') AS alerts
FROM d
LEFT JOIN LATERAL governance.champion_on(d.model, %(night)s::date) c ON true
LEFT JOIN LATERAL (SELECT p.kind, p.actor, p.reason FROM governance.promotions p WHERE p.model = c.model
  AND p.version = c.version AND p.entry <= c.entry AND p.kind <> 'rename' ORDER BY p.entry DESC LIMIT 1) put ON true
LEFT JOIN governance.versions w ON (w.model, w.version) = (c.model, c.version)
LEFT JOIN LATERAL (SELECT * FROM monitoring.verdicts v WHERE v.model = d.model AND v.arm = 'champion'
  AND v.batch_date <= %(night)s ORDER BY v.batch_date DESC LIMIT 1) v ON true
LEFT JOIN LATERAL (SELECT batch_date, row_count FROM catalog.prediction_batches p WHERE p.model = d.model
  AND p.arm = 'champion' AND p.batch_date <= %(night)s ORDER BY p.batch_date DESC LIMIT 1) s ON true
LEFT JOIN LATERAL (SELECT sum(labelled)::bigint AS labelled, sum(scored)::bigint AS expected
  FROM monitoring.performance p WHERE p.model = d.model AND p.arm = 'champion'
  AND p.batch_date BETWEEN %(night)s::date - 29 AND %(night)s) l ON true
ORDER BY d.model""",
    FleetRow,
)


@dataclass(frozen=True)
class TimelineNight:
    """A night of a model: what was scored, what it came to, what was expected before labels, what it said.

    ``value`` with ``low`` and ``high``: the metric over the window, by labels; ``estimate`` before them.
    ``provisional``: labels are missing that will come.
    """

    night: date
    version: int
    scored: int
    status: str | None
    drift: str | None
    reason: str | None
    report_key: str | None
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    estimate: float | None
    estimate_low: float | None
    estimate_high: float | None
    provisional: bool | None
    harm: float | None
    shift: float | None
    labelled: int | None


@dataclass(frozen=True)
class LedgerEntry:
    """An entry of the ledger."""

    entry: int
    version: int
    kind: str
    effective_from: date
    actor: str
    reason: str
    training_id: str
    promoted_at: datetime


@dataclass(frozen=True)
class DecisionMade:
    """What the gates said of a challenger, who signed, how it ended."""

    training_id: str
    challenger: int
    champion: int | None
    as_of: date
    reason: str
    passed: bool
    approval: str
    requested_by: str | None
    gates: tuple[GateResult, ...]
    answer: str | None
    signed_by: str | None
    comment: str | None
    outcome: str | None
    decided_at: datetime


@dataclass(frozen=True)
class RequestMade:
    """A night that asked for a training, and what every guard said. ``hours``: how long ago it asked.

    ``came_of_it``: how the training that it started ended, or what it does, in words.
    """

    batch_date: date
    status: str
    guard: str | None
    reason: str
    training_id: str | None
    requested_by: str | None
    outcome: str | None
    not_before: date | None
    answers: tuple[GuardAnswer, ...]
    hours: float
    came_of_it: str = ""


@dataclass(frozen=True)
class FeatureNow:
    """A feature of the newest judged night, and how far from training it was on the nights of the heat map.

    ``psi``: the drift of each night as a share of its limit, oldest first; None: not measured.
    """

    name: str
    now: FeatureDrift
    psi: tuple[float | None, ...]


@dataclass(frozen=True)
class CountedOn:
    """The newest night that was counted in the bins of the serving version's profile."""

    night: date
    counted: Counted


@dataclass(frozen=True)
class SlicesOf:
    """The slices of the holdout that the newest challenger was judged on."""

    challenger: int
    champion: int | None
    slices: dict[str, Slice]


@dataclass(frozen=True, kw_only=True)
class ModelRow(Row):
    """What is recorded of a model between two nights, newest first; ``nights`` and the heat map oldest first.

    ``profile``: the serving version's training as histograms.
    """

    nights: Annotated[tuple[TimelineNight, ...], JSON]
    ledger: Annotated[tuple[LedgerEntry, ...], JSON]
    decisions: Annotated[tuple[DecisionMade, ...], JSON]
    requests: Annotated[tuple[RequestMade, ...], JSON]
    faults: Annotated[tuple[OpenFault, ...], JSON]
    heat_nights: list[str]
    features: Annotated[tuple[FeatureNow, ...], JSON]
    profile: Annotated[tuple[FeatureProfile, ...] | None, JSON]
    counted: Annotated[CountedOn | None, JSON]
    slices: Annotated[SlicesOf | None, JSON]


MODEL = Query(
    """WITH judged AS (
  SELECT v.batch_date, v.drift->'features' AS features FROM monitoring.verdicts v
  WHERE v.model = %(model)s AND v.arm = 'champion' AND v.batch_date BETWEEN %(first)s AND %(night)s
  AND jsonb_array_length(v.drift->'features') > 0 ORDER BY v.batch_date DESC LIMIT %(heat)s
), shares AS MATERIALIZED (
  SELECT j.batch_date, (SELECT jsonb_object_agg(f->>'name',
           round(((f->>'psi')::float8 / nullif((f->>'limit')::float8, 0))::numeric, 3))
         FROM jsonb_array_elements(j.features) f) AS psi FROM judged j
), served AS (
  SELECT model, version FROM governance.champion_on(%(model)s, %(night)s::date)
), newest AS (
  SELECT f, f->>'name' AS name FROM (SELECT features FROM judged ORDER BY batch_date DESC LIMIT 1) j,
  jsonb_array_elements(j.features) f
)
SELECT coalesce((SELECT jsonb_agg(n ORDER BY n.night) FROM (
    SELECT b.batch_date AS night, b.model_version AS version, b.row_count AS scored, v.status,
           v.drift->>'status' AS drift, v.reason, v.report_key,
           (v.performance->>'value')::float8 AS value, (v.performance->>'low')::float8 AS low,
           (v.performance->>'high')::float8 AS high, (v.performance->>'baseline')::float8 AS baseline,
           (m.e->>'value')::float8 AS estimate, (m.e->>'low')::float8 AS estimate_low,
           (m.e->>'high')::float8 AS estimate_high, a.state = 'provisional' AS provisional,
           (v.reasons->'harm'->>'evidence')::float8 AS harm, (v.drift->'shift'->>'evidence')::float8 AS shift,
           p.labelled
    FROM catalog.prediction_batches b LEFT JOIN monitoring.verdicts v USING (model, batch_date, arm)
    LEFT JOIN monitoring.estimates e USING (model, batch_date, arm)
    LEFT JOIN LATERAL (SELECT e.result->'metrics'->(e.result->>'metric') AS e) m ON true
    LEFT JOIN LATERAL (SELECT x.labelled FROM monitoring.performance x
      WHERE (x.model, x.batch_date, x.arm) = (b.model, b.batch_date, b.arm)) p ON true
    LEFT JOIN monitoring.arrivals a USING (model, batch_date)
    WHERE b.model = %(model)s AND b.arm = 'champion' AND b.batch_date BETWEEN %(first)s AND %(night)s) n), '[]')
  AS nights,
  coalesce((SELECT jsonb_agg(l ORDER BY l.entry DESC) FROM (
    SELECT entry, version, kind, effective_from, actor, reason, training_id, promoted_at FROM governance.promotions
    WHERE model = %(model)s AND effective_from <= %(night)s) l), '[]') AS ledger,
  coalesce((SELECT jsonb_agg(x ORDER BY x.decided_at DESC) FROM (
    SELECT g.training_id, g.challenger, g.champion, g.as_of, g.reason, g.passed, g.approval, g.requested_by, g.gates,
           s.answer, s.signed_by, s.comment, (SELECT o.outcome FROM governance.outcomes o
             WHERE o.training_id = g.training_id ORDER BY o.outcome = 'promoted' DESC, o.outcome_id DESC LIMIT 1)
           AS outcome, g.decided_at
    FROM governance.decisions g LEFT JOIN governance.signatures s USING (training_id)
    WHERE g.model = %(model)s AND g.as_of <= %(night)s ORDER BY g.decided_at DESC LIMIT 50) x), '[]') AS decisions,
  coalesce((SELECT jsonb_agg(r ORDER BY r.batch_date DESC) FROM (
    SELECT batch_date, status, guard, reason, training_id, requested_by, outcome, not_before, answers,
           extract(epoch FROM clock_timestamp() - requested_at)::float8 / 3600 AS hours
    FROM monitoring.retrain_requests WHERE model = %(model)s AND batch_date <= %(night)s
    ORDER BY batch_date DESC LIMIT 50) r), '[]') AS requests,
  coalesce((SELECT jsonb_agg(f ORDER BY f.batch_date DESC) FROM (
    SELECT batch_date, column_name, words, sources FROM monitoring.faults
    WHERE (feature_set, feature_version) = (%(feature_set)s::text, %(feature_version)s::integer)
    AND closed_at IS NULL AND batch_date BETWEEN %(first)s AND %(night)s ORDER BY batch_date DESC LIMIT 100) f), '[]')
  AS faults,
  ARRAY(SELECT batch_date::text FROM judged ORDER BY batch_date) AS heat_nights,
  coalesce((SELECT jsonb_agg(jsonb_build_object('name', w.name, 'now', w.f, 'psi', p.psi)
      ORDER BY (p.psi->>-1)::float8 DESC NULLS LAST)
    FROM newest w, LATERAL (SELECT jsonb_agg(x.psi->w.name ORDER BY x.batch_date) AS psi FROM shares x) p), '[]')
  AS features,
  (SELECT w.profile->'features' FROM served c JOIN governance.versions w USING (model, version)) AS profile,
  (SELECT jsonb_build_object('night', k.batch_date, 'counted', k.counted) FROM catalog.profile_counts k, served c
   WHERE (k.model, k.model_version) = (c.model, c.version) AND k.batch_date <= %(night)s
   ORDER BY k.batch_date DESC LIMIT 1) AS counted,
  (SELECT jsonb_build_object('challenger', g.challenger, 'champion', g.champion, 'slices', g.evaluation->'slices')
   FROM governance.decisions g WHERE g.model = %(model)s AND g.as_of <= %(night)s
   AND g.evaluation->'slices' IS NOT NULL ORDER BY g.decided_at DESC LIMIT 1) AS slices""",
    ModelRow,
)


@dataclass(frozen=True, kw_only=True)
class NightStep(Row):
    """What a night has of a source, a feature set or a model; None where it has nothing.

    ``in_use``: a model that was promoted by then, a source or a set that had a night by then.
    """

    kind: str
    name: str
    in_use: bool
    status: str | None
    row_count: int | None
    collected: int | None
    rejected: int | None
    why: str | None
    run_id: str | None
    recorded_at: datetime | None
    request: str | None
    guard: str | None
    request_reason: str | None
    training_id: str | None
    outcome: str | None
    docs_key: str | None


# ``declared``: [{kind, name}], in the order of the stages.
NIGHT = Query(
    """SELECT d.kind, d.name, CASE d.kind
         WHEN 'source' THEN EXISTS (SELECT 1 FROM catalog.batches x
           WHERE x.source = d.name AND x.batch_date <= %(night)s)
         WHEN 'features' THEN EXISTS (SELECT 1 FROM catalog.feature_batches x
           WHERE x.feature_set || '_v' || x.feature_version = d.name AND x.batch_date <= %(night)s)
         ELSE EXISTS (SELECT 1 FROM governance.promotions x
           WHERE x.model = d.name AND x.effective_from <= %(night)s) END AS in_use,
       n.status, n.row_count, b.collected, b.rejected, n.why, n.run_id, n.recorded_at,
       r.status AS request, r.guard, r.reason AS request_reason, r.training_id, r.outcome,
       coalesce(b.docs_key, v.report_key) AS docs_key
FROM jsonb_to_recordset(%(declared)s::text::jsonb) AS d(kind text, name text, place integer)
LEFT JOIN catalog.nights n ON (n.kind, n.name, n.batch_date) = (d.kind, d.name, %(night)s::date)
LEFT JOIN catalog.batches b ON d.kind = 'source' AND (b.source, b.batch_date) = (d.name, %(night)s::date)
LEFT JOIN monitoring.verdicts v ON d.kind = 'model' AND (v.model, v.batch_date, v.arm) =
  (d.name, %(night)s::date, 'champion')
LEFT JOIN monitoring.retrain_requests r ON d.kind = 'model' AND (r.model, r.batch_date) = (d.name, %(night)s::date)
ORDER BY d.place""",
    NightStep,
)


@dataclass(frozen=True)
class SetAside:
    """Rows of a source that are open in quarantine, by the first rule they broke.

    ``samples``: values that broke it, the least and the greatest, as delivered: of no use to a page as they are.
    """

    rule: str
    column: str | None
    rows: int
    newest: date
    samples: tuple[str | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataRow(Row):
    """A source or a feature set over the nights from ``first`` on, oldest first; None: nothing was recorded."""

    kind: str
    name: str
    newest: date | None
    volume: Annotated[tuple[int | None, ...], JSON]
    rejected: Annotated[tuple[float | None, ...], JSON]
    status: str | None
    why: str | None
    open: Annotated[tuple[SetAside, ...], JSON]


DATA = Query(
    """WITH declared AS (
  SELECT * FROM jsonb_to_recordset(%(declared)s::text::jsonb) AS d(kind text, name text, place integer)
), seen AS MATERIALIZED (
  SELECT n.kind, n.name, n.batch_date, n.row_count, n.rejected_share, n.status, n.why FROM catalog.nights n
  JOIN declared USING (kind, name) WHERE n.batch_date <= %(night)s
), last AS (
  SELECT DISTINCT ON (kind, name) kind, name, status, why FROM seen ORDER BY kind, name, batch_date DESC
), newest AS (
  SELECT kind, name, max(batch_date) AS newest FROM seen WHERE row_count IS NOT NULL GROUP BY 1, 2
), history AS (
  SELECT d.kind, d.name, jsonb_agg(n.row_count ORDER BY t) AS volume,
         jsonb_agg(round(n.rejected_share::numeric, 5) ORDER BY t) AS rejected
  FROM declared d CROSS JOIN generate_series(%(first)s::date, %(night)s::date, '1 day') t
  LEFT JOIN seen n ON (n.kind, n.name, n.batch_date) = (d.kind, d.name, t::date) GROUP BY 1, 2
), aside AS (
  SELECT o.source, o.rule, o.column_name AS "column", count(*) AS rows, max(o.batch_date) AS newest,
         jsonb_build_array(left(min(o.value), 80), left(max(o.value), 80)) AS samples
  FROM quarantine.open_rows o WHERE o.batch_date <= %(night)s GROUP BY 1, 2, 3
)
SELECT d.kind, d.name, newest.newest, history.volume, history.rejected, last.status, last.why,
       coalesce((SELECT jsonb_agg(jsonb_build_object('rule', a.rule, 'column', a."column", 'rows', a.rows,
         'newest', a.newest, 'samples', a.samples) ORDER BY a.rows DESC, a.rule) FROM aside a
         WHERE d.kind = 'source' AND a.source = d.name), '[]') AS open
FROM declared d JOIN history USING (kind, name) LEFT JOIN last USING (kind, name) LEFT JOIN newest USING (kind, name)
ORDER BY d.place""",
    DataRow,
)
