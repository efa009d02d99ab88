"""One version over one night, told so that another process can do it: words, numbers and hashes, nothing live."""

from collections.abc import Mapping
from dataclasses import dataclass

from nightshift import score
from nightshift.artifacts import Stored
from nightshift.records.features import Recalibration
from nightshift.records.profile import Profile
from nightshift.records.sketches import Edges
from nightshift.specs import Model

BLOCK_ROWS = score.CHUNK_ROWS


@dataclass(frozen=True)
class Job:
    """``columns``: those that are kept of a row, with their declared types. ``by``: what moves the night."""

    model: Model
    stored: Stored
    columns: Mapping[str, str]
    keys: tuple[str, ...]
    profile: Profile | None
    edges: Edges
    by: Recalibration | None = None
