"""Which of the rows to fit on a training keeps: the same ones whenever it is asked, in whatever order they come."""

import numpy as np
import pandas as pd

from nightshift.specs import Train
from nightshift.train.dates import TrainingDates


def sampled(train: Train, rows: pd.DataFrame, dates: TrainingDates, entity: list[str]) -> pd.DataFrame:
    """Return labelled rows, (n, columns), without those to fit on that are not kept; the holdout is kept whole.

    Each row has a number between 0 and 1, the hash of its entity, and a weight, ``0.5 ** (age / half_life_days)``.
    Those are kept whose number / weight is below 1, and of these the ``max_rows`` lowest.

    Source: Ohlsson 1998, "Sequential Poisson sampling", Journal of Official Statistics 14(2).
    """
    fitted = (rows["batch_date"] <= pd.Timestamp(dates.train_last)).to_numpy()
    if train.half_life_days is None and fitted.sum() <= train.max_rows:
        return rows
    number = pd.util.hash_pandas_object(rows[entity], index=False).to_numpy() / 2.0**64
    weight = 1.0
    if train.half_life_days:
        age = (pd.Timestamp(dates.train_last) - rows["batch_date"]).dt.days.to_numpy()
        weight = 0.5 ** (age / train.half_life_days)
    score = np.where(fitted, number / weight, np.inf)
    most = min(train.max_rows, int((score < 1).sum()))
    kept = ~fitted
    kept[np.argsort(score, kind="stable")[:most]] = True
    return rows[kept]
