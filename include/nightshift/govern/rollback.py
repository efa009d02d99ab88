"""Rollback: a former champion is champion again, and the one of now is barred. One transaction, once a request."""

from dataclasses import dataclass
from datetime import date

from nightshift.database import Database, Session
from nightshift.errors import NotReady, RequestError
from nightshift.govern.ledger import lock_head, no_champion
from nightshift.records import ledger
from nightshift.records.ledger import Former, Promotion, RolledBack


@dataclass(frozen=True)
class Rollback:
    """Back to version ``to``, or to the champion before, from ``effective_from`` on.

    ``as_of``: the first night that is not scored yet. ``request_id``: a request that is repeated writes nothing.
    """

    to: int | None
    effective_from: date
    as_of: date
    request_id: str
    actor: str
    reason: str


def write_rollback(warehouse: Database, model: str, wanted: Rollback) -> RolledBack:
    """Write the rollback into the ledger and bar the champion of now, unless this request has done so before.

    Returns what stands in the ledger now.

    A version that is named may be barred: its bar is lifted. The champion before never is.

    Raises:
        NotReady: there is no champion, or no former one to go back to.
        RequestError: the version is champion now, or never was, or first was after ``effective_from``; or none is
            named where the newest entry is a rollback itself.
    """
    with warehouse.session() as session:
        head = lock_head(session, model)
        if done := session.one(ledger.ROLLED_BACK, model=model, request_id=wanted.request_id):
            return done
        if head is None:
            raise no_champion(model)
        found = session.all(ledger.FORMER, model=model, champion=head.version)
        former = {each.version: each for each in found}  # the newest first
        target = _target(model, head, former, wanted)
        _write(session, model, head, target, wanted)
        entry = session.one(ledger.HEAD, model=model) or head
        return RolledBack(
            entry=entry.entry, version=target, effective_from=wanted.effective_from, taken_out=head.version
        )


def _target(model: str, head: Promotion, former: dict[int, Former], wanted: Rollback) -> int:
    version = wanted.to or _before(model, head, former)
    if version == head.version:
        raise RequestError(f"version: {version} is the champion of '{model}' already")
    if version not in former:
        known = ", ".join(map(str, former)) or "none"
        raise RequestError(
            f"version: {version} of '{model}' has never been champion; former champions: {known}"
        )
    first = former[version].first
    if wanted.effective_from < first:
        raise RequestError(
            f"batch_date: version {version} of '{model}' was first champion on {first}; what it would say of "
            f"{wanted.effective_from} it may have been trained on. Score again from {first} on"
        )
    return version


def _before(model: str, head: Promotion, former: dict[int, Former]) -> int:
    # Two people who pull the lever at once mean one step back, not two.
    if head.kind == "rollback":
        raise RequestError(
            f"version: the champion of '{model}' was rolled back to version {head.version} already (entry "
            f"{head.entry}); to go elsewhere, name the version"
        )
    sound = [version for version, each in former.items() if not each.barred]
    if not sound:
        raise NotReady(f"model '{model}': there is no champion before version {head.version} to go back to")
    return sound[0]


def _write(session: Session, model: str, head: Promotion, target: int, wanted: Rollback) -> None:
    why = {"reason": wanted.reason, "actor": wanted.actor, "request_id": wanted.request_id}
    session.run(ledger.FREE, model=model, version=target, **why)
    session.run(
        ledger.ROLL_BACK,
        model=model,
        version=target,
        effective_from=wanted.effective_from,
        as_of=wanted.as_of,
        **why,
    )
    session.run(ledger.BAR, model=model, version=head.version, **why)
