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
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nightshift.distributions import Floats
from nightshift.monitor import shift
from nightshift.monitor.sketches import FAR
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
# Beyond the levels of all weekdays: on a holiday, or with a tenth of the rows gone, plans are like a Saturday's.
LEVEL_DEVIATIONS, LEVEL_TIMES, LEVEL = 5.0, 1.5, 0.1
APART, APART_TIMES, LATEST_WEEKDAYS, FEWEST_APART = 0.12, 2.5, 8, 28
# Two that changed places: each lies where the other was, to less than a third of how far they went.
SWAPPED, SWAPPED_LEFT = 0.08, 0.3
# A smaller range is none: the first nights had one number.
SMALLEST_RANGE = 1e-250
# Beyond the range of all earlier nights by a quarter of it.
BEYOND, BEYOND_ROWS = 0.25, 0.05
UNSEEN, USUALLY_UNSEEN, RECENT, FEWEST_VALUES = 0.9, 0.1, 28, 8
# Numbers that lie on steps of one width, at most so many between the first and the last. So many different ones must
# have kept to the steps since these were last made finer: each would leave too coarse ones every second time.
OFF_STEPS, MOST_STEPS, KEPT_TO_STEPS = 0.5, 10_000, 12
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
    ``apart``: how far it lies from that of the latest nights of its weekday; ``ranks``: from which to which it went
    tonight; ``levels``: the lowest and the highest of the weekdays' usual ranks. Numbers only.
    """

    edges: ColumnEdges
    now: ColumnSketch
    past: tuple[ColumnSketch, ...]
    alike: NDArray[np.bool_]
    moved: Floats
    apart: Floats
    ranks: tuple[float, float]
    levels: tuple[float, float]

    @cached_property
    def counts(self) -> Floats:
        """Rows a bin: tonight's, (bins,)."""
        return np.array(self.now.counts, dtype=np.float64)

    @cached_property
    def before(self) -> Floats:
        """Rows a bin of each earlier night, (nights, bins)."""
        return np.array([night.counts for night in self.past], dtype=np.float64)

    @cached_property
    def seen(self) -> tuple[float, float] | tuple[None, None]:
        """The least and the greatest number of all earlier nights, None where they had none."""
        ends = [
            (night.low, night.high) for night in self.past if night.low is not None and night.high is not None
        ]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (None, None)

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


def find_each(
    edges: Edges, earlier: Mapping[date, Sketch], nights: Mapping[date, Sketch]
) -> dict[date, tuple[Fault, ...]]:
    """Return what is wrong with ``nights``, oldest first: each against ``earlier`` and sound ones before it."""
    sound, found = dict(earlier), dict[date, tuple[Fault, ...]]()
    for night in sorted(nights):
        found[night] = find(edges, sound, night, nights[night])
        if not found[night]:
            sound[night] = nights[night]
    return found


def _too_few(past: list[int], alike: NDArray[np.bool_], rows: int) -> list[Fault]:
    fewest = int(np.array(past)[alike].min())
    if rows >= TOO_FEW * fewest or fewest < ABSENT_ROWS:
        return []
    return [Fault("", "rows", f"{rows:,} rows; never fewer than {fewest:,} in {len(past)} nights")]


def outside(column: Column) -> str | None:
    """Numbers farther out than the whole range of the first nights, or none at all such as infinity."""
    if column.edges.kind != "numeric" or len(column.edges.edges) < 2:
        return None
    last = len(column.edges.edges)
    ends = [last + 1] if _has_been_there(column) else [0, last, last + 1]
    share = _beyond(column, column.counts[ends].sum(), column.before[:, ends].sum(axis=1), OUTSIDE)
    if share is None and (rows := _beyond_range(column)) >= _few(column.counts.sum()):
        share = f"{rows / column.counts.sum():.1%}", ""
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
    if likely >= 1e-6 or _nearly_alike(column):
        return None
    return "one value in all rows; rows differed on every night before"


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
    tonight = column.counts / column.counts.sum()
    distance = float(np.abs(tonight - mean).sum() / 2)
    if distance <= max(SWAPPED, MIXED_TIMES * distances.max()):
        return None
    each_other = np.abs(tonight[:, None] - mean)
    changed = each_other[linear_sum_assignment(each_other)].sum() / 2 <= SWAPPED_LEFT * distance
    if distance <= MIXED and not changed:
        return None
    return (
        f"{distance:.0%} of rows in other categories than usual; never more than {distances.max():.0%} in "
        f"{len(column.past)} nights{'; some changed places' if changed else ''}"
    )


def level(column: Column) -> str | None:
    """Numbers that lie elsewhere at once, farther than any night has moved: another unit.

    Not of columns that all rows of a night, or of an airport's, have in common: a storm moves these as far.
    """
    # Of fewer nights with values, none has others to be held against: those of its own week do not count.
    known = (column.before[:, : -column.valueless].sum(axis=1) > 0).sum()
    if column.edges.kind != "numeric" or not _varies(column) or known < FEWEST_NIGHTS:
        return None
    if len(set(column.seen)) == 1:
        return None  # of one number nothing says how far another is
    now, most = column.moved[-1], column.moved[:-1].max()
    apart, farthest = column.apart[-1], np.nanmax(column.apart[:-1], initial=0)
    (usual, rank), (lowest, highest) = column.ranks, column.levels
    if max(lowest - rank, rank - highest) < LEVEL:
        return None
    sudden = now > max(LEVEL_DEVIATIONS, LEVEL_TIMES * most)
    # What moves with the seasons has gone as far from the same weekday of weeks ago, and as suddenly.
    seen = np.isfinite(column.apart[:-1]).sum() >= FEWEST_APART
    never = seen and apart > max(APART, APART_TIMES * farthest)
    if not never and (not sudden or apart <= farthest):
        return None
    return (
        f"a row exceeds an earlier one with probability {rank:.2f}, usually {usual:.2f}: {now:.0f} standard deviations "
        f"of a night, never more than {most:.0f} in {len(column.past)} nights{_range(column)}; another unit?"
    )


def unseen(column: Column) -> str | None:
    """Of a column of few different numbers: nearly all rows have ones that were never there. Another unit, or scale.

    A night of three numbers, one an airport, has three new ones on the first warm day: :func:`off_steps` looks at it.
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


def off_steps(column: Column) -> str | None:
    """Numbers between the steps on which all earlier ones lay, such as knots told in miles. Another unit.

    However few numbers a night has: it does not matter where they lie, only whether they could have been.
    """
    if not column.now.values or column.counts.sum() < FEWEST_ROWS:
        return None
    seen: dict[float, None] = {}
    for night in column.past:
        if night.values is None:
            return None
        seen.update(dict.fromkeys(value for value, _ in night.values))
    first, step = _steps(np.array(list(seen)))
    if not step:
        return None
    numbers, rows = (np.array(each) for each in zip(*column.now.values, strict=True))
    share = rows[_off(numbers - first, step)].sum() / rows.sum()
    if share < OFF_STEPS:
        return None
    return (
        f"{share:.0%} of rows lie between the steps of {step:.4g} on which all {len(seen)} numbers of "
        f"{len(column.past)} nights lay{_range(column)}: another unit?"
    )


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
    "off_steps": off_steps,
}


def _steps(numbers: Floats) -> tuple[float, float]:
    """Return the first of (n,) different numbers, as they came, and the width of the steps on which all of them lie.

    The width is zero where there is none, it is too fine to tell, or too few numbers have kept to it.
    """
    if numbers.size <= KEPT_TO_STEPS:
        return 0.0, 0.0
    finest = float(np.ptp(numbers)) / MOST_STEPS
    beyond = numbers - numbers[0]
    step, at = abs(float(beyond[1])), 1
    while step >= finest and (off := np.flatnonzero(_off(beyond[at + 1 :], step))).size:
        at += 1 + int(off[0])
        step = _common(step, abs(float(beyond[at])), finest)
    return float(numbers[0]), step if step >= finest and numbers.size - 1 - at >= KEPT_TO_STEPS else 0.0


def _common(one: float, other: float, finest: float) -> float:
    """Return the widest step of which both are multiples, by Euclid's algorithm, or one finer than ``finest``."""
    while other > finest / 100:
        one, other = other, one % other
        other = min(other, abs(one - other))
    return one


def _off(beyond: Floats, step: float) -> NDArray[np.bool_]:
    """Return which are no multiple of a step, to a hundredth of it."""
    steps = beyond / step
    return np.abs(steps - np.rint(steps)) > 0.01


def _moved(
    edges: Edges, earlier: Mapping[date, Sketch], night: date, tonight: Sketch
) -> dict[str, tuple[Floats, Floats, tuple[float, float], tuple[float, float]]]:
    """Return of each column ``moved``, ``apart``, ``ranks`` and ``levels``."""
    before = shift.trained(edges, earlier)
    now = shift.series(edges, earlier, {night: tonight})
    usual = shift.usual(before)
    moved = np.abs(shift.innovations(shift.followed(before, now), usual))
    levels = usual.levels[night.weekday()]
    weekdays = np.array([day.weekday() for day in (*before.nights, night)])
    apart = _apart(np.concatenate([before.values, now.values]), weekdays)
    return {
        column: (
            moved[:, number],
            apart[:, number],
            (float(levels[number]), float(now.values[0, number])),
            (float(usual.levels[:, number].min()), float(usual.levels[:, number].max())),
        )
        for number, (column, measure) in enumerate(before.names)
        if measure == "rank"
    }


def _apart(ranks: Floats, weekdays: NDArray[np.int64]) -> Floats:
    """Return how far each night's middle ranks, (nights, k), lie from the median of the latest nights of its weekday.

    NaN where these are few.
    """
    found = np.full_like(ranks, np.nan)
    for day in range(7):
        of = np.flatnonzero(weekdays == day)[FEWEST_WEEKDAYS:]
        padded = np.pad(ranks[weekdays == day], ((LATEST_WEEKDAYS, 0), (0, 0)), constant_values=np.nan)
        latest = sliding_window_view(padded[:-1], LATEST_WEEKDAYS, axis=0)[FEWEST_WEEKDAYS:]
        few = np.isfinite(latest).sum(axis=-1) < FEWEST_WEEKDAYS
        middle = np.nanmedian(np.where(few[..., None], 0, latest), axis=-1)
        found[of] = np.where(few, np.nan, np.abs(ranks[of] - middle))
    return found


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


def _has_been_there(column: Column) -> bool:
    """Return whether numbers in the outermost bins are no news: bins know no more than the first nights.

    What grows, such as a counter, comes there by and by, its rows having left the range of the first nights before. A
    flag that nobody had set in these, or snow in a summer, has no range at all: nothing is far from nought.
    """
    low, high = column.seen
    if low is None or high is None or column.now.low is None or column.now.high is None:
        return False
    room = FAR * (high - low)
    if not low - room <= column.now.low <= column.now.high <= high + room:
        return low == high == 0 and _is_graded(column)
    edges = column.edges.edges
    if edges[-1] - edges[0] < SMALLEST_RANGE:
        return True
    last = len(edges)
    left = column.before[:, [0, 1, last - 1, last]].sum(axis=1)
    return _beyond(column, column.counts[[0, last]].sum(), left, OUTSIDE) is None


def _farthest_step(column: Column) -> float:
    """Return how far rows of a night have gone beyond the range of at least fourteen before it: not a stray one's."""
    low, high, farthest = np.inf, -np.inf, 0.0
    for number, night in enumerate(column.past):
        if night.low is None or night.high is None:
            continue
        if number >= FEWEST_NIGHTS and night.values and not low <= night.low <= night.high <= high:
            few = _few(sum(rows for _, rows in night.values))
            for values, end, sign in ((night.values, low, -1), (night.values[::-1], high, 1)):
                ends = np.cumsum([rows for _, rows in values])
                value = values[min(int(np.searchsorted(ends, few)), len(values) - 1)][0]
                farthest = max(farthest, sign * (value - end) if np.isfinite(end) else 0.0)
        low, high = min(low, night.low), max(high, night.high)
    return farthest


def _few(rows: float) -> float:
    return max(3.0, BEYOND_ROWS * rows)


def _is_graded(column: Column) -> bool:
    """Return whether tonight's numbers beside nought are many, or a flag; one far away may be a placeholder's."""
    if column.now.values is None:
        return True
    numbers = [value for value, _ in column.now.values if value]
    return len(numbers) > 1 or all(abs(value) <= 1 for value in numbers)


def _nearly_alike(column: Column) -> bool:
    """Return whether a night has had two of many numbers: three airports that agree are the next step, and no fault."""
    pairs = [night.values for night in column.past if night.values and len(night.values) == 2]
    return bool(pairs) and any(
        night.values is None or {value for value, _ in night.values} - {value for value, _ in pairs[0]}
        for night in column.past
    )


def _beyond_range(column: Column) -> int:
    """Return how many rows lie beyond the range of all earlier nights by a quarter of it, where numbers are few.

    By more, where a night went as far beyond those before it and was none the worse: prices do, temperatures don't.
    """
    low, high = column.seen
    if low is None or high is None or low == high or not column.now.values or not _varies(column):
        return 0

    def beyond(room: float) -> int:
        return sum(rows for value, rows in values if not low - room <= value <= high + room)

    values, room = column.now.values, BEYOND * (high - low)
    return beyond(max(room, TIMES * _farthest_step(column))) if beyond(room) else 0


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
    low, high = column.seen
    if column.now.low is None or low is None:
        return ""
    return f" ({column.now.low:.4g} to {column.now.high:.4g}; before {low:.4g} to {high:.4g})"
