"""The delivered rows of one or many batch dates, and which row belongs to which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from nightshift.landing import apart, stacked


@dataclass(frozen=True)
class Batches:
    """Rows as delivered. ``day[i]`` is the index into ``dates`` of row ``i``.

    ``columns`` holds each date's delivered column names: dates gathered into one frame keep their own.
    """

    frame: pd.DataFrame
    dates: tuple[date, ...]
    day: np.ndarray
    columns: tuple[tuple[str, ...], ...]

    def per_date(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return how many rows (all, or those at positions ``rows``) each date has."""
        return np.bincount(self.day if rows is None else self.day[rows], minlength=len(self.dates))

    def row_numbers(self) -> np.ndarray:
        """Return each row's place within its date as delivered, from 1."""
        order = np.argsort(self.day, kind="stable")
        counts = self.per_date()
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(len(order)) - starts + 1
        return numbers

    def positions(self, day: date, numbers: np.ndarray) -> np.ndarray:
        """Return where the rows of ``day`` with these numbers (from 1, as delivered) stand in the frame."""
        return np.flatnonzero(self.day == self.dates.index(day))[np.asarray(numbers, dtype=np.int64) - 1]


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
