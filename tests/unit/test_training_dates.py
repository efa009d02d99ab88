"""Which days a training sees: the holdout is later than every training day, and its labels have arrived."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.errors import NotReady
from nightshift.specs import Model
from nightshift.train import TrainingDates, fair_from, training_dates

FIRST_NIGHT = date(2013, 1, 2)


def model(window: int | str = 45, holdout: int = 14, matures: int = 2) -> Model:
    return Model.model_validate(
        {
            "name": "late",
            "owner": "me",
            "description": "",
            "task": "regression",
            "features": "f",
            "target": {"source": "s", "column": "c", "matures_after_days": matures},
            "estimator": {"class": "sklearn.linear_model.Ridge"},
            "train": {"window_days": window, "holdout_days": holdout},
            "gates": [
                {"gate": "minimum_score", "metric": "mae", "value": 9},
                {"gate": "beats_champion", "metric": "mae", "confidence": 0},
            ],
        }
    )


@pytest.mark.parametrize(
    ("spec", "as_of", "expected"),
    [
        (model(45, 14, 2), date(2013, 4, 1), ("2013-01-31", "2013-03-16", "2013-03-17", "2013-03-30")),
        (model(45, 14, 0), date(2013, 4, 1), ("2013-02-02", "2013-03-18", "2013-03-19", "2013-04-01")),
        (model(1, 1, 1), date(2013, 4, 1), ("2013-03-30", "2013-03-30", "2013-03-31", "2013-03-31")),
        (model("all", 14, 2), date(2013, 4, 1), ("2013-01-02", "2013-03-16", "2013-03-17", "2013-03-30")),
        # the window ends where the project begins
        (model(45, 14, 2), date(2013, 2, 1), ("2013-01-02", "2013-01-16", "2013-01-17", "2013-01-30")),
        (model(45, 14, 2), date(2013, 1, 18), ("2013-01-02", "2013-01-02", "2013-01-03", "2013-01-16")),
    ],
)
def test_the_days_of_a_training(spec: Model, as_of: date, expected: tuple[str, str, str, str]) -> None:
    assert training_dates(spec, as_of, FIRST_NIGHT) == TrainingDates(*map(date.fromisoformat, expected))


def test_a_project_too_young_says_since_when() -> None:
    with pytest.raises(NotReady, match="leaves no day to train on since the first night, 2013-01-02"):
        training_dates(model(), date(2013, 1, 17), FIRST_NIGHT)


@given(
    as_of=st.dates(date(2013, 1, 2), date(2014, 12, 31)),
    window=st.integers(1, 400),
    holdout=st.integers(1, 60),
    matures=st.integers(0, 60),
)
def test_no_training_day_is_in_the_holdout_and_no_label_in_the_future(
    as_of: date, window: int, holdout: int, matures: int
) -> None:
    try:
        dates = training_dates(model(window, holdout, matures), as_of, FIRST_NIGHT)
    except NotReady:
        assert (as_of - FIRST_NIGHT).days < holdout + matures
        return
    assert FIRST_NIGHT <= dates.train_first <= dates.train_last < dates.holdout_first <= dates.holdout_last
    assert dates.train_last + timedelta(days=1) == dates.holdout_first
    assert dates.holdout_last + timedelta(days=matures) == as_of
    assert (dates.holdout_last - dates.holdout_first).days + 1 == holdout
    assert (dates.train_last - dates.train_first).days + 1 <= window


@given(
    trained_until=st.dates(date(2013, 1, 20), date(2014, 1, 1)),
    holdout=st.integers(1, 60),
    matures=st.integers(0, 30),
)
def test_a_fair_holdout_begins_the_night_after_the_champions_last(
    trained_until: date, holdout: int, matures: int
) -> None:
    spec = model(45, holdout, matures)
    first = training_dates(spec, fair_from(spec, trained_until), FIRST_NIGHT).holdout_first
    assert first == trained_until + timedelta(days=1)
