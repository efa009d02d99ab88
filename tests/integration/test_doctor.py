"""What is wrong with a warehouse and its registry: tables behind, an alias that says something else, clocks."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.conftest import MODEL
from nightshift.errors import NotReady
from nightshift.runtime import control, state
from nightshift.runtime.doctor import Installation, examine
from nightshift.runtime.stack import record
from nightshift.runtime.state import Runtime, Snapshot
from nightshift.stages import Platform
from nightshift.warehouse import Warehouse, migrate, newest_revision

pytestmark = pytest.mark.integration


def troubles(
    platform: Platform, tmp_path: Path, ahead: timedelta = timedelta()
) -> dict[str, tuple[str, ...]]:
    found = Installation(tmp_path, lambda: datetime.now(UTC) + ahead, env=tmp_path / ".env")
    # A test's server has no logins of stages; nor is that what is asked here.
    return {each.name: each.troubles for each in examine(found) if each.troubles and each.name != "logins"}


def test_tables_behind_an_alias_and_a_clock_that_differ_are_told(
    loop: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", loop.warehouse.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", loop.registry.uri)
    assert troubles(loop, tmp_path) == {}
    champion = loop.registry.champion(MODEL)
    loop.registry.withdraw(MODEL)
    loop.warehouse.execute("UPDATE catalog.migrations SET version_num = '0026'")
    found = troubles(loop, tmp_path, timedelta(hours=3))
    assert found.keys() == {"migrations", "ledger", "clock"}
    assert found["migrations"] == (
        f"the warehouse is at revision 0026; this engine's is {newest_revision()}",
    )
    assert found["ledger"] == (f"model '{MODEL}': the alias says version None, the ledger {champion}",)
    [apart] = found["clock"]
    assert apart.startswith("this machine's clock and the database server's are 10")


def test_a_clock_that_went_back_is_told(
    loop: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", loop.warehouse.url)
    loop.warehouse.execute(
        "UPDATE catalog.batches SET recorded_at = clock_timestamp() + interval '1 day' WHERE batch_date = '2013-02-08'"
    )
    [words] = troubles(loop, tmp_path)["clock"]
    assert words.startswith("rows were written at ")


def test_an_empty_database_is_told_to_be_migrated(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", database_url)
    found = {each.name: each for each in examine(Installation(tmp_path, lambda: datetime.now(UTC)))}
    assert found["migrations"].troubles == (
        f"the warehouse is at revision none; this engine's is {newest_revision()}",
    )
    migrate(database_url)
    again = {each.name: each for each in examine(Installation(tmp_path, lambda: datetime.now(UTC)))}
    assert again["migrations"].troubles == ()


def test_up_on_a_stack_of_another_version_says_to_restart_it(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(tmp_path))
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    runtime = Runtime(tmp_path, "", "", warehouse.url, nowhere, nowhere, nowhere, 1, {})
    # A stack whose supervisor is this very process.
    state.write_snapshot(Snapshot(runtime, phase="ready", supervisor=record(os.getpid())))
    assert control.up() == (runtime, False)
    warehouse.execute("UPDATE catalog.migrations SET version_num = '0026'")
    with pytest.raises(NotReady, match=r"revision 0026, this engine's is .* `nightshift down`, then"):
        control.up()
