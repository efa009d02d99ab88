"""When labels came, as the warehouse tells it: late ones, late positives, and what is not judged because of them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import pytest

from integration.conftest import MODEL, SCORED, redelivered, with_model
from nightshift import kept, stages
from nightshift.calendar import DateRange
from nightshift.errors import NotReady
from nightshift.monitor.maturity import AT_LAST
from nightshift.platform.frozen import read_snapshot
from nightshift.records import monitoring
from nightshift.stages import Platform, Try
from nightshift.stages.maturing import matured

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


def measure(platform: Platform, night: date) -> Any:
    return stages.measure_performance(platform, MODEL, night, Try("night"))


def judged(platform: Platform, night: date) -> monitoring.PerformanceResult:
    stages.decide_verdict(platform, MODEL, night, Try("night"))
    verdict = platform.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=night)
    assert verdict
    assert verdict.performance
    return verdict.performance


def states(platform: Platform) -> dict[date, str]:
    rows = platform.warehouse.rows("SELECT batch_date, state FROM monitoring.arrivals ORDER BY batch_date")
    return {row["batch_date"]: row["state"] for row in rows}


def history(platform: Platform) -> dict[date, list[dict[str, Any]]]:
    found: dict[date, list[dict[str, Any]]] = {}
    for row in platform.warehouse.rows(
        "SELECT batch_date, known_on, scored, labelled, metrics FROM monitoring.performance_history "
        "ORDER BY batch_date, known_on"
    ):
        found.setdefault(row.pop("batch_date"), []).append(row)
    return found


def later(platform: Platform, days: int, which: str) -> int:
    return redelivered(
        platform, f"UPDATE raw.arrivals SET known_at = known_at + interval '{days} days' WHERE {which}"
    )


def delivered_again(platform: Platform, night: date, batch: date) -> int:
    """Have the reports of a night's flights come once more, in another batch, half a day later."""
    columns = [
        row["column_name"]
        for row in platform.warehouse.rows(
            "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('raw', 'arrivals')"
        )
    ]
    again = {"batch_date": f"'{batch}'", "known_at": "known_at + interval '12 hours'"}
    return redelivered(
        platform,
        f"INSERT INTO raw.arrivals ({', '.join(columns)}) SELECT {', '.join(again.get(c, c) for c in columns)} "
        f"FROM raw.arrivals WHERE flight_date = '{night}' AND batch_date <> '{batch}'",
    )


def test_labels_that_come_as_declared_change_nothing_that_is_said(loop: Platform) -> None:
    said = measure(loop, SCORED.last)
    assert "reason" not in said
    assert set(states(loop).values()) == {"final"}
    assert "labels are complete" not in judged(loop, SCORED.last).reason


def test_labels_that_mature_later_than_declared_are_found_that_day_told_and_waited_for(
    loop: Platform,
) -> None:
    # Nearly all labels are known after one night; these after four.
    assert later(loop, 3, "mod(hashtext(flight_id), 10) = 0") > 500
    told = {night: measure(loop, night).get("reason", "") for night in SCORED.dates[2:]}
    first = next(night for night, words in told.items() if words)
    # The first night's late labels come four nights later, some of its evening flights' five.
    assert first in (SCORED.first + 4 * DAY, SCORED.first + 5 * DAY)
    assert "not 2 (target.matures_after_days)" in told[first]
    last = SCORED.last
    after = 5 if "complete 5 nights" in told[last] else 4
    performance = judged(loop, last)
    assert f"labels are complete {after} nights later, not 2" in performance.reason
    complete = [night for night in SCORED.dates if night <= last - after * DAY]
    assert performance.expected == sum(history(loop)[night][-1]["scored"] for night in complete)
    assert {n for n, state in states(loop).items() if state == "final"} == set(complete)
    stages.render_report(loop, MODEL, last, Try("night"))
    assert "target.matures_after_days" in loop.objects.get(kept.report(MODEL, last)).decode()


def test_a_night_whose_late_flights_are_not_in_yet_is_not_judged(loop: Platform) -> None:
    began = date(2013, 2, 2)
    assert later(loop, 3, f"arr_delay > 15 AND flight_date >= '{began}'") > 200
    for night in SCORED.dates[2:-1]:
        measure(loop, night)
    on = began + 2 * DAY
    assert on == SCORED.last - DAY
    assert {n for n, state in states(loop).items() if state == "provisional"} == {began}
    performance = judged(loop, on)
    assert f"of the reports of {began} are there, where nights before had" in performance.reason
    before = [night for night in SCORED.dates if night < began]
    assert performance.expected == sum(history(loop)[night][-1]["scored"] for night in before)
    assert history(loop)[began][0]["labelled"] > 0, "it is measured, and told to be provisional"
    # Alone in its window it is pending.
    short = with_model(loop, lambda m: m["performance"].update(window_days=1))
    alone = judged(short, on)
    assert (alone.status, alone.value, alone.worsening) == ("pending", None, None)
    assert f"of the reports of {began} are there" in alone.reason
    # Once they are in, it is final.
    measure(loop, began + 6 * DAY)
    assert states(loop)[began] == "final"


def test_a_training_neither_learns_nor_is_judged_by_nights_whose_late_flights_are_not_in_yet(
    loop: Platform,
) -> None:
    later(loop, 3, "arr_delay > 15")
    as_of = SCORED.last
    frozen = stages.snapshot(loop, MODEL, as_of, Try("frozen"))
    short = DateRange(as_of - 4 * DAY, as_of - 2 * DAY)
    (told,) = frozen["left_out"]
    assert told.startswith(f"{short} (3): labels are complete 5 nights later, not 2")
    model = loop.project.model(MODEL)
    row, rows = read_snapshot(loop, frozen["snapshot_id"], model)
    assert row.holdout_last == short.last, "what is fair is reckoned as declared"
    assert rows["batch_date"].max() == pd.Timestamp(short.first - DAY)
    of = loop.warehouse.rows(
        "SELECT max(batch_date) AS newest FROM catalog.snapshot_inputs WHERE snapshot_id = %s",
        (frozen["snapshot_id"],),
    )
    assert of == [{"newest": short.first - DAY}], "it is made of no night that it has no row of"
    kept_out = with_model(loop, lambda m: m["train"].update(holdout_days=2))
    with pytest.raises(
        NotReady, match=r"0 in the holdout; .*left out is .*labels are complete 5 nights later"
    ):
        stages.snapshot(kept_out, MODEL, as_of, Try("short"))


@pytest.mark.parametrize("window", [None, 2, 7])
def test_a_provisional_night_is_not_judged_by_anything_however_short_the_window(
    loop: Platform, window: int | None
) -> None:
    performance = {"metric": "log_loss", "window_days": window} if window else None
    platform = with_model(loop, lambda m: m.update(performance=performance))
    began = date(2013, 2, 2)
    later(platform, 30, f"arr_delay > 15 AND flight_date >= '{began}'")
    on = began + 4 * DAY
    for night in (*SCORED.dates, on):
        measure(platform, night)
    short = {began + n * DAY for n in range(3)}
    assert {n for n, state in states(platform).items() if state == "provisional"} == short
    labels = matured(platform, platform.project.model(MODEL), on)
    before = [night for night in SCORED.dates if night < began]
    assert [night for night in SCORED.dates if labels.is_final(night)] == before
    told = [str(began) in labels.words, str(began + 2 * DAY) in labels.words]
    assert told == [window != 2, True], "beside a performance, its own nights are told"
    estimated = measure(platform, SCORED.last) and platform.warehouse.row(
        "SELECT result FROM monitoring.estimates WHERE batch_date = %s", (SCORED.last,)
    )
    assert estimated
    assert estimated["result"]["judged"] == len(before)
    stages.decide_verdict(platform, MODEL, SCORED.last, Try("night"))
    verdict = platform.warehouse.one(monitoring.VERDICT, model=MODEL, batch_date=SCORED.last)
    assert verdict
    assert verdict.reasons.harm
    assert verdict.reasons.harm.nights == len(before)
    # Seven nights later it is final at last, also where nobody looked at it meanwhile.
    long_after = began + (2 + AT_LAST) * DAY
    assert matured(platform, platform.project.model(MODEL), long_after).is_final(began)


@pytest.mark.parametrize(("matures", "window"), [(0, 7), (30, 90), (90, 7), (90, 90)])
def test_what_was_looked_at_is_known_again_however_late_labels_are_declared(
    loop: Platform, matures: int, window: int
) -> None:
    platform = with_model(
        loop,
        lambda m: (
            m["target"].update(matures_after_days=matures),
            m["performance"].update(window_days=window),
        ),
    )
    # All labels are in, and the oldest nights are about to leave the window.
    night = SCORED.last + (matures + {7: 4, 90: 80}[window]) * DAY
    comes = datetime.combine(night + 2 * DAY, time(12), UTC)
    tenth = "mod(hashtext(flight_id), 10) = 0"
    redelivered(
        platform,
        f"UPDATE raw.arrivals SET known_at = %s WHERE flight_date = %s AND {tenth}",
        (comes, SCORED.last),
    )
    assert measure(platform, night - DAY)["nights_read"] > 0
    measure(platform, night)  # where labels are seen to come later than declared, it looks back farther
    second = measure(platform, night + DAY)
    assert (second["nights_measured"] > 1, second["nights_read"]) == (True, 0)
    found = [measure(platform, night + n * DAY)["nights_read"] for n in (2, 3, 4)]
    assert sum(found) == 1, "the night whose late labels came"
    (kept_of,) = platform.warehouse.rows(
        "SELECT arrived -> 'counts' AS counts FROM monitoring.arrivals WHERE batch_date = %s", (SCORED.last,)
    )
    late = (night - SCORED.last).days + 2
    assert sum(kept_of["counts"][late : late + 2]) > 20


def test_a_night_without_any_label_is_measured_and_takes_nothing_from_the_others(loop: Platform) -> None:
    later(loop, 30, f"flight_date = '{SCORED.first + 3 * DAY}'")
    on = SCORED.last
    found = measure(loop, on)
    assert found["nights_measured"] == len(SCORED.dates) - 2
    assert history(loop)[SCORED.first + 3 * DAY][-1]["labelled"] == 0
    assert judged(loop, on).value is not None


def test_what_a_night_could_see_of_arrivals_it_sees_again(loop: Platform) -> None:
    later(loop, 3, "mod(hashtext(flight_id), 10) = 0")
    first = SCORED.first + 3 * DAY
    before = measure(loop, first), judged(loop, first)
    assert before[0].pop("nights_read") == 2
    for night in (SCORED.last - DAY, SCORED.last):
        measure(loop, night)
    again = measure(loop, first), judged(loop, first)
    assert again[0].pop("nights_read") == 2, "the newest look at them saw more"
    assert again == before
    kept_of = loop.warehouse.rows("SELECT batch_date, observed FROM monitoring.arrivals ORDER BY batch_date")
    assert kept_of[0] == {"batch_date": SCORED.first, "observed": 8}, "who looked earlier saw less"


def test_labels_one_five_and_ten_days_late_delivered_twice_and_corrected(loop: Platform) -> None:
    platform = with_model(loop, lambda m: m["target"].update(matures_after_days=10))
    night = SCORED.first
    for days, rest in ((4, 1), (8, 2)):
        assert (
            later(loop, days, f"mod(abs(hashtext(flight_id)), 3) = {rest} AND flight_date >= '{night}'") > 500
        )
    for day in range(3, 10):
        assert measure(platform, night + day * DAY)["nights_measured"] == 0
    assert history(loop) == {}, "pending is not zero"
    assert delivered_again(loop, night, night + 6 * DAY) > 500
    on = night + 10 * DAY
    measure(platform, on)
    (known,) = history(loop)[night]
    assert set(history(loop)) == {night}
    outcomes = loop.warehouse.row(
        "SELECT count(DISTINCT flight_id) AS n FROM raw.arrivals WHERE flight_date = %s AND arr_delay IS NOT NULL",
        (night,),
    )
    assert outcomes
    assert known["labelled"] == outcomes["n"] <= known["scored"]
    corrected = datetime.combine(on, time(12), UTC)
    redelivered(
        loop,
        "UPDATE raw.arrivals SET arr_delay = 170, known_at = %s WHERE flight_date = %s AND batch_date = %s "
        "AND arr_delay IS NOT NULL",
        (corrected, night, night + 6 * DAY),
    )
    measure(platform, on + DAY)
    rows = history(loop)
    assert [row["known_on"] for row in rows[night]] == [on, on + DAY]
    assert rows[night][0] == known, "what was known stays"
    assert rows[night][1]["metrics"] != known["metrics"]
    assert rows[night][1]["labelled"] == known["labelled"]
    assert [row["known_on"] for row in rows[night + DAY]] == [on + DAY], "that window only"
    measure(platform, on + DAY)
    assert history(loop) == rows
