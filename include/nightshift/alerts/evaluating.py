"""One look: read, compare, write what changed and what is to be told, in one transaction."""

from collections.abc import Callable
from datetime import datetime, timedelta

from nightshift.alerts.conditions import sights, unknown
from nightshift.alerts.facts import NIGHTS, Facts, Seen, declared
from nightshift.alerts.kinds import KINDS
from nightshift.alerts.levels import Before, Changes, Policy, compare
from nightshift.alerts.nights import upstream
from nightshift.database import Database, Session
from nightshift.errors import SpecError, did_you_mean
from nightshift.records import alerts as records
from nightshift.records.alerts import Declared, Message, OpenAlert, Outgoing, What
from nightshift.specs import Project
from nightshift.specs.alerts import SEVERITIES, Alerts, Route

# From the id of a DAG, or None, to the address of its page.
Link = Callable[[str | None], str]


def evaluate(
    database: Database, project: Project, seen: Seen, now: datetime, *, by: str | None, link: Link
) -> Changes:
    """Compare what is wrong at ``now`` with what was, and write it: rows, events and messages, or nothing of them.

    ``by``: the run that looks; None: nobody of Airflow's. ``link``: where people see a DAG. Doing it again at once
    changes nothing.

    Raises:
        Unreachable, WarehouseRefused: of the database; nothing is written.
    """
    with database.session() as session:
        session.run(records.LOCK)
        _remember(session, project, now)
        found = _compared(session, project, seen, now)
        for row in found.kept:
            session.run(records.KEEP_OPEN, row)
        for fingerprint in found.closed:
            session.run(records.CLOSE, fingerprint=fingerprint)
        session.each(records.HAPPENED, found.events)
        for what, row in found.told:
            _post(session, project.settings.alerts, what, row, now, link)
        if by is not None:
            session.run(records.BEAT, now=now, by=by)
    return found


def _compared(session: Session, project: Project, seen: Seen, now: datetime) -> Changes:
    settings = project.settings.alerts
    settle = timedelta(minutes=settings.settle_minutes)
    open_rows = session.all(records.OPEN)
    before = Before(
        open=open_rows,
        resolved=session.all(records.RESOLVED_SINCE, since=now - settle),
        silences=session.all(records.SILENCES, now=now),
        unknown=unknown(open_rows, seen, project),
    )
    policy = Policy(
        settings.by,
        project.calendar.zone,
        {str(kind): needs for kind, needs in settings.nights.items()},
        upstream(project),
        settle,
        lambda kind, subject, owner: frozenset(receivers_of(settings, kind, subject, owner)),
    )
    return compare(sights(facts(session, project, seen, now), project), before, policy, now)


def _remember(session: Session, project: Project, now: datetime) -> None:
    """Keep since when each spec is there: a file's own time is that of its last change, or deployment."""
    there = declared(project)
    if not project.problems:  # what does not load today is no younger once it is mended
        session.run(records.UNDECLARE, names=list(there))
    session.each(records.DECLARE, [Declared(name=name, since=min(at, now)) for name, at in there.items()])


def facts(session: Session, project: Project, seen: Seen, now: datetime) -> Facts:
    """Return what conditions look at."""
    return Facts(
        now=now,
        batches=tuple(session.all(records.BATCHES, nights=NIGHTS)),
        announced=tuple(session.all(records.ANNOUNCED, nights=NIGHTS)),
        built=tuple(session.all(records.BUILT, nights=NIGHTS)),
        judged=tuple(session.all(records.JUDGED, nights=NIGHTS)),
        champions=tuple(session.all(records.CHAMPIONS)),
        requests=tuple(session.all(records.REQUESTS, nights=NIGHTS)),
        waiting=tuple(session.all(records.WAITING)),
        probations=tuple(session.all(records.PROBATIONS)),
        set_aside=tuple(session.all(records.SET_ASIDE)),
        unsent=tuple(session.all(records.UNSENT)),
        declared={row.name: row.since for row in session.all(records.DECLARED)},
        seen=seen,
    )


def _post(session: Session, declared: Alerts, what: What, row: OpenAlert, now: datetime, link: Link) -> None:
    message = message_of(what, row, now, declared.runbooks, link(row.dag_id))
    receivers = (
        _told(session, declared, row)
        if what == "resolved"
        else receivers_of(declared, row.kind, row.subject, row.owner)
    )
    for receiver in receivers:
        outgoing = Outgoing(
            fingerprint=row.fingerprint,
            receiver=receiver,
            what=what,
            body=message,
            made_at=now,
            not_before=now,
        )
        session.run(records.REMIND if what == "reminded" else records.POST, outgoing)


def _told(session: Session, declared: Alerts, row: OpenAlert) -> list[str]:
    """Return who was told that it is open and is a receiver yet: routes and owners may be others since."""
    told = session.all(records.TOLD, fingerprint=row.fingerprint, since=row.opened_at)
    return [each.receiver for each in told if each.receiver in declared.receivers]


def message_of(what: What, row: OpenAlert, now: datetime, runbooks: str, link: str) -> Message:
    """Return what is said of an alert: nothing that the row does not hold."""
    return Message(
        what=what,
        fingerprint=row.fingerprint,
        kind=row.kind,
        subject=row.subject,
        severity=row.severity,
        owner=row.owner,
        title=row.title,
        action=row.action,
        runbook=f"{runbooks}#{row.runbook}",
        link=link,
        numbers=row.numbers,
        since=row.since,
        at=now,
    )


def receivers_of(declared: Alerts, kind: str, subject: str, owner: str) -> list[str]:
    """Return the receivers of all routes that fit an alert, each once, in the order of the routes."""
    fitting = [route for route in declared.routes if _fits(route, kind, subject, owner)]
    return list(dict.fromkeys(name for route in fitting for name in route.to))


def _fits(route: Route, kind: str, subject: str, owner: str) -> bool:
    what, _, name = subject.partition(":")
    return (
        SEVERITIES.index(route.severity) <= SEVERITIES.index(KINDS[kind].severity)
        and route.model in (None, name if what == "model" else "")
        and route.source in (None, name if what == "source" else "")
        and route.owner in (None, owner)
    )


def post_test(database: Database, project: Project, receiver: str, now: datetime, link: Link) -> None:
    """Put a message into the outbox by which a person sees that a receiver works.

    Raises:
        SpecError: there is no such receiver.
    """
    declared = project.settings.alerts
    require_receiver(declared, receiver)
    row = OpenAlert(
        fingerprint=f"test/{receiver}",
        kind="test",
        subject=f"receiver:{receiver}",
        severity="warning",
        owner=project.settings.owner,
        title=f"a test of receiver '{receiver}'",
        action="Nothing: that you read this is all.",
        runbook="by-alert",
        dag_id="alerts",
        numbers={},
        since=now,
        opened_at=now,
        seen_at=now,
    )
    message = message_of("test", row, now, declared.runbooks, link("alerts"))
    outgoing = Outgoing(
        fingerprint=row.fingerprint, receiver=receiver, what="test", body=message, made_at=now, not_before=now
    )
    database.run(records.POST, outgoing)


def require_receiver(declared: Alerts, name: str) -> None:
    """Raise SpecError unless ``alerts.receivers`` has one of that name."""
    if name not in declared.receivers:
        raise SpecError(f"receiver '{name}' is unknown{did_you_mean(name, declared.receivers)}")
