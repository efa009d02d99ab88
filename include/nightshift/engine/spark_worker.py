"""What workers of Spark run, sent to them by this name: the process that drives Spark imports none of the work."""

from collections.abc import Iterable, Iterator
from typing import Any


def answers(plan: str, batches: Iterable[Any]) -> Iterator[Any]:
    """Do the shards whose numbers come; yield number and answer of each."""
    from nightshift.engine import shards

    return shards.answers(plan, batches)
