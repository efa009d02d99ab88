"""A lease that is not there any more is none: whoever held it writes nothing."""

from datetime import date
from typing import Any

import pytest

from nightshift.errors import Superseded
from nightshift.warehouse.partitions import Lease, check_lease
from nightshift.warehouse.tables import Table

FIRST, SECOND = date(2013, 2, 1), date(2013, 2, 2)
TABLE = Table("raw", "weather", {"batch_date": "date"}, ("batch_date",))
MINE = Lease(TABLE, {FIRST: 1, SECOND: 3}, "night (try 1)")


class Leases:
    """A cursor that answers with leases as they stand."""

    def __init__(self, *rows: tuple[date, int, str]) -> None:
        self.rows = rows

    def execute(self, *_: Any, **__: Any) -> None:
        pass

    def fetchall(self) -> list[tuple[date, int, str]]:
        return list(self.rows)


BETWEEN = (date(2013, 2, 3), 9, "somebody")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            ((FIRST, 1, "night (try 1)"), (SECOND, 4, "retry")),
            "02-02: 'retry' has taken generation 4; this try",
        ),
        (((FIRST, 1, "night (try 1)"), BETWEEN), "02-02: 'nightshift rename' has moved it; this try"),
        ((), "02-01: 'nightshift rename' has moved it; this try"),
    ],
)
def test_who_holds_no_lease_of_each_night_writes_none(rows: tuple[Any, ...], says: str) -> None:
    with pytest.raises(Superseded, match=says):
        check_lease(Leases(*rows), MINE)


def test_leases_of_other_nights_do_not_matter() -> None:
    check_lease(Leases((FIRST, 1, "night (try 1)"), (SECOND, 3, "night (try 1)"), BETWEEN), MINE)
