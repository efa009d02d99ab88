"""Labels: the truth as it was known at a given time."""

import pandas as pd

from nightshift.specs import Model

LABEL = "label"


def labels(model: Model, truth: pd.DataFrame, entity: list[str], known_by: pd.Timestamp) -> pd.DataFrame:
    """Return ``entity`` and ``label`` (float) for every row of ``truth`` whose outcome was known by then.

    The last report counts: a correction replaces what it corrects. Rows whose outcome is null (a flight
    that never arrived) have no label.
    """
    known = truth[truth["known_at"] <= known_by].sort_values("known_at", kind="stable")
    # Entities are text: a source may well keep a day as a date and a shop's number as an integer.
    known = known.assign(**{name: known[name].astype("str") for name in entity})
    known = known.drop_duplicates(entity, keep="last")
    outcome = known[model.target.column].astype("float64")
    if model.target.above is not None:
        outcome = (outcome > model.target.above).astype("float64").where(outcome.notna())
    return known[entity].assign(**{LABEL: outcome}).dropna(subset=[LABEL])


def labelled(features: pd.DataFrame, truth: pd.DataFrame, entity: list[str]) -> pd.DataFrame:
    """Return the feature rows that have a label, in the order of ``features``."""
    return features.merge(truth, on=entity, how="inner", validate="one_to_one")
