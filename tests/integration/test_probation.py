"""A new champion on probation: the version before scores the same nights, unread; who is surely worse goes back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import RequestError
from nightshift.stages import Platform, Try
from nightshift.warehouse import Json
from tests.integration.champions import better, judged, with_spec
from tests.integration.conftest import MODEL, History, redelivered

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
SINCE, LAST = date(2013, 1, 29), date(2013, 2, 8)
NIGHTS = DateRange(SINCE, LAST)


def promoted_over(month: Platform, change: Platform, name: str) -> int:
    """Promote the challenger of a training whatever its gates say, from SINCE on; return its version."""
    month.warehouse.execute("DELETE FROM catalog.prediction_batches WHERE batch_date >= %s", (SINCE,))
    judged(change, MODEL, SINCE, name)
    forced = {"training_id": f"{name}, forced", "passed": True, "gates": []}
    month.warehouse.execute(
        "INSERT INTO governance.decisions SELECT (jsonb_populate_record(d, %s)).* FROM governance.decisions d "
        "WHERE training_id = %s",
        (Json(forced), name),
    )
    done = stages.promote(month, MODEL, SINCE, Try(f"{name}, forced"), actor="somebody")
    assert done["effective_from"] == str(SINCE)
    stages.score(month, MODEL, NIGHTS, Try("nights"))
    return done["version"]


def worse(platform: Platform) -> Platform:
    """Return the platform with outcomes as a broken feed would tell them: hardly a flight is late."""
    return with_spec(platform, lambda m: m["target"].update(above=120))


@pytest.fixture(scope="module")
def _worse(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with history.continued(
        tmp_path_factory.mktemp("worse"), lambda month: promoted_over(month, worse(month), "worse")
    ) as found:
        yield found


@pytest.fixture
def month(_worse: History, tmp_path: Path) -> Iterator[Platform]:
    with _worse.copied(tmp_path) as platform:
        yield platform


def judge(platform: Platform, night: date = LAST, **how: bool) -> dict:
    for each in DateRange(SINCE + 2 * DAY, night).dates:
        stages.measure_performance(platform, MODEL, each, Try("night", **how))
    return dict(stages.judge_probation(platform, MODEL, night, Try("night", **how)))


def test_the_version_before_scores_the_same_nights_and_nobody_reads_it(month: Platform) -> None:
    lineage = month.warehouse.rows("SELECT count(*) AS n FROM catalog.origins")
    before = month.warehouse.rows(
        "SELECT * FROM predictions.late_arrival_champion ORDER BY batch_date, flight_id"
    )
    done = stages.score_beside(month, MODEL, NIGHTS, Try("beside"))
    assert done["nights"] == len(NIGHTS.dates)
    rows = month.warehouse.rows(
        "SELECT arm, model_version, count(*) AS n FROM predictions.late_arrival WHERE batch_date >= %s "
        "GROUP BY 1, 2 ORDER BY 1",
        (SINCE,),
    )
    assert [(row["arm"], row["n"]) for row in rows] == [("before", done["rows"]), ("champion", done["rows"])]
    first, second = (row["model_version"] for row in rows)
    assert second == month.registry.champion(MODEL) != first
    assert (
        month.warehouse.rows("SELECT * FROM predictions.late_arrival_champion ORDER BY batch_date, flight_id")
        == before
    )
    assert month.warehouse.rows("SELECT count(*) AS n FROM catalog.origins") == lineage
    assert stages.score_beside(month, MODEL, NIGHTS, Try("again"))["rows"] == done["rows"]


def test_a_champion_that_is_surely_worse_is_to_go_back_with_its_reason(month: Platform) -> None:
    assert judge(month)["reason"].endswith("no labels yet; evidence that it is worse 1.0 of 100")
    stages.score_beside(month, MODEL, NIGHTS, Try("beside"))
    answer = judge(month)
    assert answer["roll_back"], answer
    assert f"on probation since {SINCE}" in answer["reason"]
    assert "over 9 nights" in answer["reason"]  # labels of the 7th and 8th are not in
    kept = month.warehouse.rows("SELECT rolls_back, nights, difference FROM monitoring.probations")
    assert [(row["rolls_back"], row["nights"]) for row in kept] == [(True, 9)]
    assert kept[0]["difference"] > 0.05
    assert judge(month) == answer, "the same night says the same"
    assert not judge(month, is_backfill=True)["roll_back"]
    of_another = Try(answer["run_id"].replace("worse, forced", "an earlier one"))
    with pytest.raises(RequestError, match="'an earlier one' was to go back, and the champion is version"):
        stages.roll_back(month, MODEL, of_another, to=None, reason=answer["reason"], actor="probation")
    back = stages.roll_back(
        month, MODEL, Try(answer["run_id"]), to=None, reason=answer["reason"], actor="probation"
    )
    assert back["version"] == answer["version"] == month.registry.champion(MODEL)
    told = "SELECT rolls_back, judged_at FROM monitoring.probations"
    when = month.warehouse.rows(told)
    assert not judge(month)["roll_back"], "it is champion no more"
    assert month.warehouse.rows(told) == when
    assert when[0]["rolls_back"], "what was done stays told"


def test_a_champion_that_is_no_worse_stays(loop: Platform) -> None:
    promoted_over(loop, better(loop), "better")
    stages.score_beside(loop, MODEL, NIGHTS, Try("beside"))
    answer = judge(loop)
    assert not answer["roll_back"], answer
    assert "over 9 nights" in answer["reason"]


def test_nights_whose_positives_are_not_in_yet_are_not_judged(loop: Platform) -> None:
    """With four of five late flights missing, who says more of them looks the worse one."""
    promoted_over(loop, better(loop), "better")
    began = LAST - 3 * DAY
    assert (
        redelivered(
            loop,
            "UPDATE raw.arrivals SET known_at = known_at + interval '3 days' WHERE arr_delay > 15 "
            f"AND flight_date >= '{began}' AND mod(abs(hashtext(flight_id)), 5) > 0",
        )
        > 200
    )
    stages.score_beside(loop, MODEL, NIGHTS, Try("beside"))
    assert "over 7 nights" in judge(loop, began + DAY)["reason"]
    short = judge(loop)
    assert "over 7 nights" in short["reason"], "the labels of two nights more are known, and not all of them"
    states = loop.warehouse.rows("SELECT batch_date FROM monitoring.arrivals WHERE state = 'provisional'")
    assert {row["batch_date"] for row in states} == {began, began + DAY}
    # Once they are in, they are judged.
    judge(loop, LAST + 3 * DAY)
    assert (
        loop.warehouse.rows("SELECT nights FROM monitoring.probations ORDER BY batch_date")[-1]["nights"] >= 9
    )


def test_after_probation_nothing_is_scored_beside(month: Platform) -> None:
    model = month.project.model(MODEL)
    over = model.model_copy(update={"retrain": model.retrain.model_copy(update={"probation_nights": 3})})
    platform = replace(month, project=month.project.model_copy(update={"models": {MODEL: over}}))
    assert stages.score_beside(platform, MODEL, NIGHTS, Try("beside"))["nights"] == 3
    assert judge(platform) == {"model": MODEL, "roll_back": False, "reason": "not on probation"}
