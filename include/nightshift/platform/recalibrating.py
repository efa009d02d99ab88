"""The offsets of nights: what a version has said is stored, what came true is known by a night's cut-off."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift import train
from nightshift.calendar import DateRange
from nightshift.platform.faults import faulty_nights
from nightshift.platform.handles import Platform
from nightshift.platform.labels import ensure_reports, read_reports
from nightshift.records import features
from nightshift.records.features import Recalibration
from nightshift.score import CHAMPION_ARM, Predict, predicted
from nightshift.score.recalibration import ONE, Offset, moved_by, offset, offsets, undone, window, words
from nightshift.specs import Model
from nightshift.specs.tables import LABEL
from nightshift.warehouse import Reading, prediction_table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """What a version said of a night by itself: the entities, (n, keys), and the scores, (n,) or (n, classes)."""

    version: int
    entities: pd.DataFrame
    scores: Floats


@dataclass(frozen=True)
class Past:
    """What champions said of the nights before, without their offsets, and all reports of what came true.

    Scored in their order, each night is added; so a range comes to what its nights come to one at a time.
    """

    platform: Platform
    model: Model
    said: dict[date, Said]
    reported: pd.DataFrame
    faulty: set[date]

    def recalibration(self, night: date, version: int) -> Recalibration:
        """Return by what a version's predictions of a night are moved: by nights of its own that are sound."""
        seen = window(self.model, night)
        own = {
            day: said
            for day, said in self.said.items()
            if seen.first <= day <= seen.last and said.version == version and day not in self.faulty
        }
        truth = self._matched(list(own.values()), self._labels(night)) if own else []
        found = offset(self.model, [(o.scores, true) for o, true in zip(own.values(), truth, strict=True)])
        names = self.model.classes or ONE
        return Recalibration(dict(zip(names, found.values, strict=True)), found.nights, found.labels)

    def add(self, night: date, version: int, served: pd.DataFrame, by: Recalibration) -> None:
        """Add what was served of a night, as it will be read when it is stored."""
        self.said[night] = _said(self.platform, self.model, version, served, by)

    def _labels(self, night: date) -> pd.DataFrame:
        """Return the labels known at the night's cut-off. One that is no class is for a training to refuse."""
        first = pd.Timestamp(window(self.model, night).first)
        reported = self.reported[self.reported["batch_date"].between(first, pd.Timestamp(night))]
        cutoff = pd.Timestamp(self.platform.project.calendar.cutoff(night))
        return train.labels(self.model, reported, self._entity, cutoff, learned=False)

    def _matched(self, own: list[Said], labels: pd.DataFrame) -> list[Floats]:
        """Return the label of each row of each night, NaN where it has none: one join of all is many times as fast."""
        rows = pd.concat([said.entities for said in own], ignore_index=True)
        found = rows.merge(labels, on=self._entity, how="left", validate="many_to_one")
        ends = np.cumsum([len(said.entities) for said in own])
        return np.split(found[LABEL].to_numpy(dtype="float64"), ends[:-1])

    @property
    def _entity(self) -> list[str]:
        return self.platform.project.feature_set(self.model.features).entity


def past_of(
    reading: Reading, platform: Platform, model: Model, nights: DateRange, arm: str = CHAMPION_ARM
) -> Past | None:
    """Return what the offsets of ``nights`` follow from; None where the model is not recalibrated.

    ``arm``: whose nights count, where there are any; else the champion's.
    """
    if model.recalibrate is None:
        return None
    feature_set = platform.project.feature_set(model.features)
    before = DateRange(window(model, nights.first).first, nights.first - timedelta(days=1))
    rows = reading.read(prediction_table(model, feature_set), before.first, before.last)
    reported = read_reports(reading, platform, model, before.first, nights.last)
    batches = reading.all(
        features.PREDICTED_NIGHTS, model=model.name, arm=arm, first=before.first, last=before.last
    )
    by = {batch.batch_date: batch for batch in batches}
    said = {
        night: _said(
            platform,
            model,
            by[night].model_version,
            part[part["arm"] == by[night].arm],
            by[night].recalibration,
        )
        for night, part in rows.groupby(rows["batch_date"].dt.date)
        if night in by
    }
    faulty = faulty_nights(reading, feature_set, DateRange(before.first, nights.last))
    return Past(platform, model, said, reported, faulty)


def ensure_past(platform: Platform, model: Model) -> None:
    """Create the tables that offsets follow from, where there are none yet."""
    if model.recalibrate:
        ensure_reports(platform, model)
        platform.warehouse.ensure(prediction_table(model, platform.project.feature_set(model.features)))


def stored(platform: Platform, model: Model, night: date, version: int) -> Recalibration | None:
    """Return what a night's predictions by this version were moved by; of a night that is not scored, what would."""
    batch = platform.warehouse.one(features.PREDICTED, model=model.name, batch_date=night)
    if batch and batch.model_version == version:
        return batch.recalibration
    ensure_past(platform, model)
    with platform.warehouse.reading() as reading:
        past = past_of(reading, platform, model, DateRange(night, night))
    return past.recalibration(night, version) if past else None


def recalibrated(model: Model, predict: Predict, by: Recalibration | None) -> Predict:
    """Return the prediction function whose scores are moved by what was found for a night."""
    return lambda rows: moved_by(model, predict(rows), by)


def told(model: Model, by: Recalibration | None) -> str:
    """Return in words what a night was moved by."""
    return words(model, Offset(offsets(model, by), by.nights, by.labels) if by else None)


def _said(
    platform: Platform, model: Model, version: int, rows: pd.DataFrame, by: Recalibration | None
) -> Said:
    entity = platform.project.feature_set(model.features).entity
    scores = predicted(rows, model.classes)
    return Said(version, rows[entity], undone(model.kind, scores, offsets(model, by)) if by else scores)
