"""How a source's batches were read: written down with the first of them, and no other reading beside it."""

from dataclasses import replace

from nightshift.database import Reads, Session
from nightshift.errors import SpecError
from nightshift.platform import Platform
from nightshift.records import deliveries
from nightshift.records.deliveries import Reading
from nightshift.specs import Project, Source
from nightshift.validate.reading import Edit, edits, reading_of
from nightshift.warehouse import Warehouse


def require_same_reading(platform: Platform, source: Source) -> None:
    """Write down how a source is read; refuse a spec that would read its older batches otherwise.

    A warehouse that has batches and no word on how they were read takes the spec's.

    Raises:
        SpecError: naming the keys, their values then and now, the nights, and the ways out.
    """
    started = deliveries.ReadBy(source=source.name, reading=reading_of(source))
    with platform.warehouse.session() as session:
        session.run(deliveries.START_READING, started)
        check_reading(platform.project, session, source)
        _write_down(session, source)


def check_reading(project: Project, reads: Reads, source: Source) -> None:
    """Compare how a source is read with how its batches were, without writing anything down. Raises as above."""
    found, nights = _edits(reads, source)
    if found:
        raise SpecError(
            f"{project.folder / 'sources' / source.name}.yaml: {'; '.join(map(str, found))}: {_told(nights)} the old "
            "way, and one table would hold two meanings. Put it back, or give the source another name. If the new "
            f"value is right from now on, or always was: `nightshift migrate source {source.name}`; it says what "
            "to collect again"
        )


def accept_reading(project: Project, warehouse: Warehouse, name: str, *, dry_run: bool = False) -> list[str]:
    """Write down that a source is read otherwise from now on; return what that means, a line each. Rows stay."""
    source = project.source(name)
    with warehouse.session() as session:
        found, nights = _edits(session, source)
        if found and not dry_run:
            _write_down(session, source)
    again = f"nightshift trigger collect_{name} --from {nights.first} --to {nights.last}"
    ending = f"{_told(nights)} the old way and stay so; if that was wrong, collect them again: {again}"
    return [*map(str, found), ending] if found else []


def _told(nights: deliveries.Span) -> str:
    return f"{nights.nights} nights ({nights.first} to {nights.last}) were read"


def _edits(reads: Reads, source: Source) -> tuple[list[Edit], deliveries.Span]:
    there = reads.one(deliveries.HAS_READINGS)
    before = reads.one(deliveries.READ_BY, source=source.name) if there and there.found else None
    nights = reads.one(deliveries.PUBLISHED, source=source.name)
    if nights is None or nights.first is None or nights.last is None or before is None:
        return [], deliveries.Span(nights=0, first=None, last=None)
    return edits(source, before.reading, nights.first, nights.last), nights


def _write_down(session: Session, source: Source) -> None:
    """Write down how a source is read now; what it no longer declares stays, for it may declare it again."""
    before, now = session.one(deliveries.READ_BY, source=source.name), reading_of(source)
    if before:
        now = Reading({**before.reading.zones, **now.zones}, now.dialect or before.reading.dialect)
        if now == replace(before.reading, format=now.format):
            return
    session.run(deliveries.CHANGE_READING, deliveries.ReadBy(source=source.name, reading=now))
