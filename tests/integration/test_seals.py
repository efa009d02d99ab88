"""Every row of governance is sealed: what its owner rewrites behind the triggers shows, at the latest by an anchor."""

import pytest

from integration.judged_versions import MODEL, judged, promoted
from integration.test_ledger import back
from nightshift.errors import WarehouseRefused
from nightshift.govern import Ledger
from nightshift.warehouse import Warehouse, migrate

pytestmark = pytest.mark.integration
SEALED = ("versions", "decisions", "signatures", "outcomes", "promotions", "bars", "renames")
# As the owner, or an administrator, would: nothing refuses him.
REPLICA = "SET session_replication_role = replica"
RENAMED = (
    "INSERT INTO governance.renames (kind, old_name, new_name, reason, actor) "
    "VALUES ('source', 'a', 'b', 'c', 'd')"
)

UNSEALED = (
    "INSERT INTO governance.bars (model, version, barred, reason, actor, request_id) "
    "VALUES ('late_arrival', 1, true, 'r', 'a', 'q')"
)


@pytest.fixture
def ledger(warehouse: Warehouse) -> Ledger:
    """Return a ledger of two promotions and a rollback."""
    found = promoted(warehouse, 1, 2)
    back(warehouse, 1)
    warehouse.execute(RENAMED)
    return found


def sealed(warehouse: Warehouse) -> list[dict]:
    return warehouse.rows("SELECT relation, key, seal_sha256 FROM governance.seals ORDER BY seal")


def test_every_row_of_governance_has_its_seal(warehouse: Warehouse, ledger: Ledger) -> None:
    rows = warehouse.rows("SELECT relation, key FROM governance.sealed_rows ORDER BY 1, 2")
    assert sorted((row["relation"], row["key"]) for row in sealed(warehouse)) == [
        (row["relation"], row["key"]) for row in rows
    ]
    assert {row["relation"] for row in rows} == set(SEALED) - {"signatures"}
    assert ledger.verify([ledger.anchor()]) is None
    assert warehouse.rows("SELECT * FROM governance.verify_seals()") == []


def test_instants_are_sealed_alike_in_every_time_zone(warehouse: Warehouse, ledger: Ledger) -> None:
    with warehouse.transaction() as cursor:
        cursor.execute("SET timezone = 'Asia/Kolkata'")
        cursor.execute(RENAMED)
        cursor.execute("SELECT * FROM governance.verify_seals()")
        assert cursor.fetchall() == []


@pytest.mark.parametrize("table", [*SEALED, "seals"])
def test_nothing_of_it_is_changed_or_removed_by_a_statement(
    warehouse: Warehouse, ledger: Ledger, table: str
) -> None:
    columns = warehouse.rows(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'governance' "
        "AND table_name = %s AND is_identity = 'NO' ORDER BY ordinal_position LIMIT 1",
        (table,),
    )
    name = columns[0]["name"]
    if warehouse.rows(f"SELECT 1 FROM governance.{table}"):
        for statement in (
            f"UPDATE governance.{table} SET {name} = {name}",
            f"DELETE FROM governance.{table}",
        ):
            with pytest.raises(WarehouseRefused, match="append-only"):
                warehouse.execute(statement)
    with pytest.raises(WarehouseRefused, match="append-only"):
        warehouse.execute(f"TRUNCATE governance.{table} CASCADE")


@pytest.mark.parametrize(
    ("rewrite", "problem"),
    [
        ("UPDATE governance.decisions SET requested_by = 'another' WHERE challenger = 2", "was changed"),
        ("UPDATE governance.versions SET artifact_sha256 = 'mine' WHERE version = 2", "was changed"),
        ("UPDATE governance.outcomes SET outcome = 'stale'", "was changed"),
        ("UPDATE governance.bars SET barred = false", "was changed"),
        ("DELETE FROM governance.bars", "was removed"),
        ("UPDATE governance.renames SET actor = 'x'", None),
        ("UPDATE governance.decisions SET model = 'another'", "was moved to another model"),
        (UNSEALED, "was put there without a seal"),
    ],
)
def test_what_is_rewritten_behind_the_triggers_is_named(
    warehouse: Warehouse, ledger: Ledger, rewrite: str, problem: str | None
) -> None:
    assert ledger.verify() is None
    warehouse.execute(f"{REPLICA}; {rewrite}")
    if problem is None:  # of no model: in the chain without a name
        [found] = warehouse.rows("SELECT relation, problem FROM governance.verify_seals()")
        assert found == {"relation": "renames", "problem": "was changed after it was written"}
        return
    misfit = ledger.verify()
    assert misfit
    assert problem in misfit.problem


# Each ends in a ledger that fits in itself: only what is kept outside the database tells.
ANEW = "TRUNCATE governance.seals; SELECT governance.append_seal(coalesce(model, ''), relation, key, facts) FROM "
ALL_AGAIN = f"{ANEW} (SELECT * FROM governance.sealed_rows ORDER BY written_at) r"
CHAINED = (
    "UPDATE governance.promotions SET actor = 'another' WHERE entry = 3; "
    "UPDATE governance.promotions p SET entry_sha256 = governance.hash_of(p) WHERE entry = 3; "
)


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(
            "DELETE FROM governance.promotions WHERE entry = 3; DELETE FROM governance.bars; "
            "DELETE FROM governance.seals WHERE seal > (SELECT min(seal) FROM governance.seals "
            "WHERE relation = 'bars') - 2",
            id="the newest entries removed",
        ),
        pytest.param(f"{CHAINED} {ALL_AGAIN}", id="deleted and written again with another actor"),
        pytest.param(
            f"UPDATE governance.decisions SET requested_by = 'another' WHERE challenger = 2; {ALL_AGAIN}",
            id="who asked for it",
        ),
        pytest.param(
            f"UPDATE governance.versions SET artifact_sha256 = 'mine' WHERE version = 1; {ALL_AGAIN}",
            id="which file it is",
        ),
        pytest.param("DROP TABLE governance.promotions CASCADE", id="dropped"),
    ],
)
def test_a_chain_that_was_written_anew_does_not_hold_its_anchors(
    warehouse: Warehouse, ledger: Ledger, rewrite: str
) -> None:
    anchors = [ledger.anchor()]
    assert ledger.verify(anchors) is None
    warehouse.execute(f"{REPLICA}; {rewrite}")
    if "DROP TABLE" in rewrite:
        with pytest.raises(WarehouseRefused, match="does not exist"):
            ledger.verify(anchors)
        return
    assert ledger.verify() is None, "in itself it fits"
    misfit = ledger.verify(anchors)
    assert misfit
    assert "anchored in the registry, is not in the ledger" in str(misfit)


def test_a_ledger_from_before_the_seals_is_sealed_as_it_is_found(database_url: str) -> None:
    migrate(database_url, "0014")
    warehouse = Warehouse(database_url)
    training = judged(warehouse, 1, None)
    warehouse.execute(
        "INSERT INTO governance.promotions (model, version, effective_from, artifact_sha256, training_id, "
        "evidence_sha256, actor, reason) SELECT model, challenger, '2013-02-01', 'a', training_id, evidence_sha256, "
        "'me', 'because' FROM governance.decisions"
    )
    warehouse.execute("INSERT INTO governance.outcomes VALUES (%s, 'promoted')", (training,))
    warehouse.execute(RENAMED)
    migrate(database_url)
    ledger = Ledger(warehouse, MODEL)
    before = sealed(warehouse)
    assert {row["relation"] for row in before} == {
        "versions",
        "decisions",
        "outcomes",
        "promotions",
        "renames",
    }
    anchor = ledger.anchor()
    judged(warehouse, 2, 1)
    assert sealed(warehouse)[: len(before)] == before
    assert ledger.verify([anchor, ledger.anchor()]) is None


def test_a_column_that_a_later_migration_adds_breaks_no_seal(warehouse: Warehouse, ledger: Ledger) -> None:
    warehouse.execute("ALTER TABLE governance.bars ADD COLUMN later text DEFAULT 'x'")
    assert ledger.verify() is None


def test_the_ledger_of_one_model_is_no_other_models(warehouse: Warehouse, ledger: Ledger) -> None:
    other = promoted(warehouse, 1, model="delay_minutes")
    assert other.verify([other.anchor()]) is None
    assert other.verify([ledger.anchor()])
