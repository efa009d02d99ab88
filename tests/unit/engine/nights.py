"""A night of several blocks, and one version that is to say something of it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from toys import feature_set, rows, spec

from nightshift import artifacts, train
from nightshift.artifacts import Stored
from nightshift.engine.job import BLOCK_ROWS, Job
from nightshift.monitor.profile import build_profile
from nightshift.monitor.sketches import prediction_edges
from nightshift.records.features import Recalibration
from nightshift.specs import NOTHING, class_column
from nightshift.specs.model import Drift
from nightshift.types import to_arrow, to_frame
from nightshift.warehouse.database import in_blocks

ROWS = BLOCK_ROWS + 50_001
NIGHT = date(2013, 2, 1)
# A linear model's last bit depends on what is predicted together.
ESTIMATORS = {
    "classification": "sklearn.linear_model.LogisticRegression",
    "multiclass": "sklearn.linear_model.LogisticRegression",
    "regression": "sklearn.linear_model.Ridge",
}
KEPT = {"batch_date": "date", "id": "string", "prediction": "float"}
TYPES = {"batch_date": "date", "id": "string", **feature_set().columns}


@dataclass(frozen=True)
class Night:
    """A night of several blocks, and what one version is to say of it."""

    frame: pd.DataFrame
    job: Job
    pipeline: Any

    @property
    def blocks(self) -> list[pa.Table]:
        return list(in_blocks(to_arrow(self.frame, TYPES).to_batches(max_chunksize=57_431), BLOCK_ROWS))


def made(kind: str, folder: Path) -> Night:
    learned = rows(kind)
    model = spec(kind, ESTIMATORS[kind], {})
    pipeline = train.fit(model, feature_set(), learned, learned["label"])
    drawn = learned.sample(ROWS, replace=True, random_state=1).drop(columns="label")
    drawn = drawn.assign(batch_date=pd.Timestamp(NIGHT), id=[f"{n:07}" for n in range(ROWS)])
    drawn["a"] += np.random.default_rng(2).normal(size=ROWS)
    names = model.classes or ("prediction",)
    said = train.predict(pipeline, learned, model.classes)
    importance = dict.fromkeys(feature_set().columns, 1.0)
    profile = build_profile(
        learned[list(importance)], said, learned["batch_date"], importance, Drift(), classes=model.classes
    )
    job = Job(
        model=model,
        stored=stored(pipeline, folder),
        columns={
            **KEPT,
            **({"prediction": "string"} if model.classes else {}),
            **dict.fromkeys(map(class_column, model.classes), "float"),
        },
        keys=("batch_date", "id"),
        profile=profile,
        edges=prediction_edges(names, -5.0, 5.0),
        by=Recalibration(dict.fromkeys(names, 0.25), 3, 900),
    )
    return Night(to_frame(to_arrow(drawn, TYPES)), job, pipeline)


def stored(pipeline: Any, folder: Path) -> Stored:
    content = artifacts.written(pipeline)
    file = folder / "model.skops"
    file.write_bytes(content)
    return Stored("model 'toy', version 1", file, artifacts.seal(content), NOTHING)
