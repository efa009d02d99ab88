"""How columns go together: rank correlation of numbers, Cramer's V and the correlation ratio of categories.

A relation that the rows do not define (a constant, fewer than ten rows) is None, never 0.
"""

from math import sqrt

import numpy as np
import pandas as pd

FEWEST_PAIRS = 10


def spearman(one: pd.Series, other: pd.Series) -> float | None:
    """Return Spearman's rank correlation (-1 to 1) over the rows that have both numbers."""
    both = pd.DataFrame({"one": one, "other": other}).dropna()
    if len(both) < FEWEST_PAIRS or (both.nunique() < 2).any():
        return None
    return float(both["one"].rank().corr(both["other"].rank()))


def cramers_v(one: pd.Series, other: pd.Series) -> float | None:
    """Return Cramer's V (0 to 1) of two categories, corrected for bias (Bergsma 2013)."""
    table = pd.crosstab(one, other).to_numpy(dtype=np.float64)
    n, (rows, columns) = table.sum(), table.shape
    if n < FEWEST_PAIRS or min(rows, columns) < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n)
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    fewest = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return min(1.0, sqrt(corrected / fewest)) if fewest > 0 else None


def correlation_ratio(categories: pd.Series, numbers: pd.Series) -> float | None:
    """Return how much of the numbers' spread the categories explain, as a ratio (0 to 1).

    The root of epsilon squared (Kelley 1935): eta squared less what as many categories would explain by chance.
    """
    both = pd.DataFrame({"category": categories, "number": numbers}).dropna()
    groups = both.groupby("category")["number"]
    free = len(both) - groups.ngroups
    spread = float(((both["number"] - both["number"].mean()) ** 2).sum())
    if len(both) < FEWEST_PAIRS or groups.ngroups < 2 or free < 1 or spread == 0:
        return None
    within = float(((both["number"] - groups.transform("mean")) ** 2).sum())
    return sqrt(max(0.0, 1 - (within / free) / (spread / (len(both) - 1))))


def rank_correlations(numbers: pd.DataFrame) -> pd.DataFrame:
    """Return the rank correlations of all columns, (k, k); NaN where undefined.

    Ranked once a column over all its numbers, not again for each pair: with gaps this is close to Spearman's,
    and 200 columns take seconds instead of minutes.
    """
    return numbers.rank().corr(min_periods=FEWEST_PAIRS)
