"""The profile: honest histograms, an exact round trip, and the envelope of the training weeks."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from synthetic_nights import COLUMNS, dates, equal, rows, weather

from nightshift.distributions import psi
from nightshift.errors import EmptyBatch, SchemaMismatch
from nightshift.monitor.profile import build_profile, count
from nightshift.records.profile import Profile
from nightshift.specs.model import Drift

COUNTS = hnp.arrays(np.int64, 8, elements=st.integers(0, 10_000)).filter(lambda counts: counts.sum() > 0)
NUMBERS = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_infinity=False, width=64))


def profile_of(frame: pd.DataFrame, nights: int = 1, **options: object) -> Profile:
    predictions = np.linspace(0, 1, len(frame))
    return build_profile(frame, predictions, dates(len(frame), nights), equal(frame), Drift(), **options)  # type: ignore[arg-type]


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_non_negative_and_zero_for_equal_shares(a: np.ndarray, b: np.ndarray) -> None:
    assert psi(a, b) == pytest.approx(psi(b, a), abs=1e-12)
    assert psi(a, b) >= 0
    assert psi(a, a * 3) == pytest.approx(0, abs=1e-12)


def test_psi_of_a_textbook_case() -> None:
    expected = 0.25 * np.log(0.75 / 0.5) + 0.25 * np.log(0.5 / 0.25)

    assert psi(np.array([50, 50]), np.array([75, 25])) == pytest.approx(expected)


def test_a_bin_too_rare_to_be_seen_in_a_small_sample_adds_nothing() -> None:
    assert psi(np.array([9_990, 9_990, 1]), np.array([100, 100, 0])) < 0.001


@given(NUMBERS)
def test_every_row_falls_into_exactly_one_bin(values: np.ndarray) -> None:
    frame = pd.DataFrame({"x": values})
    column = profile_of(frame).features[0]

    assert sum(column.counts) == len(values)
    assert column.counts[-1] == np.isnan(values).sum()
    assert count(column, frame["x"].sample(frac=1, random_state=0)).tolist() == list(column.counts)


@given(NUMBERS)
def test_the_json_round_trip_is_exact(values: np.ndarray) -> None:
    profile = profile_of(pd.DataFrame({"x": values}))

    assert Profile.from_json(profile.to_json()) == profile


def test_a_profile_of_every_kind_of_column_round_trips_and_is_small() -> None:
    profile = profile_of(rows(0, 9000), nights=45)

    assert Profile.from_json(profile.to_json()) == profile
    assert len(profile.to_json()) < 20_000
    assert (profile.rows, profile.first, profile.last) == (9000, date(2013, 1, 1), date(2013, 2, 14))
    assert {f.name: f.kind for f in profile.features if f.kind != "numeric"} == {
        "flag": "boolean",
        "carrier": "category",
        "origin": "category",
    }


def test_a_wide_profile_of_long_categories_stays_below_200_kb() -> None:
    wide = pd.DataFrame({f"c{i}": [f"{k:02d}{'x' * 60}" for k in range(40)] * 5 for i in range(100)})

    assert len(profile_of(wide).to_json()) < 200_000


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([0.0] * 80 + [float(i) for i in range(1, 21)], [0, 80, 9, 11, 0]),
        ([5.0] * 10, [0, 10, 0, 0]),
        ([np.nan] * 4, [0, 4]),
    ],
    ids=["a spike has a bin of its own", "constant", "nothing but missing"],
)
def test_numeric_bins(values: list[float], counts: list[int]) -> None:
    assert list(profile_of(pd.DataFrame({"x": values})).features[0].counts) == counts


def test_a_value_never_seen_below_a_constant_is_seen_to_be_new() -> None:
    column = profile_of(pd.DataFrame({"x": [5.0] * 10})).features[0]

    assert count(column, pd.Series([4.999, 5.0, 5.001, np.nan])).tolist() == [1, 1, 1, 1]


def test_unseen_categories_are_other_and_missing_is_missing() -> None:
    column = profile_of(pd.DataFrame({"c": ["a"] * 6 + ["b"] * 5 + [None]})).features[0]

    assert (column.categories, column.counts) == (("a", "b"), (6, 5, 0, 1))
    assert count(column, pd.Series(["b", "zebra", None])).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_the_dtype_that_holds_categories_does_not_matter(dtype: str) -> None:
    column = profile_of(pd.DataFrame({"c": ["a"] * 6 + ["b"] * 5})).features[0]

    assert count(column, pd.Series(["a", "b", None, "z"], dtype=dtype)).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("dtype", ["object", "boolean"])
def test_booleans_with_gaps_count_as_booleans(dtype: str) -> None:
    column = profile_of(pd.DataFrame({"b": [True, False, False]})).features[0]

    assert column.counts == (2, 1, 0)
    assert count(column, pd.Series([True, None], dtype=dtype)).tolist() == [0, 1, 1]


def test_integers_with_gaps_count_as_numbers() -> None:
    column = profile_of(pd.DataFrame({"x": [1, 2, 3]})).features[0]

    assert count(column, pd.Series([2, None], dtype="Int64"))[-1] == 1


def test_categories_the_model_does_not_know_are_other() -> None:
    frame = pd.DataFrame({"c": ["a"] * 6 + ["b"] * 5})
    column = profile_of(frame, categories={"c": ["b", "never"]}).features[0]

    assert (column.categories, column.counts) == (("b",), (5, 6, 0))


def test_the_profile_names_no_address_no_rare_and_no_long_value() -> None:
    frame = pd.DataFrame({"c": ["ann@example.org"] * 50 + ["x" * 65] * 50 + ["rare"] * 4 + ["kept"] * 5})

    assert profile_of(frame).features[0].categories == ("kept",)


def test_importance_is_normalised_and_noise_below_zero_counts_as_none() -> None:
    frame = rows(0, 100)[["x0", "x1", "x2"]]
    profile = build_profile(frame, np.zeros(100), dates(100, 1), {"x0": 3.0, "x1": 1.0, "x2": -0.5}, Drift())

    assert [f.importance for f in profile.features] == [0.75, 0.25, 0.0]


def test_without_any_importance_all_features_count_alike() -> None:
    frame = rows(0, 100)[["x0", "x1"]]
    profile = build_profile(frame, np.zeros(100), dates(100, 1), {"x0": 0.0, "x1": 0.0}, Drift())

    assert [f.importance for f in profile.features] == [0.5, 0.5]


def test_the_envelope_is_the_largest_psi_of_a_window_against_the_rest() -> None:
    nights, a_night = 21, 50
    frame = weather(seed=1, nights=nights, rows_a_night=a_night, columns=1)
    profile = profile_of(frame, nights)
    column, largest = profile.features[0], 0.0
    for first in range(nights - 6):
        inside = np.arange(len(frame)) // a_night - first
        window = (inside >= 0) & (inside < 7)
        halves = count(column, frame["weather_0"][~window]), count(column, frame["weather_0"][window])
        largest = max(largest, float(psi(*halves)))

    assert column.psi_envelope == pytest.approx(largest)
    assert column.psi_envelope > 0.2


def test_nights_without_rows_count_as_nights() -> None:
    frame = weather(seed=1, nights=20, rows_a_night=50, columns=1)
    nights = dates(1000, 20)
    gap = nights.where(nights < "2013-01-11", nights + pd.Timedelta(days=30))
    profile = build_profile(frame, np.zeros(1000), gap, equal(frame), Drift(min_rows=10))

    assert (profile.last - profile.first).days == 49


def test_a_training_window_too_short_to_split_has_no_envelope() -> None:
    profile = profile_of(weather(seed=1, nights=13, rows_a_night=50, columns=1), nights=13)

    assert profile.features[0].psi_envelope == 0.0


def test_an_outage_in_training_shows_in_the_missing_envelope() -> None:
    frame = rows(0, 2800)[["x0"]]
    frame.loc[700:1399, "x0"] = np.nan

    assert profile_of(frame, nights=28).features[0].missing_envelope == pytest.approx(1.0)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(random: object) -> None:
    frame, nights = rows(0, 500), dates(500, 20)
    order = np.random.default_rng(random.randint(0, 9999)).permutation(500)  # type: ignore[attr-defined]
    predictions = np.linspace(0, 1, 500)
    shuffled = build_profile(frame.iloc[order], predictions[order], nights.iloc[order], equal(frame), Drift())

    assert shuffled == build_profile(frame, predictions, nights, equal(frame), Drift())


def test_batch_dates_may_be_dates_or_timestamps() -> None:
    frame, nights = rows(0, 300)[COLUMNS], dates(300, 3)

    assert build_profile(frame, np.zeros(300), nights.dt.date, equal(frame), Drift()) == build_profile(
        frame, np.zeros(300), nights, equal(frame), Drift()
    )


def test_what_does_not_fit_together_is_refused_by_name() -> None:
    frame = rows(0, 10)[["x0"]]
    with pytest.raises(EmptyBatch):
        profile_of(frame.head(0))
    with pytest.raises(SchemaMismatch, match="predictions: 9 for 10 rows"):
        build_profile(frame, np.zeros(9), dates(10, 1), {"x0": 1.0}, Drift())
    with pytest.raises(SchemaMismatch, match="importance and features differ in: x0, x9"):
        build_profile(frame, np.zeros(10), dates(10, 1), {"x9": 1.0}, Drift())
    with pytest.raises(SchemaMismatch, match="without a batch date"):
        build_profile(frame, np.zeros(10), pd.Series([pd.NaT] * 10), {"x0": 1.0}, Drift())


def test_what_was_said_of_each_training_night_is_kept_by_the_bins_of_all() -> None:
    frame = rows(0, 300)
    profile = profile_of(frame, nights=10)
    nights = [each.night for each in profile.prediction_nights]
    total = np.sum([each.counts[0] for each in profile.prediction_nights], axis=0)

    assert nights == sorted({day.date() for day in dates(300, 10)})
    assert (nights[0], nights[-1]) == (profile.first, profile.last)
    assert tuple(total.tolist()) == profile.predictions[0].counts
