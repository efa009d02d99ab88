"""Passwords and keys of the local runtime: drawn once, kept in one private file, never printed in a log."""

import base64
import json
import os
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from nightshift.runtime.state import write_private
from nightshift.specs.derived import ROLES, login_of

CREDENTIALS = "credentials.json"
OF_A_HOME = ("postgres", "installation")


def _word() -> str:
    return secrets.token_urlsafe(18)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@dataclass(frozen=True)
class Credentials:
    """One secret for each door."""

    postgres: str = field(default_factory=_word, repr=False)
    airflow: str = field(default_factory=_word, repr=False)
    mlflow: str = field(default_factory=_word, repr=False)
    warehouse: str = field(default_factory=_word, repr=False)
    warehouse_collect: str = field(default_factory=_word, repr=False)
    warehouse_features: str = field(default_factory=_word, repr=False)
    warehouse_score: str = field(default_factory=_word, repr=False)
    warehouse_train: str = field(default_factory=_word, repr=False)
    warehouse_monitor: str = field(default_factory=_word, repr=False)
    warehouse_operate: str = field(default_factory=_word, repr=False)
    warehouse_describe: str = field(default_factory=_word, repr=False)
    warehouse_alerts: str = field(default_factory=_word, repr=False)
    warehouse_reader: str = field(default_factory=_word, repr=False)
    admin: str = field(default_factory=_word, repr=False)
    olga: str = field(default_factory=_word, repr=False)
    vic: str = field(default_factory=_word, repr=False)
    mlflow_user: str = field(default_factory=_word, repr=False)
    mlflow_session_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    fernet_key: str = field(default_factory=_fernet_key, repr=False)
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)
    api_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    # No secret: what is noted at the roles of a server, so that another installation leaves them alone.
    installation: str = field(default_factory=_word)
    # Of the databases that the project adds, by name.
    added: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def logins(self) -> dict[str, str]:
        """The warehouse's logins by name, beside that of its owner, and their passwords."""
        return {login_of(role): getattr(self, f"warehouse_{role}") for role in ROLES}

    @property
    def users(self) -> dict[str, str]:
        """Airflow's users and their passwords."""
        return {"admin": self.admin, "olga": self.olga, "vic": self.vic}


def keep(home: Path, databases: Collection[str] = ()) -> Credentials:
    """Return the credentials of ``home``, drawing those that are missing; written with mode 0600.

    ``databases`` are those that the project adds; of one that it no longer adds, nothing is kept.
    """
    path = home / CREDENTIALS
    known = json.loads(path.read_text()) if path.exists() else {}
    ours = {each.name: known[each.name] for each in fields(Credentials) if each.name in known}
    added = {name: ours.get("added", {}).get(name) or _word() for name in databases}
    credentials = Credentials(**(ours | {"added": added}))
    if asdict(credentials) != known:
        write_private(path, json.dumps(asdict(credentials), indent=1))
    # SimpleAuthManager would write its own file readable by all: put it there first.
    write_private(home / "airflow-passwords.json", json.dumps(credentials.users))
    return credentials


def take_over(ours: Path, theirs: Path, *, only_key: bool) -> None:
    """Have the credentials of a home decrypt what was restored there; what they were before is kept beside them.

    ``only_key``: the home had databases and users of its own, whose passwords stay. Else they become the backup's, but
    for that of the server's administrator, which is set where its data was made, and for whose its roles are.
    """
    known, kept = json.loads(ours.read_text()), json.loads(theirs.read_text())
    taken = (
        {"fernet_key": kept["fernet_key"]} if only_key else kept | {name: known[name] for name in OF_A_HOME}
    )
    if known | taken == known:
        return
    write_private(ours.with_name(f"{ours.name}.before"), ours.read_text())
    write_private(ours, json.dumps(known | taken, indent=1))
