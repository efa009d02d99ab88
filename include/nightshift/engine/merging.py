"""Rows of shards in the order of their key, a block at a time: however a night is dealt, it comes to the same."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from nightshift.engine.files import pieces, stream
from nightshift.freeform import Values

# Of each file so many rows are in memory while it is merged with the others.
PIECE_ROWS = 2_000


def in_pieces(rows: pa.Table, sink: IO[bytes]) -> None:
    """Write rows that are in the order of their key, to be read a piece at a time."""
    with stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks(), max_chunksize=PIECE_ROWS)


def merged(files: Sequence[Path], key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of files, each in the order of ``key`` and without a key twice, in the order of all.

    Raises:
        ArtifactRefused: a file is not what was written.
        Repeated: a key is in two files.
    """
    coming = [_pieces(file) for file in files]
    heads = {number: head for number, each in enumerate(coming) if (head := next(each, None)) is not None}
    while heads:
        # Whatever comes later of any file is greater than the last row that is here of it.
        bound = min(_at(head, key, head.num_rows - 1) for head in heads.values())
        taken = []
        for number, head in list(heads.items()):
            upto = bisect_right(range(head.num_rows), bound, key=partial(_at, head, key))
            taken.append(head.slice(0, upto))
            rest = head.slice(upto) if upto < head.num_rows else next(coming[number], None)
            if rest is None:
                del heads[number]
            else:
                heads[number] = rest
        rows = pa.Table.from_batches(taken).sort_by([(name, "ascending") for name in key]).combine_chunks()
        _require_once(rows, key)
        yield from rows.to_batches()


class Repeated(Exception):
    """A key is in two files. ``key``: which, by column."""

    def __init__(self, key: Values) -> None:
        super().__init__(f"twice: {key}")
        self.key = key


def _pieces(file: Path) -> Iterator[pa.RecordBatch]:
    return (piece for piece in pieces(file, "part") if piece.num_rows)


def _at(rows: pa.RecordBatch, key: Sequence[str], row: int) -> tuple[str, ...]:
    return tuple(rows.column(name)[row].as_py() for name in key)


def _require_once(rows: pa.Table, key: Sequence[str]) -> None:
    same = None
    for name in key:
        equal = pc.equal(rows[name].slice(1), rows[name].slice(0, max(len(rows) - 1, 0)))
        same = equal if same is None else pc.and_(same, equal)
    first = pc.index(same, True).as_py() if same is not None and len(same) else -1
    if first >= 0:
        raise Repeated(rows.select(list(key)).slice(first, 1).to_pylist()[0])
