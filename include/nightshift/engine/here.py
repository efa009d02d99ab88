"""On this machine: a block is read, one predicted and one counted and filed at a time, each by a thread of its own.

What is native lets others run meanwhile. Only one thread ever predicts: estimators need not bear more.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from nightshift.engine.job import Job
from nightshift.engine.receipts import Receipt, written
from nightshift.engine.work import said, served

T = TypeVar("T")


def run(job: Job, blocks: Iterator[pa.Table], folder: Path) -> list[Receipt]:
    """Return a receipt a block, in their order; what is served of each lies in ``folder``."""
    with closing(_ahead(blocks)) as read, closing(_ahead(map(partial(said, job), read))) as predicted:
        return [written(served(job, each), folder) for each in predicted]


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield what ``items`` yields; while one is in use, the next is made."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = maker.submit(next, items, None)
            yield item
