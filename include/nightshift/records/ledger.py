"""The ledger's statements: promotions and rollbacks, sealed entries in a chain; bars; renames."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from nightshift.records.decisions import Evaluation
from nightshift.rows import JSON, Command, Query, Row, select


@dataclass(frozen=True, kw_only=True)
class Promotion(Row, table="governance.promotions", key=("entry",)):
    """One entry, as readers of the chain need it. The database numbers, dates and seals it."""

    entry: int
    version: int
    kind: str
    effective_from: date
    artifact_sha256: str
    training_id: str


_COLUMNS = ", ".join(Promotion.columns())
HEAD = select(Promotion, "model = %(model)s", order="entry DESC LIMIT 1")
OF_TRAINING = select(Promotion, "model = %(model)s AND training_id = %(training_id)s AND kind = 'promotion'")
CHAMPION_ON = Query(f"SELECT {_COLUMNS} FROM governance.champion_on(%(model)s, %(night)s)", Promotion)


@dataclass(frozen=True, kw_only=True)
class OnProbation(Row):
    """The champion of a night that was promoted over another one only so many nights before.

    ``evaluation``: what was measured of both at the gate.
    """

    version: int
    before: int
    since: date
    training_id: str
    evaluation: Annotated[Evaluation | None, JSON]


ON_PROBATION = Query(
    "SELECT c.version, d.champion AS before, c.effective_from AS since, c.training_id, d.evaluation "
    "FROM governance.champion_on(%(model)s, %(night)s) c JOIN governance.decisions d USING (training_id) "
    "WHERE c.kind = 'promotion' AND d.champion IS NOT NULL "
    "AND c.effective_from + %(nights)s::integer > %(night)s::date",
    OnProbation,
)
LOCK = Command("SELECT governance.lock_ledger(%(model)s)")
PROMOTE = Command(
    "INSERT INTO governance.promotions "
    "(model, version, effective_from, artifact_sha256, training_id, evidence_sha256, actor, reason) "
    "SELECT d.model, d.challenger, %(effective_from)s, v.artifact_sha256, d.training_id, d.evidence_sha256, "
    "%(actor)s, d.reason FROM governance.decisions d JOIN governance.versions v "
    "ON v.model = d.model AND v.version = d.challenger WHERE d.training_id = %(training_id)s "
    "ON CONFLICT (training_id) WHERE kind = 'promotion' DO NOTHING"
)


@dataclass(frozen=True, kw_only=True)
class FalseEntry(Row):
    """The first entry that is not what was written, and what is wrong with it."""

    entry: int
    version: int
    problem: str


FALSE_ENTRY = Query("SELECT entry, version, problem FROM governance.verify_ledger(%(model)s)", FalseEntry)


@dataclass(frozen=True, kw_only=True)
class FalseRow(Row):
    """The first row of governance that does not hold its seal."""

    relation: str
    row: str
    problem: str


FALSE_ROW = Query("SELECT relation, key AS row, problem FROM governance.verify_seals(%(model)s)", FalseRow)


@dataclass(frozen=True, kw_only=True)
class Seal(Row):
    """The newest seal of a model, and its hash."""

    seal: int
    seal_sha256: str


NEWEST_SEAL = Query(
    "SELECT seal, seal_sha256 FROM governance.seals WHERE model = %(model)s ORDER BY seal DESC LIMIT 1", Seal
)


@dataclass(frozen=True, kw_only=True)
class Anchor(Row):
    """``<seal>:<hash>``, as it is kept outside the database."""

    anchor: str


LOST_ANCHORS = Query(
    "SELECT a AS anchor FROM unnest(%(anchors)s::text[]) a WHERE NOT EXISTS (SELECT 1 FROM governance.seals "
    "WHERE model = %(model)s AND concat(seal, ':', seal_sha256) = a)",
    Anchor,
)


@dataclass(frozen=True, kw_only=True)
class Entry(Row, table="governance.promotions", key=("entry",)):
    """An entry, with who and why."""

    entry: int
    model: str
    version: int
    kind: str
    effective_from: date
    training_id: str
    evidence_sha256: str
    actor: str
    reason: str
    promoted_at: datetime
    entry_sha256: str | None


ENTRIES_OF = select(Entry, "model = %(model)s AND version = %(version)s", order="entry")


@dataclass(frozen=True, kw_only=True)
class Former(Row):
    """A version that has been champion: since which night first, and whether it is barred."""

    version: int
    first: date
    barred: bool


FORMER = Query(
    "SELECT version, min(effective_from) AS first, "
    "EXISTS (SELECT 1 FROM governance.bars_on(%(model)s, version)) AS barred "
    "FROM governance.promotions WHERE model = %(model)s AND version <> %(champion)s GROUP BY version "
    "ORDER BY max(entry) DESC",
    Former,
)


@dataclass(frozen=True, kw_only=True)
class RolledBack(Row):
    """What a request to roll back has written, and which version it took out of service."""

    entry: int
    version: int
    effective_from: date
    taken_out: int


ROLLED_BACK = Query(
    "SELECT p.entry, p.version, p.effective_from, b.version AS taken_out FROM governance.promotions p "
    "JOIN governance.bars b ON b.model = p.model AND b.request_id = p.request_id AND b.barred "
    "WHERE p.model = %(model)s AND p.request_id = %(request_id)s",
    RolledBack,
)
ROLL_BACK = Command(
    "INSERT INTO governance.promotions (model, version, kind, effective_from, as_of, artifact_sha256, training_id, "
    "evidence_sha256, reason, actor, request_id) "
    "SELECT model, version, 'rollback', %(effective_from)s, %(as_of)s, artifact_sha256, training_id, "
    "evidence_sha256, %(reason)s, %(actor)s, %(request_id)s "
    "FROM governance.promotions WHERE model = %(model)s AND version = %(version)s AND kind = 'promotion'"
)
BAR = Command(
    "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
    "VALUES (%(model)s, %(version)s, true, %(reason)s, %(actor)s, %(request_id)s)"
)
FREE = Command(
    "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
    "SELECT model, version, false, %(reason)s, %(actor)s, %(request_id)s "
    "FROM governance.bars_on(%(model)s, %(version)s)"
)


@dataclass(frozen=True, kw_only=True)
class Bar(Row):
    """A version that was taken out of service by hand."""

    version: int
    actor: str
    reason: str


BARS_ON = Query("SELECT version, actor, reason FROM governance.bars_on(%(model)s, %(version)s) LIMIT 1", Bar)


@dataclass(frozen=True, kw_only=True)
class LastRollback(Row):
    """The night as of which the ledger was last rolled back; None: never."""

    night: date | None


# as_of, not effective_from: one that had past nights scored again still happened after the last of them.
LAST_ROLLBACK = Query(
    "SELECT max(as_of) AS night FROM governance.promotions WHERE model = %(model)s AND kind = 'rollback'",
    LastRollback,
)


@dataclass(frozen=True, kw_only=True)
class Renamed(Row):
    """A model, source or feature set that got another name."""

    kind: str
    old_name: str
    new_name: str


RENAMED_SINCE = Query(
    "SELECT kind, old_name, new_name FROM governance.renames WHERE renamed_at > %(since)s ORDER BY rename",
    Renamed,
)
RENAME = Command(
    "INSERT INTO governance.renames (kind, old_name, new_name, actor, reason) "
    "VALUES (%(kind)s, %(old)s, %(new)s, %(actor)s, %(reason)s)"
)
TELL_OF_RENAME = Command(
    "INSERT INTO governance.promotions (model, version, kind, effective_from, artifact_sha256, training_id, "
    "evidence_sha256, actor, reason) SELECT model, version, 'rename', effective_from, artifact_sha256, "
    "training_id, evidence_sha256, %(actor)s, %(reason)s FROM governance.promotions WHERE model = %(model)s "
    "ORDER BY entry DESC LIMIT 1"
)
