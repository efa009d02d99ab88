"""Kills: an evaluator and sender of alerts that is killed at any moment loses nothing, and repeats little.

    python benchmarks/alerts.py [KILLS]

Against a PostgreSQL of its own and an HTTP receiver that refuses one message in ten. Sources break and are mended while
one process looks and sends without a pause; it is killed (SIGKILL), or its connections are ended by the server, at a
random moment. At the end everything that was decided must have arrived: the exit code is 1 if a message is missing, or
if more than one in a hundred came twice.
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
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path

from nightshift.alerts import Seen
from nightshift.alerts.delivery import Door, deliver
from nightshift.alerts.evaluating import evaluate
from nightshift.alerts.sending import send
from nightshift.database import Database
from nightshift.errors import NightshiftError
from nightshift.records.alerts import Outgoing
from nightshift.specs import Project, load_project
from nightshift.specs.alerts import Alerts

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOURCES = 30
# Seconds: long enough on a slow machine for a look and some messages.
LONGEST_LIFE = 1.5
REFUSED = 0.1
BREAK = (
    "INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, landed_sha256, run_id) "
    "VALUES (%s, %s, %s, 100, 100, 0, '', 'r') ON CONFLICT (source, batch_date) DO UPDATE SET status = excluded.status"
)


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    kills: int
    messages: int
    lost: int
    twice: int
    opened: int
    resolved: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Nothing is lost, and at most one in a hundred came twice."""
        return self.lost == 0 and self.twice <= max(0.01 * self.messages, 1)


class Sink(BaseHTTPRequestHandler):
    """Answers, and only then is a message received: one line of the file a message."""

    file: Path
    luck = random.Random(7)  # noqa: S311

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = 503 if self.luck.random() < REFUSED else 200
        if status == 200:
            with self.file.open("a") as out:
                out.write(body["key"] + "\n")
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(file: Path) -> tuple[int, str]:
    """Start the receiver in a process of its own; return its pid and address."""
    Sink.file = file
    server = HTTPServer(("127.0.0.1", 0), Sink)
    pid = os.fork()
    if pid == 0:
        server.serve_forever()
    server.server_close()
    return pid, f"http://127.0.0.1:{server.server_port}"


def project() -> Project:
    """Return a project of many sources with one receiver of everything."""
    declared = Alerts.model_validate(
        {"receivers": {"sink": {"kind": "webhook", "connection": "sink"}}, "routes": [{"to": ["sink"]}]}
    )
    found = load_project()
    one = found.source("weather")
    many = {
        name: one.model_copy(update={"name": name}) for name in (f"source_{n:02}" for n in range(SOURCES))
    }
    update = {"first_night": date(2026, 3, 1), "last_night": date(2026, 3, 1), "alerts": declared}
    settings = found.settings.model_copy(update=update)
    return found.model_copy(update={"settings": settings, "sources": many, "feature_sets": {}, "models": {}})


def work(url: str, sink: str, declared: Project, started: datetime) -> None:
    """Look and send without a pause; the clock runs a minute a round, so that waits pass."""
    door = Door("sink", host=sink)
    receiver = declared.settings.alerts.receivers["sink"]

    def to_sink(outgoing: Outgoing) -> None:
        deliver(receiver, door, outgoing)

    for minutes in count():
        now = started + timedelta(minutes=minutes)
        with suppress(NightshiftError):  # its connection was ended
            evaluate(
                Database(url), declared, Seen(), now, by="benchmark", link=lambda dag: f"http://here/{dag}"
            )
            send(Database(url), to_sink, lambda now=now: now)


def run(url: str, folder: Path, kills: int, seed: int = 1) -> Figures:
    """Break, mend and kill; then let it finish, and count. ``url``: of a migrated, empty warehouse."""
    began, luck = time.monotonic(), random.Random(seed)  # noqa: S311
    declared, database, arrived = project(), Database(url), folder / "arrived"
    arrived.touch()
    server, sink = serve(arrived)
    try:
        for number in range(kills):
            with database.transaction() as cursor:
                for name in (name for name in sorted(declared.sources) if luck.random() < 0.4):
                    cursor.execute(BREAK, (name, date(2026, 3, 1), luck.choice(("failed", "published"))))
            started = BEGIN + timedelta(hours=number)
            _killed(lambda at=started: work(url, sink, declared, at), url, luck, number)
        for name in declared.sources:
            database.execute(BREAK, (name, date(2026, 3, 1), "published"))
        _finish(url, sink, declared, BEGIN + timedelta(hours=kills))
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    return _counted(database, arrived, kills, time.monotonic() - began)


def _killed(live: Callable[[], None], url: str, luck: random.Random, number: int) -> None:
    """Let a process live, and kill it at a random moment; every third loses its connections before."""
    pid = os.fork()
    if pid == 0:
        try:
            live()
        finally:
            os._exit(1)
    try:
        time.sleep(luck.uniform(0.0, LONGEST_LIFE))
        if number % 3 == 2:
            Database(url).rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
            time.sleep(luck.uniform(0.0, LONGEST_LIFE / 2))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _finish(url: str, sink: str, declared: Project, now: datetime) -> None:
    """Look once more and send until nothing waits."""
    door, receiver = Door("sink", host=sink), declared.settings.alerts.receivers["sink"]
    evaluate(Database(url), declared, Seen(), now, by="benchmark", link=lambda dag: f"http://here/{dag}")
    for hours in range(1, 200):
        at = now + timedelta(hours=hours)
        send(Database(url), lambda outgoing: deliver(receiver, door, outgoing), lambda at=at: at)
        if not Database(url).rows("SELECT 1 FROM alerts.outbox WHERE delivered_at IS NULL"):
            return


def _counted(database: Database, arrived: Path, kills: int, seconds: float) -> Figures:
    keys = Counter(arrived.read_text().split("\n")[:-1])
    made = {
        f"{row['fingerprint']}#{row['message']}"
        for row in database.rows("SELECT fingerprint, message FROM alerts.outbox")
    }
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
        len(made - keys.keys()) + abs(decided - kept) + unbalanced,
        sum(times - 1 for times in keys.values()),
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
