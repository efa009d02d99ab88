"""A feature night whose build did not end is built once a source of it is collected again, and only then."""

from datetime import date, timedelta

import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration
NIGHT = date(2013, 1, 8)
TONIGHT = DateRange(NIGHT, NIGHT)
SET, SOURCES = "departure", ("flights", "arrivals", "weather", "aircraft")
ASSET = "features.departure_v1"


@pytest.fixture
def announced(platform: Platform) -> Platform:
    """Return the platform with a night that all sources have announced, and whose weather is gone since."""
    for source in SOURCES:
        stages.collect(platform, source, TONIGHT, Try("night"))
        stages.validate(platform, source, TONIGHT, Try("night"))
        assert told(platform, source, "night") == [NIGHT]
    platform.warehouse.execute("DELETE FROM raw.weather WHERE batch_date = %s", (NIGHT,))
    return platform


def told(platform: Platform, source: str, run: str, choice: stages.Choice = "changed") -> list[date]:
    return stages.announce(platform, f"raw.{source}", [NIGHT], Try(run), choice=choice)


def owed(
    platform: Platform, run: str, source: str = "weather", nights: tuple[date, ...] = (NIGHT,)
) -> list[date]:
    return stages.owed(platform, platform.project.feature_set(SET), source, list(nights), Try(run))


def built(platform: Platform, run: str, *, rebuilt: bool = True) -> list[date]:
    """Build the night, and return what its run announces."""
    stages.build_features(platform, SET, TONIGHT, Try(run))
    return stages.announce(platform, ASSET, [NIGHT], Try(run), choice="changed", rebuilt=rebuilt)


def collected_again(platform: Platform, run: str) -> None:
    stages.collect(platform, "weather", TONIGHT, Try(run))
    stages.validate(platform, "weather", TONIGHT, Try(run))
    assert told(platform, "weather", run) == [], "it is no news"


def test_a_night_whose_build_failed_is_built_and_announced_when_a_source_is_collected_again(
    announced: Platform,
) -> None:
    with pytest.raises(NotReady, match="source 'weather' has no batch"):
        built(announced, "asset")
    collected_again(announced, "again")
    assert owed(announced, "again") == owed(announced, "again", "flights") == [NIGHT]
    assert owed(announced, "again", nights=()) == []
    assert owed(announced, "again", nights=(date(2013, 1, 9),)) == []
    assert built(announced, "rebuild") == [NIGHT], "the models have waited for it"
    assert owed(announced, "once more") == [], "what is built is owed no more"
    assert built(announced, "another rebuild") == []


def test_a_night_that_was_never_tried_is_not_owed(announced: Platform) -> None:
    """A new version of a set has no night of before; what was collected again by hand must not build them all."""
    collected_again(announced, "again")
    assert owed(announced, "again") == []


def test_the_run_that_announces_a_night_first_wakes_its_set_by_itself(announced: Platform) -> None:
    with pytest.raises(NotReady):
        built(announced, "by hand")
    assert owed(announced, "night") == [], "its own asset completes the night"
    announced.warehouse.execute("UPDATE catalog.announcements SET content_sha256 = 'other', run_id = 'old'")
    assert told(announced, "weather", "corrected") == [NIGHT]
    assert owed(announced, "corrected") == [NIGHT], "its asset alone would wait for the other sources"
    assert owed(announced, "night") == []


def test_a_night_is_owed_only_once_all_sources_have_announced_it(announced: Platform) -> None:
    with pytest.raises(NotReady):
        built(announced, "by hand")
    told(announced, "aircraft", "history", "leave")
    assert owed(announced, "again") == []


def test_history_that_was_left_unsaid_is_not_announced_by_a_rebuild(announced: Platform) -> None:
    collected_again(announced, "again")
    told(announced, "aircraft", "history", "leave")
    assert built(announced, "rebuild") == []


NEXT = NIGHT + timedelta(days=1)


def missed(platform: Platform, source: str = SOURCES[-1], night: date = NEXT) -> list[date]:
    return stages.missed(platform, platform.project.feature_set(SET), source, night)


@pytest.fixture
def paused(announced: Platform) -> Platform:
    """Return the platform where the night before was built, and the announced one has woken nobody."""
    before = NIGHT - timedelta(days=1)
    announced.warehouse.execute(
        "INSERT INTO catalog.feature_batches "
        "(feature_set, feature_version, batch_date, row_count, content_sha256, code_sha256, run_id) "
        "VALUES (%s, 1, %s, 1, 'x', 'x', 'before')",
        (SET, before),
    )
    collected_again(announced, "mended")
    return announced


def test_a_night_that_was_announced_to_a_paused_dag_is_built_by_the_next(paused: Platform) -> None:
    assert missed(paused) == [NIGHT]
    assert missed(paused, night=NIGHT + timedelta(days=30)) == [NIGHT]
    assert missed(paused, night=NIGHT + timedelta(days=31)) == [], "of a month at most"
    assert missed(paused, night=NIGHT) == [], "tonight's own sources wake it"
    assert [missed(paused, source) for source in SOURCES[:-1]] == [[], [], []], (
        "one source of the set has it built"
    )


def test_a_night_that_was_only_just_announced_has_a_run_of_its_own_on_its_way(paused: Platform) -> None:
    source = SOURCES[-1]
    stages.announce(paused, f"raw.{source}", [NEXT], Try("tonight"), choice="wake")
    assert missed(paused) == []
    paused.warehouse.execute(
        "UPDATE catalog.announcements SET decided_at = decided_at - interval '2 minutes' WHERE batch_date = %s",
        (NIGHT,),
    )
    assert missed(paused) == [NIGHT]


def test_a_night_that_was_missed_is_announced_once_it_is_built(announced: Platform) -> None:
    collected_again(announced, "mended")
    assert built(announced, "rebuild") == [NIGHT], "the models have waited for it"


def test_a_night_is_missed_only_if_all_sources_announced_it(paused: Platform) -> None:
    told(paused, "weather", "history", "leave")
    assert missed(paused) == []


def test_a_new_version_of_a_set_has_missed_no_night(announced: Platform) -> None:
    collected_again(announced, "mended")
    assert missed(announced) == []
