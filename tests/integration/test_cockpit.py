"""The cockpit's answers on a real PostgreSQL: every number is its row's, and nobody sees what is not his."""

import asyncio
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from pydantic import TypeAdapter

from nightshift.cockpit import alarms, answers
from nightshift.cockpit.standing import Step, Tonight
from nightshift.database import Readings
from nightshift.errors import Unreachable, WarehouseRefused
from nightshift.records import decisions, deliveries, faults, monitoring
from nightshift.records.alerts import BEAT, KEEP_OPEN, OpenAlert
from nightshift.records.cockpit import NEWEST_NIGHT, NewestNight
from nightshift.records.ledger import TELL_OF_RENAME
from nightshift.records.profile import FeatureProfile
from nightshift.records.sketches import Counted
from nightshift.rows import Command
from nightshift.specs import Project, load_project
from nightshift.warehouse import Warehouse
from tests.integration.fleet_rows import fill
from tests.integration.judged_versions import judged

pytestmark = pytest.mark.integration
LAST = date(2013, 3, 20)
NIGHTS = 45
MODEL = "late_arrival"
PROJECT = load_project()
TONIGHT = Tonight(LAST, due=True)
HOSTILE = "<script>alert(1)</script>{{7*7}}"
# Of somebody: a value that was delivered.
SAMPLE = "jane.roe@example.org"


# One about each thing that somebody may see, and one about what is the project's.
ALERTS = [
    ("harm", f"model:{MODEL}"),
    ("harm", "model:hourly_departures"),
    ("source_refused", "source:departures"),
    ("fault", "features:departure_v1"),
    ("disk", "disk:objects"),
    ("harm", "model:gone"),
]


def alert(kind: str, subject: str) -> OpenAlert:
    seen = datetime(2013, 3, 20, 6, tzinfo=UTC)
    return OpenAlert(
        fingerprint=f"{kind}/{subject}", kind=kind, subject=subject, severity="error", owner="o", title=HOSTILE,
        action="look", runbook="alert-x", dag_id=f"monitor_{MODEL}" if subject == f"model:{MODEL}" else None,
        numbers={"evidence": 3.5}, since=seen,
        muted_by="source_refused/source:departures" if subject == "model:hourly_departures" else None,
        opened_at=seen, seen_at=seen,
    )  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(shared_url: str) -> Warehouse:
    found = Warehouse(shared_url)
    fill(found, PROJECT, LAST, NIGHTS)
    # One model misses two nights, and its source is refused; another asked for a training that a guard held.
    found.execute(
        "DELETE FROM catalog.prediction_batches WHERE model = 'hourly_departures' AND batch_date IN (%s, %s)",
        (LAST, LAST - timedelta(days=5)),
    )
    row = found.all(deliveries.BATCHES, source="departures", first=LAST, last=LAST)[0]
    found.run(
        deliveries.JUDGED,
        replace(row, status="failed", accepted=300, rejected=700, reasons=f"{HOSTILE} {SAMPLE}"),
    )
    answer = monitoring.GuardAnswer("cooldown", True, "promoted 3 nights ago", LAST + timedelta(days=4))
    found.run(
        monitoring.ASK,
        monitoring.RetrainRequest(
            model=MODEL,
            batch_date=LAST,
            status="suppressed",
            guard="cooldown",
            reason="promoted 3 nights ago",
            training_id=None,
            requested_by=None,
            answers=(answer,),
            not_before=LAST + timedelta(days=4),
        ),
    )
    found.run(
        faults.FIND,
        faults.Fault(
            feature_set="departure",
            feature_version=1,
            batch_date=LAST,
            column_name="distance",
            measure="level",
            words="doubled",
            sources=["flights"],
            sketch_sha256="e" * 64,
            run_id="run",
        ),
        same=False,
    )
    for kind, subject in ALERTS:
        found.run(KEEP_OPEN, alert(kind, subject))
    return found


@pytest.fixture(scope="module")
def reads(warehouse: Warehouse) -> Readings:
    return Readings(warehouse.url, most=2, seconds=2)


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


ALL = {"may_see": everything, "may_start": everything}


def test_the_fleet_is_what_the_rows_say(warehouse: Warehouse, reads: Readings) -> None:
    found = answers.fleet(reads, PROJECT, TONIGHT, may_see=everything)
    assert next(m.model for m in found.models) == "hourly_departures"
    assert {m.model for m in found.models} == set(PROJECT.models)
    for row in found.models:
        name = row.model
        scored = warehouse.row(
            "SELECT batch_date, row_count FROM catalog.prediction_batches WHERE model = %s ORDER BY 1 DESC LIMIT 1",
            (name,),
        )
        assert scored
        assert (row.scored, row.rows) == (scored["batch_date"], scored["row_count"])
        champion = warehouse.row(
            "SELECT version, effective_from FROM governance.champion_on(%s, %s)", (name, LAST)
        )
        assert champion
        assert (row.version, row.since) == (champion["version"], champion["effective_from"])
        trend = warehouse.rows(
            "SELECT (performance->>'value')::float8 AS v FROM monitoring.verdicts WHERE model = %s ORDER BY batch_date",
            (name,),
        )
        exact = [each["v"] for each in trend]
        assert [value for value in row.trend if value is not None] == pytest.approx(exact, rel=5e-5)
        assert row.value == pytest.approx(exact[-1], rel=5e-7)
        aside = warehouse.row(
            "SELECT sum(rejected)::bigint AS n FROM catalog.batches WHERE batch_date = %s AND source = ANY(%s)",
            (LAST, PROJECT.sources_of(name)),
        )
        assert aside
        assert row.set_aside == aside["n"]
        assert (row.harm, row.harm_limit, row.shift, row.shift_limit) == (1.5, 365.0, 3.2, 365.0)
        psi = {f"feature_{k:02}": round(0.01 * ((NIGHTS - 1 + k) % 30), 2) for k in range(20)}
        assert (row.feature, row.psi) == max(psi.items(), key=lambda each: each[1])


def test_two_hundred_models_are_at_most_300_kilobytes(reads: Readings) -> None:
    found = answers.fleet(reads, PROJECT, TONIGHT, may_see=everything)
    assert len(TypeAdapter(answers.Fleet).dump_json(found)) <= 300_000 / 200 * len(found.models)


def test_what_is_missing_tonight_is_told_with_why_and_what_to_do(reads: Readings) -> None:
    states = {m.model: m for m in answers.fleet(reads, PROJECT, TONIGHT, may_see=everything).models}
    late = states["hourly_departures"]
    assert (late.state.word, late.state.tone) == ("source refused", "bad")
    assert HOSTILE in late.state.reason
    assert late.missing == (str(LAST - timedelta(days=5)), str(LAST))
    assert (states[MODEL].state.word, states[MODEL].faults) == ("faulty", 1)
    assert f"held by cooldown, {LAST}" in states[MODEL].waits
    over = Tonight(LAST + timedelta(days=4), due=True)  # the cooldown is
    later = {m.model: m for m in answers.fleet(reads, PROJECT, over, may_see=everything).models}
    assert not [words for words in later[MODEL].waits if "cooldown" in words]
    assert (states[MODEL].alerts, late.alerts) == (1, 0), "that of the other follows from its source's"


def test_specs_that_do_not_load_are_counted_for_who_may_see_alerts(reads: Readings) -> None:
    path = PROJECT.folder / "models/x.yaml"
    broken = PROJECT.model_copy(update={"problems": {path: f"{path}: no mapping"}})

    def counted(project: Project, may_see: Callable[[str], bool]) -> set[int]:
        pages = (answers.fleet, answers.night_page, partial(answers.data_page, may_start=nothing))
        return {page(reads, project, TONIGHT, may_see=may_see).broken for page in pages}

    assert counted(PROJECT, everything) == counted(broken, lambda dag: dag != "alerts") == {0}
    assert counted(broken, everything) == {1}


def test_of_a_source_that_is_not_the_readers_neither_its_name_nor_why_is_told(
    ask: Callable[[str, str], httpx.Response], reads: Readings
) -> None:
    def told(may_see: Callable[[str], bool]) -> str:
        rights = {"may_see": may_see, "may_start": everything}
        page = answers.model_page(reads, PROJECT, TONIGHT, name="hourly_departures", **rights)
        assert page
        assert page.model.state.word == "source refused"
        line = next(
            each
            for each in answers.fleet(reads, PROJECT, TONIGHT, may_see=may_see).models
            if each.model == "hourly_departures"
        )
        return f"{page.model.state} {page.model.row.deliveries} {page.faults} {line.state} {line.never}"

    assert HOSTILE in told(everything)
    assert SAMPLE not in told(everything)
    hidden = told(lambda dag: dag != "collect_departures")
    assert HOSTILE not in hidden
    assert not re.search(r"\bdepartures\b", hidden)
    page = ask("of one model", f"/models/{MODEL}").json()
    sources = {each["source"] for each in page["model"]["row"]["deliveries"]}
    faults = [*page["faults"], *page["model"]["row"]["faults"]]
    assert faults
    assert {*sources, *(name for each in faults for name in each["sources"])} == {"a source"}
    assert "flights" not in page["model"]["state"]["step"]["words"]


def test_a_signature_that_is_waited_for_is_told_until_it_is_there(
    warehouse: Warehouse, reads: Readings
) -> None:
    def waits() -> tuple[str, ...]:
        found = answers.fleet(reads, PROJECT, TONIGHT, may_see=lambda dag: dag == "score_arrival_delay")
        return found.models[0].waits

    assert waits() == ()
    training = judged(warehouse, 9, 2, model="arrival_delay", approval="required")
    assert waits() == ("version 9 waits for a signature",)
    for clock in ("Etc/GMT+12", "Pacific/Kiritimati"):  # which are never at the same date
        settings = PROJECT.settings.model_copy(update={"timezone": clock})
        there = PROJECT.model_copy(update={"settings": settings})
        page = answers.model_page(reads, there, TONIGHT, name="arrival_delay", **ALL)
        assert page
        assert page.model.row.waiting
        decided = page.model.row.waiting.decided_at
        assert page.model.state.word == "waits for a signature"
        assert page.model.state.since == decided.astimezone(ZoneInfo(clock)).date()
    with warehouse.session() as session:  # of a training that was lost nobody writes how it ended
        session.cursor.execute("ALTER TABLE governance.decisions DISABLE TRIGGER USER")
        session.cursor.execute(
            "UPDATE governance.decisions SET decided_at = decided_at - interval '84 hours' WHERE training_id = %s",
            (training,),
        )
        session.cursor.execute("ALTER TABLE governance.decisions ENABLE TRIGGER USER")
    assert waits() == ()
    warehouse.run(decisions.END, training_id=training, outcome="rejected")
    assert waits() == ()


def test_the_page_of_a_model_is_what_its_rows_say(warehouse: Warehouse, reads: Readings) -> None:
    page = answers.model_page(reads, PROJECT, TONIGHT, name=MODEL, **ALL)
    assert page
    rows = warehouse.rows(
        "SELECT batch_date, model_version, row_count, (v.performance->>'low')::float8 AS low "
        "FROM catalog.prediction_batches "
        "JOIN monitoring.verdicts v USING (model, batch_date, arm, model_version) WHERE model = %s ORDER BY 1", (MODEL,)
    )  # fmt: skip
    assert [(n.night, n.version, n.scored, n.low) for n in page.nights] == [
        tuple(row.values()) for row in rows
    ]
    entries = warehouse.rows(
        "SELECT entry, version, actor FROM governance.promotions WHERE model = %s ORDER BY entry DESC",
        (MODEL,),
    )
    assert [(e.entry, e.version, e.actor) for e in page.ledger] == [tuple(row.values()) for row in entries]
    assert {d.training_id for d in page.decisions} == {f"{MODEL} 1", f"{MODEL} 2"}
    assert page.requests[0].answers[0].words == "promoted 3 nights ago"
    newest = warehouse.row(
        "SELECT max(promoted_at) AS at FROM governance.promotions WHERE model = %s AND kind = 'promotion'",
        (MODEL,),
    )
    assert newest
    assert page.model.row.promoted_at == newest["at"]
    asked = page.model.row.request
    assert asked
    assert (
        timedelta(0)
        <= datetime.now(UTC) - asked.requested_at - timedelta(hours=asked.hours)
        < timedelta(minutes=5)
    )
    later = Tonight(LAST + timedelta(days=30), due=True)
    month = answers.model_page(reads, PROJECT, later, name=MODEL, **ALL)
    assert month
    assert month.model.row.request is None, "what was asked for a month ago is no news"
    assert page.faults[0].column_name == "distance"
    assert page.heat_nights == tuple(LAST - timedelta(days=n) for n in reversed(range(NIGHTS)))
    assert len(page.features) == 20
    for feature in page.features:
        assert feature.psi[-1] == pytest.approx(feature.now.psi / feature.now.limit, abs=1e-3)
    assert answers.model_page(reads, PROJECT, TONIGHT, name="absent", **ALL) is None


def test_a_model_that_is_not_scored_for_long_misses_all_nights_since(reads: Readings) -> None:
    later = Tonight(LAST + timedelta(days=40), due=True)
    found = next(
        m for m in answers.fleet(reads, PROJECT, later, may_see=everything).models if m.model == MODEL
    )
    assert found.missing == tuple(str(later.night - timedelta(days=n)) for n in reversed(range(30)))
    assert (found.state.word, found.state.since) == ("source missing", LAST + timedelta(days=1))


ASKED_OF = "arrival_delay"
FAULTY = "a fault is open: distance: doubled of jane@example.org (from flights or weather)"
Asks = Callable[..., None]


@pytest.fixture
def asks(warehouse: Warehouse) -> Iterator[Asks]:
    """Return what writes that a night asked for a training, so many nights ago."""

    def ask(ago: int, status: str, guard: str | None = None, **more: Any) -> None:
        usual = {"reason": "shift", "training_id": None, "requested_by": None, "not_before": None}
        answer = monitoring.GuardAnswer("fault", True, FAULTY, None)
        row = {**usual, **more, "model": ASKED_OF, "batch_date": LAST - timedelta(days=ago)}
        warehouse.run(
            monitoring.ASK, monitoring.RetrainRequest(status=status, guard=guard, answers=(answer,), **row)
        )

    yield ask
    warehouse.execute("DELETE FROM monitoring.retrain_requests WHERE model = %s", (ASKED_OF,))


def page_without(reads: Readings, *hidden: str) -> answers.ModelPage:
    rights = {"may_see": lambda dag: dag not in hidden, "may_start": nothing}
    found = answers.model_page(reads, PROJECT, TONIGHT, name=ASKED_OF, **rights)
    assert found
    return found


def test_the_breaker_holds_until_a_training_is_started_whatever_guard_is_asked_before_it(
    reads: Readings, asks: Asks
) -> None:
    asks(3, "suppressed", "breaker", not_before=LAST + timedelta(days=20))
    asks(2, "suppressed", "fault", reason=FAULTY)
    assert page_without(reads).model.state.word == "gave up training"
    asks(1, "started", training_id="again")
    assert page_without(reads).model.state.word != "gave up training"


@pytest.mark.parametrize(
    ("hidden", "sources"), [((), "flights or weather"), (("collect_flights",), "weather or a source")]
)
def test_what_a_guard_says_of_a_fault_names_no_source_that_is_not_the_readers(
    reads: Readings, asks: Asks, hidden: tuple[str, ...], sources: str
) -> None:
    asks(0, "suppressed", "fault", reason=FAULTY)
    page = page_without(reads, *hidden)
    words = f"a fault is open: distance: doubled of [address] (from {sources})"
    assert page.requests[0].reason == page.requests[0].answers[0].words == words
    assert page.model.row.request
    assert page.model.row.request.reason == words
    steps = answers.night_page(reads, PROJECT, TONIGHT, may_see=lambda dag: dag not in hidden).steps
    assert [step.request for step in steps if step.name == ASKED_OF] == [f"suppressed by fault: {words}"]


@pytest.mark.parametrize(("hours", "words"), [(0, "runs"), (13, "left no word")])
def test_a_training_that_was_lost_is_not_told_as_running(
    warehouse: Warehouse, reads: Readings, asks: Asks, hours: int, words: str
) -> None:
    asks(1, "started", training_id="again")
    warehouse.execute(
        "UPDATE monitoring.retrain_requests SET requested_at = requested_at - make_interval(hours => %s) "
        "WHERE training_id = 'again'",
        (hours,),
    )
    assert page_without(reads).requests[0].came_of_it == words


def test_who_put_a_version_in_service_is_not_who_renamed_its_model(
    warehouse: Warehouse, reads: Readings
) -> None:
    before = page_without(reads).model.row
    warehouse.run(
        TELL_OF_RENAME, model=ASKED_OF, actor="somebody else", reason="it has another name from here on"
    )
    after = page_without(reads).model.row
    assert (after.version, after.since, after.kind, after.actor) == (
        before.version,
        before.since,
        "promotion",
        "tester",
    )
    assert after.promoted_because == before.promoted_because == "because"


def test_features_are_drawn_beside_the_training_and_slices_by_the_metric_to_beat(
    warehouse: Warehouse, reads: Readings
) -> None:
    features = [
        FeatureProfile(name="distance", kind="numeric", edges=(1.0, 2.0), counts=(10, 20, 10, 0)),
        FeatureProfile(name="carrier", kind="category", categories=(HOSTILE,), counts=(30, 10, 0)),
    ]
    # Versions are for good: this one is given what a training would have left.
    warehouse.execute(
        "SET LOCAL session_replication_role = replica; "
        "UPDATE governance.versions SET profile = %s WHERE model = 'arrival_delay'",
        (json.dumps({"features": [each.model_dump() for each in features]}),),
    )
    counted = Counted(rows=10, features=((0, 5, 4, 1), (5, 5, 0)), predictions=())
    for day in (LAST - timedelta(days=1), LAST, LAST + timedelta(days=1)):
        warehouse.execute(
            "INSERT INTO catalog.profile_counts (model, model_version, batch_date, features_sha256, counts_sha256, "
            "counted) VALUES ('arrival_delay', 2, %s, 'f', 'c', %s)",
            (day, TypeAdapter(Counted).dump_json(counted).decode()),
        )
    slices = {
        "origin=JFK": {
            "rows": 9,
            "challenger": {"mae": 1.5},
            "champion": {"mae": 2.0},
            "gains": {"mae": [0.1, 0.9]},
        }
    }
    # Decisions are for good: this is one more.
    warehouse.execute(
        "INSERT INTO governance.decisions (training_id, model, challenger, champion, as_of, reason, snapshot_id, "
        "passed, gates, challenger_metrics, evidence_sha256, evaluation) SELECT 'sliced', model, challenger, champion, "
        "as_of, reason, snapshot_id, false, gates, challenger_metrics, 'e', %s FROM governance.decisions "
        "WHERE training_id = 'arrival_delay 2'",
        (json.dumps({"slices": slices}),),
    )
    page = answers.model_page(reads, PROJECT, TONIGHT, name="arrival_delay", **ALL)
    assert page
    assert page.counted_on == LAST
    distance, carrier = page.histograms
    assert distance.bins == ("below 1", "1 to 2", "2 or more", "missing")
    assert (distance.then, distance.now) == ((0.25, 0.5, 0.25, 0.0), (0.0, 0.5, 0.4, 0.1))
    assert carrier.bins == (HOSTILE, "other", "missing")
    assert page.slices == (answers.SliceShown("origin=JFK", "mae", 9, 1.5, 2.0, 0.1, 0.9),)


def test_lineage_leads_from_every_source_to_every_model_and_over_nothing_unseen() -> None:
    found = {node.key: node for node in answers.graph(PROJECT, everything)}
    kinds = {"source": PROJECT.sources, "model": PROJECT.models}
    named = {f"{kind}.{name}" for kind, names in kinds.items() for name in names}
    assert found.keys() == named | {f"features.{spec.table}" for spec in PROJECT.feature_sets.values()}
    assert all(key in found for node in found.values() for key in node.reads)
    assert "source.flights" in found["features.departure_v1"].reads
    assert {"features.departure_v1", "source.arrivals"} <= set(found[f"model.{MODEL}"].reads)
    unseen = answers.graph(PROJECT, lambda dag: not dag.startswith("features_"))
    assert all(key.startswith("source.") for node in unseen for key in node.reads)


def test_a_night_is_told_in_the_order_of_the_stages(reads: Readings) -> None:
    page = answers.night_page(reads, PROJECT, TONIGHT, may_see=everything)
    kinds = [step.kind for step in page.steps]
    assert kinds == sorted(kinds, key=["source", "features", "model"].index)
    steps = {(step.kind, step.name): step for step in page.steps}
    assert (steps["source", "departures"].status, steps["source", "departures"].set_aside) == ("failed", 700)
    assert steps["model", "hourly_departures"].status == "missing"
    before = Tonight(LAST - timedelta(days=60), due=True)  # no champion yet
    unused = answers.night_page(reads, PROJECT, before, may_see=everything).steps
    assert {(step.status, step.tone, step.step) for step in unused} == {("not in service", "quiet", None)}
    assert steps["model", MODEL].request.startswith("suppressed by cooldown")


def test_a_form_is_a_link_for_who_may_start_it_and_words_for_who_may_not(reads: Readings) -> None:
    def forms(steps: Iterable[Step | None]) -> list[Step]:
        return [step for step in steps if step and (step.fill or not step.to)]

    fleet = answers.fleet(reads, PROJECT, Tonight(LAST + timedelta(days=1), due=True), may_see=everything)
    night = answers.night_page(reads, PROJECT, TONIGHT, may_see=everything)
    with_forms = {m.model: m.state.step for m in fleet.models if m.state.step and m.state.step.fill}
    assert with_forms
    for may_start in (everything, nothing):
        rights = {"may_see": everything, "may_start": may_start}
        next_night = Tonight(LAST + timedelta(days=1), due=True)
        pages = [answers.model_page(reads, PROJECT, next_night, name=name, **rights) for name in with_forms]
        shown = [
            forms(m.state.step for m in answers.fleet_for(fleet, may_start).models),
            forms(each.step for each in answers.night_for(night, may_start).steps),
            forms(page.model.state.step for page in pages if page),
        ]
        for steps in shown:
            assert steps
            assert all(step.words for step in steps)
            assert {bool(step.to and step.fill) for step in steps} == {may_start is everything}
            assert {bool(step.to or step.fill) for step in steps} == {may_start is everything}


def test_data_tells_what_is_stale_and_what_waits_in_quarantine(warehouse: Warehouse, reads: Readings) -> None:
    warehouse.execute(
        "INSERT INTO quarantine.rows (source, batch_date, row_number, rule, column_name, value, row, violations) "
        "SELECT 'weather', %s, n, 'between', 'wind_speed', CASE n WHEN 1 THEN '999.5' ELSE 'Jo_Smith <b>' END, '{}', "
        "'[]' FROM generate_series(1, 7) n", (LAST,)
    )  # fmt: skip
    page = answers.data_page(reads, PROJECT, TONIGHT, **ALL)
    sets = {(d.kind, d.row.name): d for d in page.datasets}
    weather, departures = sets["source", "weather"], sets["source", "departures"]
    assert [(o.rule, o.column, o.rows, o.newest, o.samples) for o in weather.row.open] == [
        ("between", "wind_speed", 7, LAST, ("999.5", "Aa_Aaaaa <a>"))
    ]
    assert (departures.behind, departures.row.volume[-1], departures.row.volume[-2]) == (1, None, 990)
    assert departures.row.rejected[-1] == 0.7
    assert "no_wind" in weather.fixes
    assert "Smith" not in str(page)


def test_readings_read_are_timed_and_heal(warehouse: Warehouse, reads: Readings) -> None:
    with pytest.raises(WarehouseRefused, match="read-only"), reads.session() as session:
        session.run(Command("DELETE FROM catalog.batches"))
    with pytest.raises(Unreachable, match="statement timeout"), reads.session() as session:
        session.run(Command("SELECT pg_sleep(9)"))
    with reads.session(), reads.session(), pytest.raises(Unreachable, match="busy"), reads.session():
        pass
    warehouse.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    assert reads.one(NEWEST_NIGHT) == NewestNight(night=LAST)


def test_an_alert_is_for_who_may_see_what_it_is_about(reads: Readings) -> None:
    def subjects(*dags: str) -> set[str]:
        found = alarms.alerts_page(
            reads, PROJECT, TONIGHT, may_see=lambda dag: dag in dags, may_start=nothing
        )
        assert all(each.silence is None for each in found.alerts)
        return {each.subject for each in found.alerts}

    assert subjects("score_hourly_departures") == {"model:hourly_departures"}
    assert subjects("collect_departures", "features_departure") == {
        "source:departures",
        "features:departure_v1",
    }
    assert subjects("alerts") == {"disk:objects", "model:gone"}
    assert subjects() == set()


def test_who_was_told_is_who_took_a_message(warehouse: Warehouse, reads: Readings) -> None:
    mine = f"harm/model:{MODEL}"

    def heard() -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = alarms.alerts_page(reads, PROJECT, TONIGHT, **ALL).alerts
        (alarm,) = [each for each in found if each.fingerprint == mine]
        return alarm.took, alarm.waits

    assert heard() == ((), ()), "no route leads to anybody"
    then = alert("harm", mine.partition("/")[2]).opened_at
    for receiver, made, delivered in (
        ("mail", 0, 0),
        ("duty", 0, None),
        ("mail", 24, None),
        ("old", -24, -24),
    ):
        warehouse.execute(
            "INSERT INTO alerts.outbox (fingerprint, receiver, what, body, made_at, not_before, tries, delivered_at) "
            "VALUES (%s, %s, 'opened', '{}', %s, %s, 0, %s)",
            (
                mine,
                receiver,
                then + timedelta(hours=made),
                then,
                None if delivered is None else then + timedelta(hours=delivered),
            ),
        )
    assert heard() == (("mail",), ("duty",))


def test_alerts_that_nobody_looks_for_are_told_as_such(warehouse: Warehouse, reads: Readings) -> None:
    def looked() -> tuple[datetime | None, bool]:
        found = alarms.alerts_page(reads, PROJECT, TONIGHT, may_see=nothing, may_start=nothing)
        assert found.alerts == ()
        return found.looked_at, found.late

    assert looked() == (None, True), "nothing that is wrong is not all well"
    now = datetime.now(UTC)
    for ago, late in ((timedelta(hours=9), True), (timedelta(minutes=5), False)):
        warehouse.run(BEAT, now=now - ago, by="run")
        assert looked() == (now - ago, late)


def test_an_alert_leads_to_its_dag_and_to_the_form_that_silences_it(reads: Readings) -> None:
    found = alarms.alerts_page(reads, PROJECT, TONIGHT, **ALL).alerts
    assert len(found) == len(ALERTS)
    mine = next(each for each in found if each.subject == f"model:{MODEL}")
    assert mine.to == f"dags/monitor_{MODEL}"
    assert mine.silence == answers.Link(
        "silence", "dags/silence_alert", f"kind: harm, subject: model:{MODEL}"
    )
    follows = next(each for each in found if each.subject == "model:hourly_departures")
    assert follows.muted_by == "source_refused/source:departures"
    told = alarms.alerts_page(
        reads, PROJECT, TONIGHT, may_see=lambda dag: dag == "score_hourly_departures", may_start=nothing
    )
    assert told.alerts[0].muted_by == "another"
    hidden = alarms.alerts_page(
        reads, PROJECT, TONIGHT, may_see=lambda dag: dag == f"score_{MODEL}", may_start=nothing
    ).alerts
    assert [(each.to, each.silence) for each in hidden] == [(None, None)]
    page = answers.model_page(reads, PROJECT, TONIGHT, name=MODEL, **ALL)
    assert page
    assert page.silences == {mine.fingerprint: mine.silence}


# --- Who may see what ---------------------------------------------------------------------------------------------

# What an auth manager shows to a role: all DAGs, those of one model, none.
ROLES: dict[str, Callable[[set[str]], set[str]]] = {
    "viewer": lambda dags: dags,
    "user": lambda dags: dags,
    "op": lambda dags: dags,
    "admin": lambda dags: dags,
    "of one model": lambda dags: {dag for dag in dags if dag.endswith(f"_{MODEL}")},
    "of nothing": lambda dags: set(),
}


@dataclass
class Manager:
    """Shows the DAGs of a role, as Airflow's managers do."""

    role: str = "admin"
    dags: set[str] = field(default_factory=set)

    def get_authorized_dag_ids(self, *, user: object, method: str) -> set[str]:
        assert method == "GET"
        return ROLES[self.role](self.dags)

    def is_authorized_dag(self, *, user: object, method: str, access_entity: Any, details: Any) -> bool:
        assert (method, access_entity.value) == ("POST", "RUN")
        return self.role != "viewer" and details.id in ROLES[self.role](self.dags)


@pytest.fixture(scope="module")
def ask(warehouse: Warehouse) -> Iterator[Callable[[str, str], httpx.Response]]:
    """Return what the API answers to a role; "": to nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the API server imports warns of its own imports
        from airflow.api_fastapi.core_api.security import get_user

        from nightshift.orchestration import cockpit_api
    app, manager = cockpit_api.app(), Manager(dags=cockpit_api._dags(PROJECT) | {"not_ours"})
    user = SimpleNamespace(get_name=lambda: "vic", get_id=lambda: manager.role)

    async def get(role: str, path: str) -> httpx.Response:
        manager.role = role
        app.dependency_overrides = {get_user: lambda: user} if role else {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow.api_fastapi.app.get_auth_manager", lambda: manager)
        patch.setattr(cockpit_api, "warehouse", lambda: Readings(warehouse.url))
        yield lambda role, path: asyncio.run(get(role, path))


# What each route shows: the names in its answer, of all and of one model's reader.
ROUTES: dict[str, Callable[[Any], set[str]]] = {
    "/fleet": lambda told: {m["model"] for m in told["models"]},
    f"/models/{MODEL}": lambda told: {told["model"]["row"]["model"], *(n["name"] for n in told["lineage"])},
    f"/nights/{LAST}": lambda told: {step["name"] for step in told["steps"]},
    "/data": lambda told: {d["row"]["name"] for d in told["datasets"]},
    "/alerts": lambda told: {a["subject"] for a in told["alerts"]},
    "/openapi.json": lambda told: set(),
}
OF_ONE = {"/data": set(), "/alerts": {f"model:{MODEL}"}, "/openapi.json": set()}


@pytest.mark.parametrize("route", ROUTES)
def test_each_role_sees_its_own(ask: Callable[[str, str], httpx.Response], route: str) -> None:
    assert ask("", route).status_code == 401
    shown = {}
    for role in ROLES:
        answer = ask(role, route)
        if role == "of nothing" and route.startswith("/models"):
            absent = ask(role, "/models/absent")
            assert (
                (answer.status_code, answer.content)
                == (absent.status_code, absent.content)
                == (404, absent.content)
            )
            continue
        assert answer.status_code == 200, (role, answer.text)
        shown[role] = ROUTES[route](answer.json())
    assert shown["viewer"] == shown["user"] == shown["op"] == shown["admin"]
    assert shown["of one model"] == OF_ONE.get(route, {MODEL})
    assert shown.get("of nothing", set()) == set()
    if route not in OF_ONE:
        assert shown["admin"] > {MODEL}


def offers(told: dict[str, Any]) -> set[str]:
    """Return where the forms of an answer are."""
    links = [*told.get("actions", ()), *told.get("silences", {}).values()]
    links += [each["silence"] for each in told.get("alerts", ()) if each["silence"]]
    links += [link for each in told.get("datasets", ()) for link in each["links"][1:]]
    return {link["to"] for link in links}


@pytest.mark.parametrize("route", [f"/models/{MODEL}", "/data", "/alerts"])
def test_a_form_is_offered_to_who_may_start_it(ask: Callable[[str, str], httpx.Response], route: str) -> None:
    offered = {role: offers(ask(role, route).json()) for role in ("viewer", "op", "admin")}
    assert offered["viewer"] == set()
    assert offered["op"] == offered["admin"] > set()
    assert offers(ask("of one model", route).json()) <= {
        f"dags/{stage}_{MODEL}" for stage in ("train", "score", "rollback", "replay_policies")
    }


def test_every_route_is_in_the_matrix(ask: Callable[[str, str], httpx.Response]) -> None:
    """A new route is declared above, or shows nothing but the script."""
    from nightshift.cockpit.bundle import bundle_name
    from nightshift.orchestration import cockpit_api

    described = cockpit_api.app().openapi()["paths"]
    assert {method for each in described.values() for method in each} == {"get"}
    declared = {*ROUTES, "/{name}.js"}
    routes = {route.path for route in _routes(cockpit_api.app())}
    known = {re.sub(r"\{\w+\}(?!\.)", "[^/]+", path) for path in routes}
    assert all(any(re.fullmatch(path, each) or path in declared for path in known) for each in ROUTES)
    assert {p for p in known if p not in declared and not any(re.fullmatch(p, e) for e in ROUTES)} <= {
        "/{name}.js"
    }
    assert ask("", f"/{bundle_name()}").status_code == 401
    assert ask("viewer", f"/{bundle_name()}").headers["content-type"].startswith("text/javascript")
    assert ask("viewer", "/cockpit-0.js").status_code == 404


def _routes(app: Any) -> Iterator[Any]:
    for route in app.routes:
        yield from _routes(route) if not hasattr(route, "path") and hasattr(route, "routes") else [route]


@pytest.mark.parametrize(
    "path", [f"/models/{MODEL}%00", "/models/..", "/nights/2013-13-01", "/nights/1999-01-01"]
)
def test_nonsense_is_not_found(ask: Callable[[str, str], httpx.Response], path: str) -> None:
    assert ask("admin", path).status_code in (404, 422)


def test_who_asked_for_what_is_an_event(
    ask: Callable[[str, str], httpx.Response], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__NIGHTSHIFT__EVENTS", str(tmp_path / "events.jsonl"))
    for role, path in (("admin", "/fleet?night=2013-03-01"), ("", "/fleet"), ("viewer", "/models/absent")):
        ask(role, path)
    ask("viewer", "/nights/2013-13-01")
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(each["event"], each["user"], each["path"], each["status"]) for each in told] == [
        ("request", "vic", "/fleet", 200),
        ("request", "vic", "/models/absent", 404),
        ("request", "vic", "/nights/2013-13-01", 422),
    ]


def test_names_come_as_data(ask: Callable[[str, str], httpx.Response]) -> None:
    answer = ask("admin", "/fleet")
    assert answer.headers["content-type"] == "application/json"
    assert HOSTILE in json.dumps(answer.json())
