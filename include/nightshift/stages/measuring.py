"""What came of past predictions: read of the nights of which something changed, and taken over of the others."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift import train
from nightshift.calendar import DateRange
from nightshift.objects import sha256
from nightshift.platform import Platform, Try
from nightshift.platform.labels import keep_labels, table_of
from nightshift.records import features, monitoring
from nightshift.records.monitoring import Outcomes, Performance
from nightshift.score import CHAMPION_ARM, predicted
from nightshift.specs import Model, class_column
from nightshift.specs.tables import NO_CLASS
from nightshift.warehouse import Reading, Reported, Table, came_of, digests, prediction_table

Floats = NDArray[np.float64]
# With what follows, by what is measured: another number has all nights of the window measured anew, once.
FORMAT = 1


@dataclass(frozen=True)
class Window:
    """What a night knows of the nights before.

    ``inputs``: of each night and arm that was scored, the hash of what its performance is made of; None: not known.
    ``measured``: what was measured of it, as the night knows it. ``rows``: those of the nights to measure anew, with
    what came of them.
    """

    inputs: Mapping[tuple[date, str], str | None]
    measured: Mapping[tuple[date, str], Performance]
    rows: pd.DataFrame

    @property
    def champions(self) -> list[date]:
        """The nights that a champion was scored on."""
        return sorted(night for night, arm in self.inputs if arm == CHAMPION_ARM)


def look(
    platform: Platform, model: Model, nights: DateRange, batch_date: date, asked: Try, looked: set[date]
) -> Window:
    """Look at scored ``nights`` as ``batch_date`` knows them, and read those of which something changed.

    ``looked``: nights whose arrivals of labels are recorded: others are read in any case.
    """
    said, reported = _tables(platform, model, nights, batch_date, asked)
    of = {"model": model.name, "first": nights.first, "last": nights.last}
    with platform.warehouse.reading() as reading:
        batches = {(each.batch_date, each.arm): each for each in reading.all(features.SCORED_NIGHTS, **of)}
        inputs = {
            key: _inputs(model, batches.get(key), digest)
            for key, digest in digests(reading, said, reported, nights).items()
        }
        known = reading.all(monitoring.KNOWN_ON, known_on=batch_date, **of)
        measured = {(each.batch_date, each.arm): each for each in known}
        # What is kept of arrivals is the newest look's, which a night that is run again may not be.
        newest = {each.batch_date: each.inputs_sha256 for each in reading.all(monitoring.NEWEST_LOOKS, **of)}
        anew = {night for night, _ in inputs} - looked
        for (night, arm), sha in inputs.items():
            before = measured.get((night, arm))
            stands = before is not None and sha is not None and before.inputs_sha256 == sha
            if not stands or (arm == CHAMPION_ARM and newest.get(night) != sha):
                anew.add(night)
        rows = _rows(reading, model, said, reported, sorted(anew))
    return Window(inputs, measured, rows)


def pairs(model: Model, measured: Sequence[tuple[Performance, pd.DataFrame]]) -> list[Outcomes]:
    """Return what verdicts pool of the nights that were measured anew: the champions' rows."""
    return [
        Outcomes(
            model=model.name,
            batch_date=row.batch_date,
            known_on=row.known_on,
            inputs_sha256=row.inputs_sha256,
            outcomes=_npy(_pairs(model, part)),
        )
        for row, part in measured
        if row.arm == CHAMPION_ARM and row.inputs_sha256
    ]


def pooled(
    platform: Platform, model: Model, version: int, nights: Sequence[date], batch_date: date, asked: Try
) -> tuple[int, pd.DataFrame, Floats]:
    """Return what came of a version's ``nights``: how many rows were scored, their dates and labels, their scores.

    As it was measured; nights that have not been, or are kept no more, are read.
    """
    of = {"model": model.name, "version": version, "known_on": batch_date}
    found = platform.warehouse.all(monitoring.KEPT, first=nights[0], last=nights[-1], **of) if nights else []
    parts = {
        each.batch_date: (each.scored, np.load(io.BytesIO(each.outcomes), allow_pickle=False))
        for each in found
        if each.outcomes is not None and each.batch_date in set(nights)
    }
    others = {each.batch_date for each in found if each.model_version != version}
    if rest := [night for night in nights if night not in parts and night not in others]:
        span = DateRange(nights[0], nights[-1])
        said, reported = _tables(platform, model, span, batch_date, asked)
        with platform.warehouse.reading() as reading:
            rows = _rows(reading, model, said, reported, rest)
        mine = rows[(rows["model_version"] == version) & (rows["arm"] == CHAMPION_ARM)]
        parts |= {
            night: (len(part), _pairs(model, part))
            for night, part in mine.groupby(mine["batch_date"].dt.date)
        }
    width = 1 + max(len(model.classes), 1)
    all_rows = [parts[night][1] for night in sorted(parts)]
    every = np.concatenate(all_rows) if all_rows else np.empty((0, width))
    dates = np.repeat(pd.DatetimeIndex(sorted(parts)), [len(each) for each in all_rows])
    scores = every[:, 1:] if model.classes else every[:, 1]
    labelled = pd.DataFrame({"batch_date": dates, "label": every[:, 0]})
    return sum(scored for scored, _ in parts.values()), labelled, scores


def _tables(
    platform: Platform, model: Model, nights: DateRange, batch_date: date, asked: Try
) -> tuple[Table, Reported]:
    said = prediction_table(model, platform.project.feature_set(model.features))
    platform.warehouse.ensure(said)
    told = DateRange(nights.first, batch_date)
    keep_labels(platform, model, told, asked)
    return said, Reported(table_of(platform, model), told, platform.project.calendar.cutoff(batch_date))


def _rows(
    reading: Reading, model: Model, said: Table, reported: Reported, nights: Sequence[date]
) -> pd.DataFrame:
    columns = ["batch_date", "arm", "model_version", "prediction", *map(class_column, model.classes)]
    rows = came_of(reading, said, reported, nights, columns)
    train.require_classes(model, rows[NO_CLASS])
    return rows


def _pairs(model: Model, part: pd.DataFrame) -> Floats:
    """Return the rows of ``part`` that have a label as (n, 1 + scores): the label, then what was said."""
    known = part[part["label"].notna()]
    # Of how many scores a row has, a night without any label says nothing.
    said = predicted(known, model.classes).reshape(len(known), max(len(model.classes), 1))
    return np.column_stack([known["label"].to_numpy(dtype="float64"), said])


def _npy(pairs: Floats) -> bytes:
    sink = io.BytesIO()
    np.save(sink, pairs, allow_pickle=False)
    return sink.getvalue()


def _inputs(model: Model, batch: features.PredictionBatch | None, digest: str) -> str | None:
    if batch is None:  # scored before this was recorded
        return None
    # What is kept of a night has its labels and its scores by the order of the classes.
    made_of = [FORMAT, model.kind, batch.model_version, batch.scored_at.isoformat(), digest, *model.classes]
    return sha256(json.dumps(made_of).encode())
