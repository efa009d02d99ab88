"""A night's rows as blocks: whoever works on one at a time need not hold all of them."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

# Of a night that is built, or read again, a block at a time. Its content's hash is made of such blocks.
BLOCK_ROWS = 100_000


@dataclass(frozen=True)
class Blocks:
    """``rows`` rows of a night in the order of their key. ``each`` yields them anew each time, typed."""

    rows: int
    each: Callable[[], Iterable[pd.DataFrame]]

    @classmethod
    def of(cls, frame: pd.DataFrame, most: int | None = None) -> "Blocks":
        """Return the rows of a frame that is in memory, at most so many a block."""
        step = most or max(len(frame), 1)
        return cls(len(frame), lambda: (frame.iloc[n : n + step] for n in range(0, max(len(frame), 1), step)))

    def every(self, step: int) -> pd.DataFrame:
        """Return the first row and each ``step``-th after it."""
        found, before = [], 0
        for block in self.each():
            found.append(block.iloc[-before % step :: step])
            before += len(block)
        return pd.concat(found, ignore_index=True)


def content_of(blocks: Iterable[str]) -> str:
    """Return the hash of a night's rows by those of its blocks (``types.content_sha256``): of one block, its own.

    ``3-`` before it says that it is of several.
    """
    hashes = list(blocks)
    return hashes[0] if len(hashes) == 1 else f"3-{hashlib.sha256(' '.join(hashes).encode()).hexdigest()}"
