"""Retention on a real month: what goes and stays, what a kill leaves; the champion scores, and is made again."""

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import pytest

from integration.champions import better, promoted
from integration.conftest import LAST, MODEL, SCORED, train
from nightshift import stages
from nightshift.alerts import Disk
from nightshift.calendar import DateRange
from nightshift.kept import rehearsed
from nightshift.objects import Objects
from nightshift.records.ledger import TELL_OF_RENAME
from nightshift.records.retention import SKETCHES
from nightshift.runtime.housekeeping import marked_runs, remove_runs
from nightshift.specs.project import Settings
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse
from tests.integration.judged_versions import promoted as ledger_of

pytestmark = pytest.mark.integration

# Of the history's nights, those before this one are older than 35 days.
AS_OF = LAST
FORK = get_context("fork")


def plenty(root: str) -> dict[str, Disk]:
    return {"objects": Disk(1 << 40, 1 << 41)}


def aged(platform: Platform, days: int = 60) -> Platform:
    """Return the platform as if its nights were written when they were, and so many days were gone by since.

    By renaming time, not by waiting: a night that nobody cares for is collected ``days`` later.
    """
    retention = dict.fromkeys(
        ("landed", "snapshots", "reports", "data_docs", "explorations", "quarantine"), 35
    )
    retention |= dict.fromkeys(("sketches", "verdicts", "events", "mlflow"), 35)
    content = platform.project.settings.model_dump(by_alias=True) | {"retention": retention}
    project = platform.project.model_copy(update={"settings": Settings.model_validate(content)})
    platform.warehouse.execute("UPDATE catalog.landings SET landed_at = batch_date")
    platform.warehouse.execute("UPDATE governance.snapshots SET created_at = as_of")
    for file in (Path(platform.objects.root) / "snapshots").rglob("*.parquet"):
        dated(file, LAST)
    platform.warehouse.execute("UPDATE monitoring.verdicts SET decided_at = batch_date")
    platform.warehouse.execute("UPDATE catalog.prediction_sketches SET sketched_at = batch_date")
    platform.warehouse.execute("UPDATE catalog.profile_counts SET counted_at = batch_date")
    platform.warehouse.execute(
        "UPDATE catalog.batches SET recorded_at = batch_date WHERE batch_date < %s", (LAST,)
    )
    platform.warehouse.execute(
        "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, landed_sha256, "
        "run_id) VALUES ('weather', %s, 'failed', 0, 0, 0, '', 'later')",
        (AS_OF + timedelta(days=days),),
    )
    return replace(platform, project=project)


def dated(file: Path, day: date) -> None:
    """Have a file be written on a day."""
    stamp = (day - date(1970, 1, 1)).days * 86400
    os.utime(file, (stamp, stamp))


def later(days: int = 60) -> date:
    return AS_OF + timedelta(days=days)


def retained(platform: Platform, run_id: str, *, dry_run: bool = False, days: int = 60) -> dict:
    return stages.retain(platform, later(days), Try(run_id), dry_run=dry_run, rooms=plenty)


def files(platform: Platform) -> dict[str, int]:
    root = Path(platform.objects.root)
    return {str(file.relative_to(root)): file.stat().st_size for file in root.rglob("*") if file.is_file()}


def rows(platform: Platform) -> dict[str, int]:
    tables = (
        "monitoring.verdicts",
        "catalog.prediction_sketches",
        "catalog.profile_counts",
        "catalog.retired",
    )
    counts = {t: platform.warehouse.row(f"SELECT count(*) AS n FROM {t}") for t in tables}
    return {table: row["n"] for table, row in counts.items() if row}


def predictions(platform: Platform) -> str:
    found = platform.warehouse.rows(
        f"SELECT batch_date, to_jsonb(p) - 'run_id' - 'scored_at' AS row FROM predictions.{MODEL} p "
        "ORDER BY batch_date, to_jsonb(p)::text"
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()


def sums(found: dict) -> dict[str, tuple[int, int, object]]:
    return {kind: (t["things"], t["bytes"], t["oldest_kept"]) for kind, t in found["kinds"].items()}


def test_a_dry_run_removes_nothing_and_says_what_the_run_then_does(loop: Platform) -> None:
    stages.decide_verdict(loop, MODEL, SCORED.last, Try("verdict"))
    loop.warehouse.execute(
        'INSERT INTO catalog.prediction_sketches SELECT (jsonb_populate_record(s, \'{"model": "former"}\')).* '
        "FROM catalog.prediction_sketches s"
    )
    platform = aged(loop)
    there, counts = files(platform), rows(platform)
    said = retained(platform, "dry", dry_run=True)
    assert (files(platform), rows(platform)) == (there, counts)
    done = retained(platform, "real")
    print(*stages_lines(done), sep="\n")
    assert sums(done) == sums(said)
    gone = there.keys() - files(platform).keys()
    landed = [key for key in there if key.startswith("landed/")]
    assert sorted(gone) == sorted(landed), "reports and docs were made today, snapshots are a version's"
    assert done["kinds"]["landed"] == {
        "things": len(landed),
        "bytes": sum(there[key] for key in landed),
        "why": ["older than 35 days"],
        "oldest_kept": None,
    }
    # A champion is judged by all nights since its training; those of a model without one go.
    assert rows(platform)["catalog.prediction_sketches"] * 2 == counts["catalog.prediction_sketches"]
    assert rows(platform)["catalog.profile_counts"] == counts["catalog.profile_counts"] > 0
    assert done["kinds"]["snapshots"]["things"] == 0
    counted = platform.warehouse.rows(
        "SELECT kind, things, bytes FROM catalog.retentions WHERE run_id = 'real'"
    )
    assert {row["kind"]: (row["things"], row["bytes"]) for row in counted} == {
        kind: (taken["things"], taken["bytes"]) for kind, taken in done["kinds"].items()
    }
    again = retained(platform, "again")
    assert sum(taken["things"] for taken in again["kinds"].values()) == 0, "once is enough"


def stages_lines(found: dict) -> list[str]:
    from nightshift.retention import lines

    return lines(found)


def test_after_it_the_champion_scores_the_same_is_made_again_and_can_be_rolled_back(loop: Platform) -> None:
    second = promoted(better(loop), MODEL, date(2013, 2, 4), f"second_{uuid4().hex}")
    assert second["outcome"] == "promoted"
    platform = aged(better(loop))
    before = predictions(platform)
    retained(platform, "real")
    stages.score(platform, MODEL, SCORED, Try("again"))
    assert predictions(platform) == before
    for version in (
        row["version"] for row in platform.warehouse.rows("SELECT version FROM governance.versions")
    ):
        assert stages.reproduce(platform, MODEL, version, Try(f"r{version}"), reason="test")["equal"]
    back = stages.roll_back(platform, MODEL, Try("back"), to=None, reason="worse", actor="tester")
    assert (back["taken_out"], back["version"] != second["version"]) == (second["version"], True)
    stages.verify_ledgers(platform)


def test_a_snapshot_and_a_run_that_came_to_nothing_go_and_those_of_the_ledger_stay(loop: Platform) -> None:
    asked = Try(f"cut_short_{uuid4().hex}")
    frozen = stages.snapshot(loop, MODEL, date(2013, 2, 5), asked)
    platform = aged(loop)
    champion = platform.warehouse.row("SELECT snapshot_id, mlflow_run_id FROM governance.versions")
    assert champion["snapshot_id"] != frozen["snapshot_id"]
    found = retained(platform, "real")
    assert found["kinds"]["snapshots"]["things"] == 1
    left = [key for key in files(platform) if key.startswith("snapshots/")]
    assert left == [f"snapshots/{MODEL}/{champion['snapshot_id']}.parquet"]
    assert marked_runs(platform.warehouse.url) == []


def test_a_snapshot_frozen_again_is_new_though_its_row_is_of_the_first_time(loop: Platform) -> None:
    def frozen() -> Path:
        key = stages.snapshot(loop, MODEL, date(2013, 2, 5), Try(f"frozen_{uuid4().hex}"))["snapshot_id"]
        return Path(loop.objects.root) / f"snapshots/{MODEL}/{key}.parquet"

    frozen()
    platform, times = aged(loop), iter(range(9))

    def gone() -> int:
        return retained(platform, f"{next(times)}")["kinds"]["snapshots"]["things"]

    file = frozen()
    assert gone() == 0, "a training that was asked for again needs it"
    dated(file, LAST)
    assert (gone(), file.exists()) == (1, False)
    frozen()
    assert gone() == 0
    dated(file, LAST)
    platform.warehouse.execute(
        "UPDATE catalog.retired SET removed_at = '2013-02-10' WHERE kind = 'snapshots'"
    )
    assert (gone(), file.exists()) == (1, False), "and nobody needs it for good"


def test_a_report_drawn_again_after_it_went_goes_again(loop: Platform) -> None:
    stages.decide_verdict(loop, MODEL, SCORED.last, Try("verdict"))
    platform = aged(loop, 100)

    def drawn() -> Path:
        key = stages.render_report(platform, MODEL, SCORED.last, Try("report"))["report"]
        return Path(platform.objects.root) / key

    file = drawn()
    assert retained(platform, "one", days=38)["kinds"]["reports"]["things"] == 1
    assert not file.exists()
    drawn()
    young = retained(platform, "two", days=38)["kinds"]["reports"]
    assert (young["things"], young["oldest_kept"]) == (0, str(datetime.now(UTC).date()))
    dated(file, later(38))
    platform.warehouse.execute("UPDATE catalog.retired SET removed_at = %s", (later(38),))
    assert retained(platform, "three", days=100)["kinds"]["reports"]["things"] == 1
    assert not file.exists()


def test_files_that_no_row_names_go_by_the_day_they_were_written(loop: Platform) -> None:
    """Pages of ranges whose nights have moved on, and what a killed write left; not what is written meanwhile."""
    root = Path(loop.objects.root)
    platform = aged(loop)
    old = {
        root / "data_docs/weather/2013-01-01..2013-01-09.html",
        root / f"reports/{MODEL}/2012-12-31.html",
        root / "landed/weather/2013-01-02/ab.parquet",
        root / f"snapshots/{MODEL}/ab.parquet",
        root / "explorations/weather/ab.html",
    }
    young, again, card = (
        root / name for name in ("landed/weather/x", "landed/weather/y", "cards/x/1/card.md")
    )
    for file in {*old, young, again, card}:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"four")
        dated(file, later(30) if file == young else LAST)

    def meanwhile(root: str) -> dict[str, Disk]:
        dated(again, later())
        return plenty(root)

    named = {
        root / each["docs_key"]
        for each in platform.warehouse.rows(
            "SELECT DISTINCT docs_key FROM catalog.batches WHERE docs_key IS NOT NULL"
        )
    }
    found = stages.retain(platform, later(), Try("real"), dry_run=False, rooms=meanwhile)["kinds"]
    assert {
        kind: found[kind]["things"] for kind in ("data_docs", "reports", "snapshots", "explorations")
    } == (dict.fromkeys(("data_docs", "reports", "snapshots", "explorations"), 1))
    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in {young, again, card, *named})
    assert platform.warehouse.rows("SELECT name FROM catalog.retired WHERE removed_at IS NULL") == []


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own store
def test_a_rejected_versions_run_is_marked_and_where_its_database_is_its_files_go(
    loop: Platform, mlflow_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    decided = train(loop, date(2013, 2, 6), f"rejected_{uuid4().hex}", promote=False)
    run = loop.warehouse.row(
        "SELECT mlflow_run_id, training_id FROM governance.versions WHERE version = %s", (decided["version"],)
    )
    # Whatever its gates said: somebody let it pass by.
    loop.warehouse.execute(
        "INSERT INTO governance.outcomes (training_id, outcome) SELECT %s, 'stale' WHERE NOT EXISTS "
        "(SELECT 1 FROM governance.outcomes WHERE training_id = %s)",
        (run["training_id"], run["training_id"]),
    )
    # Its snapshot may be as old as it likes: the run itself was made today.
    days = (datetime.now(UTC).date() - AS_OF).days + 60
    platform = aged(loop, days)
    assert retained(platform, "young")["kinds"]["mlflow"]["things"] == 0
    first, retried, second = (
        retained(platform, name, days=days) for name in ("real", "real", "a night later")
    )
    size = first["kinds"]["mlflow"]["bytes"]
    assert size > 0
    assert first["waiting"] == retried["waiting"] == {"things": 0, "bytes": 0}
    assert second["waiting"] == {"things": 1, "bytes": size}, "that it is marked is told of once"
    assert marked_runs(platform.warehouse.url) == [run["mlflow_run_id"]]
    store = postgres_url.rpartition("/")[0] + "/mlflow_tests"
    [folder] = tmp_path_factory.getbasetemp().glob(f"mlflow[0-9]*/artifacts/*/{run['mlflow_run_id']}")
    artifacts = folder.parents[1]
    assert remove_runs(store, str(artifacts), marked_runs(platform.warehouse.url)) == [run["mlflow_run_id"]]
    assert platform.registry.bytes_of(run["mlflow_run_id"]) is None
    retained(platform, "next", days=days)
    [mark] = platform.warehouse.rows("SELECT removed_at FROM catalog.retired WHERE kind = 'mlflow'")
    assert mark["removed_at"] is not None
    assert marked_runs(platform.warehouse.url) == []
    stages.score(platform, MODEL, SCORED, Try("again"))


def test_a_run_that_is_killed_leaves_marks_and_the_next_one_does_the_rest(loop: Platform) -> None:
    platform = aged(loop)
    said = retained(platform, "dry", dry_run=True)
    there = files(platform)
    killed(lambda: retained(replace(platform, objects=Stopping(platform.objects.root)), "killed"))
    left = platform.warehouse.row(
        "SELECT count(*) FILTER (WHERE removed_at IS NULL) AS marked, count(*) AS all FROM catalog.retired "
        "WHERE kind = 'landed'"
    )
    gone = len(there.keys() - files(platform).keys())
    assert 0 < gone < said["kinds"]["landed"]["things"]
    # The file that was being removed is gone and still marked; no other is half known.
    assert left["all"] - left["marked"] == gone - 1
    done = retained(platform, "next")
    assert not [key for key in files(platform) if key.startswith("landed/")]
    assert platform.warehouse.rows("SELECT name FROM catalog.retired WHERE removed_at IS NULL") == []
    assert done["kinds"]["landed"]["things"] == left["marked"]
    total = platform.warehouse.row(
        "SELECT sum(bytes)::bigint AS n FROM catalog.retired WHERE kind = 'landed'"
    )
    assert total["n"] == said["kinds"]["landed"]["bytes"]


class Stopping(Objects):
    """Files of which the third cannot be told any more: whoever removes it is killed right after."""

    def remove(self, key: str) -> None:
        super().remove(key)
        self.__dict__["gone"] = self.__dict__.get("gone", 0) + 1
        if self.__dict__["gone"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object]) -> None:
    process = FORK.Process(target=work)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def test_a_short_disk_has_the_oldest_files_go_before_their_time(loop: Platform) -> None:
    platform = aged(loop)
    patient = platform.project.settings.model_copy(update={"retention": Settings(first_night=LAST).retention})
    platform = replace(platform, project=platform.project.model_copy(update={"settings": patient}))
    sizes = {key: size for key, size in files(platform).items() if key.startswith("landed/")}
    asked = {"as_of": later(), "asked": Try("short")}

    def short(root: str) -> dict[str, Disk]:
        return {"objects": Disk((1 << 30) - sum(sizes.values()) // 2, 1 << 40)}

    assert (
        sum(
            t["things"]
            for t in stages.retain(platform, **asked, dry_run=True, rooms=plenty)["kinds"].values()
        )
        == 0
    )
    found = stages.retain(platform, **asked, dry_run=False, rooms=short)["kinds"]["landed"]
    assert found["why"] == ["the disk is short, and nothing older is left"]
    assert sum(sizes.values()) // 2 <= found["bytes"] < sum(sizes.values())
    left = {key.split("/")[2] for key in files(platform) if key.startswith("landed/")}
    gone = {key.split("/")[2] for key in sizes} - left
    assert max(gone) <= min(left)


def test_what_was_set_aside_still_adds_up_without_its_values(loop: Platform) -> None:
    night = date(2013, 1, 10)
    loop.warehouse.execute(
        'INSERT INTO quarantine.rows (source, batch_date, row_number, rule, column_name, value, "row", violations, '
        "landed_sha256) SELECT 'flights', %s, 99, 'null', 'carrier', 'Smith', '{\"carrier\": \"Smith\"}', "
        '\'[{"rule": "null", "column": "carrier", "value": "Smith"}]\', landed_sha256 FROM catalog.batches '
        "WHERE source = 'flights' AND batch_date = %s",
        (night, night),
    )
    loop.warehouse.execute(
        "UPDATE catalog.batches SET (collected, rejected) = (collected + 1, rejected + 1) "
        "WHERE source = 'flights' AND batch_date = %s",
        (night,),
    )
    loop.warehouse.execute(
        "UPDATE catalog.landings SET row_count = row_count + 1 WHERE source = 'flights' AND batch_date = %s",
        (night,),
    )
    platform = aged(loop)
    assert retained(platform, "real")["kinds"]["quarantine"]["things"] == 1
    [row] = platform.warehouse.rows('SELECT rule, column_name, value, "row", violations FROM quarantine.rows')
    assert row == {
        "rule": "null",
        "column_name": "carrier",
        "value": None,
        "row": {},
        "violations": [{"rule": "null", "column": "carrier"}],
    }
    stages.reconcile_source(platform, "flights", DateRange(night, night))
    assert retained(platform, "again")["kinds"]["quarantine"]["things"] == 0
    platform.warehouse.execute(
        """UPDATE quarantine.rows SET (value, "row") = ('Smith', '{"carrier": "Smith"}')"""
    )
    assert retained(platform, "of rows written anew")["kinds"]["quarantine"]["things"] == 1
    [row] = platform.warehouse.rows("SELECT value FROM quarantine.rows")
    assert row["value"] is None


def test_a_file_that_is_landed_again_meanwhile_stays(loop: Platform) -> None:
    platform = aged(loop)
    [landing] = platform.warehouse.rows(
        "SELECT object_key FROM catalog.landings ORDER BY batch_date, source LIMIT 1"
    )

    def meanwhile(root: str) -> dict[str, Disk]:
        platform.warehouse.execute(
            "UPDATE catalog.landings SET landed_at = now() WHERE object_key = %s", (landing["object_key"],)
        )
        return plenty(root)

    stages.retain(platform, later(), Try("real"), dry_run=False, rooms=meanwhile)
    assert [key for key in files(platform) if key.startswith("landed/")] == [landing["object_key"]]
    assert platform.warehouse.rows("SELECT name FROM catalog.retired WHERE removed_at IS NULL") == []


def test_rows_that_are_written_again_meanwhile_stay(loop: Platform) -> None:
    """Of a model that is scored and judged anew while retention is at work: of the first night all, else none."""
    stages.decide_verdict(loop, MODEL, SCORED.first, Try("verdict"))
    stages.decide_verdict(loop, MODEL, SCORED.last, Try("verdict"))
    tables = {
        "monitoring.verdicts": "decided_at",
        "catalog.prediction_sketches": "sketched_at",
        "catalog.profile_counts": "counted_at",
    }
    for table in tables:  # of a model without a champion, which would need them
        loop.warehouse.execute(f"UPDATE {table} SET model = 'former'")
    platform = aged(loop)

    def meanwhile(root: str) -> dict[str, Disk]:
        for table, at in tables.items():
            platform.warehouse.execute(
                f"UPDATE {table} SET {at} = now() WHERE batch_date = %s", (SCORED.first,)
            )
        return plenty(root)

    stages.retain(platform, later(), Try("real"), dry_run=False, rooms=meanwhile)
    left = {table: platform.warehouse.rows(f"SELECT DISTINCT batch_date FROM {table}") for table in tables}
    assert left == {table: [{"batch_date": SCORED.first}] for table in tables}
    marks = platform.warehouse.rows(
        "SELECT name FROM catalog.retired WHERE kind IN ('sketches', 'verdicts') AND name LIKE %s",
        (f"%/{SCORED.first}",),
    )
    assert marks == []


def test_events_of_old_nights_end_and_those_of_versions_do_not(loop: Platform) -> None:
    for what in ("built", "promoted"):
        loop.warehouse.execute(
            "INSERT INTO catalog.events (happened_at, what, kind, name, why, about) "
            "VALUES ('2013-01-05', %s, 'model', 'x', '', '{}')",
            (what,),
        )
    platform = aged(loop)
    assert retained(platform, "real")["kinds"]["events"]["things"] == 1
    [event] = platform.warehouse.rows("SELECT what FROM catalog.events WHERE happened_at < '2014-01-01'")
    assert event == {"what": "promoted"}
    with pytest.raises(Exception, match="append-only"):
        platform.warehouse.execute("DELETE FROM catalog.events WHERE what = 'built'")


def test_events_that_their_table_still_keeps_stay_and_stop_nothing(loop: Platform) -> None:
    """East of UTC+8 the night is a date further than the event's when the morning's retention runs."""
    loop.warehouse.execute(
        "INSERT INTO catalog.events (happened_at, what, kind, name, why, about) VALUES "
        "(clock_timestamp() - interval '35 days' + interval '1 hour', 'built', 'model', 'x', '', '{}')"
    )
    event = loop.warehouse.row("SELECT happened_at::date AS day FROM catalog.events WHERE name = 'x'")
    days = (event["day"] + timedelta(days=36) - AS_OF).days
    found = retained(aged(loop, days), "real", days=days)["kinds"]
    assert (found["events"]["things"], found["events"]["oldest_kept"]) == (0, str(event["day"]))
    assert found["landed"]["things"] > 0


def test_a_night_that_nobody_has_collected_makes_nothing_old(loop: Platform) -> None:
    night = LAST + timedelta(days=2000)
    found = stages.retain(loop, night, Try("far"), dry_run=False, rooms=plenty)
    assert (found["as_of"], found["asked_for"], found["things"]) == (str(LAST), str(night), 0)
    loop.warehouse.execute("DELETE FROM catalog.batches")
    lost = stages.retain(loop, night, Try("lost"), dry_run=False, rooms=plenty)
    assert lost["things"] == 0, "a catalog that knows nothing is no reason to remove files"


def test_what_killed_writes_left_goes_after_a_day(loop: Platform) -> None:
    root = Path(loop.objects.root)
    landed, work = root / "landed/weather", root / f"{rehearsed(MODEL)}/ab"
    old, new = landed / "a.parquet.1.part", landed / "a.parquet.2.part"
    candidate, page = work / "2013-01-28.npz", root / f"replays/{MODEL}/ab.html"
    for file, day in ((old, LAST), (new, later()), (candidate, LAST), (page, LAST)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
        dated(file, day)
    assert retained(aged(loop), "real")["kinds"]["parts"] == {
        "things": 2,
        "bytes": 8,
        "why": ["older than 1 days"],
        "oldest_kept": str(later()),
    }
    assert not old.exists()
    assert not candidate.exists()
    assert new.exists()
    assert page.exists()


def test_a_rename_takes_nothing_from_the_version_that_may_come_back(warehouse: Warehouse) -> None:
    ledger_of(warehouse, 1, 2, 3)
    for version in (1, 2, 3):
        warehouse.execute(
            "INSERT INTO catalog.profile_counts (model, model_version, batch_date, features_sha256, counts_sha256, "
            "counted) VALUES (%s, %s, %s, 'a', 'b', '{}')",
            ("late_arrival", version, date(2013, 2, version)),
        )

    def needed() -> list[bool]:
        found = sorted(warehouse.all(SKETCHES), key=lambda each: each.name)
        return [bool(each.needed) for each in found]

    assert needed() == [False, True, True]
    warehouse.run(TELL_OF_RENAME, model="late_arrival", actor="me", reason="a better name")
    assert needed() == [False, True, True]
