"""What is wrong now against what was wrong before: opened, still so, resolved; and who is told.

Levels, not edges: whoever looks again at the same rows finds the same, so nothing is lost when a look is. A row that is
open was told of, or says why not: it follows from another (muted), somebody silenced it, or it is too young.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from nightshift.alerts.kinds import KINDS
from nightshift.records.alerts import AlertEvent, Numbers, OpenAlert, Resolved, Silence, What
from nightshift.specs.alerts import Persistence

ONCE = Persistence()
# A reminder comes at the agreed hour, but not right after the first word.
AT_LEAST = timedelta(hours=12)
# A cause that does not stop all that stands on its subject is looked for by its fingerprint.
ITSELF = frozenset({"fault"})


@dataclass(frozen=True)
class Sight:
    """What a condition sees of a subject. ``nights``: whether it is wrong, newest first; of what has no nights, now.

    ``since``: as far back as the condition knows. ``numbers``: of the newest night; never a value of a row.
    """

    kind: str
    subject: str
    owner: str
    title: str
    since: datetime
    nights: tuple[bool, ...] = (True,)
    numbers: Numbers | None = None
    dag_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes it this alert and no other: kind and subject."""
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True)
class Policy:
    """How levels open, close and are told. ``upstream``: what each subject stands on, near and far: subjects, and
    fingerprints of what stops it though it does not stop all.

    ``by``, ``zone``: the agreed hour, at which reminders come. ``hears``: the receivers of a kind about a subject of an
    owner.
    """

    by: time
    zone: ZoneInfo
    nights: Mapping[str, Persistence]
    upstream: Mapping[str, frozenset[str]]
    settle: timedelta
    hears: Callable[[str, str, str], frozenset[str]] = lambda kind, subject, owner: frozenset()


@dataclass(frozen=True)
class Before:
    """What was known: open rows, what was resolved lately, silences that hold.

    ``unknown``: fingerprints of what nobody can see now.
    """

    open: Sequence[OpenAlert] = ()
    resolved: Sequence[Resolved] = ()
    silences: Sequence[Silence] = ()
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Changes:
    """What to write: rows that are open, fingerprints that are not any more, events, and what is to be told."""

    kept: tuple[OpenAlert, ...] = ()
    closed: tuple[str, ...] = ()
    events: tuple[AlertEvent, ...] = ()
    told: tuple[tuple[What, OpenAlert], ...] = ()


def compare(sights: Iterable[Sight], before: Before, policy: Policy, now: datetime) -> Changes:
    """Return what changed, and what is to be told of it, at ``now``."""
    was = {row.fingerprint: row for row in before.open}
    wrong = [sight for sight in sights if _is_wrong(sight, was.get(sight.fingerprint), policy)]
    mutes = _mutes(wrong, before, policy, now)
    found = Changes()
    for sight in wrong:
        row = _row(sight, was.get(sight.fingerprint), mutes.get(sight.fingerprint), before.silences, now)
        found = _add(found, row, was.get(sight.fingerprint), policy, now)
    there = {row.fingerprint for row in found.kept}
    for row in before.open:
        if row.fingerprint not in there and row.fingerprint not in before.unknown:
            found = _end(found, row, now)
    return found


def _is_wrong(sight: Sight, was: OpenAlert | None, policy: Policy) -> bool:
    """Whether too few nights are quiet to close it and, unless it is open, enough are wrong to open it.

    Nights that close it do not open it, however many before them were wrong: it would come and go with every look.
    """
    needs = policy.nights.get(sight.kind, ONCE)
    opens = was is not None or sum(sight.nights[: needs.of]) >= needs.open
    return opens and any(sight.nights[: needs.close])


def _mutes(wrong: Sequence[Sight], before: Before, policy: Policy, now: datetime) -> dict[str, str]:
    """Return, by fingerprint, which cause each effect follows from: one that is wrong, or was until a moment ago.

    Whoever would hear of the effect hears of that cause: else nobody would tell him anything.
    """
    # What was open and is over by this very look counts too; what is wrong now counts first.
    known = [(sight.fingerprint, sight.owner) for sight in wrong]
    known += [(row.fingerprint, row.owner) for row in before.open]
    known += [(each.fingerprint, each.owner) for each in before.resolved if now - each.at < policy.settle]
    causes: dict[str, tuple[str, frozenset[str]]] = {}
    for fingerprint, owner in known:
        kind, _, subject = fingerprint.partition("/")
        if kind in KINDS and KINDS[kind].leads:
            place = fingerprint if kind in ITSELF else subject
            causes.setdefault(place, (fingerprint, policy.hears(kind, subject, owner)))
    found: dict[str, str] = {}
    for sight in wrong:
        if KINDS[sight.kind].follows:
            mine = policy.hears(sight.kind, sight.subject, sight.owner)
            above = policy.upstream.get(sight.subject, frozenset()) & causes.keys()
            # The nearest to the source: a source sorts behind a feature set, and behind the project's whole night.
            stands_on = sorted(place for place in above if mine <= causes[place][1])
            found |= {sight.fingerprint: causes[stands_on[-1]][0]} if stands_on else {}
    return found


def _row(
    sight: Sight, was: OpenAlert | None, muted_by: str | None, silences: Sequence[Silence], now: datetime
) -> OpenAlert:
    kind = KINDS[sight.kind]
    return OpenAlert(
        fingerprint=sight.fingerprint,
        kind=sight.kind,
        subject=sight.subject,
        severity=kind.severity,
        owner=sight.owner,
        title=sight.title,
        action=kind.action,
        runbook=anchor(sight.kind),
        dag_id=sight.dag_id,
        numbers=dict(sight.numbers or {}),
        since=min(was.since, sight.since) if was else sight.since,
        opened_at=was.opened_at if was else now,
        seen_at=now,
        told_at=was.told_at if was else None,
        told=was.told if was else 0,
        muted_by=muted_by,
        silenced_until=max((s.until for s in silences if silences_it(s, sight, now)), default=None),
    )


def anchor(kind: str) -> str:
    """Return the anchor of a kind's entry in docs/runbooks.md."""
    return f"alert-{kind.replace('_', '-')}"


def silences_it(silence: Silence, sight: Sight, now: datetime) -> bool:
    """Whether a silence is about this alert, now."""
    return (
        silence.until > now
        and fnmatchcase(sight.kind, silence.kind)
        and fnmatchcase(sight.subject, silence.subject)
    )


def _add(found: Changes, row: OpenAlert, was: OpenAlert | None, policy: Policy, now: datetime) -> Changes:
    what = _word(row, policy, now)
    events = [] if was else [_event(row, "opened", now, told=what is not None)]
    if what:
        row = replace(row, told_at=now, told=row.told + 1)
        if was:
            events.append(_event(row, "told" if what == "opened" else what, now, told=True))
    return replace(
        found,
        kept=(*found.kept, row),
        events=(*found.events, *events),
        told=(*found.told, (what, row)) if what else found.told,
    )


def _word(row: OpenAlert, policy: Policy, now: datetime) -> What | None:
    """Return what to tell of an open row now, if anything."""
    if row.muted_by or row.silenced_until:
        return None
    if row.told_at is None:
        return "opened" if now - row.opened_at >= KINDS[row.kind].hold else None
    return "reminded" if now >= next_reminder(row.told_at, policy) else None


def next_reminder(told_at: datetime, policy: Policy) -> datetime:
    """Return when to say it again: at the agreed hour, half a day after the last word or later."""
    earliest = (told_at + AT_LEAST).astimezone(policy.zone)
    at = datetime.combine(earliest.date(), policy.by, policy.zone)
    if at < earliest:
        at = datetime.combine(earliest.date() + timedelta(days=1), policy.by, policy.zone)
    return at


def _end(found: Changes, row: OpenAlert, now: datetime) -> Changes:
    """Close it; who was told that it is wrong is told that it is over, silenced or not."""
    told = row.told_at is not None
    return replace(
        found,
        closed=(*found.closed, row.fingerprint),
        events=(*found.events, _event(row, "resolved", now, told=told)),
        told=(*found.told, ("resolved", replace(row, seen_at=now))) if told else found.told,
    )


def _event(row: OpenAlert, what: str, now: datetime, *, told: bool) -> AlertEvent:
    why = f"follows from {row.muted_by}" if row.muted_by else "silenced" if row.silenced_until else ""
    return AlertEvent(
        happened_at=now,
        fingerprint=row.fingerprint,
        what=what,
        severity=row.severity,
        owner=row.owner,
        title=row.title,
        told=told,
        why=why,
    )
