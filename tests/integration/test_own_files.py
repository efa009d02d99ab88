"""People's own files, from the folder to the warehouse: their dialect, their clock, rows that belong to no night."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nightshift import featurise, stages
from nightshift.calendar import DateRange
from nightshift.cli import clock_check
from nightshift.errors import SpecError
from nightshift.objects import Objects
from nightshift.platform.clock import require_same_clock
from nightshift.registry import Registry
from nightshift.specs import FeatureInput, FeatureSet, Project, Source
from nightshift.specs.project import Settings
from nightshift.stages import Platform, Replay, Try
from nightshift.warehouse import Warehouse, quarantine_table, raw_table

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
# As the UCI's Air Quality file: semicolons, decimal commas, -200 for nothing, delimiters at the ends of all lines.
AIR = """Date;Time;CO(GT);PT08.S1(CO);NO2(GT);T;;
10/03/2004;18.00.00;2,6;1360;113;13,6;;
10/03/2004;19.00.00;2;1292;92;13,3;;
10/03/2004;20.00.00;-200;1.402;-200;-200,0;;
11/03/2004;00.00.00;1,2;1185;77;11,3;;
11/03/04;01.00.00;1;1136;76;11,2;;
31/02/2004;02.00.00;0,9;1094;60;10,7;;
11/03/2004;03.00.00;0,6;1.010;-200;-1,9;;
12/03/2004;04.00.00;x;1066;53;10,3;;
;;;;;;;
;;;;;;;
"""
AIR_SPEC: dict[str, Any] = {
    "name": "air",
    "owner": "tests",
    "description": "hourly averages",
    "connector": {
        "kind": "files",
        "folder": "data",
        "path": "air.csv",
        "date_column": "Date",
        "offset_days": -1,
        "dialect": {
            "delimiter": ";",
            "decimal": ",",
            "thousands": ".",
            "dates": "%d/%m/%Y",
            "nulls": [-200],
        },
    },
    "columns": {
        "Date": {"type": "date"},
        "Time": {"type": "string"},
        "CO(GT)": {"type": "float", "nullable": True},
        "PT08.S1(CO)": {"type": "integer"},
        "T": {"type": "float", "nullable": True},
    },
    "other_columns": "ignore",
    "key": ["Date", "Time"],
    "expectations": [
        {"expect_column_values_to_be_between": {"column": "T", "min_value": -40, "max_value": 60}}
    ],
    "budget": {"share": 0.5},
}


def platform_of(
    warehouse: Warehouse, folder: Path, spec: dict[str, Any], zone: str = "Europe/Rome"
) -> Platform:
    settings = Settings(timezone=zone, first_night=date(2004, 1, 1))
    source = Source.model_validate({"timezone": zone, **spec})
    project = Project(folder=folder / "include", settings=settings, sources={source.name: source})
    # No model and no connection here: nothing asks for them.
    return Platform(
        project, warehouse, Registry("http://127.0.0.1:9"), Objects(str(folder / "objects")), {}.__getitem__
    )


def collected(platform: Platform, night: date, run: str = "run") -> dict[str, Any]:
    [name] = platform.project.sources
    stages.collect(platform, name, DateRange(night, night), Try(run))
    return stages.validate(platform, name, DateRange(night, night), Try(run))


def raw(platform: Platform, night: date) -> pd.DataFrame:
    [source] = platform.project.sources.values()
    return platform.warehouse.read(raw_table(source), night, night)


@pytest.fixture
def air(warehouse: Warehouse, tmp_path: Path) -> Platform:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/air.csv").write_bytes(AIR.replace("\n", "\r\n").encode())
    return platform_of(warehouse, tmp_path, AIR_SPEC)


def test_a_file_with_semicolons_and_decimal_commas_is_right_to_the_last_value(air: Platform) -> None:
    assert collected(air, date(2004, 3, 11))["accepted"] == 3
    rows = raw(air, date(2004, 3, 11))
    assert rows["CO(GT)"].tolist()[:2] == [2.6, 2.0]
    assert rows["CO(GT)"].isna().tolist() == [False, False, True]
    assert rows["PT08.S1(CO)"].tolist() == [1360, 1292, 1402]
    assert rows["T"].tolist()[:2] == [13.6, 13.3]
    assert rows["T"].isna().tolist() == [False, False, True]
    assert rows["Time"].tolist() == ["18.00.00", "19.00.00", "20.00.00"]


def test_rows_without_a_readable_date_are_set_aside_once_and_no_night_is_lost(air: Platform) -> None:
    nights = [date(2004, 3, 11) + n * DAY for n in range(2)]
    found = [collected(air, night) for night in nights]
    # 3 rows of the 10th; 2 of the 11th, and with them the two whose dates nobody can read.
    assert [(one["accepted"], one["quarantined"]) for one in found] == [(3, 0), (2, 2)]
    aside = air.warehouse.read(quarantine_table(), nights[0], nights[-1])
    assert aside["column_name"].tolist() == ["Date", "Date"]
    assert aside["value"].tolist() == ["11/03/04", "31/02/2004"]
    again = [collected(air, night, "again") for night in reversed(nights)]
    assert [(one["accepted"], one["quarantined"]) for one in again] == [(2, 2), (3, 0)]


def test_a_mended_dialect_is_judged_from_what_was_landed(air: Platform, tmp_path: Path) -> None:
    plain = {
        **AIR_SPEC,
        "connector": {**AIR_SPEC["connector"], "dialect": {"delimiter": ";", "dates": "%d/%m/%Y"}},
    }
    night = date(2004, 3, 11)
    with pytest.raises(
        Exception, match=r"column 'CO\(GT\)' is not float any more.*connector.dialect \(decimal"
    ):
        collected(platform_of(air.warehouse, tmp_path, {**plain, "budget": {"share": 0.0}}), night)
    (tmp_path / "data/air.csv").unlink()
    found = stages.replay(
        air, "air", DateRange(night, night), Try("replay"), Replay(action="revalidate", actor="olga")
    )
    assert found["dates"] == [str(night)]
    assert raw(air, night)["CO(GT)"].tolist()[:2] == [2.6, 2.0]


def test_a_date_mended_to_another_day_is_of_another_night(air: Platform, tmp_path: Path) -> None:
    mended = {
        **AIR_SPEC,
        "fixes": {
            "tenth": {"column": "Date", "replace": {"31/02/2004": "10/03/2004"}},
            "eleventh": {"column": "Date", "replace": {"31/02/2004": "11/03/2004"}},
        },
    }
    platform = platform_of(air.warehouse, tmp_path, mended)
    night = DateRange(date(2004, 3, 12), date(2004, 3, 12))
    collected(platform, night.first)
    for fix, moved in (("tenth", 0), ("eleventh", 1)):
        found = stages.replay(platform, "air", night, Try(fix), Replay(action=fix, actor="olga"))
        assert found["moved"] == moved
    assert len(raw(platform, night.first)) == 3


EVENTS: dict[str, Any] = {
    "name": "events",
    "owner": "tests",
    "description": "events of all nights",
    "connector": {"kind": "files", "folder": "data", "path": "*.csv", "date_column": "at", "offset_days": -1},
    "columns": {"id": {"type": "string"}, "at": {"type": "timestamp"}},
    "key": ["id"],
    "expectations": [{"expect_column_value_lengths_to_be_between": {"column": "id", "min_value": 1}}],
}
SYDNEY = "Australia/Sydney"


@pytest.fixture
def events(warehouse: Warehouse, tmp_path: Path) -> Platform:
    (tmp_path / "data").mkdir()
    instants = ["2012-05-07T13:59:59Z", "2012-05-07T14:00:00Z", "2012-05-07T23:30:00Z", "2012-05-08 23:59:59"]
    lines = "".join(f"e{n},{at}\n" for n, at in enumerate(instants))
    (tmp_path / "data/1.csv").write_text(f"id,at\n{lines}")
    (tmp_path / "data/2.csv").write_text("id,at\nlate,2012-05-09T13:59:59+00:00\n")
    return platform_of(warehouse, tmp_path, EVENTS, SYDNEY)


def test_no_event_is_known_before_it_happens_whichever_night_collects_it(events: Platform) -> None:
    calendar = events.project.calendar
    seen = {}
    for night in (date(2012, 5, 8), date(2012, 5, 9), date(2012, 5, 10)):
        collected(events, night)
        rows = raw(events, night)
        seen[night.day] = rows["id"].tolist()
        assert (rows["at"] < calendar.cutoff(night)).all()
        assert (rows["known_at"] == calendar.cutoff(night)).all()
    assert seen == {8: ["e0"], 9: ["e1", "e2", "e3"], 10: ["late"]}


def test_an_event_later_than_its_night_is_known_when_it_happened(events: Platform, tmp_path: Path) -> None:
    (tmp_path / "data/2012-05-08.csv").write_text(
        "id,at\nbefore,2012-05-07T10:00Z\nafter,2012-05-07T23:30:00Z\n"
    )
    spec = {
        **EVENTS,
        "connector": {"kind": "files", "folder": "data", "path": "{date}.csv"},
        "freshness": {"column": "at", "within_hours": 48},
    }
    platform = platform_of(events.warehouse, tmp_path, spec, SYDNEY)
    night = date(2012, 5, 8)
    collected(platform, night)
    known = raw(platform, night).set_index("id")["known_at"]
    assert known["before"] == platform.project.calendar.cutoff(night)
    assert known["after"] == datetime(2012, 5, 7, 23, 30, tzinfo=UTC)
    entity = FeatureSet(
        name="e", version=1, owner="t", description="", entity=["id"], columns={"n": "float"},
        inputs={"events": FeatureInput()}, path=tmp_path / "e.py",
    )  # fmt: skip
    frames = {"events": raw(platform, night)}
    assert featurise.visible(frames, entity, platform.project.calendar, night)["events"]["id"].tolist() == [
        "before"
    ]


def test_another_time_zone_is_refused_once_a_night_was_cut(
    events: Platform, tmp_path: Path, monkeypatch
) -> None:
    require_same_clock(events)
    rome = platform_of(events.warehouse, tmp_path, EVENTS, "Europe/Rome")
    require_same_clock(rome)  # nothing depends on it yet
    require_same_clock(events)
    collected(events, date(2012, 5, 8))
    night = DateRange(date(2012, 5, 9), date(2012, 5, 9))
    told = r"key 'timezone': 1 nights of this warehouse were cut at midnight of Australia/Sydney.*Put Australia/Syd"
    with pytest.raises(SpecError, match=told):
        stages.collect(rome, "events", night, Try("edited"))
    with pytest.raises(SpecError, match=told):
        stages.validate(rome, "events", night, Try("edited"))
    with pytest.raises(SpecError, match=told):
        stages.replay(rome, "events", night, Try("edited"), Replay("revalidate", "ann"))
    with pytest.raises(SpecError, match=told):
        stages.build_features(rome, "any", night, Try("edited"))
    with pytest.raises(SpecError, match=told):
        stages.score(rome, "any", night, Try("edited"))
    with pytest.raises(SpecError, match=told):
        stages.snapshot(rome, "any", night.first, Try("edited"))
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", events.warehouse.url)
    with pytest.raises(SpecError, match=told):
        clock_check.run(rome.project)
    clock_check.run(replace(events).project)
    collected(events, date(2012, 5, 9))


def test_another_name_of_the_same_clock_is_no_other_clock(
    warehouse: Warehouse, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.csv").write_text("id,at\na,2012-01-09T12:00:00\n")
    named = {
        zone: platform_of(warehouse, tmp_path, {**EVENTS, "timezone": zone}, zone)
        for zone in ("America/New_York", "US/Eastern", "America/Bogota")
    }
    collected(named["America/New_York"], date(2012, 1, 10))
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", warehouse.url)
    clock_check.run(named["US/Eastern"].project)
    require_same_clock(named["US/Eastern"])
    # That winter their clocks agree; in summer they do not.
    with pytest.raises(SpecError, match="midnight of US/Eastern, and America/Bogota cuts elsewhere"):
        require_same_clock(named["America/Bogota"])
    warehouse.execute("UPDATE catalog.clock SET timezone = 'US/Pacific-New'")  # left tzdata in 2020
    with pytest.raises(SpecError, match="midnight of US/Pacific-New"):
        require_same_clock(named["US/Eastern"])
