"""Which rows of a night somebody asks for: by key, or by the values of columns; words, never SQL."""

import pandas as pd
import pytest

from nightshift.errors import RequestError
from nightshift.score.selection import MOST_NAMED, keyed, matching, read_conditions

COLUMNS = {"flight_id": "string", "day": "string", "seats": "integer", "distance": "float", "late": "boolean"}
ROWS = pd.DataFrame(
    {
        "flight_id": ["a", "b", "b", "'; DROP"],
        "day": ["1", "1", "2", "1"],
        "seats": pd.array([10, 20, None, 9007199254740993], dtype="Int64"),
        "distance": [1.5, 2.0, None, 2.0],
        "late": pd.array([True, False, None, True], dtype="boolean"),
    }
)


def test_keys_are_found_once_each_and_the_others_named() -> None:
    found = keyed(ROWS, [("b",), ("x",), ("a",), ("b",), ("'; DROP",)], ["flight_id"])
    assert list(found.rows.index) == [0, 1, 2, 3]
    assert found.words() == "3 of 4 keys found; without a row: x"


def test_a_key_of_several_columns_is_all_of_them() -> None:
    found = keyed(ROWS, [("b", "2"), ("2", "b")], ["flight_id", "day"])
    assert list(found.rows.index) == [2]
    assert found.missing == [("2", "b")]
    assert found.words() == "1 of 2 keys found; without a row: 2/b"


def test_of_many_unknown_keys_some_are_named() -> None:
    said = keyed(ROWS, [(f"x{n}",) for n in range(MOST_NAMED + 3)], ["flight_id"]).words()
    assert said.startswith("0 of 23 keys found; without a row: x0, x1")
    assert said.endswith("x19 and 3 more")


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (["flight_id=b"], [1, 2]),
        (["flight_id=b", "day=2"], [2]),
        (["flight_id=a", "flight_id=b", "day=1"], [0, 1]),
        (["seats=9007199254740993"], [3]),
        (["seats=9007199254740992"], []),
        (["distance=2"], [1, 3]),
        (["late=TRUE"], [0, 3]),
        (["late=false"], [1]),
        (["flight_id='; DROP"], [3]),
        (["flight_id='; DROP", "day=1' OR '1'='1"], []),
        (["flight_id="], []),
        (["day==1"], []),
    ],
)
def test_conditions_hold_together_and_of_one_column_any(where: list[str], rows: list[int]) -> None:
    assert list(matching(ROWS, read_conditions(where, COLUMNS)).rows.index) == rows


def test_an_integer_of_64_bits_may_be_asked_for() -> None:
    most = 2**63 - 1
    rows = pd.DataFrame({"seats": pd.array([most - 1, most, -most - 1], dtype="Int64")})
    for value, row in ((most, 1), (-most - 1, 2)):
        assert list(matching(rows, read_conditions([f"seats={value}"], COLUMNS)).rows.index) == [row]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("flight_id", r"expected column=value, got 'flight_id'"),
        ("flight=a", r"unknown column 'flight'; did you mean 'flight_id'\?"),
        ("seats>=5", r"unknown column 'seats>'; did you mean 'seats'\?"),
        ("1=1 OR flight_id=a", r"unknown column '1'"),
        ("=a", r"unknown column ''"),
        ("seats=1.0", "seats is of type integer, got '1.0'"),
        ("seats=1_0", "seats is of type integer"),
        ("seats=", "seats is of type integer"),
        ("seats=9223372036854775808", "seats is of type integer"),
        ("distance=nan", "distance is of type float"),
        ("distance=inf", "distance is of type float"),
        ("distance=1_0", "distance is of type float"),
        ("late=1", "late is of type boolean"),
    ],
)
def test_what_is_no_condition_says_why(where: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read_conditions([where], COLUMNS)
