"""Sketches of nights: made with their rows, and from their rows where a night has none of these bins yet."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from nightshift.calendar import DateRange
from nightshift.monitor.faults import find_each
from nightshift.monitor.sketches import KINDS, edges_of, edges_sha256, sketch, sketch_sha256, summed
from nightshift.platform.blocks import BLOCK_ROWS, Blocks
from nightshift.platform.faults import faulty_nights, open_faults
from nightshift.platform.handles import Platform
from nightshift.records import features, sketches
from nightshift.records.sketches import (
    ColumnEdges,
    Edges,
    FeatureEdges,
    FeatureSketch,
    Sketch,
    Sketched,
)
from nightshift.specs import FeatureSet
from nightshift.types import to_frame
from nightshift.warehouse import feature_table

# The bins of one night know one night. They are made anew from seven, and once more from four weeks, then they stay.
MADE_ANEW_AT = (7, 28)
# Of so many nights, and of so many rows of each: quantiles of more are the same.
MOST_NIGHTS, MOST_ROWS = 60, 20_000
# A column without bins had no values when they were made. They are looked for after each so many nights with values:
# one night's are not enough to lay bins by, and of rare or unnameable categories there are none, however many nights.
LATE_EVERY = MADE_ANEW_AT[0]


@dataclass(frozen=True)
class Nights:
    """A set's nights as sketches of the same bins, oldest first, and the hash of each."""

    edges: Edges
    sketches: Mapping[date, Sketch]
    hashes: Mapping[date, str]


def edges_for(platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks]) -> Edges:
    """Return the bins for nights that are being built: those of the set, made or made anew where that is due.

    Also where a definition that was changed in place has other columns, or a column was migrated to another type. A
    column that had no values until now gets bins of its own; those of the others stay.

    A broken night makes no bins: what lies as far out as it does would never be far out again. So a night with an open
    fault is left out, and the nights that are being built are looked at first, by the bins that there are.
    """
    kept = _kept(platform, spec)
    edges = _made_where_due(platform, spec, built, kept)
    edges = _with_late_columns(platform, spec, built, edges)
    if edges != kept:
        made = FeatureEdges(
            feature_set=spec.set,
            feature_version=spec.version,
            edges_sha256=edges_sha256(edges),
            edges=edges,
        )
        platform.warehouse.run(sketches.KEEP_EDGES, made)
    return edges


def _made_where_due(
    platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks], kept: Edges | None
) -> Edges:
    if kept and kept.nights >= MADE_ANEW_AT[-1]:
        return kept
    nights = _sound(platform, spec, built)
    # History that comes at once is looked at as if it came night by night.
    edges = kept or _made_of(platform, spec, built, nights[: MADE_ANEW_AT[0]])
    if not (_due(edges, nights) if kept else len(nights) > edges.nights):
        return edges
    asked = {night: built[night] for night in nights[:MOST_NIGHTS] if night in built}
    broken = _broken(platform, spec, asked, edges)
    nights = [night for night in nights if night not in broken]
    if kept and not _due(edges, nights):
        return edges
    return _made_of(platform, spec, built, nights[:MOST_NIGHTS])


def _kept(platform: Platform, spec: FeatureSet) -> Edges | None:
    """Return the set's bins, None if there are none for its columns as they are now."""
    found = platform.warehouse.one(sketches.EDGES, feature_set=spec.set, version=spec.version)
    wanted = {name: KINDS[declared] for name, declared in spec.columns.items()}
    return found.edges if found and {c.name: c.kind for c in found.edges.columns} == wanted else None


def _due(edges: Edges, nights: Sequence[date]) -> bool:
    return any(edges.nights < at <= len(nights) for at in MADE_ANEW_AT)


def _sound(
    platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks], but: Collection[str] = ()
) -> list[date]:
    """Return the nights that bins may be made of, oldest first: all without an open fault, and those being built.

    ``but``: columns whose faults do not count.
    """
    every = DateRange(date.min, date.max)
    of = {"feature_set": spec.set, "version": spec.version, "first": every.first, "last": every.last}
    known = {night.batch_date for night in platform.warehouse.all(features.NIGHTS, **of)}
    left_out = {f.batch_date for f in open_faults(platform, spec, every) if f.column_name not in but}
    return sorted((known - left_out) | built.keys()) or sorted(known)


def _broken(
    platform: Platform,
    spec: FeatureSet,
    built: Mapping[date, Blocks],
    edges: Edges,
    but: Collection[str] = (),
) -> set[date]:
    """Return which of the nights that are being built have a fault by these bins; ``but``: as above."""
    if not built:
        return set()
    made = {night: _sketched(rows, edges) for night, rows in built.items()}
    found = find_each(edges, sound_nights(platform, spec, built.keys(), edges), made)
    return {night for night, faults in found.items() if any(f.column not in but for f in faults)}


def _made_of(
    platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks], nights: Sequence[date]
) -> Edges:
    rows = [_some(built[day] if day in built else _stored(platform, spec, day), spec) for day in nights]
    return edges_of(pd.concat(rows, ignore_index=True), len(nights))


def _with_late_columns(
    platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks], edges: Edges
) -> Edges:
    """Return ``edges`` with bins for columns that have none, where enough nights have values of them by now."""
    without = replace(edges, columns=tuple(each for each in edges.columns if _has_no_bins(each)))
    if not without.columns:
        return edges
    made = {night: _sketched(rows, without) for night, rows in built.items()}
    if not any(_nights_with(column, made) for column in without.columns):
        return edges
    of = {"feature_set": spec.set, "version": spec.version}
    kept = platform.warehouse.all(sketches.SKETCHED, **of, last=date.max)
    before = {night.batch_date: night.sketch for night in kept if night.sketch}
    # Of a column without bins all faults say one thing, that it has values now.
    but = {column.name for column in without.columns}
    sound = set(_sound(platform, spec, built, but))
    if not _late(without, before, made, sound):
        return edges
    late = _late(without, before, made, sound - _broken(platform, spec, built, edges, but))
    if not late:
        return edges
    anew = _made_of(platform, spec, built, sorted(set().union(*late.values()))[-MOST_NIGHTS:])
    found = {column.name: column for column in anew.columns if column.name in late}
    return replace(edges, columns=tuple(found.get(column.name, column) for column in edges.columns))


def _late(
    without: Edges, before: Mapping[date, Sketch], made: Mapping[date, Sketch], sound: set[date]
) -> dict[str, set[date]]:
    """Return the columns that are due for bins of their own, each with the sound nights that have values of it."""
    late = dict[str, set[date]]()
    for column in without.columns:
        known, now = (_nights_with(column, nights) & sound for nights in (before, {**before, **made}))
        if len(known) // LATE_EVERY < len(now) // LATE_EVERY:
            late[column.name] = now
    return late


def _sketched(rows: Blocks, edges: Edges) -> Sketch:
    return summed((sketch(block, edges) for block in rows.each()), edges)


def _has_no_bins(column: ColumnEdges) -> bool:
    return column.kind != "boolean" and not column.edges and not column.categories


def _nights_with(column: ColumnEdges, nights: Mapping[date, Sketch]) -> set[date]:
    """Return the nights that have values of a column: finite numbers, or categories."""
    return {
        night
        for night, made in nights.items()
        for each in made.columns
        if each.name == column.name
        and (any(each.counts[:-1]) if column.kind == "category" else each.low is not None)
    }


def feature_sketch(spec: FeatureSet, night: date, made: Sketch, edges: Edges) -> FeatureSketch:
    """Return the sketch of a night's rows as it is kept."""
    return FeatureSketch(
        feature_set=spec.set,
        feature_version=spec.version,
        batch_date=night,
        edges_sha256=edges_sha256(edges),
        sketch_sha256=sketch_sha256(made),
        sketch=made,
    )


def nights_of(
    platform: Platform,
    spec: FeatureSet,
    last: date,
    edges: Edges | None = None,
    *,
    without: Collection[date] = (),
) -> Nights | None:
    """Return the sketches of all nights built up to ``last`` but ``without``, None if there are none.

    A night without one of these bins is sketched now.
    """
    of = {"feature_set": spec.set, "version": spec.version}
    every = platform.warehouse.all(sketches.SKETCHED, **of, last=last)
    nights = [night for night in every if night.batch_date not in without]
    if not nights:
        return None
    bins = edges or _kept(platform, spec) or edges_for(platform, spec, {})
    expected = edges_sha256(bins)
    found, hashes = {}, {}
    for night in nights:
        made, digest = night.sketch, night.sketch_sha256
        if made is None or digest is None or night.edges_sha256 != expected:
            filled = _filled(platform, spec, night, bins)
            made, digest = filled.sketch, filled.sketch_sha256
        found[night.batch_date], hashes[night.batch_date] = made, digest
    return Nights(bins, found, hashes)


def sound_nights(
    platform: Platform, spec: FeatureSet, built: Collection[date], edges: Edges
) -> dict[date, Sketch]:
    """Return the sketches of what nights that are being built are held against: those before without an open fault."""
    last = max(built)
    left_out = faulty_nights(platform, spec, DateRange(date.min, last)) | set(built)
    known = nights_of(platform, spec, last, edges, without=left_out)
    return dict(known.sketches) if known else {}


def _filled(platform: Platform, spec: FeatureSet, night: Sketched, edges: Edges) -> FeatureSketch:
    rows = _stored(platform, spec, night.batch_date)
    made = feature_sketch(spec, night.batch_date, _sketched(rows, edges), edges)
    platform.warehouse.run(sketches.FILL, made, built_at=night.built_at)
    return made


def _stored(platform: Platform, spec: FeatureSet, night: date) -> Blocks:
    table = feature_table(spec)

    def each() -> Iterator[pd.DataFrame]:
        with platform.warehouse.reading() as reading:
            yield from map(to_frame, reading.blocks(table, night, night, BLOCK_ROWS))

    with platform.warehouse.reading() as reading:
        return Blocks(reading.count(table, night, night), each)


def _some(rows: Blocks, spec: FeatureSet) -> pd.DataFrame:
    return rows.every(max(rows.rows // MOST_ROWS, 1))[list(spec.columns)]
