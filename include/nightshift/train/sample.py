"""Which rows a training has: enough, and of those to fit on the same ones whenever it is asked, in any order."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from nightshift.errors import NotReady
from nightshift.specs import Model, Train
from nightshift.train.dates import TrainingDates


def require_enough(
    model: Model,
    rows: pd.DataFrame,
    dates: TrainingDates,
    as_of: date,
    labelled: int,
    left_out: Sequence[str] = (),
) -> int:
    """Return how many rows are held out. Raises NotReady if they, or those to fit on, are too few or all alike.

    ``rows``: those that are kept of so many ``labelled`` ones, the holdout's among both. ``left_out``: in words, nights
    that neither have rows of.
    """
    later = rows["batch_date"] >= pd.Timestamp(dates.holdout_first)
    held_out, drawn_of = int(later.sum()), ""
    if labelled > len(rows):
        drawn_of = f", {len(rows) - held_out:,} kept of {labelled - held_out:,}"
    if held_out and labelled - held_out >= model.train.min_rows > len(rows) - held_out:
        raise NotReady(
            f"model '{model.name}' as of {as_of}: of {labelled - held_out:,} labelled rows in {dates.train_first}.."
            f"{dates.train_last} train.half_life_days: {model.train.half_life_days} keeps {len(rows) - held_out:,}, "
            f"fewer than train.min_rows: {model.train.min_rows:,}; give more days, or fewer rows"
        )
    if len(rows) - held_out < model.train.min_rows or not held_out:
        raise NotReady(
            f"model '{model.name}' as of {as_of}: {len(rows) - held_out} labelled rows in {dates.train_first}.."
            f"{dates.train_last} (train.min_rows: {model.train.min_rows}), {held_out} in the holdout; "
            f"run features_{model.features} for these nights, or, if they are built, train as of a later one"
            + "".join(f"; left out is {each}" for each in left_out)
        )
    _require_difference(
        model, rows[~later]["label"], f"to fit on{drawn_of}", dates.train_first, dates.train_last
    )
    _require_difference(model, rows[later]["label"], "held out", dates.holdout_first, dates.holdout_last)
    return held_out


def _require_difference(model: Model, label: pd.Series, what: str, first: date, last: date) -> None:
    """Raise NotReady if all labels are of one class: there is nothing to tell apart, and no gate could judge it."""
    if model.target is None or model.kind == "regression" or label.nunique() > 1:
        return
    number, target = int(label.iloc[0]), model.truth
    only = f"'{model.classes[number]}'" if model.classes else f"{number} ({target.rule}: {bool(number)})"
    raise NotReady(
        f"model '{model.name}': all {len(label)} labels {what}, {first}..{last}, are {only}. More nights may have "
        f"others (train.window_days: {model.train.window_days}, holdout_days: {model.train.holdout_days}), or train as "
        f"of a later night; if the column never says anything else, look at key 'target.{target.form}'"
    )


def sampled(train: Train, rows: pd.DataFrame, dates: TrainingDates, entity: list[str]) -> pd.DataFrame:
    """Return labelled rows, (n, columns), without those to fit on that are not kept; the holdout is kept whole."""
    return drawn(train, rows, dates.train_last, entity)


def drawn(train: Train, rows: pd.DataFrame, last: date, entity: list[str]) -> pd.DataFrame:
    """Return the rows that are kept of those up to ``last``, and all later ones. Of what is drawn, the same are drawn.

    Each row has a number between 0 and 1, the hash of its entity, and a weight, ``0.5 ** (age / half_life_days)``.
    Those are kept whose number / weight is below 1, and of these the ``max_rows`` lowest.

    Source: Ohlsson 1998, "Sequential Poisson sampling", Journal of Official Statistics 14(2).
    """
    fitted = (rows["batch_date"] <= pd.Timestamp(last)).to_numpy()
    if train.half_life_days is None and fitted.sum() <= train.max_rows:
        return rows
    number = pd.util.hash_pandas_object(rows[entity], index=False).to_numpy() / 2.0**64
    weight = 1.0
    if train.half_life_days:
        age = (pd.Timestamp(last) - rows["batch_date"]).dt.days.to_numpy()
        weight = 0.5 ** (age / train.half_life_days)
    score = np.where(fitted, number / weight, np.inf)
    most = min(train.max_rows, int((score < 1).sum()))
    kept = ~fitted
    kept[np.argsort(score, kind="stable")[:most]] = True
    return rows[kept]
