"""Whether a column gives an outcome away: it says so nearly always, as only what becomes known with it can.

Judged by values alone, on rows that nothing was learned from. A name proves nothing; a single column that leaves a
hundredth of a constant's mistakes does. One that says it nearly as well is told, with how well: somebody must know why.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

MOST_CLASSES = 20
# Fewer rows, or fewer of a class among those that are judged, prove nothing.
FEWEST_ROWS, FEWEST_OF_A_CLASS = 40, 5
BINS = 50
# Of a constant's mistakes so much is gone; of a number's variance so much is explained.
NEARLY_ALWAYS, NEARLY_ALL = 0.99, 0.999
EXACTLY = 0.99999
# So well a column says an outcome that one must know why: a ROC AUC, of numbers an R2. With another one like it, it
# makes a score at which the gate `credible` stops, which names it then.
TELLING = 0.97
MOST_ROWS = 20_000


def is_classes(outcome: pd.Series) -> bool:
    """Return whether an outcome is one of a few values, rather than a number to be measured."""
    if is_numeric_dtype(outcome) and not is_bool_dtype(outcome):
        present = outcome.dropna()
        return bool(present.nunique() <= MOST_CLASSES and (present == present.round()).all())
    return True


def gives_away(values: pd.Series, outcome: pd.Series) -> bool:
    """Return whether the column ``values`` alone says ``outcome`` nearly always, on the rows that have one."""
    known = outcome.notna()
    values, outcome = values[known].head(MOST_ROWS), outcome[known].head(MOST_ROWS)
    if len(outcome) < FEWEST_ROWS or outcome.nunique() < 2:
        return False
    if not is_classes(outcome):
        return _explains(values, outcome.astype("float64"))
    classes = pd.factorize(outcome)[0]
    return _mistakes_gone(_bins(values), classes) > NEARLY_ALWAYS or _separates(values, classes)


def telling(values: pd.Series, outcome: pd.Series) -> float | None:
    """Return how well ``values`` alone say ``outcome`` where that is suspicious, above ``TELLING``; else None.

    By the measure of the gate `credible`: ROC AUC, of several classes their mean, or R2 of a number; of what the bins
    of every other row say, on the rest.
    """
    known = outcome.notna()
    values, outcome = values[known].head(MOST_ROWS), outcome[known].head(MOST_ROWS)
    if len(outcome) < FEWEST_ROWS or outcome.nunique() < 2:
        return None
    bins = _bins(values)
    if is_classes(outcome):
        classes = pd.factorize(outcome)[0]
        ones = [classes == number for number in range(1 if classes.max() == 1 else 0, int(classes.max()) + 1)]
        areas = [_area(_said(bins, each), each[1::2]) for each in ones]
        scores = [area for area in areas if area is not None]
        score = sum(scores) / len(scores) if len(scores) == len(areas) else 0.0
    else:
        truth = outcome.to_numpy(dtype="float64")
        missed = ((truth[1::2] - _said(bins, truth)) ** 2).mean()
        score = 1 - missed / truth[1::2].var() if truth[1::2].var() > 0 else 0.0
    return float(score) if score > TELLING else None


def _said(bins: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return what every other row says of the rest: the mean of a row's bin, or of all where the bin is new."""
    learned = pd.Series(truth[::2].astype("float64")).groupby(bins[::2]).mean()
    return pd.Series(bins[1::2]).map(learned).fillna(truth[::2].mean()).to_numpy()


def _area(said: np.ndarray, ones: np.ndarray) -> float | None:
    """Return the ROC AUC; None where too few rows are of either class."""
    many, few = int(ones.sum()), int((~ones).sum())
    if min(many, few) < FEWEST_OF_A_CLASS:
        return None
    rank = pd.Series(said).rank().to_numpy()
    return float((rank[ones].sum() - many * (many + 1) / 2) / (many * few))


def summed(table: pd.DataFrame, outcome: pd.Series) -> list[str]:
    """Return the numbers of ``table`` of which a measured ``outcome`` is exactly a weighted sum; none, if it is not."""
    numbers = [n for n in table.columns if is_numeric_dtype(table[n]) and not is_bool_dtype(table[n])]
    rows = (
        table[numbers].astype("float64").assign(outcome_=outcome.astype("float64")).dropna().head(MOST_ROWS)
    )
    if len(rows) < FEWEST_ROWS + 2 * len(numbers) or rows["outcome_"].std() == 0:
        return []
    needed = [name for name in numbers if rows[name].std() > 0]
    for name in list(needed):
        fewer = [other for other in needed if other != name]
        if _fit(rows, fewer) >= EXACTLY:
            needed = fewer
    return needed if needed and _fit(rows, needed) >= EXACTLY else []


def _fit(rows: pd.DataFrame, names: Sequence[str]) -> float:
    """Return the share of the outcome's variance that a least-squares sum of ``names`` explains."""
    given = np.column_stack(
        [np.ones(len(rows)), *((rows[n] - rows[n].mean()) / rows[n].std() for n in names)]
    )
    truth = rows["outcome_"].to_numpy()
    missed = truth - given @ np.linalg.lstsq(given, truth, rcond=None)[0]
    return float(1 - missed.var() / truth.var())


def _bins(values: pd.Series) -> np.ndarray:
    """Return each value's bin: the value itself if there are few, else its share of the range; nothing is one too."""
    numbers = _numbers(values)
    if numbers is None or values.nunique() <= BINS:
        return pd.factorize(values, use_na_sentinel=True)[0]
    return pd.qcut(numbers, BINS, labels=False, duplicates="drop").fillna(-1).to_numpy(dtype="int64")


def _numbers(values: pd.Series) -> pd.Series | None:
    if is_datetime64_any_dtype(values):
        known = values.dt.tz_localize(None) if getattr(values.dt, "tz", None) is not None else values
        return pd.Series((known - pd.Timestamp(0)).dt.total_seconds(), index=values.index)
    return values.astype("float64") if is_numeric_dtype(values) else None


def _mistakes_gone(bins: np.ndarray, classes: np.ndarray) -> float:
    """Return which share of a constant's mistakes is gone where each bin says its most frequent class.

    Learned on every other row, judged on the rest: a bin of its own for each row says nothing there.
    """
    learned = pd.DataFrame({"bin": bins[::2], "class": classes[::2]}).value_counts().reset_index()
    says = learned.drop_duplicates("bin").set_index("bin")["class"]
    usual = int(np.bincount(classes[::2]).argmax())
    truth = classes[1::2]
    if (truth != usual).sum() < FEWEST_OF_A_CLASS:
        return 0.0
    said = pd.Series(bins[1::2]).map(says).fillna(usual).to_numpy()
    return float(1 - (said != truth).sum() / (truth != usual).sum())


def _separates(values: pd.Series, classes: np.ndarray) -> bool:
    """Return whether numbers of one class lie nearly all above those of the other (ROC AUC)."""
    numbers = _numbers(values)
    if numbers is None or classes.max() != 1:
        return False
    present = numbers.notna().to_numpy()
    area = _area(numbers[present].to_numpy(), classes[present] == 1)
    if area is None or present.mean() < NEARLY_ALWAYS:
        return False
    return bool(abs(2 * area - 1) > NEARLY_ALWAYS)


def _explains(values: pd.Series, outcome: pd.Series) -> bool:
    numbers = _numbers(values)
    if numbers is None or numbers.nunique() < 2:
        return False
    pairs = pd.DataFrame({"value": numbers, "outcome": outcome}).dropna()
    if len(pairs) < FEWEST_ROWS or pairs["value"].nunique() < 2:
        return False
    # The correlation of the ranks finds what rises with it in whatever shape.
    straight = pairs["value"].corr(pairs["outcome"]) ** 2
    ranked = pairs["value"].rank().corr(pairs["outcome"].rank()) ** 2
    return bool(max(straight, ranked) > NEARLY_ALL)
