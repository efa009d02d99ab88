"""Backup: the three databases as of one instant, the files by their hashes, and a manifest that names all of it.

The order is what makes it safe. The snapshot of the warehouse is taken first, then MLflow's, then Airflow's,
milliseconds apart, and held while they are dumped; files are copied last. A row is written after what it names: so
whatever the warehouse names is in what was taken later, and what MLflow or the files have beyond it are leftovers of
work that was not finished, which ``nightshift reconcile`` knows. The ledger decides: where MLflow's alias says
something else after a restore, it is pointed where the ledger says.

``FOLDER/files`` has each content once, by its hash, for all backups; ``FOLDER/<name>`` has dumps and manifest of one.
What an earlier backup wrote is read again before a later one counts on it: disks forget.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import psycopg2

from nightshift.errors import NotReady
from nightshift.objects import CHUNK, PART, Objects
from nightshift.runtime import postgres
from nightshift.runtime.state import write_private

ORDER = ("warehouse", "mlflow", "airflow")
MANIFEST = "manifest.json"
SECRETS = "secrets.json"
# By then it was killed.
SECONDS_A_BACKUP_TAKES = 24 * 3600


@dataclass(frozen=True)
class Place:
    """What is backed up, or restored to: databases by the names of :data:`ORDER`, stores of files by name.

    ``secrets``: what the databases are of no use without, in a private file; None: it is kept elsewhere.
    """

    databases: Mapping[str, str] = field(repr=False)
    stores: Mapping[str, str]
    secrets: Path | None = None


@dataclass(frozen=True)
class Content:
    """A file of a backup."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """All of a backup. ``files``: by store and key."""

    made_at: str
    dumps: Mapping[str, Content]
    files: Mapping[str, Mapping[str, Content]]
    format: int = 1

    @property
    def bytes(self) -> int:
        """How large it is."""
        every = [*self.dumps.values(), *(each for store in self.files.values() for each in store.values())]
        return sum(each.bytes for each in every)


def make(place: Place, folder: Path, now: datetime) -> tuple[str, Manifest, int]:
    """Write a backup below ``folder``; return its name, its manifest, and how many contents were new there.

    Raises:
        NotReady: a database does not answer, there is no ``pg_dump`` for the server, or it failed; the folder cannot be
            written.
    """
    try:
        return _made(place, folder, now)
    except OSError as error:
        raise NotReady(
            f"{error.filename or folder}: {error.strerror or error}; no backup was made"
        ) from error


def _made(place: Place, folder: Path, now: datetime) -> tuple[str, Manifest, int]:
    name = f"{now:%Y%m%dT%H%M%SZ}"
    (folder / "files").mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(folder, now)
    part = folder / f"{name}{PART}"
    part.mkdir(mode=0o700)
    try:
        dumps = _dumped(place, part)
        before = _contents(folder)
        files = {store: _stored(Objects(root), folder) for store, root in place.stores.items()}
        if place.secrets is not None:
            write_private(part / SECRETS, place.secrets.read_text())
            dumps[SECRETS] = _content(part / SECRETS)
        manifest = Manifest(now.isoformat(), dumps, files)
        write_private(part / MANIFEST, json.dumps(asdict(manifest), indent=1, sort_keys=True))
        _settle(*part.iterdir(), part, *(folder / "files").iterdir(), folder / "files")
        part.rename(folder / name)  # now it is a backup
        _settle(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return name, manifest, _contents(folder) - before


def _sweep(folder: Path, now: datetime) -> None:
    """Remove what a backup that was killed has left: dumps that no manifest names, contents cut short."""
    for part in (*folder.glob(f"*{PART}"), *folder.glob(f"files/*/*{PART}")):
        with suppress(FileNotFoundError):  # another backup is done with it
            if now.timestamp() - part.stat().st_mtime > SECONDS_A_BACKUP_TAKES:
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def read(folder: Path, name: str | None = None) -> tuple[str, Manifest]:
    """Return a backup's manifest, the newest if none is named.

    Raises:
        NotReady: there is none, or its manifest is damaged.
    """
    known = sorted(each.parent.name for each in folder.glob(f"*/{MANIFEST}"))
    known = [each for each in known if not each.endswith(PART)]
    if not known or (name is not None and name not in known):
        raise NotReady(f"{folder}: no backup {name or ''} here; known: {', '.join(known) or 'none'}")
    chosen = name or known[-1]
    try:
        return chosen, _manifest(json.loads((folder / chosen / MANIFEST).read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotReady(f"{folder / chosen / MANIFEST}: damaged; --backup names another") from error


def _manifest(found: Mapping[str, Any]) -> Manifest:
    files = {
        store: {key: Content(**each) for key, each in kept.items()} for store, kept in found["files"].items()
    }
    dumps = {each: Content(**content) for each, content in found["dumps"].items()}
    return Manifest(found["made_at"], dumps, files, found["format"])


def check(folder: Path, name: str, manifest: Manifest) -> None:
    """Compare every file of a backup with its hash.

    Raises:
        NotReady: naming the first few that are missing or changed.
    """
    expected = {folder / name / each: content for each, content in manifest.dumps.items()}
    for store in manifest.files.values():
        expected |= {content_path(folder, content.sha256): content for content in store.values()}
    wrong = [str(path) for path, content in expected.items() if not _holds(path, content)]
    if wrong:
        rest = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise NotReady(
            f"the backup is damaged: {', '.join(wrong[:3])}{rest} missing, or not what was written"
        )


def content_path(folder: Path, sha256: str) -> Path:
    """Return where a backup folder has the content of a hash."""
    return folder / "files" / sha256[:2] / sha256


def _contents(folder: Path) -> int:
    return sum(1 for file in (folder / "files").glob("*/*") if file.suffix != PART)


def _dumped(place: Place, part: Path) -> dict[str, Content]:
    dumps = {}
    with ExitStack() as held:
        # All snapshots before the first dump: a dump takes minutes, and meanwhile nights go on.
        try:
            snapshots = {name: held.enter_context(_snapshot(place.databases[name])) for name in ORDER}
        except psycopg2.Error as error:
            raise NotReady(f"a database cannot be backed up: {' '.join(str(error).split())}") from error
        for name, (snapshot, version) in snapshots.items():
            file = part / f"{name}.dump"
            options = ["--format=custom", f"--snapshot={snapshot}", f"--file={file}"]
            run_program("pg_dump", version, place.databases[name], options)
            dumps[file.name] = _content(file)
    return dumps


@contextmanager
def _snapshot(url: str) -> Iterator[tuple[str, int]]:
    """Yield the id of what a database is now, and its server's major version; both hold while this is open."""
    with closing(psycopg2.connect(url, connect_timeout=10)) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            row: Any = cursor.fetchone()
            yield row[0], connection.server_version // 10_000


def run_program(name: str, version: int, url: str, options: list[str]) -> str:
    """Run one of PostgreSQL's programs on a database; return its output. Raises NotReady with what it says."""
    command = [str(postgres.program(name, version)), "--no-password", *options]
    done = subprocess.run(
        command, env=os.environ | postgres.login(url), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotReady(f"{name} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def _stored(objects: Objects, folder: Path) -> dict[str, Content]:
    found = {}
    for key in sorted(objects.sizes("")):
        if not key.endswith(PART):
            with suppress(FileNotFoundError):  # retention took it meanwhile
                found[key] = _kept(objects, key, folder)
    return found


def _kept(objects: Objects, key: str, folder: Path) -> Content:
    """Have the folder hold a file's content: copied if it is new there, or no longer what an earlier backup wrote."""
    content = summed(objects.chunks(key))
    target = content_path(folder, content.sha256)
    if _holds(target, content):
        return content
    target.parent.mkdir(exist_ok=True, mode=0o700)
    beside = target.with_name(f"{target.name}.{uuid4().hex}{PART}")
    try:
        with beside.open("wb") as copy:
            copied = summed(objects.chunks(key), copy)
        if copied == content:
            _settle(beside)
            beside.replace(target)
            return content
    finally:
        beside.unlink(missing_ok=True)
    return _kept(objects, key, folder)  # replaced between the two looks


def _settle(*paths: Path) -> None:
    """Return once files, and the names in folders, are on the disk: else a crash could leave empty what is named."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError:
            if path.is_file():  # not every file system of a network does it for a folder
                raise
        finally:
            os.close(descriptor)


def summed(chunks: Iterable[bytes], copy: BinaryIO | None = None) -> Content:
    """Return what pieces of a file are together, written to ``copy`` if one is given."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return Content(digest.hexdigest(), size)


def _content(path: Path) -> Content:
    with path.open("rb") as file:
        return summed(iter(partial(file.read, CHUNK), b""))


def _holds(path: Path, content: Content) -> bool:
    """Whether a file is there, can be read, and is what was written."""
    try:
        return _content(path) == content
    except OSError:
        return False
