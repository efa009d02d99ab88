"""Decisions: what the gates said of a challenger, who signed, and how the training ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Literal

from nightshift.rows import JSON, Command, Query, Row, insert, numbered, select, stamped

Scores = Mapping[str, float | None]
# The bounds of an interval by metric; None: not defined.
Intervals = Mapping[str, tuple[float, float] | None]
Outcome = Literal["promoted", "rejected", "timed out", "stale", "barred"]


@dataclass(frozen=True)
class GateResult:
    """What one gate says, in numbers and in words."""

    gate: str
    metric: str | None
    passed: bool
    words: str


@dataclass(frozen=True)
class Slice:
    """A slice of the holdout: both models' metrics there, and the intervals of the gains."""

    rows: int
    challenger: Scores = field(default_factory=dict)
    champion: Scores | None = None
    gains: Intervals = field(default_factory=dict)


@dataclass(frozen=True)
class PairedNight:
    """The mean losses of both on one night of the holdout, on the same rows.

    ``chance``: the variance that so few rows give their difference; None where it was not kept.
    """

    night: date
    rows: int
    challenger: float
    champion: float
    chance: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured on the holdout. ``intervals``: of the challenger's metrics, at ``confidence``.

    ``recalibrated``: of both models what they would have served, not what they say by themselves.
    ``nights``: both, night by night; none without a champion.
    """

    rows: int = 0
    days: int = 0
    resamples: int = 0
    confidence: float = 0.0
    metrics: Scores = field(default_factory=dict)
    champion_metrics: Scores | None = None
    intervals: Intervals = field(default_factory=dict)
    gains: Intervals = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    calibration_error: Scores = field(default_factory=dict)
    recalibrated: bool = False
    nights: tuple[PairedNight, ...] = ()
    format: int = 1


@dataclass(frozen=True, kw_only=True)
class Decision(Row, table="governance.decisions", key=("training_id",)):
    """What the gates said of a training's challenger. ``evaluation``: None where an older decision kept less."""

    training_id: str
    model: str
    challenger: int
    champion: int | None
    as_of: date
    reason: str
    snapshot_id: str
    passed: bool
    gates: Annotated[tuple[GateResult, ...], JSON]
    challenger_metrics: Annotated[dict[str, float | None], JSON]
    champion_metrics: Annotated[dict[str, float | None] | None, JSON]
    evaluation: Annotated[Evaluation | None, JSON]
    approval: str
    requested_by: str | None
    evidence_sha256: str
    decided_at: datetime = stamped()

    @property
    def measured(self) -> Evaluation:
        """What was measured; of an older decision, the metrics alone."""
        return self.evaluation or Evaluation(
            metrics=self.challenger_metrics, champion_metrics=self.champion_metrics
        )


DECIDE = insert(Decision, "ON CONFLICT (training_id) DO NOTHING")
DECISION = select(Decision, "training_id = %(training_id)s")
PASSED = select(Decision, "model = %(model)s AND challenger = %(version)s AND passed")


@dataclass(frozen=True, kw_only=True)
class Signature(Row, table="governance.signatures", key=("training_id",)):
    """What a person, or the passing of time, said to a decision."""

    training_id: str
    model: str
    answer: str
    signed_by: str | None
    comment: str | None
    evidence_sha256: str
    signed_at: datetime
    recorded_at: datetime = stamped()


SIGN = insert(Signature, "ON CONFLICT (training_id) DO NOTHING")
SIGNATURE = select(Signature, "training_id = %(training_id)s")


@dataclass(frozen=True, kw_only=True)
class Ended(Row, table="governance.outcomes", key=("outcome_id",)):
    """How a training ended: written by what ended it, with it; never worked out afterwards from what is missing."""

    outcome_id: int = numbered()
    training_id: str
    outcome: Outcome
    recorded_at: datetime = stamped()


# The newest counts; after a promotion none is added.
END = Command(
    "INSERT INTO governance.outcomes (training_id, outcome) SELECT %(training_id)s::text, %(outcome)s::text "
    "WHERE coalesce((SELECT outcome NOT IN ('promoted', %(outcome)s) FROM governance.outcomes "
    "WHERE training_id = %(training_id)s ORDER BY outcome = 'promoted' DESC, outcome_id DESC LIMIT 1), true)"
)
ENDED = select(
    Ended, "training_id = %(training_id)s", order="outcome = 'promoted' DESC, outcome_id DESC LIMIT 1"
)


@dataclass(frozen=True, kw_only=True)
class Starter(Row):
    """Who stands behind a training."""

    requested_by: str | None


# ``training_id``: the request's; ``first``: the training itself, or the one that it repeats.
STARTER = Query(
    "SELECT requested_by FROM monitoring.retrain_requests WHERE training_id = %(training_id)s "
    "AND requested_by IS NOT NULL "
    "UNION ALL SELECT requested_by FROM governance.decisions WHERE training_id = %(first)s",
    Starter,
)
