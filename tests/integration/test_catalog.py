"""The catalog on a month of real nights: tables from the specs, what the nights left, one page."""

import time
from datetime import date, timedelta

import pytest

from nightshift import stages
from nightshift.kept import CATALOG, SERVED
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

NIGHT = date(2013, 2, 8)  # the last that the history has collected
DAY = timedelta(days=1)
ABOUT = (
    "SELECT kind, name, owner, schema, reads, read_by, spec_sha256, as_of FROM catalog.datasets ORDER BY 1, 2"
)


def dag(dag_id: str) -> str:
    return f"http://airflow.example/dags/{dag_id}"


def test_describing_twice_leaves_the_same_tables_and_the_same_page(loop: Platform) -> None:
    found = []
    for run in ("one", "two"):
        facts = stages.describe(loop, NIGHT, Try(run), actor="tester", dag=dag)
        found.append((facts, loop.warehouse.rows(ABOUT), loop.objects.get(CATALOG)))
    assert found[0] == found[1]
    assert found[0][0]["page"] == CATALOG
    assert [row["name"] for row in found[0][1] if row["kind"] == "source"] == sorted(loop.project.sources)


def test_what_is_gone_from_the_specs_is_gone_from_the_catalog(loop: Platform) -> None:
    stages.describe(loop, NIGHT, Try("before"), actor="tester", dag=dag)
    loop.project.sources.pop("weather")
    stages.describe(loop, NIGHT, Try("after"), actor="tester", dag=dag)
    assert "weather" not in {row["name"] for row in loop.warehouse.rows(ABOUT)}
    assert 'id="source.weather"' not in loop.objects.get(CATALOG).decode()


def test_an_older_night_leaves_a_newer_catalog(loop: Platform) -> None:
    stages.describe(loop, NIGHT, Try("newer"), actor="tester", dag=dag)
    before = loop.objects.get(CATALOG)
    facts = stages.describe(loop, NIGHT - DAY, Try("older"), actor="tester", dag=dag)
    assert facts["outcome"] == f"the catalog of {NIGHT} stays"
    assert loop.objects.get(CATALOG) == before
    assert {row["as_of"] for row in loop.warehouse.rows(ABOUT)} == {NIGHT}


def test_freshness_and_volume_are_those_of_the_rows(loop: Platform) -> None:
    fresh = loop.warehouse.row("SELECT * FROM catalog.freshness WHERE (kind, name) = ('source', 'weather')")
    rows = loop.warehouse.row(
        "SELECT max(known_at) AS newest FROM raw.weather WHERE batch_date = %s", (NIGHT,)
    )
    assert fresh
    assert rows
    assert (fresh["newest_batch_date"], fresh["newest_known_at"]) == (NIGHT, rows["newest"])
    counted = "SELECT count(*) AS n FROM raw.weather WHERE batch_date = %s"
    told = "SELECT row_count AS n FROM catalog.nights WHERE (kind, name) = ('source', 'weather') AND batch_date = %s"
    assert loop.warehouse.row(counted, (NIGHT,)) == loop.warehouse.row(told, (NIGHT,))


def test_the_page_is_kept_where_the_ui_looks_for_it() -> None:
    assert SERVED.fullmatch(CATALOG)
    assert not SERVED.fullmatch("catalog/other.html")


def test_twenty_five_models_are_twenty_five_more_datasets(loop: Platform) -> None:
    model = loop.project.model("late_arrival")
    loop.project.models.update(
        {f"late_{n}": model.model_copy(update={"name": f"late_{n}"}) for n in range(25)}
    )
    began = time.process_time()
    facts = stages.describe(loop, NIGHT, Try("many"), actor="tester", dag=dag)
    print(f"{facts['datasets']} datasets described in {time.process_time() - began:.1f} CPU-s")
    project = loop.project
    assert facts["datasets"] == len(project.sources) + len(project.feature_sets) + len(project.models)
