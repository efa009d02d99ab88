"""A night in blocks: to the bit what it is in one frame, in files that repeat, with counts that sum."""

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from nights import ROWS, Night, stored

from nightshift import score, train
from nightshift.engine.here import run
from nightshift.engine.job import BLOCK_ROWS
from nightshift.engine.receipts import pieces, read, summed
from nightshift.errors import ArtifactRefused, SchemaMismatch, Unreconciled
from nightshift.monitor.profile import counted
from nightshift.monitor.sketches import sketch
from nightshift.score.recalibration import shifted
from nightshift.specs import class_column
from nightshift.stages.score import _require_whole
from nightshift.types import to_arrow, to_frame
from nightshift.warehouse import Table
from nightshift.warehouse.database import in_blocks


def test_a_night_in_blocks_is_to_the_bit_what_it_is_in_one_frame(night: Night, tmp_path: Path) -> None:
    job, classes = night.job, night.job.model.classes
    receipts = run(job, iter(night.blocks), tmp_path)
    said = score.said(night.frame, lambda rows: train.predict(night.pipeline, rows, classes), classes)
    served = shifted(job.model.kind, said, [0.25] * (len(classes) or 1))
    whole = score.rows_of(night.frame[["batch_date", "id"]], served, classes)
    pd.testing.assert_frame_equal(read(receipts), to_frame(to_arrow(whole, job.columns)), check_exact=True)
    assert [receipt.rows for receipt in receipts] == [BLOCK_ROWS, 50_001]
    names = [column.name for column in job.edges.columns]
    values = pd.DataFrame(score.predicted(whole, classes).reshape(ROWS, -1), columns=names)
    assert summed(receipts, job.edges, job.profile) == (
        sketch(values, job.edges),
        counted(job.profile, night.frame, said),
    )


def test_a_block_worked_on_again_is_the_same_file_and_receipt(night: Night, tmp_path: Path) -> None:
    first, again = (run(night.job, iter(night.blocks[1:]), tmp_path) for _ in range(2))
    assert first == again
    assert list(tmp_path.iterdir()) == [first[0].file]


def test_rows_come_in_the_order_of_their_receipts_with_what_they_have_alike(
    night: Night, tmp_path: Path
) -> None:
    receipts = run(night.job, iter(night.blocks), tmp_path)
    schema = pa.schema([("id", pa.string()), ("model_version", pa.int64()), ("arm", pa.string())])
    found = list(pieces(receipts, schema, 20_000, model_version=7, arm="champion"))
    assert max(piece.num_rows for piece in found) == 20_000
    whole = pa.Table.from_batches(found)
    assert whole["id"].to_pylist() == list(night.frame["id"])
    assert set(whole["model_version"].to_pylist()) == {7}
    assert set(whole["arm"].to_pylist()) == {"champion"}


def test_a_file_that_was_changed_after_its_receipt_is_not_copied(night: Night, tmp_path: Path) -> None:
    [receipt] = run(night.job, iter(night.blocks[1:]), tmp_path)
    receipt.file.write_bytes(receipt.file.read_bytes()[:-1] + b"x")
    schema = pa.schema([("id", pa.string())])
    with pytest.raises(ArtifactRefused, match=f"what is served, {receipt.file.name}"):
        next(pieces([receipt], schema, 20_000))
    with pytest.raises(ArtifactRefused, match="what is served"):
        read([receipt])


def test_as_many_rows_are_committed_as_the_receipts_are_of() -> None:
    table = Table("predictions", "toy", {"batch_date": "date"}, ("batch_date",))
    _require_whole(table, 7, 7)
    with pytest.raises(
        Unreconciled, match=r"predictions\.toy: 6 rows were copied, .* of 7; nothing is written"
    ):
        _require_whole(table, 6, 7)


def test_a_night_whose_rows_do_not_fit_the_profile_has_no_counts(night: Night, tmp_path: Path) -> None:
    wants = night.job.profile.features[0].model_copy(update={"name": "gone"})
    strange = night.job.profile.model_copy(update={"features": (wants,)})
    receipts = run(replace(night.job, profile=strange), iter(night.blocks[1:]), tmp_path)
    assert summed(receipts, night.job.edges, strange)[1] is None


def test_a_class_that_is_declared_no_more_has_no_probability_and_the_night_is_scored(
    night: Night, tmp_path: Path
) -> None:
    """Of one that was in no row to learn from, as the training that follows advises; its version has bins of it."""
    classes = night.job.model.classes
    if not classes:
        pytest.skip("of several classes only")
    target = night.job.model.target.model_copy(
        update={"classes": tuple(c for c in classes if c != "none yet")}
    )
    columns = {n: k for n, k in night.job.columns.items() if n != class_column("none yet")}
    job = replace(night.job, model=night.job.model.model_copy(update={"target": target}), columns=columns)
    [before], [after] = (run(each, iter(night.blocks[1:]), tmp_path) for each in (night.job, job))

    assert len(job.model.classes) == len(classes) - 1
    assert (after.sketch, after.counted) == (before.sketch, before.counted)
    assert list(read([after])) == list(columns)


def test_an_error_in_a_block_ends_the_run_and_closes_what_is_read(night: Night, tmp_path: Path) -> None:
    closed = []

    def blocks():
        try:
            yield from night.blocks
        finally:
            closed.append(True)

    broken = deepcopy(night.pipeline)
    broken[-1].coef_ *= np.nan
    reading = blocks()
    with pytest.raises((ValueError, SchemaMismatch), match=r"are not finite numbers|must sum to 1"):
        run(replace(night.job, stored=stored(broken, tmp_path), by=None), reading, tmp_path)
    reading.close()  # nobody reads any more
    assert closed == [True]


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 3, 1], [7], [2, 5], [0, 4, 0, 3], []])
def test_blocks_do_not_depend_on_where_batches_end(sizes: list[int]) -> None:
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    numbers = pa.RecordBatch.from_pydict({"n": list(range(sum(sizes)))})
    batches = [numbers.slice(first, last - first) for first, last in pairwise(ends)]
    found = [block["n"].to_pylist() for block in in_blocks(batches, 3)]
    assert found == ([[0, 1, 2], [3, 4, 5], [6]] if sizes else [])
