"""Sketches of nights: made with their rows, and from their rows where a night has none of these bins yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd

from nightshift.monitor.sketches import edges_of, edges_sha256, sketch, sketch_sha256, summed
from nightshift.platform.blocks import BLOCK_ROWS, Blocks
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

    Also where a definition that was changed in place has other columns. A column that had no values until now gets bins
    of its own; those of the others stay.
    """
    of = {"feature_set": spec.set, "version": spec.version}
    found = platform.warehouse.one(sketches.EDGES, **of)
    known = {
        n.batch_date for n in platform.warehouse.all(features.NIGHTS, **of, first=date.min, last=date.max)
    }
    nights = sorted(known | built.keys())
    same = found and {column.name for column in found.edges.columns} == set(spec.columns)
    if found and same and not any(found.edges.nights < at <= len(nights) for at in MADE_ANEW_AT):
        edges = found.edges
    else:
        edges = _made_of(platform, spec, built, nights[:MOST_NIGHTS])
    edges = _with_late_columns(platform, spec, built, edges)
    if found and edges == found.edges:
        return edges
    kept = FeatureEdges(
        feature_set=spec.set, feature_version=spec.version, edges_sha256=edges_sha256(edges), edges=edges
    )
    platform.warehouse.run(sketches.KEEP_EDGES, kept)
    return edges


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
    made = {
        night: summed((sketch(block, without) for block in rows.each()), without)
        for night, rows in built.items()
    }
    if not any(_nights_with(column, made) for column in without.columns):
        return edges
    of = {"feature_set": spec.set, "version": spec.version}
    kept = platform.warehouse.all(sketches.SKETCHED, **of, last=date.max)
    before = {night.batch_date: night.sketch for night in kept if night.sketch}
    late = dict[str, set[date]]()
    for column in without.columns:
        known, now = (_nights_with(column, nights) for nights in (before, {**before, **made}))
        if len(known) // LATE_EVERY < len(now) // LATE_EVERY:
            late[column.name] = now
    if not late:
        return edges
    anew = _made_of(platform, spec, built, sorted(set().union(*late.values()))[-MOST_NIGHTS:])
    found = {column.name: column for column in anew.columns if column.name in late}
    return replace(edges, columns=tuple(found.get(column.name, column) for column in edges.columns))


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


def nights_of(platform: Platform, spec: FeatureSet, last: date, edges: Edges | None = None) -> Nights | None:
    """Return the sketches of all nights built up to ``last``, None if there are none.

    A night without one of these bins is sketched now.
    """
    of = {"feature_set": spec.set, "version": spec.version}
    nights = platform.warehouse.all(sketches.SKETCHED, **of, last=last)
    if not nights:
        return None
    known = platform.warehouse.one(sketches.EDGES, **of)
    bins = edges or (known.edges if known else edges_for(platform, spec, {}))
    expected = edges_sha256(bins)
    found, hashes = {}, {}
    for night in nights:
        made, digest = night.sketch, night.sketch_sha256
        if made is None or digest is None or night.edges_sha256 != expected:
            filled = _filled(platform, spec, night, bins)
            made, digest = filled.sketch, filled.sketch_sha256
        found[night.batch_date], hashes[night.batch_date] = made, digest
    return Nights(bins, found, hashes)


def _filled(platform: Platform, spec: FeatureSet, night: Sketched, edges: Edges) -> FeatureSketch:
    rows = _stored(platform, spec, night.batch_date)
    made = feature_sketch(
        spec, night.batch_date, summed((sketch(block, edges) for block in rows.each()), edges), edges
    )
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
