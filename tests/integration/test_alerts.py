"""Alerts against a real PostgreSQL, a real SMTP server and HTTP receivers; and killed at any moment."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread
from types import ModuleType

import pytest
from typer.testing import CliRunner

from integration import smtp_server
from integration.conftest import _admin, _beside
from integration.judged_versions import promoted
from nightshift.alerts import Seen
from nightshift.alerts.delivery import Door, deliver
from nightshift.alerts.evaluating import evaluate, post_test
from nightshift.alerts.sending import NotDelivered, send, send_one
from nightshift.alerts.silencing import silence
from nightshift.cli.alerts import app
from nightshift.database import Database
from nightshift.errors import RequestError, SpecError, Unreachable, WarehouseRefused
from nightshift.records import alerts as records
from nightshift.records import ledger, monitoring
from nightshift.records.alerts import Outgoing
from nightshift.root import INCLUDE
from nightshift.specs import Project, load_project
from nightshift.specs.alerts import Alerts
from nightshift.warehouse import Warehouse

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIGHT = date(2026, 3, 1)
CANARIES = ("canary-of-a-row", "canary-of-a-password", "canary-of-a-header")
SHAPES = ("slack", "teams", "pagerduty", "alertmanager", "webhook")
FAILED = (
    "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, reasons, landed_sha256, "
    "run_id) VALUES (%s, %s, %s, 100, 60, 40, 'expected 1, observed canary-of-a-row', '', 'r') "
    "ON CONFLICT (source, batch_date) DO UPDATE SET status = excluded.status"
)


@dataclass
class Received:
    """What HTTP receivers were sent: (path, headers, body). ``status``: what they answer."""

    port: int = 0
    status: int = 200
    posts: list[tuple[str, dict[str, str], dict]] = field(default_factory=list)


@pytest.fixture
def sink() -> Iterator[Received]:
    found = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if found.status == 200:
                found.posts.append((self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox() -> Iterator[smtp_server.Mailbox]:
    server, box = smtp_server.start()
    yield box
    server.shutdown()
    server.server_close()


def declared(**alerts: object) -> Project:
    found = load_project()
    update = {"first_night": NIGHT, "last_night": NIGHT, "alerts": Alerts.model_validate(alerts)}
    return found.model_copy(update={"settings": found.settings.model_copy(update=update)})


def everywhere() -> Project:
    """Return the project with a receiver of each shape, all of which are told everything."""
    receivers: dict = {shape: {"kind": shape, "connection": shape} for shape in SHAPES}
    receivers["mail"] = {"kind": "smtp", "connection": "mail", "to": ["ops@example.org"]}
    return declared(receivers=receivers, routes=[{"to": sorted(receivers)}])


def look(warehouse: Warehouse, project: Project, now: datetime = NOW) -> list[tuple[str, str]]:
    found = evaluate(
        warehouse, project, Seen(), now, by="test", link=lambda dag: f"http://airflow/dags/{dag}"
    )
    return [(what, row.fingerprint) for what, row in found.told]


def fail(warehouse: Warehouse, status: str = "failed", source: str = "weather", night: date = NIGHT) -> None:
    warehouse.execute(FAILED, (source, night, status))


def test_what_is_wrong_is_written_once_and_told_again_when_it_is_over(warehouse: Warehouse) -> None:
    project = everywhere()
    fail(warehouse)
    name = "source_over_budget/source:weather"
    assert look(warehouse, project) == [("opened", name)]
    assert look(warehouse, project, NOW + timedelta(minutes=5)) == []
    (row,) = warehouse.all(records.OPEN)
    assert (row.owner, row.numbers["set_aside"], row.dag_id) == (
        "weather-desk",
        40,
        "collect_weather",
    ) or row.owner
    fail(warehouse, "published")
    assert look(warehouse, project, NOW + timedelta(minutes=10)) == [("resolved", name)]
    assert warehouse.all(records.OPEN) == []
    events = warehouse.all(records.EVENTS, fingerprint=name, most=9)
    assert [event.what for event in events] == ["resolved", "opened"]
    assert warehouse.row("SELECT count(*) AS n FROM alerts.outbox") == {"n": 2 * 6}


@dataclass(frozen=True)
class Told:
    """What all receivers were told of one alert, from its beginning to its end: bodies by shape, and mails."""

    bodies: dict[str, list]
    mails: list


@pytest.fixture
def told(warehouse: Warehouse, sink: Received, mailbox: smtp_server.Mailbox) -> Told:
    project = everywhere()
    receivers = project.settings.alerts.receivers
    web = {"host": f"http://127.0.0.1:{sink.port}", "login": "us", "password": "canary-of-a-password"}
    doors = {
        shape: Door(shape, extra={"headers": {"X-Token": "canary-of-a-header"}, "path": f"/{shape}"}, **web)
        for shape in SHAPES
    }
    doors["pagerduty"] = replace(doors["pagerduty"], login=None, password="routing")
    doors["slack"] = replace(doors["slack"], password=f"{web['host']}/slack")
    doors["mail"] = Door(
        "mail", host="127.0.0.1", port=mailbox.port, password="canary-of-a-password",
        extra={"disable_ssl": True, "disable_tls": True},
    )  # fmt: skip
    for number, status in enumerate(("failed", "published")):
        fail(warehouse, status)
        look(warehouse, project, NOW + timedelta(minutes=5 * number))
    later = NOW + timedelta(minutes=6)
    done = send(
        warehouse, lambda out: deliver(receivers[out.receiver], doors[out.receiver], out), lambda: later
    )
    assert done == (12, 0)
    by_shape = {shape: [body for path, _, body in sink.posts if path == f"/{shape}"] for shape in SHAPES}
    return Told(by_shape, mailbox.mails)


def test_each_shape_is_told_of_the_beginning_and_of_the_end_under_one_key(told: Told) -> None:
    assert {shape: len(bodies) for shape, bodies in told.bodies.items()} == dict.fromkeys(SHAPES, 2)
    begun, over = told.bodies["pagerduty"]
    assert (begun["event_action"], over["event_action"]) == ("trigger", "resolve")
    assert begun["dedup_key"] == over["dedup_key"] == "source_over_budget/source:weather"
    assert begun["routing_key"] == "routing"
    (firing,), (ended,) = told.bodies["alertmanager"]
    assert firing["labels"] == ended["labels"]
    assert "owner" not in firing["labels"]
    assert firing["annotations"]["owner"]
    assert firing["endsAt"] > ended["endsAt"]
    begun, over = told.bodies["webhook"]
    assert begun["fingerprint"] == over["fingerprint"]
    assert begun["key"] != over["key"]
    first, last = told.mails
    assert first["References"] == last["References"]
    assert first["Message-ID"] != last["Message-ID"]


def test_a_message_says_whose_since_when_how_much_what_to_do_and_where(told: Told) -> None:
    text = told.bodies["slack"][0]["text"]
    for said in (text, told.mails[0].get_content()):
        for part in ("owner: ", "since: ", "set aside: 40", "what to do: ", "#alert-source-over-budget"):
            assert part in said
        assert "link: http://airflow/dags/collect_weather" in said


def test_no_message_holds_a_value_of_a_row_or_a_secret(told: Told, warehouse: Warehouse) -> None:
    said = [json.dumps(told.bodies), *(mail.as_string() for mail in told.mails)]
    said += [row["body"] for row in warehouse.rows("SELECT body::text FROM alerts.outbox")]
    said += [row["open"] for row in warehouse.rows("SELECT e::text AS open FROM alerts.events e")]
    assert not [canary for canary in CANARIES for text in said if canary in text]


def test_what_is_not_taken_stays_waits_longer_each_time_and_keeps_its_order(
    warehouse: Warehouse, sink: Received
) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    door = Door("c", host=f"http://127.0.0.1:{sink.port}", extra={"path": "/canary-of-a-password"})

    def to_team(out: Outgoing) -> None:
        deliver(project.settings.alerts.receivers["team"], door, out)

    fail(warehouse)
    look(warehouse, project)
    sink.status = 503
    assert send(warehouse, to_team, lambda: NOW) == (0, 1)
    assert send_one(warehouse, to_team, NOW + timedelta(seconds=29)) is None
    assert send_one(warehouse, to_team, NOW + timedelta(seconds=30)) is False
    assert send_one(warehouse, to_team, NOW + timedelta(seconds=89)) is None
    (row,) = warehouse.rows("SELECT tries, error FROM alerts.outbox")
    assert row == {"tries": 2, "error": "connection 'c': HTTP 503"}
    fail(warehouse, "published")
    look(warehouse, project, NOW + timedelta(seconds=40))
    sink.status = 200
    assert send_one(warehouse, to_team, NOW + timedelta(seconds=50)) is None, "its beginning was not told yet"
    assert send(warehouse, to_team, lambda: NOW + timedelta(minutes=10)) == (2, 0)
    assert [body["what"] for _, _, body in sink.posts] == ["opened", "resolved"]


def test_a_receiver_that_hangs_is_tried_once_a_round_and_holds_up_no_other(
    warehouse: Warehouse, sink: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.alerts.delivery.SECONDS", 0.2)
    one = {"kind": "webhook", "connection": "c"}
    project = declared(receivers={"hangs": one, "well": one}, routes=[{"to": ["hangs", "well"]}])
    deaf = socket.create_server(("127.0.0.1", 0))  # takes connections, and answers none
    ports = {"hangs": deaf.getsockname()[1], "well": sink.port}
    tried: list[str] = []

    def to_both(out: Outgoing) -> None:
        tried.append(out.receiver)
        door = Door("c", host=f"http://127.0.0.1:{ports[out.receiver]}")
        deliver(project.settings.alerts.receivers[out.receiver], door, out)

    for source in project.sources:
        fail(warehouse, source=source)
    look(warehouse, project)
    many = len(project.sources)
    assert send(warehouse, to_both, lambda: NOW) == (many, 1)
    assert sorted(tried) == ["hangs", *["well"] * many]
    deaf.close()
    ports["hangs"] = sink.port
    sink.status = 400
    assert send(warehouse, to_both, lambda: NOW + timedelta(minutes=5)) == (0, many), "each was answered"
    sink.status = 500
    assert send(warehouse, to_both, lambda: NOW + timedelta(minutes=10)) == (0, 1)
    sink.status = 200
    assert send(warehouse, to_both, lambda: NOW + timedelta(hours=2)) == (many, 0)


@pytest.mark.parametrize(("code", "tried"), [(550, "each"), (421, "once")])
def test_a_mail_server_that_refuses_a_mail_is_given_the_next_and_one_that_closes_is_left(
    warehouse: Warehouse, mailbox: smtp_server.Mailbox, code: int, tried: str
) -> None:
    mail = {"kind": "smtp", "connection": "mail", "to": ["ops@example.org"]}
    project = declared(receivers={"mail": mail}, routes=[{"to": ["mail"]}])
    plain = {"disable_ssl": True, "disable_tls": True}
    door = Door("mail", host="127.0.0.1", port=mailbox.port, extra=plain)
    for source in project.sources:
        fail(warehouse, source=source)
    look(warehouse, project)
    mailbox.refuse = code
    failed = len(project.sources) if tried == "each" else 1
    receiver = project.settings.alerts.receivers["mail"]
    assert send(warehouse, lambda out: deliver(receiver, door, out), lambda: NOW) == (0, failed)


def test_a_receiver_that_takes_nothing_is_an_alert_itself(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])

    def nowhere(out: Outgoing) -> None:
        raise NotDelivered("connection 'c': ConnectError")

    fail(warehouse)
    look(warehouse, project)
    send(warehouse, nowhere, lambda: NOW)
    assert ("opened", "receiver_fails/receiver:team") in look(warehouse, project, NOW + timedelta(minutes=31))


def test_an_error_of_a_notifier_is_kept_by_its_name_alone(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])

    def leaks(out: Outgoing) -> None:
        raise ValueError("https://hooks.example.org/canary-of-a-password")

    fail(warehouse)
    look(warehouse, project)
    send(warehouse, leaks, lambda: NOW)
    assert warehouse.row("SELECT error FROM alerts.outbox") == {"error": "ValueError"}


def test_two_senders_at_once_send_each_message_once(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    for source in project.sources:
        fail(warehouse, source=source)
    look(warehouse, project)
    sent: list[int] = []
    both = Barrier(2)

    def sender() -> None:
        both.wait()
        send(warehouse, lambda out: sent.append(out.message), lambda: NOW)

    threads = [Thread(target=sender) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == len(project.sources)


def test_a_message_that_was_taken_when_the_connection_went_is_marked_on_another(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    fail(warehouse)
    look(warehouse, project)
    sent: list[int] = []

    def taken_and_cut_off(out: Outgoing) -> None:
        sent.append(out.message)
        cut_off(out)

    def cut_off(out: Outgoing) -> None:
        warehouse.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state = 'idle in transaction'"
        )

    def refused_and_cut_off(out: Outgoing) -> None:
        cut_off(out)
        raise NotDelivered("connection 'c': HTTP 503")

    with pytest.raises(Unreachable):
        send(warehouse, refused_and_cut_off, lambda: NOW)
    assert send(warehouse, taken_and_cut_off, lambda: NOW) == (1, 0)
    assert send(warehouse, taken_and_cut_off, lambda: NOW + timedelta(hours=1)) == (0, 0)
    assert len(sent) == 1


def test_a_message_that_was_taken_is_marked_once_the_database_is_back(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    fail(warehouse)
    look(warehouse, project)
    server, name = _beside(warehouse.url, "postgres"), warehouse.url.rpartition("/")[2]
    waits: list[float] = []

    def taken_and_down(out: Outgoing) -> None:
        _admin(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        _admin(
            server, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            _admin(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert send_one(warehouse, taken_and_down, NOW, sleep) is True
    assert waits == [1, 2, 4]
    assert send_one(warehouse, taken_and_down, NOW + timedelta(hours=1)) is None


def test_a_message_that_was_taken_while_its_transaction_idled_too_long_is_marked(
    warehouse: Warehouse,
) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    fail(warehouse)
    look(warehouse, project)
    slow = Database(f"{warehouse.url}?options=-cidle_in_transaction_session_timeout%3D50ms")
    assert send_one(slow, lambda out: time.sleep(0.5), NOW) is True
    assert send_one(warehouse, lambda out: None, NOW + timedelta(hours=1)) is None


def test_a_message_costs_little_however_many_wait(warehouse: Warehouse) -> None:
    project = declared(receivers={"team": {"kind": "webhook", "connection": "c"}}, routes=[{"to": ["team"]}])
    fail(warehouse)
    look(warehouse, project)
    warehouse.execute(
        "INSERT INTO alerts.outbox (fingerprint, receiver, what, body, made_at, not_before) "
        "SELECT o.fingerprint || mod(n, 30), o.receiver, o.what, o.body, o.made_at, "
        "o.not_before + CASE WHEN n <= 30 THEN interval '1 hour' ELSE interval '0' END "
        "FROM alerts.outbox o, generate_series(1, 3000) n"
    )
    # The first of each alert was not taken and waits, and the rest waits for it.
    assert send(warehouse, lambda out: None, lambda: NOW) == (1, 0)
    plan = warehouse.rows(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {records.CLAIM.text}", {"now": NOW, "away": []}
    )
    pages = plan[0]["QUERY PLAN"][0]["Plan"]["Shared Hit Blocks"]
    assert pages < 3000, "a claim reads what waits once, not once for each row"


def test_two_looks_at_once_open_once(warehouse: Warehouse) -> None:
    project = everywhere()
    fail(warehouse)
    told: list[tuple[str, str]] = []
    threads = [Thread(target=lambda: told.extend(look(warehouse, project))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [("opened", "source_over_budget/source:weather")]


def test_routes_choose_by_severity_owner_source_and_model(warehouse: Warehouse) -> None:
    one = {"kind": "webhook", "connection": "c"}
    project = declared(
        receivers={"all": one, "critical": one, "weather": one, "other": one},
        routes=[
            {"to": ["all"]},
            {"to": ["critical"], "severity": "critical"},
            {"to": ["weather", "all"], "source": "weather"},
            {"to": ["other"], "owner": "nobody"},
            {"to": ["other"], "model": "late_arrival"},
        ],
    )
    fail(warehouse)
    look(warehouse, project)
    rows = warehouse.rows("SELECT receiver FROM alerts.outbox ORDER BY message")
    assert [row["receiver"] for row in rows] == ["all", "weather"]


def test_that_it_is_over_is_told_to_who_was_told_that_it_is_so(warehouse: Warehouse) -> None:
    one = {"kind": "webhook", "connection": "c"}

    def routed(*names: str, receivers: tuple[str, ...] = ("day", "night", "gone")) -> Project:
        return declared(receivers=dict.fromkeys(receivers, one), routes=[{"to": list(names)}])

    fail(warehouse)
    look(warehouse, routed("gone"))
    fail(warehouse, "published")
    look(warehouse, routed("gone"), NOW + timedelta(minutes=5))
    fail(warehouse)
    again = NOW + timedelta(minutes=10)
    look(warehouse, routed("day", "gone"), again)
    fail(warehouse, "published")
    # Moved to another receiver, and one is declared no more.
    look(warehouse, routed("night", receivers=("day", "night")), again + timedelta(minutes=5))
    rows = warehouse.rows("SELECT receiver, what FROM alerts.outbox WHERE made_at >= %s", (again,))
    assert {(row["receiver"], row["what"]) for row in rows} == {
        ("day", "opened"), ("gone", "opened"), ("day", "resolved"),
    }  # fmt: skip


def test_a_rollback_after_a_promotion_reopens_nothing_of_trainings_before_it(warehouse: Warehouse) -> None:
    project = declared()
    asked = monitoring.RetrainRequest(
        model="late_arrival", batch_date=NIGHT, status="started", guard=None, reason="shift", training_id="t",
        requested_by=None,
    )  # fmt: skip

    def failed() -> bool:
        look(warehouse, project, datetime.now(UTC))
        return any(row.kind == "training_failed" for row in warehouse.all(records.OPEN))

    warehouse.run(monitoring.ASK, asked)
    warehouse.execute("UPDATE monitoring.retrain_requests SET outcome = 'failed'")
    assert failed()
    promoted(warehouse, 1, 2)
    assert not failed()
    went_back = {"as_of": NIGHT, "reason": "r", "actor": "a", "request_id": "q"}
    warehouse.run(ledger.ROLL_BACK, model="late_arrival", version=1, effective_from=NIGHT, **went_back)
    (row,) = warehouse.all(records.CHAMPIONS)
    assert (row.version, row.promoted_at) == (1, last_promotion(warehouse))
    assert not failed()


def last_promotion(warehouse: Warehouse) -> datetime:
    row = warehouse.row("SELECT max(promoted_at) AS at FROM governance.promotions WHERE kind = 'promotion'")
    assert row
    return row["at"]


def test_a_silence_needs_an_owner_and_an_end_and_keeps_receivers_quiet(warehouse: Warehouse) -> None:
    project = everywhere()
    wanted = {
        "kind": "source_over_budget",
        "subject": "source:*",
        "owner": "ops",
        "until": "2026-03-03",
        "reason": "r",
    }
    for wrong in (
        {"owner": " "},
        {"until": "soon"},
        {"until": "9999-12-31T23:00"},
        {"reason": " "},
        {"subject": "source:wether"},
        {"subject": "weather"},
        {"until": "2026-03-01"},
        {"until": "2027-03-01"},
        {"kind": "wether"},
    ):
        with pytest.raises(RequestError, match=next(iter(wrong))):
            silence(warehouse, project, {**wanted, **wrong}, actor="me", now=NOW)
    kept = silence(warehouse, project, wanted, actor="me", now=NOW)
    assert kept.until == datetime(2026, 3, 3, 5, tzinfo=UTC), "midnight where the project is"
    fail(warehouse)
    assert look(warehouse, project, NOW + timedelta(minutes=1)) == []
    (row,) = warehouse.all(records.OPEN)
    assert row.silenced_until == kept.until
    assert look(warehouse, project, kept.until) == [("opened", "source_over_budget/source:weather")]


def test_a_test_message_goes_to_one_receiver_that_there_is(warehouse: Warehouse) -> None:
    project = everywhere()
    with pytest.raises(SpecError, match="did you mean 'slack'"):
        post_test(warehouse, project, "slak", NOW, lambda dag: "")
    post_test(warehouse, project, "slack", NOW, lambda dag: "")
    assert warehouse.rows("SELECT receiver, what FROM alerts.outbox") == [
        {"receiver": "slack", "what": "test"}
    ]


def test_a_source_that_never_ran_is_missed_however_often_its_spec_is_deployed(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include, ignore=shutil.ignore_patterns("__pycache__", "nightshift"))
    settings = everywhere().settings.model_copy(update={"last_night": None})
    project = everywhere().model_copy(update={"folder": include, "settings": settings})

    def deployed(day: int) -> list[str]:
        """Deploy all files in the morning of a day, look at noon; return which sources are told of."""
        fail(warehouse, source="flights", night=NIGHT + timedelta(days=day + 1))
        morning = (NOW + timedelta(days=day, hours=-4)).timestamp()
        for spec in (include / "sources").iterdir():
            os.utime(spec, (morning, morning))
        told = look(warehouse, project, NOW + timedelta(days=day))
        return [name for what, name in told if what == "opened" and name.startswith("night_missing/source:")]

    assert deployed(0) == [], "they are new"
    assert "night_missing/source:weather" in deployed(1)


def test_events_cannot_be_changed(warehouse: Warehouse) -> None:
    fail(warehouse)
    look(warehouse, everywhere())
    with pytest.raises(WarehouseRefused, match="append-only"):
        warehouse.execute("DELETE FROM alerts.events")


@pytest.mark.parametrize("airflow", ["silent", "looks"])
def test_who_is_outside_tells_of_the_missing_night_when_airflow_does_not_look(
    warehouse: Warehouse, sink: Received, tmp_path: Path, airflow: str
) -> None:
    """The command that a timer runs, in a process of its own, with connections of its environment."""
    include = tmp_path / "include"
    shutil.copytree(INCLUDE, include, ignore=shutil.ignore_patterns("__pycache__", "nightshift"))
    long_ago = NOW.timestamp()
    for spec in (include / "sources").iterdir():
        os.utime(spec, (long_ago, long_ago))
    text = (include / "project.yaml").read_text().replace("last_night: 2013-12-31", "")
    told = "alerts: {receivers: {team: {kind: webhook, connection: team}}, routes: [{to: [team]}]}"
    (include / "project.yaml").write_text(f"{text}\n{told}\n")
    if airflow == "looks":
        warehouse.run(records.BEAT, now=datetime.now(UTC), by="scheduled__now")
    place = warehouse.url.removeprefix("postgresql://")
    environment = {
        **os.environ,
        "NIGHTSHIFT_INCLUDE": str(include),
        "NIGHTSHIFT_HOME": str(tmp_path),
        "AIRFLOW_CONN_WAREHOUSE_ALERTS": f"postgres://{place}",
        "AIRFLOW_CONN_TEAM": f"http://127.0.0.1:{sink.port}/http",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "nightshift.cli", "alerts", "watch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    sent = {body["fingerprint"] for _, _, body in sink.posts}
    assert sent == ({"night_missing/project"} if airflow == "silent" else set())
    row = warehouse.row(
        "SELECT told_at FROM alerts.open WHERE fingerprint = 'component_down/component:airflow'"
    )
    # It may pass: it is told once it has lasted ten minutes.
    assert row == ({"told_at": None} if airflow == "silent" else None)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    found = importlib.util.spec_from_file_location("alerts_benchmark", REPOSITORY / "benchmarks/alerts.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_killed_at_any_moment_nothing_is_lost_and_little_comes_twice(
    warehouse: Warehouse, benchmark: ModuleType, tmp_path: Path
) -> None:
    found = benchmark.run(warehouse.url, tmp_path, 24)
    assert found.messages > 20
    assert found.lost == 0
    # One kill repeats one message at most; how seldom it does, `benchmarks/alerts.py` measures on more kills.
    assert sum(found.twice.values()) <= found.kills, found


def test_who_asks_on_a_command_line_is_told_when_somebody_looked(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", warehouse.url)

    def said() -> tuple[int, str]:
        found = CliRunner().invoke(app)
        return found.exit_code, found.output

    assert said() == (1, "Nobody has looked yet: the DAG `alerts` does, every five minutes\n")
    warehouse.run(records.BEAT, now=datetime.now(UTC) - timedelta(minutes=11), by="run")
    code, words = said()
    assert code == 0
    assert words.startswith("Nothing is wrong.\nLooked at ")
    warehouse.run(records.BEAT, now=NOW, by="run")
    code, words = said()
    assert code == 1
    assert words.startswith("Nobody has looked since 2026-03-02 12:00 UTC:")
    assert "Nothing is wrong" not in words
