"""Faults: each kind is named with its column on night one, in words; nights without one say nothing."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from nightshift.monitor.faults import MEASURES, Fault, _steps, find
from nightshift.monitor.sketches import edges_of, sketch
from nightshift.records.sketches import Edges, Sketch

FIRST, NIGHTS = date(2013, 1, 7), 60
TONIGHT = FIRST + timedelta(days=NIGHTS)


def rows(night: int, n: int = 400) -> pd.DataFrame:
    """Return a night's rows: temperatures in Fahrenheit of an hour, distances, carriers, half of an origin each."""
    random = np.random.default_rng(night)
    warmth = 50 + 20 * np.sin(night / 9) + random.normal(0, 5)
    hours = np.round(warmth + random.normal(0, 6, n))
    return pd.DataFrame(
        {
            "temp": hours * 1.0,
            "distance": random.choice([185.0, 200, 500, 530, 760, 940, 1090, 1400, 2240, 2475], n),
            "score": random.normal(size=n),
            "wind": random.choice(1.15078 * np.round(9 + 4 * random.normal(size=3)).clip(0), n),
            "planes": random.choice([8.0, 12, 13, 15, 16, 18, 20, 22, 24, 26, 28], n),
            "carrier": random.choice(["UA", "B6", "EV", "DL", "AA"], n, p=[0.35, 0.25, 0.2, 0.12, 0.08]),
            "origin": random.choice(["EWR", "JFK"], n),
        }
    )


@pytest.fixture(scope="module")
def past() -> tuple[Edges, dict[date, Sketch]]:
    nights = {FIRST + timedelta(days=n): rows(n) for n in range(NIGHTS)}
    edges = edges_of(pd.concat(nights.values()), NIGHTS)
    return edges, {day: sketch(each, edges) for day, each in nights.items()}


def changed(name: str, change: object, share: float = 1.0) -> pd.DataFrame:
    tonight = rows(NIGHTS)
    which = np.random.default_rng(1).random(len(tonight)) < share
    values = change(tonight.loc[which, name]) if callable(change) else change
    tonight[name] = tonight[name].astype("object" if tonight[name].dtype == "str" else tonight[name].dtype)
    tonight.loc[which, name] = values
    return tonight.infer_objects()


CASES = {
    "another unit": ("temp", lambda v: (v - 32) / 1.8, 1.0, "unseen"),
    "another scale": ("distance", lambda v: v * 2, 1.0, "level"),
    "another unit of three numbers a night": ("wind", lambda v: v * 0.44704, 1.0, "off_steps"),
    "counted twice": ("planes", lambda v: v * 2, 1.0, "outside"),
    "two categories that differ little changed places": (
        "carrier",
        lambda v: v.replace({"UA": "B6", "B6": "UA"}),
        1.0,
        "mixed",
    ),
    "thousands instead of units": ("score", lambda v: v * 1000 + 5000, 1.0, "outside"),
    "a number with zeros too many": ("score", 1e9, 0.05, "outside"),
    "infinity": ("score", np.inf, 0.05, "outside"),
    "some missing": ("distance", np.nan, 0.03, "missing"),
    "many missing": ("distance", np.nan, 0.4, "missing"),
    "stuck": ("score", 0.5, 1.0, "stuck"),
    "categories permuted": (
        "carrier",
        lambda v: v.map({"UA": "AA", "AA": "UA", "B6": "DL", "DL": "B6", "EV": "EV"}),
        1.0,
        "mixed",
    ),
    "unknown categories": ("carrier", "XX", 0.1, "unknown"),
    "a part absent": ("origin", "EWR", 1.0, "absent"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named_with_its_column_on_the_night_it_happens(
    past: tuple[Edges, dict[date, Sketch]], case: str
) -> None:
    name, change, share, measure = CASES[case]
    found = find(*past, TONIGHT, sketch(changed(name, change, share), past[0]))

    assert {fault.column for fault in found} == {name}
    assert measure in {fault.measure for fault in found}


def test_what_is_wrong_is_said_with_how_many_nights_were_seen(past: tuple[Edges, dict[date, Sketch]]) -> None:
    found = find(*past, TONIGHT, sketch(changed("distance", np.nan, 0.4), past[0]))

    assert [fault.words for fault in found] == ["42.5% missing; never more than 0.0% in 60 nights"]


def test_too_few_rows_are_a_fault_of_the_batch(past: tuple[Edges, dict[date, Sketch]]) -> None:
    found = find(*past, TONIGHT, sketch(rows(NIGHTS, 150), past[0]))

    assert found == (Fault("", "rows", "150 rows; never fewer than 400 in 60 nights"),)


def test_sixty_ordinary_nights_have_no_fault(past: tuple[Edges, dict[date, Sketch]]) -> None:
    edges, nights = past
    found = {day: find(edges, nights, day, each) for day, each in nights.items()}

    assert {day: faults for day, faults in found.items() if faults} == {}


def hours(night: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.linspace(0, 5, 50) + 8 * night})


def flag(night: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.full(50, int(night in (45, 70, 120)))})


GROWING = {
    "a share of the stream, one a night": lambda night: pd.DataFrame({"x": np.full(48, night / 943)}),
    "hours run": hours,
    "a row counter": lambda night: pd.DataFrame({"x": np.arange(50.0) + 50 * night}),
    "a holiday, none in the first nights": flag,
    "a year that ends": lambda night: pd.DataFrame({"x": np.full(24, int(night >= 100))}),
}


def judged(make: Callable[[int], pd.DataFrame], nights: int) -> tuple[dict[int, list[str]], Edges, dict]:
    """Return the measures of the nights with a fault, each judged by those before it that have none."""
    edges = edges_of(pd.concat(map(make, range(28))), 28)
    earlier: dict[date, Sketch] = {}
    told = {}
    for number in range(nights):
        day, made = FIRST + timedelta(days=number), sketch(make(number), edges)
        if found := find(edges, earlier, day, made):
            told[number] = [fault.measure for fault in found]
        else:
            earlier[day] = made
    return told, edges, earlier


@pytest.mark.parametrize("kind", GROWING)
def test_what_grows_or_was_never_set_before_is_no_fault(kind: str) -> None:
    assert judged(GROWING[kind], 200)[0] == {}


def first_snow(night: int) -> pd.DataFrame:
    random = np.random.default_rng(night)
    snow = random.integers(1, 20, 300) * (random.random(300) < 0.6) if night >= 60 else np.zeros(300)
    return pd.DataFrame({"x": snow.astype(float)})


def test_snow_after_a_summer_is_no_fault_and_a_placeholder_in_it_is_one() -> None:
    told, edges, earlier = judged(first_snow, 61)
    assert told == {}
    summer = {night: made for night, made in earlier.items() if night < FIRST + timedelta(days=60)}
    tonight = pd.DataFrame({"x": np.repeat([0.0, 1e9], [180, 120])})
    found = find(edges, summer, FIRST + timedelta(days=60), sketch(tonight, edges))
    assert [fault.measure for fault in found] == ["outside"]


@pytest.mark.parametrize(("rows", "is_fault"), [(1, True), (60, False)])
def test_a_stray_row_widens_no_limit_and_a_night_that_went_as_far_does(rows: int, is_fault: bool) -> None:
    """Nights of whole numbers within 30; one has some 100, tonight a fifth of the rows 120."""

    def make(night: int) -> pd.DataFrame:
        x = np.random.default_rng(night).integers(-30, 31, 300).astype(float)
        x[:rows] = 100.0 if night == 45 else x[:rows]
        return pd.DataFrame({"x": x})

    edges = edges_of(pd.concat(map(make, range(28))), 28)
    earlier = {FIRST + timedelta(days=n): sketch(make(n), edges) for n in range(60)}
    tonight = make(60)
    tonight.loc[:59, "x"] = 240.0 if rows > 1 else 140.0
    found = find(edges, earlier, FIRST + timedelta(days=60), sketch(tonight, edges))
    assert ("outside" in {fault.measure for fault in found}) is is_fault


def test_of_what_has_grown_numbers_far_outside_are_a_fault() -> None:
    told, edges, earlier = judged(hours, 60)
    tonight = hours(60)
    tonight.loc[:4, "x"] = 1e9
    found = find(edges, earlier, FIRST + timedelta(days=60), sketch(tonight, edges))

    assert told == {}
    assert "outside" in {fault.measure for fault in found}


@pytest.mark.parametrize("n", [20, 5000])
def test_small_and_large_nights_are_judged_by_the_same_rule(n: int) -> None:
    nights = {FIRST + timedelta(days=k): rows(k, n) for k in range(NIGHTS)}
    edges = edges_of(pd.concat(nights.values()), NIGHTS)
    sketches = {day: sketch(each, edges) for day, each in nights.items()}

    assert find(edges, sketches, TONIGHT, sketch(rows(NIGHTS, n), edges)) == ()
    broken = rows(NIGHTS, n)
    broken["distance"] = np.nan
    assert ("distance", "missing") in {
        (fault.column, fault.measure) for fault in find(edges, sketches, TONIGHT, sketch(broken, edges))
    }


def test_few_nights_are_no_history(past: tuple[Edges, dict[date, Sketch]]) -> None:
    edges, nights = past
    few = dict(list(nights.items())[:13])

    assert find(edges, few, TONIGHT, sketch(changed("distance", np.nan, 0.4), edges)) == ()


def test_later_nights_say_nothing_of_this_one(past: tuple[Edges, dict[date, Sketch]]) -> None:
    edges, nights = past
    day = FIRST + timedelta(days=40)
    tonight = sketch(changed("distance", np.nan, 0.4), edges)
    earlier = {each: made for each, made in nights.items() if each < day}

    assert find(edges, nights, day, tonight) == find(edges, earlier, day, tonight) != ()


def test_a_number_between_whole_ones_that_comes_now_and_then_is_no_other_unit() -> None:
    def seen(night: int) -> pd.DataFrame:
        """Return miles of visibility: nearly always whole, in fog a quarter; one number a night."""
        random = np.random.default_rng(night)
        return pd.DataFrame({"visib": np.full(100, float(random.integers(1, 11)) if night % 20 else 0.25)})

    nights = {FIRST + timedelta(days=n): seen(n) for n in range(1, 200)}
    edges = edges_of(pd.concat(list(nights.values())[:28]), 28)
    sketches = {day: sketch(each, edges) for day, each in nights.items()}
    found = {day: find(edges, sketches, day, each) for day, each in sketches.items()}

    assert {day for day, faults in found.items() if "off_steps" in {f.measure for f in faults}} == set()


def test_steps_are_told_from_numbers_that_came_in_any_order() -> None:
    fahrenheit = 32 + 0.18 * np.random.default_rng(0).permutation(300)[:60]
    first, step = _steps(fahrenheit)

    assert (first, step) == (fahrenheit[0], pytest.approx(0.18))
    assert _steps(np.random.default_rng(0).normal(size=60))[1] == 0
    # The last number made the steps finer: nothing has kept to these yet.
    assert _steps(np.array([*np.arange(30.0), 0.5]))[1] == 0


def test_every_measure_has_a_case() -> None:
    assert {case[3] for case in CASES.values()} == set(MEASURES)
