"""Inputs of nights too large for one frame: dealt into files while they are read once, then a shard at a time."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa

from nightshift.calendar import DateRange
from nightshift.engine.files import named, stream
from nightshift.engine.parts import PLACE, Dealt, frames_of
from nightshift.featurise import earliest_input
from nightshift.featurise.shards import hashes
from nightshift.platform.blocks import BLOCK_ROWS
from nightshift.specs import FeatureSet
from nightshift.types import to_frame
from nightshift.warehouse import Reading, Table

# A shard is of about so many rows of the largest input that is dealt.
SHARD_ROWS = 100_000
# Each has a file open while an input is dealt.
MOST_SHARDS = 256


@dataclass(frozen=True)
class Shards:
    """What nights may need: held as frames where it is little, else in files, a shard at a time and some for all."""

    held: Mapping[str, pd.DataFrame]
    dealt: tuple[Dealt, ...] = ()
    whole: Mapping[str, Path] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self.dealt) or 1

    def load(self, *numbers: int) -> dict[str, pd.DataFrame]:
        """Return the inputs of these shards together, by source, their rows in the order of the warehouse."""
        if not self.dealt:
            return dict(self.held)
        return frames_of(self.whole, [self.dealt[number] for number in numbers])


def shards(
    reading: Reading, spec: FeatureSet, tables: Mapping[str, Table], nights: DateRange, folder: Path
) -> Shards:
    """Return what the nights may need, in one shard where it is little. Files lie in ``folder``."""
    dealt = spec.shards.deals({name: table.columns for name, table in tables.items()}) if spec.shards else []
    of = {name: (tables[name], earliest_input(spec, name, nights.first), nights.last) for name in spec.inputs}
    rows = max((reading.count(*of[name]) for name in dealt), default=0)
    count = min(-(-rows // SHARD_ROWS), MOST_SHARDS)
    if spec.shards is None or count <= 1:
        return Shards({name: reading.read(*each) for name, each in of.items()})
    files: dict[str, list[Path]] = {}
    for name, each in of.items():
        by, numbers = (spec.shards.by, count) if name in dealt else ([], 1)
        files[name] = _dealt(
            reading.blocks(*each, BLOCK_ROWS), tables[name].arrow_schema, by, numbers, folder
        )
    return Shards(
        {},
        tuple(Dealt({name: files[name][number] for name in dealt}) for number in range(count)),
        {name: files[name][0] for name in of if name not in dealt},
    )


def _dealt(
    blocks: Iterable[pa.Table], schema: pa.Schema, by: list[str], numbers: int, folder: Path
) -> list[Path]:
    """Write the rows of each shard to a file, in their order; return the files, named by their content."""
    schema, before = schema.append(pa.field(PLACE, pa.int64())), 0
    files = [folder / f"{uuid4().hex}.half" for _ in range(numbers)]
    with ExitStack() as opened:
        sinks = [opened.enter_context(file.open("wb")) for file in files]
        writers = [opened.enter_context(stream(sink, schema)) for sink in sinks]
        for block in blocks:
            place = pa.array(np.arange(before, before + len(block)))
            before += len(block)
            shard_of = _shards_of(block, by, numbers)
            order = np.argsort(shard_of, kind="stable")
            rows = block.append_column(PLACE, place).combine_chunks().take(pa.array(order)).cast(schema)
            ends = np.searchsorted(shard_of[order], np.arange(numbers), side="right")
            for writer, begin, end in zip(writers, [0, *ends[:-1]], ends, strict=True):
                if begin < end:
                    writer.write_table(rows.slice(begin, end - begin))
    return [named(file, "rows") for file in files]


def _shards_of(block: pa.Table, by: list[str], numbers: int) -> np.ndarray:
    if not by:
        return np.zeros(len(block), np.uint64)
    return hashes(to_frame(block.select(by)), by) % np.uint64(numbers)
