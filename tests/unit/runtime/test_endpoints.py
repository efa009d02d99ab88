"""Ports are kept, foreign ones avoided; the environment holds Airflow's configuration and nothing foreign."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import pytest
import yaml

from examples.nyc_flights.local import weather_folder
from nightshift.errors import NotReady
from nightshift.root import ROOT
from nightshift.runtime import components, configuration, credentials, endpoints
from nightshift.runtime.state import Runtime
from nightshift.specs.derived import ROLES

PORTS = {"airflow": 18081, "mlflow": 15001, "aircraft": 18091, "postgres": 15433}


@pytest.fixture(autouse=True)
def _no_choice_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in endpoints.PREFERRED:
        monkeypatch.delenv(f"NIGHTSHIFT_{service.upper()}_PORT", raising=False)
    monkeypatch.delenv("NIGHTSHIFT_DATABASE_URL", raising=False)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return endpoints.arrange(tmp_path, credentials.Credentials(added={"ops": "a word"}), PORTS)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((endpoints.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_remembered_port_is_kept() -> None:
    port = endpoints.any_free_port()
    assert endpoints.choose_ports({"mlflow": port})["mlflow"] == port


def test_a_remembered_port_that_somebody_took_is_given_up(taken: int) -> None:
    assert endpoints.choose_ports({"mlflow": taken})["mlflow"] != taken


def test_a_port_on_which_our_own_process_listens_is_kept(taken: int) -> None:
    assert endpoints.choose_ports({"mlflow": taken}, frozenset({taken}))["mlflow"] == taken


def test_preferred_ports_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "is_free", lambda port: True)
    assert endpoints.choose_ports({}) == endpoints.PREFERRED


def test_taken_preferred_ports_are_replaced_by_different_free_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "is_free", lambda port: False)
    chosen = endpoints.choose_ports({})
    assert not set(chosen.values()) & set(endpoints.PREFERRED.values())


def test_a_free_port_is_none_that_an_outgoing_connection_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    first = int(endpoints.OUTGOING.read_text().split()[0])
    assert first > endpoints.LOWEST
    assert all(endpoints.LOWEST <= endpoints.any_free_port() < first for _ in range(20))
    monkeypatch.setattr(endpoints, "OUTGOING", Path("/nowhere"))
    monkeypatch.setattr(endpoints, "is_free", lambda port: False)
    assert endpoints.any_free_port() > 0


def test_a_service_of_the_project_has_a_port_like_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(endpoints, "is_free", lambda port: True)
    chosen = endpoints.choose_ports({}, added={"fare-desk": 8123})
    assert chosen == {**endpoints.PREFERRED, "fare-desk": 8123}
    runtime = endpoints.arrange(tmp_path, credentials.Credentials(added={"fares": "aword"}), chosen)
    assert runtime.services == {"fare-desk": "http://127.0.0.1:8123"}
    assert runtime.databases == {"fares": "postgresql://fares:aword@127.0.0.1:54320/fares"}
    assert endpoints.ports_of(runtime) == chosen
    monkeypatch.setenv("NIGHTSHIFT_FARE_DESK_PORT", "eighty")
    with pytest.raises(NotReady, match="NIGHTSHIFT_FARE_DESK_PORT: 'eighty' is not a port"):
        endpoints.choose_ports({}, added={"fare-desk": 8123})


def test_the_environment_chooses_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    port = endpoints.any_free_port()
    monkeypatch.setenv("NIGHTSHIFT_AIRFLOW_PORT", str(port))
    assert endpoints.choose_ports({"airflow": 1})["airflow"] == port


def test_a_port_asked_for_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setenv("NIGHTSHIFT_AIRFLOW_PORT", str(taken))
    with pytest.raises(NotReady, match=f"NIGHTSHIFT_AIRFLOW_PORT.*{taken}"):
        endpoints.choose_ports({})
    assert endpoints.choose_ports({}, frozenset({taken}))["airflow"] == taken


@pytest.mark.parametrize("asked", ["eighty", "-1", "0", "65536", "80 "])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("NIGHTSHIFT_AIRFLOW_PORT", asked)
    with pytest.raises(NotReady, match="is not a port"):
        endpoints.choose_ports({})


def test_ports_can_be_read_back(runtime: Runtime) -> None:
    assert endpoints.ports_of(runtime) == PORTS


def test_each_database_has_its_own_role(runtime: Runtime) -> None:
    assert runtime.warehouse_url.startswith("postgresql://warehouse:")
    assert runtime.warehouse_url.endswith("@127.0.0.1:15433/warehouse")
    passwords = {
        url.partition("@")[0].rpartition(":")[2]
        for url in (
            runtime.warehouse_url,
            runtime.databases["ops"],
            runtime.airflow_database_url,
            runtime.mlflow_database_url,
        )
    }
    assert len(passwords) == 4


def test_a_given_server_wins_over_the_embedded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "NIGHTSHIFT_DATABASE_URL", "postgresql+psycopg2://root:s%40crt@db.example:6000/postgres"
    )
    runtime = endpoints.arrange(tmp_path, credentials.Credentials(), PORTS)
    assert runtime.postgres_port is None
    assert runtime.admin_database_url == "postgresql://root:s%40crt@db.example:6000/postgres"
    assert runtime.warehouse_url.endswith("@db.example:6000/warehouse")
    assert "postgres" not in endpoints.ports_of(runtime)


def test_tasks_are_told_who_must_answer_of_a_given_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}
    monkeypatch.setenv(
        "NIGHTSHIFT_DATABASE_URL",
        "postgresql://root:s@db.example/postgres?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    )
    runtime = endpoints.arrange(tmp_path, credentials.Credentials(), PORTS)
    told = configuration.connections(runtime)
    assert {name: parts.get("extra") for name, parts in told.items()} == {
        **{f"warehouse_{role}": who for role in ROLES},
        "mlflow": None,
    }


def test_no_component_has_an_owners_login_in_its_environment(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("NIGHTSHIFT_DATABASE_URL", "NIGHTSHIFT_WAREHOUSE_URL"):
        monkeypatch.setenv(variable, "postgresql://owner:canary@elsewhere/warehouse")
    assert not any("canary" in value for value in configuration.environment(runtime).values())


def test_airflow_is_configured_as_the_design_says(runtime: Runtime) -> None:
    environment = configuration.environment(runtime)
    expected = {
        "AIRFLOW_HOME": str(runtime.home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,olga:op,vic:viewer",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": "18081",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "GX_ANALYTICS_ENABLED": "false",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "include"),
        "NIGHTSHIFT_INCLUDE": str(ROOT / "include"),
    }
    assert {key: environment.get(key) for key in expected} == expected


def test_the_environment_of_components_holds_no_secret(runtime: Runtime) -> None:
    drawn = credentials.Credentials()
    environment = configuration.environment(runtime)
    told = {name: configuration.secrets_of(name, runtime, drawn) for name in configuration.SECRETS}
    values = {value for secrets in told.values() for value in secrets.values()}
    values |= {value for value in asdict(drawn).values() if isinstance(value, str)}
    values |= {runtime.mlflow_password, *runtime.passwords.values()}
    assert [name for name, value in environment.items() if any(secret in value for secret in values)] == []
    assert "@" not in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_each_component_is_told_what_it_needs_and_no_more(runtime: Runtime) -> None:
    told = {
        component.name: set(configuration.secrets_of(component.name, runtime, credentials.Credentials()))
        for component in components.table().values()
    }
    database, fernet = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY"
    jwt, sessions = "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"
    assert {name: names for name, names in told.items() if names} == {
        "metadata": {database, fernet},
        "api-server": {database, fernet, jwt, sessions},
        "scheduler": {database, fernet, jwt},
        "dag-processor": {database, fernet},
        "triggerer": {database, fernet},
        "mlflow": {
            "MLFLOW_BACKEND_STORE_URI",
            "MLFLOW_AUTH_ADMIN_PASSWORD",
            "MLFLOW_FLASK_SERVER_SECRET_KEY",
        },
    }


def test_a_run_id_ends_where_it_seems_to(runtime: Runtime) -> None:
    pattern = configuration.environment(runtime)["AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"]
    assert re.match(pattern, "train_late_arrival.2013-02-08T00:30:00+00:00~1")
    assert not re.match(pattern, "manual\n")
    assert not re.match(pattern, "manual run")


def test_production_is_configured_as_the_local_stack_is(runtime: Runtime) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["x-airflow-environment"]
    environment = configuration.environment(runtime)
    for key in ("AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN", "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES"):
        assert compose[key] == environment[key]


def test_every_airflow_option_we_set_exists(runtime: Runtime) -> None:
    from airflow.configuration import conf

    # What Airflow reads without describing it in its configuration file.
    undescribed = {"usage_data_collection": {"enabled"}}
    known = conf.configuration_description
    unknown = []
    for key in configuration.environment(runtime) | dict.fromkeys(chain(*configuration.SECRETS.values())):
        parts = key.lower().split("__")
        if parts[0] == "airflow" and len(parts) == 3:
            section, option = parts[1:]
            described = known.get(section, {}).get("options", {}).keys() | undescribed.get(section, set())
            unknown += [key] if option not in described else []
    assert unknown == []


def test_a_surrounding_airflow_does_not_leak_in(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "99")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgresql://elsewhere/warehouse")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "foreign")
    monkeypatch.setenv("NIGHTSHIFT_DATABASE_URL", "postgresql://root:secret@db/postgres")
    environment = configuration.environment(runtime)
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "6"
    for key in ("AIRFLOW_CONN_WAREHOUSE", "MLFLOW_TRACKING_TOKEN", "NIGHTSHIFT_DATABASE_URL"):
        assert key not in environment


def test_whom_metrics_and_events_are_told_is_set_from_outside(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__NIGHTSHIFT__EVENTS": "stdout",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    for key, value in told.items():
        monkeypatch.setenv(key, value)
    assert told.items() <= configuration.environment(runtime).items()


def test_connections_carry_the_local_endpoints(runtime: Runtime) -> None:
    laid_over = components.connections(runtime, components.extension())
    assert laid_over["warehouse_score"]["port"] == 15433
    assert laid_over["warehouse_score"]["login"] == "nightshift_score"
    assert str(laid_over["warehouse_score"]["password"]) in runtime.warehouse_as("score")
    owner = runtime.warehouse_url.partition("://warehouse:")[2].partition("@")[0]
    assert owner not in str(laid_over), "tasks have no way to the owner's login"
    assert laid_over["mlflow"] == {
        "host": "127.0.0.1",
        "port": 15001,
        "schema": "http",
        "login": "nightshift",
        "password": runtime.mlflow_password,
    }
    assert json.loads(str(laid_over["weather_files"]["extra"])) == {"path": str(weather_folder(runtime))}
