"""A warehouse of an older version, with real nights and a champion, is migrated; its nights go on."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import sql

from integration.conftest import FIRST, LAST, MODEL, SCORED, _admin, _beside
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.database import Database
from nightshift.registry import LEDGER
from nightshift.runtime.backups import run_program
from nightshift.stages import Platform, Try
from nightshift.warehouse import Warehouse, migrate, newest_revision

pytestmark = pytest.mark.integration

# Before seals, roles, arms, events, sketches, recalibration, refits, alerts and profile counts.
OLD = "0014"
NEXT = DateRange(date(2013, 2, 6), LAST)
FIXED = ("adhoc", "catalog", "governance", "monitoring", "quarantine", "alerts")
OF_SPECS = ("raw", "features", "predictions")


def tables(url: str) -> dict[tuple[str, str], list[str]]:
    """Return the columns of each fixed table that a row can be written to."""
    rows = Database(url).rows(
        "SELECT c.table_schema, c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position) AS names "
        "FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) "
        "WHERE t.table_type = 'BASE TABLE' AND c.table_schema = ANY(%s) AND t.table_name <> 'migrations' "
        "GROUP BY 1, 2",
        (list(FIXED),),
    )
    return {(row["table_schema"], row["table_name"]): row["names"] for row in rows}


def carried_back(new: str, old: str) -> None:
    """Write the rows of a warehouse into one of an older revision, in the columns that it had."""
    theirs, ours = tables(old), tables(new)
    # What was renamed since had the same columns.
    source = {("monitoring", "performance"): ("monitoring", "performance_history")}
    with closing(psycopg2.connect(new)) as reading, closing(psycopg2.connect(old)) as writing:
        read, write = reading.cursor(), writing.cursor()
        write.execute(
            "SET session_replication_role = replica"
        )  # as a restore does: what was written stays as it was
        for table, columns in theirs.items():
            origin = source.get(table, table)
            names = [name for name in columns if name in ours.get(origin, [])]
            if not names:
                continue
            listed = sql.SQL(", ").join(map(sql.Identifier, names))
            read.execute(
                sql.SQL("SELECT {}::text[] FROM {}").format(
                    sql.SQL("ARRAY[{}]").format(
                        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(n)) for n in names)
                    ),
                    sql.Identifier(*origin),
                )
            )
            kinds = Database(old).rows(
                "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS kind FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0",
                (".".join(table),),
            )
            kind = {row["name"]: row["kind"] for row in kinds}
            cast = sql.SQL(", ").join(sql.SQL(f"%s::{kind[name]}") for name in names)
            statement = sql.SQL(
                "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING"
            ).format(sql.Identifier(*table), listed, cast)
            for (row,) in read.fetchall():
                write.execute(statement, row)
        writing.commit()


@pytest.fixture
def older(loop: Platform, postgres_url: str, tmp_path: Path) -> Iterator[Platform]:
    """Return the month as an older version would have it: its fixed tables of then, the tables of specs as they are."""
    name = f"older_{uuid4().hex}"
    url = _beside(postgres_url, name)
    _admin(postgres_url, f"CREATE DATABASE {name}")
    migrate(url, OLD)
    carried_back(loop.warehouse.url, url)
    dump = tmp_path / "specs.dump"
    chosen = [f"--table={schema}.*" for schema in OF_SPECS]
    options = ["--format=custom", "--no-acl", f"--file={dump}", *chosen]
    run_program("pg_dump", 16, loop.warehouse.url, options)
    run_program("pg_restore", 16, url, ["--no-owner", f"--dbname={name}", str(dump)])
    # Anchors are of the chain of seals that this warehouse does not have yet.
    for version in loop.registry.versions(MODEL):
        for entry in loop.registry.anchors(MODEL):
            loop.registry._client.delete_model_version_tag(MODEL, str(version.version), f"{LEDGER}{entry}")
    yield replace(loop, warehouse=Warehouse(url))
    _admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def revision(platform: Platform) -> str:
    [row] = platform.warehouse.rows("SELECT version_num FROM catalog.migrations")
    return row["version_num"]


def predictions(platform: Platform) -> list[dict]:
    return platform.warehouse.rows(
        f"SELECT batch_date, count(*) AS n, round(avg(prediction)::numeric, 9) AS mean "
        f"FROM predictions.{MODEL} GROUP BY 1 ORDER BY 1"
    )


@pytest.mark.timeout(900)
def test_an_older_warehouse_is_migrated_and_its_nights_go_on(older: Platform, loop: Platform) -> None:
    assert revision(older) == OLD
    assert older.warehouse.rows("SELECT to_regclass('governance.seals') AS seals") == [{"seals": None}]
    assert len(older.warehouse.rows("SELECT 1 FROM governance.promotions")) == 1
    migrate(older.warehouse.url)
    assert revision(older) == newest_revision()
    stages.verify_ledgers(older, MODEL)
    asked = Try("after")
    for source in older.project.sources_of(MODEL):
        stages.collect(older, source, NEXT, asked)
        stages.validate(older, source, NEXT, asked)
        stages.reconcile_source(older, source, DateRange(FIRST, LAST))
    stages.build_features(older, older.project.model(MODEL).features, NEXT, asked)
    for platform in (older, loop):
        stages.score(platform, MODEL, DateRange(SCORED.first, LAST), asked)
    assert predictions(older) == predictions(loop), "what scores is what scored before"
    stages.decide_verdict(older, MODEL, LAST, asked)
    night = older.warehouse.row("SELECT * FROM monitoring.nights WHERE batch_date = %s", (LAST,))
    assert night
    assert night["model_version"] == older.registry.champion(MODEL)
    assert night["scored"] > 500
    assert night["status"] is not None
