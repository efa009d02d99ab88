"""Versions: what a registered model is made of, and what it was like when it was trained; the trials before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Literal

from nightshift.freeform import Arguments
from nightshift.records.profile import Profile
from nightshift.rows import JSON, Query, Row, insert, select, stamped


@dataclass(frozen=True)
class Examples:
    """What a version said of some rows when it was trained, for a fresh process to repeat.

    ``predictions``: of the first rows of the holdout, one number or one a class. ``features``: the type of each.
    ``out_of_fold``: its metrics on the rows it was fitted on, each predicted by a model that had not seen it.
    """

    predictions: Sequence[float | Sequence[float]] = ()
    features: Mapping[str, str] = field(default_factory=dict)
    out_of_fold: Mapping[str, float | None] = field(default_factory=dict)
    format: int = 1


@dataclass(frozen=True)
class Brought:
    """Of an imported version: the hash of the file, who brought it, until when it says it was trained, and why."""

    file_sha256: str
    by: str
    trained_until: date
    reason: str
    format: int = 1


@dataclass(frozen=True)
class Refit:
    """Of a version that serves by another fit than the one that was judged: until when that one was fitted.

    ``last``: the last night whose rows what serves was fitted on, and how many those were. Of what was judged: the hash
    of its file and of its predictions on the snapshot, and what it said of the first rows of the holdout.
    """

    last: date
    rows: int
    judged_sha256: str
    judged_predictions_sha256: str
    judged_examples: Sequence[float | Sequence[float]] = ()
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Version(Row, table="governance.versions", key=("model", "version")):
    """A registered version. None: made before that was kept. ``brought``: None where it was trained here.

    ``artifact_sha256``, ``predictions_sha256``, ``examples``: of what serves. ``train_last``: the last night to fit on
    of what was judged. ``refit``: None where that serves itself.
    """

    model: str
    version: int
    mlflow_run_id: str
    training_id: str
    snapshot_id: str
    artifact_sha256: str
    spec_sha256: str
    code_commit: str
    lock_sha256: str
    train_first: date
    train_last: date
    feature_set: str
    feature_version: int
    examples: Annotated[Examples | None, JSON]
    predictions_sha256: str | None
    brought: Annotated[Brought | None, JSON]
    own_code: Annotated[dict[str, str] | None, JSON]
    refit: Annotated[Refit | None, JSON]
    created_at: datetime = stamped()

    @property
    def trained_until(self) -> date:
        """The last night that what serves was fitted on."""
        return self.refit.last if self.refit else self.train_last


@dataclass(frozen=True, kw_only=True)
class Registered(Version):
    """A version with its profile: as it is written. Read back, the two come apart: a profile is large."""

    profile: Annotated[Profile, JSON]


@dataclass(frozen=True, kw_only=True)
class Profiled(Row):
    """The profile of a version."""

    profile: Annotated[Profile, JSON]


REGISTER = insert(Registered)
PROFILE = Query(
    "SELECT profile FROM governance.versions WHERE model = %(model)s AND version = %(version)s", Profiled
)
VERSION = select(Version, "model = %(model)s AND version = %(version)s")
OF_TRAINING = select(Version, "training_id = %(training_id)s")


@dataclass(frozen=True, kw_only=True)
class Known(Row):
    """A registered version, by its number, its training and its run."""

    version: int
    training_id: str
    mlflow_run_id: str


KNOWN = Query(
    "SELECT version, training_id, mlflow_run_id FROM governance.versions WHERE model = %(model)s ORDER BY version",
    Known,
)


@dataclass(frozen=True, kw_only=True)
class Served(Row):
    """A version that was ever champion, and the hash of its file."""

    model: str
    version: int
    mlflow_run_id: str
    artifact_sha256: str


SERVED = Query(
    "SELECT DISTINCT v.model, v.version, v.mlflow_run_id, v.artifact_sha256 FROM governance.versions v "
    "JOIN governance.promotions p USING (model, version) ORDER BY v.model, v.version",
    Served,
)


@dataclass(frozen=True, kw_only=True)
class Frozen(Row):
    """A file that versions are made of, by its key; its id is its hash."""

    object_key: str
    snapshot_id: str


FROZEN = Query(
    "SELECT DISTINCT object_key, snapshot_id FROM governance.snapshots JOIN governance.versions USING (snapshot_id)",
    Frozen,
)


@dataclass(frozen=True, kw_only=True)
class Tried(Row, table="governance.trials", key=("training_id", "search_sha256", "trial")):
    """A candidate that a training's search tried: trial 0 is the estimator as declared. ``scores``: one a fold."""

    training_id: str
    search_sha256: str
    trial: int
    model: str
    estimator: str
    params: Annotated[Arguments, JSON]
    sampled: Annotated[Arguments, JSON]
    metric: str
    scores: list[float]
    state: Literal["complete", "pruned", "failed"]
    seconds: float
    note: str
    recorded_at: datetime = stamped()


TRY = insert(Tried, "ON CONFLICT DO NOTHING")
TRIAL = select(
    Tried, "training_id = %(training_id)s AND search_sha256 = %(search_sha256)s AND trial = %(trial)s"
)
TRIED = select(Tried, "training_id = %(training_id)s AND search_sha256 = %(search_sha256)s", order="trial")
