"""Rollback: a former champion is champion again, and the one of now is barred. One transaction, once a request."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from nightshift.errors import NotReady, RequestError
from nightshift.govern.ledger import Promotion, lock_head
from nightshift.warehouse import Warehouse


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


def rollback_of(warehouse: Warehouse, model: str, request_id: str) -> dict[str, Any] | None:
    """Return what a request has written: its entry, and which version it took out of service; or None."""
    return warehouse.row(
        "SELECT p.entry, p.version, p.effective_from, b.version AS taken_out FROM governance.promotions p "
        "JOIN governance.bars b ON b.model = p.model AND b.request_id = p.request_id AND b.barred "
        "WHERE p.model = %s AND p.request_id = %s",
        (model, request_id),
    )


def write_rollback(warehouse: Warehouse, model: str, wanted: Rollback) -> None:
    """Write the rollback into the ledger and bar the champion of now, unless this request has done so before.

    A version that is named may be barred: its bar is lifted. The champion before never is.

    Raises:
        NotReady: there is no champion, or no former one to go back to.
        RequestError: the version is champion now, or never was, or first was after ``effective_from``; or none is
            named where the newest entry is a rollback itself.
    """
    with warehouse.transaction() as cursor:
        head = lock_head(cursor, model)
        cursor.execute(
            "SELECT 1 FROM governance.promotions WHERE model = %s AND request_id = %s",
            (model, wanted.request_id),
        )
        if cursor.fetchone():
            return
        if head is None:
            raise NotReady(f"model '{model}' has no champion yet; trigger train_{model}")
        _write(cursor, model, head, _target(model, head, _former(cursor, model, head), wanted), wanted)


def _former(cursor: Any, model: str, head: Promotion) -> dict[int, dict[str, Any]]:
    """Return the versions that have been champion, the newest first, without the head's."""
    cursor.execute(
        "SELECT version, min(effective_from) AS first, "
        "EXISTS (SELECT 1 FROM governance.bars_on(%s, version)) AS barred "
        "FROM governance.promotions WHERE model = %s AND version <> %s GROUP BY version ORDER BY max(entry) DESC",
        (model, model, head.version),
    )
    return {row["version"]: row for row in cursor.fetchall()}


def _target(model: str, head: Promotion, former: dict[int, dict[str, Any]], wanted: Rollback) -> int:
    version = wanted.to or _before(model, head, former)
    if version == head.version:
        raise RequestError(f"version: {version} is the champion of '{model}' already")
    if version not in former:
        known = ", ".join(map(str, former)) or "none"
        raise RequestError(
            f"version: {version} of '{model}' has never been champion; former champions: {known}"
        )
    first = former[version]["first"]
    if wanted.effective_from < first:
        raise RequestError(
            f"batch_date: version {version} of '{model}' was first champion on {first}; what it would say of "
            f"{wanted.effective_from} it may have been trained on. Score again from {first} on"
        )
    return version


def _before(model: str, head: Promotion, former: dict[int, dict[str, Any]]) -> int:
    # Two people who pull the lever at once mean one step back, not two.
    if head.kind == "rollback":
        raise RequestError(
            f"version: the champion of '{model}' was rolled back to version {head.version} already (entry "
            f"{head.entry}); to go elsewhere, name the version"
        )
    sound = [version for version, facts in former.items() if not facts["barred"]]
    if not sound:
        raise NotReady(f"model '{model}': there is no champion before version {head.version} to go back to")
    return sound[0]


def _write(cursor: Any, model: str, head: Promotion, target: int, wanted: Rollback) -> None:
    why = (wanted.reason, wanted.actor, wanted.request_id)
    cursor.execute(
        "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
        "SELECT model, version, false, %s, %s, %s FROM governance.bars_on(%s, %s)",
        (*why, model, target),
    )
    cursor.execute(
        "INSERT INTO governance.promotions (model, version, kind, effective_from, as_of, artifact_sha256, training_id, "
        "evidence_sha256, reason, actor, request_id) "
        "SELECT model, version, 'rollback', %s, %s, artifact_sha256, training_id, evidence_sha256, %s, %s, %s "
        "FROM governance.promotions WHERE model = %s AND version = %s AND kind = 'promotion'",
        (wanted.effective_from, wanted.as_of, *why, model, target),
    )
    cursor.execute(
        "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
        "VALUES (%s, %s, true, %s, %s, %s)",
        (model, head.version, *why),
    )
