"""What a paused DAG missed of a model's nights, scoring and monitoring make up for with the next; nothing else."""

import importlib
from datetime import date, timedelta

import pytest

from integration.conftest import FIRST, LAST, MODEL, SCORED
from nightshift import results, stages
from nightshift.calendar import DateRange
from nightshift.errors import ChampionChanged, Unreachable
from nightshift.stages import Platform, Try
from nightshift.stages.score import unscored
from nightshift.warehouse import feature_table, prediction_table

pytestmark = pytest.mark.integration
DAY, TONIGHT = timedelta(days=1), LAST
MISSED = [SCORED.last + DAY, SCORED.last + 2 * DAY]
FEATURES, PREDICTIONS = "features.departure_v1", f"predictions.{MODEL}"


def said(platform: Platform, asset: str, *nights: date, choice: stages.Choice = "wake") -> None:
    """Announce nights, each an hour after the one before it."""
    for night in nights:
        stages.announce(platform, asset, [night], Try(f"night {night}"), choice=choice)
        platform.warehouse.execute(
            "UPDATE catalog.announcements SET decided_at = now() - %s * interval '1 hour' "
            "WHERE (asset, batch_date) = (%s, %s)",
            ((TONIGHT - night).days, asset, night),
        )


def missed(platform: Platform, run: str = "tonight", night: date = TONIGHT) -> list[date]:
    return unscored(platform, platform.project.model(MODEL), night, Try(run))


def leased(platform: Platform, night: date, holder: str) -> None:
    model = platform.project.model(MODEL)
    table = prediction_table(model, platform.project.feature_set(model.features))
    platform.warehouse.lease(table, [night], holder, "champion")


@pytest.fixture
def paused(loop: Platform) -> Platform:
    """Return the month; of its last three nights, all announced, none is scored."""
    said(loop, FEATURES, *MISSED, TONIGHT)
    return loop


def test_what_was_announced_while_scoring_was_paused_is_scored_with_the_next(paused: Platform) -> None:
    assert missed(paused) == MISSED
    told = stages.score_missed(paused, MODEL, TONIGHT, Try("tonight"))
    assert told == [str(night) for night in MISSED]
    found = paused.warehouse.rows(
        "SELECT batch_date, run_id, row_count, "
        "(SELECT count(*) FROM predictions.late_arrival p WHERE p.batch_date = b.batch_date) AS rows "
        "FROM catalog.prediction_batches b WHERE batch_date = ANY(%s) ORDER BY 1",
        (MISSED,),
    )
    assert [(row["batch_date"], row["run_id"]) for row in found] == [(night, "tonight") for night in MISSED]
    assert all(row["rows"] == row["row_count"] > 0 for row in found)
    assert missed(paused) == []


def test_only_nights_that_woke_a_paused_dag_are_missed(paused: Platform) -> None:
    first, second = MISSED
    assert missed(paused, night=second) == [first], "what comes later is not missed yet"
    said(paused, FEATURES, FIRST)
    assert missed(paused) == MISSED, "a new model owes no history"
    said(paused, FEATURES, first, choice="leave")
    assert missed(paused) == [second], "history that was left unsaid wakes nobody"
    leased(paused, second, "its own run (try 1)")
    assert missed(paused) == [], "who began tells by itself"
    assert missed(paused, "its own run") == [second], "a try again goes on where the one before ended"


def test_a_night_that_was_only_just_announced_has_a_run_of_its_own_on_its_way(paused: Platform) -> None:
    paused.warehouse.execute("UPDATE catalog.announcements SET decided_at = now() - interval '20 s'")
    assert missed(paused) == []


def test_a_missed_night_that_cannot_be_scored_keeps_no_other_from_it(paused: Platform) -> None:
    first, second = MISSED
    features = paused.project.feature_set("departure")
    paused.warehouse.execute("DELETE FROM catalog.feature_batches WHERE batch_date = %s", (first,))
    paused.warehouse.execute(
        f"DELETE FROM {feature_table(features).qualified} WHERE batch_date = %s", (first,)
    )
    refused, scored = stages.score_missed(paused, MODEL, TONIGHT, Try("tonight"))
    assert refused.startswith(f"{first} is not scored: ")
    assert "features" in refused
    assert scored == str(second)
    assert missed(paused, "tomorrow") == [], "it is tried once"


def test_who_begins_with_a_missed_night_meanwhile_is_not_superseded(
    paused: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = MISSED
    scoring = importlib.import_module("nightshift.stages.score")
    usual = scoring.score

    def slow(platform: Platform, name: str, nights: DateRange, asked: Try) -> results.Scored:
        scored = usual(platform, name, nights, asked)
        leased(platform, second, "an operator's (try 1)")
        return scored

    monkeypatch.setattr(scoring, "score", slow)
    assert stages.score_missed(paused, MODEL, TONIGHT, Try("tonight")) == [str(first)]


@pytest.mark.parametrize("error", [Unreachable, ChampionChanged])
def test_what_may_pass_ends_the_try_and_the_next_goes_on(
    paused: Platform, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    scoring = importlib.import_module("nightshift.stages.score")

    def fails(platform: Platform, name: str, nights: DateRange, asked: Try) -> results.Scored:
        leased(platform, nights.first, asked.holder)
        raise error("for now")

    usual = scoring.score
    monkeypatch.setattr(scoring, "score", fails)
    with pytest.raises(error):
        stages.score_missed(paused, MODEL, TONIGHT, Try("tonight"))
    monkeypatch.setattr(scoring, "score", usual)
    assert missed(paused) == MISSED
    assert stages.score_missed(paused, MODEL, TONIGHT, Try("tonight", 2)) == [str(each) for each in MISSED]


def test_a_scored_night_that_nobody_was_told_of_is_announced_by_the_next_run(loop: Platform) -> None:
    """Its own run ended between scoring and publishing, or monitoring was at work just then."""
    judged, unsaid = SCORED.dates[-2:]
    stages.measure_performance(loop, MODEL, judged, Try("night"))
    stages.decide_verdict(loop, MODEL, judged, Try("night"))
    stages.score(loop, MODEL, DateRange(TONIGHT, TONIGHT), Try("tonight"))
    assert stages.unwatched(loop, MODEL, TONIGHT, Try("tonight")) == [unsaid]
    said(loop, PREDICTIONS, unsaid, choice="leave")
    assert stages.unwatched(loop, MODEL, TONIGHT, Try("tonight")) == []


def test_what_was_scored_while_monitoring_was_paused_is_announced_again(loop: Platform) -> None:
    judged, forgotten, failed, unsaid = SCORED.dates[-4:]
    for night in (judged, failed):
        stages.measure_performance(loop, MODEL, night, Try("night"))
    stages.decide_verdict(loop, MODEL, judged, Try("night"))
    said(loop, PREDICTIONS, *SCORED.dates[:-1])
    said(loop, PREDICTIONS, unsaid, choice="leave")
    stages.score(loop, MODEL, DateRange(TONIGHT, TONIGHT), Try("tonight"))
    assert stages.unwatched(loop, MODEL, TONIGHT, Try("tonight")) == [forgotten], (
        "not what has a verdict, nor what failed, nor what was left unsaid, nor what lies before the first verdict"
    )
    stages.score(loop, MODEL, DateRange(MISSED[0], MISSED[0]), Try("tonight"))
    assert stages.unwatched(loop, MODEL, TONIGHT, Try("tonight")) == [forgotten, MISSED[0]]
    stages.measure_performance(loop, MODEL, forgotten, Try("again"))
    assert stages.unwatched(loop, MODEL, TONIGHT, Try("tonight")) == [MISSED[0]], "its monitoring has begun"
