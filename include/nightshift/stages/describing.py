"""Describe: the catalog, replaced whole from the specs and from what the nights have recorded."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from nightshift import catalog
from nightshift.catalog.page import SHOWN_NIGHTS
from nightshift.pages import page
from nightshift.stages.documenting import card_key
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import Json

PAGE = "catalog/index.html"
FILE = (
    "INSERT INTO catalog.datasets (kind, name, owner, description, schema, reads, read_by, spec_sha256, as_of, "
    "described_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
OPEN = "SELECT source, count(*) AS rows FROM quarantine.open_rows GROUP BY source"
CHAMPIONS = (
    "SELECT DISTINCT ON (model) model, version, effective_from FROM governance.promotions "
    "WHERE effective_from <= %s ORDER BY model, entry DESC"
)
REPORTS = (
    "SELECT DISTINCT ON (model) model, batch_date, report_key FROM monitoring.verdicts "
    "WHERE report_key IS NOT NULL AND batch_date <= %s ORDER BY model, batch_date DESC"
)
# The page lies two folders deep in the store, and so do the others that it leads to.
BESIDE = "../"
# The DAG that a kind of dataset is made by.
MADE_BY = {"source": "collect_{}", "features": "features_{}", "model": "score_{}"}
NIGHTS = "SELECT * FROM catalog.nights WHERE batch_date BETWEEN %s AND %s ORDER BY kind, name, batch_date"


def describe(
    platform: Platform, batch_date: date, asked: Try, *, actor: str, dag: Callable[[str], str]
) -> Facts:
    """Replace ``catalog.datasets`` and the page, as of ``batch_date``; what a later night has written stays.

    ``dag``: gives the address of a DAG by its id.
    """
    found = catalog.datasets(platform.project)
    with platform.warehouse.transaction() as cursor:
        # One at a time, so that the page is of the same night as the table.
        cursor.execute("LOCK TABLE catalog.datasets IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SELECT as_of FROM catalog.datasets WHERE as_of > %s LIMIT 1", (batch_date,))
        later = cursor.fetchone()
        if later:
            return {"as_of": str(batch_date), "outcome": f"the catalog of {later['as_of']} stays"}
        cursor.execute("DELETE FROM catalog.datasets")
        cursor.executemany(FILE, [_row(each, batch_date, actor) for each in found])
        cursor.execute(NIGHTS, (batch_date - timedelta(days=SHOWN_NIGHTS - 1), batch_date))
        nights = cursor.fetchall()
        cursor.execute("SELECT * FROM catalog.freshness")
        fresh = cursor.fetchall()
        standings = _standings(platform, cursor, found, batch_date, dag)
        content = page(catalog.document(found, nights, fresh, batch_date, standings)).encode()
        platform.objects.put(PAGE, content)
    return {"as_of": str(batch_date), "datasets": len(found), "page": PAGE, "bytes": len(content)}


def _row(each: catalog.Dataset, as_of: date, actor: str) -> tuple[object, ...]:
    about = (each.kind, each.name, each.owner, each.description, Json(each.schema))
    return (*about, each.reads, list(each.read_by), each.spec_sha256, as_of, actor)


def _standings(
    platform: Platform, cursor: Any, found: list[catalog.Dataset], as_of: date, dag: Callable[[str], str]
) -> dict[str, catalog.Standing]:
    """Return what stands of each dataset now, by its id."""
    cursor.execute(OPEN)
    waiting = {row["source"]: row["rows"] for row in cursor.fetchall()}
    cursor.execute(CHAMPIONS, (as_of,))
    champions = {row["model"]: (row["version"], row["effective_from"]) for row in cursor.fetchall()}
    cursor.execute(REPORTS, (as_of,))
    reports = {row["model"]: row for row in cursor.fetchall()}
    standings = {}
    for each in found:
        if each.kind == "model":
            champion = champions.get(each.name)
            links = _papers(each.name, champion, reports.get(each.name))
            standing = catalog.Standing(champion=champion, links=(*links, _made(platform, each, dag)))
        else:
            rows = waiting.get(each.name, 0) if each.kind == "source" else 0
            standing = catalog.Standing(open_rows=rows, links=(_made(platform, each, dag),))
        standings[each.id] = standing
    return standings


def _papers(
    model: str, champion: tuple[int, date] | None, verdict: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    links = []
    if champion:
        links.append((f"card of version {champion[0]}", BESIDE + card_key(model, champion[0])))
    if verdict:
        links.append((f"drift report of {verdict['batch_date']}", BESIDE + verdict["report_key"]))
    return links


def _made(platform: Platform, each: catalog.Dataset, dag: Callable[[str], str]) -> tuple[str, str]:
    name = each.name
    if each.kind == "features":  # its DAG is named as its file
        name = next(key for key, spec in platform.project.feature_sets.items() if spec.table == each.name)
    dag_id = MADE_BY[each.kind].format(name)
    return dag_id, dag(dag_id)
