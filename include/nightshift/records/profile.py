"""The profile of a version: its training data as histograms, as drift is decided against it. How it is made:
:mod:`nightshift.monitor.profile`.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

Kind = Literal["numeric", "boolean", "category"]
Measure = Literal["positive", "absolute_error", "squared_error"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureProfile(_Frozen):
    """One column's histogram over the training data.

    ``counts`` (rows a bin) ends with the missing bin. Numeric bins are ``(-inf, e0), [e0, e1), ...,
    [ek, inf)``; categories are followed by "other".
    """

    name: str
    kind: Kind
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...]
    # Share of the model's importance; all features sum to 1. The predictions have none.
    importance: float = 0.0
    # The largest PSI, and the largest excess of the missing share, of a training window against the rest.
    psi_envelope: float = 0.0
    missing_envelope: float = 0.0

    @property
    def missing_share(self) -> float:
        """The share of training rows without a value (0 to 1)."""
        return self.counts[-1] / max(sum(self.counts), 1)


class Curve(_Frozen):
    """What rows come to on average, by what was predicted of them: straight lines between these points, flat outside.

    ``column``: of the predictions. Measures: the share that is positive (of this class), errors in the target's unit.
    """

    column: str
    measure: Measure
    at: tuple[float, ...]
    expected: tuple[float, ...]


class Estimation(_Frozen):
    """What a night's performance is estimated by before its labels are known, learned out of fold.

    A metric: ``spread`` is how much nights differ beyond chance, and ``misses`` are how far off the estimates of the
    newest training nights were, in standard deviations, oldest first. How: :mod:`nightshift.monitor.estimate`.
    """

    task: Literal["classification", "multiclass", "regression"]
    curves: tuple[Curve, ...]
    nights: int
    spread: dict[str, float]
    misses: dict[str, tuple[float, ...]]


class Loss(_Frozen):
    """The mean loss of a night's labelled rows: nats of a classification, the absolute error of a regression."""

    night: date
    rows: int
    loss: float


class NightLoss(Loss):
    """A version's loss, and that of always saying what was usual in its training (``base``).

    ``variance``: how far chance moves their difference; None for one row.
    """

    base: float
    variance: float | None


class NightCounts(_Frozen):
    """What models that had not seen a night of the training said of it: rows a bin, of each column of predictions."""

    night: date
    counts: tuple[tuple[int, ...], ...]


class TrainingLosses(_Frozen):
    """The losses of the training's nights, each by a model that had not seen it.

    ``base``: what was usual: the share of each class, or the median.
    """

    base: tuple[float, ...]
    nights: tuple[NightLoss, ...]


class Profile(_Frozen):
    """The training data of one model version: all its rows, as histograms."""

    format: Literal[1] = 1
    rows: int
    first: date
    last: date
    window_days: int
    features: tuple[FeatureProfile, ...]
    # One, named ``prediction``; of several classes one a class, by its name: the histogram of its probability.
    predictions: tuple[FeatureProfile, ...]
    # Empty: made before they were kept.
    prediction_nights: tuple[NightCounts, ...] = ()
    # None: trained before there were estimates, or not here.
    estimation: Estimation | None = None
    # None: without labels, imported, or made before they were kept.
    losses: TrainingLosses | None = None

    @field_validator("predictions", mode="before")
    @classmethod
    def _of_one(cls, given: Any) -> Any:
        """Take a profile from before there were classes: it holds the one column by itself."""
        return (given,) if isinstance(given, Mapping) else given

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes whose probabilities the predictions are; none where they are one number a row."""
        return tuple(each.name for each in self.predictions) if len(self.predictions) > 1 else ()

    def to_json(self) -> str:
        """Return the profile as JSON; floats round-trip exactly."""
        return json.dumps(self.model_dump(mode="json"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Profile":
        """Return the profile that ``to_json`` wrote.

        Raises:
            pydantic.ValidationError: the text is no such profile.
        """
        return cls.model_validate_json(text)
