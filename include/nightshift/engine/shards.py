"""Blocks as files, for workers that are other processes; and the plan that tells them what to do with each.

Every file is named by its content, so what is read is what was written, whoever wrote it and however often.
"""

import hashlib
import json
import os
import platform
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from nightshift.engine import parts
from nightshift.engine.files import content, filed, filed_rows, rows_of
from nightshift.engine.job import Job
from nightshift.engine.parts import BuildJob, Dealt, Part
from nightshift.engine.receipts import Receipt, written
from nightshift.engine.work import said, served
from nightshift.environment import lock_sha256
from nightshift.errors import ArtifactRefused
from nightshift.root import ENGINE

# What a prediction's bits depend on, beside the engine's code and the model's file.
PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops")
# The same, where they are installed.
EXTRAS = ("lightgbm", "torch", "skorch")
MOST_SAID = 4000


@dataclass(frozen=True)
class Shard:
    """A block in a file, which is named by its content."""

    file: Path
    rows: int


@dataclass(frozen=True)
class Plan:
    """A job over shards. ``made_by``: what the engine is where it was made; a worker that is another refuses."""

    job: Job
    shards: tuple[Shard, ...]
    made_by: dict[str, str]

    def worked(self, number: int) -> Receipt:
        """Do one shard."""
        shard = self.shards[number]
        block = rows_of(shard.file, "shard")
        return written(served(self.job, said(self.job, block)), shard.file.parent)


@dataclass(frozen=True)
class BuildPlan:
    """The same of a set's nights. ``folder``: where what is built is filed."""

    build: BuildJob
    shards: tuple[Dealt, ...]
    folder: Path
    made_by: dict[str, str]

    def worked(self, number: int) -> list[Part]:
        """Do one shard."""
        return parts.built(self.build, self.shards[number], self.folder)


PLAN: TypeAdapter[Plan | BuildPlan] = TypeAdapter(Plan | BuildPlan)
RECEIPT: TypeAdapter[Receipt | list[Part]] = TypeAdapter(Receipt | list[Part])
ANSWERS = pa.schema([("number", pa.int64()), ("answer", pa.string())])


def spread(blocks: Iterator[pa.Table], folder: Path) -> tuple[Shard, ...]:
    """Write each block to a file of its own; return them in their order."""
    return tuple(Shard(filed_rows(block, folder, "shard"), block.num_rows) for block in blocks)


def planned(job: Job, shards: Sequence[Shard], folder: Path) -> Path:
    """Write the plan; return its file, named by its content."""
    plan = Plan(job, tuple(shards), this_engine())
    return filed(PLAN.dump_json(plan, by_alias=True), folder, "plan")


def planned_build(job: BuildJob, shards: Sequence[Dealt], folder: Path) -> Path:
    """Write the plan of a build, as :func:`planned`."""
    plan = BuildPlan(job, tuple(shards), folder, this_engine())
    return filed(PLAN.dump_json(plan, by_alias=True), folder, "plan")


@lru_cache(2)  # a worker does many shards of one plan
def opened(file: Path) -> Plan | BuildPlan:
    """Return the plan in a file.

    Raises:
        ArtifactRefused: it is not what was written, or this engine is not the one that wrote it: it names what differs.
    """
    plan = PLAN.validate_json(content(file, "plan"))
    require_same_engine(plan.made_by)
    return plan


def worked(plan: Plan | BuildPlan, number: int) -> Receipt | list[Part]:
    """Do one shard; return its receipt, or its parts. The same shard gives the same files, whoever does it.

    Raises:
        ArtifactRefused: a file is not what was written, or a set is defined otherwise here.
        BatchRejected: ``build()`` returned something other than what its set declares.
        ValueError: a prediction is not a finite number.
    """
    return plan.worked(number)


def answers(plan: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Do the shards whose numbers come, in the first column; yield number and answer of each. A worker runs it."""
    for batch in batches:
        numbers = batch.column(0).to_pylist()
        done = pa.array([json.dumps(_done(Path(plan), number)) for number in numbers])
        yield pa.RecordBatch.from_arrays([pa.array(numbers, pa.int64()), done], schema=ANSWERS)


def _done(plan: Path, number: int) -> dict[str, Any]:
    """Return the receipt, or why there is none. What another try may cure is raised: Spark tries again."""
    try:
        return {"receipt": RECEIPT.dump_python(worked(opened(plan), number), mode="json")}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 an estimator may fail in any way, and would again
        trace = traceback.format_exc()[-MOST_SAID:]
        return {"error": type(error).__name__, "words": str(error), "trace": trace}


@lru_cache(1)
def this_engine() -> dict[str, str]:
    """Return what predictions depend on here: the engine's code, the lock file, Python, packages."""
    code = hashlib.sha256()
    for file in sorted((ENGINE / "nightshift").rglob("*.py")):
        code.update(f"{file.relative_to(ENGINE)}\0".encode())
        code.update(hashlib.sha256(file.read_bytes()).digest())
    return {
        "the engine's code": code.hexdigest(),
        "requirements/runtime.lock": lock_sha256(),
        "Python": platform.python_version(),
        "the machine": platform.machine(),
        **{name: version(name) for name in PACKAGES},
        **{name: version(name) for name in EXTRAS if find_spec(name)},
    }


def require_same_engine(made_by: dict[str, str]) -> None:
    """Raise ArtifactRefused, naming what differs, unless this engine is the one that made a plan."""
    here = this_engine()
    differs = [
        f"{name} is {here.get(name, 'not there')} here, {made_by.get(name, 'not there')} where the plan was made"
        for name in sorted(here.keys() | made_by.keys())
        if here.get(name) != made_by.get(name)
    ]
    if differs:
        raise ArtifactRefused(
            f"worker {platform.node()} (process {os.getpid()}) refuses: {'; '.join(differs)}. Give workers and tasks "
            "the same image"
        )
