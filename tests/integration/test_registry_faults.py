"""MLflow dies, or a task does, at the worst moment: the champion stays, and a retry or a reconciliation finishes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from typer.testing import CliRunner

from integration.champions import (
    MODEL,
    better,
    interrupted,
    judged,
    killed_at,
    own,
    owned,
    promoted,
    with_spec,
)
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.errors import (
    ArtifactRefused,
    LedgerBroken,
    LedgerMismatch,
    NotReady,
    RequestError,
    Unreachable,
)
from nightshift.govern import Ledger
from nightshift.registry import ORPHAN, TRAINING_ID, Registry
from nightshift.runtime.health import fetch
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
AS_OF = date(2013, 1, 28)
NIGHT = date(2013, 2, 6)
ONE = DateRange(NIGHT, NIGHT)
FAILS_WITHIN = 60
NO_GRACE, A_DAY = timedelta(0), timedelta(days=1)
CUT = "cut short"


def versions_of(platform: Platform, name: str, run_id: str) -> list[int]:
    return [v.version for v in platform.registry.versions(name) if v.run_id == run_id]


def runs_of(platform: Platform, name: str, training: str) -> list[Any]:
    client = platform.registry._client
    experiment = client.get_experiment_by_name(name).experiment_id
    return client.search_runs([experiment], f"tags.`{TRAINING_ID}` = '{training}'")


def rows_of(platform: Platform, training: str) -> list[dict[str, Any]]:
    return platform.warehouse.rows("SELECT * FROM governance.versions WHERE training_id = %s", (training,))


def reconcile(platform: Platform, grace: timedelta = NO_GRACE, model: str | None = None) -> dict[str, Any]:
    # A minute ahead: what the registry has written just now is older than no grace at all.
    now = datetime.now(UTC) + timedelta(minutes=1)
    return stages.reconcile_registry(platform, now=now, grace=grace, model=model)


# R9: the server is down


@dataclass
class Mlflow:
    """An MLflow server that a test may kill and start again, on the same store and port."""

    store: str
    folder: Path
    port: int
    process: subprocess.Popen | None = None
    logs: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self.store, "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        log = (self.folder / "mlflow.log").open("ab")
        quiet = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self.process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env=quiet, cwd=self.folder
        )
        log.close()
        deadline = time.monotonic() + 240
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "mlflow.log").read_text()[-2000:]
            assert self.process.poll() is None
            time.sleep(0.1)

    def answers(self) -> bool:
        return fetch(f"{self.url}/health", timeout=2) is not None

    def kill(self) -> None:
        """End the server and its workers by SIGKILL, if it runs."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)


@pytest.fixture(scope="module")
def mlflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    from nightshift.runtime.endpoints import any_free_port

    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE mlflow_to_kill")
    store = postgres_url.rpartition("/")[0] + "/mlflow_to_kill"
    server = Mlflow(store, tmp_path_factory.mktemp("mlflow_to_kill"), any_free_port())
    server.start()
    yield server
    server.kill()


@pytest.fixture
def champion(loop: Platform, mlflow: Mlflow) -> tuple[Platform, str, int]:
    """Return the month on a server that may die, with a champion of its own: platform, model, version."""
    if not mlflow.answers():
        mlflow.start()
    return owned(loop, Registry(mlflow.url))


def fails_in_time(step: Callable[[], object]) -> float:
    """Return how long the step took to fail for want of the registry."""
    began = time.monotonic()
    with pytest.raises(Unreachable):
        step()
    seconds = time.monotonic() - began
    assert seconds < FAILS_WITHIN
    return seconds


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("run_of", id="before the training", marks=pytest.mark.slow),
        pytest.param("log_model", id="while it logs", marks=pytest.mark.slow),
        pytest.param("register", id="before it registers", marks=pytest.mark.slow),
        pytest.param("finish", id="after it has registered"),
    ],
)
def test_a_training_fails_in_time_without_mlflow_and_its_retry_yields_one_version(
    champion: tuple[Platform, str, int], mlflow: Mlflow, method: str
) -> None:
    platform, name, version = champion
    run = f"{method} of {name}"
    frozen = stages.snapshot(platform, name, NIGHT, Try(run))["snapshot_id"]
    dying = replace(platform, registry=interrupted(mlflow.url, method, mlflow.kill, after=False))
    seconds = fails_in_time(lambda: stages.fit(dying, name, frozen, Try(run), reason="a test"))
    assert not mlflow.answers()
    assert rows_of(platform, run) == []
    began = time.monotonic()
    mlflow.start()
    print(f"R9 {method}: failed in {seconds:.1f} s; the server was back in {time.monotonic() - began:.1f} s")
    assert platform.registry.champion(name) == version
    fitted = stages.fit(platform, name, frozen, Try(run, 2), reason="a test")
    assert stages.fit(platform, name, frozen, Try(run, 3), reason="a test") == fitted
    assert [row["version"] for row in rows_of(platform, run)] == [fitted["version"]]
    assert versions_of(platform, name, fitted["mlflow_run_id"]) == [fitted["version"]]
    assert [r.info.status for r in runs_of(platform, name, run)] == ["FINISHED"]
    assert len(platform.registry.versions(name)) == 2
    assert reconcile(platform)["changed"] == []


def test_a_promotion_fails_in_time_without_mlflow_and_its_retry_moves_the_alias_once(
    champion: tuple[Platform, str, int], mlflow: Mlflow
) -> None:
    platform, name, version = champion
    run = f"promote of {name}"
    judged(better(platform, name), name, NIGHT, run)
    dying = replace(platform, registry=interrupted(mlflow.url, "promote", mlflow.kill, after=False))
    seconds = fails_in_time(lambda: stages.promote(dying, name, NIGHT, Try(run), actor="tester"))
    print(f"R9 promote: failed in {seconds:.1f} s")
    scoring = fails_in_time(lambda: stages.score(platform, name, ONE, Try("night")))
    print(f"R9 score: failed in {scoring:.1f} s")
    mlflow.start()
    assert platform.registry.champion(name) == version
    with pytest.raises(LedgerMismatch, match=f"nightshift reconcile {name}"):
        stages.score(platform, name, ONE, Try("night"))
    done = stages.promote(platform, name, NIGHT, Try(run, 2), actor="tester")
    assert platform.registry.champion(name) == done["version"] != version
    ledger = platform.warehouse.rows("SELECT version FROM governance.promotions WHERE model = %s", (name,))
    assert [row["version"] for row in ledger] == [version, done["version"]]
    assert stages.score(platform, name, ONE, Try("night"))["version"] == done["version"]


@pytest.mark.slow
def test_gates_and_cards_without_mlflow_may_be_tried_again(
    champion: tuple[Platform, str, int], mlflow: Mlflow
) -> None:
    platform, name, _ = champion
    run = f"judged of {name}"
    frozen = stages.snapshot(platform, name, NIGHT, Try(run))["snapshot_id"]
    stages.fit(platform, name, frozen, Try(run), reason="a test")
    mlflow.kill()
    fails_in_time(lambda: stages.evaluate(platform, name, NIGHT, Try(run), reason="a test"))
    fails_in_time(lambda: stages.write_card(platform, name, Try(run)))
    mlflow.start()
    assert stages.evaluate(platform, name, NIGHT, Try(run, 2), reason="a test")["version"] == 2


# R10: the task's process is killed


@pytest.fixture
def mine(loop: Platform) -> tuple[Platform, str, int]:
    """Return the month with a champion of this test's own on the shared server: platform, model, version."""
    return owned(loop)


@pytest.fixture
def cut_short(mine: tuple[Platform, str, int], request: pytest.FixtureRequest) -> tuple[Platform, str, str]:
    """Return the month with a fit killed after the registry's method named by ``request``: also its snapshot."""
    platform, name, _ = mine
    frozen = stages.snapshot(platform, name, NIGHT, Try(CUT))["snapshot_id"]
    killed_at(platform, name, request.param, "fit", frozen, Try(CUT), reason="a test", after=True)
    assert rows_of(platform, CUT) == []
    assert len(platform.registry.versions(name)) == 2
    return platform, name, frozen


def begin_anew(client: Any, name: str) -> None:
    """Leave the registry with an empty model of this name, as one that was restored from before has it."""
    client.rename_registered_model(name, f"{name}_before")
    client.create_registered_model(name)


def test_a_registry_restored_from_before_the_champion_gives_its_number_to_nobody(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, champion = mine
    client = platform.registry._client
    # As a restore does: the ledger's version is gone, and its number is the next one.
    begin_anew(client, name)
    fitted = judged(platform, name, NIGHT, "after the restore")
    assert fitted["version"] == champion + 1
    found = {v.version: v.is_orphan for v in platform.registry.versions(name)}
    assert found == {champion: True, champion + 1: False}
    client.set_registered_model_alias(name, "champion", str(champion))
    with pytest.raises(LedgerMismatch, match=f"version {champion}, champion by entry .* is another run"):
        reconcile(platform)


def registered_again(platform: Platform, name: str, version: int, files: Path | None = None) -> None:
    """Register a champion again, and see that it serves the same and that registry and ledger agree."""
    said = stages.register_again(platform, name, files)
    assert said.startswith(f"{name}: version {version} registered again, of run ")
    assert reconcile(platform)["changed"], "the alias, and the anchor"
    assert reconcile(platform) == {"models": [name], "changed": [], "left": []}
    assert platform.registry.champion(name) == version
    assert stages.score(platform, name, ONE, Try("after"))["version"] == version
    assert "is registered" in stages.register_again(platform, name, files)
    assert stages.verify_ledgers(platform, name)["anchors"] == {name: 1}


def predictions(platform: Platform, name: str) -> list[dict[str, Any]]:
    return platform.warehouse.rows(
        f"SELECT flight_id, prediction, model_version FROM predictions.{name} ORDER BY flight_id"
    )


def test_a_champion_whose_version_the_registry_lost_is_registered_again_by_its_number(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, champion = mine
    begin_anew(platform.registry._client, name)
    with pytest.raises(LedgerMismatch, match=f"nightshift reconcile {name} --register-again"):
        reconcile(platform)
    registered_again(platform, name, champion)
    (row,) = rows_of(platform, f"first of {name}")
    assert versions_of(platform, name, row["mlflow_run_id"])[-1] == champion


def test_a_champion_whose_run_is_gone_too_is_made_again_of_its_own_files_only(
    mine: tuple[Platform, str, int], mlflow: Mlflow, tmp_path: Path
) -> None:
    before, name, champion = mine
    stages.score(before, name, ONE, Try("before"))
    said = predictions(before, name)
    (row,) = rows_of(before, f"first of {name}")
    before.registry._client.download_artifacts(row["mlflow_run_id"], "", str(tmp_path))
    if not mlflow.answers():
        mlflow.start()
    platform = replace(before, registry=Registry(mlflow.url))  # restored from before the model
    with pytest.raises(NotReady, match=r"is not in MLflow.* with --files"):
        stages.register_again(platform, name, None)
    with pytest.raises(RequestError, match=r"no model/[0-9a-f]{64}.skops"):
        stages.register_again(platform, name, tmp_path / "model")
    (file,) = (tmp_path / "model").glob("*.skops")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactRefused, match="is not what was stored"):
        stages.register_again(platform, name, tmp_path)
    assert platform.registry.versions(name) == []
    file.write_bytes(whole)
    registered_again(platform, name, champion, tmp_path)
    assert predictions(platform, name) == said
    assert len(runs_of(platform, name, f"first of {name}")) == 1


@pytest.mark.parametrize("is_registered", [True, False])
def test_files_that_are_gone_of_a_run_that_is_there_are_put_back(
    mine: tuple[Platform, str, int], tmp_path: Path, is_registered: bool
) -> None:
    platform, name, champion = mine
    (row,) = rows_of(platform, f"first of {name}")
    run, client = row["mlflow_run_id"], platform.registry._client
    client.download_artifacts(run, "", str(tmp_path))
    if not is_registered:
        begin_anew(client, name)
    delete_artifacts(client, platform.registry.uri, run)
    with pytest.raises(NotReady, match=r"has no model/[0-9a-f]{64}.skops. Give the folder"):
        stages.register_again(platform, name, None)
    said = stages.register_again(platform, name, tmp_path)
    assert said.endswith(f"; its files are put back, of {tmp_path}")
    (file,) = (tmp_path / "model").glob("*.skops")
    assert platform.registry.model_bytes(run, row["artifact_sha256"]) == file.read_bytes()
    assert [v.version for v in platform.registry.versions(name) if v.run_id == run] == [champion]
    assert stages.register_again(platform, name, None).endswith("of the run that the ledger knows")


def delete_artifacts(client: Any, uri: str, run: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(client.get_run(run).info.artifact_uri, tracking_uri=uri)
    repository.delete_artifacts()


def test_a_number_of_a_version_that_was_deleted_is_not_given_again_and_the_next_one_is_an_orphan(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, champion = mine
    platform.registry._client.delete_model_version(name, str(champion))
    with pytest.raises(LedgerMismatch, match=f"no version can be {champion} again. Trigger rollback_{name}"):
        stages.register_again(platform, name, None)
    assert [(v.version, v.is_orphan) for v in platform.registry.versions(name)] == [(champion + 1, True)]


def test_a_number_that_the_registry_has_given_to_another_run_cannot_be_had_again(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, champion = mine
    begin_anew(platform.registry._client, name)
    judged(platform, name, NIGHT, "after the restore")
    with pytest.raises(
        LedgerMismatch, match=f"numbers up to {champion + 1}, so no version can be {champion} again"
    ):
        stages.register_again(platform, name, None)


@pytest.mark.parametrize("cut_short", ["register", "finish"], indirect=True)
def test_a_fit_killed_after_registration_is_no_champion_and_its_retry_yields_one_version(
    cut_short: tuple[Platform, str, str],
) -> None:
    platform, name, frozen = cut_short
    champion = platform.registry.champion(name)
    assert stages.score(platform, name, ONE, Try("night"))["version"] == champion
    fitted = stages.fit(platform, name, frozen, Try(CUT, 2), reason="a test")
    assert [row["version"] for row in rows_of(platform, CUT)] == [fitted["version"]]
    assert [v.version for v in platform.registry.versions(name)] == [champion, fitted["version"]]
    assert [run.info.status for run in runs_of(platform, name, CUT)] == ["FINISHED"]
    assert platform.registry.champion(name) == champion
    assert reconcile(platform) == {"models": [name], "changed": [], "left": []}


@pytest.mark.parametrize("cut_short", ["register"], indirect=True)
def test_what_a_killed_fit_left_is_tagged_once_it_is_old_and_freed_by_the_retry(
    cut_short: tuple[Platform, str, str],
) -> None:
    platform, name, frozen = cut_short
    champion = platform.registry.champion(name)
    young = reconcile(platform, A_DAY)
    assert young["changed"] == [], "its training may still run"
    assert len(young["left"]) == 2

    changed = reconcile(platform)["changed"]
    assert ["tagged as orphan" in words for words in changed] == [True, True]
    assert "ended as killed" in changed[1]
    assert reconcile(platform)["changed"] == []
    (run,) = runs_of(platform, name, CUT)
    assert (run.info.status, ORPHAN in run.data.tags) == ("KILLED", True)
    assert platform.registry.champion(name) == champion

    stages.fit(platform, name, frozen, Try(CUT, 2), reason="a test")
    freed = reconcile(platform)["changed"]
    assert ["was finished since: no orphan any more" in words for words in freed] == [True, True]
    (run,) = runs_of(platform, name, CUT)
    assert (run.info.status, ORPHAN in run.data.tags) == ("FINISHED", False)
    assert not any(version.is_orphan for version in platform.registry.versions(name))
    assert reconcile(platform) == {"models": [name], "changed": [], "left": []}


def test_a_fit_killed_while_it_logs_leaves_a_run_that_is_ended_once_its_training_has(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, version = mine
    run = f"logging of {name}"
    frozen = stages.snapshot(platform, name, NIGHT, Try(run))["snapshot_id"]
    killed_at(platform, name, "log_model", "fit", frozen, Try(run), reason="a test", after=False)
    young = reconcile(platform, A_DAY)
    assert (young["changed"], len(young["left"])) == ([], 1), "it may still run"
    platform.warehouse.execute(
        "INSERT INTO monitoring.retrain_requests (model, batch_date, status, reason, training_id, outcome) "
        "VALUES (%s, %s, 'started', 'drift', %s, 'failed')",
        (name, NIGHT, run),
    )
    (words,) = reconcile(platform, A_DAY)["changed"]
    assert f"of training '{run}' tagged as orphan and ended as killed" in words
    (left,) = runs_of(platform, name, run)
    assert left.info.status == "KILLED"
    assert [v.version for v in platform.registry.versions(name)] == [version]


@pytest.mark.parametrize("heals", ["reconcile", "retry"])
def test_a_promotion_killed_between_ledger_and_alias_is_never_scored_half(
    mine: tuple[Platform, str, int], heals: str
) -> None:
    platform, name, version = mine
    run = f"killed of {name}"
    stages.score(platform, name, ONE, Try("night"))
    decided = judged(better(platform, name), name, NIGHT, run)
    assert decided["passed"]
    killed_at(platform, name, "promote", "promote", NIGHT, Try(run), actor="tester", after=False)
    head = Ledger(platform.warehouse, name).head()
    assert head
    assert (head.version, platform.registry.champion(name)) == (decided["version"], version)
    before = served(platform, name)
    with pytest.raises(LedgerMismatch, match="Nothing was scored"):
        stages.score(platform, name, DateRange(NIGHT, NIGHT + DAY), Try("next night"))
    assert served(platform, name) == before
    if heals == "reconcile":
        (words,) = reconcile(platform)["changed"]
        assert words.startswith(
            f"{name}: alias champion pointed at version {decided['version']} (entry {head.entry})"
        )
        assert words.endswith(f"it said version {version}")
        assert reconcile(platform)["changed"] == []
    else:
        stages.promote(platform, name, NIGHT, Try(run, 2), actor="tester")
    assert platform.registry.champion(name) == decided["version"]
    stages.score(platform, name, DateRange(NIGHT, NIGHT + DAY), Try("next night"))
    assert served(platform, name) == {NIGHT: version, NIGHT + DAY: decided["version"]}


def served(platform: Platform, name: str) -> dict[date, int]:
    rows = platform.warehouse.rows(
        "SELECT batch_date, model_version FROM catalog.prediction_batches WHERE model = %s", (name,)
    )
    return {row["batch_date"]: row["model_version"] for row in rows}


def test_a_rollback_killed_between_ledger_and_alias_is_finished_by_a_reconciliation(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, version = mine
    second = promoted(better(platform, name), name, NIGHT, f"second of {name}")["version"]
    why = {"to": None, "reason": "bad", "actor": "olga"}
    killed_at(platform, name, "promote", "roll_back", Try("rollback"), after=False, **why)
    assert platform.registry.champion(name) == second
    assert len(reconcile(platform)["changed"]) == 1
    assert platform.registry.champion(name) == version
    stages.roll_back(platform, name, Try("rollback", 2), **why)
    assert len(platform.warehouse.rows("SELECT 1 FROM governance.promotions WHERE model = %s", (name,))) == 3


# S7 and the rest: what was changed by hand


def test_an_alias_moved_by_hand_is_pointed_back_by_the_command(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightshift.cli.app import app

    champion = loop.registry.champion(MODEL)
    other = judged(better(loop), MODEL, NIGHT, "another")["version"]
    loop.registry.promote(MODEL, other)
    with pytest.raises(
        LedgerMismatch,
        match=f"ledger says version {champion} .* champion says version {other}. .*`nightshift reconcile {MODEL}`",
    ):
        stages.score(loop, MODEL, ONE, Try("night"))
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", loop.warehouse.url)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "set MLFLOW_TRACKING_URI too" in CliRunner().invoke(app, ["reconcile", MODEL]).stderr
    assert loop.registry.champion(MODEL) == other
    monkeypatch.setenv("MLFLOW_TRACKING_URI", loop.registry.uri)
    done = CliRunner().invoke(app, ["reconcile", MODEL])
    assert done.exit_code == 0, done.output
    assert (
        f"{MODEL}: alias champion pointed at version {champion} (entry 1); it said version {other}"
        in done.output
    )
    assert loop.registry.champion(MODEL) == champion
    assert "pointed at" not in CliRunner().invoke(app, ["reconcile", MODEL]).output
    assert CliRunner().invoke(app, ["reconcile", "late_arival"]).exit_code == 1
    assert stages.score(loop, MODEL, ONE, Try("night"))["version"] == champion


def test_an_alias_that_nobody_promoted_is_removed(loop: Platform) -> None:
    platform, name = own(loop)
    decided = judged(platform, name, AS_OF, f"only judged of {name}")
    platform.registry.promote(name, decided["version"])
    assert reconcile(platform)["changed"] == [
        f"{name}: alias champion on version {decided['version']} removed, the ledger is empty"
    ]
    assert platform.registry.champion(name) is None
    assert reconcile(platform)["changed"] == []


def test_a_broken_ledger_is_named_moves_no_alias_and_stops_no_other_model(
    mine: tuple[Platform, str, int],
) -> None:
    platform, name, version = mine
    second = promoted(better(platform, name), name, NIGHT, f"second of {name}")["version"]
    _, other, healthy = owned(platform)
    both = {**platform.project.models, **with_spec(platform, lambda _: None, other).project.models}
    platform = replace(platform, project=platform.project.model_copy(update={"models": both}))
    platform.registry.withdraw(other)
    platform.registry.promote(name, version)
    platform.warehouse.execute(
        "ALTER TABLE governance.promotions DISABLE TRIGGER ALL; "
        "UPDATE governance.promotions SET actor = 'nobody' WHERE actor = 'tester' AND reason = 'a test' AND entry = 2"
    )
    with pytest.raises(
        LedgerBroken,
        match=rf"model '{name}': entry 2 of the ledger \(version {version}\) was changed after .*Changed: ",
    ):
        reconcile(platform)
    assert second != version
    assert platform.registry.champion(name) == version, "a ledger nobody can trust moves no alias"
    assert platform.registry.champion(other) == healthy
    assert reconcile(platform, model=other)["changed"] == []


def test_a_champion_that_is_gone_from_the_registry_is_named(mine: tuple[Platform, str, int]) -> None:
    platform, name, version = mine
    platform.registry._client.delete_model_version(name, str(version))
    with pytest.raises(
        LedgerMismatch, match=f"version {version}, champion by entry 2, is gone from the registry"
    ):
        reconcile(platform)


def test_an_unknown_model_is_named(loop: Platform) -> None:
    with pytest.raises(Exception, match=r"model 'late_arival' is unknown; did you mean 'late_arrival'\?"):
        reconcile(loop, model="late_arival")
    with pytest.raises(RequestError, match="reason"):
        stages.roll_back(loop, MODEL, Try("r"), to=None, reason="", actor="me")
