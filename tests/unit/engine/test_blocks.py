"""A night in blocks: to the bit what it is in one frame, in files that repeat, with counts that sum."""

from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from toys import TARGETS, feature_set, rows, spec

from nightshift import engine, score, train
from nightshift.engine import BLOCK_ROWS, Job
from nightshift.monitor.profile import build_profile, counted
from nightshift.monitor.sketches import prediction_edges, sketch
from nightshift.records.features import Recalibration
from nightshift.score.recalibration import shifted
from nightshift.specs import class_column
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

    @property
    def blocks(self) -> list[pa.Table]:
        return list(in_blocks(to_arrow(self.frame, TYPES).to_batches(max_chunksize=57_431), BLOCK_ROWS))


@pytest.fixture(scope="module", params=TARGETS)
def night(request: pytest.FixtureRequest) -> Night:
    kind, learned = request.param, rows(request.param)
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
        predict=lambda features: train.predict(pipeline, features, model.classes),
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
    return Night(to_frame(to_arrow(drawn, TYPES)), job)


def test_a_night_in_blocks_is_to_the_bit_what_it_is_in_one_frame(night: Night, tmp_path: Path) -> None:
    job, classes = night.job, night.job.model.classes
    receipts = engine.run(job, iter(night.blocks), tmp_path)
    said = score.said(night.frame, job.predict, classes)
    served = shifted(job.model.kind, said, [0.25] * (len(classes) or 1))
    whole = score.rows_of(night.frame[["batch_date", "id"]], served, classes)
    pd.testing.assert_frame_equal(
        engine.read(receipts), to_frame(to_arrow(whole, job.columns)), check_exact=True
    )
    assert [receipt.rows for receipt in receipts] == [BLOCK_ROWS, 50_001]
    names = [column.name for column in job.edges.columns]
    values = pd.DataFrame(score.predicted(whole, classes).reshape(ROWS, -1), columns=names)
    assert engine.summed(receipts, job.edges, job.profile) == (
        sketch(values, job.edges),
        counted(job.profile, night.frame, said),
    )


def test_a_block_worked_on_again_is_the_same_file_and_receipt(night: Night, tmp_path: Path) -> None:
    first, again = (engine.run(night.job, iter(night.blocks[1:]), tmp_path) for _ in range(2))
    assert first == again
    assert list(tmp_path.iterdir()) == [first[0].file]


def test_rows_come_in_the_order_of_their_receipts_with_what_they_have_alike(
    night: Night, tmp_path: Path
) -> None:
    receipts = engine.run(night.job, iter(night.blocks), tmp_path)
    schema = pa.schema([("id", pa.string()), ("model_version", pa.int64()), ("arm", pa.string())])
    pieces = list(engine.pieces(receipts, schema, 20_000, model_version=7, arm="champion"))
    assert max(piece.num_rows for piece in pieces) == 20_000
    whole = pa.Table.from_batches(pieces)
    assert whole["id"].to_pylist() == list(night.frame["id"])
    assert set(whole["model_version"].to_pylist()) == {7}
    assert set(whole["arm"].to_pylist()) == {"champion"}


def test_a_night_whose_rows_do_not_fit_the_profile_has_no_counts(night: Night, tmp_path: Path) -> None:
    wants = night.job.profile.features[0].model_copy(update={"name": "gone"})
    strange = night.job.profile.model_copy(update={"features": (wants,)})
    receipts = engine.run(replace(night.job, profile=strange), iter(night.blocks[1:]), tmp_path)
    assert engine.summed(receipts, night.job.edges, strange)[1] is None


def test_an_error_in_a_block_ends_the_run_and_closes_what_is_read(night: Night, tmp_path: Path) -> None:
    closed = []

    def blocks():
        try:
            yield from night.blocks
        finally:
            closed.append(True)

    broken = replace(night.job, predict=lambda features: night.job.predict(features) * np.nan, by=None)
    reading = blocks()
    with pytest.raises(ValueError, match="are not finite numbers"):
        engine.run(broken, reading, tmp_path)
    reading.close()  # nobody reads any more
    assert closed == [True]


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 3, 1], [7], [2, 5], [0, 4, 0, 3], []])
def test_blocks_do_not_depend_on_where_batches_end(sizes: list[int]) -> None:
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    numbers = pa.RecordBatch.from_pydict({"n": list(range(sum(sizes)))})
    batches = [numbers.slice(first, last - first) for first, last in pairwise(ends)]
    found = [block["n"].to_pylist() for block in in_blocks(batches, 3)]
    assert found == ([[0, 1, 2], [3, 4, 5], [6]] if sizes else [])
