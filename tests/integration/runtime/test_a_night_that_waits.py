"""A night that the schedule began while its upstreams are away, in a running stack: it waits, and goes on by itself."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration import shops
from integration.shops import Shop

from nightshift.runtime import endpoints
from nightshift.runtime.api import FINISHED, Client
from nightshift.warehouse import Warehouse

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]
USUAL_TRIES = 3
SECONDS = 300  # in which a night that can go on does, and its fourth try has come
DEADLINE = 4  # seconds for a request: what hangs sends a byte in each
FEATURES = '''
"""What was sold."""

from datetime import date

import pandas as pd

FEATURES = {
    "version": 1,
    "owner": "shop",
    "entity": ["id"],
    "inputs": {"orders": {"look_back_days": 1}, "rates": {"look_back_days": 1}, "prices": {"look_back_days": 1}},
    "columns": {"number": "float"},
}


def build(inputs: dict[str, pd.DataFrame], batch_date: date) -> pd.DataFrame:
    """Return one row an order."""
    return inputs["orders"][["id", "number"]].astype({"number": float}).reset_index(drop=True)
'''


class Service(ThreadingHTTPServer):
    """An upstream that is away until it opens, and hangs while ``hangs``: a byte a second, and no end."""

    def __init__(self) -> None:
        self.hangs, self.asked = False, 0
        super().__init__(("127.0.0.1", 0), Answering, bind_and_activate=False)
        self.server_address = ("127.0.0.1", endpoints.any_free_port())

    def open(self) -> None:
        self.server_bind()
        self.server_activate()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        try:
            while self.server.hangs:
                self.wfile.write(b" ")
                time.sleep(1)
            self.wfile.write(json.dumps([{"id": "a", "number": 1}, {"id": "b", "number": 2}]).encode())
        except OSError:
            return  # it was given up

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Night:
    """The night that the schedule of the shop begins, and the upstreams of its sources."""

    shop: Shop
    date: date
    begins: datetime
    gives_up: datetime  # retry_until of `lost`
    services: dict[str, Service]
    folder: Path


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Yield a night that begins within three minutes, its sources declared in a running stack."""
    root = tmp_path_factory.mktemp("waits")
    services = {name: Service() for name in ("orders", "rates", "lost")}
    services["rates"].hangs = True
    services["rates"].open()
    with shops.opened(root, "--timezone", "UTC", "--first-night", "2022-01-01") as shop:
        begins = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=3)
        found = Night(
            shop, begins.date(), begins, begins + timedelta(minutes=4), services, root / "delivered"
        )
        declare(found)
        with Client.of(shop.runtime) as airflow:
            airflow.wait_for_dags({"collect_lost", "features_basket"})
        yield found
    for service in services.values():
        if service.asked:
            service.shutdown()


def declare(night: Night) -> None:
    """Write the shop's specs, and tell Airflow where its upstreams are."""
    night.folder.mkdir()
    include = night.shop.folder / "include"
    settings = include / "project.yaml"
    cron = f"{night.begins.minute} {night.begins.hour} * * *"
    settings.write_text(settings.read_text().replace("30 0 * * *", cron))
    http = {"kind": "http", "endpoint": "/rows", "retries": 0, "timeout_seconds": DEADLINE}
    write = {
        name: {
            "connector": {**http, "connection": name},
            "retry_until": f"{(night.begins - timedelta(minutes=1)):%H:%M}",
        }
        for name in night.services
    }
    write["lost"]["retry_until"] = f"{night.gives_up:%H:%M}"
    write["prices"] = {
        "connector": {"kind": "files", "connection": "prices", "path": "{date:%Y-%m-%d}.csv", "format": "csv"}
    }
    write["prices"]["retry_until"] = write["orders"]["retry_until"]
    shared = {
        "owner": "shop",
        "description": "Rows.",
        "key": ["id"],
        "columns": {"id": {"type": "string"}, "number": {"type": "integer"}},
        "expectations": [{"expect_column_values_to_be_between": {"column": "number", "min_value": 0}}],
    }
    for name, own in write.items():
        (include / "sources" / f"{name}.yaml").write_text(yaml.safe_dump({**shared, **own}))
    (include / "features" / "basket.py").write_text(FEATURES.lstrip())
    night.shop.nightshift("check")
    with Client.of(night.shop.runtime) as airflow:
        for name, service in night.services.items():
            place = {"host": "127.0.0.1", "port": service.server_address[1], "schema": "http"}
            airflow.request(
                "POST", "/connections", json={"connection_id": name, "conn_type": "http", **place}
            )
        extra = json.dumps({"path": str(night.folder)})
        files = {"connection_id": "prices", "conn_type": "fs", "extra": extra}
        airflow.request("POST", "/connections", json=files)


@pytest.fixture(scope="module")
def airflow(night: Night) -> Iterator[Client]:
    with Client.of(night.shop.runtime) as client:
        yield client


def until(true: Callable[[], object], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)


def collecting(airflow: Client, source: str) -> dict[str, Any]:
    """Return the task instance `collect` of the only run of a source."""
    (run,) = airflow.runs(f"collect_{source}")
    assert run["run_type"] == "scheduled"
    tasks = airflow.task_instances(f"collect_{source}", run["dag_run_id"])
    return next(task for task in tasks if task["task_id"] == "collect")


def told(airflow: Client, source: str, nth: int) -> str:
    (run,) = airflow.runs(f"collect_{source}")
    return "\n".join(airflow.log(f"collect_{source}", run["dag_run_id"], "collect", try_number=nth))


AWAY = ("orders", "rates", "prices")


def test_it_asks_again_beyond_the_usual_tries_and_holds_no_slot_meanwhile(
    airflow: Client,
) -> None:
    until(lambda: airflow.runs("collect_orders"), "the schedule began the night", 240)

    def tries() -> dict[str, int]:
        return {source: collecting(airflow, source)["try_number"] for source in (*AWAY, "lost")}

    until(
        lambda: min(tries().values()) > USUAL_TRIES, f"each was tried more than {USUAL_TRIES} times", SECONDS
    )
    until(
        lambda: {collecting(airflow, source)["state"] for source in AWAY} == {"up_for_retry"},
        "all wait at once",
        60,
    )
    assert "no file" in told(airflow, "prices", USUAL_TRIES)
    pools = {pool["name"]: pool for pool in airflow.get("/pools")["pools"]}
    assert pools["default_pool"]["occupied_slots"] == 0
    assert not airflow.runs("features_basket")


def test_an_upstream_that_hangs_is_given_up_after_the_time_of_a_request(airflow: Client) -> None:
    said = told(airflow, "rates", 1)
    assert f"no whole answer within {DEADLINE} s (timeout_seconds) (1 tries)" in said
    (run,) = airflow.runs("collect_rates")
    path = f"/dags/collect_rates/dagRuns/{run['dag_run_id']}/taskInstances/collect/tries"
    took = [each["duration"] for each in airflow.get(path)["task_instances"] if each["duration"]]
    assert len(took) >= USUAL_TRIES
    assert max(took) < DEADLINE + 20, "what a try takes beside its request, on a busy machine"


def test_it_goes_on_by_itself_once_its_upstreams_are_back(night: Night, airflow: Client) -> None:
    night.services["orders"].open()
    night.services["rates"].hangs = False
    (night.folder / f"{night.date}.csv").write_text("id,number\na,1\nb,2\n")
    back = time.monotonic()
    # The next try comes within so much, doubled by chance: nobody clears anything.
    until(
        lambda: {collecting(airflow, source)["state"] for source in AWAY} == {"success"}, "collected", SECONDS
    )
    built = airflow.wait_for_run("features_basket", str(night.date), 60)
    print(f"built {time.monotonic() - back:.0f} s after its upstreams came back")
    assert built["state"] == "success"
    rows = "SELECT id, number FROM features.basket_v1 WHERE batch_date = %s ORDER BY id"
    warehouse = Warehouse(night.shop.runtime.warehouse_url)
    assert [row["number"] for row in warehouse.rows(rows, (night.date,))] == [1.0, 2.0]


def test_it_gives_up_at_the_hour_in_the_words_of_its_upstream(night: Night, airflow: Client) -> None:
    (run,) = airflow.runs("collect_lost")
    late = (night.gives_up - datetime.now(UTC)).total_seconds() + 60
    until(
        lambda: airflow.run("collect_lost", run["dag_run_id"])["state"] in FINISHED, "given up", max(late, 1)
    )
    task = collecting(airflow, "lost")
    assert task["state"] == "failed"
    assert datetime.fromisoformat(task["start_date"]) >= night.gives_up, "the last try was at the hour"
    said = told(airflow, "lost", task["try_number"])
    assert "ConnectError" in said
    assert f"{task['try_number']} tries are spent" in said
