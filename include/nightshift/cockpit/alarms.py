"""The page of alerts: what is wrong now and who has been told, as far as it is the reader's to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from nightshift.cockpit.answers import Link, MaySee, MayStart, silence
from nightshift.cockpit.standing import Tonight
from nightshift.database import Reads
from nightshift.records.alerts import HEARD, LATE, LOOKED, OPEN, Heard, Numbers, OpenAlert
from nightshift.specs import Project
from nightshift.specs.derived import dag_id


@dataclass(frozen=True)
class Alarm:
    """An open alert. ``muted_by``: what it follows from.

    ``told``: how often it was said; ``took``: the receivers that have heard it, ``waits``: those that have not yet;
    there are none of either where no route leads to anybody.

    ``to``: the DAG that it is about, None where it is none or not the reader's; ``silence``: the form, if he may.
    """

    fingerprint: str
    kind: str
    subject: str
    severity: str
    owner: str
    title: str
    action: str
    runbook: str
    numbers: Numbers
    since: datetime
    told: int
    took: tuple[str, ...]
    waits: tuple[str, ...]
    muted_by: str | None
    silenced_until: datetime | None
    to: str | None
    silence: Link | None


@dataclass(frozen=True)
class AlertsPage:
    """What is open, the worst first, then the oldest. ``looked_at``: when that was seen, None if never.

    ``late``: nobody looks: what is here may be over, and what is not here may be wrong.
    """

    night: date
    looked_at: datetime | None
    late: bool
    alerts: tuple[Alarm, ...]


def alerts_page(
    reads: Reads, project: Project, looked_at: Tonight, *, may_see: MaySee, may_start: MayStart
) -> AlertsPage:
    """Return the open alerts of what the reader may see; what is of no spec is for who may see the DAG ``alerts``."""
    rows, looked = reads.all(OPEN), reads.one(LOOKED, late=LATE)
    shown = [row for row in rows if may_see(_about(project, row.subject))]
    heard: dict[str, list[Heard]] = {row.fingerprint: [] for row in rows}
    for each in reads.all(HEARD):
        heard.setdefault(each.fingerprint, []).append(each)
    known = {row.fingerprint for row in shown}
    alarms = tuple(_alarm(row, heard[row.fingerprint], known, may_see, may_start) for row in shown)
    return AlertsPage(looked_at.night, looked.at if looked else None, looked is None or looked.late, alarms)


def _about(project: Project, subject: str) -> str:
    """Return the DAG whose readers an alert about ``subject`` concerns."""
    kind, _, name = subject.partition(":")
    if kind == "model" and name in project.models:
        return dag_id("score", project.models[name])
    if kind == "source" and name in project.sources:
        return dag_id("collect", project.sources[name])
    tables = {spec.table: spec for spec in project.feature_sets.values()}
    return dag_id("features", tables[name]) if kind == "features" and name in tables else "alerts"


def _alarm(
    row: OpenAlert, heard: Sequence[Heard], known: set[str], may_see: MaySee, may_start: MayStart
) -> Alarm:
    return Alarm(
        fingerprint=row.fingerprint,
        kind=row.kind,
        subject=row.subject,
        severity=row.severity,
        owner=row.owner,
        title=row.title,
        action=row.action,
        runbook=row.runbook,
        numbers=row.numbers,
        since=row.since,
        told=row.told,
        took=tuple(each.receiver for each in heard if each.took),
        waits=tuple(each.receiver for each in heard if each.waits and not each.took),
        muted_by=row.muted_by if row.muted_by in known or row.muted_by is None else "another",
        silenced_until=row.silenced_until,
        to=f"dags/{row.dag_id}" if row.dag_id and may_see(row.dag_id) else None,
        silence=silence(row.fingerprint, may_start),
    )
