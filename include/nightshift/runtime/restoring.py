"""Restore: a backup is compared with its manifest first, then written to a place that is empty, then verified there.

The first thing that is deleted is deleted after all that can be known to fail was tried: the backup is whole, its dumps
can be read here, every server answers, and its login may drop and make what a restore drops and makes. The key to what
Airflow has encrypted is changed together with what it encrypts, not before.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor
from sqlalchemy.engine import make_url

from nightshift.errors import ArtifactRefused, LedgerBroken, NotReady
from nightshift.govern import Ledger
from nightshift.objects import Objects
from nightshift.records import versions
from nightshift.registry import MODEL_FOLDER, Registry, model_files
from nightshift.runtime import backups, credentials
from nightshift.runtime.backups import ORDER, Content, Manifest, Place
from nightshift.runtime.mlflow_server import bring_up_to_date
from nightshift.warehouse import Warehouse, known_revisions, migrate

# The schema itself stays: one that is made anew would be in the next dump, and then be there twice.
IN_PUBLIC = """
DO $$
DECLARE
    kinds jsonb := '{"v": "VIEW", "r": "TABLE", "p": "TABLE", "S": "SEQUENCE"}';
    kind text;
    name text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['v', 'r', 'p', 'S'] LOOP -- a table takes its own sequences with it
        FOREACH name IN ARRAY ARRAY(
            SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind::text = kind
        ) LOOP
            EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', kinds ->> kind, name);
        END LOOP;
    END LOOP;
    FOREACH name IN ARRAY ARRAY(
        SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ) LOOP
        EXECUTE format('DROP ROUTINE %s CASCADE', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY(
        SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
    ) LOOP
        EXECUTE format('DROP TYPE public.%I CASCADE', name);
    END LOOP;
END $$
"""
# The row of a script that says by which of our migrations the warehouse's tables are made.
MIGRATED = re.compile(r"^COPY catalog\.migrations .*;\n(\S+)$", re.MULTILINE)
# Lines of a script that are no SQL.
FOR_PSQL = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)


@dataclass(frozen=True)
class Verified:
    """What was compared after a restore: rows of ledgers' models, files of versions, and aliases that were moved."""

    models: int
    artifacts: int
    snapshots: int
    moved: tuple[str, ...]


def restore(place: Place, folder: Path, name: str, manifest: Manifest, *, replace: bool) -> Verified:
    """Write a backup to a place, and verify what came of it. ``replace``: what is there is lost.

    Raises:
        NotReady: the backup is damaged, the place is not empty, a database does not answer or its login may not write
            it (nothing was written); or ``pg_restore`` failed.
        LedgerBroken: a ledger does not verify. ArtifactRefused: a file is not what the ledger says.
    """
    backups.check(folder, name, manifest)
    if not replace:
        _require_empty(place)
    servers = _rehearsed(place, folder / name)
    for database, version in servers.items():
        with _session(place, database) as cursor:
            _empty(cursor)
        url = place.databases[database]
        options = [
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            f"--dbname={make_url(url).database}",
        ]
        backups.run_program("pg_restore", version, url, [*options, str(folder / name / f"{database}.dump")])
    if place.secrets is not None and backups.SECRETS in manifest.dumps:
        credentials.take_over(place.secrets, folder / name / backups.SECRETS, only_key=replace)
    for store, files in manifest.files.items():
        _write(Objects(place.stores[store]), folder, files)
    migrate(place.databases["warehouse"])  # grants to the logins of this server; a newer engine's tables
    bring_up_to_date(place.databases["mlflow"])
    return verify(place)


def verify(place: Place) -> Verified:
    """Compare what was restored with the ledger: seals and anchors, files of versions, the alias, which follows it.

    Raises:
        LedgerBroken: a ledger does not verify. ArtifactRefused: a file is not what the ledger says.
    """
    warehouse, objects = Warehouse(place.databases["warehouse"]), Objects(place.stores["objects"])
    registry = Registry(place.databases["mlflow"])
    artifacts = Objects(place.stores["mlflow-artifacts"])
    served, snapshots = warehouse.all(versions.SERVED), warehouse.all(versions.FROZEN)
    for version in served:
        paths = model_files(MODEL_FOLDER, version.artifact_sha256)
        keys = [registry.artifact_key(version.mlflow_run_id, path) for path in paths]
        _compare(artifacts, next(filter(artifacts.sizes, keys), keys[0]), version.artifact_sha256)
    for snapshot in snapshots:
        _compare(objects, snapshot.object_key, snapshot.snapshot_id)
    models = sorted({version.model for version in served})
    moved = tuple(filter(None, (_follow(warehouse, registry, model) for model in models)))
    return Verified(len(models), len(served), len(snapshots), moved)


def _follow(warehouse: Warehouse, registry: Registry, model: str) -> str | None:
    """Verify a ledger, and point the alias where it says; return that it pointed elsewhere, or None."""
    ledger = Ledger(warehouse, model)
    misfit = ledger.verify(registry.anchors(model).values())
    if misfit:
        raise LedgerBroken(f"model '{model}': {misfit}. See 'The ledger does not verify' in docs/runbooks.md")
    head, alias = ledger.head(), registry.champion(model)
    if head is None or head.version == alias:
        return None
    registry.promote(model, head.version)
    return f"{model}: alias champion pointed at version {head.version}, as the ledger says; it said {alias}"


def _compare(objects: Objects, key: str, expected: str) -> None:
    try:
        found = backups.summed(objects.chunks(key)).sha256
    except FileNotFoundError:
        found = None
    if found != expected:
        raise ArtifactRefused(f"{objects.uri(key)}: missing, or not what was recorded ({expected[:12]}...)")


def _require_empty(place: Place) -> None:
    full = [name for name in ORDER if _tables(place, name)]
    full += [name for name, root in place.stores.items() if Objects(root).sizes("")]
    if full:
        raise NotReady(
            f"not empty: {', '.join(full)}. Nothing was written; --replace deletes what is there and restores"
        )


def _write(objects: Objects, folder: Path, files: Mapping[str, Content]) -> None:
    for key in objects.sizes("").keys() - files.keys():
        objects.remove(key)
    for key, content in files.items():
        objects.put_file(key, backups.content_path(folder, content.sha256))


def _rehearsed(place: Place, dumps: Path) -> dict[str, int]:
    """Drop and make all tables, and roll that back; return each database's major version of PostgreSQL.

    Raises:
        NotReady: naming the database that does not answer, whose login or whose roles are not those that are needed, or
            whose dump cannot be read here; or the backup is of a newer engine.
    """
    for root in place.stores.values():
        Objects(root).sizes("")  # one that does not answer says so now
    servers = {}
    try:
        for database in ORDER:
            with _session(place, database) as cursor:
                servers[database] = cursor.connection.server_version // 10_000
                dump = ["--no-owner", "--schema-only", "--file=-", str(dumps / f"{database}.dump")]
                script = backups.run_program("pg_restore", servers[database], place.databases[database], dump)
                cursor.execute("SET LOCAL lock_timeout = '30s'")
                _empty(cursor)
                cursor.execute(FOR_PSQL.sub("", script))
                cursor.connection.rollback()
        _require_known(place, dumps, servers["warehouse"])
    except NotReady as error:
        raise NotReady(f"{error}. Nothing was deleted, nothing was written") from error
    return servers


def _require_known(place: Place, dumps: Path, version: int) -> None:
    """Raise NotReady if the tables of the warehouse's dump are of an engine that is newer than this one."""
    row = ["--data-only", "--schema=catalog", "--table=migrations", "--file=-", str(dumps / "warehouse.dump")]
    found = MIGRATED.search(backups.run_program("pg_restore", version, place.databases["warehouse"], row))
    if found and found[1] not in known_revisions():
        raise NotReady(
            f"the backup is of a newer engine than this one: its warehouse is at revision {found[1]}. Install that one "
            "to restore it"
        )


@contextmanager
def _session(place: Place, database: str) -> Iterator[Cursor]:
    """Yield a cursor in a transaction of its own. What goes wrong is NotReady, with the database's name."""
    try:
        with (
            closing(psycopg2.connect(place.databases[database], connect_timeout=10)) as session,
            session,
            session.cursor() as cursor,
        ):
            yield cursor
    except psycopg2.Error as error:
        raise NotReady(f"{database}: {str(error).strip()}") from error


def _tables(place: Place, database: str) -> int:
    with _session(place, database) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        )
        [(found,)] = cursor.fetchall()
    return int(found)


def _empty(cursor: Cursor) -> None:
    """Drop what the database's owner has in it: the database itself is its administrator's to drop."""
    cursor.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' "
        "AND nspname NOT IN ('information_schema', 'public')"
    )
    for (schema,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    cursor.execute(IN_PUBLIC)
