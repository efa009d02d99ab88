"""The ledger: append-only, the authority on which version was champion on which night.

The database numbers, dates and seals each entry: its hash covers all it says and the hash of the entry before it.
Every row of governance has a seal in a second chain. Where that chain is is kept outside the database as well, at each
promotion: an **anchor**, ``<seal>:<hash>``. Rows that are gone, or a chain that was written anew, do not hold it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from nightshift.database import Database, Reads, Session
from nightshift.errors import Barred, ChampionChanged, LedgerMismatch, NotReady, RunStage, Subject
from nightshift.records import decisions, features, ledger
from nightshift.records.decisions import Decision
from nightshift.records.ledger import Promotion


def lock_head(session: Session, model: str) -> Promotion | None:
    """Return the newest entry of a ledger; nobody writes another until the transaction ends."""
    session.run(ledger.LOCK, model=model)
    return session.one(ledger.HEAD, model=model)


def first_unscored(reads: Reads, model: str, as_of: date) -> date:
    """Return ``as_of``, or the night after the last one that has been scored since.

    Who writes by it asks under the ledger's lock: a night that is scored takes it too (:func:`require_champions`).
    """
    last = reads.one(features.SCORED_SINCE, model=model, night=as_of)
    return last.batch_date + timedelta(days=1) if last else as_of


def require_champions(reads: Reads, model: str, said: Mapping[date, int]) -> None:
    """Compare who scored nights with who is champion on them, by what stands in the ledger now.

    Raises:
        ChampionChanged: another version is; what was said is of a night that is not done yet, and is not written.
    """
    for night, version in said.items():
        champion = reads.one(ledger.CHAMPION_ON, model=model, night=night)
        if champion is None or champion.version != version:
            now = f"version {champion.version} is" if champion else "there is none"
            raise ChampionChanged(
                f"model '{model}': version {version} was champion on {night} when the night began to be scored, and "
                f"{now} by now; nothing was written, and it is tried again"
            )


def no_champion(model: str) -> NotReady:
    """Return what is wrong with a model whose ledger is empty."""
    return NotReady("has no champion yet", subject=Subject("model", model), remedy=RunStage("train", model))


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

    def __init__(self, warehouse: Database, model: str) -> None:
        self.warehouse = warehouse
        self.model = model

    def head(self) -> Promotion | None:
        """Return the newest entry: what the alias must point at."""
        return self.warehouse.one(ledger.HEAD, model=self.model)

    @contextmanager
    def held(self) -> Iterator[Promotion | None]:
        """Yield the newest entry; nobody writes another until the block ends."""
        with self.warehouse.session() as session:
            yield lock_head(session, self.model)

    def verify(self, anchors: Iterable[str] = ()) -> Misfit | None:
        """Return the first entry, row or anchor that does not fit, or None. ``anchors``: those kept elsewhere."""
        return self._misfit_of_entries() or self._misfit_of_rows() or self._misfit_of_anchors(anchors)

    def anchor(self) -> str:
        """Return the newest seal of the model, as it is kept outside the database."""
        newest = self.warehouse.one(ledger.NEWEST_SEAL, model=self.model)
        return f"{newest.seal}:{newest.seal_sha256}" if newest else ""

    def _misfit_of_entries(self) -> Misfit | None:
        found = self.warehouse.one(ledger.FALSE_ENTRY, model=self.model)
        if found is None:
            return None
        what = f"entry {found.entry} of the ledger (version {found.version})"
        return Misfit(what, found.problem, found.entry, found.version)

    def _misfit_of_rows(self) -> Misfit | None:
        found = self.warehouse.one(ledger.FALSE_ROW, model=self.model)
        return Misfit(f"governance.{found.relation}: row {found.row}", found.problem) if found else None

    def _misfit_of_anchors(self, anchors: Iterable[str]) -> Misfit | None:
        found = self.warehouse.all(ledger.LOST_ANCHORS, model=self.model, anchors=sorted(anchors))
        lost = sorted((each.anchor.partition(":")[0] for each in found), key=lambda seal: int(seal or 0))
        problem = "anchored in the registry, is not in the ledger: its newest rows were removed, or it was written anew"
        return Misfit(f"seal {lost[0]},", problem) if lost else None

    def promotion_of(self, training_id: str) -> Promotion | None:
        """Return the entry of a training, or None if it was not promoted."""
        return self.warehouse.one(ledger.OF_TRAINING, model=self.model, training_id=training_id)

    def is_past(self, decision: Decision) -> bool:
        """Return whether the champion is another than the one that the challenger was compared with."""
        head = self.head()
        return (head.version if head else None) != decision.champion

    def champion_on(self, batch_date: date) -> Promotion:
        """Return the champion of a batch date.

        Raises:
            NotReady: no version had been promoted by then.
        """
        found = self.warehouse.one(ledger.CHAMPION_ON, model=self.model, night=batch_date)
        if found is None:
            raise NotReady(
                f"has no champion on {batch_date}",
                subject=Subject("model", self.model),
                remedy=RunStage("train", self.model, as_of=batch_date),
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
                raise no_champion(self.model)
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

        From ``effective_from`` on, or after the last night that has been scored since. The database refuses an entry
        without such a decision.
        """
        with self.warehouse.session() as session:
            lock_head(session, self.model)
            night = first_unscored(session, self.model, effective_from)
            session.run(ledger.PROMOTE, training_id=training_id, effective_from=night, actor=actor)
            entry = session.one(ledger.OF_TRAINING, model=self.model, training_id=training_id)
            if entry:
                session.run(decisions.END, training_id=training_id, outcome="promoted")
        if entry is None:
            raise NotReady(f"training '{training_id}' has no decision; its gates have not run")
        return entry

    def refuse_barred(self, version: int) -> None:
        """Raise Barred if this version, or one that it is a copy of, was taken out of service by hand."""
        bar = self.warehouse.one(ledger.BARS_ON, model=self.model, version=version)
        if bar is None:
            return
        copied = "" if bar.version == version else f", as a copy of version {bar.version}"
        raise Barred(
            f"model '{self.model}': version {version} is barred{copied}: {bar.actor} took that out of service "
            f"({bar.reason}). The champion stays. Change the spec, or train as of a later night; to serve version "
            f"{bar.version} again, trigger rollback_{self.model} to it"
        )
