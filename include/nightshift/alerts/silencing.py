"""Silences: nobody is told of some alerts until an instant. Each has an owner and an end."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from nightshift.alerts.kinds import KINDS
from nightshift.database import Database
from nightshift.errors import RequestError, did_you_mean
from nightshift.records import alerts as records
from nightshift.records.alerts import Silence
from nightshift.specs import Project

ANY = "*"
LONGEST = timedelta(days=92)


def silence(
    database: Database, project: Project, wanted: Mapping[str, str], *, actor: str, now: datetime
) -> Silence:
    """Write a silence. ``wanted``: kind and subject (``*``: each), owner, until, reason. Alerts stay open, and seen.

    Raises:
        RequestError: a kind or a subject that there is not, no owner, no reason, an end that cannot be read, is past or
            too far.
    """
    kind, owner = wanted["kind"], wanted["owner"].strip()
    if kind != ANY and kind not in KINDS:
        raise RequestError(f"kind: '{kind}' is no kind of alert{did_you_mean(kind, KINDS)}")
    if not owner:
        raise RequestError("owner: say who answers for the silence")
    if not wanted["reason"].strip():
        raise RequestError("reason: say why nobody need be told")
    _require_subject(project, wanted["subject"])
    until = _until(project, wanted["until"])
    if not now < until <= now + LONGEST:
        raise RequestError(
            f"until: {until:%Y-%m-%d %H:%M} UTC; expected an end within {LONGEST.days} days from now"
        )
    found = Silence(
        kind=kind,
        subject=wanted["subject"],
        owner=owner,
        until=until,
        reason=wanted["reason"],
        actor=actor,
        made_at=now,
    )
    database.run(records.SILENCE, found)
    return found


def _require_subject(project: Project, text: str) -> None:
    """Raise RequestError for a subject or pattern that no alert of this project can have: nothing would be silent."""
    what, _, name = text.partition(":")
    known = {
        "model": set(project.models),
        "source": set(project.sources),
        "features": {spec.table for spec in project.feature_sets.values()},
        "receiver": set(project.settings.alerts.receivers),
    }
    if what in known and not project.problems and not any(fnmatchcase(each, name) for each in known[what]):
        raise RequestError(f"subject: this project has no {text}{did_you_mean(name, known[what])}")
    of_another = (what in ("component", "spec") and name) or any(sign in what for sign in "*?[")
    if what not in known and text != "project" and not of_another:
        raise RequestError(
            f"subject: expected project, model:NAME, source:NAME, features:NAME_vN, component:NAME, receiver:NAME, "
            f"spec:FOLDER/FILE or a pattern of them, as in model:*; got {text[:60]!r}"
        )


def _until(project: Project, text: str) -> datetime:
    """Return the instant that a date or a time spells: the project's clock where it names no offset."""
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=project.calendar.zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the second: no calendar has it in UTC
        raise RequestError(f"until: expected YYYY-MM-DD or YYYY-MM-DDTHH:MM, got {text[:40]!r}") from error
