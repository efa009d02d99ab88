"""A night's rows as counts that sum: windows, references and histories are sums of nights, and no row is read again.

A sketch is a commutative monoid under :func:`merge`: the sketch of two batches is the merged sketch of each, to the
last count, in any order. So a night is read once, when it is written; whatever is asked later is asked of sketches.

Bins lie at quantiles (0.1, 1, 5, 10 .. 90, 95, 99, 99.9 %) of a feature-set version's first nights. What lies below
their minimum or above their maximum has a bin each, and what lies farther out than three times their range another: a
number typed with six zeros too many is not the first warm day of spring.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift.distributions import FEWEST_ROWS, Floats, nameable
from nightshift.errors import EmptyBatch, SchemaMismatch
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Edges, Kind, Sketch

Ints = NDArray[np.int64]

QUANTILES = np.array([0.001, 0.01, 0.05, *np.arange(1, 10) / 10, 0.95, 0.99, 0.999])
MOST_CATEGORIES = 100
MOST_VALUES = 100
# So many rows tell whether a column has few different values: most have not.
FIRST_ROWS = 1_000
UNIT = 1 << 30
# Far outside is farther out than so many times the range of the first nights.
FAR = 3
WIDEST = float(np.finfo(np.float64).max)
NARROWEST = 1e-280
# Between the outermost edges lie so many cells; most hold no edge, and all numbers in such a one are of one bin.
CELLS = 1 << 12
SHIFT = 18
PREDICTION_BINS = 64
# The kind of bins of each type that a feature may have.
KINDS: Mapping[str, Kind] = {
    "float": "numeric",
    "integer": "numeric",
    "boolean": "boolean",
    "string": "category",
}


def edges_of(frame: pd.DataFrame, nights: int) -> Edges:
    """Return the bins for the columns of ``frame``, (n, k), the rows of a set's first ``nights`` nights.

    Raises:
        EmptyBatch: no rows.
    """
    if frame.empty:
        raise EmptyBatch("edges of no rows, or of no columns")
    return Edges(tuple(_edges_of(name, frame[name]) for name in map(str, frame.columns)), nights)


def prediction_edges(
    names: Iterable[str],
    low: float = 0.0,
    high: float = 1.0,
    cuts: Mapping[str, Sequence[float]] | None = None,
) -> Edges:
    """Return 64 bins of one width between ``low`` and ``high`` for each column of predictions, with their sums.

    ``cuts``: of a column, where its predictions lie; bins end there then, and at a quarter of the others.
    """
    even = np.linspace(low, high, PREDICTION_BINS + 1)
    even[-1] = np.nextafter(high, np.inf)
    found = {name: np.union1d(even[::4], cuts[name]) if cuts and name in cuts else even for name in names}
    columns = (ColumnEdges(name, "numeric", tuple(e.tolist()), has_sums=True) for name, e in found.items())
    return Edges(tuple(columns), 0)


def edges_sha256(edges: Edges) -> str:
    """Return the hash of the bins, whatever they were made of: sketches of the same bins sum."""
    return _sha256([asdict(column) for column in edges.columns])


def sketch_sha256(sketch: Sketch) -> str:
    """Return the hash of all that a sketch says."""
    return _sha256(asdict(sketch))


def sketch(frame: pd.DataFrame, edges: Edges) -> Sketch:
    """Return the sketch of all rows of ``frame``, (n, k); columns that the edges do not name are left out.

    Raises:
        SchemaMismatch: a column is missing, or its values are of another kind.
    """
    missing = [column.name for column in edges.columns if column.name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"column '{missing[0]}' is missing: it has been sketched until now")
    return Sketch(len(frame), tuple(_sketch(column, frame[column.name]) for column in edges.columns))


def empty(edges: Edges) -> Sketch:
    """Return the sketch of no rows."""
    columns = tuple(
        ColumnSketch(c.name, (0,) * c.bins, sums=(0,) * c.bins if c.has_sums else ()) for c in edges.columns
    )
    return Sketch(0, columns)


def merge(one: Sketch, other: Sketch) -> Sketch:
    """Return the sketch of the rows of both.

    Raises:
        SchemaMismatch: they are of other columns, or of other bins.
    """
    shapes = [[(c.name, len(c.counts)) for c in each.columns] for each in (one, other)]
    if shapes[0] != shapes[1]:
        odd = next((a for a, b in zip(*shapes, strict=False) if a != b), ("their number", 0))
        raise SchemaMismatch(f"sketches of other edges do not sum: they differ in {odd[0]}")
    return Sketch(one.rows + other.rows, tuple(map(_merge, one.columns, other.columns)))


def summed(sketches: Iterable[Sketch], edges: Edges) -> Sketch:
    """Return the sketch of the rows of all."""
    return reduce(merge, sketches, empty(edges))


def _edges_of(name: str, values: pd.Series) -> ColumnEdges:
    if pd.api.types.is_bool_dtype(values.dtype):
        return ColumnEdges(name, "boolean")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return ColumnEdges(name, "numeric", _number_edges(_as_floats(values)))
    frequency = values.astype("str")[values.notna()].value_counts()
    known = [str(v) for v, rows in frequency.items() if rows >= FEWEST_ROWS and nameable(str(v))]
    top = sorted(known, key=lambda value: (-int(frequency[value]), value))[:MOST_CATEGORIES]
    return ColumnEdges(name, "category", categories=tuple(top))


@np.errstate(over="ignore")
def _number_edges(numbers: Floats) -> tuple[float, ...]:
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return ()
    low, high = float(finite.min()), float(finite.max())
    width = max(high / 2 - low / 2, abs(high) / 2 if high == low else 0.0, NARROWEST) * 2 * FAR
    inner, repeats = np.unique(np.quantile(finite, QUANTILES, method="lower"), return_counts=True)
    # A quantile that repeats is a value of its own, with a bin of its own.
    spikes = np.nextafter(inner[repeats > 1], np.inf)
    ends = [low - width, low, np.nextafter(high, np.inf), high + width]
    return tuple(np.unique(np.clip(np.concatenate([inner, spikes, ends]), -WIDEST, WIDEST)).tolist())


def _sketch(column: ColumnEdges, values: pd.Series) -> ColumnSketch:
    try:
        return SKETCHES[column.kind](column, values)
    except (TypeError, ValueError) as error:
        raise SchemaMismatch(f"'{column.name}': expected {column.kind} values, got {values.dtype}") from error


def _numeric(column: ColumnEdges, values: pd.Series) -> ColumnSketch:
    numbers = _as_floats(values)
    finite = np.isfinite(numbers)
    here = numbers if finite.all() else numbers[finite]
    positions = _positions(column.edges, here)
    codes = _codes(column.edges, here, positions)
    missing = int(np.isnan(numbers).sum()) if here.size < numbers.size else 0
    counts = np.bincount(codes, minlength=column.bins)
    counts[-2:] = numbers.size - here.size - missing, missing
    return ColumnSketch(
        name=column.name,
        counts=tuple(counts.tolist()),
        low=float(here.min()) + 0.0 if here.size else None,
        high=float(here.max()) + 0.0 if here.size else None,
        total=int(positions.sum()),
        values=_values(here),
        sums=_sums(codes, positions, column.bins) if column.has_sums else (),
    )


def _codes(edges: tuple[float, ...], numbers: Floats, positions: Ints) -> Ints:
    """Return the bin of each number: looked up by its position, and searched for only where an edge is near."""
    if not edges:
        return np.zeros(numbers.size, dtype=np.int64)
    inner = np.array(edges)
    at_edges = _positions(edges, inner)
    bins = np.searchsorted(at_edges, np.arange(CELLS + 1) << SHIFT, side="left")
    is_near = np.zeros(CELLS + 1, dtype=bool)
    is_near[at_edges >> SHIFT] = True
    cells = positions >> SHIFT
    codes = bins[cells]
    near = np.flatnonzero(is_near[cells])
    codes[near] = np.searchsorted(inner, numbers[near], side="right")
    return codes


@np.errstate(over="ignore")
def _positions(edges: tuple[float, ...], numbers: Floats) -> Ints:
    """Return where each number lies: 0 at the first edge or before it, 2^30 at the last or after it."""
    if not edges:
        return np.zeros(numbers.size, dtype=np.int64)
    # Halves: the width of all floats is no float.
    scaled = (numbers / 2 - edges[0] / 2) * (UNIT / (edges[-1] / 2 - edges[0] / 2))
    np.clip(scaled, 0, UNIT, out=scaled)
    return np.rint(scaled, out=scaled).astype(np.int64)


def _sums(codes: Ints, positions: Ints, bins: int) -> tuple[int, ...]:
    # Two halves, each exact as a float, however many rows there are.
    high, low = (np.bincount(codes, part, bins) for part in (positions >> 15, positions & 0x7FFF))
    return tuple(int(h) * (1 << 15) + int(n) for h, n in zip(high, low, strict=True))


def _values(numbers: Floats) -> tuple[tuple[float, int], ...] | None:
    if pd.unique(numbers[:FIRST_ROWS]).size > MOST_VALUES:
        return None
    codes, found = pd.factorize(numbers + 0.0)  # -0.0 is 0.0
    if found.size > MOST_VALUES:
        return None
    return tuple(sorted(zip(found.tolist(), np.bincount(codes).tolist(), strict=True)))


def _boolean(column: ColumnEdges, values: pd.Series) -> ColumnSketch:
    codes = np.asarray(values.astype("boolean").astype("Int8").fillna(2), dtype=np.int64)
    return ColumnSketch(column.name, tuple(np.bincount(codes, minlength=3).tolist()), values=None)


def _category(column: ColumnEdges, values: pd.Series) -> ColumnSketch:
    numbers, found = pd.factorize(values)
    rows = np.bincount(numbers + 1, minlength=len(found) + 1)  # the first are those without a value
    codes = {value: number for number, value in enumerate(column.categories)}
    counts = np.zeros(column.bins, dtype=np.int64)
    counts[-1] = rows[0]
    for value, many in zip(map(str, found), rows[1:], strict=True):
        counts[codes.get(value, len(codes))] += many
    return ColumnSketch(column.name, tuple(counts.tolist()), values=None)


SKETCHES: dict[Kind, Callable[[ColumnEdges, pd.Series], ColumnSketch]] = {
    "numeric": _numeric,
    "boolean": _boolean,
    "category": _category,
}


def _merge(one: ColumnSketch, other: ColumnSketch) -> ColumnSketch:
    return replace(
        one,
        counts=_added(one.counts, other.counts),
        low=min((x for x in (one.low, other.low) if x is not None), default=None),
        high=max((x for x in (one.high, other.high) if x is not None), default=None),
        total=one.total + other.total,
        values=_merged_values(one.values, other.values),
        sums=_added(one.sums, other.sums),
    )


def _added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _merged_values(
    one: tuple[tuple[float, int], ...] | None, other: tuple[tuple[float, int], ...] | None
) -> tuple[tuple[float, int], ...] | None:
    if one is None or other is None:
        return None  # too many stay too many
    found = dict(one)
    for value, rows in other:
        found[value] = found.get(value, 0) + rows
    return tuple(sorted(found.items())) if len(found) <= MOST_VALUES else None


def _as_floats(values: pd.Series) -> Floats:
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
