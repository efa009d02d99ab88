"""What a column's name says of it, whatever its case and with or without a sign between its words."""

import pytest

from nightshift.drafts.names import is_counted, is_identifier, may_be_key


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "ID",
        "Id",
        "userId",
        "userID",
        "user_id",
        "USER_ID",
        "Row ID",
        "user-id",
        "userid",
        "USERID",
        "itemid",
    ],
)
def test_an_id_is_one_in_every_spelling(name: str) -> None:
    assert is_counted(name)
    assert is_identifier(name)
    assert may_be_key(name)


@pytest.mark.parametrize(
    "name",
    [
        "paid",
        "amount_paid",
        "amountPaid",
        "PAID",
        "unpaid",
        "humid",
        "void",
        "isVoid",
        "grid",
        "power_grid",
        "valid",
    ],
)
def test_a_word_that_ends_in_id_is_none(name: str) -> None:
    assert not is_counted(name)
    assert not is_identifier(name)
    assert not may_be_key(name)


@pytest.mark.parametrize(
    "name", ["tailnum", "flight_no", "flightNo", "zip_code", "name", "Unnamed: 0", "column_1"]
)
def test_a_part_of_a_key_may_be_learned_from(name: str) -> None:
    assert may_be_key(name)
    assert not is_identifier(name)


@pytest.mark.parametrize("name", ["uuid", "order_uuid", "customerGuid", "index"])
def test_an_identifier_need_not_count(name: str) -> None:
    assert is_identifier(name)
    assert not is_counted(name)


@pytest.mark.parametrize("name", ["NO2(GT)", "id2", "identity", "notes", "", "温度"])
def test_other_names_say_nothing(name: str) -> None:
    assert not may_be_key(name)
