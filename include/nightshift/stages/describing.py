"""Describe: the catalog, replaced whole from the specs and from what the nights have recorded."""

from datetime import date, timedelta

from nightshift import catalog
from nightshift.catalog.page import SHOWN_NIGHTS
from nightshift.stages.platform import Facts, Platform, Try
from nightshift.warehouse import Json

PAGE = "catalog/index.html"
FILE = (
    "INSERT INTO catalog.datasets (kind, name, owner, description, schema, reads, read_by, spec_sha256, as_of, "
    "described_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
NIGHTS = "SELECT * FROM catalog.nights WHERE batch_date BETWEEN %s AND %s ORDER BY kind, name, batch_date"


def describe(platform: Platform, batch_date: date, asked: Try, *, actor: str) -> Facts:
    """Replace ``catalog.datasets`` and the page, as of ``batch_date``; what a later night has written stays."""
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
        content = catalog.page(found, nights, cursor.fetchall(), batch_date).encode()
        platform.objects.put(PAGE, content)
    return {"as_of": str(batch_date), "datasets": len(found), "page": PAGE, "bytes": len(content)}


def _row(each: catalog.Dataset, as_of: date, actor: str) -> tuple[object, ...]:
    about = (each.kind, each.name, each.owner, each.description, Json(each.schema))
    return (*about, each.reads, list(each.read_by), each.spec_sha256, as_of, actor)
