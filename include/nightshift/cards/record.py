"""What is recorded of a version: the rows that its training, decision and promotion left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from nightshift.records.decisions import Decision, Evaluation, Signature
from nightshift.records.ledger import Entry
from nightshift.records.monitoring import Asked
from nightshift.records.snapshots import Deliveries, Snapshot
from nightshift.records.versions import Version
from nightshift.specs import Model

# What a snapshot holds beside features.
NO_FEATURES = {"batch_date", "label"}


@dataclass(frozen=True)
class Counts:
    """What was counted in a snapshot. ``missing``: a feature's share of missing values in the rows to fit on."""

    fitted_rows: int
    holdout_rows: int
    fitted_nights: int
    holdout_nights: int
    without_rows: tuple[date, ...]
    missing: Mapping[str, float]


@dataclass(frozen=True)
class Record:
    """``spec``: as it was, with the estimator that was fitted.

    ``request``: the request to retrain that the training answered, with the ``drift`` its night had measured.
    ``signature``: what a person answered to the decision, where one was asked. ``unseeded``: the estimator has a
    ``random_state``, and none is set.
    ``encodings``: what the fitted encoder of a column does, in words.
    ``sources``: the deliveries behind the snapshot, counted by role and source. ``url``: the page of the run.
    """

    spec: Model
    version: Version
    snapshot: Snapshot
    counts: Counts
    sources: Sequence[Deliveries]
    decision: Decision | None
    promotions: Sequence[Entry]
    request: Asked | None
    url: str
    signature: Signature | None = None
    unseeded: bool = False
    encodings: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``model/version``, as lineage spells it."""
        return f"{self.version.model}/{self.version.version}"

    @property
    def evaluation(self) -> Evaluation:
        """What the decision measured; empty without one."""
        return self.decision.measured if self.decision else Evaluation()


def counts(snapshot: Snapshot, rows: pd.DataFrame, entity: Sequence[str]) -> Counts:
    """Return what can be counted in a snapshot's rows: nights without rows, and values that are missing."""
    nights = rows["batch_date"]
    last, first = pd.Timestamp(snapshot.train_last), pd.Timestamp(snapshot.holdout_first)
    fitted, held_out = nights <= last, nights >= first
    span = pd.date_range(snapshot.train_first, snapshot.holdout_last).date
    features = rows.drop(columns=[*NO_FEATURES, *entity])
    return Counts(
        fitted_rows=int(fitted.sum()),
        holdout_rows=int(held_out.sum()),
        fitted_nights=int(nights[fitted].nunique()),
        holdout_nights=int(nights[held_out].nunique()),
        without_rows=tuple(sorted(set(span) - set(nights.dt.date))),
        missing={str(name): float(share) for name, share in features[fitted].isna().mean().items()},
    )
