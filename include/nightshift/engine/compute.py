"""Which engine does the work of a model or a feature set: what its spec says, where the project says that is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from nightshift.collect import Connection
from nightshift.engine import here, parts
from nightshift.engine.job import Job
from nightshift.engine.parts import BuildJob, Dealt, Part
from nightshift.engine.receipts import Receipt
from nightshift.engine.spark import Spark
from nightshift.specs import FeatureSet, Model, Settings


class Runner(Protocol):
    """An engine that was started."""

    def score(self, job: Job, blocks: Iterator[pa.Table], folder: Path) -> list[Receipt]:
        """Return a receipt a block, in their order; what is served of each lies in ``folder``."""

    def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
        """Return, of each shard, its part of each night; what is built lies in ``folder``."""


class Engine(Protocol):
    """``folder``: where its files must lie; None: where temporary files are kept."""

    @property
    def folder(self) -> Path | None: ...

    def started(self, folder: Path) -> AbstractContextManager[Runner]:
        """Yield what runs jobs. Its own files lie in ``folder``."""


class Here:
    """The task itself: threads for what is scored, one shard after the other for what is built."""

    folder = None

    @contextmanager
    def started(self, folder: Path) -> Iterator["Here"]:
        """Yield what runs jobs."""
        yield self

    def score(self, job: Job, blocks: Iterator[pa.Table], folder: Path) -> list[Receipt]:
        """Return a receipt a block."""
        return here.run(job, blocks, folder)

    def build(self, job: BuildJob, shards: Sequence[Dealt], folder: Path) -> list[list[Part]]:
        """Return a part a shard and night."""
        return [parts.built(job, shard, folder) for shard in shards]


def engine_of(
    spec: Model | FeatureSet, settings: Settings, connection: Callable[[str], Connection]
) -> Engine:
    """Return the engine of a model or of a set.

    Raises:
        SpecError: its connection is missing, or none of Spark.
        NotReady: what it needs is not installed.
    """
    if spec.compute == "here":
        return Here()
    return Spark.at(connection(str(settings.spark)))
