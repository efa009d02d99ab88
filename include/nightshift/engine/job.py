"""One version over one night: all that is needed beside the rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from nightshift import score
from nightshift.errors import SchemaMismatch
from nightshift.monitor.profile import counted
from nightshift.monitor.sketches import sketch
from nightshift.platform.recalibrating import moved_by
from nightshift.records.features import Recalibration
from nightshift.records.profile import Profile
from nightshift.records.sketches import Counted, Edges, Sketch
from nightshift.specs import Model
from nightshift.types import to_arrow, to_frame

BLOCK_ROWS = score.CHUNK_ROWS


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


@dataclass(frozen=True)
class Job:
    """``columns``: those that are kept of a row, with their declared types. ``by``: what moves the night."""

    model: Model
    predict: score.Predict
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    profile: Profile | None
    edges: Edges
    by: Recalibration | None = None

    def said(self, block: pa.Table) -> Said:
        """Return what the version says of a block."""
        features = to_frame(block)
        return Said(features, score.said(features, self.predict, self.model.classes))

    def served(self, said: Said) -> Served:
        """Return what is served of a block.

        Raises:
            ValueError: a prediction is not a finite number.
        """
        scores = moved_by(self.model, said.scores, self.by)
        rows = score.rows_of(said.features[list(self.keys)], scores, self.model.classes)
        counts = self._counted(said.features, said.scores)
        return Served(to_arrow(rows, self.columns), self._sketch(rows), counts)

    def _sketch(self, rows: pd.DataFrame) -> Sketch:
        names = [column.name for column in self.edges.columns]
        values = score.predicted(rows, names if len(names) > 1 else ()).reshape(len(rows), -1)
        return sketch(pd.DataFrame(values, columns=names), self.edges)

    def _counted(self, features: pd.DataFrame, scores: np.ndarray) -> Counted | None:
        """Return the counts in the bins of the profile: by what the version says itself."""
        profile, classes = self.profile, self.model.classes
        if profile is None or not set(profile.classes) <= set(classes):
            return None
        if profile.classes:
            scores = scores[:, [classes.index(name) for name in profile.classes]]
        try:
            return counted(profile, features, scores)
        except SchemaMismatch:
            return None
