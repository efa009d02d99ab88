"""Rows that claim a key that is taken: within a block, and over the blocks of a night, which nobody holds together.

Over blocks a key is a number of 64 bits. Only rows whose number comes twice are looked at again: by two numbers of the
key and two of the whole row, 256 bits together. So what is held of a night does not depend on its columns.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

SEEDS = ("0123456789123456", "6543219876543210")  # sixteen letters each; the first is the library's own


def of_key(key: Sequence[str], claims: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return masks over ``claims``: of the rows that are repeated, and of those that contradict.

    Repeated: all but the first of equal rows. Contradicting: rows whose key stands for different content.
    """
    no_one = np.zeros(len(claims), dtype=bool)
    if not claims.duplicated(list(key)).any():
        return no_one, no_one
    repeated = claims.duplicated(keep="first")
    once = claims[~repeated]
    conflicting = once.duplicated(list(key), keep=False)
    different = claims.set_index(list(key)).index.isin(once[conflicting].set_index(list(key)).index)
    return repeated.to_numpy() & ~different, different


def hashes(rows: pd.DataFrame, seed: str = SEEDS[0]) -> np.ndarray:
    """Return a number for each row, (n,) uint64: the same where all columns are. Others seldom share one."""
    alike = pd.DataFrame({name: _alike(values) for name, values in rows.items()})
    return pd.util.hash_pandas_object(alike, index=False, hash_key=seed).to_numpy()


def _alike(values: pd.Series) -> pd.Series:
    """Return values of which equal ones are the same bits: 0.0 and -0.0 are equal, and so is all that is no number."""
    return values if values.dtype.kind != "f" else (values + 0.0).where(values.notna())


def of_keys(
    key: Sequence[str], claims: Sequence[Callable[[], pd.DataFrame]], numbers: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return :func:`of_key` of each of a night's blocks. ``numbers``: the hashes of their keys."""
    twice = np.concatenate(
        [_twice([of_block[of_block >> 60 == top] for of_block in numbers]) for top in range(16)]
    )
    places = [np.flatnonzero(np.isin(of_block, twice)) for of_block in numbers]
    found = [_digests(key, block().iloc[at]) for block, at in zip(claims, places, strict=True) if len(at)]
    if not found:
        return [(np.zeros(len(each), dtype=bool),) * 2 for each in numbers]
    masks = of_key(("key", "key again"), pd.concat(found, ignore_index=True))
    ends = np.cumsum([len(at) for at in places])[:-1]
    repeated, different = (
        [
            _over(len(each), at[part])
            for each, at, part in zip(numbers, places, np.split(mask, ends), strict=True)
        ]
        for mask in masks
    )
    return list(zip(repeated, different, strict=True))


def _twice(numbers: Sequence[np.ndarray]) -> np.ndarray:
    every = np.concatenate(numbers)
    every.sort()
    return np.unique(every[1:][every[1:] == every[:-1]])


def _digests(key: Sequence[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Return two numbers for each row's key, and two for the row, made in the other direction too."""
    of = {"key": rows[list(key)], "row": rows}
    return pd.DataFrame(
        {
            name + again: hashes(part[part.columns[::step]], seed)
            for name, part in of.items()
            for again, step, seed in (("", 1, SEEDS[0]), (" again", -1, SEEDS[1]))
        }
    )


def _over(rows: int, places: np.ndarray) -> np.ndarray:
    mask = np.zeros(rows, dtype=bool)
    mask[places] = True
    return mask
