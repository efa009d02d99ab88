"""Is tonight's data broken? One night against all earlier faultless nights of its feature-set version.

A fault is no drift: a feed that broke tonight would be learned by a training. So every column is looked at, however
little the model cares for it, and the answer is the same night's. A measure speaks up only where tonight lies beyond
everything that was seen, beyond what so few rows may do by chance, and beyond a floor that an operator would call a
fault too. A new measure is a function and a line in :data:`MEASURES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nightshift.distributions import Floats
from nightshift.monitor import shift
from nightshift.records.sketches import ColumnEdges, ColumnSketch, Edges, Sketch

# Fewer nights say nothing of what a night can look like.
FEWEST_NIGHTS = 14
FEWEST_ROWS = 10
# Nights of the same weekday are enough to compare with when there are so many.
FEWEST_WEEKDAYS = 4
DEVIATIONS = 4.0
OUTSIDE = 0.01
MISSING = 0.01
# Twice the most that was seen, and the floor beyond it: what is missing now and then is missing more in a storm.
TIMES = 2.0
UNKNOWN = 0.02
ABSENT_ROWS = 20
MIXED, MIXED_TIMES = 0.15, 1.5
LEVEL_DEVIATIONS, LEVEL_TIMES, LEVEL = 3.5, 1.5, 0.1
UNSEEN, USUALLY_UNSEEN, RECENT, FEWEST_VALUES = 0.9, 0.1, 28, 8
TOO_FEW = 0.5


@dataclass(frozen=True)
class Fault:
    """What is wrong with tonight's ``column``; an empty one is the whole batch."""

    column: str
    measure: str
    words: str


@dataclass(frozen=True)
class Column:
    """A column tonight and on the earlier nights, oldest first. ``alike``: which of these are of tonight's weekday.

    ``moved``: by how many standard deviations of a night each night's middle rank moved, (nights + 1,), tonight last;
    ``ranks``: from which to which it did tonight. Numbers only.
    """

    edges: ColumnEdges
    now: ColumnSketch
    past: tuple[ColumnSketch, ...]
    alike: NDArray[np.bool_]
    moved: Floats
    ranks: tuple[float, float]

    @cached_property
    def counts(self) -> Floats:
        """Rows a bin: tonight's, (bins,)."""
        return np.array(self.now.counts, dtype=np.float64)

    @cached_property
    def before(self) -> Floats:
        """Rows a bin of each earlier night, (nights, bins)."""
        return np.array([night.counts for night in self.past], dtype=np.float64)

    @property
    def valueless(self) -> int:
        """How many of the last bins hold what has no value."""
        return 2 if self.edges.kind == "numeric" else 1


def find(edges: Edges, earlier: Mapping[date, Sketch], night: date, tonight: Sketch) -> tuple[Fault, ...]:
    """Return what is wrong with ``tonight``, the rows of ``night``; ``earlier``: all faultless nights before it.

    Fewer than 14 nights are no history: nothing is said then.
    """
    nights = tuple(sorted(day for day in earlier if day < night))
    if len(nights) < FEWEST_NIGHTS:
        return ()
    past = [earlier[day] for day in nights]
    alike = np.array([day.weekday() == night.weekday() for day in nights])
    alike = alike if alike.sum() >= FEWEST_WEEKDAYS else np.ones(len(nights), dtype=bool)
    found = list(_too_few([each.rows for each in past], alike, tonight.rows))
    moved = _moved(edges, {day: earlier[day] for day in nights}, night, tonight)
    for number, column in enumerate(edges.columns):
        before = tuple(each.columns[number] for each in past)
        of = Column(column, tonight.columns[number], before, alike, *moved[column.name])
        told = {name: measure(of) for name, measure in MEASURES.items()}
        found += [Fault(column.name, name, words) for name, words in told.items() if words]
    return tuple(found)


def _too_few(past: list[int], alike: NDArray[np.bool_], rows: int) -> list[Fault]:
    fewest = int(np.array(past)[alike].min())
    if rows >= TOO_FEW * fewest or fewest < ABSENT_ROWS:
        return []
    return [Fault("", "rows", f"{rows:,} rows; never fewer than {fewest:,} in {len(past)} nights")]


def outside(column: Column) -> str | None:
    """Numbers farther out than the whole range of the first nights, or none at all such as infinity."""
    if column.edges.kind != "numeric" or len(column.edges.edges) < 2:
        return None
    ends = [0, len(column.edges.edges), len(column.edges.edges) + 1]
    share = _beyond(column, column.counts[ends].sum(), column.before[:, ends].sum(axis=1), OUTSIDE)
    return (
        share
        and f"{share[0]} of rows far outside everything seen in {len(column.past)} nights{_range(column)}"
    )


def missing(column: Column) -> str | None:
    """A larger share without a value than ever."""
    share = _beyond(column, column.counts[-1], column.before[:, -1], MISSING)
    return share and f"{share[0]} missing; never more than {share[1]} in {len(column.past)} nights"


def unknown(column: Column) -> str | None:
    """A larger share of categories that nobody has named than ever."""
    if column.edges.kind != "category":
        return None
    share = _beyond(column, column.counts[-2], column.before[:, -2], UNKNOWN)
    return (
        share
        and f"{share[0]} of rows in unknown categories; never more than {share[1]} in {len(column.past)} nights"
    )


def stuck(column: Column) -> str | None:
    """One value in all rows, where rows have always differed and chance would not make them alike."""
    counts = column.counts[: -column.valueless]
    if counts.sum() < FEWEST_ROWS or not _is_one(column.now, column.valueless):
        return None
    if any(_is_one(night, column.valueless) for night in column.past):
        return None
    before = column.before[:, : -column.valueless]
    usual = float((before / np.maximum(before.sum(axis=1, keepdims=True), 1)).max())
    likely = 0.0 if column.edges.kind == "numeric" and usual < 1 else usual ** counts.sum()
    return "one value in all rows; rows differed on every night before" if likely < 1e-6 else None


def absent(column: Column) -> str | None:
    """A category without a row that always had some."""
    if column.edges.kind != "category":
        return None
    named = len(column.edges.categories)
    before = column.before[column.alike]
    fewest = (before[:, :named] / np.maximum(before.sum(axis=1, keepdims=True), 1)).min(axis=0)
    gone = np.flatnonzero((column.counts[:named] == 0) & (fewest * column.counts.sum() >= ABSENT_ROWS))
    if not gone.size:
        return None
    told = ", ".join(f"'{column.edges.categories[number]}'" for number in gone[:3])
    return f"no row of {told}; never fewer than {fewest[gone[0]]:.0%} in {len(column.past)} nights"


def mixed(column: Column) -> str | None:
    """Categories in other proportions than ever: two may have changed places."""
    if column.edges.kind != "category" or column.counts.sum() < FEWEST_ROWS:
        return None
    before = column.before[column.alike]
    shares = before / np.maximum(before.sum(axis=1, keepdims=True), 1)
    mean = shares.mean(axis=0)
    distances = np.abs(shares - mean).sum(axis=1) / 2 * len(shares) / max(len(shares) - 1, 1)
    distance = float(np.abs(column.counts / column.counts.sum() - mean).sum() / 2)
    if distance <= max(MIXED, MIXED_TIMES * distances.max()):
        return None
    return (
        f"{distance:.0%} of rows in other categories than usual; never more than {distances.max():.0%} in "
        f"{len(column.past)} nights"
    )


def level(column: Column) -> str | None:
    """Numbers that lie elsewhere at once, farther than any night has moved: another unit.

    Not of columns that all rows of a night, or of an airport's, have in common: a storm moves these as far.
    """
    if column.edges.kind != "numeric" or not _varies(column):
        return None
    now, most = column.moved[-1], column.moved[:-1].max()
    usual, rank = column.ranks
    if now <= max(LEVEL_DEVIATIONS, LEVEL_TIMES * most) or abs(rank - usual) < LEVEL:
        return None
    return (
        f"a row exceeds an earlier one with probability {rank:.2f}, usually {usual:.2f}: {now:.0f} standard deviations "
        f"of a night, never more than {most:.0f} in {len(column.past)} nights{_range(column)}; another unit?"
    )


def unseen(column: Column) -> str | None:
    """Of a column of few different numbers: nearly all rows have ones that were never there. Another unit, or scale.

    A night of three numbers, one an airport, has three new ones on the first warm day: it is not looked at.
    """
    if not column.now.values or not _varies(column):
        return None
    seen: set[float] = set()
    before = []
    for night in column.past:
        if night.values is None:
            return None
        before.append(_new(night.values, seen))
        seen.update(value for value, _ in night.values)
    share = _new(column.now.values or (), seen)
    # New numbers must have become rare: the first nights have what none had before, and some columns always do.
    if share < UNSEEN or np.mean(before[-RECENT:]) > USUALLY_UNSEEN or max(before[-RECENT:]) >= UNSEEN:
        return None
    return f"{share:.0%} of rows have numbers that none of {len(column.past)} nights had{_range(column)}: another unit?"


# A measure is a function from a column to words, or to None where nothing is wrong.
MEASURES: Mapping[str, Callable[[Column], str | None]] = {
    "outside": outside,
    "missing": missing,
    "unknown": unknown,
    "stuck": stuck,
    "absent": absent,
    "mixed": mixed,
    "level": level,
    "unseen": unseen,
}


def _moved(
    edges: Edges, earlier: Mapping[date, Sketch], night: date, tonight: Sketch
) -> dict[str, tuple[Floats, tuple[float, float]]]:
    """Return how far each column's middle rank moved on each night, and from which to which tonight."""
    before = shift.trained(edges, earlier)
    now = shift.series(edges, earlier, {night: tonight})
    usual = shift.usual(before)
    moved = np.abs(shift.innovations(shift.followed(before, now), usual))
    levels = usual.levels[night.weekday()]
    return {
        column: (moved[:, number], (float(levels[number]), float(now.values[0, number])))
        for number, (column, measure) in enumerate(before.names)
        if measure == "rank"
    }


def _beyond(column: Column, rows: float, before: Floats, floor: float) -> tuple[str, str] | None:
    """Return tonight's share and the largest earlier one in words, if it is beyond that, chance and the floor."""
    n, past = column.counts.sum(), column.before.sum(axis=1)
    if not n or rows < 3:
        return None
    most = float((before / np.maximum(past, 1)).max())
    chance = max(most, 1 / (past.sum() + 1))
    if rows / n <= max(TIMES * most + floor, most + DEVIATIONS * np.sqrt(chance * (1 - chance) / n)):
        return None
    return f"{rows / n:.1%}", f"{most:.1%}"


def _varies(column: Column) -> bool:
    """Return whether there are enough rows, and enough different numbers among them."""
    values = column.now.values
    rows = column.counts[: -column.valueless].sum()
    return bool(rows >= FEWEST_ROWS) and (values is None or len(values) >= FEWEST_VALUES)


def _is_one(night: ColumnSketch, valueless: int) -> bool:
    if night.low is not None:
        return night.low == night.high
    return sum(count > 0 for count in night.counts[:-valueless]) == 1


def _new(values: tuple[tuple[float, int], ...], seen: set[float]) -> float:
    rows = sum(count for _, count in values)
    return sum(count for value, count in values if value not in seen) / max(rows, 1)


def _range(column: Column) -> str:
    """Return from where to where tonight's numbers reach, and where those before did."""
    lows = [night.low for night in column.past if night.low is not None]
    highs = [night.high for night in column.past if night.high is not None]
    if column.now.low is None or not lows:
        return ""
    return f" ({column.now.low:.4g} to {column.now.high:.4g}; before {min(lows):.4g} to {max(highs):.4g})"
