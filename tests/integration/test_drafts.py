"""`nightshift new` on the example's real upstreams: what it writes accepts what it looked at, builds, and trains."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.collect import Connection
from nightshift.drafts import look, model
from nightshift.drafts import new as drafts
from nightshift.root import INCLUDE
from nightshift.specs import load_project
from nightshift.stages import Platform, Try
from nightshift.warehouse import Table, Warehouse, feature_table, raw_table

pytestmark = pytest.mark.integration

GATES = ["minimum_score", "beats_champion", "smoke", "stable_features", "credible", "refit"]
NIGHTS = DateRange(date(2013, 1, 8), date(2013, 2, 6))
FLIGHTS = (
    "SELECT flight_id, flight_date, sched_dep_at, carrier, tailnum, origin, dest, distance, published_at "
    "FROM ops.schedule WHERE flight_date = :batch_date"
)
ARRIVALS = (
    "SELECT flight_id, flight_date, origin, dep_delay, arr_delay, reported_at FROM ops.arrivals "
    "WHERE reported_at >= :window_start AND reported_at < :window_end"
)
UPSTREAMS: dict[str, dict[str, Any]] = {
    "plan": {"kind": "sql", "connection": "ops", "query": FLIGHTS},
    "reports": {"kind": "sql", "connection": "ops", "query": ARRIVALS},
    "observations": {
        "kind": "files",
        "connection": "weather_files",
        "path": "{date}.csv",
        "format": "csv",
        "offset_days": -1,
    },
    "register": {
        "kind": "http",
        "connection": "aircraft_api",
        "endpoint": "/aircraft",
        "records_key": "items",
        "parameters": {"as_of": "{batch_date}"},
        "paging": {"kind": "page", "parameter": "page", "size_parameter": "size", "size": 1000},
    },
}


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """Return this repository's project, to add to."""
    shutil.copytree(INCLUDE, tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__", "nightshift"))
    return tmp_path / "include"


@pytest.fixture
def new_source(
    include: Path, connections: dict[str, Connection], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Return a function that drafts one of UPSTREAMS."""
    monkeypatch.setattr(look, "find_connection", connections.__getitem__)
    return lambda name: drafts.new_source(name, UPSTREAMS[name], None, include=include)[1]


@pytest.mark.parametrize(
    ("name", "key", "known_at", "targets"),
    [
        ("plan", ("flight_id",), "published_at", {"distance"}),
        ("reports", ("flight_id",), "reported_at", {"dep_delay", "arr_delay"}),
        ("observations", ("origin", "observed_at"), "published_at", {"temp", "wind_speed", "humid"}),
        ("register", ("tailnum",), None, {"seats"}),
    ],
)
def test_a_drafted_source_accepts_what_it_looked_at(
    new_source: Callable[[str], Any],
    include: Path,
    name: str,
    key: tuple[str, ...],
    known_at: str | None,
    targets: set[str],
) -> None:
    # Drafting validates the batches that were looked at, and raises where one does not pass.
    seen = new_source(name)
    spec = load_project(include).require_sound().source(name)
    assert tuple(spec.key) == key
    assert spec.known_at == known_at
    assert targets <= set(seen.targets)


@pytest.mark.slow
def test_drafts_collect_build_and_train_through_the_stages(
    new_source: Callable[[str], Any], include: Path, platform: Platform
) -> None:
    for name in ("plan", "reports"):
        new_source(name)
    drafts.new_features("planned", ["plan", "reports"], [], include=include)
    platform, asked = replace(platform, project=load_project(include).require_sound()), Try("drafts")
    for name in ("plan", "reports"):
        stages.collect(platform, name, NIGHTS, asked)
        stages.validate(platform, name, NIGHTS, asked)
    stages.build_features(platform, "planned", NIGHTS, asked)
    features = platform.project.feature_set("planned")
    built = platform.warehouse.read(feature_table(features), NIGHTS.first, NIGHTS.last)
    assert set(built["batch_date"].dt.date) == set(NIGHTS.dates)
    assert built["dep_delay_mean_by_origin_28d"].notna().mean() > 0.9

    spec = platform.project.source("reports")
    rows = platform.warehouse.read(raw_table(spec), NIGHTS.first, NIGHTS.last)
    seen = look.seen_in(spec, "arr_delay", rows)
    assert seen is not None
    ask = model.Ask("planned", "arr_delay", "classification")
    text = model.draft(ask, spec, seen, owner="me")
    # A month is collected: shorter windows, and any score will do for the first model.
    text = text.replace("window_days: all", "window_days: 10").replace(
        "metric: log_loss, value", "metric: brier, value"
    )
    (include / "models/late.yaml").write_text(text)
    platform = replace(platform, project=load_project(include).require_sound())
    drafted = platform.project.model("late")
    assert drafted.target.matures_after_days in (1, 2)
    frozen = stages.snapshot(platform, "late", NIGHTS.last, asked)
    stages.fit(platform, "late", frozen["snapshot_id"], asked, reason="test")
    decided = stages.evaluate(platform, "late", NIGHTS.last, asked, reason="test")
    assert [words.split(":")[0] for words in decided["gates"]] == GATES


HELD = Table("raw", "held", {"batch_date": "date", "id": "string", "day": "date"}, ("batch_date", "id"))
CAME = replace(HELD, name="came")


def keep(warehouse: Warehouse, table: Table, nights: dict[date, int], of: int = 0) -> None:
    """Put so many rows into each night, of entities that are named after the night ``of`` days before."""
    warehouse.ensure(table)
    rows = [
        (night, f"{night.toordinal() - of}-{n}", night) for night, many in nights.items() for n in range(many)
    ]
    frame = pd.DataFrame(rows, columns=["batch_date", "id", "day"])
    frame = frame.astype({"batch_date": "datetime64[s]", "id": "str", "day": "datetime64[s]"})
    with warehouse.write(warehouse.lease(table, list(nights), "test")) as write:
        write.replace(table, frame)


@pytest.mark.parametrize(
    ("a_night", "rows", "nights"),
    [
        (9, 270, 30),  # a year within the budget is read whole
        (20, 300, 15),  # whole nights, until there are enough
        (250, 750, 3),
        (400, 900, 3),  # of a night beyond it, the first rows
    ],
)
def test_a_draft_reads_no_more_of_the_warehouse_than_of_an_upstream(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, a_night: int, rows: int, nights: int
) -> None:
    monkeypatch.setattr(look, "ENOUGH_ROWS", 300)
    keep(warehouse, HELD, dict.fromkeys(NIGHTS.dates, a_night))
    found = look.held(warehouse, HELD, NIGHTS.first, NIGHTS.last)
    assert (len(found), found["batch_date"].nunique()) == (rows, nights)
    assert found["batch_date"].is_monotonic_increasing
    assert {NIGHTS.first, NIGHTS.last} <= {*found["batch_date"].dt.date}
    assert found.dtypes.to_dict() == warehouse.read(HELD, NIGHTS.first, NIGHTS.first).dtypes.to_dict()
    assert look.held(warehouse, HELD, date(2012, 1, 1), date(2012, 2, 1)).empty


def test_outcomes_are_awaited_by_what_the_whole_year_says(warehouse: Warehouse) -> None:
    early, late = DateRange(NIGHTS.first, NIGHTS.dates[9]), DateRange(NIGHTS.dates[9], NIGHTS.last)
    keep(warehouse, HELD, dict.fromkeys(early.dates, 20))
    keep(warehouse, CAME, dict.fromkeys(late.dates, 20), of=9)
    with warehouse.reading() as reading:
        assert reading.waited(HELD, CAME, ["id"], NIGHTS.first, NIGHTS.last) == 9
        assert reading.waited(HELD, CAME, ["id", "day"], NIGHTS.first, NIGHTS.last) is None


def test_a_feature_that_becomes_known_only_with_the_label_is_named(include: Path, platform: Platform) -> None:
    # The example's own models would need its upstreams.
    for path in [*(include / "models").glob("*.yaml"), *(include / "features").glob("*.py")]:
        path.unlink()
    (include.parent / "data").mkdir()
    rows = [(day, n, (day.toordinal() * 7 + n * n) % 5 == 0) for day in NIGHTS.dates for n in range(12)]
    lines = [f"{day}-{n},{day},{n % 4},{'Out' if gone else 'In'},{int(gone)}" for day, n, gone in rows]
    (include.parent / "data/stays.csv").write_text("\n".join(["id,day,guests,status,gone", *lines]))
    files = {"kind": "files", "folder": "data", "path": "stays.csv", "date_column": "day", "format": "csv"}
    drafts.new_source("stays", files, None, outcome=drafts.Outcome(("gone",)), include=include)
    # Somebody thinks that the status is known beforehand.
    spec = include / "sources/stays.yaml"
    spec.write_text(spec.read_text().replace("columns:\n", "columns:\n  status: {type: string}\n"))
    drafts.new_features("staying", ["stays", "stays_outcome"], [], include=include)
    drafts.new_model("leaving", model.Ask("staying", "gone"), "stays_outcome", include=include)
    platform, asked = replace(platform, project=load_project(include).require_sound()), Try("drafts")
    for name in ("stays", "stays_outcome"):
        nights = NIGHTS if name == "stays" else DateRange(NIGHTS.dates[1], NIGHTS.last)
        stages.collect(platform, name, nights, asked)
        stages.validate(platform, name, nights, asked)
    stages.build_features(platform, "staying", DateRange(NIGHTS.dates[2], NIGHTS.last), asked)
    # The past's mean by the status says it too.
    told = {"leaving": ["status", "gone_mean_by_status_28d"]}
    found = stages.what_features_say_alone(platform, "staying")
    assert {name: alone.giving_away for name, alone in found.items()} == told
