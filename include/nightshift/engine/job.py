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
    """What is said of a block: rows with their keys, their sketch, and their counts, None where they do not fit."""

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

    def work(self, block: pa.Table) -> Said:
        """Return what is said of the rows of a block.

        Raises:
            ValueError: a prediction is not a finite number.
        """
        features, classes = to_frame(block), self.model.classes
        said = score.said(features, self.predict, classes)
        rows = score.rows_of(features[list(self.keys)], moved_by(self.model, said, self.by), classes)
        return Said(to_arrow(rows, self.columns), self._sketch(rows), self._counted(features, said))

    def _sketch(self, rows: pd.DataFrame) -> Sketch:
        names = [column.name for column in self.edges.columns]
        values = score.predicted(rows, names if len(names) > 1 else ()).reshape(len(rows), -1)
        return sketch(pd.DataFrame(values, columns=names), self.edges)

    def _counted(self, features: pd.DataFrame, said: np.ndarray) -> Counted | None:
        """Return the counts in the bins of the profile: by what the version says itself."""
        profile, classes = self.profile, self.model.classes
        if profile is None or not set(profile.classes) <= set(classes):
            return None
        if profile.classes:
            said = said[:, [classes.index(name) for name in profile.classes]]
        try:
            return counted(profile, features, said)
        except SchemaMismatch:
            return None
