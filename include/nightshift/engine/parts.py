"""A shard's features: told by files and hashes, built by whoever opens these, and filed a night at a time."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from nightshift import featurise
from nightshift.calendar import Calendar, DateRange
from nightshift.engine.files import content, filed
from nightshift.engine.merging import in_pieces
from nightshift.errors import ArtifactRefused
from nightshift.specs import FeatureSet
from nightshift.types import declared, to_arrow, to_frame

# A source, and one of its batches.
Batch = tuple[str, date]
# Where a dealt row stood among all rows, so that shards can be put together again in their order.
PLACE = "\0place"


@dataclass(frozen=True)
class Dealt:
    """A shard's rows of the inputs that are dealt: by source a file, which is named by its content."""

    files: Mapping[str, Path]


@dataclass(frozen=True)
class BuildJob:
    """A set's nights, told so that another process can build a shard of them.

    ``code``: the hash of the set's definition. ``whole``: by source the file of an input that each shard sees whole.
    """

    spec: FeatureSet
    code: str
    calendar: Calendar
    nights: DateRange
    whole: Mapping[str, Path]


@dataclass(frozen=True)
class Part:
    """A shard of a night: the file of its rows in the order of the entity, if it has any, and which batches it saw."""

    night: date
    file: Path | None
    rows: int
    of: tuple[Batch, ...]


def built(job: BuildJob, shard: Dealt, folder: Path) -> list[Part]:
    """Build a shard of each night; file it in ``folder``. The same shard gives the same files, whoever does it.

    Raises:
        ArtifactRefused: a file is not what was written, or the set is defined otherwise here.
        BatchRejected: ``build()`` returned something other than what the set declares.
    """
    build, frames = _build(job.spec, job.code), frames_of(job.whole, [shard])
    return [_part(job, build, frames, night, folder) for night in job.nights.dates]


def frames_of(whole: Mapping[str, Path], shards: Sequence[Dealt]) -> dict[str, pd.DataFrame]:
    """Return the inputs of these shards together, by source, their rows in the order of the warehouse."""
    names = shards[0].files
    dealt = {name: _together([shard.files[name] for shard in shards]) for name in names}
    return {**{name: _whole(file) for name, file in whole.items()}, **dealt}


def batches(seen: Mapping[str, pd.DataFrame]) -> tuple[Batch, ...]:
    """Return the batches that these inputs have rows of."""
    return tuple((name, day) for name, frame in seen.items() for day in frame["batch_date"].dt.date.unique())


def _part(
    job: BuildJob, build: featurise.Build, frames: Mapping[str, pd.DataFrame], night: date, folder: Path
) -> Part:
    seen = featurise.visible(frames, job.spec, job.calendar, night)
    of = batches(seen)  # before build() has them
    rows = featurise.compute_part(job.spec, build, seen, night)
    if rows is None:
        return Part(night, None, 0, of)
    sink = io.BytesIO()
    in_pieces(to_arrow(rows, declared(rows)), sink)
    return Part(night, filed(sink.getbuffer(), folder, "part"), len(rows), of)


def _build(spec: FeatureSet, code: str) -> featurise.Build:
    here = featurise.definition_sha256(spec)
    if here != code:
        raise ArtifactRefused(
            f"{spec.path}: defines feature set '{spec.name}' otherwise ({here[:12]}) than where the plan was made "
            f"({code[:12]}). Give workers and tasks the same image"
        )
    return featurise.load_build(spec)


def _together(files: Sequence[Path]) -> pd.DataFrame:
    rows = pa.concat_tables(_read(file) for file in files)
    return to_frame((rows.sort_by(PLACE) if len(files) > 1 else rows).drop_columns(PLACE))


@lru_cache(16)  # a worker builds many shards; what a night may see of a frame is a copy
def _whole(file: Path) -> pd.DataFrame:
    return to_frame(_read(file).drop_columns(PLACE))


def _read(file: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.BufferReader(content(file, "inputs,"))).read_all()
