"""How much came and how old it is: in numbers, and no honest night of the example's year is refused."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from weather_batches import DAY, batch, source

from examples.nyc_flights.upstream import data_file
from nightshift.errors import BatchRejected
from nightshift.landing import Delivered
from nightshift.masks import masked
from nightshift.specs import Freshness, Volume, load_project
from nightshift.validate import Known, validate, validate_batches
from nightshift.validate.volume import freshness, volume

WEEK = timedelta(weeks=1)
VOLUME = Volume(weeks=4, at_least=0.5, at_most=2.0)
CUTOFF = datetime(2013, 2, 8, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("collected", "history", "says"),
    [
        (50, [100, 100], None),
        (49, [100, 100], "49 rows, 0.49 times the median of 100 on 2 Fridays (volume: 0.5 to 2 times)"),
        (200, [100, 100], None),
        (201, [100, 100], "201 rows, 2.01 times the median of 100 on 2 Fridays"),
        (100, [90, 110, 10_000], None),
        (40, [80, 100, 100, 120], "0.40 times the median of 100 on 4 Fridays"),
    ],
)
def test_rows_are_held_against_the_median_of_the_weekday(collected, history, says):
    counts = {DAY - WEEK * week: count for week, count in enumerate(history, start=1)}
    failing, notes = volume(VOLUME, DAY, collected, counts)
    assert notes == []
    assert failing == [] if says is None else says in failing[0]


def test_millions_of_rows_are_not_taken_for_somebodys_number():
    (told,), _ = volume(VOLUME, DAY, 1_234_567, {DAY - WEEK: 4_000_001, DAY - 2 * WEEK: 4_000_002})
    assert "1,234,567 rows, 0.31 times the median of 4,000,001.5 on 2 Fridays" in masked(told)


@pytest.mark.parametrize(
    "history",
    [{}, {DAY - WEEK: 9}, {DAY - WEEK: 9, DAY - 5 * WEEK: 9}, {DAY - timedelta(n): 9 for n in range(7)}],
)
def test_with_fewer_than_two_such_weekdays_it_is_not_judged_and_says_so(history):
    failing, (note,) = volume(VOLUME, DAY, 1, history)
    assert failing == []
    assert note.startswith("volume not judged: ")


def test_within_a_range_earlier_nights_that_pass_count_and_those_that_fail_do_not():
    days = [DAY + WEEK * n for n in range(5)]
    sizes = [50, 60, 300, 55, 120]
    frames = {day: batch(size, day).drop(columns="batch_date") for day, size in zip(days, sizes, strict=True)}
    # What was published of a night that is judged now does not count.
    known = Known(history={days[2]: 300})
    verdicts = validate_batches(source(volume={"weeks": 4}), frames, known).verdicts
    assert [verdicts[day].passed for day in days] == [True, True, False, True, False]
    assert "120 rows, 2.18 times the median of 55 on 3 Fridays" in verdicts[days[4]].reasons[0]
    assert [len(verdicts[day].notes) for day in days] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(("hours", "passes"), [(29.9, True), (30.1, False), (-5, True)])
def test_the_newest_event_is_held_against_the_cutoff(hours, passes):
    spec = Freshness(column="seen_at", within_hours=30)
    found = freshness(spec, CUTOFF - timedelta(hours=hours), CUTOFF)
    assert (found == []) is passes
    if found:
        assert "30.1 hours before the cut-off (freshness: within 30 hours)" in found[0]


def test_a_stale_batch_fails_by_its_accepted_events_of_its_own_date():
    spec = source(freshness={"column": "seen_at", "within_hours": 12})
    newest = datetime(2013, 2, 7, 1, 39, tzinfo=UTC)
    for hours, passed in ((11, True), (13, False)):
        known = Known(cutoffs={DAY: newest + timedelta(hours=hours)})
        found = validate(spec, batch(), [DAY], known=known)
        assert found.passed is passed
    with pytest.raises(BatchRejected, match=r"the newest 'seen_at' is 2013-02-07 01:39 UTC, 13.0 hours"):
        found.require_passed()
    with pytest.raises(ValueError, match="give the cut-off of 2013-02-08"):
        validate(spec, batch(), [DAY])


@pytest.mark.parametrize("most", [1000, 30])
def test_one_event_of_years_to_come_makes_no_old_feed_new(most):
    spec = source(freshness={"column": "seen_at", "within_hours": 12})
    known = Known(cutoffs={DAY: datetime(2013, 9, 7, 5, tzinfo=UTC)})
    frame = batch().drop(columns="batch_date")
    frame.loc[50, "seen_at"] = datetime(2031, 1, 1, tzinfo=UTC)
    parts = [frame.iloc[n : n + most].reset_index(drop=True) for n in range(0, len(frame), most)]
    delivered = {DAY: Delivered(len(frame), tuple(frame.columns), lambda: iter(parts))}
    found = validate_batches(spec, delivered, known, most=most).verdicts[DAY]
    assert "the newest 'seen_at' is 2013-02-07 01:39 UTC" in found.reasons[0]
    plan = frame.assign(seen_at=datetime(2013, 9, 8, 1, tzinfo=UTC))
    plan.loc[7, "seen_at"] = datetime(2013, 9, 4, tzinfo=UTC)
    assert validate_batches(spec, {DAY: plan}, known).verdicts[DAY].passed, (
        "a plan of tonight with an old row"
    )
    later = {DAY: frame.assign(seen_at=datetime(2031, 1, 1, tzinfo=UTC))}
    assert validate_batches(spec, later, known).verdicts[DAY].passed, "a feed of what is to come"


def test_no_honest_day_of_2013_is_refused_by_the_volume_of_flights():
    days = pd.read_csv(data_file("flights.csv.zip"), usecols=["year", "month", "day"])
    flights = pd.to_datetime(days).dt.date.value_counts().sort_index()
    history = {day: int(count) for day, count in flights.items()}
    spec = load_project().source("flights").volume
    refused = {day: volume(spec, day, count, history)[0] for day, count in history.items()}
    assert {day: words for day, words in refused.items() if words} == {}
    halved = sum(bool(volume(spec, day, count // 3, history)[0]) for day, count in history.items())
    print(f"{len(history)} days, none refused; of the same days with a third of their rows {halved} are")
    assert halved == len(history) - 14, "all but the first two weeks, which nobody can judge"


def test_no_honest_day_of_2013_is_refused_by_the_freshness_of_weather_and_every_stale_one_is():
    project = load_project()
    spec = project.source("weather").freshness
    made = pd.to_datetime(pd.read_csv(data_file("weather.csv"))["time_hour"], utc=True)
    days = made.dt.tz_convert("America/New_York").dt.date
    newest = {day: instant.to_pydatetime() for day, instant in made.groupby(days).max().items()}
    nights = {day: project.calendar.cutoff(day + timedelta(days=1)) for day in newest}
    assert [day for day in newest if freshness(spec, newest[day], nights[day])] == []
    yesterdays = [day for day in newest if freshness(spec, newest[day], nights[day] + timedelta(days=1))]
    print(f"{len(newest)} days, none refused; delivered a day late, {len(yesterdays)} are")
    assert len(yesterdays) == len(newest) >= 364
    assert date(2013, 2, 8) in newest, "Nemo"
