"""Sketches: what a night's rows looked like, small enough to keep for good, and of a kind that sums.

How they are made and summed: :mod:`nightshift.monitor.sketches`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from nightshift.records.features import Recalibration
from nightshift.rows import JSON, Command, Query, Row, select, stamped, upsert

Kind = Literal["numeric", "boolean", "category"]


@dataclass(frozen=True)
class ColumnEdges:
    """Where a column's bins begin.

    Numbers: ``(-inf, e0), [e0, e1), ..., [ek, inf)``; the first and the last are far outside. Categories: one
    each, then "other". All end with the missing, and numbers have those that are not finite before these.
    """

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    has_sums: bool = False

    @property
    def bins(self) -> int:
        """How many counts there are, with those of what is not finite and of what is missing."""
        if self.kind == "numeric":
            return len(self.edges) + 3
        return (2 if self.kind == "boolean" else len(self.categories) + 1) + 1


@dataclass(frozen=True)
class Edges:
    """The bins of all columns, and of how many nights they were made."""

    columns: tuple[ColumnEdges, ...]
    nights: int
    format: Literal[1] = 1


@dataclass(frozen=True)
class ColumnSketch:
    """A column's rows: how many a bin, and the least and the greatest finite number.

    ``total``: where the finite numbers lie between the first edge (0) and the last (2^30), summed: whole numbers, so
    that sums do not depend on their order. ``values``: number and rows of each where there are at most 100, else None.
    ``sums``: as ``total``, a bin, where the edges ask for it.
    """

    name: str
    counts: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    total: int = 0
    values: tuple[tuple[float, int], ...] | None = ()
    sums: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sketch:
    """The rows of one partition, or of several: sketches of the same edges sum."""

    rows: int
    columns: tuple[ColumnSketch, ...]
    format: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class FeatureEdges(Row, table="catalog.feature_edges", key=("feature_set", "feature_version")):
    """The bins that a set's nights are sketched with now."""

    feature_set: str
    feature_version: int
    edges_sha256: str
    edges: Annotated[Edges, JSON]
    made_at: datetime = stamped()


@dataclass(frozen=True, kw_only=True)
class FeatureSketch(
    Row, table="catalog.feature_sketches", key=("feature_set", "feature_version", "batch_date")
):
    """The sketch of a built night, and of which bins."""

    feature_set: str
    feature_version: int
    batch_date: date
    edges_sha256: str
    sketch_sha256: str
    sketch: Annotated[Sketch, JSON]
    sketched_at: datetime = stamped()


@dataclass(frozen=True, kw_only=True)
class PredictionSketch(Row, table="catalog.prediction_sketches", key=("model", "batch_date", "arm")):
    """The sketch of a scored night of an arm, and what its predictions were moved by."""

    model: str
    batch_date: date
    arm: str = "champion"
    model_version: int
    edges_sha256: str
    sketch_sha256: str
    sketch: Annotated[Sketch, JSON]
    recalibration: Annotated[Recalibration | None, JSON] = None
    sketched_at: datetime = stamped()


Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Counted:
    """Rows a bin of a version's profile, column by column in its order: of features, and of what the version says."""

    rows: int
    features: Counts
    predictions: Counts
    format: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class ProfileCounts(Row, table="catalog.profile_counts", key=("model", "model_version", "batch_date")):
    """A night's rows in the bins of a version's profile, with what the version says before its offset is added.

    ``features_sha256``: of the features that were counted.
    """

    model: str
    model_version: int
    batch_date: date
    features_sha256: str
    counts_sha256: str
    counted: Annotated[Counted, JSON]
    counted_at: datetime = stamped()


EDGES = select(FeatureEdges, "feature_set = %(feature_set)s AND feature_version = %(version)s")
KEEP_EDGES = upsert(FeatureEdges)
KEEP_FEATURES = upsert(FeatureSketch)
KEEP_PREDICTIONS = upsert(PredictionSketch)
# Of rows that were read: unless the night was built anew meanwhile, and so sketched.
FILL = Command(
    "INSERT INTO catalog.feature_sketches AS kept (feature_set, feature_version, batch_date, edges_sha256, "
    "sketch_sha256, sketch) SELECT %(feature_set)s::text, %(feature_version)s::integer, %(batch_date)s::date, "
    "%(edges_sha256)s::text, %(sketch_sha256)s::text, %(sketch)s::jsonb WHERE EXISTS ("
    "SELECT 1 FROM catalog.feature_batches WHERE feature_set = %(feature_set)s "
    "AND feature_version = %(feature_version)s AND batch_date = %(batch_date)s AND built_at = %(built_at)s) "
    "ON CONFLICT (feature_set, feature_version, batch_date) DO UPDATE SET (edges_sha256, sketch_sha256, sketch, "
    "sketched_at) = (excluded.edges_sha256, excluded.sketch_sha256, excluded.sketch, clock_timestamp())",
    frozenset({"sketch"}),
)


@dataclass(frozen=True, kw_only=True)
class Sketched(Row):
    """A built night with its sketch; None: it was built before there were sketches."""

    batch_date: date
    built_at: datetime
    edges_sha256: str | None
    sketch_sha256: str | None
    sketch: Annotated[Sketch | None, JSON]


SKETCHED = Query(
    "SELECT b.batch_date, b.built_at, s.edges_sha256, s.sketch_sha256, s.sketch FROM catalog.feature_batches b "
    "LEFT JOIN catalog.feature_sketches s USING (feature_set, feature_version, batch_date) "
    "WHERE feature_set = %(feature_set)s AND feature_version = %(version)s AND batch_date <= %(last)s "
    "ORDER BY batch_date",
    Sketched,
)
PREDICTED = select(
    PredictionSketch,
    "model = %(model)s AND model_version = %(version)s AND arm = 'champion' AND batch_date <= %(last)s",
    order="batch_date",
)
SCORED = select(PredictionSketch, "model = %(model)s AND batch_date = %(batch_date)s AND arm = 'champion'")
KEEP_COUNTS = upsert(ProfileCounts)
# Of rows that were read: unless the night was built anew meanwhile.
FILL_COUNTS = Command(
    "INSERT INTO catalog.profile_counts AS kept (model, model_version, batch_date, features_sha256, counts_sha256, "
    "counted) SELECT %(model)s::text, %(model_version)s::integer, %(batch_date)s::date, %(features_sha256)s::text, "
    "%(counts_sha256)s::text, %(counted)s::jsonb WHERE EXISTS (SELECT 1 FROM catalog.feature_batches "
    "WHERE feature_set = %(feature_set)s AND feature_version = %(feature_version)s "
    "AND batch_date = %(batch_date)s AND content_sha256 = %(features_sha256)s) "
    "ON CONFLICT (model, model_version, batch_date) DO UPDATE SET (features_sha256, counts_sha256, counted, "
    "counted_at) = (excluded.features_sha256, excluded.counts_sha256, excluded.counted, clock_timestamp())",
    frozenset({"counted"}),
)


@dataclass(frozen=True, kw_only=True)
class CountedNight(Row):
    """A built night, and its rows as a version's profile counts them; None: not yet, or built anew since."""

    batch_date: date
    content_sha256: str
    counts_sha256: str | None
    counted: Annotated[Counted | None, JSON]


COUNTED = Query(
    "SELECT b.batch_date, b.content_sha256, c.counts_sha256, c.counted FROM catalog.feature_batches b "
    "LEFT JOIN catalog.profile_counts c ON (c.model, c.model_version, c.batch_date, c.features_sha256) = "
    "(%(model)s::text, %(model_version)s::integer, b.batch_date, b.content_sha256) "
    "WHERE b.feature_set = %(feature_set)s AND b.feature_version = %(feature_version)s "
    "AND b.batch_date BETWEEN %(first)s AND %(last)s ORDER BY b.batch_date",
    CountedNight,
)
# Of the nights that the version served.
SERVED = Query(
    "SELECT c.batch_date, c.features_sha256 AS content_sha256, c.counts_sha256, c.counted "
    "FROM catalog.profile_counts c JOIN catalog.prediction_batches p USING (model, model_version, batch_date) "
    "WHERE p.arm = 'champion' AND model = %(model)s AND model_version = %(version)s "
    "AND batch_date > %(after)s AND batch_date <= %(last)s ORDER BY batch_date",
    CountedNight,
)
