"""What is wrong with an installation, and what to do: a table of checks at the foot of this module.

A check says in words what is wrong, a line a thing; nothing is well. It changes nothing, and starts nothing. What it
cannot know because nothing runs, it does not say.
"""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nightshift import processes
from nightshift.environment import LOCK
from nightshift.errors import NightshiftError, NotReady
from nightshift.govern import Ledger
from nightshift.platform.clock import check_clock
from nightshift.records import doctor as records
from nightshift.registry import Registry
from nightshift.root import ROOT
from nightshift.runtime import control, databases, endpoints, health, log_files, state
from nightshift.runtime.credentials import CREDENTIALS
from nightshift.runtime.state import Runtime, Snapshot
from nightshift.specs import load_project
from nightshift.specs.derived import ROLES, login_of
from nightshift.warehouse import Warehouse, newest_revision

OLDEST, NEWEST = (3, 11), (3, 13)
SECRETS = ROOT / "deploy" / "check-secrets.sh"
# Clocks differ by so much without anybody noticing.
SECONDS_APART = 5
# Since the stack was started: so much is no drift that is mended bit by bit, nor a slow start.
SET = timedelta(minutes=10)
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
MOST_TOLD = 3


@dataclass(frozen=True)
class Installation:
    """What is looked at. ``now``: tells what this machine's clock says."""

    home: Path
    now: Callable[[], datetime]
    lock: Path = LOCK
    env: Path = ROOT / ".env"

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The local stack, if it was ever started."""
        return state.read_snapshot(self.home)

    @cached_property
    def running(self) -> Runtime | None:
        """The local stack, if it runs."""
        return self.snapshot.runtime if self.snapshot and control.is_supervised(self.snapshot) else None

    @cached_property
    def warehouse(self) -> Warehouse | None:
        """The warehouse that the environment names, else the running stack's; None: there is none, or it is away."""
        url = os.environ.get("NIGHTSHIFT_WAREHOUSE_URL") or (
            self.running.warehouse_url if self.running else ""
        )
        return Warehouse(url) if url and databases.answers(url) else None

    @cached_property
    def registry(self) -> Registry | None:
        """The registry of that warehouse; None: there is none."""
        if "NIGHTSHIFT_WAREHOUSE_URL" in os.environ:
            given = os.environ.get("MLFLOW_TRACKING_URI")
            return Registry(given) if given else None
        if self.running is None:
            return None
        os.environ["MLFLOW_TRACKING_USERNAME"] = self.running.mlflow_user
        os.environ["MLFLOW_TRACKING_PASSWORD"] = self.running.mlflow_password
        return Registry(self.running.mlflow_url)


@dataclass(frozen=True)
class Check:
    """A row of the table. ``remedy``: what to do about whatever it finds."""

    name: str
    look: Callable[[Installation], Iterator[str]]
    remedy: str


@dataclass(frozen=True)
class Finding:
    """What one check came to. ``troubles``: in words; none: all is well."""

    name: str
    troubles: tuple[str, ...]
    remedy: str


def examine(found: Installation) -> list[Finding]:
    """Run every check. One that fails by itself is a trouble too, and keeps no other from being run."""
    return [Finding(check.name, tuple(_looked(check, found)), check.remedy) for check in CHECKS]


def _looked(check: Check, found: Installation) -> Iterator[str]:
    try:
        yield from check.look(found)
    except (NightshiftError, OSError) as error:
        yield str(error)


def python(found: Installation) -> Iterator[str]:
    """A Python that the lock files fit."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        yield f"this is Python {sys.version.split()[0]}; expected 3.{OLDEST[1]} to 3.{NEWEST[1]}"


def packages(found: Installation) -> Iterator[str]:
    """What is installed is what the lock file says."""
    if not found.lock.exists():
        return
    locked: dict[str, list[str]] = {}
    for name, wanted in PINNED.findall(found.lock.read_text()):
        locked.setdefault(name, []).append(wanted)  # one for each Python that has another
    wrong = []
    for name, versions in locked.items():
        there = _installed(name)
        if there and there not in versions:  # None: for another platform
            wrong.append(f"{name} {there} is installed, {' or '.join(versions)} is locked")
    yield from wrong[:MOST_TOLD]
    if len(wrong) > MOST_TOLD:
        yield f"and {len(wrong) - MOST_TOLD} more packages"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def specs(found: Installation) -> Iterator[str]:
    """The specs load."""
    yield from load_project().problems.values()


def disk(found: Installation) -> Iterator[str]:
    """There is room where the local stack writes."""
    yield from log_files.nearly_full(
        *{folder for folder in (found.home, found.home / "objects") if folder.exists()}
    )


def ports(found: Installation) -> Iterator[str]:
    """The ports that are asked for by name are free, or ours."""
    try:
        if found.running is None:
            endpoints.choose_ports({})
    except NotReady as error:
        yield str(error)


def permissions(found: Installation) -> Iterator[str]:
    """The home folder is ours, and nobody else reads what is secret."""
    home = found.home if found.home.exists() else found.home.parent
    if not os.access(home, os.W_OK | os.X_OK):
        yield f"{home}: cannot be written by this account"
    for file in (found.home / CREDENTIALS, found.home / "runtime.json", found.env):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            yield f"{file}: others may read it"


def secrets(found: Installation) -> Iterator[str]:
    """No secret of compose's is a placeholder, or too simple: by the check that its containers start with."""
    if not found.env.exists() or not SECRETS.exists():
        return
    lines = [line.partition("=") for line in found.env.read_text().splitlines() if not line.startswith("#")]
    given = {name.strip(): value.strip().strip("'\"") for name, equals, value in lines if equals}
    done = subprocess.run(
        ["/bin/sh", str(SECRETS), "true"],
        env={"PATH": os.environ.get("PATH", os.defpath)} | given,
        capture_output=True,
        text=True,
        check=False,
    )
    yield from (line.removeprefix("nightshift: ") for line in done.stderr.splitlines())


def servers(found: Installation) -> Iterator[str]:
    """What should answer does."""
    if given := os.environ.get("NIGHTSHIFT_WAREHOUSE_URL"):
        if not databases.answers(given):
            yield "the warehouse of NIGHTSHIFT_WAREHOUSE_URL does not answer"
        return
    if found.snapshot is None or (found.running is None and not found.snapshot.components):
        return
    if found.running is None:
        yield "nobody watches over the stack: its supervisor is gone"
    runtime, records_ = found.snapshot.runtime, found.snapshot.components
    well = health.examine(runtime, records_)
    yield from (
        f"{name} does not answer, or is not well" for name, is_well in well.items() if is_well is False
    )


def migrations(found: Installation) -> Iterator[str]:
    """The warehouse's tables are those of this engine."""
    if found.warehouse is None:
        return
    there = found.warehouse.one(records.HAS_REVISION)
    row = found.warehouse.one(records.REVISION) if there and there.found else None
    newest = newest_revision()
    if row is None or row.version_num != newest:
        yield f"the warehouse is at revision {row.version_num if row else 'none'}; this engine's is {newest}"


def ledgers(found: Installation) -> Iterator[str]:
    """Each ledger holds its seals, and the alias is where it says."""
    if found.warehouse is None or found.registry is None:
        return
    for name in sorted(load_project().models):
        ledger = Ledger(found.warehouse, name)
        misfit = ledger.verify(found.registry.anchors(name).values())
        if misfit:
            yield f"model '{name}': {misfit}"
        head, alias = ledger.head(), found.registry.champion(name)
        if alias != (head.version if head else None):
            yield f"model '{name}': the alias says version {alias}, the ledger {head.version if head else None}"


def clock(found: Installation) -> Iterator[str]:
    """The project's nights are cut by one clock, this machine's agrees with the server's, and neither was set."""
    yield from _clock_was_set(found)
    if found.warehouse is None:
        return
    check_clock(load_project(), found.warehouse)
    server, here = found.warehouse.one(records.CLOCK), found.now()
    if server is None:
        return
    apart = abs((server.now - here).total_seconds())
    if apart > SECONDS_APART:
        yield f"this machine's clock and the database server's are {apart:.0f} s apart"
    if server.newest and server.newest > server.now + timedelta(seconds=SECONDS_APART):
        yield f"rows were written at {server.newest:%Y-%m-%d %H:%M} UTC, and now it is {server.now:%Y-%m-%d %H:%M}"


def _clock_was_set(found: Installation) -> Iterator[str]:
    supervisor = found.snapshot.supervisor if found.running and found.snapshot else None
    if supervisor is None:
        return
    shown = timedelta(seconds=found.now().timestamp() - supervisor.since)
    moved = shown - timedelta(seconds=processes.age(supervisor.started))
    if abs(moved) > SET:
        way = "ahead" if moved > timedelta() else "back"
        yield (
            f"this machine's clock was set {way} by {abs(moved).total_seconds() / 60:.0f} minutes since the stack "
            "started: a night that began meanwhile began at the wrong hour"
        )


def logins(found: Installation) -> Iterator[str]:
    """Each kind of stage has a login of its own."""
    if found.warehouse is not None:
        row = found.warehouse.one(records.LOGINS, names=[login_of(role) for role in ROLES])
        if row and row.missing:
            yield f"the server has no login {', '.join(row.missing)}: these stages run as the warehouse's owner"


CHECKS = (
    Check("python", python, "install one of these and run `make install`"),
    Check("packages", packages, "run `make install`; in a container, build the image again"),
    Check("specs", specs, "mend the file; `nightshift check --deep` looks closer"),
    Check("disk", disk, "`nightshift retention` says what may go"),
    Check("ports", ports, "end who listens there, or name another port (NIGHTSHIFT_..._PORT)"),
    Check("permissions", permissions, "chmod 600 what is secret; NIGHTSHIFT_HOME names another folder"),
    Check("secrets", secrets, "`sh deploy/make-env.sh` writes random ones; see .env.example"),
    Check("servers", servers, "`nightshift up`; `nightshift logs NAME` says why one does not answer"),
    Check(
        "migrations", migrations, "`nightshift migrate`; if the warehouse is newer, install the newer engine"
    ),
    Check("logins", logins, "see 'From one login to one a stage' in docs/runbooks.md"),
    Check(
        "ledger",
        ledgers,
        "`nightshift reconcile` moves the alias; see 'The ledger does not verify' in docs/runbooks.md",
    ),
    Check(
        "clock",
        clock,
        "set the clock (NTP) before the next night, then restart the stack; a time zone that was changed: put it back. "
        "See 'The clock was wrong' in docs/runbooks.md",
    ),
)
