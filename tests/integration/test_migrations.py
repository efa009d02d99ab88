"""The warehouse's fixed tables: there after one migration, and unchanged by any number of them, also at once."""

import subprocess
import sys

import psycopg2
import pytest

from nightshift.errors import NotReady, RequestError, Unreachable, WarehouseRefused
from nightshift.warehouse import Warehouse, migrate

pytestmark = pytest.mark.integration

OBJECTS = {
    "adhoc": set(),
    "catalog": {
        "announcements",
        "batches",
        "datasets",
        "events",
        "explorations",
        "feature_batches",
        "feature_inputs",
        "label_batches",
        "landings",
        "leases",
        "migrations",
        "prediction_batches",
        "snapshot_inputs",
        "snapshot_sources",
    },
    "features": set(),
    "governance": {
        "bars",
        "decisions",
        "outcomes",
        "promotions",
        "renames",
        "reproductions",
        "signatures",
        "snapshots",
        "trials",
        "versions",
    },
    "labels": set(),
    "monitoring": {"outcomes", "performance_history", "retrain_requests", "verdicts"},
    "predictions": set(),
    "quarantine": {"resolutions", "rows"},
    "raw": set(),
}


def described(warehouse: Warehouse) -> dict[str, list[dict]]:
    """Return every column, constraint, index, trigger and function of our schemas."""
    schemas = list(OBJECTS)
    questions = {
        "columns": "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = ANY(%s) ORDER BY 1, 2, ordinal_position",
        "constraints": "SELECT conrelid::regclass::text AS t, conname, pg_get_constraintdef(c.oid) AS d "
        "FROM pg_constraint c WHERE connamespace = ANY(%s::regnamespace[]) ORDER BY 1, 2",
        "triggers": "SELECT tgrelid::regclass::text AS t, pg_get_triggerdef(t.oid) AS d FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal "
        "AND relnamespace = ANY(%s::regnamespace[]) ORDER BY 1, 2",
        "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = ANY(%s::regnamespace[]) ORDER BY 1, 2",
        "version": "SELECT version_num FROM catalog.migrations WHERE %s IS NOT NULL",
    }
    return {name: warehouse.rows(question, (schemas,)) for name, question in questions.items()}


def test_a_migrated_warehouse_has_its_schemas_tables_and_guards(warehouse: Warehouse) -> None:
    rows = warehouse.rows(
        "SELECT nspname AS schema, array_agg(relname::text) FILTER (WHERE relkind IN ('r', 'p')) AS tables "
        "FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid "
        "WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') GROUP BY 1"
    )
    found = {row["schema"]: set(row["tables"] or ()) for row in rows}
    assert set(found) >= set(OBJECTS)
    assert all(found[schema] >= tables for schema, tables in OBJECTS.items())
    there = described(warehouse)
    guards = " ".join(row["d"] for row in there["triggers"] if row["t"] == "governance.promotions")
    for event in ("BEFORE DELETE OR UPDATE", "BEFORE TRUNCATE", "BEFORE INSERT"):
        assert event in guards
    assert "champion_on" in {row["proname"] for row in there["functions"]}


def test_migrating_again_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.execute(
        "INSERT INTO catalog.leases (table_name, batch_date, generation, holder) "
        "VALUES ('raw.x', '2013-02-08', 7, 'me')"
    )
    before = described(warehouse)
    for _ in range(2):
        migrate(warehouse.url)
    assert described(warehouse) == before
    assert warehouse.rows("SELECT generation FROM catalog.leases") == [{"generation": 7}]


def test_a_warehouse_of_a_newer_engine_is_left_as_it_is(warehouse: Warehouse) -> None:
    warehouse.execute("UPDATE catalog.migrations SET version_num = '9999'")
    before = described(warehouse)
    with pytest.raises(NotReady, match=r"of a newer engine than this one: .*'9999'"):
        migrate(warehouse.url)
    assert described(warehouse) == before


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("postgresql://ann:canary@127.0.0.1:1/none", Unreachable, "Connection refused"),
        ("canary", RequestError, "expected postgresql://LOGIN"),
        ("mysql+none://ann:canary@127.0.0.1/none", RequestError, "expected postgresql://LOGIN"),
    ],
)
def test_a_warehouse_that_is_not_there_is_told_of_in_words(
    address: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as told:
        migrate(address)
    assert "canary" not in str(told.value)


def test_migrations_at_once_wait_for_each_other(database_url: str) -> None:
    code = "import sys; from nightshift.warehouse import migrate; sys.stdin.readline(); migrate(sys.argv[1])"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    warehouse = Warehouse(database_url)
    assert len(described(warehouse)["version"]) == 1


def test_a_password_with_signs_that_mean_something_elsewhere(database_url: str, postgres_url: str) -> None:
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE percent LOGIN PASSWORD 'a%b@c:d/e' SUPERUSER")
    connection.close()
    address = database_url.rpartition("@")[2]
    try:
        migrate(f"postgresql://percent:a%25b%40c%3Ad%2Fe@{address}")
    finally:
        with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
            cursor.execute("REASSIGN OWNED BY percent TO postgres; DROP OWNED BY percent")
        connection.close()
        with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("DROP ROLE percent")
        connection.close()
    assert described(Warehouse(database_url))["version"]


def test_decisions_cannot_be_written_for_versions_that_do_not_exist(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseRefused, match="foreign key constraint"):
        warehouse.execute(
            "INSERT INTO governance.decisions (training_id, model, challenger, as_of, reason, snapshot_id, passed, "
            "gates, challenger_metrics, evidence_sha256) "
            "VALUES ('t', 'm', 1, '2013-02-08', '', 'none', true, '[]', '{}', 'x')"
        )


def test_a_holdout_before_the_end_of_training_cannot_be_recorded(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseRefused, match="check constraint"):
        warehouse.execute(
            "INSERT INTO governance.snapshots (snapshot_id, model, as_of, feature_set, feature_version, object_key, "
            "row_count, train_first, train_last, holdout_first, holdout_last) VALUES ('s', 'm', '2013-02-08', 'f', 1, "
            "'k', 1, '2013-01-02', '2013-01-20', '2013-01-20', '2013-01-27')"
        )
