"""Inputs of nights too large for one frame: dealt into files while they are read once, then a shard at a time."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from nightshift.calendar import DateRange
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

# Where a dealt row stood among all rows, so that shards can be put together again in their order.
PLACE = "\0place"


@dataclass(frozen=True)
class Shards:
    """What nights may need, in ``count`` shards: files of what is dealt, by source, and frames of what is not."""

    count: int
    files: Mapping[str, Sequence[Path]]
    whole: Mapping[str, pd.DataFrame]

    def load(self, *numbers: int) -> dict[str, pd.DataFrame]:
        """Return the inputs of these shards together, by source, their rows in the order of the warehouse."""
        return {
            **self.whole,
            **{name: _rows([of[number] for number in numbers]) for name, of in self.files.items()},
        }


def shards(
    reading: Reading, spec: FeatureSet, tables: Mapping[str, Table], nights: DateRange, folder: Path
) -> Shards:
    """Return what the nights may need, in one shard where it is little. What is dealt lies in ``folder``."""
    dealt = spec.shards.deals({name: table.columns for name, table in tables.items()}) if spec.shards else []
    of = {name: (tables[name], earliest_input(spec, name, nights.first), nights.last) for name in spec.inputs}
    rows = max((reading.count(*of[name]) for name in dealt), default=0)
    count = min(max(-(-rows // SHARD_ROWS), 1), MOST_SHARDS)
    if count == 1:
        dealt = []
    files, whole = {}, {}
    for name, each in of.items():
        if name in dealt and spec.shards:
            (own := folder / name).mkdir()
            blocks = reading.blocks(*each, BLOCK_ROWS)
            files[name] = _dealt(blocks, tables[name].arrow_schema, spec.shards.by, count, own)
        else:
            whole[name] = reading.read(*each)
    return Shards(count, files, whole)


def _rows(files: Sequence[Path]) -> pd.DataFrame:
    rows = pa.concat_tables(pa.ipc.open_stream(file).read_all() for file in files)
    if len(files) > 1:
        rows = rows.sort_by(PLACE)
    return to_frame(rows.drop_columns(PLACE))


def _dealt(
    blocks: Iterable[pa.Table], schema: pa.Schema, by: list[str], numbers: int, folder: Path
) -> list[Path]:
    """Write the rows of each shard to a file, in their order; return the files."""
    files = [folder / f"{number}.arrows" for number in range(numbers)]
    schema, before = schema.append(pa.field(PLACE, pa.int64())), 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as opened:
        writers = [
            opened.enter_context(
                pa.ipc.new_stream(opened.enter_context(file.open("wb")), schema, options=options)
            )
            for file in files
        ]
        for block in blocks:
            shard_of = hashes(to_frame(block.select(by)), by) % np.uint64(numbers)
            order = np.argsort(shard_of, kind="stable")
            placed = block.append_column(PLACE, pa.array(np.arange(before, before + len(block))))
            before += len(block)
            rows = placed.combine_chunks().take(pa.array(order)).cast(schema)
            ends = np.searchsorted(shard_of[order], np.arange(numbers), side="right")
            for writer, begin, end in zip(writers, [0, *ends[:-1]], ends, strict=True):
                if begin < end:
                    writer.write_table(rows.slice(begin, end - begin))
    return files
