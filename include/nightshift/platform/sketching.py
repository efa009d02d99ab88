"""Sketches of nights: made with their rows, and from their rows where a night has none of these bins yet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from nightshift.monitor.sketches import edges_of, edges_sha256, sketch, sketch_sha256, summed
from nightshift.platform.blocks import BLOCK_ROWS, Blocks
from nightshift.platform.handles import Platform
from nightshift.records import features, sketches
from nightshift.records.sketches import Edges, FeatureEdges, FeatureSketch, Sketch, Sketched
from nightshift.specs import FeatureSet
from nightshift.types import to_frame
from nightshift.warehouse import feature_table

# The bins of one night know one night. They are made anew from seven, and once more from four weeks, then they stay.
MADE_ANEW_AT = (7, 28)
# Of so many nights, and of so many rows of each: quantiles of more are the same.
MOST_NIGHTS, MOST_ROWS = 60, 20_000


@dataclass(frozen=True)
class Nights:
    """A set's nights as sketches of the same bins, oldest first, and the hash of each."""

    edges: Edges
    sketches: Mapping[date, Sketch]
    hashes: Mapping[date, str]


def edges_for(platform: Platform, spec: FeatureSet, built: Mapping[date, Blocks]) -> Edges:
    """Return the bins for nights that are being built: those of the set, made or made anew where that is due.

    Also where a definition that was changed in place has other columns.
    """
    of = {"feature_set": spec.set, "version": spec.version}
    found = platform.warehouse.one(sketches.EDGES, **of)
    known = {
        n.batch_date for n in platform.warehouse.all(features.NIGHTS, **of, first=date.min, last=date.max)
    }
    nights = sorted(known | built.keys())
    same = found and {column.name for column in found.edges.columns} == set(spec.columns)
    if found and same and not any(found.edges.nights < at <= len(nights) for at in MADE_ANEW_AT):
        return found.edges
    chosen = nights[:MOST_NIGHTS]
    rows = [_some(built[day] if day in built else _stored(platform, spec, day), spec) for day in chosen]
    edges = edges_of(pd.concat(rows, ignore_index=True), len(chosen))
    kept = FeatureEdges(
        feature_set=spec.set, feature_version=spec.version, edges_sha256=edges_sha256(edges), edges=edges
    )
    platform.warehouse.run(sketches.KEEP_EDGES, kept)
    return edges


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
