"""The features of nights, built a shard at a time: one where they are few, so many where they are large.

A night that was built of one frame is held as one; of several shards, its rows lie in files, in the order of their key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift import featurise
from nightshift.calendar import Calendar, DateRange
from nightshift.engine import merging
from nightshift.engine.dealing import Shards
from nightshift.engine.files import content, filed_rows
from nightshift.errors import BatchRejected, NotReady, RunStage
from nightshift.featurise.shards import repeated, require_alike
from nightshift.platform.blocks import BLOCK_ROWS, Blocks
from nightshift.specs import FeatureSet
from nightshift.types import declared, to_arrow, to_frame
from nightshift.warehouse.database import in_blocks

# A source, and one of its batches.
Batch = tuple[str, date]


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

    def part(self, inputs: dict[str, pd.DataFrame], night: date) -> pd.DataFrame | None:
        """Return the features of a shard of the night, None if it has none."""
        return featurise.compute_part(self.spec, self.build, inputs, night)


@dataclass(frozen=True)
class Built:
    """A night: its rows, and the batches that it saw rows of."""

    rows: Blocks
    of: Sequence[Batch]


def built(builder: Builder, shards: Shards, nights: DateRange, folder: Path) -> dict[date, Built]:
    """Return each night built of all shards; what is too large to hold lies in ``folder``.

    Raises:
        NotReady: an input that must have rows for a night has none.
        BatchRejected: ``build()`` returned something other than what the set declares, or shards do not come to what
            all rows come to.
    """
    if shards.count == 1:
        frames = shards.load(0)
        return {night: _whole(builder, frames, night) for night in nights.dates}
    spec, proof = builder.spec, _Proof(builder, shards)
    parts: dict[date, list[Path]] = {night: [] for night in nights.dates}
    of: dict[date, dict[Batch, None]] = {night: {} for night in nights.dates}
    for number in range(shards.count):
        frames = shards.load(number)
        for night in nights.dates:
            seen = builder.seen(frames, night)
            of[night] |= dict.fromkeys(_batches(seen))
            rows = builder.part(seen, night)
            if rows is None:
                continue
            proof.look(night, number, rows)
            part = folder / f"{night}-{number}.arrows"
            parts[night].append(
                merging.written(to_arrow(rows, declared(rows)), part, BLOCK_ROWS // shards.count)
            )
    return {night: _merged(spec, night, parts[night], list(of[night]), folder) for night in nights.dates}


@dataclass
class _Proof:
    """That the first two shards with rows of one night come to the same together."""

    builder: Builder
    shards: Shards
    first: dict[date, tuple[int, pd.DataFrame]] = field(default_factory=dict)
    is_given: bool = False

    def look(self, night: date, number: int, rows: pd.DataFrame) -> None:
        if self.is_given:
            return
        if night not in self.first:
            self.first[night] = number, rows
            return
        other, before = self.first[night]
        seen = self.builder.seen(self.shards.load(other, number), night)
        together = self.builder.part(seen, night)
        apart = pd.concat([before, rows])
        require_alike(self.builder.spec, apart, apart.iloc[:0] if together is None else together, night)
        self.is_given = True
        self.first.clear()


def _whole(builder: Builder, frames: Mapping[str, pd.DataFrame], night: date) -> Built:
    seen = builder.seen(frames, night)
    of = _batches(seen)  # before build() has them
    rows = builder.compute(seen, night)
    # As large nights are, however this one was dealt: its hash must be the same.
    return Built(Blocks.of(rows, BLOCK_ROWS if builder.spec.shards else None), of)


def _batches(seen: Mapping[str, pd.DataFrame]) -> list[Batch]:
    return [(source, day) for source, frame in seen.items() for day in frame["batch_date"].dt.date.unique()]


def _merged(spec: FeatureSet, night: date, parts: Sequence[Path], of: Sequence[Batch], folder: Path) -> Built:
    """Return a night's shards as one, in blocks of the order of its key."""
    _require_rows(spec, night, parts, of)
    files, rows = [], 0
    try:
        for block in in_blocks(merging.merged(parts, spec.entity), BLOCK_ROWS):
            files.append(filed_rows(block, folder, "block"))
            rows += block.num_rows
    except merging.Repeated as error:
        raise BatchRejected(repeated(spec, night, error.key)) from error
    for part in parts:
        part.unlink()
    return Built(Blocks(rows, partial(map, _read, files)), of)


def _read(file: Path) -> pd.DataFrame:
    return to_frame(pq.read_table(pa.BufferReader(content(file, "block"))))


def _require_rows(spec: FeatureSet, night: date, parts: Sequence[Path], of: Sequence[Batch]) -> None:
    there = {source for source, _ in of}
    for name, given in spec.inputs.items():
        if given.look_back_days == 0 and name not in there:
            raise NotReady(
                f"feature set '{spec.name}', {night}: source '{name}' has no rows",
                remedy=RunStage("collect", name),
            )
    if not parts:
        raise BatchRejected(f"{spec.path}: build() for {night}: no rows")
