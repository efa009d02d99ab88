"""On this machine: one block after the other, while the next one is read."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from nightshift.engine.job import Job
from nightshift.engine.receipts import Receipt, written


def run(job: Job, blocks: Iterator[pa.Table], folder: Path) -> list[Receipt]:
    """Return a receipt a block, in their order; what is said of each lies in ``folder``."""
    with closing(_ahead(blocks)) as coming:
        return [written(job.work(block), folder) for block in coming]


def _ahead(blocks: Iterator[pa.Table]) -> Generator[pa.Table, None, None]:
    """Yield what ``blocks`` yields; while one is worked on, the next is read."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block
