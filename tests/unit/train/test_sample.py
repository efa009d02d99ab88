"""Which rows to fit on are kept: the same ones in every training, older ones less often, no more than said."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import spec as spec_of

from nightshift.errors import NotReady
from nightshift.specs import Train
from nightshift.train import TrainingDates, drawn, require_enough, sampled

FIRST, ENTITY = date(2013, 1, 1), ["shop", "ticket"]


def dates(fitted: int, held_out: int = 7) -> TrainingDates:
    last = FIRST + timedelta(days=fitted - 1)
    return TrainingDates(FIRST, last, last + timedelta(days=1), last + timedelta(days=held_out))


def rows(nights: int, a_night: int = 20) -> pd.DataFrame:
    night = np.repeat(np.arange(nights), a_night)
    ticket = [f"{number % a_night}" for number in range(len(night))]
    return pd.DataFrame(
        {
            "shop": [f"shop on day {n}" for n in night],
            "ticket": ticket,
            "batch_date": pd.Timestamp(FIRST) + pd.to_timedelta(night, unit="D"),
            "x": np.random.default_rng(0).normal(size=len(night)),
        }
    )


def train(**given: object) -> Train:
    return Train.model_validate({"min_rows": 1, **given})


def test_without_a_limit_all_rows_are_kept() -> None:
    frame = rows(37)
    assert sampled(train(), frame, dates(30), ENTITY) is frame


@given(most=st.integers(1, 700), half_life=st.sampled_from([None, 1, 9, 200]), seed=st.integers(0, 9))
def test_the_same_rows_are_kept_in_whatever_order_they_come_and_the_holdout_is_whole(
    most: int, half_life: int | None, seed: int
) -> None:
    frame, spec = rows(37), train(max_rows=most, half_life_days=half_life)
    kept = sampled(spec, frame, dates(30), ENTITY)
    shuffled = sampled(spec, frame.sample(frac=1, random_state=seed), dates(30), ENTITY)
    assert set(shuffled.index) == set(kept.index)
    assert kept.index.is_monotonic_increasing
    fitted = kept["batch_date"] <= pd.Timestamp(dates(30).train_last)
    assert (~fitted).sum() == 7 * 20
    assert fitted.sum() <= most
    if half_life is None:
        assert fitted.sum() == min(most, 30 * 20)


@pytest.mark.parametrize("half_life", [None, 9])
@pytest.mark.parametrize("most", [50, 300, 10_000])
def test_a_refit_draws_of_what_was_kept_what_it_would_draw_of_all(most: int, half_life: int | None) -> None:
    """The newest nights weigh no more in a refit than they would in a training up to them."""
    frame, spec = rows(37), train(max_rows=most, half_life_days=half_life)
    last = dates(30).holdout_last
    again = drawn(spec, sampled(spec, frame, dates(30), ENTITY), last, ENTITY)
    assert list(again.index) == list(drawn(spec, frame, last, ENTITY).index)
    assert len(again) <= most


def test_a_row_that_is_kept_is_kept_by_the_next_training_too() -> None:
    frame = rows(60, 50)
    one = sampled(train(max_rows=1000), frame[frame["batch_date"] < "2013-02-20"], dates(43), ENTITY)
    two = sampled(train(max_rows=1000), frame[frame["batch_date"] < "2013-02-21"], dates(44), ENTITY)
    shared = set(one.index[:1000]) & set(two.index[:1000])
    assert len(shared) > 950  # one night in forty-four pushes out its share, and no more


@pytest.mark.parametrize("limit", [10**6, 3000])
def test_rows_of_half_lives_earlier_count_half_and_a_quarter(limit: int) -> None:
    """With the cap too: it takes from each night what its weight says."""
    frame = rows(60, 2000)
    kept = sampled(train(half_life_days=20, max_rows=limit), frame, dates(60), ENTITY)
    age = (pd.Timestamp(dates(60).train_last) - kept["batch_date"]).dt.days
    expected = np.array([sum(0.5 ** (d / 20) for d in range(20 * n, 20 * n + 20)) for n in range(3)])
    found = np.array([((age >= 20 * n) & (age < 20 * n + 20)).sum() for n in range(3)])
    shares = expected / expected.sum()
    spread = np.sqrt(shares * (1 - shares) / found.sum())
    assert (np.abs(found / found.sum() - shares) < 4 * spread).all()
    if limit > len(frame):
        assert abs(found.sum() / (2000 * expected.sum()) - 1) < 0.02


def test_what_is_kept_is_like_what_is_not() -> None:
    frame = rows(60, 200)
    kept = sampled(train(max_rows=3000), frame, dates(60), ENTITY)
    assert abs(kept["x"].mean() - frame["x"].mean()) < 4 / np.sqrt(3000)
    a_night = kept.groupby("batch_date").size()
    assert a_night.min() > 20


def test_what_a_half_life_leaves_too_few_of_is_not_told_to_be_missing() -> None:
    model = spec_of("regression", "sklearn.linear_model.Ridge", {}, half_life_days=3, min_rows=500)
    frame = rows(60, 100).assign(label=1.0)
    kept = sampled(model.train, frame, dates(53), ENTITY)
    with pytest.raises(
        NotReady,
        match=r"of 5,300 labelled rows in .* train.half_life_days: 3 keeps \d{3}, fewer than train.min_rows",
    ):
        require_enough(model, kept, dates(53), date(2013, 3, 2), len(frame))
    few = frame[frame["ticket"].isin(["1", "2"])]
    with pytest.raises(
        NotReady, match=r"106 labelled rows in .*run features_toy for these nights, .* a later"
    ):
        require_enough(model, few, dates(53), date(2013, 3, 2), len(few))


def test_labels_that_are_alike_only_because_of_what_was_drawn_say_so() -> None:
    model = spec_of(
        "classification", "sklearn.linear_model.LogisticRegression", {}, half_life_days=1, min_rows=1
    )
    frame = rows(60, 100)
    frame["label"] = (frame["batch_date"] < "2013-01-10").astype(float)
    kept = sampled(model.train, frame, dates(53), ENTITY)
    with pytest.raises(NotReady, match=r"all \d+ labels to fit on, \d+ kept of 5,300, 2013-01-01\.\."):
        require_enough(model, kept, dates(53), date(2013, 3, 2), len(frame))


def test_fewer_rows_than_a_training_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="max_rows: 100 is fewer than min_rows, 500"):
        Train.model_validate({"max_rows": 100})
