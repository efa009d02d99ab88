"""The ledger: append-only, the authority on which version was champion on which night."""

from dataclasses import dataclass
from datetime import date

from nightshift.errors import LedgerMismatch, NotReady
from nightshift.warehouse import Warehouse

COLUMNS = "entry, version, effective_from, artifact_sha256, training_id"


@dataclass(frozen=True)
class Promotion:
    """One entry."""

    entry: int
    version: int
    effective_from: date
    artifact_sha256: str
    training_id: str


class Ledger:
    """The promotions of one model."""

    def __init__(self, warehouse: Warehouse, model: str) -> None:
        self.warehouse = warehouse
        self.model = model

    def head(self) -> Promotion | None:
        """Return the newest entry: what the alias must point at."""
        return self._one(
            f"SELECT {COLUMNS} FROM governance.promotions WHERE model = %s ORDER BY entry DESC LIMIT 1",  # noqa: S608
            self.model,
        )

    def promotion_of(self, training_id: str) -> Promotion | None:
        """Return the entry of a training, or None if it was not promoted."""
        return self._one(
            f"SELECT {COLUMNS} FROM governance.promotions WHERE model = %s AND training_id = %s",  # noqa: S608
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
                f"model '{self.model}': alias champion is version {alias}, the ledger is empty"
            )
        if head.version != alias:
            raise LedgerMismatch(
                f"model '{self.model}': the ledger says version {head.version} (entry {head.entry}), the "
                f"registry's alias champion says {'nothing' if alias is None else f'version {alias}'}. Nothing was "
                f"scored. Point the alias back at version {head.version}, or promote through train_{self.model}"
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
                "ON CONFLICT (training_id) DO NOTHING",
                (effective_from, actor, training_id),
            )
            cursor.execute(
                f"SELECT {COLUMNS} FROM governance.promotions WHERE training_id = %s",  # noqa: S608
                (training_id,),
            )
            row = cursor.fetchone()
        if row is None:
            raise NotReady(f"training '{training_id}' has no decision; its gates have not run")
        return Promotion(**row)

    def _one(self, statement: str, *values: object) -> Promotion | None:
        row = self.warehouse.row(statement, values)
        return Promotion(**row) if row else None
