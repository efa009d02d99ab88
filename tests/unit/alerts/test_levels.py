"""Alerts as levels: told once, reminded, over; effects muted, silences kept; nothing on healthy nights."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from nightly_project import FIRST, SET, World, at, judged, project

from nightshift.alerts import CONDITIONS, KINDS, Disk, Seen, anchor, deadline, due_night
from nightshift.records import alerts as rows
from nightshift.records.alerts import Silence
from nightshift.specs import Project
from nightshift.specs.alerts import Persistence
from nightshift.specs.project import SAYS_WHY

DAY = timedelta(days=1)
BAD = FIRST + 3 * DAY
TEAM = {"team": {"kind": "slack", "connection": "slack_ml"}}


def usual(what: str, name: str, night: date) -> datetime:
    return at(night, {"source": 0.6, "set": 0.8, "model": 1.0}[what])


def test_forty_healthy_nights_tell_nothing() -> None:
    world = World(project())
    assert world.live(FIRST, 40, hour=1.1, every=30) == []
    assert world.open == []


def test_one_broken_source_under_25_models_is_one_message_and_one_that_it_is_over() -> None:
    mended = at(BAD, 10)

    def arrives(what: str, name: str, night: date) -> datetime:
        # What stands on it catches up within half an hour of its mending, model after model.
        late = {"source": 0.0, "set": 0.1, "model": 0.5}[what]
        return usual(what, name, night) if night != BAD or what == "source" else at(BAD, 10 + late)

    world = World(
        project(25),
        arrives,
        failed=lambda name, night, now: (name, night) == ("weather", BAD) and now < mended,
    )
    told = world.live(BAD, 2, every=15)
    assert told == [
        ("opened", "source_refused/source:weather"),
        ("resolved", "source_refused/source:weather"),
    ]


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ([{"to": ["team"]}], set()),
        # Who hears of one model alone would hear nothing.
        ([{"to": ["team"]}, {"to": ["duty"], "model": "model_01"}], {"night_missing/model:model_01"}),
        ([{"to": ["team"]}, {"to": ["duty"], "severity": "error"}], set()),
        # Of a set that two follow once is enough: the models stand on it.
        (
            [{"to": ["team"], "source": "weather"}, {"to": ["duty"], "owner": "b"}],
            {f"night_missing/features:{SET}"},
        ),
    ],
)
def test_an_effect_is_muted_where_all_who_would_hear_of_it_hear_of_its_cause(
    routes: list[dict], told: set[str]
) -> None:
    live = project(receivers=TEAM | {"duty": TEAM["team"]}, routes=routes)
    of_b = {name: spec.model_copy(update={"owner": "b"}) for name, spec in live.models.items()}
    sets = {name: spec.model_copy(update={"owner": "b"}) for name, spec in live.feature_sets.items()}
    world = World(
        live.model_copy(update={"models": of_b, "feature_sets": sets}),
        lambda what, name, night: usual(what, name, night) if night != BAD or what == "source" else None,
        failed=lambda name, night, now: (name, night) == ("weather", BAD),
    )
    assert set(world.live(BAD, 1)) == {("opened", name) for name in {"source_refused/source:weather", *told}}


def test_while_a_source_is_broken_its_effects_are_known_as_such() -> None:
    world = World(
        project(),
        lambda what, name, night: usual(what, name, night) if night != BAD or what == "source" else None,
        failed=lambda name, night, now: (name, night) == ("weather", BAD),
    )
    world.live(BAD, 1)
    muted = {row.fingerprint: row.muted_by for row in world.open if row.muted_by}
    assert set(muted.values()) == {"source_refused/source:weather"}
    assert len(muted) == 3 + 1
    assert all(row.told_at is None for row in world.open if row.muted_by)


def test_a_model_that_does_not_catch_up_after_its_source_was_mended_is_told() -> None:
    def arrives(what: str, name: str, night: date) -> datetime | None:
        if night != BAD or what == "source":
            return usual(what, name, night)
        return at(BAD, 10.1) if name != "model_02" else None

    world = World(
        project(),
        arrives,
        failed=lambda name, night, now: (name, night) == ("weather", BAD) and now < at(BAD, 10),
    )
    told = world.live(BAD, 1)
    assert ("opened", "night_missing/model:model_02") in told
    (when,) = [now for now, what, name in world.told if name == "night_missing/model:model_02"]
    assert at(BAD, 12) <= when <= at(BAD, 12.2)
    assert len(told) == 3


def test_a_fault_mutes_the_models_that_it_holds_and_no_other() -> None:
    live = project()
    warned = live.models["model_01"].drift.model_copy(update={"faults": "warn"})
    models = live.models | {"model_01": live.models["model_01"].model_copy(update={"drift": warned})}
    world = World(
        live.model_copy(update={"models": models}),
        lambda what, name, night: None if what == "model" and night == BAD else usual(what, name, night),
        faulty=lambda night: night == BAD,
    )
    told = world.live(BAD, 1)
    assert told == [("opened", f"fault/features:{SET}"), ("opened", "night_missing/model:model_01")]
    muted = {row.fingerprint for row in world.open if row.muted_by == f"fault/features:{SET}"}
    assert muted == {"night_missing/model:model_00", "night_missing/model:model_02"}


def test_the_same_fault_for_seven_nights_is_one_message_at_most_six_reminders_and_one_that_it_is_over() -> (
    None
):
    world = World(project(), faulty=lambda night: BAD <= night < BAD + 7 * DAY)
    told = world.live(BAD, 9, every=15)
    assert told[0] == ("opened", f"fault/features:{SET}")
    assert told[-1] == ("resolved", f"fault/features:{SET}")
    assert 1 <= len(told) - 2 <= 6
    assert {what for what, _ in told[1:-1]} == {"reminded"}


def test_a_night_that_never_started_is_told_once_within_ten_minutes_of_the_agreed_hour() -> None:
    world = World(project(), lambda what, name, night: None if night >= BAD else usual(what, name, night))
    told = world.live(BAD, 1)
    assert told == [("opened", "night_missing/project")]
    assert at(BAD, 6) <= world.told[0][0] <= at(BAD, 6) + timedelta(minutes=10)


def test_a_night_that_never_started_and_is_made_up_for_is_two_messages() -> None:
    live = project()
    order = sorted(live.sources)

    def arrives(what: str, name: str, night: date) -> datetime | None:
        if night != BAD:
            return usual(what, name, night)
        # One source after the other, a quarter of an hour each; the last of all never comes.
        late = {"source": order.index(name) / 4 if what == "source" else 0, "set": 1.2, "model": 1.5}[what]
        return None if name == "model_02" else at(BAD, 10 + late)

    world = World(live, arrives)
    told = world.live(BAD, 1)
    assert told == [
        ("opened", "night_missing/project"),
        ("resolved", "night_missing/project"),
        ("opened", "night_missing/model:model_02"),
    ]
    assert world.told[-1][0] >= at(BAD, 12)


def test_one_model_that_did_not_run_is_told_by_its_own_name() -> None:
    world = World(
        project(),
        lambda what, name, night: None if (name, night) == ("model_01", BAD) else usual(what, name, night),
    )
    assert world.live(BAD, 1) == [("opened", "night_missing/model:model_01")]
    row = world.open[0]
    assert (row.owner, row.dag_id) == ("flight-operations", "score_model_01")
    assert row.since == at(BAD, 6)
    assert row.numbers == {"night": str(BAD), "nights": 1, "newest": str(BAD - DAY)}


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_source_that_was_added_by_day_misses_its_first_night_and_none_before(by_hand: bool) -> None:
    """Also where its past was collected by hand that day; and so does a set that was."""
    declared = {"weather": at(BAD, 9), SET: at(BAD, 9)}
    history = ("weather", BAD - DAY) if by_hand else None

    def arrives(what: str, name: str, night: date) -> datetime | None:
        if what == "set" or name == "weather":
            return at(BAD, 10) if (name, night) == history else None
        return usual(what, name, night)

    world = World(project(0), arrives)
    for hour in range(9, 54):
        there = world.facts(at(BAD, hour))
        batches = tuple(
            replace(row, recorded_at=at(BAD, 10)) if row.source == "weather" else row for row in there.batches
        )
        told = tuple(row for row in there.announced if row.asset != "raw.weather")  # it was left
        world.look(there.now, declared=declared, batches=batches, announced=told)
    assert world.told == [(at(BAD + DAY, 6), "opened", "night_missing/source:weather")]


def test_a_source_whose_past_was_collected_again_tonight_is_not_new() -> None:
    world = World(
        project(0),
        lambda what, name, night: None if (name, night) == ("weather", BAD) else usual(what, name, night),
    )
    facts = world.facts(at(BAD, 7))
    again = tuple(
        replace(row, recorded_at=at(BAD, 1)) if row.source == "weather" else row for row in facts.batches
    )
    told = world.look(facts.now, batches=again, declared={"weather": at(FIRST, 0)})
    assert ("opened", "night_missing/source:weather") in told


def test_a_set_that_was_added_by_day_was_not_there_to_be_woken() -> None:
    def arrives(what: str, name: str, night: date) -> datetime | None:
        return None if what == "set" else usual(what, name, night)

    world = World(project(0), arrives)
    told = [look for hour in range(9, 30) for look in world.look(at(BAD, hour), declared={SET: at(BAD, 8)})]
    assert told == [("opened", f"features_refused/features:{SET}")]
    assert world.told[0][0] > at(BAD + DAY, 0), "its first night is the next one"


def test_a_project_that_was_made_by_day_has_missed_nothing() -> None:
    new = project(0)
    world = World(new, lambda what, name, night: None)
    declared = {name: at(BAD, 9) for name in [*new.sources, SET]}
    assert [world.look(at(BAD, hour), declared=declared) for hour in range(9, 30)] == [[]] * 21
    assert world.look(at(BAD, 30), declared=declared) == [("opened", "night_missing/project")]


def test_features_of_sources_that_are_all_there_are_refused_before_the_agreed_hour() -> None:
    world = World(
        project(),
        lambda what, name, night: None if what != "source" and night == BAD else usual(what, name, night),
    )
    told = world.live(BAD, 1)
    assert told == [("opened", f"features_refused/features:{SET}")]
    assert world.told[0][0] < at(BAD, 2)


def test_a_project_whose_last_night_is_over_owes_nothing() -> None:
    live = project()
    over = live.model_copy(update={"settings": live.settings.model_copy(update={"last_night": BAD - DAY})})
    assert due_night(live, at(BAD, 6)) == BAD
    assert due_night(live, at(BAD, 5.9)) == BAD - DAY
    assert due_night(over, at(BAD, 6)) is None
    assert due_night(live, at(FIRST, 5)) is None


def test_a_night_that_starts_in_the_evening_is_over_the_next_morning() -> None:
    live = project()
    late = live.model_copy(update={"settings": live.settings.model_copy(update={"cron": "30 22 * * *"})})
    assert deadline(late, BAD) == at(BAD + DAY, 6)


def harmful(*nights: float) -> list[rows.Judged]:
    found = [judged("model_00", BAD - n * DAY, harm=v, harm_limit=365.0) for n, v in enumerate(nights)]
    return found + [judged(f"model_{n:02}", BAD) for n in (1, 2)]


def test_two_of_three_nights_open_and_two_quiet_ones_close_where_the_project_says_so() -> None:
    world = World(project(nights={"harm": Persistence(open=2, of=3, close=2).model_dump()}))
    now = at(BAD, 2)
    looks = [
        harmful(400.0),
        harmful(1.0, 400.0),
        harmful(400.0, 1.0, 400.0),
        harmful(1.0, 400.0),
        harmful(1.0, 1.0, 400.0),
    ]
    told = [world.look(now + n * timedelta(minutes=5), judged=tuple(look)) for n, look in enumerate(looks)]
    name = "harm/model:model_00"
    told = [[each for each in look if each[1] == name] for look in told]
    assert told == [[], [], [("opened", name)], [], [("resolved", name)]]


def test_nights_that_close_an_alert_do_not_open_it_again_at_the_next_look() -> None:
    world = World(project(nights={"harm": Persistence(open=2, of=3).model_dump()}))
    now = at(BAD, 2)
    looks = [harmful(400.0, 400.0, 1.0), *4 * [harmful(1.0, 400.0, 400.0)], harmful(400.0, 1.0, 400.0)]
    told = [world.look(now + n * timedelta(minutes=5), judged=tuple(look)) for n, look in enumerate(looks)]
    name = "harm/model:model_00"
    told = [[each for each in look if each[1] == name] for look in told]
    assert told == [[("opened", name)], [("resolved", name)], [], [], [], [("opened", name)]]


def test_a_silence_keeps_quiet_until_its_end_and_what_is_still_wrong_is_told_then() -> None:
    world = World(
        project(), lambda what, name, night: None if name == "model_01" else usual(what, name, night)
    )
    world.silences = [
        Silence(
            silence=1, kind="night_missing", subject="model:*", owner="ops", until=at(BAD, 12), reason="moving",
            actor="ops", made_at=at(BAD, 0),
        )
    ]  # fmt: skip
    world.live(BAD, 1)
    assert [(now, what) for now, what, _ in world.told] == [(at(BAD, 12), "opened")]


def test_what_was_told_and_then_silenced_is_told_when_it_is_over() -> None:
    world = World(project(), faulty=lambda night: night == BAD)
    world.look(at(BAD, 2))
    world.silences = [
        Silence(
            silence=1, kind="*", subject="*", owner="o", until=at(BAD + 9 * DAY, 0), reason="", actor="o",
            made_at=at(BAD, 1),
        )
    ]  # fmt: skip
    assert world.look(at(BAD + DAY, 7)) == [("resolved", f"fault/features:{SET}")]


def test_what_nobody_could_look_at_stays_as_it_is() -> None:
    world = World(project())
    now, name = at(BAD, 2), "alias_differs/model:model_00"
    aliases = {f"model_{n:02}": 1 for n in range(3)} | {"model_00": 7}
    for minutes in (0, 5, 10):
        world.look(now + timedelta(minutes=minutes), seen=Seen(aliases=aliases))
    assert [each[1:] for each in world.told] == [("opened", name)], (
        "not at once: a promotion passes through it"
    )
    assert world.look(now + timedelta(minutes=15), seen=Seen(aliases=None)) == []
    assert [row.fingerprint for row in world.open] == [name]
    healed = dict.fromkeys(aliases, 1)
    assert world.look(now + timedelta(minutes=20), seen=Seen(aliases=healed)) == [("resolved", name)]


def test_what_a_spec_that_does_not_load_declares_is_not_over_and_its_file_is_told_once() -> None:
    sound = project()

    def lost(name: str, *, broken: bool) -> Project:
        paths = {
            "weather": sound.folder / "sources/weather.yaml",
            "departure": sound.folder / "features/departure.py",
            "model_01": sound.folder / "models/model_01.yaml",
        }
        first, *others = list(paths.values())[list(paths).index(name) :]
        problems = {first: f"{first}: key 'x': unknown"}
        for path in others:
            above = next(reversed(problems))
            problems[path] = f"{path}: {SAYS_WHY.format(path=above)}"
        kept = {
            "sources": {n: s for n, s in sound.sources.items() if n != name},
            "feature_sets": {} if name != "model_01" else sound.feature_sets,
            "models": {n: s for n, s in sound.models.items() if name == "model_01" and n != name},
        }
        return sound.model_copy(update={**kept, "problems": problems if broken else {}})

    for name, what, file in (
        ("model_01", "harm/model:model_01", "models/model_01.yaml"),
        ("departure", f"fault/features:{SET}", "features/departure.py"),
        ("weather", "source_refused/source:weather", "sources/weather.yaml"),
    ):
        world = World(sound, faulty=lambda night: night == BAD)
        world.failed = lambda source, night, now: (source, night) == ("weather", BAD)
        harm = (judged("model_01", BAD, harm=400.0, harm_limit=365.0),)
        world.look(at(BAD, 2), judged=harm)
        assert what in {row.fingerprint for row in world.open}
        world.project = lost(name, broken=True)
        told = [world.look(at(BAD, 3 + n / 6), judged=()) for n in range(3)]
        assert not [each for look in told for each in look if each[1] == what]
        assert what in {row.fingerprint for row in world.open}
        assert [each for look in told for each in look if "spec" in each[1]] == [
            ("opened", f"spec_broken/spec:{file}")
        ]
        world.project = lost(name, broken=False)
        assert ("resolved", what) in world.look(at(BAD, 4), judged=()), "it was taken away"


def test_a_component_that_the_stack_has_no_more_is_down_no_more() -> None:
    world = World(project())
    now = at(BAD, 2)
    world.look(
        now, seen=Seen(components={"spark": False, "mlflow": False, "airflow": True}, whole_stack=True)
    )
    down = {"component_down/component:spark", "component_down/component:mlflow"}
    world.look(now, seen=Seen(components={"airflow": True}))
    assert {row.fingerprint for row in world.open} == down, (
        "who looks at a part of it says nothing of the rest"
    )
    world.look(now, seen=Seen(components={"scheduler": True, "airflow": True}, whole_stack=True))
    assert {row.fingerprint for row in world.open} == {"component_down/component:mlflow"}


def test_what_passes_within_minutes_is_told_to_nobody() -> None:
    world = World(project())
    now = at(BAD, 2)
    world.look(now, seen=Seen(components={"mlflow": False}))
    assert world.open
    assert world.look(now + timedelta(minutes=5), seen=Seen(components={"mlflow": True})) == []
    assert not world.open


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("no_champion", {"champions": ()}),
        ("ledger_broken", {"seen": Seen(broken=frozenset({"model_00"}))}),
        ("disk", {"seen": Seen(disks={"objects": Disk(1 << 20, 1 << 40)})}),
        ("shift", {"judged": (judged("model_00", BAD, shift=400.0, shift_limit=365.0),)}),
        (
            "quarantine_grows",
            {"set_aside": (rows.SetAside(source="weather", newest=1001, all=5000, since=FIRST),)},
        ),
        (
            "signature_waits",
            {"waiting": (rows.Waiting(model="model_00", version=4, decided_at=at(BAD, 1)),)},
        ),
        ("receiver_fails", {"unsent": (rows.Unsent(receiver="team", messages=3, oldest=at(BAD, 1)),)}),
        (
            "probation_lost",
            {
                "probations": (
                    rows.Lost(
                        model="model_00", batch_date=BAD, model_version=3, before=2, evidence=120.0,
                        rolls_back=True, judged_at=at(BAD, 1),
                    ),
                )
            },
        ),
    ],
)  # fmt: skip
def test_each_of_these_is_seen_by_its_own_condition(kind: str, more: dict) -> None:
    live = project(receivers=TEAM)
    facts = World(live).facts(at(BAD, 2), **more)
    seen = list(CONDITIONS[kind](facts, live))
    assert [sight.kind for sight in seen if sight.nights[0]][:1] == [kind]
    healthy = World(live).facts(at(BAD, 2))
    assert not [sight for sight in CONDITIONS[kind](healthy, live) if sight.nights[0]]


def request(night: date, **more: object) -> rows.Request:
    usual = {"status": "started", "guard": None, "outcome": None, "requested_at": at(night, 2)}
    return rows.Request(model="model_00", batch_date=night, **(usual | more))


@pytest.mark.parametrize(
    ("requests", "kinds"),
    [
        ([request(BAD, outcome="failed")], {"training_failed"}),
        ([request(BAD)], set()),
        ([request(BAD - DAY)], {"training_failed"}),
        ([request(BAD, outcome="promoted"), request(BAD - DAY, outcome="rejected")], set()),
        ([request(BAD, outcome="rejected")], set()),
        ([request(BAD, outcome="rejected"), request(BAD - DAY, outcome="timed out")], {"training_rejected"}),
        ([request(BAD, status="suppressed", guard="breaker")], {"breaker"}),
        ([request(BAD - DAY, status="suppressed", guard="breaker", not_before=BAD + DAY)], {"breaker"}),
        ([request(BAD - DAY, status="suppressed", guard="breaker", not_before=BAD)], set()),
        ([request(BAD, status="suppressed", guard="cooldown")], set()),
        (
            [
                request(BAD, status="suppressed", guard="fault"),
                request(BAD - DAY, status="suppressed", guard="breaker", not_before=BAD + DAY),
            ],
            {"breaker"},
        ),
        (
            [
                request(BAD, status="suppressed", guard="retry"),
                request(BAD - DAY, outcome="rejected"),
                request(BAD - 2 * DAY, status="suppressed", guard="breaker"),
            ],
            set(),
        ),
        (
            [request(BAD, status="suppressed", guard="cooldown"), request(BAD - DAY, guard="breaker")],
            {"training_failed"},
        ),
    ],
)
def test_how_trainings_ended_is_told(requests: list[rows.Request], kinds: set[str]) -> None:
    live = project()
    facts = World(live).facts(at(BAD, 10), requests=tuple(requests))
    seen = {
        s.kind
        for kind in ("training_failed", "training_rejected", "breaker")
        for s in CONDITIONS[kind](facts, live)
    }
    assert seen == kinds


@pytest.mark.parametrize(
    ("collected", "rejected", "stale", "kind"),
    [
        (1000, 500, False, "source_over_budget"),
        (0, 0, False, "source_refused"),
        (1000, 0, True, "source_stale"),
    ],
)
def test_why_a_batch_failed_is_its_kind(collected: int, rejected: int, stale: bool, kind: str) -> None:
    live = project()
    healthy = World(live).facts(at(BAD, 2))
    bad = replace(
        next(row for row in healthy.batches if row.source == "weather" and row.batch_date == BAD),
        status="failed", collected=collected, rejected=rejected, stale=stale,
    )  # fmt: skip
    others = tuple(row for row in healthy.batches if row.source != "weather")
    facts = replace(healthy, batches=(*others, bad))
    kinds = ("source_refused", "source_over_budget", "source_stale")
    assert [s.kind for k in kinds for s in CONDITIONS[k](facts, live) if s.nights[0]] == [kind]


def test_every_kind_has_a_condition_and_an_entry_in_the_runbooks() -> None:
    text = (Path(__file__).parents[3] / "docs" / "runbooks.md").read_text()
    assert set(CONDITIONS) == set(KINDS)
    for kind in KINDS:
        assert f'<a id="{anchor(kind)}"></a>' in text, kind


def test_kinds_that_nights_are_counted_of_are_known_to_the_specs() -> None:
    from typing import get_args

    from nightshift.specs.alerts import Nightly

    assert set(get_args(Nightly)) <= set(KINDS)


def test_instants_are_of_no_zone_but_theirs() -> None:
    assert at(BAD, 6) == deadline(project(0), BAD).astimezone(UTC)


@pytest.mark.parametrize(
    ("hours", "kinds"), [(13, {"signature_waits"}), (83, {"signature_waits"}), (85, {"training_failed"})]
)
def test_a_training_that_waits_for_its_signature_is_not_lost_until_its_time_is_over(
    hours: int, kinds: set[str]
) -> None:
    live = project()
    assert live.models["model_00"].approve_within_hours == 72
    decided = at(BAD, 2)
    waiting = rows.Waiting(model="model_00", version=4, decided_at=decided)
    facts = World(live).facts(decided + timedelta(hours=hours), requests=(request(BAD),), waiting=(waiting,))
    found = {
        sight.kind
        for kind in ("training_failed", "signature_waits")
        for sight in CONDITIONS[kind](facts, live)
    }
    assert found == kinds


@pytest.mark.parametrize(("others", "words"), [(False, "takes no message"), (True, "takes others")])
def test_a_receiver_that_refuses_one_message_is_not_said_to_take_none(others: bool, words: str) -> None:
    live = project(receivers=TEAM)
    row = rows.Unsent(receiver="team", messages=1, oldest=at(BAD, 1), takes_others=others)
    (sight,) = CONDITIONS["receiver_fails"](World(live).facts(at(BAD, 2), unsent=(row,)), live)
    assert words in sight.title


def test_a_receiver_that_is_declared_no_more_does_not_fail() -> None:
    live = project(receivers=TEAM)
    unsent = tuple(rows.Unsent(receiver=name, messages=1, oldest=at(BAD, 1)) for name in ("team", "former"))
    facts = World(live).facts(at(BAD, 2), unsent=unsent)
    assert [sight.subject for sight in CONDITIONS["receiver_fails"](facts, live)] == ["receiver:team"]


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("training_failed", (request(BAD, outcome="failed"),)),
        ("training_rejected", (request(BAD, outcome="rejected"), request(BAD - DAY, outcome="rejected"))),
        ("breaker", (request(BAD, status="suppressed", guard="breaker"),)),
    ],
)
def test_a_promotion_by_hand_ends_what_was_told_of_trainings_before_it(
    kind: str, requests: tuple[rows.Request, ...]
) -> None:
    live = project()

    def told(version: int, hour: float | None) -> bool:
        promoted = None if hour is None else at(BAD, hour)
        champion = rows.Champion(model="model_00", version=version, effective_from=BAD, promoted_at=promoted)
        facts = World(live).facts(at(BAD, 5), requests=requests)
        others = tuple(row for row in facts.champions if row.model != "model_00")
        return bool(list(CONDITIONS[kind](replace(facts, champions=(*others, champion)), live)))

    assert told(3, 1), "it was there before"
    assert told(2, None), "nothing was trained"
    assert not told(4, 3)
