"""Monitoring: realised performance, the verdict of a night, and what was asked of training because of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from nightshift.records.profile import Loss, NightLoss
from nightshift.rows import JSON, Command, Query, Row, insert, select, stamped, upsert


@dataclass(frozen=True)
class FeatureDrift:
    """One column of the window against the profile. ``psi`` has no unit; shares run from 0 to 1.

    ``ruins``: in words, what makes it ruined, a measure each.
    """

    name: str
    psi: float
    limit: float
    critical: float
    missing_now: float
    missing_then: float
    importance: float
    drifted: bool
    ruined: bool
    ruins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shift:
    """Evidence of a shift over the nights since training: without one it passes ``alarm`` about once in 365 nights.

    ``words``: what moved, most first. ``sketches_sha256``: of the nights that it was made of. ``predictions``: of how
    many nights the version's predictions count beside the features.
    """

    evidence: float
    alarm: float
    nights: int
    words: tuple[str, ...]
    sketches_sha256: str
    predictions: int = 0


@dataclass(frozen=True)
class DriftResult:
    """What one window showed. With too few rows nothing is measured: the numbers are None, not 0.

    ``shift`` is told beside what is decided. ``counts_sha256``: of the counts of nights that the window is the sum of.
    ``predictions``: of several classes one a class; ``prediction_psi`` and its limit are then those of the class that
    comes nearest to its limit, or passes it farthest.
    """

    rows: int = 0
    status: Literal["ok", "drifted", "too_few_rows"] = "too_few_rows"
    drifted_share: float | None = None
    features: tuple[FeatureDrift, ...] = ()
    prediction_psi: float | None = None
    prediction_limit: float | None = None
    prediction_drifted: bool = False
    reasons: tuple[str, ...] = ()
    predictions: tuple[FeatureDrift, ...] = ()
    shift: Shift | None = None
    counts_sha256: str | None = None
    format: int = 1


@dataclass(frozen=True)
class Harm:
    """Evidence that losses grew, against those of always saying what was usual in training, on the same nights.

    Without any it passes ``alarm`` about once in so many nights. ``nights``: how many were judged. ``skill``: of those
    nights, and ``usual``: of the training; the share of the loss of saying the usual that the model does without.
    """

    evidence: float
    alarm: float
    nights: int
    skill: float
    usual: float
    words: str


@dataclass(frozen=True)
class Reason:
    """What one reason said of a night: ``value`` against its ``limit``, and whether it asks for retraining."""

    name: str
    asks: bool
    value: float | None
    limit: float | None
    words: str


@dataclass(frozen=True)
class Reasons:
    """What all said."""

    said: tuple[Reason, ...] = ()
    harm: Harm | None = None
    format: int = 1


@dataclass(frozen=True)
class GuardAnswer:
    """What a guard said of a request. ``until``: the first night on which it would not object, if time decides."""

    guard: str
    objects: bool
    words: str
    until: date | None


@dataclass(frozen=True)
class PerformanceResult:
    """The metric over one window of matured nights. What is not known is None, never 0.

    ``low`` and ``high`` bound the 90 % interval of ``value``; ``labels`` of ``expected`` rows have their
    label; ``metrics`` holds every metric of the task; ``reason`` says it in words.
    """

    status: Literal["pending", "ok", "degraded"]
    metric: str
    value: float | None
    low: float | None
    high: float | None
    baseline: float
    worsening: float | None
    labels: int
    expected: int
    metrics: dict[str, float | None]
    reason: str
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Performance(
    Row, table="monitoring.performance_history", key=("model", "batch_date", "arm", "known_on")
):
    """What the predictions of a night came to, by the labels known at the cut-off of ``known_on``.

    ``losses``: without those of what was usual in training where that was not kept. ``inputs_sha256``: of which
    predictions and reports; None: measured before that was kept.
    """

    model: str
    batch_date: date
    arm: str = "champion"
    model_version: int
    scored: int
    labelled: int
    metrics: Annotated[dict[str, float | None], JSON]
    known_on: date
    losses: Annotated[NightLoss | Loss | None, JSON] = None
    inputs_sha256: str | None = None


# What a night knew is one row; a later night that knows nothing else adds none.
MEASURED = Command(
    "INSERT INTO monitoring.performance_history AS kept (model, batch_date, arm, model_version, scored, labelled, "
    "metrics, known_on, losses, inputs_sha256) SELECT %(model)s::text, %(batch_date)s::date, %(arm)s::text, "
    "%(model_version)s::integer, %(scored)s::bigint, %(labelled)s::bigint, %(metrics)s::jsonb, %(known_on)s::date, "
    "%(losses)s::jsonb, %(inputs_sha256)s::text WHERE NOT EXISTS ("
    "SELECT 1 FROM (SELECT * FROM monitoring.performance_history WHERE model = %(model)s "
    "AND batch_date = %(batch_date)s AND arm = %(arm)s AND known_on <= %(known_on)s ORDER BY known_on DESC LIMIT 1) n "
    "WHERE n.known_on < %(known_on)s AND (n.model_version, n.scored, n.labelled, n.metrics) = "
    "(%(model_version)s::integer, %(scored)s::bigint, %(labelled)s::bigint, %(metrics)s::jsonb)) "
    "ON CONFLICT (model, batch_date, arm, known_on) DO UPDATE SET "
    "(model_version, scored, labelled, metrics, losses, inputs_sha256) = (excluded.model_version, excluded.scored, "
    "excluded.labelled, excluded.metrics, excluded.losses, excluded.inputs_sha256)",
    frozenset({"metrics", "losses"}),
)
_NEWEST = (
    "SELECT DISTINCT ON (batch_date, arm) {} FROM monitoring.performance_history WHERE model = %(model)s "
    "AND batch_date BETWEEN %(first)s AND %(last)s AND known_on <= %(known_on)s "
    "ORDER BY batch_date, arm, known_on DESC"
)
KNOWN_ON = Query(_NEWEST.format(", ".join(Performance.columns())), Performance)
# What is read anew and comes to the same is known to be of these inputs, and is not read again.
UNCHANGED = Command(
    "UPDATE monitoring.performance_history SET inputs_sha256 = %(inputs_sha256)s "
    "WHERE (model, batch_date, arm, known_on) = (SELECT model, batch_date, arm, known_on "
    "FROM monitoring.performance_history WHERE model = %(model)s AND batch_date = %(batch_date)s AND arm = %(arm)s "
    "AND known_on <= %(known_on)s ORDER BY known_on DESC LIMIT 1) "
    "AND inputs_sha256 IS DISTINCT FROM %(inputs_sha256)s"
)


@dataclass(frozen=True, kw_only=True)
class Outcomes(Row, table="monitoring.outcomes", key=("model", "batch_date", "arm")):
    """What was said of a night's rows that have a label, and what came true, as the newest look had it.

    ``outcomes``: an npy file of float64, (rows, 1 + scores): the label, then what was said.
    """

    model: str
    batch_date: date
    arm: str = "champion"
    known_on: date
    inputs_sha256: str | None
    outcomes: bytes


KEEP_OUTCOMES = upsert(Outcomes, where="outcomes.known_on <= excluded.known_on")


@dataclass(frozen=True, kw_only=True)
class NewestLook(Row):
    """Of which predictions and reports the newest look at a night was."""

    batch_date: date
    inputs_sha256: str


NEWEST_LOOKS = Query(
    "SELECT batch_date, inputs_sha256 FROM monitoring.outcomes WHERE model = %(model)s AND arm = 'champion' "
    "AND batch_date BETWEEN %(first)s AND %(last)s",
    NewestLook,
)
FORGET_OUTCOMES = Command(
    "DELETE FROM monitoring.outcomes WHERE model = %(model)s AND batch_date < %(first)s"
)


@dataclass(frozen=True, kw_only=True)
class Kept(Row):
    """A measured night. ``outcomes``: None: of another version, or not those that it was measured from."""

    batch_date: date
    model_version: int
    scored: int
    outcomes: bytes | None


# Of a night that was scored anew since, nothing is known.
KEPT = Query(
    "SELECT n.batch_date, n.model_version, n.scored, o.outcomes FROM ("
    f"{_NEWEST.format('model, batch_date, arm, model_version, scored, inputs_sha256')}) n "
    "JOIN catalog.prediction_batches b USING (model, batch_date, arm, model_version) "
    "LEFT JOIN monitoring.outcomes o ON (o.model, o.batch_date, o.arm, o.inputs_sha256) = "
    "(n.model, n.batch_date, n.arm, n.inputs_sha256) AND n.model_version = %(version)s "
    "WHERE n.arm = 'champion' ORDER BY n.batch_date",
    Kept,
)


@dataclass(frozen=True, kw_only=True)
class Lost(Row):
    """The losses of a night of one version, as they were known."""

    losses: Annotated[NightLoss | Loss, JSON]


LOSSES = Query(
    "SELECT DISTINCT ON (batch_date) losses FROM monitoring.performance_history WHERE model = %(model)s "
    "AND arm = %(arm)s AND model_version = %(version)s AND batch_date > %(after)s AND known_on <= %(known_on)s "
    "AND losses IS NOT NULL ORDER BY batch_date, known_on DESC",
    Lost,
)


@dataclass(frozen=True, kw_only=True)
class Lossless(Row):
    """A version with a night that was measured when its losses were not kept."""

    version: int


LOSSLESS = Query(
    "SELECT DISTINCT model_version AS version FROM monitoring.performance_history WHERE model = %(model)s "
    "AND model_version = ANY (%(versions)s::integer[]) AND batch_date >= %(since)s AND known_on <= %(known_on)s "
    "AND labelled > 0 AND losses IS NULL ORDER BY 1",
    Lossless,
)


@dataclass(frozen=True)
class Estimated:
    """A metric before labels: its value, its standard deviation over nights, and the interval that holds 90 %."""

    value: float
    deviation: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class EstimateResult:
    """What a night is expected to come to. ``right`` of ``judged`` nights before it came out within the interval.

    ``metrics`` holds every metric that can be estimated; ``reason`` says that of ``metric`` in words.
    """

    metric: str
    metrics: dict[str, Estimated]
    right: int
    judged: int
    reason: str
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Estimate(Row, table="monitoring.estimates", key=("model", "batch_date", "arm")):
    """What the predictions of a night are worth as far as they themselves tell, and from which sketch."""

    model: str
    batch_date: date
    arm: str = "champion"
    model_version: int
    sketch_sha256: str
    result: Annotated[EstimateResult, JSON]
    estimated_at: datetime = stamped()


ESTIMATE = upsert(Estimate)
ESTIMATED = select(Estimate, "model = %(model)s AND batch_date = %(batch_date)s AND arm = 'champion'")


@dataclass(frozen=True)
class Arrived:
    """Labels of a night's scored entities by how many nights later they became known, from 0 to when it was looked.

    ``reports``: of first reports, also of those without an outcome. ``sums`` and ``squares``: of the labels as they are
    known now.
    """

    reports: tuple[int, ...]
    counts: tuple[int, ...]
    sums: tuple[float, ...]
    squares: tuple[float, ...]
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Arrivals(Row, table="monitoring.arrivals", key=("model", "batch_date")):
    """When the labels of a scored night came, as it was seen ``observed`` nights later.

    ``state``: final, or provisional: labels are missing that will come, or those that came first are not like the rest.
    """

    model: str
    batch_date: date
    scored: int
    observed: int
    arrived: Annotated[Arrived, JSON]
    state: Literal["provisional", "final"]
    reason: str
    looked_at: datetime = stamped()


# Who looked earlier saw less.
ARRIVED = upsert(Arrivals, where="arrivals.observed <= excluded.observed")
ARRIVALS = select(
    Arrivals, "model = %(model)s AND batch_date BETWEEN %(first)s AND %(last)s", order="batch_date"
)


@dataclass(frozen=True, kw_only=True)
class CameTrue(Row):
    """A night that was estimated and is measured now: both."""

    batch_date: date
    result: Annotated[EstimateResult, JSON]
    metrics: Annotated[dict[str, float | None], JSON]


# As the night of ``known_on`` knew it, and of one version.
CAME_TRUE = Query(
    "SELECT DISTINCT ON (batch_date) batch_date, e.result, p.metrics FROM monitoring.estimates e "
    "JOIN monitoring.performance_history p USING (model, batch_date, arm, model_version) WHERE model = %(model)s "
    "AND model_version = %(version)s AND arm = 'champion' AND batch_date < %(known_on)s "
    "AND p.known_on <= %(known_on)s ORDER BY batch_date, p.known_on DESC",
    CameTrue,
)


@dataclass(frozen=True, kw_only=True)
class Verdict(Row, table="monitoring.verdicts", key=("model", "batch_date", "arm")):
    """What a night says. ``report_key``: None until its report is drawn."""

    model: str
    batch_date: date
    arm: str = "champion"
    model_version: int
    status: str
    breach: bool
    retrain: bool
    reason: str
    drift: Annotated[DriftResult, JSON]
    performance: Annotated[PerformanceResult | None, JSON]
    reasons: Annotated[Reasons, JSON]
    run_id: str
    report_key: str | None = None
    decided_at: datetime = stamped()


# The report that is there stays until it is drawn anew.
JUDGE = upsert(Verdict, report_key="verdicts.report_key")
VERDICT = select(Verdict, "model = %(model)s AND batch_date = %(batch_date)s AND arm = 'champion'")
REPORTED = Command(
    "UPDATE monitoring.verdicts SET report_key = %(key)s WHERE model = %(model)s AND batch_date = %(batch_date)s "
    "AND arm = 'champion'"
)


@dataclass(frozen=True, kw_only=True)
class Status(Row):
    """What drift said of a night's window."""

    batch_date: date
    status: str


STATUSES = Query(
    "SELECT batch_date, drift->>'status' AS status FROM monitoring.verdicts WHERE model = %(model)s "
    "AND model_version = %(version)s AND arm = 'champion' AND batch_date < %(night)s AND batch_date >= %(first)s "
    "ORDER BY batch_date",
    Status,
)


@dataclass(frozen=True, kw_only=True)
class Heard(Row):
    """What a night says, in short."""

    status: str
    retrain: bool
    reason: str


HEARD = Query(
    "SELECT status, retrain, reason FROM monitoring.verdicts WHERE model = %(model)s AND batch_date = %(batch_date)s "
    "AND arm = 'champion'",
    Heard,
)


@dataclass(frozen=True, kw_only=True)
class Watched(Row):
    """The newest verdict of a model, up to a night. ``is_new``: given less than half an hour ago."""

    model: str
    batch_date: date
    reasons: Annotated[Reasons, JSON]
    is_new: bool


# A model that has no verdict for a week is watched no more.
WATCHED = Query(
    "SELECT DISTINCT ON (model) model, batch_date, reasons, "
    "decided_at > clock_timestamp() - interval '30 minutes' AS is_new FROM monitoring.verdicts "
    "WHERE arm = 'champion' AND batch_date BETWEEN %(night)s::date - 6 AND %(night)s::date "
    "ORDER BY model, batch_date DESC",
    Watched,
)


@dataclass(frozen=True, kw_only=True)
class RetrainRequest(Row, table="monitoring.retrain_requests", key=("model", "batch_date")):
    """A night that asked for a training: what it started, or which guard held it back; how that training ended."""

    model: str
    batch_date: date
    status: str
    guard: str | None
    reason: str
    training_id: str | None
    requested_by: str | None
    answers: Annotated[tuple[GuardAnswer, ...], JSON] = ()
    not_before: date | None = None
    outcome: str | None = None
    requested_at: datetime = stamped()


# A training that has left no word by then was lost.
LOST_AFTER = timedelta(hours=12)


def still_runs(outcome: str | None, age: timedelta) -> bool:
    """Whether a training that was started so long ago has neither ended nor been lost."""
    return outcome is None and age <= LOST_AFTER


def still_holds(not_before: date | None, asked: datetime, promoted: datetime | None, tonight: date) -> bool:
    """Whether the breaker that held a night's request holds yet: it has not closed, nor was a version promoted since.

    ``promoted``: when one last was; a rollback or a renaming since then is none.
    """
    closed = not_before is not None and not_before <= tonight
    return not closed and not (promoted and promoted > asked)


ASK = insert(RetrainRequest, "ON CONFLICT (model, batch_date) DO NOTHING")
REQUEST = select(RetrainRequest, "model = %(model)s AND batch_date = %(batch_date)s")


@dataclass(frozen=True, kw_only=True)
class Started(Row):
    """A request that started a training, and how that ended; None: not yet, or it was lost."""

    batch_date: date
    training_id: str
    outcome: str | None


# Of later nights too: one that is decided late would start beside them, or after them.
STARTED = Query(
    "SELECT batch_date, training_id, outcome FROM monitoring.retrain_requests WHERE model = %(model)s "
    "AND status = 'started' AND batch_date <> %(batch_date)s ORDER BY batch_date DESC LIMIT 400",
    Started,
)


@dataclass(frozen=True, kw_only=True)
class Unsigned(Row):
    """A training whose challenger passed its gates: it waits for a signature, or for what follows one."""

    training_id: str


# ``hours``: after so many since it was decided, nothing waits any more. Of one that failed its request says so.
UNSIGNED = Query(
    "SELECT d.training_id FROM governance.decisions d WHERE d.model = %(model)s AND d.passed "
    "AND d.approval = 'required' AND d.decided_at > clock_timestamp() - make_interval(hours => %(hours)s::integer) "
    "AND NOT EXISTS (SELECT 1 FROM governance.outcomes o WHERE o.training_id = d.training_id) "
    "AND NOT EXISTS (SELECT 1 FROM monitoring.retrain_requests r WHERE r.training_id = d.training_id "
    "AND r.outcome IS NOT NULL) ORDER BY d.decided_at DESC LIMIT 1",
    Unsigned,
)


@dataclass(frozen=True, kw_only=True)
class Champion(Row):
    """The champion of now: as of which night it was trained, until when it was fitted, whether it is the first.

    A version that came back by a rollback counts as it was trained.
    """

    as_of: date
    fitted_until: date
    is_first: bool


CHAMPION = Query(
    "SELECT d.as_of, coalesce((v.refit->>'last')::date, v.train_last) AS fitted_until, d.champion IS NULL AS is_first "
    "FROM governance.promotions p JOIN governance.decisions d USING (training_id) "
    "JOIN governance.versions v ON (v.model, v.version) = (p.model, p.version) "
    "WHERE p.model = %(model)s ORDER BY p.entry DESC LIMIT 1",
    Champion,
)


@dataclass(frozen=True, kw_only=True)
class NewOutcomes(Row):
    """How many outcomes were reported."""

    outcomes: int


NEW_OUTCOMES = Query(
    "SELECT coalesce(sum(accepted), 0)::bigint AS outcomes FROM catalog.batches WHERE source = %(source)s "
    "AND batch_date > %(after)s AND batch_date <= %(night)s",
    NewOutcomes,
)
RUNNING = select(
    RetrainRequest, "model = %(model)s AND status = 'started' AND outcome IS NULL", order="batch_date LIMIT 1"
)
ENDED = select(RetrainRequest, "model = %(model)s AND outcome IS NOT NULL")
OF_TRAINING = select(RetrainRequest, "training_id = %(training_id)s")
CONCLUDE = Command(
    "UPDATE monitoring.retrain_requests SET outcome = %(outcome)s WHERE training_id = %(training_id)s"
)
FOLLOW = Command(
    "UPDATE monitoring.retrain_requests SET (training_id, outcome) = (%(again)s, NULL) "
    "WHERE training_id = %(training_id)s"
)
# One decision on a model at a time.
LOCK = Command("SELECT pg_advisory_xact_lock(hashtext(%(name)s))")


@dataclass(frozen=True, kw_only=True)
class Asked(Row):
    """The night that asked for a training, and what it said; None: there is no verdict any more."""

    batch_date: date
    request: str
    requested_by: str | None
    reason: str | None
    report_key: str | None
    drift: Annotated[DriftResult | None, JSON]


ASKED = Query(
    "SELECT r.batch_date, r.reason AS request, r.requested_by, v.reason, v.report_key, v.drift "
    "FROM monitoring.retrain_requests r LEFT JOIN monitoring.verdicts v "
    "ON (v.model, v.batch_date, v.arm) = (r.model, r.batch_date, 'champion') "
    "WHERE r.training_id = %(training_id)s",
    Asked,
)


@dataclass(frozen=True, kw_only=True)
class Night(Row):
    """A model's night: what was scored, what it came to, what it said, what was asked for, what came of it."""

    model: str
    batch_date: date
    arm: str
    model_version: int
    scored: int
    status: str | None
    drift: str | None
    reason: str | None
    report_key: str | None
    labelled: int | None
    metrics: Annotated[dict[str, float | None] | None, JSON]
    known_on: date | None
    request: str | None
    guard: str | None
    request_reason: str | None
    training_id: str | None
    outcome: str | None
    promoted: int | None
    promoted_by: str | None


@dataclass(frozen=True, kw_only=True)
class Probation(Row, table="monitoring.probations", key=("model", "batch_date")):
    """What a night says of a new champion against the version before, on the nights that both scored.

    ``evidence`` that it is worse; as good, it would pass ``probation_evidence`` once in so many probations.
    ``difference``: its mean loss less the other's, a night; None before the first label.
    """

    model: str
    batch_date: date
    model_version: int
    before: int
    since: date
    nights: int
    evidence: float
    difference: float | None
    rolls_back: bool
    reason: str
    run_id: str
    judged_at: datetime = stamped()


# A night that sent a champion back has done so, whatever it says when it is asked again.
_DONE = (
    "(probations.rolls_back AND (probations.model_version, probations.since) "
    "= (excluded.model_version, excluded.since))"
)
JUDGE_PROBATION = upsert(
    Probation,
    rolls_back=f"{_DONE} OR excluded.rolls_back",
    judged_at=f"CASE WHEN {_DONE} THEN probations.judged_at ELSE clock_timestamp() END",
)
NIGHTS = Query(
    f"SELECT {', '.join(Night.columns())} FROM monitoring.nights WHERE model = %(model)s "
    "AND batch_date BETWEEN %(first)s AND %(last)s ORDER BY batch_date, arm",
    Night,
)
