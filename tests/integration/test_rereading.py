"""A source that is read otherwise than its batches were: refused, with the ways out. On a real warehouse."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from integration.test_own_files import collected, platform_of, raw
from nightshift import stages
from nightshift.calendar import DateRange
from nightshift.cli import clock_check, tables
from nightshift.errors import SpecError
from nightshift.platform import Platform
from nightshift.stages import Replay, Try
from nightshift.warehouse import Warehouse

pytestmark = pytest.mark.integration

FIRST, NEXT = date(2012, 2, 3), date(2012, 2, 4)
SALES: dict[str, Any] = {
    "name": "sales",
    "owner": "t",
    "description": "",
    "connector": {
        "kind": "files",
        "folder": "data",
        "path": "{date}.csv",
        "dialect": {"dates": "%d/%m/%Y", "timestamps": "%d/%m/%Y %H:%M"},
    },
    "columns": {"id": {"type": "string"}, "day": {"type": "date"}, "at": {"type": "timestamp"}},
    "key": ["id"],
    "expectations": [{"expect_column_values_to_not_be_null": {"column": "id"}}],
}
MONTH_FIRST = {"dates": "%m/%d/%Y", "timestamps": "%d/%m/%Y %H:%M"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for night in (FIRST, NEXT):
        (tmp_path / "data" / f"{night}.csv").write_text("id,day,at\na,02/01/2012,02/01/2012 12:00\n")
    return tmp_path


def edited(
    warehouse: Warehouse, folder: Path, dialect: dict[str, str] | None = None, **more: Any
) -> Platform:
    connector = SALES["connector"] | ({"dialect": dialect} if dialect else {})
    return platform_of(warehouse, folder, {**SALES, "connector": connector, **more})


def day_of(platform: Platform, night: date) -> date:
    return pd.Timestamp(raw(platform, night)["day"].iloc[0]).date()


def test_an_edit_that_reads_older_batches_otherwise_is_refused_until_it_is_accepted(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = edited(warehouse, folder), edited(warehouse, folder, MONTH_FIRST)
    collected(before, FIRST)
    assert day_of(before, FIRST) == date(2012, 1, 2)
    told = (
        r"sources/sales\.yaml: key 'connector\.dialect\.dates': '%d/%m/%Y' then, '%m/%d/%Y' now "
        r"\('\d\d/\d\d/20\d\d' in column 'day' was 20\d\d-\d\d-\d\d, and would be 20\d\d-\d\d-\d\d\): "
        r"1 nights \(2012-02-03 to 2012-02-03\) were read the old way.*another name.*`nightshift migrate source sales`"
    )
    night = DateRange(NEXT, NEXT)
    for refused in (
        lambda: stages.collect(now, "sales", night, Try("edited")),
        lambda: stages.validate(now, "sales", night, Try("edited")),
        lambda: stages.replay(now, "sales", night, Try("edited"), Replay("revalidate", "ann")),
    ):
        with pytest.raises(SpecError, match=told):
            refused()
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", warehouse.url)
    with pytest.raises(SpecError, match=told):
        clock_check.run(now.project)
    clock_check.run(before.project)
    collected(before, NEXT)

    monkeypatch.setattr(tables, "load_project", lambda: now.project)
    words = " ".join(tables.retype(warehouse.url, "source", "sales", dry_run=True))
    assert "would be read otherwise" in words
    assert "nightshift trigger collect_sales --from 2012-02-03 --to 2012-02-04" in words
    with pytest.raises(SpecError, match="2 nights"):
        clock_check.run(now.project)
    assert "is read otherwise" in tables.retype(warehouse.url, "source", "sales", dry_run=False)[0]
    clock_check.run(now.project)
    assert tables.retype(warehouse.url, "source", "sales", dry_run=False) == [
        "raw.sales is what its spec declares."
    ]
    collected(now, NEXT, "again")
    assert (day_of(now, FIRST), day_of(now, NEXT)) == (date(2012, 1, 2), date(2012, 2, 1))


def test_another_clock_of_a_source_is_refused_and_another_name_of_it_is_not(
    warehouse: Warehouse, folder: Path
) -> None:
    collected(edited(warehouse, folder, timezone="America/New_York"), FIRST)
    collected(edited(warehouse, folder, timezone="US/Eastern"), NEXT)
    with pytest.raises(SpecError, match="key 'timezone': US/Eastern then, Asia/Tokyo now"):
        collected(edited(warehouse, folder, timezone="Asia/Tokyo"), NEXT)
    columns = {**SALES["columns"], "at": {"type": "timestamp", "timezone": "Asia/Tokyo"}}
    with pytest.raises(SpecError, match=r"key 'columns\.at\.timezone': US/Eastern then, Asia/Tokyo now"):
        collected(edited(warehouse, folder, timezone="US/Eastern", columns=columns), NEXT)


def test_before_a_batch_is_published_any_edit_is_welcome(warehouse: Warehouse, folder: Path) -> None:
    before, now = edited(warehouse, folder), edited(warehouse, folder, MONTH_FIRST)
    stages.collect(before, "sales", DateRange(FIRST, FIRST), Try("first"))
    collected(now, FIRST)
    with pytest.raises(SpecError, match="'%m/%d/%Y' then"):
        collected(before, FIRST)


def test_a_warehouse_of_before_takes_the_specs_reading_at_the_next_collection(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = edited(warehouse, folder), edited(warehouse, folder, MONTH_FIRST)
    collected(before, FIRST)
    warehouse.execute("DELETE FROM catalog.readings")
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", warehouse.url)
    clock_check.run(now.project)
    assert warehouse.rows("SELECT source FROM catalog.readings") == [], "a check writes nothing"
    collected(before, NEXT)
    with pytest.raises(SpecError, match="2 nights"):
        collected(now, NEXT)
    warehouse.execute("DROP TABLE catalog.readings")
    clock_check.run(now.project)  # a warehouse that waits for `nightshift migrate`


def test_the_reading_goes_along_with_a_renamed_source(warehouse: Warehouse, folder: Path) -> None:
    collected(edited(warehouse, folder), FIRST)
    renamed = edited(warehouse, folder, name="orders")
    stages.rename(renamed, "source", "sales", "orders", actor="olga", reason="a better word")
    assert [row["source"] for row in warehouse.rows("SELECT source FROM catalog.readings")] == ["orders"]
    with pytest.raises(SpecError, match="1 nights"):
        stages.collect(
            edited(warehouse, folder, MONTH_FIRST, name="orders"), "orders", DateRange(NEXT, NEXT), Try("x")
        )
