"""What models see: the features of nights, and labels as they were known at a cut-off; and where they answer."""

from collections.abc import Iterable, Sequence
from datetime import date

import pandas as pd

from nightshift import train
from nightshift.calendar import DateRange
from nightshift.errors import NotReady, RunStage, Subject
from nightshift.platform.handles import Platform
from nightshift.platform.labels import ensure_reports, read_reports
from nightshift.score import CHAMPION_ARM
from nightshift.specs import Model
from nightshift.warehouse import Reading, Table, feature_table, raw_table


def read_features(reading: Reading, platform: Platform, model: Model, nights: DateRange) -> pd.DataFrame:
    """Return the model's feature rows of ``nights``. Raises NotReady naming the nights that have none."""
    table = feature_table(platform.project.feature_set(model.features))
    features = reading.read(table, nights.first, nights.last)
    _require(model, nights.dates, features["batch_date"].dt.date)
    return features


def require_features(reading: Reading, platform: Platform, model: Model, nights: Sequence[date]) -> None:
    """Raise NotReady naming those of ``nights``, ascending, of which the model has no feature rows."""
    table = feature_table(platform.project.feature_set(model.features))
    _require(model, nights, reading.dates(table, nights[0], nights[-1]))


def _require(model: Model, nights: Iterable[date], there: Iterable[date]) -> None:
    if missing := sorted(set(nights) - set(there)):
        raise NotReady(
            "has no partition",
            subject=Subject("feature set", model.features),
            nights=missing,
            remedy=RunStage("features", model.features),
        )


def read_labels(platform: Platform, model: Model, first: date, as_of: date) -> pd.DataFrame:
    """Return the labels of entities of ``first`` .. ``as_of`` as they were known at the cut-off of ``as_of``."""
    ensure_reports(platform, model)
    with platform.warehouse.reading() as reading:
        reported = read_reports(reading, platform, model, first, as_of)
    return train.labels(model, reported, *_known(platform, model, as_of))


def _known(platform: Platform, model: Model, as_of: date) -> tuple[list[str], pd.Timestamp]:
    """Return what labels are joined on, and by when they must be known."""
    entity = platform.project.feature_set(model.features).entity
    return entity, pd.Timestamp(platform.project.calendar.cutoff(as_of))


def known_labels(
    reading: Reading, platform: Platform, model: Model, first: date, as_of: date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the same labels, to learn from, and the reports behind them: those that were known by then.

    Raises:
        SpecError: a text of the target is hardly ever reported, and oftener in another spelling.
    """
    entity, known_by = _known(platform, model, as_of)
    if train.texts(model):
        raw = raw_table(platform.project.source(model.truth.source))
        spelled = raw.narrowed(["batch_date", "known_at", model.truth.column])
        train.require_spelled(model, reading.read(spelled, first, as_of), known_by)
    reported = read_reports(reading, platform, model, first, as_of)
    reported = reported[reported["known_at"] <= known_by]
    return train.labels(model, reported, entity, known_by), reported


def ensure_predictions(platform: Platform, table: Table) -> None:
    """Create the model's table and the view its consumers read: the champion's rows only."""
    platform.warehouse.ensure(table)
    platform.warehouse.ensure_view(table, CHAMPION_ARM)
