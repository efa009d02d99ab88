"""Statements on the tables of specs hold names, dates and whole numbers; every other value is bound."""

from datetime import UTC, date, datetime

import pytest
from psycopg2 import sql

from nightshift.warehouse.tables import rendered


def test_a_date_and_a_whole_number_may_stand_in_a_statement() -> None:
    query = sql.SQL("SELECT {} WHERE d = {} AND n = {}").format(
        sql.Identifier('a"b'), sql.Literal(date(2013, 2, 1)), sql.Literal(7)
    )
    assert rendered(query) == 'SELECT "a""b" WHERE d = DATE \'2013-02-01\' AND n = 7'


@pytest.mark.parametrize(
    "value", ["2013-02-01'; --", True, 0.5, None, datetime(2013, 2, 1, 5, tzinfo=UTC), b"x"]
)
def test_no_other_value_stands_in_a_statement(value: object) -> None:
    with pytest.raises(TypeError, match="dates and whole numbers can be rendered"):
        rendered(sql.Literal(value))
