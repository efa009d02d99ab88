"""Values as declared types: what reads, what does not, and that nothing beside a value decides."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightshift.exact import exact
from nightshift.specs import Dialect
from nightshift.spelling import plain
from nightshift.types import DTYPES, as_numbers, as_text, content_sha256, from_parquet, to_parquet
from nightshift.validate.coerce import coerce

WEST = timezone(timedelta(hours=-5))
LARGE = 2**60 + 1
READ: dict[str, list[tuple[Any, str | None]]] = {
    "integer": [
        (LARGE, str(LARGE)),
        (2**64 - 1, None),
        (3.0, "3"),
        (2.5, None),
        (2.0**53, None),  # it may have been 2**53 + 1
        (Decimal("9007199254740993.00"), "9007199254740993"),
        (Decimal("1E+999999"), None),
        (Decimal("Infinity"), None),
        (True, None),
        ("7", None),
        ([1], None),
        (np.int64(5), "5"),
    ],
    "float": [(10**400, None), (Decimal("0.1"), "0.1"), (7, "7.0"), ("x", None), (True, None)],
    "boolean": [(True, "True"), (0, "False"), (2, None), ("true", None)],
    "string": [
        ("", ""),
        (UUID(int=5), str(UUID(int=5))),
        ("a\0b", None),
        ("\ud83d", None),
        (5, None),
        (b"x", None),
    ],
    "date": [
        (date.min, "0001-01-01"),
        (date.max, "9999-12-31"),
        (pd.Timestamp("2013-02-08"), "2013-02-08"),
        (datetime(2013, 2, 8, 1), None),  # noqa: DTZ001 as delivered
        (datetime(2013, 2, 8, tzinfo=UTC), None),
        ("2013/02/08", "2013-02-08"),
        ("2013-02-08T00:00:00.000Z", "2013-02-08"),
        ("2013-02-08T00:00:00+01:00", None),
        ("2013-02-08T05:00:00Z", None),
        ("0000-01-01", None),
        ("infinity", None),
    ],
    "timestamp": [
        (datetime.max.replace(tzinfo=UTC), "9999-12-31 23:59:59.999999+00:00"),
        (datetime.max.replace(tzinfo=WEST), None),
        (datetime(2013, 2, 8, tzinfo=WEST), "2013-02-08 05:00:00+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00+00:00"),
        ("9999-12-31T23:59:59-05:00", None),
        # Nanoseconds would end in 2262, for every value of the column.
        ("2013-02-08T00:00:00.123456789Z", "2013-02-08 00:00:00.123456+00:00"),
        (date(2013, 2, 8), None),
    ],
}


@pytest.mark.parametrize("kind", READ)
def test_each_value_reads_by_itself_whatever_stands_beside_it(kind: str) -> None:
    values = [value for value, _ in READ[kind]]
    together = exact(pd.Series(values, dtype=object), kind)
    assert str(together.dtype) == DTYPES[kind]
    assert [None if pd.isna(text) else text for text in as_text(together)] == [text for _, text in READ[kind]]
    for value, text in READ[kind]:
        alone = exact(pd.Series([value, None], dtype=object), kind)
        assert [None if pd.isna(each) else each for each in as_text(alone)] == [text, None]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_spelled_in_csv_are_read_to_the_last_bit(values: list[float]) -> None:
    read = exact(pd.Series([repr(value) for value in values], dtype="str"), "float", texts=True)
    assert [value.hex() for value in read] == [value.hex() for value in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**64), 2**64), min_size=1))
def test_integers_spelled_in_csv_are_exact_or_none(values: list[int]) -> None:
    read = exact(pd.Series([str(value) for value in values], dtype="str"), "integer", texts=True)
    assert [None if pd.isna(value) else value for value in read] == [
        value if -(2**63) <= value < 2**63 else None for value in values
    ]


@pytest.mark.parametrize(
    "text", ["1e99999999999999999999", "1e-99999999999999999999", "5e1000000000000000000"]
)
def test_an_exponent_beyond_all_decimals_is_no_integer_and_no_error(text: str) -> None:
    read = exact(pd.Series(["7", text, "1e5"], dtype="str"), "integer", texts=True)
    assert read.tolist() == [7, pd.NA, 100_000]


def typed() -> pd.DataFrame:
    columns = {kind: [*[value for value, text in READ[kind] if text is not None][:2], None] for kind in READ}
    return pd.DataFrame(
        {kind: exact(pd.Series(values, dtype=object), kind) for kind, values in columns.items()}
    )


def test_a_typed_frame_comes_back_from_its_file_as_it_was() -> None:
    for rows in (typed(), typed()[:0], typed()[2:].reset_index(drop=True)):
        pd.testing.assert_frame_equal(from_parquet(to_parquet(rows, model="m")), rows)


def test_a_hash_of_content_depends_on_no_order_and_on_every_value() -> None:
    rows = typed()
    assert content_sha256(rows) == content_sha256(rows.iloc[::-1][list(rows.columns[::-1])])
    changed = rows.assign(integer=rows["integer"].fillna(0))
    assert (
        len(
            {content_sha256(each) for each in (rows, rows[:2], changed, rows.rename(columns={"date": "day"}))}
        )
        == 4
    )


def test_at_the_estimators_door_and_only_there_an_integer_is_a_float() -> None:
    assert as_numbers(typed())[["integer", "boolean"]].isna().sum().tolist() == [1, 1]
    assert set(map(str, as_numbers(typed())[["integer", "boolean"]].dtypes)) == {"float64"}


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("string", "a"),
        ("integer", "1"),
        ("float", "1.5"),
        ("boolean", "true"),
        ("date", "2013-01-01"),
        ("timestamp", "2013-01-01T00:00:00Z"),
    ],
)
def test_half_a_surrogate_pair_is_no_value_of_any_type_and_no_error(kind: str, good: str) -> None:
    delivered = pd.Series([good, "\ud83d", None], dtype=object)
    for zone in ("UTC", "America/New_York"):
        spelled = plain(delivered, kind, Dialect(nulls=("NA",)), ZoneInfo(zone))
        read, wrong = coerce(spelled, kind, text_is_all=True)
        assert wrong.tolist() == [False, True, False]
        assert read.notna().tolist() == [True, False, False]
