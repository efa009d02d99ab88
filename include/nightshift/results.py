"""What a stage tells of its work: names, dates, ids and counts, never rows. A task's return value; small, and JSON."""

from typing import NotRequired, TypedDict


class Collected(TypedDict):
    """Of a source's nights: how many rows were landed."""

    source: str
    nights: str
    rows: int


class Validated(TypedDict):
    """Of a source's nights: batches judged and failed, rows accepted and set aside, the key of the data docs."""

    source: str
    nights: str
    judged: int
    failed: int
    accepted: int
    quarantined: int
    docs: str


class Replayed(TypedDict):
    """Of a quarantine: the ``dates`` that were published anew; rows moved, still set aside, or discarded."""

    source: str
    nights: str
    dates: list[str]
    moved: NotRequired[int]
    still_set_aside: NotRequired[int]
    discarded: NotRequired[int]
    accepted: NotRequired[int]
    quarantined: NotRequired[int]


class Rehearsed(TypedDict):
    """A replay of retraining: the outcome in a sentence, a line a policy, what was left out, the key of the page."""

    model: str
    nights: str
    outcome: str
    policies: list[str]
    left_out: list[str]
    page: str
    url: NotRequired[str]


class Reconciled(TypedDict):
    """Of a source's nights: how many batches add up."""

    source: str
    nights: str
    batches: int


class Built(TypedDict):
    """Of a feature set's nights: how many rows, and the first faults that were found, in words."""

    feature_set: str
    nights: str
    rows: int
    faults: NotRequired[list[str]]


class Frozen(TypedDict):
    """A snapshot: its hash, how many rows, how many held out, and in words which nights are left out of both."""

    snapshot_id: str
    rows: int
    holdout_rows: int
    left_out: list[str]


class Fitted(TypedDict):
    """A registered version, its run and the page of that."""

    version: int
    mlflow_run_id: str
    url: str


class Decided(TypedDict):
    """What the gates said, in words; ``by_gate``: whether each passed, wherever it was asked."""

    version: int
    champion: int | None
    passed: bool
    gates: list[str]
    by_gate: dict[str, bool]


class ToSign(TypedDict):
    """What the approvers are asked; ``body`` is Markdown."""

    subject: str
    body: str
    approvers: list[str]


class Signed(TypedDict):
    """What was answered; ``signed_by`` is None when the time ran out."""

    answer: str
    signed_by: str | None
    comment: str | None
    evidence_sha256: str


class Promoted(TypedDict):
    """How a training ended; from which night on, if it was promoted."""

    version: int
    outcome: str
    effective_from: NotRequired[str]


class Repeat(TypedDict):
    """The training to start again."""

    training_id: str
    as_of: str
    reason: str


class Ended(TypedDict):
    """The outcome of a training."""

    outcome: str


class Carded(TypedDict):
    """The key of a version's card, and how many packages its bill of materials lists."""

    version: int
    card: str
    packages: int
    url: NotRequired[str]


class Closed(TypedDict):
    """How many faults of a night were closed."""

    feature_set: str
    night: str
    closed: int


class Scored(TypedDict):
    """Of a model's nights: how many predictions, and the version, or the versions where nights differ.

    ``recalibrated``: of the last nights, by how much and from what. ``missed``: nights of before that were announced
    while the DAG was paused, and what came of them.
    """

    model: str
    nights: str
    rows: int
    version: NotRequired[int]
    versions: NotRequired[list[int]]
    recalibrated: NotRequired[list[str]]
    faults: NotRequired[list[str]]
    missed: NotRequired[list[str]]


class Compared(TypedDict):
    """A version's metrics on some nights, and how many labels there were."""

    version: int
    labels: int
    metrics: dict[str, float | None]


class Asked(TypedDict):
    """Predictions that somebody asked for: where they are, and how many of the entities were found."""

    table: str
    run_id: str
    night: str
    version: int
    rows: int
    missing: int
    recalibrated: str


class Measured(TypedDict):
    """How many past nights have a performance now, by how many labels; what tonight's is expected to be, in words.

    ``nights_read``: of which something had changed.
    """

    model: str
    nights_measured: int
    nights_read: int
    labels: int
    reason: NotRequired[str]
    expected: NotRequired[str]


class Verdict(TypedDict):
    """What a night says. ``harm``, ``shift``: the evidence as a share of its limit, where there is some."""

    model: str
    batch_date: str
    status: str
    retrain: bool
    harm: NotRequired[float]
    shift: NotRequired[float]


class Reported(TypedDict):
    """The key of a night's report."""

    report: str
    bytes: int
    url: NotRequired[str]


class Beside(TypedDict):
    """How many nights the version before was scored on, and their rows."""

    model: str
    nights: int
    rows: int


class Probation(TypedDict):
    """Whether a new champion goes back, why or why not; then to which version, by which run."""

    model: str
    roll_back: bool
    reason: str
    version: NotRequired[int]
    run_id: NotRequired[str]


class Retrain(TypedDict):
    """Whether a training starts, which, and why or why not; ``guard``: which one held it back."""

    start: bool
    reason: str
    training_id: NotRequired[str | None]
    guard: NotRequired[str]
    as_of: NotRequired[str]


class RolledBack(TypedDict):
    """The entry that was written, the version that serves now, since when, and which was taken out of service."""

    entry: int
    version: int
    effective_from: str
    taken_out: int


class Agreed(TypedDict):
    """Of registry and ledger: what was changed to make them agree, and what was left alone."""

    models: list[str]
    changed: list[str]
    left: list[str]


class Verified(TypedDict):
    """Of every model's ledger: how many anchors it holds."""

    models: list[str]
    anchors: dict[str, int]


class Described(TypedDict):
    """The catalog: how many datasets, and the page; or why it stays as it is."""

    as_of: str
    outcome: NotRequired[str]
    datasets: NotRequired[int]
    page: NotRequired[str]
    bytes: NotRequired[int]
    url: NotRequired[str]


class Explored(TypedDict):
    """An exploration: rows, how many of them sampled, and the keys of its files."""

    subject: str
    rows: int
    sampled: int
    snapshot: str
    report: str
    notebook: str
    report_url: NotRequired[str]
    notebook_url: NotRequired[str]


class Reproduced(TypedDict):
    """A version made again: equal or not, and what was different of what went in."""

    version: int
    equal: bool
    outcome: str
    different: list[str]
    page: str
    url: NotRequired[str]


class Renamed(TypedDict):
    """What moved to the new name and what was left, in words."""

    moved: list[str]
    left: list[str]


class Looked(TypedDict):
    """One look for alerts: how many are open, opened by it, resolved by it, and of how many somebody is told."""

    open: int
    opened: int
    resolved: int
    told: int


class Sent(TypedDict):
    """Messages that were delivered, and that their receivers did not take."""

    delivered: int
    failed: int


class Silenced(TypedDict):
    """A silence: of what, until when."""

    kind: str
    subject: str
    until: str


class Taken(TypedDict):
    """Of one kind: how many things go and their bytes, why, and the day of the oldest that stays."""

    things: int
    bytes: int
    why: list[str]
    oldest_kept: str | None


class Waiting(TypedDict):
    """How many things are marked to go, and their bytes."""

    things: int
    bytes: int


class Retained(TypedDict):
    """A retention: what goes, or went, in all and of each kind.

    ``as_of``: ``asked_for``, or the newest night that was collected by then. ``waiting``: of the runs of MLflow among
    these, those that an earlier retention marked and told of.
    """

    as_of: str
    asked_for: str
    dry_run: bool
    things: int
    bytes: int
    kinds: dict[str, Taken]
    waiting: Waiting
