"""A warehouse with a promoted version is backed up, destroyed and restored: it verifies, and scores the same bytes."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from nightshift import stages
from nightshift.cli.app import app
from nightshift.cli.backup import NAMED
from nightshift.database import Database
from nightshift.errors import ArtifactRefused, NotReady, WarehouseRefused
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.runtime import alone, backups, endpoints, postgres, restoring, state
from nightshift.runtime.backups import Place
from nightshift.runtime.endpoints import any_free_port
from nightshift.runtime.stack import record
from nightshift.runtime.state import Record, Snapshot
from nightshift.stages import Platform, Try
from nightshift.types import content_sha256
from nightshift.warehouse import Warehouse, migrate, newest_revision, prediction_table
from tests.conftest import mlflow_server
from tests.integration.conftest import MODEL, SCORED, _admin, _beside

pytestmark = [
    pytest.mark.integration,
    # Of MLflow's own store, which a restore asks without a server.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    """What is backed up, and an empty place beside it on the same server."""

    platform: Platform
    place: Place
    empty: Place


@pytest.fixture
def shop(
    loop: Platform,
    mlflow_url: str,
    postgres_url: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    airflow = Database(_beside(postgres_url, f"airflow_{uuid4().hex}"))
    names = {name: f"{name}_{uuid4().hex}" for name in backups.ORDER}
    for name in (airflow.url.rpartition("/")[2], *names.values()):
        _admin(postgres_url, f"CREATE DATABASE {name}")
    airflow.execute("CREATE TYPE state AS ENUM ('paused'); CREATE TABLE dag (dag_id text, state state)")
    airflow.execute("INSERT INTO dag VALUES ('collect_weather', 'paused')")
    version = loop.registry.versions(MODEL)[0]
    [run] = tmp_path_factory.getbasetemp().glob(f"mlflow[0-9]*/artifacts/*/{version.run_id}")
    databases = {"warehouse": loop.warehouse.url, "mlflow": _beside(postgres_url, "mlflow_tests")}
    yield Shop(
        loop,
        Place(
            databases | {"airflow": airflow.url},
            {"objects": loop.objects.root, "mlflow-artifacts": str(run.parents[1])},
        ),
        Place(
            {name: _beside(postgres_url, database) for name, database in names.items()},
            {store: str(tmp_path / "new" / store) for store in ("objects", "mlflow-artifacts")},
        ),
    )
    for name in (airflow.url.rpartition("/")[2], *names.values()):
        _admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def predictions(platform: Platform) -> str:
    model = platform.project.model(MODEL)
    table = prediction_table(model, platform.project.feature_set(model.features))
    frame = platform.warehouse.read(table, SCORED.first, SCORED.last)
    return content_sha256(frame.drop(columns="run_id"))


@pytest.mark.timeout(900)
def test_what_was_destroyed_is_restored_verifies_and_scores_the_same(shop: Shop, tmp_path: Path) -> None:
    before = predictions(shop.platform)
    folder = tmp_path / "backup"
    name, _, new = backups.make(shop.place, folder, NOW)
    assert new > 0
    assert (folder.joinpath(name).stat().st_mode & 0o777, name) == (0o700, "20260101T120000Z")
    # Nothing of what follows may come from where it was.
    shutil.rmtree(shop.platform.objects.root)
    shop.platform.warehouse.execute("DROP SCHEMA predictions, features, raw CASCADE")
    found = restoring.restore(shop.empty, folder, *backups.read(folder), replace=False)
    assert (found.models, found.artifacts, found.snapshots, found.moved) == (1, 1, 1, ())
    assert Database(shop.empty.databases["airflow"]).rows("SELECT * FROM dag") == [
        {"dag_id": "collect_weather", "state": "paused"}
    ]
    store, artifacts = shop.empty.databases["mlflow"], shop.empty.stores["mlflow-artifacts"]
    with mlflow_server(store, artifacts, tmp_path) as url:
        restored = replace(
            shop.platform,
            warehouse=Warehouse(shop.empty.databases["warehouse"]),
            objects=Objects(shop.empty.stores["objects"]),
            registry=Registry(url),
        )
        assert predictions(restored) == before
        assert stages.verify_ledgers(restored, MODEL)["anchors"][MODEL] > 0
        restored.warehouse.execute(f"DELETE FROM predictions.{MODEL}")
        stages.score(restored, MODEL, SCORED, Try("after"))
        assert predictions(restored) == before
        assert stages.reproduce(restored, MODEL, None, Try("again"), reason="restored")["equal"]


def test_a_second_backup_copies_only_what_is_new(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    first, manifest, _ = backups.make(shop.place, folder, NOW)
    shop.platform.objects.put("reports/late_arrival/2013-02-05.html", b"<p>new")
    second, later, new = backups.make(shop.place, folder, NOW.replace(hour=13))
    assert new == 1
    assert later.files["objects"].keys() - manifest.files["objects"].keys() == {
        "reports/late_arrival/2013-02-05.html"
    }
    assert backups.read(folder)[0] == second
    assert backups.read(folder, first)[1] == manifest
    with pytest.raises(NotReady, match=f"known: {first}, {second}"):
        backups.read(folder, "yesterday")


def test_a_place_that_is_not_empty_and_a_damaged_backup_are_refused_before_anything_is_written(
    shop: Shop, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    name, manifest, _ = backups.make(shop.place, folder, NOW)
    before = predictions(shop.platform)
    with pytest.raises(NotReady, match="not empty: warehouse, mlflow, airflow, objects, mlflow-artifacts"):
        restoring.restore(shop.place, folder, name, manifest, replace=False)
    some = next(iter(manifest.files["objects"].values()))
    backups.content_path(folder, some.sha256).write_bytes(b"another")
    with pytest.raises(NotReady, match="the backup is damaged: .*" + some.sha256):
        restoring.restore(shop.empty, folder, name, manifest, replace=True)
    assert predictions(shop.platform) == before
    assert not Path(shop.empty.stores["objects"]).exists()


def test_a_restore_replaces_what_is_there_and_the_alias_follows_the_ledger(
    shop: Shop, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    # As if the alias had not been moved yet when MLflow's snapshot was taken.
    shop.platform.registry.withdraw(MODEL)
    name, manifest, _ = backups.make(shop.place, folder, NOW)
    restoring.restore(shop.empty, folder, name, manifest, replace=False)
    Objects(shop.empty.stores["objects"]).put("landed/weather/later.parquet", b"later")
    Database(shop.empty.databases["airflow"]).execute("DELETE FROM dag")
    found = restoring.restore(shop.empty, folder, name, manifest, replace=True)
    assert [words.partition(":")[0] for words in found.moved] == [MODEL]
    assert Registry(shop.empty.databases["mlflow"]).champion(MODEL) is not None
    assert Objects(shop.empty.stores["objects"]).find("landed/weather/later.parquet") is None
    assert len(Database(shop.empty.databases["airflow"]).rows("SELECT 1 FROM dag")) == 1
    snapshot = next(key for key in manifest.files["objects"] if key.startswith("snapshots/"))
    Objects(shop.empty.stores["objects"]).put(snapshot, b"mine")
    with pytest.raises(ArtifactRefused, match="not what was recorded"):
        restoring.verify(shop.empty)


def test_without_the_wheel_the_programs_of_path_must_be_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match="no pg_dump here: pip install"):
        postgres.program("pg_dump", 16)
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.9 (Debian 15.9-0+deb12u1)'\n")
    old.chmod(0o755)
    with pytest.raises(NotReady, match="put a newer one on PATH"):
        postgres.program("pg_dump", 16)
    assert postgres.program("pg_dump", 15) == old


def test_nothing_is_deleted_before_every_database_was_tried(
    shop: Shop, postgres_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    name, manifest, _ = backups.make(shop.place, folder, NOW)
    restoring.restore(shop.empty, folder, name, manifest, replace=False)
    airflow, source = shop.empty.databases["airflow"], Database(shop.place.databases["airflow"])
    guest, gone = f"guest_{uuid4().hex}", f"gone_{uuid4().hex}"
    for role in (guest, gone):
        _admin(postgres_url, f"CREATE ROLE {role} LOGIN PASSWORD 'guest'")
    source.execute(f"GRANT SELECT ON dag TO {gone}")
    name, manifest, _ = backups.make(shop.place, folder, NOW.replace(hour=13))
    source.execute(f"DROP OWNED BY {gone}")
    _admin(postgres_url, f"DROP ROLE {gone}")
    as_guest = make_url(airflow).set(username=guest, password="guest").render_as_string(hide_password=False)
    unreadable = folder / name / "airflow.dump"
    cases = [
        (_beside(airflow, "nowhere"), 'airflow: .*database "nowhere" does not exist'),
        (as_guest, "airflow: must be owner of table dag"),
        (airflow, f'airflow: role "{gone}" does not exist'),
        (airflow, "pg_restore failed: .*input file"),
    ]
    for url, said in cases:
        if "pg_restore" in said:
            unreadable.write_bytes(b"as it was written, but nothing that can be read")
            manifest = replace(
                manifest, dumps=manifest.dumps | {"airflow.dump": backups._content(unreadable)}
            )
        place = replace(shop.empty, databases=shop.empty.databases | {"airflow": url})
        with pytest.raises(NotReady, match=f"(?s){said}.*Nothing was deleted, nothing was written"):
            restoring.restore(place, folder, name, manifest, replace=True)
        restoring.verify(shop.empty)
        assert len(Database(airflow).rows("SELECT 1 FROM dag")) == 1
    _admin(postgres_url, f"DROP ROLE {guest}")


def test_a_backup_of_a_newer_engine_is_refused_before_anything_is_deleted(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    shop.platform.warehouse.execute("UPDATE catalog.migrations SET version_num = '9999'")
    name, manifest, _ = backups.make(shop.place, folder, NOW)
    shop.platform.warehouse.execute("UPDATE catalog.migrations SET version_num = %s", (newest_revision(),))
    before = predictions(shop.platform)
    with pytest.raises(NotReady, match=r"is at revision 9999.*\. Nothing was deleted, nothing was written"):
        restoring.restore(shop.place, folder, name, manifest, replace=True)
    assert predictions(shop.platform) == before


def test_what_follows_the_question_mark_of_an_address_is_not_its_database(shop: Shop, tmp_path: Path) -> None:
    queried = {
        name: f"{url}?application_name=nightly/ca.pem&sslmode=prefer"
        for name, url in shop.empty.databases.items()
    }
    name, manifest, _ = backups.make(shop.place, tmp_path / "backup", NOW)
    place = replace(shop.empty, databases=queried)
    assert restoring.restore(place, tmp_path / "backup", name, manifest, replace=True).models == 1


def test_a_database_of_an_older_mlflow_is_brought_up_to_date(shop: Shop, tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    folder = tmp_path / "backup"
    restoring.restore(shop.empty, folder, *backups.make(shop.place, folder, NOW)[:2], replace=False)
    url = shop.empty.databases["mlflow"]
    revision = "SELECT version_num FROM alembic_version"
    newest = Database(url).rows(revision)
    command.downgrade(_get_alembic_config(url), "-1")
    assert Database(url).rows(revision) != newest
    older, manifest, _ = backups.make(shop.empty, folder, NOW.replace(hour=13))
    assert restoring.restore(shop.empty, folder, older, manifest, replace=True).models == 1
    assert Database(url).rows(revision) == newest


Home = Callable[[str], Path]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Choose a home folder, by name, that commands are about from then on."""
    for variable in NAMED.values():
        monkeypatch.delenv(variable, raising=False)
    for service in endpoints.PREFERRED:
        monkeypatch.setenv(f"NIGHTSHIFT_{service.upper()}_PORT", str(any_free_port()))
    chosen = set()

    def choose(name: str) -> Path:
        chosen.add(tmp_path / name)
        monkeypatch.setenv("NIGHTSHIFT_HOME", str(tmp_path / name))
        return tmp_path / name

    yield choose
    for folder in chosen:
        shutil.rmtree(postgres.shelter(folder), ignore_errors=True)


def settled(home: Path) -> None:
    """Have a home with a row and a file that say whose they are."""
    with alone.server(home) as runtime:
        migrate(runtime.warehouse_url)
        airflow = Database(runtime.airflow_database_url)
        airflow.execute("CREATE TABLE dag (dag_id text)")
        airflow.execute("INSERT INTO dag VALUES (%s)", (home.name,))
    Objects(str(home / "objects")).put("reports/late_arrival/2013-02-05.html", home.name.encode())


def held(home: Path) -> tuple[str, bytes | None, dict]:
    with alone.server(home) as runtime:
        [row] = Database(runtime.airflow_database_url).rows("SELECT dag_id FROM dag")
    file = Objects(str(home / "objects")).find("reports/late_arrival/2013-02-05.html")
    return row["dag_id"], file, json.loads((home / "credentials.json").read_text())


def test_what_a_killed_supervisor_left_running_is_backed_up_and_not_restored_over(
    home: Home, tmp_path: Path
) -> None:
    command, folder, ours = CliRunner(), str(tmp_path / "backup"), home("ours")
    settled(ours)
    with alone.server(ours) as runtime:
        [server, *_] = (postgres.prepare(ours, "").data / "postmaster.pid").read_text().split()
        left = {"postgres": record(int(server)), "scheduler": record(os.getpid())}
        state.write_snapshot(Snapshot(runtime, "ready", supervisor=Record(1, 0, 0.0), components=left))
        made = command.invoke(app, ["backup", folder])
        assert made.exit_code == 0, made.output
        refused = command.invoke(app, ["restore", folder, "--replace", "--yes"])
        assert refused.exit_code == 1
        said = " ".join(refused.output.split())
        assert (
            "supervisor is gone, but postgres, scheduler still run here; stop it with `nightshift down`"
            in said
        )
        state.write_snapshot(Snapshot(runtime, "stopped"))
    assert held(ours)[0] == "ours"


def test_a_home_keeps_its_key_unless_the_backup_is_whole(home: Home, tmp_path: Path) -> None:
    command, folder = CliRunner(), str(tmp_path / "backup")
    theirs = home("theirs")
    settled(theirs)
    assert command.invoke(app, ["backup", folder]).exit_code == 0
    ours = home("ours")
    settled(ours)
    before = held(ours)
    [secrets], [dump] = (Path(folder).glob(f"*/{name}") for name in ("secrets.json", "airflow.dump"))
    for damaged in (secrets, dump):
        whole = damaged.read_bytes()
        damaged.write_bytes(whole.replace(b"fernet_key", b"fernet_kex") + b" ")
        refused = command.invoke(app, ["restore", folder, "--replace", "--yes"])
        assert (refused.exit_code, "the backup is damaged" in refused.output) == (1, True), refused.output
        assert held(ours) == before
        assert not (ours / "credentials.json.before").exists()
        damaged.write_bytes(whole)
    done = command.invoke(app, ["restore", folder, "--replace", "--yes"])
    assert done.exit_code == 0, done.output
    key = json.loads((theirs / "credentials.json").read_text())["fernet_key"]
    assert held(ours) == ("theirs", b"theirs", before[2] | {"fernet_key": key})
    kept = ours / "credentials.json.before"
    assert (json.loads(kept.read_text()), kept.stat().st_mode & 0o777) == (before[2], 0o600)


def test_a_home_with_credentials_and_without_rows_takes_over_the_key(home: Home, tmp_path: Path) -> None:
    command, folder = CliRunner(), str(tmp_path / "backup")
    theirs = home("theirs")
    settled(theirs)
    assert command.invoke(app, ["backup", folder]).exit_code == 0
    ours = home("ours")
    with alone.server(ours):
        pass  # `nightshift up` that was ended before it made a table
    done = command.invoke(app, ["restore", folder])
    assert done.exit_code == 0, done.output
    row, file, known = held(ours)
    kept = json.loads((theirs / "credentials.json").read_text())
    assert (row, file) == ("theirs", b"theirs")
    its_own = {name: known[name] for name in ("postgres", "installation")}
    assert known == kept | its_own, (
        "the server's administrator is who made its data; whose the roles are stays too"
    )


def test_the_commands_back_up_a_stopped_stack_and_restore_it_into_a_new_home(
    home: Home, tmp_path: Path
) -> None:
    old = home("old")
    with alone.server(old) as runtime:
        migrate(runtime.warehouse_url)
        Database(runtime.airflow_database_url).execute("CREATE TABLE dag (dag_id text)")
        Objects(str(old / "objects")).put("reports/late_arrival/2013-02-05.html", b"<p>kept")
    command = CliRunner()
    made = command.invoke(app, ["backup", str(tmp_path / "backup")])
    assert made.exit_code == 0, made.output
    assert "3 databases and 1 files" in made.output
    new = home("new home")
    done = command.invoke(app, ["restore", str(tmp_path / "backup")])
    assert done.exit_code == 0, done.output
    assert "not empty: warehouse, " in command.invoke(app, ["restore", str(tmp_path / "backup")]).output
    with alone.server(new) as runtime:
        assert Database(runtime.airflow_database_url).rows("SELECT count(*) AS n FROM dag") == [{"n": 0}]
        # With the login of a stage: what it may do was restored with the tables.
        reader = Database(runtime.warehouse_as("reader"))
        assert reader.rows("SELECT count(*) AS n FROM catalog.retired") == [{"n": 0}]
        with pytest.raises(WarehouseRefused, match="permission denied"):
            reader.execute("SELECT catalog.make_table('raw', 'x', '{a}', '{text}', '{}', '{a}', false)")
    keys = [json.loads((each / "credentials.json").read_text())["fernet_key"] for each in (old, new)]
    assert keys[0] == keys[1], "what Airflow has encrypted can be read"
