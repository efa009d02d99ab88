"""One login a kind of stage: what each is refused, by name, and that its own stages run with it."""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.errors
import pytest

import nightshift
from integration.champions import better, promoted
from integration.conftest import LAST, MODEL, SCORED, History
from integration.judged_versions import FROM
from integration.judged_versions import promoted as written
from nightshift import stages
from nightshift.alerts import Seen
from nightshift.alerts.evaluating import evaluate, message_of
from nightshift.alerts.sending import send
from nightshift.alerts.silencing import silence
from nightshift.calendar import DateRange
from nightshift.errors import WarehouseRefused
from nightshift.govern import Ledger, Rollback, write_rollback
from nightshift.platform.inputs import read_labels
from nightshift.records import alerts
from nightshift.records.alerts import Outgoing
from nightshift.registry import Registry
from nightshift.rows import Command, Query
from nightshift.runtime import databases
from nightshift.runtime.endpoints import DATABASES
from nightshift.specs import load_project
from nightshift.specs.derived import OF_THE_PROJECT, ROLES, STAGES, dag_id, login_of, role_of
from nightshift.stages import Platform, Question, Replay, Try, Wanted
from nightshift.types import POSTGRES
from nightshift.warehouse import Table, Warehouse, migrate

pytestmark = pytest.mark.integration
PACKAGE = Path(nightshift.__file__).parent
LEDGER = ("promotions", "decisions", "versions", "signatures", "outcomes", "bars", "renames", "seals")
# Schemas whose tables a role does not see at all.
CLOSED = {
    "collect": ("governance", "features", "predictions", "labels", "adhoc", "monitoring"),
    "features": ("governance", "predictions", "labels", "adhoc", "monitoring", "quarantine"),
    "score": ("monitoring", "quarantine"),
    "train": ("predictions", "adhoc", "quarantine"),
    "monitor": ("quarantine", "adhoc"),
    "operate": (),
    "describe": (),
    "alerts": (),
    "reader": (),
}


# What is wrong with a night's features is written by who builds them, and read by who scores them.
OPEN = {"features": {"monitoring.faults"}, "score": {"monitoring.faults"}}


@pytest.fixture(scope="module")
def logins(postgres_url: str) -> Iterator[dict[str, str]]:
    """Return the logins' passwords, on a server as `nightshift up` prepares it."""
    passwords = {login_of(role): f"{role}'s password" for role in ROLES}
    databases.create(postgres_url, dict.fromkeys((*DATABASES, "ops"), "test"), passwords, is_ours=True)
    yield passwords
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for name in (*DATABASES, "ops"):
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def owned(postgres_url: str, logins: dict[str, str]) -> Warehouse:
    """Return the migrated warehouse as its owner, who is no superuser."""
    place = postgres_url.rpartition("@")[2].rpartition("/")[0]
    url = f"postgresql://warehouse:test@{place}/warehouse"
    migrate(url)
    return Warehouse(url)


@pytest.fixture(scope="module")
def entered(owned: Warehouse, logins: dict[str, str]) -> Callable[[str], Warehouse]:
    """Return a function that enters a database as a role."""
    place = owned.url.rpartition("@")[2].rpartition("/")[0]

    def enter(role: str, database: str = "warehouse") -> Warehouse:
        login = login_of(role)
        return Warehouse(f"postgresql://{login}:{quote(logins[login])}@{place}/{database}")

    return enter


def attempts() -> list[str]:
    ledger = [
        statement
        for table in LEDGER
        for statement in (
            f"DROP TABLE governance.{table} CASCADE",
            f"ALTER TABLE governance.{table} DISABLE TRIGGER ALL",
            f"ALTER TABLE governance.{table} ADD COLUMN x text",
            f"DELETE FROM governance.{table}",
            f"TRUNCATE governance.{table} CASCADE",
        )
    ]
    return [
        *ledger,
        "UPDATE governance.decisions SET requested_by = 'another'",
        "UPDATE governance.versions SET artifact_sha256 = 'mine'",
        "UPDATE governance.promotions SET actor = 'me'",
        "INSERT INTO governance.seals VALUES (1, 'm', 'bars', '1', '{}', '', '', '')",
        "SELECT governance.append_seal('m', 'bars', '1', '{}')",
        "SELECT setval('governance.entries', 1)",
        "CREATE OR REPLACE FUNCTION governance.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "DROP FUNCTION governance.seal CASCADE",
        "SET session_replication_role = replica",
        "DROP TABLE catalog.batches",
        "TRUNCATE catalog.leases",
        "UPDATE catalog.migrations SET version_num = '0001'",
        "SELECT catalog.make_table('governance', 'x', '{a}', '{text}', '{}', '{a}', false)",
        "CREATE TABLE raw.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE TEMP TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION raw.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "SET ROLE warehouse",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION warehouse",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER TABLE governance.promotions OWNER TO CURRENT_USER",
        "GRANT pg_execute_server_program TO CURRENT_USER",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/nightshift'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
        "ALTER SYSTEM SET log_statement = 'all'",
    ]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_refused_what_it_has_no_business_with(
    entered: Callable[..., Warehouse], role: str
) -> None:
    taken = []
    for statement in attempts():
        with closing(psycopg2.connect(entered(role).url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            try:
                cursor.execute(statement)
            except psycopg2.errors.InsufficientPrivilege:
                continue
            except psycopg2.Error as error:
                taken.append(f"{statement}: {error}")
            else:
                taken.append(statement)
    assert taken == []


@pytest.mark.parametrize("role", ROLES)
def test_other_schemas_and_other_databases_are_closed(
    owned: Warehouse, entered: Callable[..., Warehouse], role: str
) -> None:
    owned.execute(
        "CREATE TABLE IF NOT EXISTS raw.seen (a int); CREATE TABLE IF NOT EXISTS features.seen (a int); "
        "CREATE TABLE IF NOT EXISTS labels.seen (a int)"
    )
    for schema in CLOSED[role]:
        tables = owned.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = %s", (schema,))
        for table in {f"{schema}.{row['name']}" for row in tables} - OPEN.get(role, set()):
            with pytest.raises(WarehouseRefused, match="permission denied"):
                entered(role).execute(f"SELECT 1 FROM {table}")
    owned.execute("DROP TABLE raw.seen, features.seen, labels.seen")
    for database in ("postgres", "template1", "airflow", "mlflow", "ops"):
        with pytest.raises(WarehouseRefused, match="permission denied for database"):
            entered(role, database).execute("SELECT 1")


def test_a_reader_reads_all_and_writes_nothing(owned: Warehouse, entered: Callable[..., Warehouse]) -> None:
    tables = owned.rows(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname = ANY(%s)",
        (
            [
                "raw",
                "quarantine",
                "features",
                "predictions",
                "labels",
                "adhoc",
                "monitoring",
                "catalog",
                "governance",
            ],
        ),
    )
    assert len(tables) > 25
    for table in [row["name"] for row in tables]:
        entered("reader").rows(f"SELECT * FROM {table} LIMIT 1")
        with pytest.raises(WarehouseRefused, match="permission denied"):
            entered("reader").execute(f"DELETE FROM {table}")


def test_every_stage_has_a_role() -> None:
    project = load_project()
    every = [*project.sources.values(), *project.feature_sets.values(), *project.models.values()]
    found = {stage: role_of(dag_id(stage, spec)) for spec in every for stage in STAGES[type(spec)]}
    assert set(found) | {*OF_THE_PROJECT} == {s for of in ROLES.values() for s in of}
    assert all(stage in ROLES[role] for stage, role in found.items())


# Whose tasks run the statements that a module names.
WRITTEN_BY = {
    "stages/collect": ("collect", "operate"),
    "stages/features": ("features",),
    "stages/score": ("score", "operate"),
    "stages/train": ("train",),
    "stages/searching": ("train",),
    "stages/judging": ("train",),
    "stages/documenting": ("train",),
    "stages/reproducing": ("train",),
    "stages/replaying": ("train",),
    "stages/monitor": ("monitor",),
    "stages/retrain": ("monitor",),
    "stages/publishing": ("collect", "features", "score", "operate"),
    "stages/quarantining": ("operate",),
    "stages/rereading": ("collect", "operate"),
    "stages/governing": ("operate",),
    "stages/retention": ("operate",),
    "stages/explore": ("describe",),
    "stages/catalog": ("describe",),
    "stages/asking": ("score",),
    "stages/closing": ("operate",),
    "stages/alerts": ("alerts",),
    "alerts/evaluating": ("alerts",),
    "alerts/sending": ("alerts",),
    "alerts/silencing": ("alerts",),
    "platform/clock": ("collect", "features", "score", "train", "operate"),
    "platform/fitted": ("score", "train", "monitor", "operate"),
    "platform/frozen": ("train", "monitor"),
    "platform/inputs": ("train", "operate"),
    "platform/lineage": ("train",),
    "platform/papers": ("train",),
    "platform/faults": ("features", "score", "train", "monitor", "operate"),
    "platform/predictions": ("score", "operate"),
    "platform/sketching": ("features", "monitor"),
    "govern/ledger": ("train", "operate"),
    "govern/rollback": ("operate",),
}
STATEMENT = re.compile(
    r"(INSERT INTO|UPDATE|DELETE FROM|FROM|JOIN|LOCK TABLE) "
    r"((?:alerts|catalog|quarantine|monitoring|governance)\.[a-z_]+)(?![a-z_(])"
)
NEEDED = {
    "INSERT INTO": "INSERT",
    "DELETE FROM": "DELETE",
    "FROM": "SELECT",
    "JOIN": "SELECT",
    "LOCK TABLE": "DELETE",
}


def privileges(text: str) -> set[tuple[str, str]]:
    """Return which privilege a statement needs on which table."""
    found = {(NEEDED.get(verb, verb), table) for verb, table in STATEMENT.findall(text)}
    updated = {("UPDATE", table) for what, table in found if what == "INSERT" and "DO UPDATE" in text}
    return found | updated


def statements_of(module: str) -> set[str]:
    """Return the text of each statement of ``records`` that a module names: ``deliveries.LAND``."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    named: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nightshift.records"):
            home = importlib.import_module(str(node.module))
            for each in node.names:
                found = getattr(home, each.name, None) or importlib.import_module(
                    f"{node.module}.{each.name}"
                )
                named[each.asname or each.name] = found
    used = [
        getattr(named[node.value.id], node.attr, None)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in named
    ]
    return {each.text for each in used if isinstance(each, Query | Command)}


def test_what_the_statements_of_a_stage_need_is_granted(owned: Warehouse) -> None:
    missing, looked = [], 0
    for module, roles in WRITTEN_BY.items():
        for what, table in {need for text in statements_of(module) for need in privileges(text)}:
            check = "has_any_column_privilege" if what != "DELETE" else "has_table_privilege"
            for role in roles:
                looked += 1
                asked = (login_of(role), table, what)
                if owned.row(f"SELECT {check}(%s, %s, %s) AS granted", asked) != {"granted": True}:
                    missing.append((module, *asked))
    assert not missing
    assert looked > 100


def test_a_ledger_is_written_by_those_who_promote_and_roll_back(
    owned: Warehouse, entered: Callable[..., Warehouse]
) -> None:
    ledger = written(entered("train"), 1, 2)
    back = Rollback(1, FROM, FROM, "run", "olga", "bad")
    write_rollback(entered("operate"), ledger.model, back)
    for role in ("train", "operate", "reader"):
        assert Ledger(entered(role), ledger.model).verify([ledger.anchor()]) is None
    assert Ledger(entered("score"), ledger.model).champion_on(FROM).version == 1
    assert Ledger(entered("monitor"), ledger.model).champion_on(FROM).version == 1


OLD_NIGHT = """
INSERT INTO catalog.batches (source, batch_date, status, collected, accepted, rejected, landed_sha256, run_id,
    recorded_at)
VALUES ('old', '2013-01-02', 'failed', 1, 0, 1, '', 'r', '2013-01-02'),
       ('old', '2023-01-02', 'failed', 0, 0, 0, '', 'r', '2023-01-02');
INSERT INTO quarantine.rows (source, batch_date, row_number, rule, value, "row", violations)
VALUES ('old', '2013-01-02', 1, 'r', 'v', '{"a": 1}', '[]');
INSERT INTO catalog.events (happened_at, what, kind, name, why, about)
VALUES ('2013-01-02', 'built', 'features', 'old', '', '{}');
INSERT INTO monitoring.verdicts (model, batch_date, model_version, status, breach, retrain, reason, drift, run_id,
    decided_at) VALUES ('old', '2013-01-02', 1, 'quiet', false, false, '', '{}', 'r', '2013-01-02');
"""


def test_retention_reads_marks_and_takes_away_with_the_login_of_operations(
    owned: Warehouse, entered: Callable[..., Warehouse], tmp_path: Path
) -> None:
    owned.execute(OLD_NIGHT)
    mine = Platform.of(load_project(), Registry("http://127.0.0.1:9"), warehouse="", objects=str(tmp_path))
    mine = replace(mine, warehouse=entered("operate"))
    found = stages.retain(mine, date(2023, 1, 2), Try("r"), dry_run=False, rooms=lambda root: None)
    went = {kind: taken["things"] for kind, taken in found["kinds"].items() if taken["things"]}
    assert went == {"quarantine": 1, "events": 1, "verdicts": 1}
    owned.execute("DELETE FROM quarantine.rows WHERE source = 'old'")
    owned.execute("DELETE FROM catalog.batches WHERE source = 'old'")


def test_alerts_are_looked_for_sent_and_silenced_with_their_login(
    owned: Warehouse, entered: Callable[..., Warehouse]
) -> None:
    mine, project, now = entered("alerts"), load_project(), datetime(2013, 1, 5, tzinfo=UTC)
    broken = Seen(broken=frozenset({MODEL}), components={"mlflow": True})
    found = evaluate(mine, project, broken, now, by="run", link=lambda dag: "")
    assert f"ledger_broken/model:{MODEL}" in {row.fingerprint for row in found.kept}
    again = evaluate(mine, project, Seen(broken=frozenset()), now, by="run", link=lambda dag: "")
    assert f"ledger_broken/model:{MODEL}" in again.closed
    row = found.kept[0]
    message = message_of("test", row, now, "docs", "")
    mine.run(
        alerts.POST,
        Outgoing(fingerprint="f", receiver="r", what="test", body=message, made_at=now, not_before=now),
    )
    sent: list[str] = []
    assert send(mine, lambda out: sent.append(out.receiver), lambda: now) == (1, 0)
    wanted = {"kind": "*", "subject": "*", "owner": "me", "until": "2013-01-06", "reason": "r"}
    assert silence(mine, project, wanted, actor="me", now=now).owner == "me"


# Tables of specs

THINGS = Table("raw", "things", {"batch_date": "date", "name": "string"}, ("batch_date", "name"))


def test_a_stage_has_its_tables_made_and_does_not_own_them(
    owned: Warehouse, entered: Callable[..., Warehouse]
) -> None:
    collect = entered("collect")
    collect.ensure(THINGS)
    wider = replace(THINGS, columns={**THINGS.columns, "size": "float"})
    collect.ensure(wider)
    assert collect.types(wider) == wider.columns
    owner = owned.row("SELECT tableowner FROM pg_tables WHERE (schemaname, tablename) = ('raw', 'things')")
    assert owner == {"tableowner": "warehouse"}
    collect.execute("INSERT INTO raw.things VALUES ('2013-02-08', 'a', 1)")
    assert entered("features").rows("SELECT name FROM raw.things") == [{"name": "a"}]
    for statement in ("DROP TABLE raw.things", "ALTER TABLE raw.things ADD COLUMN x text"):
        with pytest.raises(WarehouseRefused, match="must be owner"):
            collect.execute(statement)
    with pytest.raises(WarehouseRefused, match="permission denied"):
        entered("score").execute("INSERT INTO raw.things VALUES ('2013-02-08', 'b', 1)")
    held = collect.row("SELECT raw.ensure_table('things', '{a}', '{text}', '{a}', '{a}', true) AS made")
    assert held == {"made": False}, "a table that holds rows is never made anew"
    owned.execute("DROP TABLE raw.things")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'x; DROP TABLE y', '{a}', '{text}', '{}', '{a}'", "lower-case letters"),
        ("'x', '{a}', '{text; DROP TABLE y}', '{}', '{a}'", "is none of"),
        ("'x', '{a}', '{NULL}', '{}', '{a}'", "is none of"),
        ("'x', '{a,b}', '{text}', '{}', '{a}'", "is none of"),
        ("'x', '{a}', '{text}', '{}', '{b}'", 'column "b" named in key does not exist'),
    ],
)
def test_what_a_table_is_to_be_is_data(entered: Callable[..., Warehouse], arguments: str, said: str) -> None:
    with pytest.raises(WarehouseRefused, match=said):
        entered("collect").execute(f"SELECT raw.ensure_table({arguments}, false)")


def test_a_columns_name_is_quoted(owned: Warehouse, entered: Callable[..., Warehouse]) -> None:
    hostile = 'a" text); DROP TABLE catalog.batches; --'
    entered("collect").ensure(
        Table("raw", "quoted", {"batch_date": "date", hostile: "string"}, ("batch_date",))
    )
    assert list(owned.types(Table("raw", "quoted", {}, ()))) == ["batch_date", hostile]
    assert owned.row("SELECT to_regclass('catalog.batches') IS NOT NULL AS there") == {"there": True}
    owned.execute("DROP TABLE raw.quoted")


def test_every_type_of_a_spec_can_be_made_and_no_other(
    entered: Callable[..., Warehouse], owned: Warehouse
) -> None:
    every = {"batch_date": "date", **{f"c_{kind}": kind for kind in POSTGRES}}
    entered("collect").ensure(Table("raw", "typed", every, ("batch_date",)))
    assert owned.types(Table("raw", "typed", {}, ())) == every
    source = owned.row("SELECT prosrc FROM pg_proc WHERE proname = 'make_table'") or {}
    listed = source["prosrc"].partition("ARRAY[")[2].partition("]")[0]
    assert {each.strip().strip("'") for each in listed.split(",")} == set(POSTGRES.values())
    owned.execute("DROP TABLE raw.typed")


@pytest.mark.parametrize("schema", ["raw", "features", "predictions", "labels", "adhoc"])
def test_a_role_makes_tables_in_its_own_schemas_only(entered: Callable[..., Warehouse], schema: str) -> None:
    from nightshift.warehouse.roles import GRANTS

    for role, grants in GRANTS.items():
        if schema not in grants.makes:
            with pytest.raises(WarehouseRefused, match="permission denied"):
                entered(role).execute(
                    f"SELECT {schema}.ensure_table('x', '{{a}}', '{{text}}', '{{}}', '{{a}}', false)"
                )


# The loop

NIGHT = LAST
SCORED = DateRange(SCORED.last + timedelta(days=1), LAST)
NOW = datetime.now(UTC)


@pytest.fixture
def acting(loop: Platform, logins: dict[str, str]) -> Callable[[str], Platform]:
    """Return a function that gives the month's platform with the login of a role."""
    migrate(loop.warehouse.url)  # the history may be older than the logins
    place = loop.warehouse.url.rpartition("@")[2]

    def act(role: str) -> Platform:
        login = login_of(role)
        return replace(loop, warehouse=Warehouse(f"postgresql://{login}:{quote(logins[login])}@{place}"))

    return act


def test_the_nights_stages_run_with_their_logins(acting: Callable[[str], Platform]) -> None:
    asked, nights, project = Try("night"), DateRange(NIGHT, NIGHT), acting("reader").project
    features = project.model(MODEL).features
    for source in project.sources_of(MODEL):
        stages.collect(acting("collect"), source, nights, asked)
        stages.validate(acting("collect"), source, nights, asked)
        told = stages.announce(acting("collect"), f"raw.{source}", nights.dates, asked, choice="changed")
        stages.stale(acting("collect"), project.feature_set(features), source, told)
    stages.build_features(acting("features"), features, nights, asked)
    stages.announce(acting("features"), f"features.{features}", nights.dates, asked, choice="changed")
    stages.score(acting("score"), MODEL, SCORED, asked)
    stages.announce(acting("score"), f"predictions.{MODEL}", SCORED.dates, asked, choice="changed")
    for night in SCORED.dates:
        stages.measure_performance(acting("monitor"), MODEL, night, asked)
        stages.decide_verdict(acting("monitor"), MODEL, night, asked)
        stages.decide_retraining(acting("monitor"), MODEL, night, asked)
    stages.render_report(acting("monitor"), MODEL, NIGHT, asked)
    for role in ("score", "train", "operate", "describe"):
        assert len(read_labels(acting(role), project.model(MODEL), SCORED.first, NIGHT)) > 500
        with pytest.raises(WarehouseRefused, match="permission denied"):
            acting(role).warehouse.execute(f"DELETE FROM labels.{MODEL}")
    facts, _ = stages.score_entities(acting("score"), MODEL, None, asked, Wanted(where=("origin=JFK",)))
    assert acting("reader").warehouse.rows(f"SELECT 1 FROM {facts['table']} LIMIT 1")


def test_what_is_done_by_hand_runs_with_its_login(
    acting: Callable[[str], Platform], history: History
) -> None:
    asked, nights, project = Try("by hand"), DateRange(NIGHT, NIGHT), acting("reader").project
    features, source = project.model(MODEL).features, project.sources_of(MODEL)[0]
    second = promoted(better(acting("train")), MODEL, NIGHT, "roles second")
    stages.write_card(acting("train"), MODEL, Try("roles second"))
    stages.conclude(acting("train"), Try("roles second"))
    stages.reconcile_source(acting("operate"), source, nights)
    stages.replay(acting("operate"), source, nights, asked, Replay("revalidate", "olga"))
    back = stages.roll_back(acting("operate"), MODEL, asked, to=None, reason="a test", actor="olga")
    assert (back["version"], back["taken_out"]) == (history.champion, second["version"])
    assert stages.score(acting("operate"), MODEL, nights, asked)["version"] == history.champion
    stages.reconcile_registry(acting("operate"), now=NOW, grace=timedelta(days=1), model=MODEL)
    question = Question(nights, None, 100)
    stages.explore_source(acting("describe"), source, question, asked, actor="olga", reason="a test")
    stages.explore_features(acting("describe"), features, question, asked, target=None, actor="o", reason="")
    stages.describe(acting("describe"), LAST, asked, actor="olga", dag="http://here/dags/{}".format)
    assert stages.verify_ledgers(acting("reader"), MODEL)["anchors"] == {MODEL: 3}
    stages.reproduce(acting("train"), MODEL, history.champion, Try("again"), reason="a test")
