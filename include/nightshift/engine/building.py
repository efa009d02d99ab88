"""The features of nights: of one frame where they are few, of shards where they are many.

A night that was built of one frame is held as one; of several shards, its rows lie in files, in the order of their key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from nightshift import featurise
from nightshift.calendar import Calendar, DateRange
from nightshift.engine import merging, parts
from nightshift.engine.compute import Engine
from nightshift.engine.dealing import Shards
from nightshift.engine.files import filed_rows, rows_of
from nightshift.engine.parts import Batch, BuildJob, Part
from nightshift.errors import BatchRejected, Unreconciled
from nightshift.featurise.built import no_rows
from nightshift.featurise.shards import repeated, require_alike
from nightshift.platform.blocks import BLOCK_ROWS, Blocks
from nightshift.specs import FeatureSet
from nightshift.types import to_frame
from nightshift.warehouse.database import in_blocks


@dataclass(frozen=True)
class Builder:
    """How a set's nights are built. ``calendar``: whose cut-offs say what a night may use."""

    spec: FeatureSet
    build: featurise.Build
    calendar: Calendar

    def seen(self, frames: Mapping[str, pd.DataFrame], night: date) -> dict[str, pd.DataFrame]:
        """Return what a night may use of these inputs."""
        return featurise.visible(frames, self.spec, self.calendar, night)

    def compute(self, inputs: dict[str, pd.DataFrame], night: date) -> pd.DataFrame:
        """Return the night's features of what it may use."""
        return featurise.compute(self.spec, self.build, inputs, night)


@dataclass(frozen=True)
class Built:
    """A night: its rows, and the batches that it saw rows of."""

    rows: Blocks
    of: Sequence[Batch]


def built(
    builder: Builder, shards: Shards, nights: DateRange, engine: Engine, folder: Path
) -> dict[date, Built]:
    """Return each night built of all shards; what is too large to hold lies in ``folder``.

    Raises:
        NotReady: an input that must have rows for a night has none.
        BatchRejected: ``build()`` returned something other than what the set declares, or shards do not come to what
            all rows come to.
    """
    if shards.count == 1:
        frames = shards.load(0)
        return {night: _whole(builder, frames, night) for night in nights.dates}
    job = BuildJob(
        builder.spec, featurise.definition_sha256(builder.spec), builder.calendar, nights, shards.whole
    )
    with engine.started(folder) as runner:
        found = runner.build(job, shards.dealt, folder)
    _prove(builder, shards, found)
    return {
        night: _merged(builder.spec, night, of_night, folder)
        for night, of_night in zip(nights.dates, zip(*found, strict=True), strict=True)
    }


def _whole(builder: Builder, frames: Mapping[str, pd.DataFrame], night: date) -> Built:
    seen = builder.seen(frames, night)
    of = parts.batches(seen)  # before build() has them
    rows = builder.compute(seen, night)
    # As large nights are, however this one was dealt: its hash must be the same.
    return Built(Blocks.of(rows, BLOCK_ROWS if builder.spec.shards else None), of)


def _prove(builder: Builder, shards: Shards, found: Sequence[Sequence[Part]]) -> None:
    """Raise BatchRejected unless the first two shards with rows of one night come to the same built together."""
    for of_night in zip(*found, strict=True):
        two = [number for number, part in enumerate(of_night) if part.rows][:2]
        if len(two) == 2:
            night = of_night[0].night
            apart = pa.concat_tables(
                pa.Table.from_batches(merging.merged([file], builder.spec.entity))
                for number in two
                if (file := of_night[number].file)
            )
            together = featurise.compute_part(
                builder.spec, builder.build, builder.seen(shards.load(*two), night), night
            )
            rows = to_frame(apart)
            require_alike(builder.spec, rows, rows.iloc[:0] if together is None else together, night)
            return


def _merged(spec: FeatureSet, night: date, of_night: Sequence[Part], folder: Path) -> Built:
    """Return a night's shards as one, in blocks of the order of its key."""
    of = list(dict.fromkeys(batch for part in of_night for batch in part.of))
    found = [part.file for part in of_night if part.file]
    _require_rows(spec, night, found, of)
    files, rows = [], 0
    try:
        for block in in_blocks(merging.merged(found, spec.entity), BLOCK_ROWS):
            files.append(filed_rows(block, folder, "block"))
            rows += block.num_rows
    except merging.Repeated as error:
        raise BatchRejected(repeated(spec, night, error.key)) from error
    if rows != (told := sum(part.rows for part in of_night)):
        raise Unreconciled(
            f"feature set '{spec.name}', {night}: its shards have {rows} rows and told of {told}. Clear the task"
        )
    for file in {*found}:
        file.unlink()
    return Built(Blocks(rows, partial(map, _read, files)), of)


def _read(file: Path) -> pd.DataFrame:
    return to_frame(rows_of(file, "block"))


def _require_rows(spec: FeatureSet, night: date, found: Sequence[Path], of: Sequence[Batch]) -> None:
    featurise.require_inputs(spec, {source for source, _ in of}, night)
    if not found:
        raise no_rows(spec, night)
