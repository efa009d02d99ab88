"""The report: nothing in it runs, nothing in it names anybody, and it stays small."""

import re
import socket
from time import process_time

import numpy as np
import pandas as pd
import pytest
from synthetic_nights import ATTACK, IMAGE, QUOTED, decided, hostile, rows

from nightshift.monitor.report import SAMPLE_ROWS, Decided, render, sample

TITLE = "late_arrival, night of 2013-02-10"


@pytest.fixture(scope="module")
def page() -> str:
    reference, current = hostile(0, 6000), hostile(1, 3000)
    current[ATTACK] += 2
    return render(reference, current, f"{TITLE} {ATTACK}", decided(reference, current)).decode()


@pytest.fixture(scope="module")
def harmless() -> str:
    reference, current = rows(0, 3000), rows(1, 2500)
    return render(reference, current, TITLE, decided(reference, current)).decode()


def test_no_name_and_no_value_from_data_reaches_the_page_raw(page: str) -> None:
    for attack in (ATTACK, IMAGE, QUOTED, "<script>alert", "onerror=alert(1)>"):
        assert attack not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page


def test_hostile_data_adds_no_script_to_the_page(page: str, harmless: str) -> None:
    assert page.count("<script") == harmless.count("<script")
    assert page.count("</script") == harmless.count("</script")


def test_no_address_and_no_rare_value_is_shown(page: str) -> None:
    assert "canary.example" not in page
    assert "passenger-" not in page


def test_the_decision_on_all_rows_comes_first(page: str) -> None:
    main = page[page.index("<main") : page.index("</main>")]

    assert page.index("<body>") < page.index("<main") < page.index('id="root_')
    assert "decided on all 3,000 rows" in main
    assert main.count("<tr>") == 1 + 17
    assert "2,000 rows of this window and 2,000 of the training data" in main
    assert "Not drawn (no values, or beyond the 30 columns that fit): gone." in main


def test_the_page_may_fetch_nothing(page: str) -> None:
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert "connect-src" not in page
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?https?:", page)


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) <= 6_000_000


def test_thirty_columns_of_a_million_rows_stay_small_and_quick() -> None:
    random = np.random.default_rng(0)
    wide = pd.DataFrame({f"x{i}": random.normal(size=3000) for i in range(60)})
    long = wide.loc[np.arange(300_000) % 3000].reset_index(drop=True)
    summary = decided(wide, wide)
    start = process_time()
    page = render(long, wide, TITLE, summary)

    assert process_time() - start <= 12  # P8: 25 CPU-s, of which the import takes 10 to 13
    assert len(page) <= 6_000_000


def test_rendering_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    reference = rows(0, 300)[["x0"]]

    assert render(reference, reference, TITLE, decided(reference, reference))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(x0=np.nan, carrier=None),
        lambda f: f.assign(x0=1.0, carrier="only"),
        lambda f: f.assign(flag=f["flag"].astype("boolean").where(f["x0"] > 0)),
        lambda f: f.assign(carrier=f["carrier"].astype("category"), weekday=f["weekday"].astype("Int64")),
        lambda f: f.assign(x0=f["x0"].astype("Float64").where(f["x1"] > 0)),
    ],
    ids=["all missing", "constant", "booleans with gaps", "other dtypes", "nullable floats"],
)
def test_odd_columns_do_not_break_the_report(change) -> None:  # type: ignore[no-untyped-def]
    reference, current = rows(0, 400), change(rows(1, 400))

    assert b"</html>" in render(reference, current, TITLE, decided(reference, current))


def test_too_few_rows_are_reported_as_such() -> None:
    reference, current = rows(0, 400), rows(1, 5)
    page = render(reference, current, TITLE, decided(reference, current)).decode()

    assert "too few rows to judge" in page
    assert "5 rows, fewer than min_rows 300: not judged" in page


def test_a_window_without_rows_still_gives_a_page() -> None:
    reference, current = rows(0, 400), rows(1, 0)

    assert b"too few rows to judge" in render(reference, current, TITLE, decided(reference, current))


def test_a_sample_is_bounded_repeatable_and_in_order() -> None:
    frame = pd.DataFrame({"x": range(10_000)})
    drawn = sample(frame, SAMPLE_ROWS, seed=0)

    assert len(drawn) == SAMPLE_ROWS
    assert drawn.equals(sample(frame, SAMPLE_ROWS, seed=0))
    assert drawn["x"].is_monotonic_increasing
    assert not drawn.equals(sample(frame, SAMPLE_ROWS, seed=1))
    assert sample(frame, 20_000, seed=0).equals(frame)


def test_a_column_that_cannot_be_drawn_is_named_and_the_others_are_drawn() -> None:
    """Numbers so close that NumPy finds no bins between them."""
    reference, current = rows(0, 600), rows(1, 600)
    for frame in (reference, current):
        frame["zz_near"] = np.where(np.arange(600) % 2, 0.3, 0.1 + 0.2)
        frame["zz_vast"] = np.where(np.arange(600) % 2, 1e16 + 2, 1e16 - 2)
    page = render(reference, current, TITLE, decided(reference, current)).decode()
    assert "Not drawn, since Evidently cannot: zz_near (ValueError: Too many bins" in page
    assert sorted(re.findall(r"Evidently cannot: (\w+) ", page)) == ["zz_near", "zz_vast"]
    assert "root_metric" in page, "the others are drawn"


def test_a_night_that_breached_on_performance_says_so_before_that_nothing_drifted() -> None:
    reference, current = rows(0, 3000), rows(1, 2500)
    degraded = "log_loss 0.6100, worse than 0.5100"
    said = Decided(
        "breached", True, f"2 of the last 3 judged nights breached: {degraded}", ("degraded", degraded)
    )
    page = render(reference, current, TITLE, decided(reference, current), said).decode()
    main = page[page.index("<main") : page.index("</main>")]
    words = ("The night breached; it asks for retraining.", "Performance: degraded.", "Drift: no drift")
    places = [main.index(word) for word in words]
    assert places == sorted(places)
    assert main.index('class="note bad"') < main.index('class="note good"')
