"""Who needs somebody first, and why: the states of a model, and their order."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nightshift.calendar import Calendar
from nightshift.cockpit import answers
from nightshift.cockpit.standing import (
    A_SOURCE,
    STATES,
    TONES,
    State,
    Step,
    Tonight,
    first_who_needs_somebody,
    stand,
)
from nightshift.records.cockpit import Asking, Delivery, FleetRow, OpenFault, Trial, Waiting
from nightshift.records.monitoring import Harm, PerformanceResult, Reason, Shift
from nightshift.specs import load_project

NIGHT, BEFORE = date(2013, 7, 27), date(2013, 7, 26)
TONIGHT = Tonight(NIGHT, due=True)
PROJECT = load_project()
SPEC = PROJECT.model("late_arrival")
CAME = Delivery("flights", NIGHT, "published", 800, 0, "")
WELL = FleetRow(
    model="late_arrival", version=2, since=date(2013, 5, 1), kind="promotion", actor="olga",
    promoted_because="drift", promoted_at=datetime(2013, 5, 1, 3, tzinfo=UTC),
    trained_until=date(2013, 4, 28), judged=NIGHT, status="ok", reason="nothing asks",
    retrain=False, report_key=None, drift="ok", harm=None, shift=None, said=(), performance=None, top=None,
    scored=NIGHT, rows=800, built=NIGHT, missing=[], deliveries=(CAME,), faults=(), labelled=90, expected=100,
    waiting=None, request=None, breaker=None, trial=None, trend=[], retrained=[], alerts=(),
)  # fmt: skip
NOT_SCORED = {"scored": BEFORE, "missing": [str(NIGHT)]}
REFUSED = replace(CAME, newest=BEFORE, status="failed", why="half of it is broken")
ABSENT = replace(CAME, newest=BEFORE, status=None, why=None)
FAULT = OpenFault(NIGHT, "distance", "doubled", ("flights",))
ASKED_AT = datetime(2013, 7, 27, 3, tzinfo=UTC)
ASKED = Asking(NIGHT, "suppressed", "cooldown", "promoted 3 nights ago", None, None, None, ASKED_AT, 1.0)
RUNS = replace(ASKED, status="started", guard=None, reason="shift", training_id="retrain__1")
HARM = Harm(400.0, 365.0, 9, 0.1, 0.2, "skill 0.1, 0.2 in training")
WORSE = PerformanceResult("degraded", "log_loss", 0.7, 0.6, 0.8, 0.5, 0.4, 10, 10, {}, "log_loss 0.7")
TRIAL = Trial(NIGHT, 1, date(2013, 7, 20), 3.0, False, "as good so far")


CASES: list[tuple[dict[str, Any], str, str, str | None]] = [
    ({}, "well", "good", None),
    ({"version": None}, "no champion", "quiet", "dags/train_late_arrival"),
    (
        {**NOT_SCORED, "deliveries": (REFUSED,)},
        "source refused",
        "bad",
        "plugin/nightshift/data?q=flights",
    ),
    ({**NOT_SCORED, "deliveries": (ABSENT,)}, "source missing", "bad", "dags/collect_flights"),
    ({**NOT_SCORED, "faults": (FAULT,)}, "held by a fault", "bad", "plugin/nightshift/data?q=flights"),
    (
        {**NOT_SCORED, "built": BEFORE, "faults": (replace(FAULT, batch_date=BEFORE),)},
        "not built",
        "bad",
        "dags/features_departure",
    ),
    ({"faults": (FAULT,)}, "faulty", "watch", "plugin/nightshift/data?q=flights"),
    (NOT_SCORED, "not scored", "bad", "dags/score_late_arrival"),
    ({**NOT_SCORED, "built": BEFORE}, "not built", "bad", "dags/features_departure"),
    # What is known of it is of an earlier night: its monitoring does not run.
    ({"judged": BEFORE}, "not judged", "bad", "dags/monitor_late_arrival"),
    ({"judged": None}, "not judged", "bad", "dags/monitor_late_arrival"),
    # Of labels alone: the night is scored without it.
    ({"deliveries": (REFUSED,)}, "source refused", "watch", "plugin/nightshift/data?q=flights"),
    ({"deliveries": (ABSENT,)}, "source missing", "watch", "dags/collect_flights"),
    (
        {"waiting": Waiting("train__1", 3, NIGHT, datetime(2013, 7, 27, tzinfo=UTC), NIGHT)},
        "waits for a signature",
        "act",
        "dags/train_late_arrival/runs/train__1/required_actions",
    ),
    ({"breaker": replace(ASKED, guard="breaker")}, "gave up training", "act", "dags/train_late_arrival"),
    # Another guard, which is asked before it, held the newest night.
    (
        {
            "request": replace(ASKED, guard="fault"),
            "breaker": replace(ASKED, batch_date=BEFORE, guard="breaker"),
        },
        "gave up training",
        "act",
        "dags/train_late_arrival",
    ),
    # It has closed, or a version was promoted since: also where that went back, or was renamed.
    ({"breaker": replace(ASKED, batch_date=BEFORE, guard="breaker", not_before=NIGHT)}, "well", "good", None),
    (
        {"breaker": replace(ASKED, guard="breaker", not_before=date(2013, 8, 24))},
        "gave up training",
        "act",
        "dags/train_late_arrival",
    ),
    (
        {
            "breaker": replace(ASKED, guard="breaker"),
            "kind": "rollback",
            "promoted_at": ASKED_AT + timedelta(hours=1),
        },
        "well",
        "good",
        None,
    ),
    (
        {"trial": replace(TRIAL, rolls_back=True)},
        "lost its probation",
        "act",
        "dags/rollback_late_arrival",
    ),
    ({"harm": HARM}, "harm", "act", "plugin/nightshift/models/late_arrival#decisions"),
    ({"request": RUNS}, "trains", "busy", "dags/train_late_arrival/runs/retrain__1"),
    # It was lost.
    ({"request": replace(RUNS, hours=12.1)}, "well", "good", None),
    (
        {"request": replace(RUNS, hours=12.1), "version": None},
        "no champion",
        "quiet",
        "dags/train_late_arrival",
    ),
    (
        {"retrain": True},
        "asks for retraining",
        "watch",
        "plugin/nightshift/models/late_arrival#decisions",
    ),
    ({"performance": WORSE}, "degraded", "watch", "plugin/nightshift/models/late_arrival#decisions"),
    ({"missing": ["2013-07-20"]}, "misses nights", "watch", "dags/score_late_arrival"),
    ({"trial": TRIAL, "since": date(2013, 7, 20)}, "on probation", "watch", None),
    # The probation is over.
    ({"trial": TRIAL, "since": date(2013, 7, 1)}, "well", "good", None),
]


@pytest.mark.parametrize(("changed", "word", "tone", "leads_to"), CASES)
def test_a_model_stands_as_its_rows_say(
    changed: dict[str, Any], word: str, tone: str, leads_to: str | None
) -> None:
    found = stand(SPEC, replace(WELL, **changed), TONIGHT)
    assert (found.word, found.tone, found.step and found.step.to) == (word, tone, leads_to)


@pytest.mark.parametrize(
    ("changed", "reason", "step"),
    [
        (
            {"deliveries": (replace(REFUSED, source=A_SOURCE, why=None),)},
            "a source: refused",
            "look at a source",
        ),
        (
            {"deliveries": (replace(ABSENT, source=A_SOURCE),)},
            f"a source: newest night {BEFORE}",
            "collect a source",
        ),
        ({"faults": (replace(FAULT, sources=(A_SOURCE,)),)}, "distance: doubled", "look at a source"),
    ],
)
def test_of_a_source_that_is_not_the_readers_there_are_words_and_no_way(
    changed: dict[str, Any], reason: str, step: str
) -> None:
    found = stand(SPEC, replace(WELL, **NOT_SCORED, **changed), TONIGHT)
    assert (found.reason, found.step) == (reason, Step(step, ""))


def test_every_state_that_is_declared_is_met_above() -> None:
    told = {stand(SPEC, replace(WELL, **changed), TONIGHT).place for changed, *_ in CASES}
    told.add(stand(SPEC, replace(WELL, **NOT_SCORED), Tonight(NIGHT, due=False)).place)
    assert told == {*range(len(STATES)), len(STATES)}


def test_a_night_that_is_not_due_waits() -> None:
    found = stand(SPEC, replace(WELL, **NOT_SCORED), Tonight(NIGHT, due=False))
    assert (found.word, found.tone) == ("waits for its night", "busy")


def test_of_several_that_hold_the_one_that_asks_most_is_told() -> None:
    both = replace(WELL, faults=(FAULT,), harm=HARM, request=replace(ASKED, batch_date=NIGHT))
    found = stand(SPEC, both, TONIGHT)
    assert found.word == "harm"
    assert found.reason.endswith("held by cooldown: promoted 3 nights ago")


def test_missing_since_the_first_night_of_the_gap() -> None:
    gap = ["2013-07-20", "2013-07-25", "2013-07-26", "2013-07-27"]
    found = stand(SPEC, replace(WELL, scored=date(2013, 7, 24), missing=gap), TONIGHT)
    assert (found.word, found.since) == ("not scored", date(2013, 7, 25))


def test_who_needs_somebody_comes_first_and_who_waits_longest_before_others() -> None:
    def state(tone: Any, place: int, since: date | None = None) -> State:
        return State("w", tone, "", since, None, place)

    given = [
        ("well", state("good", 15)),
        ("new", state("bad", 3, NIGHT)),
        ("idle", state("quiet", 15)),
        ("old", state("bad", 3, BEFORE)),
        ("refused", state("bad", 0, NIGHT)),
        ("decide", state("act", 4)),
    ]
    assert first_who_needs_somebody(given) == ["refused", "old", "new", "decide", "well", "idle"]
    assert [state.tone for _, state in given if state.tone not in TONES] == []


@pytest.mark.parametrize(
    ("last", "begins", "instant", "night", "due"),
    [
        # 00:40 in New York: the night has begun at half past, and may take some hours.
        (None, "00:30", datetime(2013, 7, 27, 4, 40, tzinfo=UTC), NIGHT, False),
        (None, "00:30", datetime(2013, 7, 27, 4, 10, tzinfo=UTC), BEFORE, True),
        (None, "00:30", datetime(2013, 7, 27, 15, 0, tzinfo=UTC), NIGHT, True),
        # Of one that begins in the evening the day before it knows nothing.
        (None, "22:30", datetime(2013, 7, 27, 15, 0, tzinfo=UTC), BEFORE, True),
        (None, "22:30", datetime(2013, 7, 28, 4, 0, tzinfo=UTC), NIGHT, False),
        # A replay of the past is at the newest night that it has.
        (date(2013, 12, 31), "00:30", datetime(2026, 1, 1, tzinfo=UTC), date(2013, 3, 1), True),
    ],
)
def test_tonight_is_the_newest_night_that_has_begun(
    last: date | None, begins: str, instant: datetime, night: date, due: bool
) -> None:
    calendar = Calendar(ZoneInfo("America/New_York"), date(2013, 1, 2), last)
    found = answers.tonight(calendar, time.fromisoformat(begins), instant, lambda: date(2013, 3, 1))
    assert found == Tonight(night, due)


@pytest.mark.parametrize(("said", "limit"), [(50.0, 50.0), (None, 365.0)])
def test_evidence_is_shown_beside_the_limit_at_which_it_asks(said: float | None, limit: float) -> None:
    shift = Shift(60.0, 365.0, 40, ("temp_last shifted",), "x")
    reason = Reason("shift", True, 60.0, said, "evidence of a shift")
    row = replace(WELL, shift=shift, said=(reason,))
    standing = answers.Standing(stand(SPEC, row, TONIGHT), "o", "d", "classification", None, row, 3, 0, 0)
    line = answers._line(standing, NIGHT)
    assert (line.shift, line.shift_limit) == (60.0, limit)


def test_lineage_has_nothing_of_what_may_not_be_seen() -> None:
    whole = answers.lineage(PROJECT, "late_arrival", lambda dag: True)
    assert {node.key: node.reads for node in whole}["features.departure_v1"] == (
        "source.flights", "source.weather", "source.arrivals", "source.aircraft",
    ) or len(whole) == 6  # fmt: skip
    part = answers.lineage(PROJECT, "late_arrival", lambda dag: dag != "collect_weather")
    assert not [n for n in part if n.name == "weather" or "source.weather" in n.reads]
