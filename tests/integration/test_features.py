"""Features on real flights: no leaks, versions side by side, and several models on what is built once."""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.cli.app import app
from nightshift.engine import dealing
from nightshift.errors import BatchRejected, SpecError
from nightshift.featurise import visible
from nightshift.root import INCLUDE
from nightshift.specs import Model, load_project
from nightshift.stages import Platform, Try
from nightshift.types import content_sha256
from nightshift.warehouse import Table, feature_table, prediction_table

pytestmark = pytest.mark.integration

MODEL, ANOTHER, OF_HOURS = "late_arrival", "arrival_delay", "hourly_departures"
FIRST, LAST = date(2013, 1, 2), date(2013, 2, 8)
NIGHT = date(2013, 2, 6)
ONE = DateRange(NIGHT, NIGHT)
DAY = timedelta(days=1)


def quick(model: Model) -> Model:
    """Return the model with windows and an estimator that train in a second, and an easy first gate."""
    changed = model.model_dump(by_alias=True)
    changed["train"] = {"window_days": 14, "holdout_days": 7, "min_rows": 200}
    if "max_iter" in changed["estimator"]["params"]:
        changed["estimator"]["params"] |= {"max_iter": 25, "learning_rate": 0.2}
    changed["gates"][0]["value"] = -10.0
    return Model.model_validate(changed)


def with_models(platform: Platform, names: Iterable[str]) -> Platform:
    models = {name: quick(load_project().model(name)) for name in names}
    project = platform.project.model_copy(update={"models": {**platform.project.models, **models}})
    return replace(platform, project=project)


def with_features(platform: Platform, folder: Path, files: dict[str, Callable[[str], str]]) -> Platform:
    """Return the platform with other files of the set ``departure``, each made from the text of the first version."""
    include = folder / "include"
    for part in ("sources", "features", "models"):
        shutil.copytree(INCLUDE / part, include / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(INCLUDE / "project.yaml", include)
    text = (include / "features/departure.py").read_text()
    for name, change in files.items():
        changed = change(text)
        assert changed != text, "departure.py has changed: this test needs other words"
        (include / f"features/{name}.py").write_text(changed)
    project = load_project(include).require_sound()
    return replace(platform, project=project.model_copy(update={"models": platform.project.models}))


def later_than_half_an_hour(text: str) -> str:
    return text.replace("LATE_MINUTES = 15", "LATE_MINUTES = 30", 1)


def second(text: str) -> str:
    return later_than_half_an_hour(text.replace('"version": 1', '"version": 2', 1))


def table_hash(platform: Platform, table: Table, nights: DateRange = ONE) -> str:
    frame = platform.warehouse.read(table, nights.first, nights.last)
    assert len(frame)
    return content_sha256(frame.drop(columns="run_id", errors="ignore"))


def promoted(platform: Platform, name: str, as_of: date) -> dict[str, Any]:
    asked = Try(f"train {name}")
    frozen = stages.snapshot(platform, name, as_of, asked)
    stages.fit(platform, name, frozen["snapshot_id"], asked, reason="a test")
    print(name, stages.evaluate(platform, name, as_of, asked, reason="a test"))
    model = platform.project.model(name)
    if model.approval == "required":
        answer = stages.Answer(
            approved=True, by=model.approvers[0], comment=None, at=datetime(2013, 2, 8, tzinfo=UTC)
        )
        stages.sign(platform, name, asked, answer)
    return stages.promote(platform, name, as_of, asked, actor="tester")


# Versions


def test_a_definition_changed_in_place_is_refused_until_it_is_meant(loop: Platform, tmp_path: Path) -> None:
    table = feature_table(loop.project.feature_set("departure"))
    before = table_hash(loop, table)
    changed = with_features(loop, tmp_path, {"departure": later_than_half_an_hour})
    with pytest.raises(SpecError) as refused:
        stages.build_features(changed, "departure", ONE, Try("night"))
    assert "departure v1 was built by another definition (37 nights, 2013-01-02 .. 2013-02-08)" in str(
        refused.value
    )
    assert "copy it to departure_v2.py" in str(refused.value)
    assert table_hash(loop, table) == before
    stages.build_features(changed, "departure", ONE, Try("meant"), redefine=True)
    assert table_hash(loop, table) != before
    # A night of either definition would now stand beside nights of the other one.
    for platform, others in ((changed, "(36 nights"), (loop, "(1 nights")):
        with pytest.raises(SpecError, match=re.escape(others)):
            stages.build_features(platform, "departure", DateRange(LAST, LAST), Try("next night"))
    stages.build_features(loop, "departure", ONE, Try("back"))
    assert table_hash(loop, table) == before


def test_a_column_that_is_taken_out_or_added_in_place_is_sketched_as_it_is_now(
    loop: Platform, tmp_path: Path
) -> None:
    def sketched() -> list[str]:
        edges = (
            "SELECT edges FROM catalog.feature_edges WHERE feature_set = 'departure' AND feature_version = 1"
        )
        return [column["name"] for column in loop.warehouse.rows(edges)[0]["edges"]["columns"]]

    (tmp_path / "less").mkdir()
    less = with_features(
        loop,
        tmp_path / "less",
        {
            "departure": lambda text: text.replace('        "delay_origin_1d": "float",\n', "").replace(
                '    "delay_origin_1d": (["origin"], "delay", 1),\n', ""
            )
        },
    )
    assert "delay_origin_1d" in sketched()
    stages.build_features(less, "departure", ONE, Try("less"), redefine=True)
    assert sketched() == list(less.project.feature_set("departure").columns)
    stages.build_features(loop, "departure", ONE, Try("as before"), redefine=True)
    assert sketched() == list(loop.project.feature_set("departure").columns)


def test_words_and_layout_do_not_make_another_definition(loop: Platform, tmp_path: Path) -> None:
    told = with_features(
        loop, tmp_path, {"departure": lambda text: text.replace("What the planner", "What one")}
    )
    stages.build_features(told, "departure", ONE, Try("night"))


def test_a_model_pinned_to_a_version_scores_the_same_beside_the_next_one(
    loop: Platform, tmp_path: Path
) -> None:
    first = loop.project.feature_set("departure")
    predictions = prediction_table(loop.project.model(MODEL), first)

    def scored(platform: Platform) -> tuple[str, str]:
        stages.score(platform, MODEL, ONE, Try("night"))
        return table_hash(platform, predictions), table_hash(platform, feature_table(first))

    before = scored(loop)
    both = with_features(loop, tmp_path, {"departure_v2": second})
    nights = DateRange(date(2013, 1, 14), LAST)
    stages.build_features(both, "departure_v2", nights, Try("second"))
    after = scored(both)
    print(f"v1 pinned: predictions {before[0][:16]} before v2, {after[0][:16]} beside it")
    assert after == before
    newer = feature_table(both.project.feature_set("departure_v2"))
    assert newer.qualified == "features.departure_v2"
    assert table_hash(both, newer) != before[1]
    rows = loop.warehouse.rows(
        "SELECT feature_set, feature_version, count(*) AS nights FROM catalog.feature_batches GROUP BY 1, 2 ORDER BY 2"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("departure", 1, (LAST - FIRST).days + 1),
        ("departure", 2, len(nights.dates)),
    ]
    content = both.project.model(MODEL).model_dump(by_alias=True) | {"features": "departure_v2"}
    moved = both.project.model_copy(update={"models": {MODEL: Model.model_validate(content)}})
    frozen = stages.snapshot(replace(both, project=moved), MODEL, LAST, Try("moved"))
    facts = loop.warehouse.row(
        "SELECT feature_set, feature_version FROM governance.snapshots WHERE snapshot_id = %s",
        (frozen["snapshot_id"],),
    )
    assert facts == {"feature_set": "departure", "feature_version": 2}


# Several models


def test_two_models_follow_one_partition(loop: Platform) -> None:
    both = with_models(loop, [ANOTHER])
    table = feature_table(loop.project.feature_set("departure"))
    before = table_hash(loop, table)
    assert promoted(both, ANOTHER, NIGHT - 4 * DAY)["outcome"] == "promoted"
    nights = DateRange(NIGHT - 4 * DAY, NIGHT)
    for name in (MODEL, ANOTHER):
        stages.score(both, name, nights, Try(f"score {name}"))
        measured = stages.measure_performance(both, name, NIGHT, Try("night"))
        assert measured["nights_measured"] >= 3
        assert stages.decide_verdict(both, name, NIGHT, Try("night"))["status"] != "too_few_rows"
    kept = loop.warehouse.rows(
        "SELECT model, row_count FROM catalog.prediction_batches WHERE batch_date = %s ORDER BY model",
        (NIGHT,),
    )
    assert [row["model"] for row in kept] == [ANOTHER, MODEL]
    assert kept[0]["row_count"] == kept[1]["row_count"] > 500
    values = {
        name: loop.warehouse.row(query)
        for name, query in {
            ANOTHER: "SELECT min(prediction) AS low, max(prediction) AS high FROM predictions.arrival_delay",
            MODEL: "SELECT min(prediction) AS low, max(prediction) AS high FROM predictions.late_arrival",
        }.items()
    }
    assert values[ANOTHER]["low"] < 0, "minutes, and some flights are early"
    assert 0 <= values[MODEL]["low"] < values[MODEL]["high"] <= 1
    assert table_hash(loop, table) == before


@pytest.fixture
def hours(loop: Platform) -> Platform:
    """Return the month with the departures an hour collected and ``airport_hour`` built."""
    ready = with_models(loop, [OF_HOURS])
    nights, asked = DateRange(FIRST, LAST), Try("history")
    stages.collect(ready, "departures", nights, asked)
    stages.validate(ready, "departures", nights, asked)
    stages.build_features(ready, "airport_hour", nights, asked)
    return ready


def test_a_model_of_other_sources_and_another_set_runs_beside_them(hours: Platform) -> None:
    done = promoted(hours, OF_HOURS, NIGHT - 4 * DAY)
    assert done["outcome"] == "promoted"
    scored = stages.score(hours, OF_HOURS, DateRange(NIGHT - 4 * DAY, NIGHT), Try("night"))
    assert scored["rows"] > 5 * 40
    assert stages.measure_performance(hours, OF_HOURS, NIGHT, Try("night"))["nights_measured"] >= 2
    stages.decide_verdict(hours, OF_HOURS, NIGHT, Try("night"))
    for finding in stages.check_features(hours, "airport_hour", NIGHT):
        assert finding.changed == 0, finding


def test_an_hour_is_known_with_the_last_report_of_its_flights(hours: Platform) -> None:
    early = hours.warehouse.rows(
        "SELECT slot_id FROM raw.departures WHERE known_at >= batch_date::timestamp AT TIME ZONE 'America/New_York'"
    )
    assert early == []
    facts = hours.warehouse.row(
        "SELECT count(*) = count(DISTINCT slot_id) AS once, sum(scheduled) AS scheduled, sum(departed) AS departed "
        "FROM raw.departures WHERE flight_date = '2013-02-01'"
    )
    reports = hours.warehouse.row(
        "SELECT count(*) AS scheduled, count(dep_delay) AS departed FROM raw.arrivals WHERE flight_date = '2013-02-01'"
    )
    assert facts == {"once": True, **reports}


# Shards

KEPT = (
    "SELECT content_sha256, row_count FROM catalog.feature_batches WHERE feature_set = 'departure' ORDER BY batch_date",
    "SELECT batch_date, sketch_sha256 FROM catalog.feature_sketches WHERE feature_set = 'departure' ORDER BY 1",
    "SELECT * FROM catalog.feature_inputs WHERE feature_set = 'departure' ORDER BY 3, 4, 5",
)


def test_nights_in_shards_are_the_same_partitions_with_the_same_records(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = DateRange(NIGHT - 2 * DAY, NIGHT)
    table = feature_table(loop.project.feature_set("departure"))

    def made() -> list[Any]:
        kept = [[tuple(row.values()) for row in loop.warehouse.rows(query)] for query in KEPT]
        return [table_hash(loop, table, nights), *kept]

    stages.build_features(loop, "departure", nights, Try("whole"))
    whole = made()
    monkeypatch.setattr(dealing, "SHARD_ROWS", 400)
    stages.build_features(loop, "departure", nights, Try("in shards"))
    assert made() == whole
    stages.build_features(loop, "departure", ONE, Try("one night"))
    assert made() == whole


def test_the_shards_of_departure_come_to_what_all_its_rows_come_to(
    loop: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = stages.check_shards(loop, "departure", NIGHT)
    assert [finding.changed for finding in found] == [0, 0, 0]
    assert "dealt into 64 shards, 3 with rows" in [finding.attack for finding in found]
    assert found[0].touched == found[0].rows > 700
    said = check(loop, monkeypatch, "departure", "--night", str(NIGHT), "--shards")
    assert said.exit_code == 0, said.output
    assert "Every row is the same, bit for bit, however the night is dealt." in said.output
    assert "later rows added" not in said.output
    none = check(loop, monkeypatch, "airport_hour", "--shards", "--night", str(NIGHT))
    assert (none.exit_code, "airport_hour.py: key 'shards' is missing" in none.stderr) == (1, True)

    eager = with_features(
        loop,
        tmp_path,
        {"departure": lambda text: text.replace('"whole": ["arrivals", "weather"]', '"whole": []')},
    )
    wrong = stages.check_shards(eager, "departure", NIGHT)
    assert all(finding.changed for finding in wrong if "3 with rows" in finding.attack)
    assert "late_carrier_7d" in wrong[-1].columns
    monkeypatch.setattr(dealing, "SHARD_ROWS", 400)
    before = table_hash(loop, feature_table(loop.project.feature_set("departure")))
    with pytest.raises(BatchRejected, match=r"of two shards come out otherwise .* in .*late_carrier_7d"):
        stages.build_features(eager, "departure", ONE, Try("eager"))
    assert table_hash(loop, feature_table(loop.project.feature_set("departure"))) == before


# Leaks


def findings(platform: Platform, name: str = "departure", **how: Any) -> dict[str, Any]:
    return {f.attack: f for f in stages.check_features(platform, name, NIGHT, **how)}


def test_our_features_do_not_leak_and_training_sees_what_scoring_sees(loop: Platform) -> None:
    stages.snapshot(loop, MODEL, LAST, Try("frozen"))
    found = findings(loop)
    assert {name: f.changed for name, f in found.items()} == dict.fromkeys(found, 0)
    touched = [f.touched for f in found.values() if f.attack.startswith("later")]
    assert len(touched) == 4
    assert min(touched) > 1000, "an attack that touches nothing proves nothing"
    (snapshot,) = (f for name, f in found.items() if name.startswith("snapshot"))
    assert 500 < snapshot.rows < found["stored partition"].rows
    print({f.attack: (f.touched, f.rows) for f in found.values()})


def test_an_engine_without_the_cutoff_is_caught_on_real_flights(loop: Platform) -> None:
    def see(frames: Any, spec: Any, calendar: Any, night: date) -> dict[str, pd.DataFrame]:
        cutoff = pd.Timestamp(calendar.cutoff(night))
        return visible({n: f.assign(known_at=cutoff) for n, f in frames.items()}, spec, calendar, night)

    found = findings(loop, see=see)
    assert found["later rows added"].changed > 500
    assert found["stored partition"].changed == 0, "without later rows there is nothing to see too early"


CACHED = """
_FIRST = {}


def _lateness(flights, arrivals, batch_date):
    return _lateness_of(flights, _FIRST.setdefault("arrivals", arrivals), batch_date)
"""


def test_a_module_that_keeps_an_earlier_nights_arrivals_is_caught_on_real_flights(
    loop: Platform, tmp_path: Path
) -> None:
    keeps = with_features(
        loop,
        tmp_path,
        {"departure": lambda text: text.replace("def _lateness(", "def _lateness_of(") + CACHED},
    )
    found = findings(keeps)
    changed = {name for name, finding in found.items() if finding.changed}
    assert changed == {"built in a range", "built after later nights"}
    assert "late_origin_7d" in found["built in a range"].columns
    assert "distance" not in found["built in a range"].columns


def check(loop: Platform, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", loop.warehouse.url)
    monkeypatch.setenv("NIGHTSHIFT_OBJECTS", loop.objects.root)
    return CliRunner().invoke(app, ["check", "features", *words])


def test_the_command_names_set_night_columns_and_rows(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = check(loop, monkeypatch, "departure", "--night", str(NIGHT))
    assert calm.exit_code == 0, calm.output
    assert "later rows added" in calm.output
    loop.warehouse.execute(
        "UPDATE features.departure_v1 SET distance = distance + 1 WHERE batch_date = %s AND origin = 'EWR'",
        (NIGHT,),
    )
    found = check(loop, monkeypatch, "departure", "--night", str(NIGHT))
    assert found.exit_code == 1
    assert f"feature set 'departure', {NIGHT}, stored partition: " in found.stderr
    assert "rows changed, in distance" in found.stderr
    unbuilt = check(loop, monkeypatch, "airport_hour")
    assert (unbuilt.exit_code, "run features_airport_hour" in unbuilt.stderr) == (1, True)
    dateless = check(loop, monkeypatch, "departure", "--night", "yesterday")
    assert (dateless.exit_code, "--night: expected a date YYYY-MM-DD" in dateless.stderr) == (1, True)
