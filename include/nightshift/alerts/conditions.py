"""The table of conditions: each kind of alert, and what looks for it."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from nightshift.alerts import models, nights
from nightshift.alerts.facts import Facts, Seen
from nightshift.alerts.levels import Sight
from nightshift.records.alerts import Numbers, OpenAlert
from nightshift.specs import Project
from nightshift.specs.derived import dag_id

# A disk with less than this free, in bytes and as a share, is nearly full.
LITTLE = (1 << 30, 0.05)
# A receiver that has not taken a message for so long does not work.
PATIENCE = timedelta(minutes=30)
SECONDS_A_MINUTE = 60

Condition = Callable[[Facts, Project], Iterator[Sight]]


def quarantine_grows(facts: Facts, project: Project) -> Iterator[Sight]:
    """More rows were set aside within seven nights than agreed, and nobody has looked at them."""
    most = project.settings.alerts.quarantine_rows
    for row in facts.set_aside:
        spec = project.sources.get(row.source)
        if spec and row.newest > most:
            title = f"source '{row.source}': {row.newest} rows were set aside within seven nights, and wait"
            numbers: Numbers = {"newest": row.newest, "limit": most, "all": row.all, "oldest": str(row.since)}
            dag = dag_id("replay_quarantine", spec)
            subject = f"source:{row.source}"
            yield Sight("quarantine_grows", subject, spec.owner, title, facts.now, (True,), numbers, dag)


def spec_broken(facts: Facts, project: Project) -> Iterator[Sight]:
    """A spec does not load: of what it declares nothing runs, and nothing else here is looked at."""
    for path in project.broken:
        name = path.relative_to(project.folder).as_posix()
        title = f"{name} does not load: nothing runs of what it declares, nor of what stands on it"
        yield Sight("spec_broken", f"spec:{name}", project.settings.owner, title, facts.now)


def disk(facts: Facts, project: Project) -> Iterator[Sight]:
    """A disk that the project writes on has little room left."""
    for name, room in (facts.seen.disks or {}).items():
        if room.free < LITTLE[0] and room.free < LITTLE[1] * room.total:
            title = f"the disk of {name} is nearly full"
            numbers: Numbers = {"free_mb": room.free >> 20, "total_mb": room.total >> 20}
            owner = project.settings.owner
            yield Sight("disk", f"component:{name}", owner, title, facts.now, (True,), numbers)


def component_down(facts: Facts, project: Project) -> Iterator[Sight]:
    """A server of ours does not answer, or does nothing."""
    for name, well in (facts.seen.components or {}).items():
        if not well:
            owner = project.settings.owner
            yield Sight("component_down", f"component:{name}", owner, f"{name} is down", facts.now)


def receiver_fails(facts: Facts, project: Project) -> Iterator[Sight]:
    """A receiver does not take what it is told; of one that is declared no more nobody expects it."""
    for row in facts.unsent:
        if row.receiver in project.settings.alerts.receivers and facts.now - row.oldest > PATIENCE:
            minutes = int((facts.now - row.oldest).total_seconds() // SECONDS_A_MINUTE)
            what = "takes others, and refuses some messages" if row.takes_others else "takes no message"
            title = f"receiver '{row.receiver}' {what}"
            numbers: Numbers = {"messages": row.messages, "minutes": minutes}
            owner = project.settings.owner
            yield Sight(
                "receiver_fails",
                f"receiver:{row.receiver}",
                owner,
                title,
                row.oldest,
                (True,),
                numbers,
                "alerts",
            )


def sights(facts: Facts, project: Project) -> list[Sight]:
    """Return what every condition sees."""
    return [sight for condition in CONDITIONS.values() for sight in condition(facts, project)]


def unknown(open_rows: list[OpenAlert], seen: Seen, project: Project) -> frozenset[str]:
    """Return the fingerprints of open alerts about which this look can say nothing: they stay as they are."""
    looked_at = {f"component:{name}" for name in seen.components or {}}
    # What the DAG looks at may be in no stack of ours.
    by_the_dag = {"component:mlflow", "component:airflow"}

    def unseen(subject: str) -> bool:
        return subject not in looked_at and (subject in by_the_dag or not seen.whole_stack)

    blind = {
        "alias_differs": seen.aliases is None,
        "ledger_broken": seen.broken is None,
        "disk": seen.disks is None,
    }
    return frozenset(
        row.fingerprint
        for row in open_rows
        if blind.get(row.kind, row.kind == "component_down" and unseen(row.subject))
        or _does_not_load(row.subject, project)
    )


def _does_not_load(subject: str, project: Project) -> bool:
    """Whether a subject is not declared, and a file that may declare it does not load."""
    what, _, name = subject.partition(":")
    declared = {
        "model": project.models.keys(),
        "source": project.sources.keys(),
        "features": {spec.table for spec in project.feature_sets.values()},
    }
    if what not in declared or name in declared[what]:
        return False
    folder = what if what == "features" else f"{what}s"
    broken = {path.stem for path in project.problems if path.parent.name == folder}
    # Which table a feature set that does not load has, its file's name does not say.
    return bool(broken) if what == "features" else name in broken


CONDITIONS: dict[str, Condition] = {
    "night_missing": nights.night_missing,
    "spec_broken": spec_broken,
    "source_refused": nights.source_refused,
    "source_over_budget": nights.source_over_budget,
    "source_stale": nights.source_stale,
    "fault": nights.fault,
    "features_refused": nights.features_refused,
    "no_champion": models.no_champion,
    "alias_differs": models.alias_differs,
    "ledger_broken": models.ledger_broken,
    "harm": models.harm,
    "shift": models.shift,
    "training_failed": models.training_failed,
    "training_rejected": models.training_rejected,
    "breaker": models.breaker,
    "signature_waits": models.signature_waits,
    "probation_lost": models.probation_lost,
    "quarantine_grows": quarantine_grows,
    "disk": disk,
    "component_down": component_down,
    "receiver_fails": receiver_fails,
}
