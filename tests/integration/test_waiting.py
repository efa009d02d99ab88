"""Which source a night waits for is said, where one of a set's sources was left and another never came."""

from datetime import date

import pytest

from nightshift import stages
from nightshift.cli.waiting import waiting
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration
NIGHT = date(2013, 1, 8)


def test_a_night_that_waits_says_for_which_source_and_why(platform: Platform) -> None:
    asked = Try("waiting")

    def said(night: date | None = None) -> list[str]:
        return waiting(platform.warehouse, platform.project, night)

    for source in ("flights", "arrivals", "weather"):
        choice = "leave" if source == "arrivals" else "changed"
        stages.announce(platform, f"raw.{source}", [NIGHT], asked, choice=choice)
    (words,) = [line for line in said(NIGHT) if line.startswith("features_departure waits")]
    assert said() == said(NIGHT)
    assert words == (
        "features_departure waits, for 2013-01-08, for source 'arrivals', which was collected with --leave: trigger "
        "collect_arrivals again without it, and for source 'aircraft', of which collect_aircraft has not announced it"
    )
    for source in ("arrivals", "aircraft"):
        stages.announce(platform, f"raw.{source}", [NIGHT], asked, choice="wake")
    assert not [line for line in said(NIGHT) if "departure waits" in line]
    assert said(date(2013, 1, 9)) == []
