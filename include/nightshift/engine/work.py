"""A job done, a block at a time: whoever does it comes to the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from nightshift import score
from nightshift.artifacts import Stored
from nightshift.engine.job import Job
from nightshift.errors import SchemaMismatch
from nightshift.monitor.profile import counted
from nightshift.monitor.sketches import sketch
from nightshift.records.sketches import Counted, Sketch
from nightshift.score.recalibration import moved_by
from nightshift.train.fitting import predict
from nightshift.types import to_arrow, to_frame


@dataclass(frozen=True)
class Said:
    """A block as a frame, and what a version says of its rows by itself: (n,) or (n, classes)."""

    features: pd.DataFrame
    scores: np.ndarray


@dataclass(frozen=True)
class Served:
    """What is served of a block: rows with their keys, their sketch, and their counts, None where they do not fit."""

    rows: pa.Table
    sketch: Sketch
    counted: Counted | None


# Once for all nights and blocks of a version; its path is the task's own, so each task checks it.
@lru_cache(2)
def _pipeline(stored: Stored) -> Any:
    return stored.opened()


def said(job: Job, block: pa.Table) -> Said:
    """Return what the version says of a block.

    Raises:
        ArtifactRefused: its file is not the one that was registered.
    """
    features, classes = to_frame(block), job.model.classes
    pipeline = _pipeline(job.stored)
    return Said(features, score.said(features, lambda rows: predict(pipeline, rows, classes), classes))


def served(job: Job, said: Said) -> Served:
    """Return what is served of a block.

    Raises:
        ValueError: a prediction is not a finite number.
    """
    scores = moved_by(job.model, said.scores, job.by)
    rows = score.rows_of(said.features[list(job.keys)], scores, job.model.classes)
    return Served(to_arrow(rows, job.columns), _sketch(job, rows), _counted(job, said))


def _sketch(job: Job, rows: pd.DataFrame) -> Sketch:
    names = [column.name for column in job.edges.columns]
    if len(names) == 1:
        return sketch(pd.DataFrame({names[0]: score.predicted(rows)}), job.edges)
    said = score.predicted(rows, job.model.classes)
    return sketch(pd.DataFrame(_of_each(said, job.model.classes, names), columns=names), job.edges)


def _counted(job: Job, said: Said) -> Counted | None:
    """Return the counts in the bins of the profile: by what the version says itself."""
    if job.profile is None:
        return None
    scores = said.scores
    if job.profile.classes:
        scores = _of_each(scores, job.model.classes, job.profile.classes)
    try:
        return counted(job.profile, said.features, scores)
    except SchemaMismatch:
        return None


def _of_each(scores: np.ndarray, classes: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return P(class) of each of ``wanted``, (n, wanted).

    One that is declared no more has 0: a version that was fitted on a row of it is refused before.
    """
    found = np.zeros((len(scores), len(wanted)))
    for number, name in enumerate(wanted):
        if name in classes:
            found[:, number] = scores[:, classes.index(name)]
    return found
