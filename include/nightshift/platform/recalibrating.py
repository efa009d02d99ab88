"""The offsets of nights: what a version has said is stored, what came true is known by a night's cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift import train
from nightshift.calendar import DateRange
from nightshift.monitor.maturity import AT_LAST, measure, provisional
from nightshift.platform.faults import faulty_nights
from nightshift.platform.handles import Platform
from nightshift.platform.labels import ensure_reports, looked_at_night, read_reports
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

    ``older``: the entities of nights before these; how soon their labels came says what is usual. Scored in their
    order, each night is added; so a range comes to what its nights come to one at a time.
    """

    platform: Platform
    model: Model
    said: dict[date, Said]
    older: dict[date, pd.DataFrame]
    reported: pd.DataFrame
    faulty: set[date]

    def recalibration(self, night: date, version: int) -> Recalibration:
        """Return by what a version's predictions of a night are moved: by nights of its own, sound and complete."""
        seen = window(self.model, night)
        own = {
            day: said
            for day, said in self.said.items()
            if seen.first <= day <= seen.last and said.version == version and day not in self.faulty
        }
        came = self._came(night) if own else {}
        complete = came.keys() - self._provisional(night, came).keys()
        final = {day: said.scores for day, said in own.items() if day in complete}
        found = offset(
            self.model,
            [(scores, came[day][LABEL].to_numpy(dtype="float64")) for day, scores in final.items()],
        )
        names = self.model.classes or ONE
        return Recalibration(dict(zip(names, found.values, strict=True)), found.nights, found.labels)

    def add(self, night: date, version: int, served: pd.DataFrame, by: Recalibration) -> None:
        """Add what was served of a night, as it will be read when it is stored."""
        self.said[night] = _said(self.platform, self.model, version, served, by)

    def _came(self, night: date) -> dict[date, pd.DataFrame]:
        """Return what came of each row of the nights before, as it is known at the night's cut-off.

        One join of all nights is many times as fast.
        """
        looked = _looked_at(self.model, night)
        every = self.older | {day: said.entities for day, said in self.said.items()}
        nights = sorted(day for day in every if looked.first <= day <= looked.last and len(every[day]))
        if not nights:
            return {}
        reported = self.reported[
            self.reported["batch_date"].between(pd.Timestamp(looked.first), pd.Timestamp(night))
        ]
        cutoff = pd.Timestamp(self.platform.project.calendar.cutoff(night))
        rows = pd.concat([every[day] for day in nights], ignore_index=True)
        found = rows.merge(
            train.came(reported, self._entity, cutoff), on=self._entity, how="left", validate="many_to_one"
        )
        ends = np.cumsum([len(every[day]) for day in nights])
        return {day: found.iloc[end - len(every[day]) : end] for day, end in zip(nights, ends, strict=True)}

    def _provisional(self, night: date, came: dict[date, pd.DataFrame]) -> dict[date, str]:
        """Return the nights that lack labels at the night's cut-off: of the reports themselves.

        What monitoring recorded of them says the same, once it has run; this is asked before.
        """
        looked = [
            looked_at_night(self.platform.project.calendar, day, rows, night) for day, rows in came.items()
        ]
        return provisional(looked, measure(looked, self.model.matures_after_days), night)

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
    table = prediction_table(model, feature_set)
    before = DateRange(window(model, nights.first).first, nights.first - timedelta(days=1))
    first = _looked_at(model, nights.first).first
    rows = reading.read(table, before.first, before.last)
    keys = reading.read(table.narrowed(table.key), first, before.first - timedelta(days=1))
    reported = read_reports(reading, platform, model, first, nights.last)
    batches = reading.all(features.PREDICTED_NIGHTS, model=model.name, arm=arm, first=first, last=before.last)
    by = {batch.batch_date: batch for batch in batches}
    said = {
        night: _said(platform, model, by[night].model_version, part, by[night].recalibration)
        for night, part in _of_arms(rows, by).items()
    }
    older = {night: part[feature_set.entity] for night, part in _of_arms(keys, by).items()}
    faulty = faulty_nights(reading, feature_set, DateRange(before.first, nights.last))
    return Past(platform, model, said, older, reported, faulty)


def _looked_at(model: Model, night: date) -> DateRange:
    """Return the nights whose labels the offset of ``night`` looks at: also of its oldest it knows what was usual."""
    seen = window(model, night)
    return DateRange(seen.first - timedelta(days=AT_LAST), seen.last)


def _of_arms(rows: pd.DataFrame, by: Mapping[date, features.PredictionBatch]) -> dict[date, pd.DataFrame]:
    """Return the rows of each night that are of its batch's arm."""
    nights = rows.groupby(rows["batch_date"].dt.date)
    return {night: part[part["arm"] == by[night].arm] for night, part in nights if night in by}


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
