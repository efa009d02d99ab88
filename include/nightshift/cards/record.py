"""What is recorded of a version: the rows that its training, decision and promotion left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from nightshift.specs import Model

Row = Mapping[str, Any]
Scores = Mapping[str, float | None]
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

    ``version``, ``snapshot``, ``decision``, ``promotions``, ``request``: rows of the tables of these names.
    ``request`` is the request to retrain that the training answered, with the ``drift`` its night had measured.
    ``signature``: what a person answered to the decision, where one was asked. ``unseeded``: the estimator has a
    ``random_state``, and none is set.
    ``encodings``: what the fitted encoder of a column does, in words.
    ``sources``: the deliveries behind the snapshot, counted by role and source. ``url``: the page of the run.
    """

    spec: Model
    version: Row
    snapshot: Row
    counts: Counts
    sources: Sequence[Row]
    decision: Row | None
    promotions: Sequence[Row]
    request: Row | None
    url: str
    signature: Row | None = None
    unseeded: bool = False
    encodings: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``model/version``, as lineage spells it."""
        return f"{self.version['model']}/{self.version['version']}"

    @property
    def evaluation(self) -> "Evaluation":
        """What the decision measured; empty without one."""
        return Evaluation.of(self.decision)


@dataclass(frozen=True)
class Evaluation:
    """The numbers of a decision. Intervals and slices are there if the decision kept them."""

    metrics: Scores = field(default_factory=dict)
    champion: Scores = field(default_factory=dict)
    intervals: Mapping[str, Sequence[float] | None] = field(default_factory=dict)
    slices: Mapping[str, Row] = field(default_factory=dict)

    @classmethod
    def of(cls, decision: Row | None) -> "Evaluation":
        """Return what a row of ``governance.decisions`` holds."""
        row = decision or {}
        kept = row.get("evaluation") or {}
        return cls(
            metrics=kept.get("metrics") or row.get("challenger_metrics") or {},
            champion=kept.get("champion_metrics") or row.get("champion_metrics") or {},
            intervals=kept.get("intervals") or {},
            slices=kept.get("slices") or {},
        )


def counts(snapshot: Row, rows: pd.DataFrame, entity: Sequence[str]) -> Counts:
    """Return what can be counted in a snapshot's rows: nights without rows, and values that are missing."""
    nights = rows["batch_date"]
    last, first = pd.Timestamp(snapshot["train_last"]), pd.Timestamp(snapshot["holdout_first"])
    fitted, held_out = nights <= last, nights >= first
    span = pd.date_range(snapshot["train_first"], snapshot["holdout_last"]).date
    features = rows.drop(columns=[*NO_FEATURES, *entity])
    return Counts(
        fitted_rows=int(fitted.sum()),
        holdout_rows=int(held_out.sum()),
        fitted_nights=int(nights[fitted].nunique()),
        holdout_nights=int(nights[held_out].nunique()),
        without_rows=tuple(sorted(set(span) - set(nights.dt.date))),
        missing={str(name): float(share) for name, share in features[fitted].isna().mean().items()},
    )
