"""The delivered rows of one or many batch dates, and which row belongs to which."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from nightshift.landing import Delivered, apart, stacked


@dataclass(frozen=True)
class Batches:
    """Rows as delivered: of one or many dates, or a block of one date's. ``day[i]``: row ``i``'s index into ``dates``.

    ``columns`` holds each date's delivered column names: dates gathered into one frame keep their own. ``before``: how
    many rows of the date are in the blocks above.
    """

    frame: pd.DataFrame
    dates: tuple[date, ...]
    day: np.ndarray
    columns: tuple[tuple[str, ...], ...]
    before: int = 0

    def per_date(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return how many rows (all, or those at positions ``rows``) each date has."""
        return np.bincount(self.day if rows is None else self.day[rows], minlength=len(self.dates))

    def row_numbers(self) -> np.ndarray:
        """Return each row's place within its date as delivered, from 1."""
        order = np.argsort(self.day, kind="stable")
        counts = self.per_date()
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(len(order)) - starts + 1 + self.before
        return numbers

    def positions(self, day: date, numbers: np.ndarray) -> np.ndarray:
        """Return where the rows of ``day`` with these numbers (from 1, as delivered) stand in the frame, if they do."""
        standing = np.flatnonzero(self.day == self.dates.index(day))
        places = np.asarray(numbers, dtype=np.int64) - 1 - self.before
        return standing[places[(places >= 0) & (places < len(standing))]]


@dataclass(frozen=True)
class Group:
    """Rows that are judged together: one block of small nights, or the blocks of a large one (``several``)."""

    blocks: Callable[[], Iterator[Batches]]
    several: bool = False


def batches_of(
    frame: pd.DataFrame, dates: Sequence[date], columns: Mapping[date, Sequence[str]] | None = None
) -> Batches:
    """Return the frame's rows by the dates in its ``batch_date`` column.

    Raises:
        ValueError: there is no such column, or it holds a date that was not asked for.
    """
    if "batch_date" not in frame.columns:
        raise ValueError("frame has no column 'batch_date'; add the date each row was collected for")
    expected = tuple(sorted(set(dates)))
    codes, found = pd.factorize(frame["batch_date"])
    place = {day: number for number, day in enumerate(expected)}
    known = [place.get(pd.Timestamp(day).date(), -1) for day in found]
    day = np.array(known, dtype=np.int64)[codes] if len(codes) else np.empty(0, dtype=np.int64)
    if len(day) and (day.min() < 0 or codes.min() < 0):
        raise ValueError("frame holds rows of a batch date that was not asked for, or of none")
    rows = frame.drop(columns="batch_date").reset_index(drop=True)
    rows.columns = pd.Index(apart(map(str, rows.columns)), dtype=object)
    every = tuple(rows.columns)
    given = columns or {}
    return Batches(rows, expected, day, tuple(tuple(map(str, given.get(d, every))) for d in expected))


def gathered(batches: Mapping[date, pd.DataFrame]) -> tuple[pd.DataFrame, dict[date, tuple[str, ...]]]:
    """Return one frame of all dates' rows with ``batch_date``, and each date's own columns."""
    frames, columns = [], {}
    for day, frame in sorted(batches.items()):
        columns[day] = tuple(apart(map(str, frame.columns)))
        frames.append(frame.set_axis(columns[day], axis=1))
    if not frames:
        return pd.DataFrame({"batch_date": []}), {}
    days = np.repeat(pd.to_datetime(list(columns)), list(map(len, frames)))
    return stacked(frames).assign(batch_date=days), columns


def groups_of(delivered: Mapping[date, Delivered], most: int) -> list[Group]:
    """Return the nights in groups: small ones of together at most ``most`` rows, and each larger one by itself."""
    dates = tuple(sorted(delivered))
    columns = tuple(delivered[day].columns for day in dates)
    groups: list[Group] = []
    small: list[int] = []
    rows = 0
    for number, day in enumerate(dates):
        night = delivered[day]
        if small and rows + night.rows > most:
            groups.append(Group(partial(_together, delivered, tuple(small), dates, columns)))
            small, rows = [], 0
        if night.rows > most:
            groups.append(Group(partial(_blocks, night, number, dates, columns), several=True))
        else:
            small.append(number)
            rows += night.rows
    if small or not groups:
        groups.append(Group(partial(_together, delivered, tuple(small), dates, columns)))
    return groups


def _blocks(
    night: Delivered, number: int, dates: tuple[date, ...], columns: tuple[tuple[str, ...], ...]
) -> Iterator[Batches]:
    before = 0
    for frame in night.each():
        day = np.broadcast_to(np.int64(number), len(frame))  # of one number, however many rows
        yield Batches(_named(frame, columns[number]), dates, day, columns, before)
        before += len(frame)


def _together(
    delivered: Mapping[date, Delivered],
    numbers: tuple[int, ...],
    dates: tuple[date, ...],
    columns: tuple[tuple[str, ...], ...],
) -> Iterator[Batches]:
    frames = [_named(stacked(list(delivered[dates[n]].each())), columns[n]) for n in numbers]
    day = np.repeat(np.array(numbers, dtype=np.int64), list(map(len, frames)))
    yield Batches(stacked(frames) if frames else pd.DataFrame(), dates, day, columns)


def _named(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return frame.set_axis(pd.Index(columns, dtype=object), axis=1).reset_index(drop=True)
