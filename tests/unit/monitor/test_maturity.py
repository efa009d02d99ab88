"""When labels are complete: late ones, ones that come by what they say, one bad night, and what may not be judged."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightshift.monitor.maturity import AT_LAST, Looked, Maturity, arrived, curve, measure, partial, state

FIRST, DAY = date(2026, 1, 1), timedelta(days=1)
ROWS, DECLARED = 900, 2


def looked(
    nights: int,
    *,
    today: int,
    late: dict[int, float] | None = None,
    late_positives: float = 0.0,
    by: int = 3,
    rows: int = ROWS,
    since: int = 0,
) -> list[Looked]:
    """Return nights 0 .. ``nights`` - 1 as they look on ``today``; labels come after 1 night, or ``by`` nights later.

    ``late``: which share of a night's labels does. ``late_positives``: of the positives, since night ``since``.
    """
    found = []
    for number in range(nights):
        random = np.random.default_rng(number)
        label = (random.random(rows) < 0.2).astype(float)
        ages = np.ones(rows)
        ages[random.random(rows) < (late or {}).get(number, 0.0)] += by
        if number >= since:
            ages[(label == 1) & (random.random(rows) < late_positives)] += by
        seen = today - number
        known = ages <= seen
        night = FIRST + number * DAY
        found.append(Looked(night, rows, arrived(ages[known], ages[known], label[known], seen)))
    return found


def all_late(share: float) -> dict[int, float]:
    return dict.fromkeys(range(100), share)


def test_labels_that_come_as_declared_are_final() -> None:
    nights = looked(30, today=31)
    maturity = measure(nights, DECLARED)
    assert (maturity.after, maturity.words) == (DECLARED, None)
    assert [state(each, nights[:n], maturity)[0] for n, each in enumerate(nights)] == ["final"] * 30


def test_a_night_of_which_nothing_came_since_looks_as_if_it_were_looked_at_anew() -> None:
    early, late = (looked(10, today=today, late=all_late(0.3)) for today in (14, 20))
    assert [each.until(FIRST + 20 * DAY) for each in early] == late
    assert early[0].until(FIRST + 14 * DAY) == early[0]


def test_the_curve_rises_to_the_share_that_ever_comes() -> None:
    nights = looked(10, today=12, late=all_late(0.3))
    found = curve(nights)
    assert len(found) == 13
    assert list(found) == sorted(found)
    assert found[0] == 0
    assert found[1] == pytest.approx(0.7, abs=0.02)
    assert found[4] == found[-1] == pytest.approx(1, abs=0.02)
    assert curve([]) == ()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=60), st.integers(0, 6))
def test_what_an_earlier_day_could_see_is_what_it_saw(labels: Sequence[tuple[int, int]], today: int) -> None:
    ages, values = np.array(labels, dtype=float).T
    whole = Looked(FIRST, len(labels), arrived(ages, ages, values, 6)).as_of(FIRST + today * DAY)
    then = ages <= today
    assert whole == Looked(FIRST, len(labels), arrived(ages[then], ages[then], values[then], today))
    assert whole.age == today


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_labels_that_mature_later_than_declared_are_found_the_day_the_first_late_ones_come(
    share: float,
) -> None:
    # The first night has its late labels 4 nights later.
    before, then = (looked(day - 1, today=day, late=all_late(share)) for day in (3, 4))
    assert measure(before, DECLARED).after == DECLARED, "nobody can know it yet"
    found = measure(then, DECLARED)
    assert found.after == 4
    assert found.words is not None
    assert found.words.startswith("labels are complete 4 nights later, not 2 (target.matures_after_days): ")
    assert "came after 2" in found.words
    assert state(then[1], then[:1], found) == ("provisional", found.words)


def test_positives_that_come_late_are_found_though_hardly_any_label_is_missing() -> None:
    # A twentieth of the positives: a hundredth of all labels.
    nights = looked(30, today=31, late_positives=0.045, rows=20_000)
    late = sum(nights[0].arrived.counts[3:]) / 20_000
    assert late < 0.01
    found = measure(nights, DECLARED)
    assert found.after == 4
    assert found.words is not None
    assert "labels known by then are 0.0" in found.words
    assert "below all" in found.words


def test_a_training_leaves_out_nights_whose_positives_are_still_to_come_and_no_others() -> None:
    today = 31
    late = partial(looked(30, today=today, late_positives=0.4), DECLARED, FIRST + today * DAY)
    # They come after 4 nights: those of the newest two that have the declared age do not have them yet.
    assert list(late) == [FIRST + 28 * DAY, FIRST + 29 * DAY]
    assert all("labels are complete 4 nights later, not 2" in why for why in late.values())
    # Late whatever they say: what is there is as good, and newer.
    assert not partial(looked(30, today=today, late=all_late(0.3)), DECLARED, FIRST + today * DAY)
    outage = partial(looked(30, today=today, late={29: 0.5}), DECLARED, FIRST + today * DAY)
    assert list(outage) == [FIRST + 29 * DAY]
    # A storm: all is reported, half of it without an outcome that could still come.
    *calm, last = looked(30, today=today)
    half = tuple(count // 2 for count in last.arrived.counts)
    storm = [*calm, replace(last, arrived=replace(last.arrived, counts=half))]
    assert state(storm[-1], storm[:-1], measure(storm, DECLARED))[0] == "provisional"
    assert not partial(storm, DECLARED, FIRST + today * DAY)


def test_positives_that_begin_to_come_late_are_not_judged_that_very_night_and_found_a_day_after_they_come() -> (
    None
):
    began = 20
    # Two nights later labels are missing that all nights before had.
    first = looked(began + 1, today=began + 2, late_positives=0.4, since=began)
    maturity = measure(first, DECLARED)
    said, why = state(first[-1], first[:-1], maturity)
    assert said == "provisional"
    assert "92% of the reports of 2026-01-21 are there, where nights before had 100% by then" in why
    days = next(
        day
        for day in range(2, 30)
        if measure(
            looked(began + day - 1, today=began + day, late_positives=0.4, since=began), DECLARED
        ).after
        > 2
    )
    # The late ones come after 4 nights.
    assert days <= 4 + 1


def test_an_outage_is_not_usual_for_going_on() -> None:
    """Two of five positives stay away for ten nights: no night of these is judged before its seven nights are over."""
    began, share = 30, 0.4
    for lasted in range(1, 11):
        nights = looked(began + lasted, today=began + lasted + 1, late_positives=share, by=1000, since=began)
        maturity = measure(nights, DECLARED)
        said = [state(each, nights[:n], maturity)[0] for n, each in enumerate(nights)]
        short = min(lasted, AT_LAST)
        assert said == ["final"] * (len(nights) - short) + ["provisional"] * short, lasted


def test_nights_that_had_their_labels_late_do_not_say_what_is_usual_at_that_age() -> None:
    """A first outage of three nights is over, and all came; the second is seen as the first was."""
    late = dict.fromkeys([20, 21, 22, 33], 0.1)
    nights = looked(34, today=35, late=late, by=5)
    assert state(nights[33], nights[:33], Maturity(DECLARED, DECLARED))[0] == "provisional"


def test_where_labels_never_come_any_more_that_is_usual_at_last() -> None:
    def told(day: int) -> str:
        nights = looked(day - 1, today=day, late=dict.fromkeys(range(30, 100), 0.1), by=1000)
        return state(nights[-1], nights[:-1], measure(nights, DECLARED))[0]

    assert [told(day) for day in (32, 40, 60)] == ["provisional", "provisional", "final"]


def test_one_night_whose_labels_come_late_says_nothing_of_the_others() -> None:
    for day in range(13, 20):
        nights = looked(day - 1, today=day, late={10: 1.0})
        maturity = measure(nights, DECLARED)
        assert maturity.after == DECLARED
        said = {each.night: state(each, nights[:n], maturity)[0] for n, each in enumerate(nights)}
        waiting = {FIRST + 10 * DAY} if day < 14 else set()
        assert {night for night, each in said.items() if each == "provisional"} == waiting, day


def test_where_many_never_have_an_outcome_missing_reports_show_it() -> None:
    """A storm cancels a third of the flights of some nights: labels alone would not tell that more are missing."""
    nights = []
    for number in range(20):
        random = np.random.default_rng(number)
        flown = random.random(ROWS) > random.uniform(0, 0.35)
        ages = np.ones(ROWS)
        nights.append(Looked(FIRST + number * DAY, ROWS, arrived(ages, ages[flown], flown[flown] * 0.0, 2)))
    tonight, few = nights[-1], np.ones(ROWS * 9 // 10)
    assert state(tonight, nights[:-1], measure(nights, DECLARED)) == ("final", "")
    late = Looked(tonight.night, ROWS, arrived(few, few[:700], few[:700], 2))
    said, why = state(late, nights[:-1], measure(nights, DECLARED))
    assert said == "provisional"
    assert why.startswith("90% of the reports")


def test_a_night_whose_labels_never_come_is_final_at_last() -> None:
    def told(day: int) -> str:
        nights = looked(day - 1, today=day, late={10: 0.3}, by=1000)
        return state(nights[10], nights[:10], measure(nights, DECLARED))[0]

    assert [told(day) for day in (12, 18, 19)] == ["provisional", "provisional", "final"]


def test_chance_finds_nothing_in_a_year_of_nights() -> None:
    """A labelled share that varies from night to night, and a few late labels of any kind."""
    random = np.random.default_rng(0)
    few = dict.fromkeys(range(365), 0.004)
    nights = looked(365, today=366, late=few, rows=300)
    nights = [Looked(each.night, int(ROWS / 3 / random.uniform(0.93, 0.99)), each.arrived) for each in nights]
    told = [
        day
        for day in range(10, 365)
        if measure([n.as_of(FIRST + day * DAY) for n in nights[max(0, day - 60) : day - 1]], DECLARED).words
    ]
    assert not told
    maturity = measure(nights, DECLARED)
    short = [
        n
        for n in range(28, 365)
        if state(nights[n].as_of(FIRST + (n + 2) * DAY), nights[n - 28 : n], maturity)[0] != "final"
    ]
    assert len(short) <= 1
