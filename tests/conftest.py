"""Real servers for the tests: PostgreSQL and MLflow, started once a session, each test in a database of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg2
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Importing Airflow makes its home: not in the home of whoever runs the tests. Emptied when they end.
AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="nightshift-airflow-")
os.environ["AIRFLOW_HOME"] = AIRFLOW_HOME.name
# As the launcher sets it for tasks, before NumPy is imported: threads that spin beside others take ten times as long.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
PASSWORD = "test"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
START_SECONDS = 240
# Nobody keeps these databases: what a commit would wait for costs three quarters of each copy of one.
IN_MEMORY = [
    part for name in ("fsync", "full_page_writes", "synchronous_commit") for part in ("-c", f"{name}=off")
]


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """Return a browser without a page; it is installed where it is missing and may be. It asks no host by itself."""
    import browser
    from playwright.sync_api import sync_playwright

    if browser.find() is None and browser.can_install():
        browser.install()
    path = browser.find()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium, and it cannot be installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the administrator's URL of a real, empty PostgreSQL server."""
    from nightshift.runtime import postgres
    from nightshift.runtime.endpoints import any_free_port

    home = tmp_path_factory.mktemp("postgres")
    server = postgres.prepare(home, PASSWORD)
    port = any_free_port()
    log = (home / "postgres.log").open("wb")
    process = subprocess.Popen(
        [*server.command(port), *IN_MEMORY],
        stdout=log,
        stderr=log,
        start_new_session=True,
        **server.account.identity,
    )
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"
    try:
        _until(lambda: _answers(url), process, home / "postgres.log")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        log.close()
        # As root the data may lie elsewhere, where an unprivileged account can reach it.
        shutil.rmtree(postgres.shelter(home), ignore_errors=True)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """Return the URL of an empty database of this test's own."""
    with _database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(postgres_url: str) -> str:
    """Return the name of a database with the fixed tables, which is copied: to migrate takes four times as long."""
    from nightshift.warehouse import migrate

    _run(postgres_url, "CREATE DATABASE migrated")
    migrate(postgres_url.rpartition("/")[0] + "/migrated")
    return "migrated"


@pytest.fixture(scope="module")
def shared_url(postgres_url: str, _migrated: str) -> Iterator[str]:
    """Return the URL of a migrated, empty database that a module's tests share."""
    with _database(postgres_url, f"TEMPLATE {_migrated}") as url:
        yield url


@pytest.fixture
def warehouse(postgres_url: str, _migrated: str):
    """Return a migrated, empty warehouse."""
    from nightshift.warehouse import Warehouse

    with _database(postgres_url, f"TEMPLATE {_migrated}") as url:
        made = Warehouse.keeping(url)
        yield made
        made.rest()


@pytest.fixture(scope="session")
def mlflow_url(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a real MLflow server on PostgreSQL."""
    folder = tmp_path_factory.mktemp("mlflow")
    _run(postgres_url, "CREATE DATABASE mlflow_tests")
    store = postgres_url.rpartition("/")[0] + "/mlflow_tests"
    with mlflow_server(store, str(folder / "artifacts"), folder) as url:
        yield url


@contextmanager
def mlflow_server(store: str, artifacts: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a real MLflow server on a database and a folder of files; its log lies in ``folder``."""
    from nightshift.runtime.endpoints import any_free_port

    port = any_free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", store, "--artifacts-destination", artifacts, "--workers", "1"]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env=quiet, cwd=folder
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: _healthy(url), process, folder / "mlflow.log")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


@dataclass(frozen=True)
class Upstream:
    """The example's upstream systems, seeded and served."""

    ops_url: str
    weather_folder: Path
    aircraft_port: int


@pytest.fixture(scope="session")
def upstream(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Return the flights, weather and aircraft of 2013, as the demo's upstream serves them."""
    from threading import Thread

    from examples.nyc_flights import upstream as example

    _run(postgres_url, "CREATE DATABASE ops_tests")
    ops_url = postgres_url.rpartition("/")[0] + "/ops_tests"
    weather = tmp_path_factory.mktemp("weather")
    example.seed(ops_url, weather)
    service = example.service(0)
    thread = Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield Upstream(ops_url, weather, service.server_address[1])
    service.shutdown()
    service.server_close()


@pytest.fixture(scope="session")
def connections(upstream: Upstream) -> dict:
    """Return the example's connections by id."""
    return connections_of(upstream)


@pytest.fixture
def platform(warehouse, mlflow_url: str, upstream: Upstream, tmp_path: Path):
    """Return what stages work with: this repository's specs, an empty warehouse, the real upstream.

    Model names are those of the specs: tests that share MLflow tell their versions apart by run.
    """
    from nightshift.objects import Objects
    from nightshift.registry import Registry
    from nightshift.specs import load_project
    from nightshift.stages import Platform

    connections = connections_of(upstream)
    return Platform(
        project=load_project(),
        warehouse=warehouse,
        registry=Registry(mlflow_url),
        objects=Objects(str(tmp_path / "objects")),
        connection=connections.__getitem__,
    )


def connections_of(upstream: Upstream) -> dict:
    """Return the example's connections by id."""
    import sqlalchemy

    from nightshift.collect import Connection

    def connection(name: str, kind: str, **more) -> Connection:
        empty = dict.fromkeys(("host", "port", "login", "password", "schema", "engine"))
        return Connection(**{"id": name, "kind": kind, "extra": {}, **empty, **more})

    driver_url = upstream.ops_url.replace("postgresql:", "postgresql+psycopg2:", 1)
    return {
        "ops": connection("ops", "postgres", engine=lambda: sqlalchemy.create_engine(driver_url)),
        "weather_files": connection("weather_files", "fs", extra={"path": str(upstream.weather_folder)}),
        "aircraft_api": connection(
            "aircraft_api", "http", host="127.0.0.1", port=upstream.aircraft_port, schema="http"
        ),
    }


@pytest.fixture
def collected(platform) -> Callable[[date, date], None]:
    """Return a function that collects every source and builds the features of a range of nights."""
    from nightshift import stages
    from nightshift.calendar import DateRange

    def collect(first: date, last: date) -> None:
        nights, asked = DateRange(first, last), stages.Try("history")
        for source in platform.project.sources:
            stages.collect(platform, source, nights, asked)
            stages.validate(platform, source, nights, asked)
        for feature_set in platform.project.feature_sets:
            stages.build_features(platform, feature_set, nights, asked)

    return collect


@contextmanager
def _database(postgres_url: str, made: str = "") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    _run(postgres_url, f"CREATE DATABASE {name} {made}")
    yield postgres_url.rpartition("/")[0] + f"/{name}"
    _run(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _run(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _answers(url: str) -> bool:
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def _healthy(url: str) -> bool:
    from nightshift.runtime.health import fetch

    return fetch(f"{url}/health", timeout=2) is not None


def _until(ready: Callable[[], bool], process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{log.name}: not up\n{log.read_text()[-2000:]}")
        time.sleep(0.1)
