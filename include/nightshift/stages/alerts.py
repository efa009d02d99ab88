"""Alerts, looked for and sent: the warehouse's rows, what MLflow and the disk say, and the instant of the look."""

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from nightshift import results
from nightshift.alerts import Disk, Seen
from nightshift.alerts.evaluating import Link, evaluate, post_test
from nightshift.alerts.sending import Deliver, send
from nightshift.alerts.silencing import silence
from nightshift.errors import NightshiftError, Unreachable
from nightshift.govern import Ledger
from nightshift.platform import Platform
from nightshift.records import alerts as records


def evaluate_alerts(platform: Platform, now: datetime, *, by: str, link: Link) -> results.Looked:
    """Look once; write what is open, what happened and what is to be told. ``by``: the run that looks.

    Raises:
        Unreachable: the warehouse is away; nothing is written, and the next look sees the same.
    """
    found = evaluate(platform.warehouse, platform.project, seen(platform), now, by=by, link=link)
    return {
        "open": len(found.kept),
        "opened": sum(event.what == "opened" for event in found.events),
        "resolved": len(found.closed),
        "told": len(found.told),
    }


def seen(platform: Platform) -> Seen:
    """Return what is not in the warehouse: aliases, whether ledgers hold, the disk; None of what did not answer."""
    try:
        aliases, broken = _registry(platform)
        answers = True
    except Unreachable:
        aliases, broken, answers = None, None, False
    except NightshiftError:  # it answers, and refuses us
        aliases, broken, answers = None, None, True
    # That this runs says that Airflow does.
    return Seen(aliases, broken, disks(platform.objects.root), {"mlflow": answers, "airflow": True})


def _registry(platform: Platform) -> tuple[dict[str, int | None], frozenset[str]]:
    names = {row.model for row in platform.warehouse.all(records.CHAMPIONS)} & platform.project.models.keys()
    aliases = {name: platform.registry.champion(name) for name in sorted(names)}
    broken = {name for name in names if _misfit(platform, name)}
    return aliases, frozenset(broken)


def _misfit(platform: Platform, name: str) -> bool:
    ledger = Ledger(platform.warehouse, name)
    return ledger.verify(platform.registry.anchors(name).values()) is not None


def disks(root: str) -> dict[str, Disk] | None:
    """Return the room of the disk that files are kept on; None: it is not on this machine."""
    folder = Path(root.removeprefix("file://"))
    if "://" in str(root) and not root.startswith("file://"):
        return None
    if not folder.is_dir():
        return None
    found = shutil.disk_usage(folder)
    return {"objects": Disk(found.free, found.total)}


def send_alerts(platform: Platform, deliver: Deliver, clock: Callable[[], datetime]) -> results.Sent:
    """Send what is due. What a receiver does not take stays; the next run tries it again."""
    delivered, failed = send(platform.warehouse, deliver, clock)
    return {"delivered": delivered, "failed": failed}


def try_receiver(platform: Platform, receiver: str, now: datetime, link: Link) -> None:
    """Put a test message for a receiver into the outbox. Raises SpecError if there is no such receiver."""
    post_test(platform.warehouse, platform.project, receiver, now, link)


def silence_alert(
    platform: Platform, wanted: Mapping[str, str], *, actor: str, now: datetime
) -> results.Silenced:
    """Keep receivers from being told of some alerts until an instant.

    Raises:
        RequestError: as :func:`nightshift.alerts.silencing.silence`.
    """
    found = silence(platform.warehouse, platform.project, wanted, actor=actor, now=now)
    return {"kind": found.kind, "subject": found.subject, "until": found.until.isoformat()}
