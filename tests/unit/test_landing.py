"""The file of a landing holds what was delivered, to the value; the same rows are the same bytes."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightshift.errors import SourceError
from nightshift.landing import parquet, rows_of, stacked

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
driver = st.one_of(
    st.decimals(allow_nan=False),
    st.binary(max_size=5),
    st.uuids(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(timezones=st.just(UTC)),
)


def there_and_back(values: list[Any]) -> list[Any]:
    return rows_of(parquet(pd.DataFrame({"x": pd.Series(values, dtype=object)})))["x"].to_list()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(json_like, driver), min_size=1, max_size=6))
def test_whatever_is_delivered_comes_back_as_it_was(values: list[Any]) -> None:
    back = there_and_back(values)
    for delivered, kept in zip(values, back, strict=True):
        if delivered is None:
            assert pd.isna(kept)
        else:
            assert (repr(kept), type(kept)) == (repr(delivered), type(delivered)) or kept == delivered


@pytest.mark.parametrize(
    "values",
    [
        [2**53 + 1, None, *range(10**18, 10**18 + 20)],
        [2**64 - 1, 5],
        [1, 2.5, 2**53 + 1],
        ["a", {"$decimal": "1"}, ["b"], 5, True],
        ["\ud83d", "ok"],
        [Decimal("1.10"), Decimal(2), Decimal("Infinity")],
        [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1)],  # noqa: DTZ001 as delivered
        [b"\xff", UUID(int=1), date(1, 1, 1), time(1, 2), timedelta(days=-1, microseconds=1)],
        [pd.Timestamp("2013-02-08T00:00:00.123456789Z"), "x"],
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_what_one_dtype_cannot_hold_is_kept(values: list[Any]) -> None:
    assert list(map(repr, there_and_back(values))) == list(map(repr, values))
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    assert parquet(frame) == parquet(frame.copy())


def test_names_that_cannot_be_written_are_told_apart() -> None:
    frame = pd.DataFrame([[1, "a", 2]], columns=pd.Index(["x", "\ud83d", "x"], dtype=object))
    assert list(rows_of(parquet(frame)).columns) == ["x", "\\ud83d", "x (2)"]


def test_what_is_nested_beyond_reason_is_refused_by_row() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(SourceError, match="column 'x', row 2: nested too deeply"):
        there_and_back([1, deep])


def test_integers_of_one_frame_stay_integers_beside_floats_of_another() -> None:
    frames = [pd.DataFrame({"x": [2**53 + 1]}), pd.DataFrame({"x": [0.5]})]
    assert stacked(frames)["x"].to_list() == [2**53 + 1, 0.5]


def test_integers_of_one_frame_stay_integers_beside_a_frame_without_them() -> None:
    frames = [pd.DataFrame({"x": [2**53 + 1], "y": ["a"]}), pd.DataFrame({"y": ["b"]})]
    assert stacked(frames)["x"].dropna().to_list() == [2**53 + 1]
