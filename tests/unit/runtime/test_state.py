"""What is remembered, and that nobody else can read it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nightshift.errors import NotReady
from nightshift.root import ROOT
from nightshift.runtime import credentials, endpoints, state
from nightshift.runtime.state import Record, Runtime, Snapshot


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    ports = {"airflow": 1, "mlflow": 2, "aircraft": 3, "postgres": 4}
    return endpoints.arrange(tmp_path, credentials.Credentials(), ports)


def test_snapshot_survives_the_round_trip(runtime: Runtime) -> None:
    written = Snapshot(
        runtime=runtime,
        phase="ready",
        supervisor=Record(7, 70, 1.5),
        components={"scheduler": Record(8, 80, 2.5, healthy=True, restarts=3)},
        well=["scheduler", "databases"],
    )
    state.write_snapshot(written)
    assert state.read_snapshot(runtime.home) == written
    assert state.load(runtime.home) == runtime


def test_state_is_readable_by_its_owner_only(runtime: Runtime) -> None:
    state.write_snapshot(Snapshot(runtime))
    assert (runtime.home / "runtime.json").stat().st_mode & 0o777 == 0o600


def test_rewriting_tightens_a_file_that_was_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.write_text("old")
    path.chmod(0o644)
    state.write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "{}", '{"runtime": {"home": 1}}', "[]"])
def test_unreadable_state_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "runtime.json").write_text(content)
    assert state.read_snapshot(tmp_path) is None


def test_loading_what_was_never_started_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="nightshift up"):
        state.load(tmp_path)


def test_runtime_does_not_show_airflow_passwords(runtime: Runtime) -> None:
    assert runtime.admin_password not in repr(runtime)


def test_home_is_in_the_repository_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NIGHTSHIFT_HOME", raising=False)
    assert state.home() == ROOT / ".nightshift"
    assert (ROOT / "dags").is_dir()
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(tmp_path))
    assert state.home() == tmp_path


def test_credentials_are_drawn_once_and_private(tmp_path: Path) -> None:
    first = credentials.keep(tmp_path)
    assert credentials.keep(tmp_path) == first
    assert credentials.keep(tmp_path) != credentials.Credentials()
    for name in ("credentials.json", "airflow-passwords.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "airflow-passwords.json").read_text()) == first.users


def test_a_database_of_the_project_has_a_password_while_the_project_adds_it(tmp_path: Path) -> None:
    added = credentials.keep(tmp_path, ["fares"]).added
    assert credentials.keep(tmp_path, ["fares", "ops"]).added["fares"] == added["fares"]
    assert credentials.keep(tmp_path).added == {}


def test_a_credential_of_an_older_version_is_let_go(tmp_path: Path) -> None:
    first = credentials.keep(tmp_path)
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ops": "a word"}))
    assert credentials.keep(tmp_path) == first
    assert "ops" not in json.loads(path.read_text())


def test_a_missing_credential_is_added_and_the_others_stay(tmp_path: Path) -> None:
    first = credentials.keep(tmp_path)
    path = tmp_path / "credentials.json"
    known = json.loads(path.read_text())
    del known["vic"]
    path.write_text(json.dumps(known))
    second = credentials.keep(tmp_path)
    assert second.vic != first.vic
    assert replace(second, vic=first.vic) == first


def test_credentials_do_not_show_in_a_trace() -> None:
    drawn = credentials.Credentials()
    assert drawn.admin not in repr(drawn)
    assert drawn.fernet_key not in repr(drawn)
