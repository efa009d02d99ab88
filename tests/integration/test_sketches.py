"""Sketches in the warehouse: beside the rows that they are of, and made where they are not."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest

from integration.conftest import LAST, MODEL, SCORED
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.monitor.sketches import MOST_VALUES, edges_of, edges_sha256, sketch
from nightshift.platform.blocks import Blocks
from nightshift.platform.sketching import edges_for, nights_of
from nightshift.records import sketches
from nightshift.records.sketches import Edges
from nightshift.specs import FeatureSet
from nightshift.stages import Platform, Try
from nightshift.warehouse import feature_table

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
LATE = ("carrier", "temp_last")


def of(platform: Platform) -> FeatureSet:
    return platform.project.feature_set(platform.project.model(MODEL).features)


def rows_of(platform: Platform, night: date) -> pd.DataFrame:
    return platform.warehouse.read(feature_table(of(platform)), night, night)


def test_a_nights_sketch_is_replaced_with_its_rows(loop: Platform) -> None:
    spec = of(loop)
    loop.warehouse.execute(
        "UPDATE catalog.feature_sketches SET sketch_sha256 = 'old' WHERE batch_date = %s", (LAST,)
    )
    stages.build_features(loop, spec.name, DateRange(LAST, LAST), Try("again"))
    kept = {
        n.batch_date: n
        for n in loop.warehouse.all(sketches.SKETCHED, feature_set=spec.set, version=1, last=LAST)
    }
    edges = loop.warehouse.one(sketches.EDGES, feature_set=spec.set, version=1)

    assert edges
    assert kept[LAST].sketch == sketch(rows_of(loop, LAST), edges.edges)
    assert kept[LAST].sketch_sha256 != "old"
    assert all(night.edges_sha256 == edges_sha256(edges.edges) for night in kept.values())
    assert len(kept) == 38


def test_a_night_without_a_sketch_is_sketched_when_it_is_needed(loop: Platform) -> None:
    spec = of(loop)
    before = nights_of(loop, spec, LAST)
    loop.warehouse.execute("DELETE FROM catalog.feature_sketches WHERE batch_date > '2013-01-20'")
    loop.warehouse.execute(
        "UPDATE catalog.feature_sketches SET edges_sha256 = 'other' WHERE batch_date = '2013-01-03'"
    )

    assert nights_of(loop, spec, LAST) == before
    assert loop.warehouse.rows("SELECT count(*) AS n FROM catalog.feature_sketches") == [{"n": 38}]
    assert loop.warehouse.rows(
        "SELECT count(*) AS n FROM catalog.feature_sketches WHERE edges_sha256 = 'other'"
    ) == [{"n": 0}]


def test_what_was_read_before_a_night_was_built_anew_is_not_kept_as_its_sketch(loop: Platform) -> None:
    spec = of(loop)
    night = next(
        n
        for n in loop.warehouse.all(sketches.SKETCHED, feature_set=spec.set, version=1, last=LAST)
        if n.batch_date == LAST
    )
    stages.build_features(loop, spec.name, DateRange(LAST, LAST), Try("again"))
    late = sketches.FeatureSketch(
        feature_set=spec.set,
        feature_version=1,
        batch_date=LAST,
        edges_sha256="late",
        sketch_sha256="late",
        sketch=night.sketch,  # type: ignore[arg-type]
    )
    loop.warehouse.run(sketches.FILL, late, built_at=night.built_at)

    assert loop.warehouse.rows("SELECT 1 FROM catalog.feature_sketches WHERE sketch_sha256 = 'late'") == []


def test_edges_of_one_night_are_made_anew_when_there_are_more(loop: Platform) -> None:
    spec = of(loop)
    one = edges_of(rows_of(loop, LAST)[list(spec.columns)], 1)
    kept = sketches.FeatureEdges(
        feature_set=spec.set, feature_version=1, edges_sha256=edges_sha256(one), edges=one
    )
    loop.warehouse.run(sketches.KEEP_EDGES, kept)
    stages.build_features(loop, spec.name, DateRange(LAST, LAST), Try("again"))
    found = nights_of(loop, spec, LAST)

    assert found.edges.nights == 38
    assert len(found.sketches) == 38


def kept_edges(platform: Platform) -> Edges:
    found = platform.warehouse.one(sketches.EDGES, feature_set=of(platform).set, version=1)
    assert found
    return found.edges


def without_bins(platform: Platform) -> Edges:
    """Have all nights sketched by the edges that are kept, but for those of LATE; return what they were."""
    before = kept_edges(platform)
    columns = (replace(c, edges=(), categories=()) if c.name in LATE else c for c in before.columns)
    edges = replace(before, columns=tuple(columns))
    kept = sketches.FeatureEdges(
        feature_set=of(platform).set, feature_version=1, edges_sha256=edges_sha256(edges), edges=edges
    )
    platform.warehouse.run(sketches.KEEP_EDGES, kept)
    assert nights_of(platform, of(platform), LAST)
    return before


def test_a_column_without_values_has_bins_once_seven_nights_have_some_and_the_others_keep_theirs(
    loop: Platform,
) -> None:
    spec, build = (
        of(loop),
        lambda *nights: stages.build_features(loop, spec.name, DateRange(*nights), Try("again")),
    )
    loop.warehouse.execute(f"UPDATE {feature_table(spec).qualified} SET carrier = NULL, temp_last = NULL")
    before = without_bins(loop)
    empty = kept_edges(loop)
    build(LAST - 6 * DAY, LAST - DAY)
    assert kept_edges(loop) == empty, "six nights have values"
    build(LAST, LAST)

    found = kept_edges(loop)
    for column, was in zip(found.columns, before.columns, strict=True):
        if column.name in LATE:
            assert len(column.edges + column.categories) > 5, column
        else:
            assert column == was
    nights = nights_of(loop, spec, LAST)
    at = [column.name for column in found.columns].index("temp_last")
    rows = [sum(each.columns[at].counts[:-1]) for _, each in sorted(nights.sketches.items())]
    assert [n > 0 for n in rows] == [False] * 31 + [True] * 7
    assert max(nights.sketches[LAST].columns[at].counts) < rows[-1], "they lie in several"
    build(LAST, LAST)
    assert kept_edges(loop) == found, "the same night again"


@pytest.mark.parametrize(("value", "has_bins"), [("carrier", True), ("flight_id", False)])
def test_bins_are_looked_for_each_seventh_night_only(loop: Platform, value: str, has_bins: bool) -> None:
    """There may be none: where each row has a category of its own."""
    spec = of(loop)
    loop.warehouse.execute(f"UPDATE {feature_table(spec).qualified} SET carrier = {value}")
    without_bins(loop)
    empty = kept_edges(loop)
    built = {LAST + n * DAY: Blocks.of(rows_of(loop, LAST - n * DAY)) for n in range(1, 5)}
    three = dict(list(built.items())[:3])
    assert edges_for(loop, spec, three) == empty, "41 nights have values"
    found = {column.name: column for column in edges_for(loop, spec, built).columns}
    assert bool(found["carrier"].categories) is has_bins
    assert found["temp_last"].edges


def test_predictions_are_sketched_a_version_and_night(still: Platform) -> None:
    kept = still.warehouse.all(sketches.PREDICTED, model=MODEL, version=1, last=LAST)
    rows = still.warehouse.rows(f"SELECT batch_date, prediction FROM predictions.{MODEL}")

    assert [each.batch_date for each in kept] == SCORED.dates
    for each in kept:
        told = [row["prediction"] for row in rows if row["batch_date"] == each.batch_date]
        assert each.sketch.rows == len(told)
        assert each.sketch.columns[0].high == max(told)
        assert each.sketch.columns[0].values is None or len(set(told)) <= MOST_VALUES
