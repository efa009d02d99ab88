"""Kept files: what the UI serves, and whose it is."""

from datetime import date

import pytest

from nightshift import kept
from nightshift.calendar import DateRange

NIGHT, LATER = date(2013, 2, 1), date(2013, 2, 3)


@pytest.mark.parametrize("which", [NIGHT, DateRange(NIGHT, LATER), "0a" * 32])
def test_a_page_of_any_dag_is_served_to_whoever_may_see_that_dag(which: object) -> None:
    key = kept.page("retrain_late_arrival", "guards", which)

    assert kept.SERVED.fullmatch(key)
    assert kept.dag_of(key) == "retrain_late_arrival"
    assert kept.sent_as(key) == ("text/html", {})
    assert not kept.is_scripted(key)


@pytest.mark.parametrize(
    "key",
    [
        "pages/retrain_late_arrival/guards/rows.parquet",
        "pages/retrain_late_arrival/../landed/2013-02-01.html",
        "pages/retrain_late_arrival/2013-02-01.html",
        "pages/Retrain/guards/2013-02-01.html",
        "pages/retrain_late_arrival/guards/2013-02-01.html\n",
        "landed/flights/2013-02-01.html",
        "snapshots/late_arrival/2013-02-01.html",
    ],
)
def test_nothing_else_is(key: str) -> None:
    assert not kept.SERVED.fullmatch(key)
