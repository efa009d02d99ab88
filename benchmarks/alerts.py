"""Kills: evaluator and sender of alerts are killed at any moment, and nothing is lost and little comes twice.

    python benchmarks/alerts.py [KILLS]

Against a PostgreSQL of its own, an HTTP receiver and an SMTP server that refuse one message in ten. Sources break and
are mended while one process looks and another sends, without a pause. In turn the one is killed (SIGKILL) and begun
anew, then the other, then the database ends all connections, each at a random moment. At the end everything that was
decided must have arrived: the exit code is 1 if a message is missing, or if more than one in a hundred came twice.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread

from nightshift.alerts import Seen
from nightshift.alerts.delivery import Door, deliver
from nightshift.alerts.evaluating import evaluate
from nightshift.alerts.sending import send
from nightshift.database import Database
from nightshift.errors import NightshiftError
from nightshift.records.alerts import Outgoing
from nightshift.specs import Project, load_project
from nightshift.specs.alerts import Alerts

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.integration.smtp_server import Conversation

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOURCES = 30
# Seconds between two kills: on a slow machine enough for a look and some messages.
LONGEST_LIFE = 1.5
# A second is so long for who looks and sends: what was not taken waits up to an hour.
SECOND = timedelta(minutes=30)
REFUSED = 0.1
RECEIVERS = {
    "sink": {"kind": "webhook", "connection": "sink"},
    "mail": {"kind": "smtp", "connection": "mail", "to": ["ops@example.org"]},
}
VICTIMS = ("evaluator", "sender", "connections")
BREAK = (
    "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, landed_sha256, run_id) "
    "VALUES (%s, %s, %s, 100, 100, 0, '', 'r') ON CONFLICT (source, batch_date) DO UPDATE SET status = excluded.status"
)
END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Figures:
    """What came of it. ``twice``: how many came again, of each receiver."""

    kills: int
    messages: int
    lost: int
    twice: dict[str, int]
    opened: int
    resolved: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Nothing is lost, and at most one in a hundred came twice."""
        return self.lost == 0 and sum(self.twice.values()) <= max(0.01 * self.messages, 1)


class Sink(BaseHTTPRequestHandler):
    """Answers, and only then is a message received: one line of the file a message."""

    file: Path
    luck = random.Random(7)  # noqa: S311

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = 503 if self.luck.random() < REFUSED else 200
        if status == 200:
            received(self.file, body["key"])
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Box:
    """The mailbox of the SMTP server: refuses some, and of others writes down the key."""

    def __init__(self, file: Path) -> None:
        self.mails, self.file = self, file

    @property
    def refuse(self) -> int:
        """Return the code for the next mail; 0: it is taken."""
        return 451 if Sink.luck.random() < REFUSED else 0

    def append(self, letter: EmailMessage) -> None:
        """Take a mail."""
        received(self.file, letter["X-Nightshift-Key"])


def received(file: Path, key: str) -> None:
    """Write down what arrived."""
    with file.open("a") as out:
        out.write(key + "\n")


def serve(file: Path) -> tuple[int, dict[str, Door]]:
    """Start both receivers in a process of its own; return its pid and where they are reached."""
    Sink.file = file
    server = HTTPServer(("127.0.0.1", 0), Sink)
    mails = ThreadingTCPServer(("127.0.0.1", 0), Conversation)
    mails.daemon_threads, mails.box = True, Box(file)  # type: ignore[attr-defined]
    for each in (server, mails):
        each.handle_error = lambda *_: None  # type: ignore[method-assign]  # who is killed leaves half a message
    pid = os.fork()
    if pid == 0:
        Thread(target=mails.serve_forever, daemon=True).start()
        server.serve_forever()
    for each in (server, mails):
        each.server_close()
    plain = {"disable_ssl": True, "disable_tls": True}
    return pid, {
        "sink": Door("sink", host=f"http://127.0.0.1:{server.server_port}"),
        "mail": Door("mail", host="127.0.0.1", port=mails.server_address[1], extra=plain),
    }


def project() -> Project:
    """Return a project of many sources with two receivers of everything."""
    declared = Alerts.model_validate({"receivers": RECEIVERS, "routes": [{"to": [*RECEIVERS]}]})
    found = load_project()
    one = found.source("weather")
    many = {
        name: one.model_copy(update={"name": name}) for name in (f"source_{n:02}" for n in range(SOURCES))
    }
    update = {"first_night": date(2026, 3, 1), "last_night": date(2026, 3, 1), "alerts": declared}
    settings = found.settings.model_copy(update=update)
    return found.model_copy(update={"settings": settings, "sources": many, "feature_sets": {}, "models": {}})


@dataclass(frozen=True)
class World:
    """What both processes know: the warehouse, the receivers, and when it began, by this machine's clock."""

    url: str
    doors: dict[str, Door]
    declared: Project
    began: float

    def now(self) -> datetime:
        """Return the instant of a clock that is fast, so that waits pass."""
        return BEGIN + (time.monotonic() - self.began) * SECOND

    def look(self) -> None:
        """Look once."""
        evaluate(
            Database(self.url), self.declared, Seen(), self.now(), by="benchmark",
            link=lambda dag: f"http://here/{dag}",
        )  # fmt: skip

    def send(self, clock: Callable[[], datetime] | None = None) -> None:
        """Send what is due."""
        send(Database(self.url), self.deliver, clock or self.now)
        time.sleep(0.01)

    def deliver(self, outgoing: Outgoing) -> None:
        """Deliver a message."""
        receiver = self.declared.settings.alerts.receivers[outgoing.receiver]
        deliver(receiver, self.doors[outgoing.receiver], outgoing)


def forever(work: Callable[[], None]) -> int:
    """Begin a process that works without end, also when its connection was ended; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                with suppress(NightshiftError):
                    work()
        finally:
            os._exit(1)
    return pid


def run(url: str, folder: Path, kills: int, seed: int = 1) -> Figures:
    """Break, mend and kill; then let it finish, and count. ``url``: of a migrated, empty warehouse."""
    began, luck = time.monotonic(), random.Random(seed)  # noqa: S311
    declared, database, arrived = project(), Database(url), folder / "arrived"
    arrived.touch()
    server, doors = serve(arrived)
    world, alive = World(url, doors, declared, began), {}
    works = {"evaluator": world.look, "sender": world.send}
    try:
        alive = {name: forever(work) for name, work in works.items()}
        for number in range(kills):
            _break(database, declared, luck)
            time.sleep(luck.uniform(0.0, LONGEST_LIFE))
            victim = VICTIMS[number % len(VICTIMS)]
            if victim == "connections":
                database.rows(END_CONNECTIONS)
            else:
                _kill(alive[victim])
                alive[victim] = forever(works[victim])
    finally:
        for pid in alive.values():
            _kill(pid)
        try:
            _finish(world)
        finally:
            _kill(server)
    return _counted(database, arrived, kills, time.monotonic() - began)


def _break(database: Database, declared: Project, luck: random.Random) -> None:
    with database.transaction() as cursor:
        for name in (name for name in sorted(declared.sources) if luck.random() < 0.4):
            cursor.execute(BREAK, (name, date(2026, 3, 1), luck.choice(("failed", "published"))))


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _finish(world: World) -> None:
    """Mend all, look once more and send until nothing waits."""
    database = Database(world.url)
    for name in world.declared.sources:
        database.execute(BREAK, (name, date(2026, 3, 1), "published"))
    world.look()
    now = world.now()
    for hours in range(1, 200):
        world.send(lambda at=now + timedelta(hours=hours): at)
        if not database.rows("SELECT 1 FROM alerts.outbox WHERE delivered_at IS NULL"):
            return


def _counted(database: Database, arrived: Path, kills: int, seconds: float) -> Figures:
    keys = Counter(arrived.read_text().split("\n")[:-1])
    outbox = database.rows("SELECT fingerprint, message, receiver FROM alerts.outbox")
    made = {f"{row['fingerprint']}#{row['message']}": row["receiver"] for row in outbox}
    told = database.rows("SELECT what, count(*) AS n FROM alerts.events WHERE told GROUP BY what")
    events = {row["what"]: row["n"] for row in told}
    # A reminder that waits behind another is none of its own.
    decided = events.get("opened", 0) + events.get("told", 0) + events.get("resolved", 0)
    kept = database.rows("SELECT count(*) AS n FROM alerts.outbox WHERE what <> 'reminded'")[0]["n"]
    still_open = database.rows("SELECT count(*) AS n FROM alerts.open WHERE told_at IS NOT NULL")[0]["n"]
    unbalanced = abs(events.get("opened", 0) + events.get("told", 0) - events.get("resolved", 0) - still_open)
    return Figures(
        kills,
        len(made),
        len(made.keys() - keys.keys()) + abs(len(RECEIVERS) * decided - kept) + unbalanced,
        {name: sum(keys[key] - 1 for key in made if made[key] == name and key in keys) for name in RECEIVERS},
        events.get("opened", 0),
        events.get("resolved", 0),
        seconds,
    )


def main() -> None:
    """Start a PostgreSQL, run, print the figures."""
    from nightshift.runtime import postgres
    from nightshift.runtime.endpoints import any_free_port
    from nightshift.warehouse import migrate

    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    home = Path(tempfile.mkdtemp(prefix="nightshift-alerts-"))
    server, port = postgres.prepare(home, "test"), any_free_port()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        server.command(port), stdout=quiet, stderr=quiet, start_new_session=True, **server.account.identity
    )
    url = f"postgresql://postgres:test@127.0.0.1:{port}/postgres"
    try:
        for _ in range(300):
            with suppress(NightshiftError):
                Database(url).rows("SELECT 1")
                break
            time.sleep(0.2)
        migrate(url)
        found = run(url, home, kills)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(postgres.shelter(home), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    print(found)
    sys.exit(0 if found.holds else 1)


if __name__ == "__main__":
    main()
