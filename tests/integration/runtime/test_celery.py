"""Production as docker-compose.yaml says it, without containers: Redis, two Celery workers, FAB; nights, and faults."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from signal import SIGINT
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from integration.containers import Compose, Container, path, values_of

from examples.nyc_flights import upstream as example
from nightshift.calendar import DateRange
from nightshift.root import ROOT
from nightshift.runtime import postgres
from nightshift.runtime.api import Client
from nightshift.runtime.endpoints import any_free_port
from nightshift.specs import load_project
from nightshift.warehouse import Warehouse
from tests.conftest import _answers, _until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]

# Its spec says approval: required, approvers: admin and olga.
MODEL = "arrival_delay"
HISTORY = [
    DateRange(date(2013, 1, 2), date(2013, 3, 4)),
    DateRange(date(2013, 4, 25), date(2013, 6, 27)),
]
CHAMPION_AS_OF = date(2013, 3, 4)
NIGHTS = [date(2013, 6, 28), date(2013, 6, 29), date(2013, 6, 30)]
SECONDS = 900
WORKERS = ("airflow-worker-1", "airflow-worker-2")
OLGA = "4f1c09ad77e25b3860d1"


@dataclass
class Production:
    """The services that run, Airflow's API as admin and as olga, and the warehouse as its owner."""

    compose: Compose
    services: dict[str, Container]
    admin: Client
    olga: Client
    warehouse: Warehouse
    admin_url: str

    def ended(self, dag_id: str, run: dict[str, Any]) -> None:
        told = self.admin.failure(dag_id, run["dag_run_id"]) if run["state"] != "success" else ""
        assert run["state"] == "success", f"{dag_id}, {run['dag_run_id']}: {told}"

    def all(self, dag_ids: list[str], **how: Any) -> None:
        started = {dag_id: self.admin.trigger(dag_id, **how) for dag_id in dag_ids}
        for dag_id, run_id in started.items():
            self.ended(dag_id, self.admin.wait(dag_id, run_id, SECONDS))

    def history(self, nights: DateRange) -> None:
        dates = {"batch_date": str(nights.first), "until": str(nights.last)}
        conf = {**dates, "downstream": "leave", "reason": "history"}
        self.all(collections(), conf=conf)
        self.all(["features_departure"], conf=conf)

    def night(self, night: date) -> None:
        """Start what the cron starts; the rest follows by assets."""
        self.all([*collections(), f"retrain_{MODEL}"], partition_key=str(night))

    def sql(self, statement: str) -> None:
        connection = psycopg2.connect(self.admin_url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()


def collections() -> list[str]:
    return [f"collect_{source}" for source in load_project().sources_of(MODEL)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """Return the values of .env and the administrator's URL of a PostgreSQL where the first-start scripts ran."""
    folder = tmp_path_factory.mktemp("production")
    weather, port = folder / "volumes" / "weather", any_free_port()
    values = values_of(
        folder,
        OPS_CONNECTION=f"postgres://ops_reader:{OLGA}@127.0.0.1:{port}/ops",
        AIRCRAFT_API_CONNECTION=f"http://127.0.0.1:{any_free_port()}/http",
        WEATHER_FOLDER=str(weather),
        NIGHTSHIFT_FOLDER=str(folder),
    )
    home = tmp_path_factory.mktemp("postgres")
    prepared = postgres.prepare(home, values["POSTGRES_PASSWORD"])
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(
            prepared.command(port),
            stdout=log,
            stderr=log,
            start_new_session=True,
            **prepared.account.identity,
        )
    url = f"postgresql://postgres:{values['POSTGRES_PASSWORD']}@127.0.0.1:{port}/postgres"
    try:
        _until(lambda: _answers(url), process, folder / "postgres.log")
        told = {"PATH": path(), "PGHOST": "127.0.0.1", "PGPORT": str(port), "POSTGRES_USER": "postgres"}
        for script in ("10-databases.sh", "20-logins.sh"):
            subprocess.run(
                ["bash", ROOT / "deploy/postgres" / script],
                env=values | told | {"PGPASSWORD": values["POSTGRES_PASSWORD"]},
                check=True,
                capture_output=True,
            )
        _upstream(url, weather)
        yield values, url
    finally:
        process.send_signal(SIGINT)
        process.wait(60)
        # As root the data may lie elsewhere, where an unprivileged account can reach it.
        shutil.rmtree(postgres.shelter(home), ignore_errors=True)


def _upstream(url: str, weather: Path) -> None:
    """Make the airline's database and weather files, and a login that reads them."""
    weather.mkdir(parents=True)
    ops = url.rpartition("/")[0] + "/ops"
    for where, statement in (
        (url, "CREATE DATABASE ops"),
        (url, f"CREATE ROLE ops_reader LOGIN PASSWORD '{OLGA}' IN ROLE pg_read_all_data"),
    ):
        connection = psycopg2.connect(where)
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()
    example.seed(ops, weather)


@pytest.fixture(scope="module")
def production(server: tuple[dict[str, str], str]) -> Iterator[Production]:
    from threading import Thread

    values, url = server
    register = example.service(urlsplit(values["AIRCRAFT_API_CONNECTION"]).port)
    Thread(target=register.serve_forever, daemon=True).start()
    compose = Compose(Path(values["NIGHTSHIFT_FOLDER"]), values, urlsplit(url).port)
    try:
        services = {
            name: compose.up(name)
            for name in (
                "redis",
                "mlflow",
                "airflow-init",
                "airflow-apiserver",
                "airflow-scheduler",
                "airflow-dag-processor",
                "airflow-triggerer",
            )
        }
        services |= {name: compose.up("airflow-worker", name) for name in WORKERS}
        airflow = f"http://127.0.0.1:{compose.ports['airflow-apiserver']}"
        owner = f"postgresql://warehouse:{values['WAREHOUSE_DB_PASSWORD']}@127.0.0.1:{urlsplit(url).port}/warehouse"
        with (
            Client(airflow, values["AIRFLOW_ADMIN_PASSWORD"], timeout=120) as admin,
            Client(airflow, OLGA, "olga", timeout=120) as olga,
        ):
            add_approver(admin)
            switch_on(admin)
            yield Production(compose, services, admin, olga, Warehouse(owner), url)
    finally:
        compose.down()
        register.shutdown()
        register.server_close()


def add_approver(admin: Client) -> None:
    """Add olga, by FAB's own API."""
    admin.health()
    admin.request("GET", "/dags", params={"limit": 1})  # logs in
    body = {
        "username": "olga",
        "email": "olga@localhost",
        "first_name": "Olga",
        "last_name": "Op",
        "password": OLGA,
        "roles": [{"name": "Op"}],
    }
    admin._http.post("/auth/fab/v1/users", json=body).raise_for_status()


def switch_on(admin: Client) -> None:
    """Switch on what the nights of the model need: production begins with all DAGs paused."""
    dags = {
        *collections(),
        "features_departure",
        *(f"{s}_{MODEL}" for s in ("score", "monitor", "retrain", "train")),
    }
    admin.wait_for_dags(dags, timeout=300)
    assert admin.import_errors() == []
    for dag_id in sorted(dags):
        admin.unpause(dag_id)


def within(seconds: float, true: Callable[[], object]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(1)
    return found


def signed(production: Production, run_id: str) -> None:
    """Have olga sign a training that waits, and wait for its end."""
    dag_id = f"train_{MODEL}"

    def waits() -> bool:
        tasks = {t["task_id"]: t["state"] for t in production.admin.task_instances(dag_id, run_id)}
        assert "failed" not in tasks.values(), production.admin.failure(dag_id, run_id)
        return tasks.get("sign_off") == "awaiting_input"

    within(SECONDS, waits)
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/sign_off/-1/hitlDetails"
    answer = {"chosen_options": ["Approve"], "params_input": {"comment": "holds"}}
    production.olga.request("PATCH", path, json=answer)
    production.ended(dag_id, production.admin.wait(dag_id, run_id, SECONDS))


def kill_the_busy_worker(production: Production, dag_id: str, task_id: str) -> Container:
    """Kill the worker that runs a task, with all its children, as soon as it does."""

    def busy() -> str | None:
        runs = production.admin.get(f"/dags/{dag_id}/dagRuns/~/taskInstances", state="running")
        pids = {t["pid"] for t in runs["task_instances"] if t["task_id"] == task_id}
        return next((n for n in WORKERS if pids & {p.pid for p in production.services[n].members}), None)

    worker = production.services[within(SECONDS, busy)]
    worker.kill()
    return worker


def scored(production: Production) -> list[dict[str, Any]]:
    return production.warehouse.rows(
        f"SELECT batch_date, count(*) = count(DISTINCT flight_id) AS once FROM predictions.{MODEL}_champion "
        "GROUP BY 1 ORDER BY 1"
    )


@pytest.fixture(scope="module")
def champion(production: Production) -> Production:
    """Return production once a person has signed the champion of the winter."""
    production.history(HISTORY[0])
    conf = {"as_of": str(CHAMPION_AS_OF), "reason": "the first, of the winter"}
    signed(production, production.admin.trigger(f"train_{MODEL}", conf=conf))
    return production


@pytest.fixture(scope="module")
def spring(champion: Production) -> Production:
    """Return production once the spring is there, whose flights one worker began to collect and another finished."""
    nights = HISTORY[1]
    conf = {
        "batch_date": str(nights.first),
        "until": str(nights.last),
        "downstream": "leave",
        "reason": "history",
    }
    run_id = champion.admin.trigger("collect_flights", conf=conf)
    killed = kill_the_busy_worker(champion, "collect_flights", "collect")
    champion.ended("collect_flights", champion.admin.wait("collect_flights", run_id, SECONDS))
    killed.ready(starts=2)
    champion.all([dag_id for dag_id in collections() if dag_id != "collect_flights"], conf=conf)
    champion.all(["features_departure"], conf=conf)
    return champion


def test_what_a_killed_worker_had_begun_the_other_one_does(spring: Production) -> None:
    (run,) = [
        r
        for r in spring.admin.runs("collect_flights")
        if r["conf"].get("batch_date") == str(HISTORY[1].first)
    ]
    tasks = {t["task_id"]: t for t in spring.admin.task_instances("collect_flights", run["dag_run_id"])}
    assert tasks["collect"]["try_number"] == 2
    rows = spring.warehouse.rows(
        "SELECT count(*) AS rows, count(DISTINCT flight_id) AS flights, count(DISTINCT batch_date) AS nights "
        "FROM raw.flights WHERE batch_date BETWEEN %s AND %s",
        (HISTORY[1].first, HISTORY[1].last),
    )
    assert rows[0]["rows"] == rows[0]["flights"]
    assert rows[0]["nights"] == len(HISTORY[1].dates)


def test_nights_pass_without_queue_or_results_and_end_with_a_training_that_a_person_signs(
    spring: Production,
) -> None:
    for night in NIGHTS:
        if night == NIGHTS[1]:
            spring.services["redis"].kill()
        if night == NIGHTS[2]:
            without_results(spring, 20)
        spring.night(night)
        spring.ended(f"monitor_{MODEL}", spring.admin.wait_for_run(f"monitor_{MODEL}", str(night), SECONDS))
    assert scored(spring) == [{"batch_date": n, "once": True} for n in NIGHTS]
    asked = spring.warehouse.rows(
        "SELECT training_id FROM monitoring.retrain_requests WHERE model = %s AND training_id IS NOT NULL",
        (MODEL,),
    )
    assert len(asked) == 1
    signed(spring, asked[0]["training_id"])
    ledger = spring.warehouse.rows(
        "SELECT version, actor FROM governance.promotions WHERE model = %s ORDER BY entry", (MODEL,)
    )
    assert [(row["version"], row["actor"]) for row in ledger] == [(1, "olga"), (2, "olga")]


def without_results(production: Production, seconds: float) -> None:
    """Have nobody reach the database of Celery's results for a while, in the middle of a night's first tasks."""
    production.sql("ALTER DATABASE celery ALLOW_CONNECTIONS false")
    production.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'celery'")
    production.admin.trigger(collections()[0], partition_key=str(NIGHTS[2]))
    time.sleep(seconds)
    production.sql("ALTER DATABASE celery ALLOW_CONNECTIONS true")
