"""What goes: of each kind what is older than its days, and where the disk is short the oldest files before their time.

What something still needs never goes, however old it is and however little room there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from nightshift import kept, results
from nightshift.specs import Project
from nightshift.specs.retention import FEWEST_DAYS, Retention

# What windows of verdicts, trainings and recalibrations read. What a champion is judged by beside these is needed.
WINDOWED = ("sketches", "verdicts")
# A write that was killed leaves its part, and a replay its candidates. What is younger may still be at work.
PARTS = "parts"
DAYS_OF_PARTS = 1


@dataclass(frozen=True)
class Thing:
    """A file, or the rows of a subject's night. ``day``: the later of its night and the day it was ``written``.

    ``file``: when its file was, as the store says. ``named``: whether a row names it.
    """

    kind: str
    name: str
    day: date
    written: datetime | None = None
    things: int = 1
    bytes: int = 0
    needed: str = ""
    file: datetime | None = None
    named: bool = True


@dataclass(frozen=True)
class Going:
    """A thing that goes, and why."""

    thing: Thing
    why: str


def days_of(project: Project) -> dict[str, int | None]:
    """Return how many days each kind is kept; None: for good. No fewer than windows of models reach back.

    A verdict names its report, and is kept as long.
    """
    days: dict[str, int | None] = {name: getattr(project.settings.retention, name) for name in FIELDS}
    least = needed_days(project)
    for kind in WINDOWED:
        given = days[kind]
        days[kind] = None if given is None else max(given, least)
    verdicts, reports = days["verdicts"], days["reports"]
    days["verdicts"] = None if verdicts is None or reports is None else max(verdicts, reports)
    return days | {PARTS: DAYS_OF_PARTS}


def airflow_days(project: Project) -> int | None:
    """Return how many days Airflow's rows are kept; None: for good. No fewer than a run may wait for its signature."""
    given = project.settings.retention.airflow
    hours = [model.unsigned_hours for model in project.models.values() if model.approval == "required"]
    # A day for what a training does before it asks.
    return None if given is None else max([given, *(-(-each // 24) + 1 for each in hours)])


def needed_days(project: Project) -> int:
    """Return how many nights back a verdict, a training or a recalibration of a model may look."""
    reach = [
        max(
            model.drift.window_days,
            model.drift.of_last,
            model.performance.window_days if model.performance else 0,
            model.recalibrate.window_days if model.recalibrate else 0,
            model.train.holdout_days,
        )
        + model.matures_after_days
        for model in project.models.values()
    ]
    return FEWEST_DAYS + max(reach, default=0)


def choose(
    things: Iterable[Thing], days: Mapping[str, int | None], as_of: date, *, short: int = 0
) -> list[Going]:
    """Return what goes as of a night, oldest first. ``short``: how many bytes the disk of the files lacks."""
    free = sorted((thing for thing in things if not thing.needed), key=lambda t: (t.day, t.kind, t.name))
    going = [
        Going(thing, f"older than {days[thing.kind]} days") for thing in free if _is_old(thing, days, as_of)
    ]
    short -= sum(each.thing.bytes for each in going if _is_file(each.thing))
    chosen = {(each.thing.kind, each.thing.name) for each in going}
    for thing in free:
        if short <= 0:
            break
        spare = days[thing.kind] is not None and as_of - thing.day > timedelta(days=FEWEST_DAYS)
        if spare and _is_file(thing) and (thing.kind, thing.name) not in chosen:
            going.append(Going(thing, "the disk is short, and nothing older is left"))
            short -= thing.bytes
    return going


def oldest_kept(things: Iterable[Thing], going: Iterable[Going]) -> dict[str, date]:
    """Return of each kind the day of the oldest thing that stays."""
    gone = {(each.thing.kind, each.thing.name) for each in going}
    oldest: dict[str, date] = {}
    for thing in things:
        if (thing.kind, thing.name) not in gone:
            oldest[thing.kind] = min(thing.day, oldest.get(thing.kind, thing.day))
    return oldest


def lines(found: results.Retained) -> list[str]:
    """Return what goes, or went, a line a kind."""
    goes = "would go" if found["dry_run"] else "went"
    later = found["asked_for"] != found["as_of"]
    told = (
        [f"as of {found['as_of']}, the newest night: nothing was collected of {found['asked_for']}"]
        if later
        else []
    )
    for kind, taken in found["kinds"].items():
        why = f" ({'; '.join(taken['why'])})" if taken["why"] else ""
        oldest = f"; the oldest that stays is of {taken['oldest_kept']}" if taken["oldest_kept"] else ""
        told.append(f"{kind}: {taken['things']} {goes}, {taken['bytes']} bytes{why}{oldest}")
    return told


def _is_old(thing: Thing, days: Mapping[str, int | None], as_of: date) -> bool:
    most = days[thing.kind]
    return most is not None and as_of - thing.day > timedelta(days=most)


def _is_file(thing: Thing) -> bool:
    return thing.kind in kept.KINDS and kept.KINDS[thing.kind].ends


FIELDS = tuple(Retention.model_fields)
