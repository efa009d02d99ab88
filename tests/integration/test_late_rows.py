"""Rows that come late or are corrected upstream: found by looking back, and only what changed wakes others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import BatchRejected, NotReady, SourceError
from nightshift.stages import Choice, Platform, Try
from nightshift.warehouse import raw_table

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
NIGHT = date(2013, 2, 6)
TONIGHT = DateRange(NIGHT, NIGHT)
LOOKING_BACK = DateRange(NIGHT - 2 * DAY, NIGHT)
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def folder(tmp_path: Path, loop: Platform) -> Path:
    """Return a copy of the weather files around NIGHT, to change at will."""
    ours = Path(loop.connection("weather_files").extra["path"])
    (tmp_path / "weather").mkdir()
    for n in range(5):
        shutil.copy(ours / f"{NIGHT - n * DAY}.csv", tmp_path / "weather")
    return tmp_path / "weather"


@pytest.fixture
def served(loop: Platform, folder: Path) -> Platform:
    """Return the platform with these files behind its connection; collected once as they are."""
    changed = replace(loop.connection("weather_files"), extra={"path": str(folder)})
    platform = replace(loop, connection=lambda n: changed if n == "weather_files" else loop.connection(n))
    nightly(platform, "the night")
    return platform


def nightly(platform: Platform, run: str) -> dict:
    """Collect and validate the night as the schedule does, looking back on the two before it."""
    asked = Try(run)
    stages.collect(platform, "weather", LOOKING_BACK, asked, must_pass=TONIGHT)
    return stages.validate(platform, "weather", LOOKING_BACK, asked, must_pass=TONIGHT)


def change(folder: Path, night: date, how: Change) -> None:
    """Change the file that the night of ``night`` collects: that of the day before."""
    path = folder / f"{night - DAY}.csv"
    how(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def warmer(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(temp="50.0")


def broken(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="temp")


def temperatures(platform: Platform, night: date) -> set[float]:
    rows = platform.warehouse.read(raw_table(platform.project.source("weather")), night, night)
    return set(rows["temp"])


def batch(platform: Platform, night: date) -> dict:
    found = platform.warehouse.row(
        "SELECT * FROM catalog.batches WHERE source = 'weather' AND batch_date = %s", (night,)
    )
    return found or {}


def test_a_corrected_batch_is_replaced_and_an_unchanged_one_is_left_alone(
    served: Platform, folder: Path
) -> None:
    change(folder, NIGHT - DAY, warmer)
    before = batch(served, NIGHT - 2 * DAY)
    assert nightly(served, "again")["judged"] == 2
    assert temperatures(served, NIGHT - DAY) == {50.0}
    assert stages.corrected(served, "weather", Try("again")) == [NIGHT - DAY]
    assert batch(served, NIGHT - 2 * DAY) == before
    assert nightly(served, "once more")["judged"] == 1
    assert stages.corrected(served, "weather", Try("once more")) == []


def test_an_older_delivery_is_not_put_back_over_a_newer_one(served: Platform, folder: Path) -> None:
    """`validate` of an older run, cleared: for what it looked back on, and for its own night."""
    nightly(served, "older")
    change(folder, NIGHT - DAY, warmer)
    change(folder, NIGHT, warmer)
    nightly(served, "newer")
    told = rf"weather', {NIGHT}: what this run landed is older than .* run newer landed; clear 'collect' too"
    with pytest.raises(NotReady, match=told):
        stages.validate(served, "weather", LOOKING_BACK, Try("older", 2), must_pass=TONIGHT)
    early = DateRange(NIGHT - 2 * DAY, NIGHT - 2 * DAY)
    stages.validate(served, "weather", LOOKING_BACK, Try("older", 3), must_pass=early)
    assert temperatures(served, NIGHT) == temperatures(served, NIGHT - DAY) == {50.0}
    assert nightly(served, "older")["failed"] == 0, "landed anew, it is the newest"


def test_rows_in_another_order_are_no_correction(served: Platform, folder: Path) -> None:
    change(folder, NIGHT - DAY, lambda frame: frame.iloc[::-1])
    assert nightly(served, "reversed")["judged"] == 2
    assert stages.corrected(served, "weather", Try("reversed")) == []


def test_a_retry_finds_its_own_corrections_again(served: Platform, folder: Path) -> None:
    change(folder, NIGHT - DAY, warmer)
    for _ in range(2):
        nightly(served, "tried twice")
        assert stages.corrected(served, "weather", Try("tried twice")) == [NIGHT - DAY]


def published(platform: Platform, run: str, choice: Choice = "changed") -> list[date]:
    """Announce what a run of the night announces; return what it has corrected, as its rebuilding tasks see it."""
    since = NIGHT - stages.LONGEST_MISSED
    changed = stages.corrected(platform, "weather", Try(run), since=since)
    stages.announce(platform, "raw.weather", sorted({NIGHT, *changed}), Try(run), choice=choice)
    return stages.corrected(platform, "weather", Try(run), since=since)


def test_a_correction_whose_run_died_before_it_said_so_is_followed_by_the_next(
    served: Platform, folder: Path
) -> None:
    stages.announce(served, "raw.weather", LOOKING_BACK.dates, Try("the night"), choice="wake")
    change(folder, NIGHT - DAY, warmer)
    nightly(served, "dies")
    nightly(served, "next")
    assert stages.corrected(served, "weather", Try("by hand")) == []
    assert stages.corrected(served, "weather", Try("long after"), since=NIGHT) == []
    assert [published(served, "next") for _ in range(2)] == [[NIGHT - DAY]] * 2, "a retry says it again"
    assert published(served, "later") == []


def test_what_was_left_unsaid_on_purpose_stays_so(served: Platform, folder: Path) -> None:
    stages.announce(served, "raw.weather", LOOKING_BACK.dates, Try("the night"), choice="wake")
    change(folder, NIGHT - DAY, warmer)
    nightly(served, "by hand")
    stages.leave(served, "weather", Try("by hand"))
    nightly(served, "next")
    assert published(served, "next") == []


def test_a_first_build_at_work_while_a_night_it_looks_back_on_is_corrected_is_owed(served: Platform) -> None:
    departure = served.project.feature_set("departure")
    for source in departure.inputs:
        stages.announce(served, f"raw.{source}", [NIGHT], Try("the night"), choice="wake")
    # Its lease is taken, and nothing committed.
    served.warehouse.execute("DELETE FROM catalog.feature_batches WHERE batch_date = %s", (NIGHT,))
    reached = stages.reached(departure, "weather", [NIGHT - DAY])
    assert reached == [NIGHT - DAY, NIGHT]
    assert stages.owed(served, departure, "weather", reached, Try("corrected")) == [NIGHT]


def test_a_broken_batch_of_the_past_is_recorded_and_does_not_stop_tonight(
    served: Platform, folder: Path
) -> None:
    kept = temperatures(served, NIGHT - DAY)
    change(folder, NIGHT - DAY, broken)
    assert nightly(served, "broken past")["failed"] == 1
    assert temperatures(served, NIGHT - DAY) == kept
    assert batch(served, NIGHT - DAY)["status"] == "failed"
    assert "'temp' is missing" in batch(served, NIGHT - DAY)["reasons"]
    change(folder, NIGHT, broken)
    with pytest.raises(BatchRejected, match=rf"{NIGHT}.*'temp' is missing") as failed:
        nightly(served, "broken tonight")
    assert str(NIGHT - DAY) not in str(failed.value)


def test_a_batch_that_is_no_longer_delivered_stays_and_tonights_must_be_there(
    served: Platform, folder: Path
) -> None:
    kept = temperatures(served, NIGHT - DAY)
    (folder / f"{NIGHT - 2 * DAY}.csv").unlink()
    nightly(served, "gone")
    assert temperatures(served, NIGHT - DAY) == kept
    (folder / f"{NIGHT - DAY}.csv").unlink()
    with pytest.raises(SourceError, match=str(NIGHT - DAY)):
        nightly(served, "gone too")


def test_what_was_built_from_a_corrected_batch_is_stale_and_nothing_else(served: Platform) -> None:
    departure = served.project.feature_set("departure")
    early = NIGHT - 2 * DAY
    cases = {
        ("weather", (early,)): [early, early + DAY],
        ("weather", ()): [],
        ("flights", (early,)): [early],
        ("arrivals", (early,)): [early + n * DAY for n in range(5)],  # 28 days; built up to 8 February
        ("weather", (NIGHT + 300 * DAY,)): [],
    }
    for (source, changed), expected in cases.items():
        assert stages.stale(served, departure, source, list(changed)) == expected, source


@pytest.mark.parametrize(
    ("said_before", "choice", "rebuilt", "is_told"),
    [
        # (who said it, of which content, announced), or nothing said so far
        (None, "changed", False, True),
        (None, "changed", True, False),
        (("another run", "same", True), "changed", False, False),
        (("another run", "same", True), "changed", True, False),
        (("another run", "other", True), "changed", False, True),
        (("another run", "other", True), "changed", True, True),
        (("this run", "same", True), "changed", False, True),
        (("this run", "same", True), "changed", True, True),
        (("another run", "same", False), "changed", False, True),
        (("another run", "other", False), "changed", True, False),
        (("another run", "same", True), "wake", False, True),
        (("another run", "other", True), "leave", False, False),
    ],
)
def test_a_night_is_announced_when_it_is_news(
    served: Platform, said_before: tuple | None, choice: Choice, rebuilt: bool, is_told: bool
) -> None:
    content = batch(served, NIGHT)["content_sha256"]
    if said_before:
        run, which, announced = said_before
        served.warehouse.execute(
            "INSERT INTO catalog.announcements (asset, batch_date, announced, content_sha256, run_id) "
            "VALUES ('raw.weather', %s, %s, %s, %s)",
            (NIGHT, announced, content if which == "same" else "other", run),
        )
    told = stages.announce(served, "raw.weather", [NIGHT], Try("this run"), choice=choice, rebuilt=rebuilt)
    assert told == ([NIGHT] if is_told else [])
    again = stages.announce(
        served, "raw.weather", [NIGHT], Try("later run"), choice="changed", rebuilt=rebuilt
    )
    assert again == ([NIGHT] if choice == "leave" else [])


def test_predictions_are_announced_each_time(served: Platform) -> None:
    for run in ("one", "two"):
        told = stages.announce(served, "predictions.late_arrival", [NIGHT], Try(run), choice="changed")
        assert told == [NIGHT]
