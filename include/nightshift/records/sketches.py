"""Sketches: what a night's rows looked like, small enough to keep for good, and of a kind that sums.

How they are made and summed: :mod:`nightshift.monitor.sketches`.
"""

from dataclasses import dataclass
from typing import Literal

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
