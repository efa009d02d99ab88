"""`nightshift backup` and `restore`: of what the environment names, databases and stores, else of the local stack."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nightshift.errors import NotReady, RequestError
from nightshift.runtime import alone, backups, control, restoring, state
from nightshift.runtime.backups import Place
from nightshift.runtime.credentials import CREDENTIALS
from nightshift.runtime.state import Runtime

# Where a deployment has what a local stack has below its home. All or none of them.
NAMED = {
    "warehouse": "NIGHTSHIFT_WAREHOUSE_URL",
    "mlflow": "MLFLOW_BACKEND_STORE_URI",
    "airflow": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "objects": "NIGHTSHIFT_OBJECTS",
    "mlflow-artifacts": "MLFLOW_ARTIFACTS",
}


def make(folder: Path) -> list[str]:
    """Make a backup; return what it holds, in words. Raises NotReady: as :func:`nightshift.runtime.backups.make`."""
    with _running() as place:
        name, manifest, new = backups.make(place, folder, datetime.now(UTC))
    files = sum(map(len, manifest.files.values()))
    size = f"{len(backups.ORDER)} databases and {files} files, {manifest.bytes >> 20} MB"
    guard = [f"{name}/secrets.json decrypts what Airflow keeps: guard it"] if place.secrets else []
    return [f"{folder / name}: {size}; {new} contents are new in this folder", *guard]


def restore(folder: Path, name: str | None, *, replace: bool) -> list[str]:
    """Restore a backup, the newest if none is named; return what was verified, in words.

    Raises:
        NotReady, LedgerBroken, ArtifactRefused: as :func:`nightshift.runtime.restoring.restore`.
    """
    chosen, manifest = backups.read(folder, name)
    with _stopped() as place:
        found = restoring.restore(place, folder, chosen, manifest, replace=replace)
    held = f"{found.models} ledgers hold their seals and anchors"
    same = f"{found.artifacts} model files and {found.snapshots} snapshots are what was recorded"
    return [f"restored {chosen}: {held}, {same}", *found.moved]


@contextmanager
def _running() -> Iterator[Place]:
    given = _given()
    if given:
        yield given
        return
    home = state.home()
    snapshot = state.read_snapshot(home)
    if snapshot is None:
        raise NotReady("the local runtime was never started here; there is nothing to back up")
    if control.runs(snapshot):  # two servers on the same data would be one too many
        yield _place(snapshot.runtime)
        return
    with alone.server(home) as runtime:
        yield _place(runtime)


@contextmanager
def _stopped() -> Iterator[Place]:
    given = _given()
    if given:
        yield given
        return
    with alone.server(state.home()) as runtime:  # which refuses a stack that runs
        yield _place(runtime)


def _place(runtime: Runtime) -> Place:
    return Place(
        {
            "warehouse": runtime.warehouse_url,
            "mlflow": runtime.mlflow_database_url,
            "airflow": runtime.airflow_database_url,
        },
        {
            "objects": str(runtime.home / "objects"),
            "mlflow-artifacts": str(runtime.home / "mlflow-artifacts"),
        },
        runtime.home / CREDENTIALS,
    )


def _given() -> Place | None:
    """Return what the environment names, None if it names no warehouse. Raises RequestError if it names a part."""
    if "NIGHTSHIFT_WAREHOUSE_URL" not in os.environ:
        return None
    missing = [variable for variable in NAMED.values() if variable not in os.environ]
    if missing:
        raise RequestError(f"NIGHTSHIFT_WAREHOUSE_URL is set: set {', '.join(missing)} too")
    named = {name: os.environ[variable] for name, variable in NAMED.items()}
    urls = {name: named[name].replace("+psycopg2", "", 1) for name in backups.ORDER}
    return Place(urls, {name: named[name] for name in ("objects", "mlflow-artifacts")})
