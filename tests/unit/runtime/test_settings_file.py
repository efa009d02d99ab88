"""airflow_settings.yaml: read strictly, laid over with local endpoints, free of secrets."""

from pathlib import Path

import pytest

from nightshift.errors import SpecError
from nightshift.root import ROOT
from nightshift.runtime import components, credentials, endpoints, settings_file
from nightshift.runtime.settings_file import Connection

PROJECT_FILE = ROOT / "airflow_settings.yaml"


def test_project_file_declares_what_the_sources_use_and_no_password() -> None:
    settings = settings_file.read(PROJECT_FILE)
    names = {c.conn_id for c in settings.connections}
    assert {"warehouse_collect", "warehouse_score", "mlflow", "ops", "weather_files", "aircraft_api"} <= names
    assert not any(c.conn_password or c.conn_uri for c in settings.connections)
    assert {p.pool_name: p.pool_slot for p in settings.pools}["training"] == 1


def test_everything_the_runtime_lays_over_is_declared(tmp_path: Path) -> None:
    ports = {"airflow": 1, "mlflow": 2, "aircraft": 3, "postgres": 4}
    runtime = endpoints.arrange(tmp_path, credentials.Credentials(added={"ops": "a"}), ports)
    declared = {c.conn_id for c in settings_file.read(PROJECT_FILE).connections}
    assert components.connections(runtime, components.extension()).keys() <= declared


def test_local_endpoint_wins_and_the_rest_stays() -> None:
    declared = Connection(
        conn_id="w", conn_type="postgres", conn_host="far", conn_port="5432", conn_schema="s"
    )
    merged = settings_file.overlay(declared, {"host": "127.0.0.1", "port": 9, "password": "p"})
    assert (merged["conn_type"], merged["schema"]) == ("postgres", "s")
    assert (merged["host"], merged["port"], merged["password"]) == ("127.0.0.1", 9, "p")


def test_empty_keys_mean_not_set() -> None:
    merged = settings_file.overlay(Connection(conn_id="w", conn_type="fs", conn_port="", conn_login=""), {})
    assert merged["conn_type"] == "fs"
    assert all(value is None for key, value in merged.items() if key != "conn_type")


def test_astro_template_with_nulls_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text("airflow:\n  connections:\n  pools:\n  variables:\n")
    assert settings_file.read(path) == settings_file.Settings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("airflow: {connections: [{conn_id: a, conn_hsot: b}]}", "connections.0.conn_hsot"),
        ("airflow: {pools: [{pool_name: a, pool_slot: -1}]}", "pools.0.pool_slot"),
        ("airflow: {variabels: []}", "variabels"),
        ("airfolw: {}", "airfolw"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=complaint) as caught:
        settings_file.read(path)
    assert str(path) in str(caught.value)
