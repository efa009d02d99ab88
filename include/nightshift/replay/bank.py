"""The bank: a candidate every few nights, trained from what was known then, and its loss on every later night.

Whatever a policy would have done is then a look-up: which candidate it would have had in service each night.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nightshift import train
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.metrics import row_losses
from nightshift.monitor import harm
from nightshift.monitor.profile import build_profile
from nightshift.records.profile import Profile, TrainingLosses
from nightshift.score.recalibration import as_served
from nightshift.specs import NOTHING, FeatureSet, Model, Own

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# So many nights with labels follow a champion's date: of fewer nothing can be said.
FEWEST_AFTER = 7


@dataclass(frozen=True)
class Nights:
    """Everything there is: features of all nights, (n, columns), and what was reported, as ``train.reports`` has it.

    ``cutoff``: of a batch date, the instant up to which its night listens. ``first``: the project's first night.
    ``partial``: of a model and a date, the nights that its training leaves out, as their labels are not all there.
    """

    features: pd.DataFrame
    reported: pd.DataFrame
    cutoff: Callable[[date], pd.Timestamp]
    first: date
    partial: Callable[[Model, date], Collection[date]] = lambda model, as_of: ()


@dataclass(frozen=True)
class Candidate:
    """A model as of a date: the days it was fitted on, how many rows, and its predictions of the rows since.

    It can serve from the night after ``as_of`` on. ``predictions``: (rows of the bank,) or (rows, classes), to the last
    digit: instants lie close together, and so do what is sure and what is nearly so. NaN on the days it was fitted on,
    and before. Those of the holdout are of the fit that is judged, those of later nights of what serves: its refit, if
    the spec says so. ``said``: the same before any offset, where that differs.
    """

    as_of: date
    dates: train.TrainingDates
    rows: int
    predictions: Floats
    said: Floats | None = None

    @classmethod
    def of(
        cls, model: Model, as_of: date, first: date, rows: NDArray[Any], predictions: Floats
    ) -> "Candidate":
        """Return a candidate as it was kept."""
        return cls(as_of, train.training_dates(model, as_of, first), int(rows), predictions)


@dataclass(frozen=True)
class Learned:
    """What a candidate's training knows of itself: the weight of each feature, and its nights' losses and predictions.

    ``profile``: of the predictions alone, by models that had not seen their rows.
    """

    importance: Mapping[str, float]
    losses: TrainingLosses
    profile: Profile


@dataclass(frozen=True)
class Bank:
    """Candidates in the order of their dates, and the labelled rows of all nights with what came true.

    ``rows``: (n,) with ``batch_date``, ``label`` and the columns of slices. ``night``: of each row the index in
    ``nights``. ``loss``: (candidates, nights), the mean loss a row; NaN where a candidate cannot serve.
    """

    model: Model
    nights: tuple[date, ...]
    rows: pd.DataFrame
    night: Ints
    counts: Ints
    candidates: tuple[Candidate, ...]
    loss: Floats

    def trained_until(self, candidate: int) -> date:
        """Return the last night that a candidate, as it serves, was fitted on."""
        dates = self.candidates[candidate].dates
        return dates.holdout_last if self.model.train.refit else dates.train_last

    def is_fair(self, challenger: int, champion: int) -> bool:
        """Whether the challenger's holdout begins after all that the champion was fitted on."""
        return self.trained_until(champion) < self.candidates[challenger].dates.holdout_first

    def serves_from(self, candidate: int) -> int:
        """Return the index of the first night that a candidate can serve; one past the last if it comes too late."""
        return bisect_right(self.nights, self.candidates[candidate].as_of)


def as_of_dates(period: DateRange, every: int) -> list[date]:
    """Return the dates of a bank's candidates: the first of the period, and every so many nights."""
    return period.dates[::every]


def labelled(model: Model, feature_set: FeatureSet, nights: Nights, last: date) -> pd.DataFrame:
    """Return all feature rows up to ``last`` with the labels that are known by now, in the order of their nights."""
    features = nights.features[nights.features["batch_date"] <= pd.Timestamp(last)]
    truth = train.labels(model, nights.reported, feature_set.entity, nights.reported["known_at"].max())
    rows = train.labelled(features, truth, feature_set.entity)
    return rows.sort_values("batch_date", kind="stable", ignore_index=True)


def candidate(
    model: Model,
    feature_set: FeatureSet,
    nights: Nights,
    as_of: date,
    evaluated: pd.DataFrame,
    own: Own = NOTHING,
) -> Candidate:
    """Return the model of a date, fitted by the functions of a training on labels known at its cut-off.

    ``evaluated``: the rows that it predicts, as :func:`labelled` returns them.

    Raises:
        NotReady: too few rows.
        FitFailed: these rows cannot be learned from.
    """
    dates = train.training_dates(model, as_of, nights.first)
    rows = _known(model, feature_set, nights, as_of, dates)
    fitting = rows[rows["batch_date"] <= pd.Timestamp(dates.train_last)]
    pipeline = train.fit(model, feature_set, fitting, fitting["label"], own)
    shape = (len(evaluated), len(model.classes)) if model.classes else (len(evaluated),)
    predictions = np.full(shape, np.nan)
    night = evaluated["batch_date"]
    serving = (night > pd.Timestamp(dates.holdout_last)).to_numpy()
    judging = (night > pd.Timestamp(dates.train_last)).to_numpy() & ~serving
    for part, refit in ((judging, False), (serving, model.train.refit)):
        if not part.any():
            continue
        if refit:
            recipe = train.as_fitted(model, pipeline)
            again = train.drawn(model.train, rows, dates.holdout_last, feature_set.entity)
            pipeline = train.fit(recipe, feature_set, again, again["label"], own)
        predictions[part] = train.predict(pipeline, evaluated[part], model.classes)
    return Candidate(as_of, dates, len(fitting), predictions)


def learned(
    model: Model, feature_set: FeatureSet, nights: Nights, candidate: Candidate, own: Own = NOTHING
) -> Learned:
    """Return what a candidate's training knows of itself: fitted once more, and out of fold."""
    rows = _known(model, feature_set, nights, candidate.as_of, candidate.dates)
    fitting = rows[rows["batch_date"] <= pd.Timestamp(candidate.dates.train_last)]
    label = fitting["label"]
    pipeline = train.fit(model, feature_set, fitting, label, own)
    out_of_fold = train.out_of_fold(model, feature_set, fitting, label, own)
    night = fitting["batch_date"]
    return Learned(
        train.importance(model, pipeline, fitting, label),
        harm.of_training(model.kind, night, label, out_of_fold, model.classes),
        build_profile(fitting[[]], out_of_fold, night, {}, model.drift, classes=model.classes),
    )


def _known(
    model: Model, feature_set: FeatureSet, nights: Nights, as_of: date, dates: train.TrainingDates
) -> pd.DataFrame:
    """Return the labelled rows of a training as of a date. Raises NotReady if they are too few."""
    known = train.labels(model, nights.reported, feature_set.entity, nights.cutoff(as_of))
    within = nights.features["batch_date"].between(
        pd.Timestamp(dates.train_first), pd.Timestamp(dates.holdout_last)
    )
    partial = nights.features["batch_date"].isin([pd.Timestamp(day) for day in nights.partial(model, as_of)])
    labelled = train.labelled(nights.features[within & ~partial], known, feature_set.entity)
    rows = train.sampled(model.train, labelled, dates, feature_set.entity)
    train.require_enough(model, rows, dates, as_of, len(labelled))
    return rows


def require_nights(model: Model, rows: pd.DataFrame, first: date) -> None:
    """Raise NotReady if too few nights with labels follow the first training. ``rows``: of :func:`labelled`."""
    nights = [night.date() for night in rows["batch_date"].unique()]
    many = sum(night > first for night in nights)
    if many < FEWEST_AFTER:
        newest = f"the last one is {max(nights)}" if nights else "no night has any"
        raise NotReady(
            f"model '{model.name}': {many} nights with labels follow {first}, as of which the first champion is "
            f"trained, of at least {FEWEST_AFTER}; {newest}. Begin earlier, or wait for labels"
        )


def bank(model: Model, rows: pd.DataFrame, found: Sequence[Candidate]) -> Bank:
    """Return the bank of these candidates, whose predictions are of ``rows`` as :func:`labelled` returns them.

    Where the spec recalibrates, they become what would have been served.

    Raises:
        NotReady: too few nights with labels are later than the first candidate.
    """
    require_nights(model, rows, found[0].as_of)
    numbers, starts = np.unique(rows["batch_date"].to_numpy(), return_inverse=True)
    dates = tuple(pd.Timestamp(number).date() for number in numbers)
    found = [_served(model, rows, candidate) for candidate in found]
    counts = np.bincount(starts, minlength=len(dates))
    truth = rows["label"].to_numpy(dtype="float64")
    loss = np.full((len(found), len(dates)), np.nan)
    for number, candidate in enumerate(found):
        each = row_losses(model.kind, truth, candidate.predictions)
        sums = np.bincount(starts, weights=np.nan_to_num(each), minlength=len(dates))
        served = np.array([night > candidate.as_of for night in dates])
        loss[number, served] = sums[served] / counts[served]
    return Bank(model, dates, rows, starts.astype(np.int64), counts.astype(np.int64), tuple(found), loss)


def _served(model: Model, rows: pd.DataFrame, candidate: Candidate) -> Candidate:
    """Return a candidate with what it would have served: of its holdout as a gate sees it, then of its own nights.

    In service from the night after its own, it has no nights yet to learn from; as in production. A refit has none of
    what was judged.
    """
    if model.recalibrate is None:
        return candidate
    served, dates = candidate.predictions.copy(), rows["batch_date"]
    of = candidate.dates
    begins = [of.train_last, *([of.holdout_last] if model.train.refit else []), candidate.as_of]
    for first, last in pairwise([*map(pd.Timestamp, begins), pd.Timestamp.max]):
        mine = ((dates > first) & (dates <= last)).to_numpy()
        scores = candidate.predictions[mine]
        served[mine] = as_served(model, dates[mine], scores, rows.loc[mine, "label"])
    return replace(candidate, predictions=served, said=candidate.predictions)
