"""The quarantine worked: rows mended, judged again, discarded and counted, on a real PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightshift import landing, stages
from nightshift.calendar import DateRange
from nightshift.collect import Connection
from nightshift.errors import (
    BatchRejected,
    EmptyBatch,
    NightshiftError,
    NotReady,
    RequestError,
    SchemaMismatch,
    SpecError,
    Superseded,
    Unreconciled,
)
from nightshift.objects import Objects
from nightshift.platform.blocks import BLOCK_ROWS, content_of
from nightshift.registry import Registry
from nightshift.specs import Project, Source
from nightshift.specs.project import Settings
from nightshift.stages import Platform, Replay, Try, quarantining
from nightshift.types import content_sha256
from nightshift.warehouse import Warehouse, quarantine_table, raw_table

pytestmark = pytest.mark.integration

NIGHT = date(2013, 2, 8)
DAY = timedelta(days=1)
ONE = DateRange(NIGHT, NIGHT)
ROWS, BAD = 1000, 37
BETWEEN = "expect_column_values_to_be_between"
SPEC: dict[str, Any] = {
    "name": "weather",
    "owner": "tests",
    "description": "observations",
    "connector": {"kind": "files", "connection": "files", "path": "{date:%Y-%m-%d}.csv"},
    "columns": {
        "station": {"type": "string"},
        "number": {"type": "integer"},
        "wind": {"type": "float", "nullable": True},
        "gust": {"type": "float", "nullable": True},
        "seen_at": {"type": "timestamp"},
    },
    "key": ["station", "number"],
    "expectations": [
        {BETWEEN: {"column": "wind", "min_value": 0, "max_value": 150}},
        {"expect_column_values_to_be_in_set": {"column": "station", "value_set": ["EWR", "JFK", "LGA"]}},
    ],
    "budget": {"share": 0.05, "rows": 100},
    "fixes": {
        "wind_in_tenths": {"column": "wind", "multiply": 0.1},
        "wind_doubled": {"column": "wind", "multiply": 2},
        "no_wind": {"column": "wind", "set_null": True},
        "newark": {"column": "station", "replace": {"NEWARK": "EWR"}},
    },
}


def batch(bad: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Return a night's file: its first ``bad`` rows hold the wind in tenths of miles an hour."""
    numbers = range(rows)
    return pd.DataFrame(
        {
            "station": [("EWR", "JFK", "LGA")[n % 3] for n in numbers],
            "number": list(numbers),
            "wind": [200.5 + n % 50 if n < bad else 10.0 + n % 7 for n in numbers],
            "gust": [20.0] * rows,
            "seen_at": [datetime(2013, 2, 7, tzinfo=UTC) + timedelta(minutes=n) for n in numbers],
        }
    )


@dataclass(frozen=True)
class House:
    """One source of files, to change at will, and its warehouse."""

    platform: Platform
    folder: Path

    def deliver(self, frame: pd.DataFrame, night: date = NIGHT) -> None:
        frame.to_csv(self.folder / f"{night}.csv", index=False)

    def collect(self, nights: DateRange = ONE, run: str = "night") -> dict[str, Any]:
        stages.collect(self.platform, "weather", nights, Try(run))
        return stages.validate(self.platform, "weather", nights, Try(run))

    def replay(
        self, action: str, nights: DateRange = ONE, run: str = "replay", **more: Any
    ) -> dict[str, Any]:
        return stages.replay(
            self.platform, "weather", nights, Try(run), Replay(action=action, actor="olga", **more)
        )

    def reconcile(self, nights: DateRange = ONE) -> dict[str, Any]:
        return stages.reconcile_source(self.platform, "weather", nights)

    def with_spec(self, change: Callable[[dict], object]) -> "House":
        spec = self.platform.project.source("weather").model_dump(exclude_none=True)
        change(spec)
        return replace(self, platform=with_source(self.platform, Source.model_validate(spec)))

    def counts(self, night: date = NIGHT) -> tuple[int, int]:
        """Return the rows in raw and in quarantine."""
        warehouse, table = self.platform.warehouse, raw_table(self.platform.project.source("weather"))
        return len(warehouse.read(table, night, night)), len(warehouse.read(quarantine_table(), night, night))

    def raw(self, night: date = NIGHT) -> pd.DataFrame:
        table = raw_table(self.platform.project.source("weather"))
        return self.platform.warehouse.read(table, night, night)

    def batch(self, night: date = NIGHT) -> dict[str, Any]:
        found = self.platform.warehouse.row("SELECT * FROM catalog.batches WHERE batch_date = %s", (night,))
        assert found
        assert found["collected"] == found["accepted"] + found["rejected"]
        return found

    def n(self, table: str) -> int:
        found = self.platform.warehouse.row(f"SELECT count(*) AS n FROM {table}")
        return found["n"] if found else 0


def with_source(platform: Platform, source: Source) -> Platform:
    project = platform.project.model_copy(update={"sources": {source.name: source}})
    return replace(platform, project=project)


@pytest.fixture
def house(warehouse: Warehouse, tmp_path: Path) -> House:
    (tmp_path / "files").mkdir()
    empty = dict.fromkeys(("host", "port", "login", "password", "schema", "engine"))
    files = Connection(id="files", kind="fs", extra={"path": str(tmp_path / "files")}, **empty)
    settings = Settings(timezone="America/New_York", first_night=date(2013, 1, 2))
    project = Project(folder=tmp_path, settings=settings, sources={"weather": Source.model_validate(SPEC)})
    objects = Objects(str(tmp_path / "objects"))
    # No model here: nothing asks the registry.
    platform = Platform(
        project, warehouse, Registry("http://127.0.0.1:9"), objects, {"files": files}.__getitem__
    )
    return House(platform, tmp_path / "files")


def everything(house: House) -> dict[str, Any]:
    """Return all that a replay without effect must leave as it was, to the time of the last judgement."""
    warehouse = house.platform.warehouse
    return {
        "raw": content_sha256(house.raw()),
        "quarantine": warehouse.read(quarantine_table(), NIGHT, NIGHT).to_csv(index=False),
        "batches": warehouse.rows("SELECT * FROM catalog.batches ORDER BY batch_date"),
        "resolutions": warehouse.rows("SELECT * FROM quarantine.resolutions ORDER BY row_number"),
    }


# R15: what goes on, what is set aside, what stops

FAILING = [
    ("30 % bad", lambda f: f.assign(wind=f["wind"].where(f.index >= 300, 900.0)), BatchRejected, 300),
    ("empty file", lambda f: f.head(0), EmptyBatch, 0),
    ("a column of nulls", lambda f: f.assign(gust=None), BatchRejected, 0),
    ("a column of +inf", lambda f: f.assign(gust="inf"), BatchRejected, 1000),
]


@pytest.mark.parametrize(("change", "error", "bad"), [c[1:] for c in FAILING], ids=[c[0] for c in FAILING])
def test_a_bad_night_stops_with_its_reasons_and_the_old_rows_stand(
    house: House, change: Callable, error: type[NightshiftError], bad: int
) -> None:
    house.deliver(batch())
    house.collect()
    before = house.raw()
    house.deliver(change(batch()))
    with pytest.raises(error, match="source 'weather': 2013-02-08: ") as rejected:
        house.collect(run="again")
    pd.testing.assert_frame_equal(house.raw(), before)
    found = house.batch()
    assert (found["status"], found["rejected"]) == ("failed", bad)
    assert found["reasons"] in str(rejected.value)
    print(f"{found['collected']} collected, {found['rejected']} bad: {found['reasons'][:150]}")


def test_one_percent_of_bad_rows_is_set_aside_and_the_night_goes_on(house: House) -> None:
    frame = batch(bad=10)
    house.deliver(frame)
    found = house.collect()
    print(f"{ROWS} collected, {found['accepted']} accepted, {found['quarantined']} set aside")
    assert house.counts() == (990, 10) == (found["accepted"], found["quarantined"])


def test_over_its_budget_a_night_names_its_three_worst_rules_and_the_catalog_keeps_them(house: House) -> None:
    frame = batch(bad=60)
    frame.loc[100:139, "station"] = "NEWARK"
    frame["gust"] = frame["gust"].astype(object)
    frame.loc[200:219, "gust"] = "inf"
    frame["seen_at"] = frame["seen_at"].astype(str)
    frame.loc[300:304, "seen_at"] = "noon"
    house.deliver(frame)
    with pytest.raises(BatchRejected) as rejected:
        house.collect()
    words = house.batch()["reasons"]
    for part in (
        "125 of 1,000 rows set aside, over the budget of 5.00% or 100 rows",
        f"{BETWEEN} on wind: 60 rows, such as '200.5', '201.5', '202.5'",
        "expect_column_values_to_be_in_set on station: 40 rows, such as 'NEWARK'",
        "finite on gust: 20 rows, such as 'inf'",
    ):
        assert part in words
        assert part in str(rejected.value)
    assert "noon" not in words, "a fourth rule"


# The case


def test_of_1000_rows_963_go_on_and_37_are_kept_with_rule_and_value(house: House) -> None:
    house.deliver(batch(BAD))
    found = house.collect()
    print(f"{ROWS} collected, {found['accepted']} accepted, {found['quarantined']} set aside")
    assert house.counts() == (963, BAD)
    rows = house.platform.warehouse.rows("SELECT * FROM quarantine.rows ORDER BY row_number")
    assert [row["row_number"] for row in rows] == list(range(1, BAD + 1))
    assert {(row["rule"], row["column_name"]) for row in rows} == {(BETWEEN, "wind")}
    assert [float(row["value"]) for row in rows] == [200.5 + n for n in range(BAD)]


def test_a_replay_after_the_fix_moves_exactly_the_37_rows_once(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    before = house.raw()
    moved = house.replay("wind_in_tenths", rule=BETWEEN, reason="a new sensor")
    print(f"replay: {moved}")
    assert (moved["moved"], moved["dates"], moved["still_set_aside"]) == (BAD, [str(NIGHT)], 0)
    assert house.counts() == (1000, 0)
    after = house.raw()
    new = after[after["number"] < BAD].sort_values("number")
    assert new["wind"].tolist() == pytest.approx([(200.5 + n) / 10 for n in range(BAD)])
    pd.testing.assert_frame_equal(after[after["number"] >= BAD].reset_index(drop=True), before)
    assert (house.batch()["accepted"], house.batch()["rejected"]) == (1000, 0)
    was = everything(house)
    again = house.replay("wind_in_tenths", rule=BETWEEN, run="second")
    print(f"second replay: {again}")
    assert (again["moved"], again["dates"]) == (0, [])
    assert everything(house) == was
    assert house.reconcile()["batches"] == 1


def test_who_mended_which_row_and_why_is_kept(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    house.replay("wind_in_tenths", rule=BETWEEN, reason="a new sensor")
    kept = house.platform.warehouse.rows("SELECT * FROM quarantine.resolutions ORDER BY row_number")
    assert [row["row_number"] for row in kept] == list(range(1, BAD + 1))
    told = {(row["action"], row["fix"], row["reason"], row["actor"], row["run_id"]) for row in kept}
    assert told == {("fix", "wind_in_tenths", "a new sensor", "olga", "replay")}
    assert {row["landed_sha256"] for row in kept} == {house.batch()["landed_sha256"]}


def test_the_same_content_collected_again_keeps_its_resolutions_and_other_content_starts_afresh(
    house: House,
) -> None:
    house.deliver(batch(BAD))
    house.collect()
    house.replay("wind_in_tenths")
    mended = house.raw()
    house.collect(run="same content")
    pd.testing.assert_frame_equal(house.raw(), mended)
    assert house.counts() == (1000, 0)
    house.deliver(batch(BAD).assign(gust=21.0))
    house.collect(run="other content")
    assert house.counts() == (963, BAD)
    house.deliver(batch(BAD))
    house.collect(run="the first content again")
    assert house.counts() == (1000, 0)


def in_one_file(spec: dict[str, Any]) -> None:
    spec["connector"].update(path="all.parquet", format="parquet", date_column="seen_at", offset_days=-1)


def test_a_resolution_outlives_what_the_same_file_holds_of_other_nights(house: House) -> None:
    house = house.with_spec(in_one_file)
    frame = batch(BAD, 20 * BAD).assign(seen_at=datetime(2013, 2, 7, 12, tzinfo=UTC))
    tonight = frame.assign(station=frame["station"].astype("category"))
    tonight.to_parquet(house.folder / "all.parquet", index=False)
    house.collect()
    house.replay("wind_in_tenths", rule=BETWEEN)
    first = house.batch()["landed_sha256"]
    assert house.counts() == (len(frame), 0)
    beside = frame[:1].assign(seen_at=frame["seen_at"] + DAY, station="ZZZ", number=None)
    both = pd.concat([frame, beside]).astype({"station": "category", "number": "Int64"})
    both.to_parquet(house.folder / "all.parquet", index=False)
    house.collect(run="another night came")
    assert house.counts() == (len(frame), 0)
    assert house.batch()["landed_sha256"] == first
    both.assign(gust=21.0).to_parquet(house.folder / "all.parquet", index=False)
    house.collect(run="other rows")
    assert house.counts() == (len(frame) - BAD, BAD)


@pytest.mark.parametrize("rows", [ROWS, BLOCK_ROWS + 10])
def test_a_resolution_outlives_the_library_that_wrote_the_delivery(
    house: House, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    house.deliver(batch(BAD, rows))
    house.collect()
    house.replay("discard", rule=BETWEEN, reason="broken sensor")
    encoded = landing._encoded

    def told_otherwise(frame: pd.DataFrame, before: int = 0) -> Any:
        return encoded(frame, before).replace_schema_metadata({"written by": "another version"})

    monkeypatch.setattr(landing, "_encoded", told_otherwise)
    monkeypatch.setattr(
        landing, "_field", lambda name, kinds: pa.field(name, pa.large_string(), metadata={"by": name})
    )
    house.collect(run="after an upgrade")
    assert house.counts() == (rows - BAD, BAD)
    assert house.n("quarantine.open_rows") == 0
    assert house.n("(SELECT DISTINCT sha256 FROM catalog.landings) l") == 1
    house.platform.objects.delete("landed")
    house.collect(run="retention took the file away")
    assert house.n("(SELECT DISTINCT sha256 FROM catalog.landings) l") == 2
    assert house.n("quarantine.open_rows") == BAD


def test_a_delivery_that_failed_in_between_does_not_let_an_older_one_back(house: House) -> None:
    house.deliver(batch(BAD))
    stages.collect(house.platform, "weather", ONE, Try("pending"))
    house.deliver(batch())
    house.collect(run="corrected")
    house.deliver(batch(300))
    with pytest.raises(BatchRejected):
        house.collect(run="broken")
    with pytest.raises(NotReady, match="is older than what stands, which run corrected landed"):
        stages.validate(house.platform, "weather", ONE, Try("pending", 2))
    assert house.counts() == (1000, 0)
    house.deliver(batch())
    assert house.collect(run="corrected again")["failed"] == 0
    assert house.batch()["status"] == "published"


def test_a_night_that_failed_over_its_budget_passes_once_it_is_mended(house: House) -> None:
    house.deliver(batch(300))
    with pytest.raises(BatchRejected, match="300 of 1,000 rows set aside"):
        house.collect()
    assert house.counts() == (0, 0)
    moved = house.replay("wind_in_tenths")
    assert (moved["moved"], moved["dates"]) == (300, [str(NIGHT)])
    assert house.counts() == (1000, 0)
    assert (house.batch()["status"], house.batch()["reasons"]) == ("published", "")


def test_a_night_that_still_fails_is_left_as_it_was_and_the_others_of_the_range_are_written(
    house: House,
) -> None:
    nights = DateRange(NIGHT, NIGHT + 2 * DAY)
    frames = [batch(BAD), batch(300).assign(station="BOS"), batch()]
    for night, frame in zip(nights.dates, frames, strict=True):
        house.deliver(frame, night)
    with pytest.raises(BatchRejected, match="2013-02-09"):
        house.collect(nights)
    with pytest.raises(BatchRejected, match=r"2013-02-09: .*station"):
        house.replay("wind_in_tenths", nights)
    assert [house.counts(night) for night in nights.dates] == [(1000, 0), (0, 0), (1000, 0)]
    assert house.batch(NIGHT + DAY)["status"] == "failed"
    statement = "SELECT DISTINCT batch_date FROM quarantine.resolutions"
    assert house.platform.warehouse.rows(statement) == [{"batch_date": NIGHT}]


def test_only_nights_on_which_rows_moved_are_announced_and_a_retry_announces_them_too(house: House) -> None:
    nights = DateRange(NIGHT, NIGHT + 2 * DAY)
    for night, bad in zip(nights.dates, (0, 5, 0), strict=True):
        house.deliver(batch(bad), night)
    house.collect(nights)
    recorded = house.batch()["recorded_at"]
    assert house.replay("wind_in_tenths", nights)["dates"] == [str(NIGHT + DAY)]
    # The task died between its commit and the announcement.
    again = house.replay("wind_in_tenths", nights)
    assert (again["moved"], again["dates"]) == (0, [str(NIGHT + DAY)])
    assert house.batch()["recorded_at"] == recorded


def test_a_fix_takes_only_rows_that_break_the_rule_on_its_column(house: House) -> None:
    frame = batch(10)
    frame.loc[20:24, "station"] = "NEWARK"
    house.deliver(frame)
    house.collect()
    assert house.replay("wind_in_tenths", run="other rule", rule="not_null")["moved"] == 0
    assert house.replay("newark", run="one")["moved"] == 5
    found = house.raw()
    assert found[found["number"].isin(range(20, 25))]["wind"].tolist() == frame.loc[20:24, "wind"].tolist()
    assert house.counts() == (990, 10)
    assert house.replay("no_wind", run="two")["moved"] == 10
    assert house.raw()["wind"].isna().sum() == 10


def test_a_fix_that_does_not_help_a_row_leaves_it_as_delivered(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    was = everything(house)
    found = house.replay("wind_doubled")
    assert (found["moved"], found["dates"], found["still_set_aside"]) == (0, [], BAD)
    assert everything(house) == was


def test_a_row_that_would_contradict_a_good_one_once_mended_stays_out_and_the_good_one_in(
    house: House,
) -> None:
    frame = batch()
    twin = frame.iloc[[0]].assign(station="NEWARK", gust=99.0)
    house.deliver(pd.concat([frame, twin, frame.iloc[[3]].assign(station="NEWARK", number=5000)]))
    house.collect()
    assert house.counts() == (1000, 2)
    assert house.replay("newark")["moved"] == 1
    assert house.counts() == (1001, 1)
    assert house.raw().query("station == 'EWR' and number == 0")["gust"].tolist() == [20.0]


def test_a_fix_is_not_applied_twice_to_a_row(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    house.replay("wind_in_tenths")
    stricter = house.with_spec(lambda s: s["expectations"][0][BETWEEN].update(max_value=5, min_value=0))
    stricter = stricter.with_spec(lambda s: s.update(budget={"share": 1.0, "rows": 5000}))
    assert stricter.replay("revalidate", run="stricter")["still_set_aside"] == ROWS
    assert stricter.replay("wind_in_tenths", run="again")["moved"] == ROWS - BAD
    assert stricter.raw()["wind"].max() < 2, "mended once each"


def test_a_fix_that_is_gone_from_the_spec_is_missed(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    house.replay("wind_in_tenths")
    with pytest.raises(SpecError, match="mended by 'wind_in_tenths', which is not declared any more"):
        house.with_spec(lambda s: s["fixes"].pop("wind_in_tenths")).collect(run="again")


# Judged again, collected again


def test_rows_are_judged_again_by_the_spec_as_it_is_now(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    was = everything(house)
    assert house.replay("revalidate")["dates"] == []
    assert everything(house) == was
    wider = house.with_spec(lambda s: s["expectations"][0][BETWEEN].update(max_value=300))
    found = wider.replay("revalidate", run="wider")
    assert (found["moved"], found["dates"]) == (BAD, [str(NIGHT)])
    assert wider.counts() == (1000, 0)
    assert wider.replay("revalidate", run="again")["dates"] == []
    assert house.replay("revalidate", run="back")["dates"] == [str(NIGHT)]
    assert house.counts() == (963, BAD)


def test_rows_that_read_otherwise_by_the_spec_as_it_is_now_are_written_and_announced(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    house.replay("wind_in_tenths")
    before = house.batch()["content_sha256"]
    corrected = house.with_spec(lambda s: s["fixes"]["wind_in_tenths"].update(multiply=0.2))
    found = corrected.replay("revalidate", run="corrected")
    assert (found["moved"], found["dates"]) == (0, [str(NIGHT)])
    assert corrected.raw()["wind"].max() > 40
    assert corrected.batch()["content_sha256"] != before
    assert corrected.replay("revalidate", run="again")["dates"] == []
    assert house.replay("recollect", run="as it was")["dates"] == [str(NIGHT)]
    assert house.batch()["content_sha256"] == before


@pytest.mark.parametrize("rows", [60, BLOCK_ROWS + 10])
def test_a_night_that_passes_without_one_good_row_is_news(house: House, rows: int) -> None:
    house = house.with_spec(lambda s: s.update(budget={"share": 1.0, "rows": 10**6}))
    house.deliver(batch(0, rows))
    house.collect()
    told = stages.announce(house.platform, "raw.weather", [NIGHT], Try("night"), choice="changed")
    house.deliver(batch(0, rows).assign(wind=900.0))
    house.collect(run="all bad")
    assert (told, house.counts()) == ([NIGHT], (0, rows))
    assert stages.corrected(house.platform, "weather", Try("all bad")) == [NIGHT]
    again = Try("later")
    assert stages.announce(house.platform, "raw.weather", [NIGHT], again, choice="changed") == [NIGHT]
    assert house.replay("revalidate")["dates"] == []


def test_a_failed_night_passes_under_another_budget(house: House) -> None:
    house.deliver(batch(300))
    with pytest.raises(BatchRejected):
        house.collect()
    with pytest.raises(BatchRejected, match="300 of 1,000 rows set aside"):
        house.replay("revalidate")
    lenient = house.with_spec(lambda s: s.update(budget={"share": 0.4, "rows": 500}))
    assert lenient.replay("revalidate", run="lenient")["dates"] == [str(NIGHT)]
    assert lenient.counts() == (700, 300)


def test_a_night_collected_again_is_announced_if_the_upstream_has_changed(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    assert house.replay("recollect", run="same")["dates"] == []
    house.deliver(batch())
    found = house.replay("recollect", run="mended upstream")
    assert (found["accepted"], found["dates"]) == (1000, [str(NIGHT)])
    assert house.replay("recollect", run="mended upstream")["dates"] == [str(NIGHT)], "a retry"


# Discarded


def test_discarded_rows_stay_in_quarantine_and_are_no_longer_open(house: House) -> None:
    frame = batch(BAD)
    frame.loc[100:104, "station"] = "BOS"
    house.deliver(frame)
    house.collect()
    with pytest.raises(RequestError, match="reason: needed to discard rows"):
        house.replay("discard", reason="  ")
    found = house.replay("discard", rule=BETWEEN, reason="broken sensor")
    assert (found["discarded"], found["dates"]) == (BAD, [])
    assert house.counts() == (958, 42)
    assert house.n("quarantine.open_rows") == 5
    assert house.replay("discard", rule=BETWEEN, reason="again", run="second")["discarded"] == 0
    assert house.replay("wind_in_tenths", run="a fix")["moved"] == 0
    wider = house.with_spec(lambda s: s["expectations"][0][BETWEEN].update(max_value=300))
    assert wider.replay("revalidate", run="wider")["moved"] == 0, "they stay out, whatever the rule says now"
    assert wider.counts() == (958, 42)
    wider.collect(run="the same content again")
    assert wider.counts() == (958, 42)
    assert wider.reconcile()["batches"] == 1
    wider.deliver(frame.assign(gust=21.0))
    wider.collect(run="other content")
    assert wider.counts() == (995, 5)
    assert wider.n("quarantine.open_rows") == 5


# Asked wrongly


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"action": "wind_in_tenth"}, "action: source 'weather' has no 'wind_in_tenth'; did you mean"),
        ({"action": "burn"}, "action: source 'weather' has no 'burn'"),
        ({"action": ["discard"]}, "action: source 'weather' has no"),
        ({"action": "discard"}, "reason: needed"),
        ({"action": "revalidate", "rule": BETWEEN}, "rule: 'revalidate' judges the whole night"),
        ({"action": "no_wind", "rule": "x" * 201}, "rule: expected the name of a rule"),
        ({"action": "no_wind", "rule": ["x"]}, "rule: expected the name of a rule"),
    ],
)
def test_the_stage_looks_at_the_form_again(house: House, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        house.replay(**asked)


def test_a_night_that_was_never_collected_is_named(house: House) -> None:
    with pytest.raises(NotReady, match="source 'weather' has no batch for 2013-02-08; run collect_weather"):
        house.replay("revalidate")


# At once


def test_of_replays_at_once_the_lease_lets_rows_move_once(house: House) -> None:
    house.deliver(batch(BAD))
    house.collect()
    starting = Barrier(3)

    def attempt(number: int) -> int:
        starting.wait()
        try:
            return house.replay("wind_in_tenths", run=f"replay {number}")["moved"]
        except Superseded:
            return -1

    with ThreadPoolExecutor(3) as pool:
        moved = list(pool.map(attempt, range(3)))
    assert max(moved) == BAD, moved
    assert sum(number for number in moved if number > 0) == BAD, moved
    assert house.counts() == (1000, 0)
    assert house.n("quarantine.resolutions") == BAD
    assert sorted(house.raw()["wind"])[0] >= 10


def test_a_replay_overtaken_by_a_collection_writes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.deliver(batch(BAD))
    house.collect()
    real = quarantining.landed

    def overtaken(*arguments: Any) -> Any:
        found = real(*arguments)
        house.deliver(batch(5))
        house.collect(run="meanwhile")
        return found

    monkeypatch.setattr(quarantining, "landed", overtaken)
    with pytest.raises(Superseded, match="'meanwhile"):
        house.replay("wind_in_tenths")
    assert house.counts() == (995, 5)
    assert house.n("quarantine.resolutions") == 0


# Counted again

SWALLOW = """
CREATE FUNCTION raw.swallow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.number = 500 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON raw.weather FOR EACH ROW EXECUTE FUNCTION raw.swallow();
"""


@pytest.mark.parametrize("way", ["collect", "replay"])
def test_rows_that_get_lost_on_their_way_stop_the_write(house: House, way: str) -> None:
    house.deliver(batch(BAD))
    house.collect()
    was = everything(house)
    house.platform.warehouse.execute(SWALLOW)
    act = {"collect": lambda: house.collect(run="again"), "replay": lambda: house.replay("no_wind")}[way]
    with pytest.raises(
        Unreconciled, match=r"'weather': rows do not add up: 2013-02-08: 1000 rows landed, 1000"
    ):
        act()
    assert everything(house) == was


TAMPERED = [
    ("DELETE FROM raw.weather WHERE number = 500", "1000 rows landed, 1000 judged", "999 in the warehouse"),
    ("DELETE FROM quarantine.rows WHERE row_number = 1", "1000 rows landed", "36 in quarantine"),
    ("UPDATE catalog.landings SET row_count = 1001", "1001 rows landed", "1000 in the warehouse"),
    (
        "UPDATE catalog.batches SET accepted = 964, rejected = 36",
        "1000 judged \\(964 accepted \\+ 36 rejected\\)",
        "963 in raw \\+ 37 in quarantine",
    ),
]


@pytest.mark.parametrize(("statement", "one", "other"), TAMPERED)
def test_a_row_that_is_gone_is_missed_by_source_date_and_numbers(
    house: House, statement: str, one: str, other: str
) -> None:
    nights = DateRange(NIGHT, NIGHT + DAY)
    for night in nights.dates:
        house.deliver(batch(BAD), night)
    house.collect(nights)
    assert house.reconcile(nights)["batches"] == 2
    house.platform.warehouse.execute(
        f"{statement} {'AND' if 'WHERE' in statement else 'WHERE'} batch_date = '2013-02-08'"
    )
    with pytest.raises(Unreconciled, match=f"source 'weather': .*2013-02-08: .*{one}.*{other}") as found:
        house.reconcile(nights)
    print(found.value)
    assert "2013-02-09" not in str(found.value)
    assert house.reconcile(DateRange(NIGHT + DAY, NIGHT + DAY))["batches"] == 1
    house.replay("recollect")
    house.platform.warehouse.execute("UPDATE catalog.landings SET row_count = 1000")
    assert house.reconcile(nights)["batches"] == 2


def test_a_source_without_any_batch_adds_up(house: House) -> None:
    assert house.reconcile()["batches"] == 0


# What the source forgives, and what it expects of volume and age


def test_a_forgiven_change_of_the_schema_is_kept_with_the_batch(house: House) -> None:
    house.deliver(batch().drop(columns="gust").assign(snow=1))
    with pytest.raises(SchemaMismatch, match="column 'gust' is missing"):
        house.collect()
    warned = house.with_spec(lambda s: s.update(schema_changes="warn"))
    found = warned.collect(run="warn")
    kept = warned.batch()
    assert kept["status"] == "published"
    assert "column 'gust' is missing" in kept["warnings"]
    assert "column 'snow' is not declared" in kept["warnings"]
    assert warned.raw()["gust"].isna().all()
    page = house.platform.objects.get(found["docs"]).decode()
    assert "warning: column &#x27;gust&#x27; is missing" in page


def test_volume_is_judged_by_published_nights_and_by_earlier_nights_of_the_same_run(house: House) -> None:
    house = house.with_spec(lambda s: s.update(volume={"weeks": 4}))
    weeks = [NIGHT + timedelta(weeks=n) for n in range(4)]
    for night, rows in zip(weeks, (100, 120, 900, 55), strict=True):
        house.deliver(batch(rows=rows), night)
    found = house.collect(DateRange(weeks[0], weeks[0]))
    assert (
        "volume not judged: 0 Fridays published in the 4 weeks before"
        in house.platform.objects.get(found["docs"]).decode()
    )
    house.collect(DateRange(weeks[1], weeks[1]))
    says = r"900 rows, 8.18 times the median of 110 on 2 Fridays \(volume: 0.5 to 2 times\)"
    with pytest.raises(BatchRejected, match=says):
        house.collect(DateRange(weeks[2], weeks[2]))
    house.collect(DateRange(weeks[3], weeks[3]), run="55 of 110 are enough")
    assert [house.batch(night)["status"] for night in weeks] == [
        "published",
        "published",
        "failed",
        "published",
    ]


def test_an_old_file_delivered_again_is_not_fresh(house: House) -> None:
    house = house.with_spec(lambda s: s.update(freshness={"column": "seen_at", "within_hours": 14}))
    house.deliver(batch())
    house.collect()
    house.deliver(batch(), NIGHT + DAY)
    # The last event is of 16:39 UTC on the 7th; the cut-off of the 9th is 05:00 UTC.
    says = "the newest 'seen_at' is 2013-02-07 16:39 UTC, 36.4 hours before the cut-off .freshness: within 14 hours"
    with pytest.raises(BatchRejected, match=says):
        house.collect(DateRange(NIGHT + DAY, NIGHT + DAY))


# A night of several blocks

LARGE = 2 * BLOCK_ROWS + 10_000


def in_blocks(house: House) -> str:
    """Return the hash of what the night holds, made of blocks in the order of its key, as nights of one are."""
    rows = house.raw().drop(columns="known_at")
    parts = [rows.iloc[n : n + BLOCK_ROWS] for n in range(0, len(rows), BLOCK_ROWS)]
    return content_of(map(content_sha256, parts))


def test_a_large_night_is_landed_judged_hashed_and_mended_in_blocks(house: House) -> None:
    frame = batch(20, LARGE)
    frame.loc[LARGE - 2, "wind"] = 900.5
    frame.loc[LARGE - 1] = frame.loc[100]  # in another block, a row again
    house.deliver(frame)
    assert house.collect()["quarantined"] == 22
    [landing] = house.platform.warehouse.rows("SELECT object_key, row_count FROM catalog.landings")
    with house.platform.objects.opened(landing["object_key"]) as file:
        assert pq.ParquetFile(file).num_row_groups == 3
    assert (landing["row_count"], house.counts()) == (LARGE, (LARGE - 22, 22))
    assert house.raw()["number"].nunique() == LARGE - 22
    aside = house.platform.warehouse.read(quarantine_table(), NIGHT, NIGHT).set_index("row_number")["rule"]
    assert aside.to_dict() == {**dict.fromkeys([*range(1, 21), LARGE - 1], BETWEEN), LARGE: "repeated"}
    first = house.batch()["content_sha256"]
    assert first == in_blocks(house)
    assert first.startswith("3-")

    assert house.replay("wind_in_tenths", run="mend")["moved"] == 21
    assert (house.counts(), house.replay("revalidate")["moved"]) == ((LARGE - 1, 1), 0)
    assert house.batch()["content_sha256"] == in_blocks(house) != first
    house.reconcile()
    assert house.replay("recollect", run="again")["dates"] == []  # the same file, mended as before


def test_a_large_night_over_its_budget_is_refused_in_words_and_none_of_it_is_filed(house: House) -> None:
    house.deliver(batch(150, LARGE))
    with pytest.raises(BatchRejected, match="150 of 210,000 rows set aside, over the budget"):
        house.collect()
    assert (house.counts(), house.batch()["accepted"]) == ((0, 0), LARGE - 150)


def test_large_and_small_nights_of_one_run_are_filed_each_whole(house: House) -> None:
    sizes = {NIGHT: 500, NIGHT + DAY: BLOCK_ROWS + 4, NIGHT + 2 * DAY: 300}
    for night, rows in sizes.items():
        house.deliver(batch(3, rows), night)
    house.collect(DateRange(NIGHT, NIGHT + 2 * DAY))
    assert {night: sum(house.counts(night)) for night in sizes} == sizes
    house.reconcile(DateRange(NIGHT, NIGHT + 2 * DAY))
    assert [house.batch(night)["content_sha256"][:2] for night in sizes] == ["2-", "3-", "2-"]


def test_a_night_whose_file_is_gone_says_how_to_have_it_again(house: House) -> None:
    house.deliver(batch(3))
    house.collect()
    house.platform.objects.delete("landed")
    with pytest.raises(NotReady, match="no such object; retention takes away what was landed long ago"):
        house.replay("revalidate")
    assert house.replay("recollect", run="again")["dates"] == []
