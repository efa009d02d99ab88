"""The page: what stands out comes first, nothing in it runs or names anybody, and it stays small."""

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from explored_nights import ATTACK, BEFORE, COLUMNS, IMAGE, QUOTED, compared, hostile, question, rows, subject

from nightshift.calendar import DateRange
from nightshift.explore import Exploration, Question, examine, render
from nightshift.explore.page import PAGE_BYTES, findings, instant

HASH = "b" * 64


def page(found: Exploration) -> str:
    return render(found, HASH).decode()


@pytest.fixture(scope="module")
def attacked() -> str:
    texts = dict.fromkeys((QUOTED, "comment", "contact", "person", "friend"), "string")
    columns = {**COLUMNS, ATTACK: "float", "ann@canary.example": "float", **texts}
    now, then = hostile(0, 3000), hostile(1, 3000)
    now[ATTACK] += 2
    return page(compared(now, then, columns=columns, title=f"Source {ATTACK}", description=IMAGE))


def test_no_name_and_no_value_reaches_the_page_raw(attacked: str) -> None:
    for attack in (ATTACK, IMAGE, QUOTED, "<script", "<img", "onerror=alert(1)>"):
        assert attack not in attacked
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in attacked
    assert set(re.findall(r"<([a-z0-9]+)", attacked)) <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "section",
            "h1",
            "h2",
            "p",
            "div",
            "span",
        ),
        *("ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "code"),
        *("figure", "figcaption", "svg", "path", "rect", "text"),
    }


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1970-01-01"),
        (3600, "1970-01-01 01:00"),
        (-62135596800, "0001-01-01"),
        (-1e12, "0001-01-01"),
        (253402214400, "9999-12-31"),
        (1e12, "9999-12-31 23:59"),
    ],
)
def test_an_edge_beyond_all_dates_is_said_as_the_first_or_the_last(seconds: float, said: str) -> None:
    assert instant(seconds) == said


@pytest.mark.parametrize("column", ["flown_on", "seen_at"])
def test_the_first_and_the_last_date_there_are_can_be_looked_at(column: str) -> None:
    now = rows(0, 300)
    dates = pd.Series(["0001-01-01", "9999-12-31"] * 150).astype("datetime64[s]")
    now[column] = dates if column == "flown_on" else dates.dt.tz_localize("UTC").astype("datetime64[us, UTC]")
    [found] = [each for each in examine(subject(), question(), now).columns if each.name == column]
    assert (found.spread[0], found.spread[-1]) == (-62135596800, 253402214400)
    assert "0001-01-01 to 9999-12-31" in page(compared(now, rows(1, 300)))


def test_no_address_no_long_number_and_no_identifier_is_shown(attacked: str) -> None:
    assert "canary.example" not in attacked
    assert "555-0123" not in attacked
    assert "passenger-" not in attacked
    assert "2013-0-" not in attacked  # flight_id
    assert attacked.count("Looks like an identifier") == 3


def test_the_page_may_fetch_nothing(attacked: str) -> None:
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'' in attacked
    tags = re.findall(r"<[a-z][^>]*>", attacked)
    assert len(tags) > 100
    assert [tag for tag in tags if re.search(r"\b(src|href|action)=|url\(", tag)] == []


def test_the_same_rows_give_the_same_bytes() -> None:
    first, again = (page(compared(rows(0, 2000), rows(1, 2000, BEFORE))) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f, "gone has no value at all."),
        (
            lambda f: f[f["batch_date"] != pd.Timestamp("2013-02-03")],
            "Nights without rows: 1 of 28, the first is 2013-02-03.",
        ),
        (lambda f: f.assign(temp=f["temp"] + 9), "temp is spread otherwise than before (PSI "),
        (lambda f: f.assign(temp=f["temp"].where(f.index % 3 == 0)), "temp is missing in 70% of the rows."),
        (
            lambda f: f.assign(temp=f["temp"].where(f.index % 3 == 0)),
            "temp was missing in 10.0% of the rows before, and is in 70.0% now.",
        ),
        (lambda f: f.assign(carrier="AA"), "carrier has a single value."),
        (lambda f: f.assign(carrier=["7", "8"] * (len(f) // 2)), "carrier holds numbers as text."),
        (
            lambda f: f.assign(seats=f["temp"] * 2),
            "seats and temp say nearly the same (rank correlation 1.00).",
        ),
    ],
)
def test_what_stands_out_is_said_in_words(change, says: str) -> None:  # type: ignore[no-untyped-def]
    found = compared(change(rows(0, 3000)).reset_index(drop=True), rows(1, 3000, BEFORE))
    assert [text for text in findings(found) if text.startswith(says)], findings(found)


def test_a_column_that_knows_the_outcome_is_pointed_at() -> None:
    frame = rows(0, 3000).assign(label=lambda f: f["temp"])
    found = examine(subject(columns={**COLUMNS, "label": "float"}, target="late_arrival"), question(), frame)
    assert "temp nearly is the target (1.00): does it know the outcome?" in findings(found)


def test_ordinary_rows_stand_out_in_nothing() -> None:
    columns = {name: kind for name, kind in COLUMNS.items() if name != "gone"}
    found = compared(rows(0, 3000), rows(1, 3000, BEFORE), columns=columns)
    assert findings(found) == []
    assert "<li>Nothing.</li>" in page(found)


def test_set_aside_rows_and_failed_nights_are_drawn() -> None:
    aside = {date(2013, 2, 2): (5, False), date(2013, 2, 3): (9, True)}
    shown = page(examine(subject(), question(), rows(0, 2800), None, aside))
    assert "14 rows were set aside" in shown
    assert "Nights whose last batch failed: 1, the first is 2013-02-03." in shown
    assert "set aside" not in page(examine(subject(), question(), rows(0, 2800)))


def test_two_hundred_long_named_columns_and_a_thousand_nights_stay_below_two_megabytes() -> None:
    nights = DateRange(date(2010, 1, 1), date(2012, 12, 31))
    random = np.random.default_rng(0)
    n = 4000
    base = rows(0, n, nights)[["batch_date", "flight_id"]]
    numbers = {f"{'n' * 59}{i:03}": random.normal(size=n) for i in range(100)}
    texts = {f"{'&' * 59}{i:03}": random.choice([f"{'<' * 60}{k}" for k in range(15)], n) for i in range(100)}
    gaps = pd.DataFrame({**numbers, **texts})
    wide = pd.concat([base, gaps.mask(random.random(gaps.shape) < 0.3)], axis="columns")
    columns = {**dict.fromkeys(numbers, "float"), **dict.fromkeys(texts, "string")}
    found = examine(subject(columns=columns), Question(nights, nights, 4000), wide, wide)
    shown = render(found, HASH)
    assert len(shown) <= PAGE_BYTES
    assert shown.endswith(b"</html>")


@pytest.mark.parametrize("n", [1, 2, 28])
def test_a_handful_of_rows_still_gives_a_page(n: int) -> None:
    assert page(compared(rows(0, n), rows(1, n, BEFORE))).endswith("</html>")
