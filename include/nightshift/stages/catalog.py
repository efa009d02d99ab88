"""Describe: the catalog, replaced whole from the specs and from what the nights have recorded."""

from collections.abc import Callable
from datetime import date, timedelta

from nightshift import catalog, kept, results
from nightshift.catalog.page import SHOWN_NIGHTS
from nightshift.database import Session
from nightshift.pages import page
from nightshift.platform import Platform, Try
from nightshift.records import catalog as records

# The page lies two folders deep in the store, and so do the others that it leads to.
BESIDE = "../"
# The DAG that a kind of dataset is made by.
MADE_BY = {"source": "collect_{}", "features": "features_{}", "model": "score_{}"}


def describe(
    platform: Platform, batch_date: date, asked: Try, *, actor: str, dag: Callable[[str], str]
) -> results.Described:
    """Replace ``catalog.datasets`` and the page, as of ``batch_date``; what a later night has written stays.

    ``dag``: gives the address of a DAG by its id.
    """
    found = catalog.datasets(platform.project)
    with platform.warehouse.session() as session:
        # One at a time, so that the page is of the same night as the table.
        session.run(records.LOCK)
        later = session.one(records.LATER, night=batch_date)
        if later:
            return {"as_of": str(batch_date), "outcome": f"the catalog of {later.as_of} stays"}
        session.run(records.CLEAR)
        session.each(records.DESCRIBE, [_row(each, batch_date, actor) for each in found])
        first = batch_date - timedelta(days=SHOWN_NIGHTS - 1)
        nights = session.all(records.NIGHTS, first=first, last=batch_date)
        fresh = session.all(records.FRESHNESS)
        standings = _standings(platform, session, found, batch_date, dag)
        content = page(catalog.document(found, nights, fresh, batch_date, standings)).encode()
        platform.objects.put(kept.CATALOG, content)
    return {"as_of": str(batch_date), "datasets": len(found), "page": kept.CATALOG, "bytes": len(content)}


def _row(each: catalog.Dataset, as_of: date, actor: str) -> records.Dataset:
    return records.Dataset(
        kind=each.kind,
        name=each.name,
        owner=each.owner,
        description=each.description,
        schema=each.schema,
        reads=list(each.reads),
        read_by=list(each.read_by),
        spec_sha256=each.spec_sha256,
        as_of=as_of,
        described_by=actor,
    )


def _standings(
    platform: Platform, session: Session, found: list[catalog.Dataset], as_of: date, dag: Callable[[str], str]
) -> dict[str, catalog.Standing]:
    """Return what stands of each dataset now, by its id."""
    waiting = {each.source: each.rows for each in session.all(records.OPEN)}
    champions = {
        each.model: (each.version, each.effective_from)
        for each in session.all(records.CHAMPIONS, night=as_of)
    }
    reports = {each.model: each for each in session.all(records.REPORTS, night=as_of)}
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
    model: str, champion: tuple[int, date] | None, report: records.Report | None
) -> list[tuple[str, str]]:
    links = []
    if champion:
        links.append((f"card of version {champion[0]}", BESIDE + kept.card(model, champion[0])))
    if report:
        links.append((f"drift report of {report.batch_date}", BESIDE + report.report_key))
    return links


def _made(platform: Platform, each: catalog.Dataset, dag: Callable[[str], str]) -> tuple[str, str]:
    name = each.name
    if each.kind == "features":  # its DAG is named as its file
        name = next(key for key, spec in platform.project.feature_sets.items() if spec.table == each.name)
    dag_id = MADE_BY[each.kind].format(name)
    return dag_id, dag(dag_id)
