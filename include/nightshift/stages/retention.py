"""Retain: what is old and needed by nothing is marked in the catalog, then taken away.

Marks are one transaction, and each file that is gone is told in another: whoever is killed between leaves marks, and
the next run does what they say, if it still holds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import chain

from nightshift import kept, results
from nightshift.alerts import Disk
from nightshift.alerts.conditions import LITTLE
from nightshift.database import Session
from nightshift.objects import PART, Listing
from nightshift.platform import Platform, Try
from nightshift.records import retention as records
from nightshift.records.retention import Found, Retention, Retired
from nightshift.retention import PARTS, Going, Thing, choose, days_of, oldest_kept
from nightshift.rows import Command
from nightshift.stages.alerts import disks

FILES = tuple(name for name, kind in kept.KINDS.items() if kind.ends)
# Rows of a subject's night, taken away by these statements in the transaction that marks them.
ROWS: dict[str, tuple[Command, ...]] = {
    "quarantine": (records.FORGET_VALUES,),
    "sketches": (records.FORGET_PREDICTIONS, records.FORGET_COUNTS),
    "verdicts": (records.FORGET_VERDICTS,),
    "events": (records.FORGET_EVENTS,),
}
# What names a file, and names none once it is gone.
NAMED_BY: dict[str, Command] = {"reports": records.FORGET_REPORT, "data_docs": records.FORGET_DOCS}
Rooms = Callable[[str], dict[str, Disk] | None]


def retain(
    platform: Platform, as_of: date, asked: Try, *, dry_run: bool, rooms: Rooms = disks
) -> results.Retained:
    """Take away what is old as of a night, and say what and why. ``dry_run``: only say it.

    ``as_of``: of a later night than any that was collected it is the newest of these, or too much would be old; where
    nothing was collected, nothing is. ``rooms``: tells the room of the disk that files are kept on; where it is short,
    the oldest go before their time.
    """
    newest = platform.warehouse.one(records.NEWEST)
    known = newest.night if newest else None
    asked_for, as_of = as_of, min(as_of, known or as_of)
    things = _things(platform) if known else []
    going = choose(things, days_of(platform.project), as_of, short=_short(rooms(platform.objects.root)))
    going = _sized(platform, going)
    oldest = oldest_kept(things, going)
    waiting = _waiting(platform, going, asked)
    if not dry_run:
        _mark(platform, going, as_of, asked)
        for each in going:
            _take_away(platform, each.thing, as_of)
        _count(platform, going, oldest, as_of, asked)
    return {**_told(going, waiting, oldest, as_of, dry_run=dry_run), "asked_for": str(asked_for)}


def _things(platform: Platform) -> list[Thing]:
    """Return all that may go one day. A file that is not there any more, and is not marked to go, is none.

    Rows are read before files are looked at: what is written in between is young, whether a row names it or not.
    """
    with platform.warehouse.session() as session:
        marks = {(each.kind, each.name): each for each in session.all(records.RETIRED)}
        found = {kind: session.all(query) for kind, query in records.KINDS.items()}
    listed = {kind: platform.objects.listed(kind) for kind in kept.KINDS}
    things = [
        _thing(kind, each, listed.get(kind, Listing({})), marks.get((kind, each.name)))
        for kind, rows in found.items()
        for each in rows
        if _is_there(kind, each, listed, marks.get((kind, each.name)))
    ]
    unnamed = [_unnamed(kind, listed[kind], {each.name for each in found[kind]}) for kind in FILES]
    return [*things, *chain.from_iterable(unnamed), *_parts(listed.values())]


def _is_there(kind: str, found: Found, listed: dict[str, Listing], mark: Retired | None) -> bool:
    if kind in ROWS:
        return True  # also of a night that was written anew since: only what is there is found
    is_gone = mark is not None and mark.removed_at is not None
    if kind not in FILES:
        return not is_gone
    # One that is there although it was removed was written anew, whatever its row says of when.
    return found.name in listed[kind].files or (mark is not None and not is_gone)


def _thing(kind: str, found: Found, listing: Listing, mark: Retired | None) -> Thing:
    known = found.bytes if found.bytes is not None else listing.sizes.get(found.name)
    was = mark.bytes if mark and not mark.removed_at else 0
    at = listing.written.get(found.name)
    return Thing(
        kind,
        found.name,
        _day(kind, found, at, mark.removed_at if mark else None),
        found.written,
        found.things,
        max(known or 0, was),
        found.needed,
        at,
    )


def _day(kind: str, found: Found, at: datetime | None, removed: datetime | None) -> date:
    """Return the day of a thing. Of rows frozen again, and of a file removed before, the row tells the first time."""
    if kind not in FILES:
        return found.day
    again = [removed, at] if removed else [at] if kind == "snapshots" else []
    return max([found.day, *(each.date() for each in again if each)])


def _unnamed(kind: str, listing: Listing, named: set[str]) -> list[Thing]:
    """Return the files that no row names: not any more, or not since who wrote them was killed.

    One whose row is not there yet is young. Where the store does not say when it was written, nothing is known.
    """
    return [
        Thing(kind, key, at.date(), at, bytes=listing.sizes[key], file=at, named=False)
        for key, at in listing.written.items()
        if key not in named and not key.endswith(PART)
    ]


def _parts(listed: Iterable[Listing]) -> list[Thing]:
    """Return what was left by who was killed: at a write, beside its place; at a replay, its candidates so far."""
    return [
        Thing(PARTS, key, since.date(), since, bytes=each.sizes[key], file=since, named=False)
        for each in listed
        for key, since in each.written.items()
        if key.endswith(PART) or kept.is_rehearsed(key)
    ]


def _short(rooms: dict[str, Disk] | None) -> int:
    """Return how many bytes the disk lacks until nobody is warned of it."""
    room = (rooms or {}).get("objects")
    if room is None:
        return 0
    return max(0, min(LITTLE[0], int(LITTLE[1] * room.total)) - room.free)


def _sized(platform: Platform, going: Sequence[Going]) -> list[Going]:
    """Return what goes with the bytes of MLflow's runs, without those that are gone."""
    sized = []
    for each in going:
        if each.thing.kind != "mlflow":
            sized.append(each)
        elif (size := platform.registry.bytes_of(each.thing.name)) is not None:
            sized.append(replace(each, thing=replace(each.thing, bytes=size)))
    return sized


def _waiting(platform: Platform, going: Sequence[Going], asked: Try) -> list[Going]:
    """Return the runs of MLflow that an earlier retention marked, and that nobody has removed yet."""
    marked = {
        each.name
        for each in platform.warehouse.all(records.RETIRED)
        if each.kind == "mlflow" and each.removed_at is None and each.run_id != asked.run_id
    }
    return [each for each in going if each.thing.kind == "mlflow" and each.thing.name in marked]


def _mark(platform: Platform, going: Sequence[Going], as_of: date, asked: Try) -> None:
    """Mark what goes and unmark what is needed again, in one transaction; rows go in it."""
    chosen = {(each.thing.kind, each.thing.name) for each in going}
    with platform.warehouse.session() as session:
        for old in session.all(records.RETIRED):
            if old.removed_at is None and (old.kind, old.name) not in chosen:
                _let_go(session, platform, old)
        for each in going:
            thing = each.thing
            session.run(
                records.MARK,
                Retired(
                    kind=thing.kind,
                    name=thing.name,
                    day=thing.day,
                    things=thing.things,
                    bytes=thing.bytes,
                    why=each.why,
                    run_id=asked.run_id,
                ),
            )
            if thing.kind in ROWS:
                _forget(session, thing)


def _let_go(session: Session, platform: Platform, mark: Retired) -> None:
    """End a mark that no longer holds: its run of MLflow is gone as it was to be, or it is needed again."""
    is_gone = mark.kind == "mlflow" and platform.registry.bytes_of(mark.name) is None
    session.run(records.GONE if is_gone else records.SPARE, kind=mark.kind, name=mark.name)


def _forget(session: Session, thing: Thing) -> None:
    """Take a night's rows away as they were found; where all were written anew since, its mark."""
    subject, _, night = thing.name.rpartition("/")
    of = {"subject": subject, "night": date.fromisoformat(night), "written": thing.written}
    gone = sum([session.run(command, **of) for command in ROWS[thing.kind]])
    session.run(records.GONE if gone else records.SPARE, kind=thing.kind, name=thing.name)


def _take_away(platform: Platform, thing: Thing, as_of: date) -> None:
    if thing.kind in ROWS:
        return
    if thing.kind == "mlflow":
        platform.registry.retire_run(thing.name, str(as_of))
        return
    if _is_new(platform, thing):
        platform.warehouse.run(records.SPARE, kind=thing.kind, name=thing.name)
        return
    platform.objects.remove(thing.name)
    with platform.warehouse.session() as session:
        if thing.kind in NAMED_BY:
            session.run(NAMED_BY[thing.kind], name=thing.name)
        session.run(records.GONE, kind=thing.kind, name=thing.name)


def _is_new(platform: Platform, thing: Thing) -> bool:
    """Whether it was written, or named, again since it was found: a night collected anew may land the same file."""
    at = platform.objects.written(thing.name)
    if at and thing.file and at > thing.file:
        return True
    now = (
        platform.warehouse.one(records.ONE[thing.kind], name=thing.name)
        if thing.kind in records.ONE
        else None
    )
    if now is None or thing.written is None:
        return False
    return now.written > thing.written or not thing.named


def _count(
    platform: Platform, going: Sequence[Going], oldest: dict[str, date], as_of: date, asked: Try
) -> None:
    with platform.warehouse.session() as session:
        for kind, (things, size) in _sums(going).items():
            session.run(
                records.COUNT,
                Retention(
                    run_id=asked.run_id,
                    kind=kind,
                    as_of=as_of,
                    things=things,
                    bytes=size,
                    oldest_kept=oldest.get(kind),
                ),
            )


def _sums(going: Sequence[Going]) -> dict[str, tuple[int, int]]:
    kinds = dict.fromkeys((*records.KINDS, PARTS))
    return {
        kind: (
            sum(each.thing.things for each in going if each.thing.kind == kind),
            sum(each.thing.bytes for each in going if each.thing.kind == kind),
        )
        for kind in kinds
    }


def _told(
    going: Sequence[Going], waiting: Sequence[Going], oldest: dict[str, date], as_of: date, *, dry_run: bool
) -> results.Retained:
    return {
        "as_of": str(as_of),
        "asked_for": str(as_of),
        "dry_run": dry_run,
        "things": sum(each.thing.things for each in going),
        "bytes": sum(each.thing.bytes for each in going),
        "kinds": {
            kind: {
                "things": things,
                "bytes": size,
                "why": sorted({each.why for each in going if each.thing.kind == kind}),
                "oldest_kept": str(oldest[kind]) if kind in oldest else None,
            }
            for kind, (things, size) in _sums(going).items()
        },
        "waiting": {
            "things": sum(each.thing.things for each in waiting),
            "bytes": sum(each.thing.bytes for each in waiting),
        },
    }
