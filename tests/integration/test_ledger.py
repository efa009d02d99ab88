"""The ledger as the database keeps it: a chain that shows what was altered, and a role that can alter nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from datetime import date, timedelta
from threading import Event
from uuid import uuid4

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from integration.judged_versions import FROM, MODEL, judged, promoted
from nightshift.errors import Barred, NotReady, RequestError, WarehouseRefused
from nightshift.govern import Ledger, Rollback, write_rollback
from nightshift.records.ledger import ROLLED_BACK
from nightshift.runtime import databases
from nightshift.runtime.endpoints import DATABASES
from nightshift.warehouse import Warehouse, migrate

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)
TRIGGERS_OFF = "ALTER TABLE governance.promotions DISABLE TRIGGER ALL"


def back(warehouse: Warehouse, to: int | None, request: str = "run 1", **more) -> dict | None:
    """Roll the model back; return what the request has written."""
    facts = {
        "effective_from": date(2013, 2, 10),
        "as_of": date(2013, 2, 10),
        "actor": "olga",
        "reason": "bad",
    }
    write_rollback(warehouse, MODEL, Rollback(to=to, request_id=request, **{**facts, **more}))
    return asdict(found) if (found := warehouse.one(ROLLED_BACK, model=MODEL, request_id=request)) else {}


def entries(warehouse: Warehouse) -> list[dict]:
    return warehouse.rows("SELECT * FROM governance.promotions ORDER BY entry")


# The chain


def test_every_entry_holds_the_hash_of_the_one_before_it_model_by_model(warehouse: Warehouse) -> None:
    promoted(warehouse, 1, 2)
    promoted(warehouse, 1, 2, model="delay_minutes")
    back(warehouse, 1)
    for model, length in ((MODEL, 3), ("delay_minutes", 2)):
        chain = [row for row in entries(warehouse) if row["model"] == model]
        assert len(chain) == length
        assert [row["previous_sha256"] for row in chain] == [
            "0" * 64,
            *(row["entry_sha256"] for row in chain[:-1]),
        ]
        assert Ledger(warehouse, model).verify() is None
    assert len({row["entry_sha256"] for row in entries(warehouse)}) == 5
    assert warehouse.rows("SELECT * FROM governance.verify_ledger()") == []


@pytest.mark.parametrize(
    "change",
    [
        "version = 1",
        "kind = 'rollback', request_id = 'r', as_of = '2013-02-02'",
        "effective_from = '2013-01-01'",
        "artifact_sha256 = 'another'",
        "training_id = 'late_arrival 1'",
        "evidence_sha256 = 'another'",
        "actor = 'nobody'",
        "reason = ''",
        "promoted_at = promoted_at - interval '1 microsecond'",
        "entry = 17",
        "previous_sha256 = repeat('1', 64)",
        "entry_sha256 = repeat('1', 64)",
    ],
)
def test_an_entry_that_was_altered_behind_the_triggers_is_named(warehouse: Warehouse, change: str) -> None:
    ledger = promoted(warehouse, 1, 2, 3)
    last = "ALTER TABLE governance.promotions DROP CONSTRAINT promotions_do_not_fork; "
    warehouse.execute(last + "DROP INDEX governance.promotions_training_id_key; " + TRIGGERS_OFF)
    assert ledger.verify() is None
    altered = 3 if change.startswith("entry = 17") else 2
    warehouse.execute(f"UPDATE governance.promotions SET {change} WHERE entry = {altered}")
    found = ledger.verify()
    assert found
    assert found.entry == (17 if change == "entry = 17" else 2)
    assert "was changed after it was written" in found.problem


def test_the_seal_covers_every_column(warehouse: Warehouse) -> None:
    promoted(warehouse, 1, 2)
    back(warehouse, 1)
    columns = warehouse.rows(
        "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
        "WHERE table_schema = 'governance' AND table_name = 'promotions' "
        # Of the model, the seal holds the name that the entry was written under: sealed_as.
        "AND column_name NOT IN ('entry_sha256', 'model')"
    )
    assert len(columns) >= 14
    other = {"text": "other", "integer": 77, "bigint": 77, "date": "2001-01-01"}
    for column in columns:
        changed = json.dumps({column["name"]: other.get(column["type"], "2001-01-01 00:00:00.000001+00")})
        same = warehouse.rows(
            "SELECT governance.hash_of(jsonb_populate_record(p, %s)) = p.entry_sha256 AS same "
            "FROM governance.promotions p WHERE p.kind = 'rollback'",
            (changed,),
        )
        assert same == [{"same": False}], column["name"]


@pytest.mark.parametrize(
    ("forgery", "found_at"),
    [
        ("DELETE FROM governance.promotions WHERE entry = 1", 2),
        ("DELETE FROM governance.promotions WHERE entry = 2", 3),
        (
            # He who alters an entry may seal it again: the next one still holds the old hash.
            (
                "UPDATE governance.promotions SET actor = 'nobody' WHERE entry = 2; "
                "UPDATE governance.promotions p SET entry_sha256 = governance.hash_of(p) WHERE entry = 2"
            ),
            3,
        ),
    ],
)
def test_an_entry_removed_or_sealed_again_is_missed_by_the_next(
    warehouse: Warehouse, forgery: str, found_at: int
) -> None:
    ledger = promoted(warehouse, 1, 2, 3)
    warehouse.execute(f"{TRIGGERS_OFF}; {forgery}")
    found = ledger.verify()
    assert found
    assert (found.entry, found.version) == (found_at, found_at)
    assert "does not follow the entry before it" in found.problem


def test_nobody_chooses_number_date_or_seal_of_an_entry(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1)
    judged(warehouse, 2, 1)
    warehouse.execute(
        "INSERT INTO governance.promotions (entry, promoted_at, previous_sha256, entry_sha256, model, version, "
        "effective_from, artifact_sha256, training_id, evidence_sha256, actor, reason) SELECT 99, '2001-01-01', 'x', "
        "'y', model, challenger, '2013-02-03', 'a', training_id, evidence_sha256, 'me', 'because' "
        "FROM governance.decisions WHERE challenger = 2"
    )
    first, second = entries(warehouse)
    assert second["entry"] == first["entry"] + 1
    assert second["promoted_at"] > first["promoted_at"]
    assert second["previous_sha256"] == first["entry_sha256"]
    assert ledger.verify() is None


def test_of_two_promotions_at_once_the_second_waits_and_is_judged_by_what_it_finds(
    warehouse: Warehouse,
) -> None:
    ledger = promoted(warehouse, 1)
    trainings = [judged(warehouse, version, 1) for version in (2, 3)]
    written, may_commit = Event(), Event()

    def first() -> None:
        with warehouse.transaction() as cursor:
            cursor.execute(
                "INSERT INTO governance.promotions (model, version, effective_from, artifact_sha256, training_id, "
                "evidence_sha256, actor, reason) SELECT model, challenger, '2013-02-03', 'a', training_id, "
                "evidence_sha256, 'me', 'because' FROM governance.decisions WHERE training_id = %s",
                (trainings[0],),
            )
            written.set()
            assert may_commit.wait(30)

    def second() -> None:
        ledger.append(training_id=trainings[1], effective_from=FROM, actor="me")

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert written.wait(30)
        two = pool.submit(second)
        with pytest.raises(TimeoutError):
            two.result(timeout=1)
        may_commit.set()
        one.result()
        with pytest.raises(WarehouseRefused, match="judged against version 1, the champion is version 2"):
            two.result()
    assert ledger.verify() is None
    assert [row["version"] for row in entries(warehouse)] == [1, 2]


def test_no_entry_comes_between_while_the_alias_is_pointed(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1)
    training = judged(warehouse, 2, 1)
    with ThreadPoolExecutor(1) as pool:
        with ledger.held() as head:
            assert head
            assert head.version == 1
            other = pool.submit(ledger.append, training_id=training, effective_from=FROM, actor="me")
            with pytest.raises(TimeoutError):
                other.result(timeout=1)
        assert other.result().version == 2


def test_a_transaction_that_sees_an_older_ledger_cannot_fork_it(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1)
    judged(warehouse, 2, 1)
    judged(warehouse, 3, 1)
    with closing(psycopg2.connect(warehouse.url)) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1 FROM governance.promotions")
        ledger.append(training_id="late_arrival 2", effective_from=FROM, actor="me")
        with pytest.raises(psycopg2.errors.UniqueViolation, match="promotions_do_not_fork"):
            cursor.execute(
                "INSERT INTO governance.promotions (model, version, effective_from, artifact_sha256, training_id, "
                "evidence_sha256, actor, reason) SELECT model, challenger, '2013-02-03', 'a', training_id, "
                "evidence_sha256, 'me', 'because' FROM governance.decisions WHERE challenger = 3"
            )
    assert ledger.verify() is None


def test_a_promotion_written_twice_is_one_entry(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2)
    again = ledger.append(training_id="late_arrival 1", effective_from=FROM + 20 * DAY, actor="another")
    assert (again.version, again.effective_from) == (1, FROM)
    assert len(entries(warehouse)) == 2


def test_entries_from_before_the_chain_are_chained(database_url: str) -> None:
    migrate(database_url, "0005")
    warehouse = Warehouse(database_url)
    for version in (1, 2, 3):
        training = judged(warehouse, version, None)
        warehouse.execute(
            "INSERT INTO governance.promotions (model, version, effective_from, artifact_sha256, training_id, "
            "evidence_sha256, actor, reason) VALUES (%s, %s, %s, 'a', %s, %s, 'me', 'because')",
            (MODEL, version, FROM, training, f"evidence of {training}"),
        )
    before = entries(warehouse)
    migrate(database_url)
    after = entries(warehouse)
    assert [{key: row[key] for key in before[0]} for row in after] == before
    ledger = Ledger(warehouse, MODEL)
    assert ledger.verify() is None
    judged(warehouse, 4, 3)
    assert ledger.append(training_id="late_arrival 4", effective_from=FROM, actor="me").entry == 4
    assert ledger.verify() is None
    with pytest.raises(WarehouseRefused, match="append-only"):
        warehouse.execute("UPDATE governance.promotions SET actor = 'x'")


def test_which_version_was_champion_at_an_instant(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1)
    moments = []
    for version in (2, 3):
        moments.append(warehouse.rows("SELECT clock_timestamp() AS now")[0]["now"])
        judged(warehouse, version, version - 1)
        # effective on one and the same night: only the instant tells them apart
        ledger.append(training_id=f"late_arrival {version}", effective_from=FROM, actor="me")
    moments.append(warehouse.rows("SELECT clock_timestamp() AS now")[0]["now"])
    back(warehouse, 1)
    moments.append(warehouse.rows("SELECT clock_timestamp() AS now")[0]["now"])
    query = "SELECT version FROM governance.champion_at(%s, %s)"
    assert [warehouse.rows(query, (MODEL, moment))[0]["version"] for moment in moments] == [1, 2, 3, 1]
    assert warehouse.rows(query, (MODEL, moments[0] - DAY)) == []


# The role


@pytest.fixture
def stage_url(warehouse: Warehouse) -> Iterator[str]:
    """Return the warehouse's URL as a login that is nothing but a stage."""
    name = f"stage_{uuid4().hex[:8]}"
    warehouse.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'test' IN ROLE nightshift_stage")
    address = warehouse.url.rpartition("@")[2]
    yield f"postgresql://{name}:test@{address}"
    warehouse.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance.promotions SET actor = 'me'",
        "DELETE FROM governance.promotions",
        "TRUNCATE governance.promotions",
        "ALTER TABLE governance.promotions DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE governance.promotions",
        "CREATE OR REPLACE FUNCTION governance.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "UPDATE governance.decisions SET passed = true",
        "DELETE FROM governance.decisions",
        "UPDATE governance.versions SET artifact_sha256 = 'mine'",
        "DELETE FROM governance.bars",
        "UPDATE governance.bars SET barred = false",
        "SELECT setval('governance.entries', 1)",
    ],
)
def test_the_stages_role_changes_nothing_that_was_written(
    warehouse: Warehouse, stage_url: str, statement: str
) -> None:
    promoted(warehouse, 1, 2)
    back(warehouse, 1)
    before = entries(warehouse)
    with pytest.raises(WarehouseRefused, match=r"permission denied|must be owner"):
        Warehouse(stage_url).execute(statement)
    assert entries(warehouse) == before


def test_the_stages_role_promotes_and_rolls_back(warehouse: Warehouse, stage_url: str) -> None:
    promoted(warehouse, 1)
    training = judged(warehouse, 2, 1)
    stage = Warehouse(stage_url)
    # As the login of each stage that promotes may: which nights are scored decides from when on.
    warehouse.execute("GRANT USAGE ON SCHEMA catalog TO nightshift_stage")
    warehouse.execute("GRANT SELECT ON catalog.prediction_batches TO nightshift_stage")
    assert Ledger(stage, MODEL).append(training_id=training, effective_from=FROM, actor="me").version == 2
    assert (back(stage, 1) or {})["version"] == 1
    assert Ledger(stage, MODEL).verify() is None


@pytest.fixture
def admin(postgres_url: str, warehouse: Warehouse) -> Iterator[psycopg2.extensions.cursor]:
    """Return an administrator on a server that has no role for stages; the role comes back afterwards."""
    hidden = f"hidden_{uuid4().hex[:8]}"
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"ALTER ROLE nightshift_stage RENAME TO {hidden}")
        try:
            yield cursor
        finally:
            cursor.execute("DROP ROLE IF EXISTS nightshift_stage")
            cursor.execute(f"ALTER ROLE {hidden} RENAME TO nightshift_stage")


def test_a_server_that_lets_nobody_create_a_role_is_migrated_all_the_same(
    postgres_url: str, admin: psycopg2.extensions.cursor
) -> None:
    owner = f"owner_{uuid4().hex[:8]}"
    admin.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'test'")
    admin.execute(f"CREATE DATABASE {owner} OWNER {owner}")
    try:
        url = f"postgresql://{owner}:test@{postgres_url.rpartition('@')[2].rpartition('/')[0]}/{owner}"
        migrate(url)
        assert promoted(Warehouse(url), 1).verify() is None
        admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage'")
        assert admin.fetchone() is None
    finally:
        admin.execute(f"DROP DATABASE {owner} WITH (FORCE)")
        admin.execute(f"DROP ROLE {owner}")


def test_the_local_runtime_creates_the_role_that_its_warehouse_may_not(
    postgres_url: str, admin: psycopg2.extensions.cursor
) -> None:
    try:
        databases.create(postgres_url, dict.fromkeys(DATABASES, "test"))
        address = postgres_url.rpartition("@")[2].rpartition("/")[0]
        own = Warehouse(f"postgresql://warehouse:test@{address}/warehouse")
        migrate(own.url)
        found = own.rows(
            "SELECT array_agg(p ORDER BY p) AS may FROM unnest(%s) p "
            "WHERE has_table_privilege('nightshift_stage', 'governance.promotions', p)",
            (["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"],),
        )
        assert found == [{"may": ["INSERT", "SELECT"]}]
    finally:
        for name in DATABASES:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"DROP ROLE IF EXISTS {name}")


# Rollback and bars


def test_a_rollback_is_an_entry_of_its_own_and_bars_the_version_taken_out(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2)
    assert back(warehouse, None) == {
        "entry": 3,
        "version": 1,
        "effective_from": date(2013, 2, 10),
        "taken_out": 2,
    }
    row = entries(warehouse)[-1]
    assert (row["kind"], row["training_id"], row["request_id"]) == ("rollback", "late_arrival 1", "run 1")
    assert (row["actor"], row["reason"], row["artifact_sha256"]) == (
        "olga",
        "bad",
        "artifact of late_arrival 1",
    )
    assert [ledger.champion_on(date(2013, 2, day)).version for day in (1, 2, 9, 10, 28)] == [1, 2, 2, 1, 1]
    with pytest.raises(
        Barred, match=r"version 2 is barred: olga took that out of service \(bad\).*rollback_late_arr"
    ):
        ledger.refuse_barred(2)
    ledger.refuse_barred(1)


def test_a_request_repeated_writes_once(warehouse: Warehouse) -> None:
    promoted(warehouse, 1, 2)
    first = back(warehouse, None)
    assert back(warehouse, None) == first
    assert len(entries(warehouse)) == 3
    assert len(warehouse.rows("SELECT * FROM governance.bars")) == 1


def test_two_people_who_roll_back_at_once_go_one_step_back(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2, 3)

    def pull(request: str) -> object:
        try:
            return back(warehouse, None, request)
        except RequestError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(pull, ["a", "b", "c", "d"]))
    assert len([answer for answer in said if isinstance(answer, dict)]) == 1
    assert (
        len([answer for answer in said if "rolled back to version 2 already (entry 4)" in str(answer)]) == 3
    )
    head = ledger.head()
    assert head
    assert head.version == 2
    assert (back(warehouse, 1, "further") or {})["version"] == 1


@pytest.mark.parametrize(
    ("to", "more", "error", "says"),
    [
        (2, {}, RequestError, "version: 2 is the champion of 'late_arrival' already"),
        (3, {}, RequestError, "3 of 'late_arrival' has never been champion; former champions: 1"),
        (9, {}, RequestError, "9 of 'late_arrival' has never been champion"),
        (
            1,
            {"effective_from": FROM - DAY},
            RequestError,
            "batch_date: version 1 .* was first champion on 2013-02-01",
        ),
    ],
)
def test_only_a_former_champion_can_be_gone_back_to(
    warehouse: Warehouse, to: int, more: dict, error: type[Exception], says: str
) -> None:
    promoted(warehouse, 1, 2)
    judged(warehouse, 3, 2)
    with pytest.raises(error, match=says):
        back(warehouse, to, **more)
    assert len(entries(warehouse)) == 2
    assert warehouse.rows("SELECT * FROM governance.bars") == []


def test_who_came_back_may_have_the_nights_in_between_too(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2)
    back(warehouse, None, "by itself")
    again = {"effective_from": date(2013, 2, 5), "as_of": date(2013, 2, 12)}
    done = back(warehouse, 1, "in between", **again)
    assert done is not None
    assert (done["version"], done["taken_out"]) == (1, 2)
    assert [ledger.champion_on(date(2013, 2, day)).version for day in (4, 5, 11)] == [2, 1, 1]
    assert back(warehouse, 1, "in between", **again) == done
    with pytest.raises(RequestError, match="version: 1 is the champion of 'late_arrival' already"):
        back(warehouse, 1, "once more", **again)
    assert ledger.verify() is None
    ledger.refuse_barred(1)
    with pytest.raises(Barred):
        ledger.refuse_barred(2)


def test_a_champion_that_came_after_the_one_that_must_go_stays(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2, 3)
    with pytest.raises(RequestError, match="the champion is version 3 by now, of training 'late_arrival 3'"):
        back(warehouse, None, "of a probation", of_training="late_arrival 2")
    head = ledger.head()
    assert head is not None
    assert head.version == 3
    assert (back(warehouse, None, "of another", of_training="late_arrival 3") or {})["taken_out"] == 3


def test_a_model_without_a_former_champion_stays_as_it_is(warehouse: Warehouse) -> None:
    with pytest.raises(NotReady, match="has no champion yet; trigger train_late_arrival"):
        back(warehouse, None)
    promoted(warehouse, 1)
    with pytest.raises(NotReady, match="no champion before version 1 to go back to"):
        back(warehouse, None)


def test_the_database_refuses_a_rollback_to_what_never_was_champion(warehouse: Warehouse) -> None:
    promoted(warehouse, 1)
    judged(warehouse, 2, 1)
    with pytest.raises(WarehouseRefused, match="version 2 has never been champion"):
        warehouse.execute(
            "INSERT INTO governance.promotions (model, version, kind, effective_from, as_of, artifact_sha256, "
            "training_id, evidence_sha256, actor, reason, request_id) SELECT model, challenger, 'rollback', "
            "'2013-02-03', '2013-02-03', 'a', training_id, evidence_sha256, 'me', 'because', 'r' "
            "FROM governance.decisions WHERE challenger = 2"
        )


@pytest.mark.parametrize(
    ("copy", "is_copy"),
    [
        ({"artifact": "artifact of late_arrival 2"}, True),
        ({"snapshot": "snapshot of late_arrival 2", "spec": "spec of late_arrival 2"}, True),
        ({"spec": "spec of late_arrival 2"}, False),
        ({"snapshot": "snapshot of late_arrival 2"}, False),
    ],
)
def test_a_copy_of_a_barred_version_is_barred_too(warehouse: Warehouse, copy: dict, is_copy: bool) -> None:
    ledger = promoted(warehouse, 1, 2)
    back(warehouse, None)
    training = judged(warehouse, 3, 1, **copy)
    if not is_copy:
        ledger.refuse_barred(3)
        assert ledger.append(training_id=training, effective_from=FROM, actor="me").version == 3
        return
    with pytest.raises(Barred, match="version 3 is barred, as a copy of version 2"):
        ledger.refuse_barred(3)
    with pytest.raises(WarehouseRefused, match=r"version 3 is barred, as version 2 \(bar 1: bad\)"):
        ledger.append(training_id=training, effective_from=FROM, actor="me")
    assert len(entries(warehouse)) == 3


def test_going_back_to_a_barred_version_by_name_lifts_its_bar(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2, 3)
    back(warehouse, None)
    assert (back(warehouse, 3, "it was not the model", reason="the sensor was broken") or {})["version"] == 3
    ledger.refuse_barred(3)
    with pytest.raises(Barred):
        ledger.refuse_barred(2)
    rows = warehouse.rows("SELECT version, barred, reason FROM governance.bars ORDER BY bar")
    assert [tuple(row.values()) for row in rows] == [
        (3, True, "bad"),
        (3, False, "the sensor was broken"),
        (2, True, "the sensor was broken"),
    ]
    with pytest.raises(WarehouseRefused, match=r"governance\.bars is append-only"):
        warehouse.execute("UPDATE governance.bars SET barred = false")
    assert ledger.verify() is None


def test_the_champion_before_is_never_a_barred_one(warehouse: Warehouse) -> None:
    ledger = promoted(warehouse, 1, 2)
    copy = judged(warehouse, 3, 2, artifact="artifact of late_arrival 2")
    ledger.append(training_id=copy, effective_from=date(2013, 2, 8), actor="me")
    assert (back(warehouse, None) or {})["version"] == 2, "3 is taken out, and 2 is the same model"
    ledger.append(training_id=judged(warehouse, 4, 2), effective_from=date(2013, 2, 20), actor="me")
    found = back(warehouse, None, "again", effective_from=date(2013, 2, 25), as_of=date(2013, 2, 25)) or {}
    assert (found["version"], found["taken_out"]) == (1, 4)
