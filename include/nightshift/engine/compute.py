"""Which engine does a model's work: what its spec says, where the project says that is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from nightshift.collect import Connection
from nightshift.engine import here
from nightshift.engine.job import Job
from nightshift.engine.receipts import Receipt
from nightshift.engine.spark import Spark
from nightshift.specs import Model, Settings

Run = Callable[[Job, Iterator[pa.Table], Path], list[Receipt]]


class Engine(Protocol):
    """``folder``: where its files must lie; None: where temporary files are kept."""

    @property
    def folder(self) -> Path | None: ...

    def started(self, folder: Path) -> AbstractContextManager[Run]:
        """Yield what runs jobs: blocks in, a receipt each out, in their order. Its own files lie in ``folder``."""


class Here:
    """Threads of the task itself."""

    folder = None

    @contextmanager
    def started(self, folder: Path) -> Iterator[Run]:
        """Yield what runs jobs."""
        yield here.run


def engine_of(model: Model, settings: Settings, connection: Callable[[str], Connection]) -> Engine:
    """Return the engine of a model.

    Raises:
        SpecError: its connection is missing, or none of Spark.
        NotReady: what it needs is not installed.
    """
    if model.compute == "here":
        return Here()
    return Spark.at(connection(str(settings.spark)))
