"""Nights on Apache Spark: what they are here, to the bit, whatever dies meanwhile; and nothing is left behind.

Real pyspark on this machine: `make spark` installs it.
"""

import importlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest
from spark import NEEDS_SPARK

from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.collect import Connection
from nightshift.engine import dealing
from nightshift.engine.spark import Spark
from nightshift.errors import ArtifactRefused
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.root import ENGINE
from nightshift.specs import Model, load_project
from nightshift.stages import Platform, Try
from nightshift.types import content_sha256
from nightshift.warehouse import Warehouse, feature_table, prediction_table

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    NEEDS_SPARK,
]
# Not the stage of that name, which `nightshift.stages` has instead.
scoring = importlib.import_module("nightshift.stages.score")
NIGHTS = DateRange(date(2013, 2, 1), date(2013, 2, 3))
# Every night that two weeks have, for what must be the same everywhere.
FORTNIGHT = DateRange(date(2013, 1, 26), date(2013, 2, 8))
# So that a night of some 900 flights is several shards, and a hundred.
FEW_ROWS, LEAST_ROWS = 300, 8
SHARDS_A_KILL = 12
CLUSTER = "local-cluster[2,1,1024]"
GONE_SECONDS = 60
BUILT_BY = "SELECT run_id FROM catalog.feature_batches WHERE feature_set = 'departure' AND batch_date BETWEEN %s AND %s"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that temporary files are kept in."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def on(platform: Platform, compute: str, name: str, master: str = "local[2]", **extra: Any) -> Platform:
    """Return the platform with a model whose nights are scored there."""
    content = platform.project.model(name).model_dump(by_alias=True) | {"compute": compute}
    settings = platform.project.settings.model_copy(update={"spark": "spark"})
    models = {name: Model.model_validate(content)}
    project = platform.project.model_copy(update={"models": models, "settings": settings})
    spark = Connection("spark", host=master, extra=extra)
    return replace(
        platform,
        project=project,
        connection=lambda asked: spark if asked == "spark" else platform.connection(asked),
    )


def served(
    platform: Platform, name: str, nights: DateRange = NIGHTS
) -> tuple[str, list[dict], list[dict], list[dict]]:
    """Return the nights' rows as the hash of their content, and their records, sketches and counts."""
    model = platform.project.model(name)
    table = prediction_table(model, platform.project.feature_set(model.features))
    rows = platform.warehouse.read(table, nights.first, nights.last).drop(columns="run_id")
    of = (name, nights.first, nights.last)
    where = "WHERE model = %s AND batch_date BETWEEN %s AND %s ORDER BY batch_date"
    batches, sketches, counts = (
        platform.warehouse.rows(f"SELECT {columns} FROM catalog.{table} {where}", of)
        for table, columns in (
            ("prediction_batches", "batch_date, row_count, model_version, features_sha256, recalibration"),
            ("prediction_sketches", "batch_date, sketch_sha256, sketch, recalibration"),
            ("profile_counts", "batch_date, counts_sha256, counted"),
        )
    )
    assert len(batches) == len(sketches) == len(nights.dates)
    return content_sha256(rows), batches, sketches, counts


def score(platform: Platform, name: str, run_id: str, version: int) -> None:
    """Score the fortnight by a version, as the task does once it knows which."""
    model = platform.project.model(name)
    table = prediction_table(model, platform.project.feature_set(model.features))
    platform.warehouse.ensure(table)
    lease = platform.warehouse.lease(table, FORTNIGHT.dates, run_id, "champion")
    scoring.serve(platform, model, FORTNIGHT.dates, lambda _: version, lease, Try(run_id))


@pytest.mark.parametrize("name", ["late_arrival", "arrival_delay", "hourly_departures"])
def test_a_fortnight_is_the_same_to_the_bit_here_in_two_processes_and_on_a_cluster(
    loop: Platform, name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = load_project().model(name).model_dump(by_alias=True)
    declared["train"] = {"window_days": 14, "holdout_days": 7, "min_rows": 500, "refit": False}
    if "max_iter" in declared["estimator"]["params"]:
        declared["estimator"]["params"] |= {"max_iter": 25, "learning_rate": 0.2}
    model = Model.model_validate(declared)
    platform = replace(loop, project=loop.project.model_copy(update={"models": {name: model}}))
    asked = Try("here")
    if name == "hourly_departures":
        nights = DateRange(date(2013, 1, 2), FORTNIGHT.last)
        stages.collect(platform, "departures", nights, asked)
        stages.validate(platform, "departures", nights, asked)
        stages.build_features(platform, model.features, nights, asked)
    frozen = stages.snapshot(platform, name, date(2013, 1, 28), asked)["snapshot_id"]
    version = stages.fit(platform, name, frozen, asked, reason="a test")["version"]
    # An hour of an airport is a row of the third: a night has some 55.
    monkeypatch.setattr(scoring, "BLOCK_ROWS", FEW_ROWS if model.features == "departure" else LEAST_ROWS)
    score(platform, name, "here", version)
    expected = served(platform, name, FORTNIGHT)
    assert model.recalibrate is None or any(json.dumps(batch["recalibration"]) for batch in expected[1])
    for master in ("local[2]", CLUSTER):
        score(on(platform, "spark", name, master), name, master, version)
        assert served(platform, name, FORTNIGHT) == expected
        runs = platform.warehouse.rows(
            f"SELECT DISTINCT run_id FROM predictions.{name} WHERE batch_date BETWEEN %s AND %s",
            (FORTNIGHT.first, FORTNIGHT.last),
        )
        assert [row["run_id"] for row in runs] == [master]
    assert list(place.iterdir()) == []


def test_a_fortnight_of_features_is_the_same_to_the_bit_here_and_on_spark(
    loop: Platform, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = on(loop, "here", "late_arrival", CLUSTER)
    declared = platform.project.feature_set("departure").model_copy(update={"compute": "spark"})
    project = platform.project.model_copy(update={"feature_sets": {"departure": declared}})
    monkeypatch.setattr(dealing, "SHARD_ROWS", FEW_ROWS)

    def kept() -> list:
        of = "WHERE feature_set = 'departure' AND batch_date BETWEEN %s AND %s ORDER BY batch_date"
        rows = platform.warehouse.read(feature_table(declared), FORTNIGHT.first, FORTNIGHT.last)
        records = ("batch_date, content_sha256, row_count FROM catalog.feature_batches",)
        records += ("batch_date, sketch_sha256 FROM catalog.feature_sketches",)
        found = [
            platform.warehouse.rows(f"SELECT {each} {of}", (FORTNIGHT.first, FORTNIGHT.last))
            for each in records
        ]
        return [content_sha256(rows), *found]

    stages.build_features(platform, "departure", FORTNIGHT, Try("here"))
    here = kept()
    for master in ("local[2]", CLUSTER):
        spark = replace(on(platform, "here", "late_arrival", master), project=project)
        stages.build_features(spark, "departure", FORTNIGHT, Try(master))
        assert kept() == here
        built = platform.warehouse.rows(BUILT_BY, (FORTNIGHT.first, FORTNIGHT.last))
        assert {row["run_id"] for row in built} == {master}
    assert list(place.iterdir()) == []


@pytest.fixture
def expected(loop: Platform, monkeypatch: pytest.MonkeyPatch) -> tuple:
    """Return the nights of the month's champion in very small blocks, scored here."""
    monkeypatch.setattr(scoring, "BLOCK_ROWS", LEAST_ROWS)
    stages.score(loop, "late_arrival", NIGHTS, Try("here"))
    return served(loop, "late_arrival")


def meanwhile(place: Path, happens: Callable[[list[psutil.Process]], Any]) -> Thread:
    """Have something happen once the first shard is done, given the processes of Spark; it is what it returns."""

    def wait() -> None:
        while not (done := list(place.rglob("*.parquet"))):
            time.sleep(0.005)
        thread.found = happens(of_spark(place)), len(done)  # type: ignore[attr-defined]

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def of_spark(place: Path) -> list[psutil.Process]:
    """Return what runs of Spark with its files in this folder: what drives it, JVMs, workers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SPARK_CONF_DIR", "").startswith(str(place)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_worker_that_is_killed_changes_nothing(loop: Platform, expected: tuple, place: Path) -> None:
    def kill(processes: list[psutil.Process]) -> int:
        executor = next(
            each for each in processes if "CoarseGrainedExecutorBackend" in " ".join(each.cmdline())
        )
        executor.kill()
        return executor.pid

    killing = meanwhile(place, kill)
    platform = on(loop, "spark", "late_arrival", CLUSTER)
    stages.score(platform, "late_arrival", NIGHTS, Try("spark"))
    killing.join(0)
    _, done = killing.found  # type: ignore[attr-defined]
    # Of the first night, killed in its midst.
    assert done < expected[1][0]["row_count"] // LEAST_ROWS
    assert served(platform, "late_arrival") == expected
    assert of_spark(place) == []


def executors(place: Path) -> list[psutil.Process]:
    """Return the cluster's workers."""
    return [each for each in of_spark(place) if "CoarseGrainedExecutorBackend" in " ".join(each.cmdline())]


def kill_workers(place: Path, scored: Future) -> int:
    """Kill one of two workers whenever some shards more are done, until the night is scored; return how many were.

    The other works on, and speculates on what the first was at.
    """
    killed, done = 0, 0
    while not scored.done():
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            now = len(list(place.rglob("*.parquet")))
            if now >= done + SHARDS_A_KILL and len(found := executors(place)) == 2:
                found[killed % 2].kill()
                killed, done = killed + 1, now
            done = min(done, now)  # the next night begins anew
        time.sleep(0.2)
    return killed


def seen(platform: Platform, over: Event) -> set[tuple]:
    """Return what a reader has seen: of a night its rows, flights and runs, again and again."""
    counted = (
        "SELECT batch_date, count(*) AS rows, count(DISTINCT flight_id) AS flights, count(DISTINCT run_id) AS runs "
        "FROM predictions.late_arrival WHERE batch_date BETWEEN %s AND %s GROUP BY 1"
    )
    found = set()
    while not over.wait(0.1):
        found |= {
            tuple(row.values()) for row in platform.warehouse.rows(counted, (NIGHTS.first, NIGHTS.last))
        }
    return found


def test_fifty_workers_that_are_killed_while_others_speculate_lose_and_double_nothing(
    loop: Platform, expected: tuple, place: Path
) -> None:
    conf = {"spark.speculation": "true", "spark.speculation.quantile": "0.5", "spark.task.maxFailures": "50"}
    platform, over = on(loop, "spark", "late_arrival", CLUSTER, conf=conf), Event()
    killed = rounds = 0
    with ThreadPoolExecutor() as threads:
        reader = threads.submit(seen, loop, over)
        try:
            while killed < 50:
                rounds += 1
                asked = Try(f"round-{rounds}")
                scored = threads.submit(stages.score, platform, "late_arrival", NIGHTS, asked)
                killed += kill_workers(place, scored)
                scored.result()
                assert {row["run_id"] for row in _runs(loop)} == {asked.run_id}
                assert served(loop, "late_arrival") == expected
        finally:
            over.set()
    whole = {(batch["batch_date"], batch["row_count"], batch["row_count"], 1) for batch in expected[1]}
    assert reader.result() == whole
    print(f"{killed} workers killed in {rounds} scorings")


def test_a_worker_of_another_engine_refuses_and_nothing_is_written(
    loop: Platform, expected: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, compiled = tmp_path / "other", shutil.ignore_patterns("__pycache__")
    shutil.copytree(ENGINE / "nightshift", other / "include/nightshift", ignore=compiled)
    shutil.copytree(ENGINE.parent / "requirements", other / "requirements")
    with (other / "include/nightshift/metrics.py").open("a") as file:
        file.write("# not what it was\n")
    monkeypatch.setenv("PYTHONPATH", str(other / "include"))
    with pytest.raises(ArtifactRefused, match=r"worker .* refuses: the engine's code is [0-9a-f]{64} here"):
        stages.score(on(loop, "spark", "late_arrival"), "late_arrival", NIGHTS, Try("spark"))
    assert served(loop, "late_arrival") == expected


def scored_in_a_process(where: tuple[str, str, str], spec: str, place: str) -> None:
    """Score as a task does, in a process that is killed."""
    os.environ["TMPDIR"] = tempfile.tempdir = place
    scoring.BLOCK_ROWS = LEAST_ROWS
    warehouse, mlflow, objects = where
    model = Model.model_validate(json.loads(spec))
    platform = Platform(
        load_project().model_copy(update={"models": {model.name: model}}),
        Warehouse(warehouse),
        Registry(mlflow),
        Objects(objects),
        Connection,
    )
    stages.score(on(platform, "spark", model.name, CLUSTER), model.name, NIGHTS, Try("killed"))


def test_a_killed_task_takes_spark_with_it_and_its_retry_commits_once(
    loop: Platform, expected: tuple, place: Path, mlflow_url: str, tmp_path: Path
) -> None:
    stages.score(loop, "late_arrival", NIGHTS, Try("before"))
    spec = json.dumps(loop.project.model("late_arrival").model_dump(mode="json", by_alias=True))
    where = (loop.warehouse.url, mlflow_url, str(tmp_path / "objects"))
    task = get_context("spawn").Process(target=scored_in_a_process, args=(where, spec, str(place)))
    task.start()

    def kill(processes: list[psutil.Process]) -> list[psutil.Process]:
        os.kill(task.pid or 0, signal.SIGKILL)
        return processes

    killing = meanwhile(place, kill)
    task.join(600)
    assert task.exitcode == -signal.SIGKILL
    killing.join(10)
    processes, _ = killing.found  # type: ignore[attr-defined]
    # What drives it, three JVMs, and Python workers.
    assert len(processes) >= 5
    _, alive = psutil.wait_procs(processes, GONE_SECONDS)
    assert alive == []
    assert {row["run_id"] for row in _runs(loop)} == {"before"}
    stages.score(on(loop, "spark", "late_arrival"), "late_arrival", NIGHTS, Try("killed", 2))
    assert {row["run_id"] for row in _runs(loop)} == {"killed"}
    assert served(loop, "late_arrival") == expected
    # What the killed one left in its folder went with the retry's.
    assert list(place.iterdir()) == []


def _runs(platform: Platform) -> list[dict]:
    return platform.warehouse.rows(
        "SELECT DISTINCT run_id FROM predictions.late_arrival WHERE batch_date BETWEEN %s AND %s",
        (NIGHTS.first, NIGHTS.last),
    )


@pytest.fixture
def started(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[psutil.Process]]:
    """Return the processes of a cluster on this machine, whose secret and whose task's secret are known."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "canary-of-the-task")
    spark = Spark.at(Connection("spark", host="local[2]", password="canary-of-spark"))
    with spark.started(place):
        yield of_spark(place)


def test_it_listens_on_this_machine_alone_and_shows_no_secret(
    started: list[psutil.Process], place: Path
) -> None:
    addresses = [
        address.ip.removeprefix("::ffff:")
        for process in started
        for connection in process.net_connections("inet")
        for address in (connection.laddr, connection.raddr)
        if address
    ]
    assert addresses
    assert set(addresses) == {"127.0.0.1"}
    shown = [
        (process.name(), file)
        for process in started
        for file in ("cmdline", "environ")
        if b"canary-of-" in Path(f"/proc/{process.pid}/{file}").read_bytes()
    ]
    assert shown == []
    settings = place / "spark" / "spark-defaults.conf"
    assert settings.stat().st_mode & 0o777 == 0o600
    assert "spark.authenticate.secret=canary-of-spark\n" in settings.read_text()
