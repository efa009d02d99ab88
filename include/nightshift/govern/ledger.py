"""The ledger: append-only, the authority on which version was champion on which night.

The database numbers, dates and seals each entry: its hash covers all it says and the hash of the entry before it.
Every row of governance has a seal in a second chain. Where that chain is is kept outside the database as well, at each
promotion: an **anchor**, ``<seal>:<hash>``. Rows that are gone, or a chain that was written anew, do not hold it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from nightshift.errors import Barred, LedgerMismatch, NotReady
from nightshift.govern.outcomes import write_outcome
from nightshift.warehouse import Warehouse

COLUMNS = "entry, version, kind, effective_from, artifact_sha256, training_id"
HEAD = (
    "SELECT entry, version, kind, effective_from, artifact_sha256, training_id FROM governance.promotions "
    "WHERE model = %s ORDER BY entry DESC LIMIT 1"
)


@dataclass(frozen=True)
class Promotion:
    """One entry."""

    entry: int
    version: int
    kind: str
    effective_from: date
    artifact_sha256: str
    training_id: str


def lock_head(cursor: Any, model: str) -> Promotion | None:
    """Return the newest entry of a ledger; nobody writes another until the transaction ends."""
    cursor.execute("SELECT governance.lock_ledger(%s)", (model,))
    cursor.execute(HEAD, (model,))
    row = cursor.fetchone()
    return Promotion(**row) if row else None


@dataclass(frozen=True)
class Misfit:
    """The first row or seal that is not what was written, and what is wrong with it. An entry has its version."""

    what: str
    problem: str
    entry: int | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.what} {self.problem}"


class Ledger:
    """The promotions of one model."""

    def __init__(self, warehouse: Warehouse, model: str) -> None:
        self.warehouse = warehouse
        self.model = model

    def head(self) -> Promotion | None:
        """Return the newest entry: what the alias must point at."""
        return self._one(HEAD, self.model)

    @contextmanager
    def held(self) -> Iterator[Promotion | None]:
        """Yield the newest entry; nobody writes another until the block ends."""
        with self.warehouse.transaction() as cursor:
            yield lock_head(cursor, self.model)

    def verify(self, anchors: Iterable[str] = ()) -> Misfit | None:
        """Return the first entry, row or anchor that does not fit, or None. ``anchors``: those kept elsewhere."""
        return self._misfit_of_entries() or self._misfit_of_rows() or self._misfit_of_anchors(anchors)

    def anchor(self) -> str:
        """Return the newest seal of the model, as it is kept outside the database."""
        row = self.warehouse.row(
            "SELECT seal, seal_sha256 FROM governance.seals WHERE model = %s ORDER BY seal DESC LIMIT 1",
            (self.model,),
        )
        return f"{row['seal']}:{row['seal_sha256']}" if row else ""

    def _misfit_of_entries(self) -> Misfit | None:
        row = self.warehouse.row(
            "SELECT entry, version, problem FROM governance.verify_ledger(%s)", (self.model,)
        )
        return (
            Misfit(f"entry {row['entry']} of the ledger (version {row['version']})", **row) if row else None
        )

    def _misfit_of_rows(self) -> Misfit | None:
        row = self.warehouse.row(
            "SELECT relation, key, problem FROM governance.verify_seals(%s)", (self.model,)
        )
        return Misfit(f"governance.{row['relation']}: row {row['key']}", row["problem"]) if row else None

    def _misfit_of_anchors(self, anchors: Iterable[str]) -> Misfit | None:
        rows = self.warehouse.rows(
            "SELECT a AS anchor FROM unnest(%s::text[]) a WHERE NOT EXISTS (SELECT 1 FROM governance.seals "
            "WHERE model = %s AND concat(seal, ':', seal_sha256) = a)",
            (sorted(anchors), self.model),
        )
        lost = sorted((row["anchor"] for row in rows), key=lambda anchor: int(anchor.partition(":")[0] or 0))
        problem = "anchored in the registry, is not in the ledger: its newest rows were removed, or it was written anew"
        return Misfit(f"seal {lost[0].partition(':')[0]},", problem) if lost else None

    def promotion_of(self, training_id: str) -> Promotion | None:
        """Return the entry of a training, or None if it was not promoted."""
        return self._one(
            f"SELECT {COLUMNS} FROM governance.promotions "  # noqa: S608
            "WHERE model = %s AND training_id = %s AND kind = 'promotion'",
            self.model,
            training_id,
        )

    def champion_on(self, batch_date: date) -> Promotion:
        """Return the champion of a batch date.

        Raises:
            NotReady: no version had been promoted by then.
        """
        found = self._one(
            f"SELECT {COLUMNS} FROM governance.champion_on(%s, %s)",  # noqa: S608
            self.model,
            batch_date,
        )
        if found is None:
            raise NotReady(
                f"model '{self.model}' has no champion on {batch_date}; "
                f"trigger train_{self.model} as of {batch_date} or earlier"
            )
        return found

    def check(self, alias: int | None) -> Promotion:
        """Return the head if the registry's alias agrees with it.

        Raises:
            NotReady: nothing was ever promoted.
            LedgerMismatch: somebody, or a crash, moved one without the other.
        """
        head = self.head()
        if head is None:
            if alias is None:
                raise NotReady(f"model '{self.model}' has no champion yet; trigger train_{self.model}")
            raise LedgerMismatch(
                f"model '{self.model}': the registry's alias champion says version {alias}, the ledger is empty. "
                f"Nothing was scored. `nightshift reconcile {self.model}` removes the alias; to have a champion, "
                f"trigger train_{self.model}"
            )
        if head.version != alias:
            raise LedgerMismatch(
                f"model '{self.model}': the ledger says version {head.version} (entry {head.entry}), the "
                f"registry's alias champion says {'nothing' if alias is None else f'version {alias}'}. Nothing was "
                f"scored. `nightshift reconcile {self.model}`, or the DAG reconcile_registry, points the alias back at "
                f"version {head.version}; to serve another, trigger rollback_{self.model} or train_{self.model}"
            )
        return head

    def append(self, *, training_id: str, effective_from: date, actor: str) -> Promotion:
        """Write the promotion of a decision that passed; once, however often it is called.

        The database refuses an entry without such a decision.
        """
        with self.warehouse.transaction() as cursor:
            cursor.execute(
                "INSERT INTO governance.promotions "
                "(model, version, effective_from, artifact_sha256, training_id, evidence_sha256, actor, reason) "
                "SELECT d.model, d.challenger, %s, v.artifact_sha256, d.training_id, d.evidence_sha256, %s, d.reason "
                "FROM governance.decisions d JOIN governance.versions v "
                "ON v.model = d.model AND v.version = d.challenger WHERE d.training_id = %s "
                "ON CONFLICT (training_id) WHERE kind = 'promotion' DO NOTHING",
                (effective_from, actor, training_id),
            )
            cursor.execute(
                f"SELECT {COLUMNS} FROM governance.promotions "  # noqa: S608
                "WHERE training_id = %s AND kind = 'promotion'",
                (training_id,),
            )
            row = cursor.fetchone()
            if row:
                write_outcome(cursor, training_id, "promoted")
        if row is None:
            raise NotReady(f"training '{training_id}' has no decision; its gates have not run")
        return Promotion(**row)

    def refuse_barred(self, version: int) -> None:
        """Raise Barred if this version, or one that it is a copy of, was taken out of service by hand."""
        bar = self.warehouse.row("SELECT * FROM governance.bars_on(%s, %s) LIMIT 1", (self.model, version))
        if bar is None:
            return
        copied = "" if bar["version"] == version else f", as a copy of version {bar['version']}"
        raise Barred(
            f"model '{self.model}': version {version} is barred{copied}: {bar['actor']} took that out of service "
            f"({bar['reason']}). The champion stays. Change the spec, or train as of a later night; to serve version "
            f"{bar['version']} again, trigger rollback_{self.model} to it"
        )

    def _one(self, statement: str, *values: object) -> Promotion | None:
        row = self.warehouse.row(statement, values)
        return Promotion(**row) if row else None
