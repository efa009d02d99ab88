"""How a column is counted and compared, and which of its values may be shown by name.

One meaning for the drift decision and for explorations: PSI over the reference's deciles, or over its frequent
categories, and always a last bin for missing values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightshift.masks import EMAIL

Floats = NDArray[np.float64]

DECILES = np.arange(1, 10) / 10
# Further categories, rarer ones, longer ones, and those that look like an address share the bin "other": what we
# keep and show stays small, and names nobody.
MOST_CATEGORIES = 20
FEWEST_ROWS = 5
LONGEST_CATEGORY = 64


def decile_edges(values: Floats) -> tuple[float, ...]:
    """Return the inner edges: the deciles. One that repeats is a value of its own, with a bin of its own."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ()
    deciles, repeats = np.unique(np.quantile(finite, DECILES, method="lower"), return_counts=True)
    spikes = np.nextafter(deciles[repeats > 1], np.finfo(np.float64).max)
    return tuple(np.union1d(deciles, spikes).tolist())


def nameable(category: str) -> bool:
    """Return whether a category may be shown by name: it is short and does not look like an address."""
    return len(category) <= LONGEST_CATEGORY and not EMAIL.search(category)


def psi(reference: NDArray[Any], current: NDArray[Any]) -> Floats:
    """Return the population stability index over the last axis of two arrays of counts.

    ``sum((p - q) * ln(p / q))`` over the shares p and q: the symmetrised Kullback-Leibler divergence, 0
    for equal shares (Siddiqi 2006 reads 0.1 as small and 0.25 as large). An empty bin counts as half a
    row, or as the rows expected there if these are fewer: a bin that hardly exists in one sample and is
    absent from the other adds nothing.
    """
    n, m = (np.maximum(counts.sum(axis=-1, keepdims=True), 1) for counts in (reference, current))
    p, q = reference / n, current / m
    p_filled = np.where(p > 0, p, np.minimum(0.5 / n, q))
    q_filled = np.where(q > 0, q, np.minimum(0.5 / m, p))
    ratio = np.divide(p_filled, q_filled, out=np.ones_like(p_filled), where=q_filled > 0)
    return np.sum((p_filled - q_filled) * np.log(ratio), axis=-1)
