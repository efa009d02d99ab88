"""Rollback: a former champion is champion again, and the one of now is barred. One transaction, once a request."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from nightshift.database import Database, Session
from nightshift.errors import NotReady, RequestError
from nightshift.govern.ledger import first_unscored, lock_head, no_champion
from nightshift.records import ledger
from nightshift.records.ledger import Former, Promotion, RolledBack


@dataclass(frozen=True)
class Rollback:
    """Back to version ``to``, or to the champion before, from ``effective_from`` on.

    ``as_of``: the first night that is not scored yet, as far as the asker knows: what is scored by the time it is
    written moves both. ``request_id``: a request that is repeated writes nothing. ``of_training``: the training whose
    version is to go, and no other; None: whichever is champion.
    """

    to: int | None
    effective_from: date
    as_of: date
    request_id: str
    actor: str
    reason: str
    of_training: str | None = None


def write_rollback(
    warehouse: Database,
    model: str,
    wanted: Rollback,
    *,
    require: Callable[[int], None] = lambda version: None,
) -> RolledBack:
    """Write the rollback into the ledger and bar the champion of now, unless this request has done so before.

    ``require``: raises if the version to go back to cannot serve; nothing is written then. Returns what stands in the
    ledger now.

    A version that is named may be barred: its bar is lifted. The champion before never is.

    Raises:
        NotReady: there is no champion, or no former one to go back to.
        RequestError: the version is champion now, on that night too, or never was, or first was after
            ``effective_from``; none is named where the newest entry is a rollback itself; or the champion is of another
            training than ``of_training``.
    """
    with warehouse.session() as session:
        head = lock_head(session, model)
        if done := session.one(ledger.ROLLED_BACK, model=model, request_id=wanted.request_id):
            return done
        if head is None:
            raise no_champion(model)
        _require_champion_of(model, head, wanted)
        wanted = _by_now(session, model, wanted)
        taken_out = _taken_out(session, model, head, wanted)
        found = session.all(ledger.FORMER, model=model, champion=taken_out)
        former = {each.version: each for each in found}  # the newest first
        target = _target(model, head, taken_out, former, wanted)
        require(target)
        _write(session, model, taken_out, target, wanted)
        entry = session.one(ledger.HEAD, model=model) or head
        return RolledBack(
            entry=entry.entry, version=target, effective_from=wanted.effective_from, taken_out=taken_out
        )


def _require_champion_of(model: str, head: Promotion, wanted: Rollback) -> None:
    """Raise RequestError if another version became champion since somebody decided that the one of then must go."""
    if wanted.of_training is not None and head.training_id != wanted.of_training:
        raise RequestError(
            f"model '{model}': the version of training '{wanted.of_training}' was to go back, and the champion is "
            f"version {head.version} by now, of training '{head.training_id}'. It stays; see whether it is better than "
            f"the one before both, and trigger rollback_{model} with a version if not"
        )


def _taken_out(session: Session, model: str, head: Promotion, wanted: Rollback) -> int:
    """Return the version that goes: the champion, or, of one that came back later, who still was on the first night."""
    if wanted.to != head.version:
        return head.version
    then = session.one(ledger.CHAMPION_ON, model=model, night=wanted.effective_from)
    return then.version if then else head.version


def _by_now(session: Session, model: str, wanted: Rollback) -> Rollback:
    """Return what is wanted, from the night on that is the first unscored one by now."""
    night = first_unscored(session, model, wanted.as_of)
    if night > wanted.as_of > wanted.effective_from:
        raise RequestError(
            f"until: the night of {night - timedelta(days=1)} was scored meanwhile by the champion of now; score again "
            "until it, or leave the dates empty"
        )
    return wanted if night == wanted.as_of else replace(wanted, effective_from=night, as_of=night)


def _target(model: str, head: Promotion, taken_out: int, former: dict[int, Former], wanted: Rollback) -> int:
    version = wanted.to or _before(model, head, former)
    if version == taken_out:
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


def _write(session: Session, model: str, taken_out: int, target: int, wanted: Rollback) -> None:
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
    session.run(ledger.BAR, model=model, version=taken_out, **why)
