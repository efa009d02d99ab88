"""Which rows of a holdout a version was fitted on. Nights do not tell: a correction may move an event to another."""

from datetime import date

import pandas as pd

from nightshift.govern import Candidate
from nightshift.platform.frozen import read_snapshot
from nightshift.platform.handles import Platform
from nightshift.platform.papers import version_row
from nightshift.specs import Model


def by_champion(platform: Platform, model: Model, number: int, holdout: pd.DataFrame) -> Candidate:
    """Return what a version that serves has seen of a holdout; of a refit, its snapshot's holdout is among it."""
    version = version_row(platform, model.name, number)
    frozen, rows = read_snapshot(platform, version.snapshot_id)
    # What an imported version was trained on may end before the rows to fit on of its snapshot do.
    until = version.train_last if version.brought else frozen.train_last
    fitted = rows if version.refit else rows[rows["batch_date"] <= pd.Timestamp(until)]
    return seen(number, version.trained_until, fitted, holdout, identity(platform, model))


def identity(platform: Platform, model: Model) -> list[str]:
    """Return the columns that tell one row from another: an entity has one label. Without any it has a row a night."""
    entity = platform.project.feature_set(model.features).entity
    return entity if model.target else ["batch_date", *entity]


def seen(
    version: int, until: date, fitted: pd.DataFrame, holdout: pd.DataFrame, columns: list[str]
) -> Candidate:
    """Return a version that was fitted on rows up to ``until``, with how many of the holdout's are among them.

    ``columns``: as :func:`identity` returns them.
    """
    if not set(columns) <= set(fitted.columns):
        return Candidate(version, until)  # trained for another entity: none of its rows is one of these
    known = pd.MultiIndex.from_frame(fitted[columns].astype("str"))
    among = pd.MultiIndex.from_frame(holdout[columns].astype("str")).isin(known)
    nights = holdout.loc[among, "batch_date"]
    return Candidate(version, until, int(among.sum()), None if nights.empty else nights.max().date())
