"""Which days a training sees, from its as-of date backwards."""

from dataclasses import dataclass
from datetime import date, timedelta

from nightshift.errors import NotReady
from nightshift.specs import Model


@dataclass(frozen=True)
class TrainingDates:
    """Inclusive ranges. The holdout is later than every training day, and all its labels have arrived."""

    train_first: date
    train_last: date
    holdout_first: date
    holdout_last: date


def fair_from(model: Model, trained_until: date) -> date:
    """Return the first night as of which the holdout begins after ``trained_until``, the champion's last night."""
    return trained_until + timedelta(days=model.matures_after_days + model.train.holdout_days)


def days_behind(model: Model) -> int:
    """Return how many nights a version, as it serves, is behind the night that it is trained as of."""
    return model.matures_after_days + (0 if model.train.refit else model.train.holdout_days)


def training_dates(model: Model, as_of: date, first_night: date) -> TrainingDates:
    """Return the days that a training of ``model`` as of ``as_of`` may use.

    Raises:
        NotReady: the project has not enough nights before ``as_of``.
    """
    holdout_last = as_of - timedelta(days=model.matures_after_days)
    holdout_first = holdout_last - timedelta(days=model.train.holdout_days - 1)
    train_last = holdout_first - timedelta(days=1)
    window = model.train.window_days
    train_first = first_night
    if window != "all":
        train_first = max(first_night, train_last - timedelta(days=window - 1))
    if train_first > train_last:
        raise NotReady(
            f"model '{model.name}' as of {as_of}: the holdout ({holdout_first}..{holdout_last}) leaves no day "
            f"to train on since the first night, {first_night}"
        )
    return TrainingDates(train_first, train_last, holdout_first, holdout_last)
