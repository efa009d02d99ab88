"""What is remembered between commands: one private file, ``.nightshift/runtime.json``.

Everything the local runtime writes lies under one home folder. Whatever holds a password is created with
mode 0600 and replaced whole, so that a reader sees the old file or the new one.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nightshift.errors import NotReady
from nightshift.root import ROOT


@dataclass(frozen=True)
class Runtime:
    """Where the local services are and how to enter them."""

    home: Path
    airflow_url: str
    mlflow_url: str
    warehouse_url: str  # its owner's, the migrator
    airflow_database_url: str
    mlflow_database_url: str
    # The administrator's: creates databases and roles, and answers whether the server is alive.
    admin_database_url: str
    # None: the embedded server runs here. Else the server was given by NIGHTSHIFT_DATABASE_URL.
    postgres_port: int | None
    # Airflow's users by name: admin, olga (operator), vic (viewer).
    passwords: dict[str, str] = field(repr=False)
    # What the project adds to the stack: its HTTP services and its databases, by name, each with its URL.
    services: dict[str, str] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict, repr=False)
    # MLflow's one account, which tasks and people share.
    mlflow_user: str = "nightshift"
    mlflow_password: str = field(default="", repr=False)
    # The warehouse with the login of each role; empty: set up before there were roles.
    warehouse_urls: dict[str, str] = field(default_factory=dict, repr=False)

    def warehouse_as(self, role: str) -> str:
        """Return the warehouse's URL with the login of a role, its owner's where there are none yet."""
        return self.warehouse_urls.get(role, self.warehouse_url)

    @property
    def admin_password(self) -> str:
        """Airflow's ``admin`` password."""
        return self.passwords["admin"]


@dataclass(frozen=True)
class Record:
    """One supervised process. A pid means nothing without the time its process started."""

    pid: int
    started: int  # clock ticks after boot, as /proc tells
    since: float  # seconds since the epoch: when it was started
    healthy: bool = False
    restarts: int = 0


@dataclass(frozen=True)
class Snapshot:
    """All of ``runtime.json``."""

    runtime: Runtime
    phase: str = "starting"  # starting, ready, failed, stopping, stopped
    message: str = ""
    supervisor: Record | None = None
    components: dict[str, Record] = field(default_factory=dict)
    # Components and steps that are well, also those without a process of their own.
    well: list[str] = field(default_factory=list)


def home() -> Path:
    """Return the folder of all local state: ``NIGHTSHIFT_HOME``, or ``.nightshift`` in the project's folder."""
    chosen = os.environ.get("NIGHTSHIFT_HOME")
    return Path(chosen).absolute() if chosen else ROOT / ".nightshift"


def load(folder: Path | None = None) -> Runtime:
    """Return the runtime that ``nightshift up`` set up last.

    Raises:
        NotReady: it was never started here.
    """
    snapshot = read_snapshot(folder or home())
    if snapshot is None:
        raise NotReady("the local runtime was never started here; run `nightshift up`")
    return snapshot.runtime


def read_snapshot(folder: Path) -> Snapshot | None:
    """Return what ``runtime.json`` below ``folder`` says, or None if it is missing or unreadable."""
    try:
        content = json.loads((folder / "runtime.json").read_text())
        runtime = Runtime(**{**content["runtime"], "home": Path(content["runtime"]["home"])})
        return Snapshot(
            runtime=runtime,
            phase=content["phase"],
            message=content["message"],
            supervisor=_record(content["supervisor"]),
            components={name: Record(**record) for name, record in content["components"].items()},
            well=content["well"],
        )
    # A file of another version is as good as none: the next start writes it afresh.
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_snapshot(snapshot: Snapshot) -> None:
    """Replace ``runtime.json``."""
    write_private(snapshot.runtime.home / "runtime.json", json.dumps(asdict(snapshot), default=str, indent=1))


def write_private(path: Path, text: str) -> None:
    """Write ``text`` so that only this account can read it, all at once."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def _record(content: dict[str, Any] | None) -> Record | None:
    return Record(**content) if content else None
