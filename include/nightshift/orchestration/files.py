"""Kept files: where they are, and which of them the UI serves. Light: the api-server imports it."""

import os
import re

from nightshift.errors import SpecError
from nightshift.pages.face import POLICY, SCRIPTED

# Pages and notebooks we wrote, and nothing else of the store: landed batches and snapshots hold rows.
SERVED = re.compile(
    r"(reports|data_docs)/[a-z][a-z0-9_]*/[0-9.\-]+\.html|catalog/index\.html"
    r"|explorations/[a-z][a-z0-9_]*/[0-9a-f]{64}\.(html|ipynb)"
    r"|reproductions/[a-z][a-z0-9_]*/[0-9a-f]{64}\.html"
    r"|cards/[a-z][a-z0-9_]*/[0-9]{1,9}/(card\.html|card\.md|sbom\.cdx\.json)"
)
# What is not here is a page.
MEDIA_TYPES = {"md": "text/plain; charset=utf-8", "json": "application/json"}
NOTEBOOK = "application/x-ipynb+json"
# Whose DAG a file is: who may not see the one is not shown the other.
DAGS = {
    "reports": "monitor_{}",
    "data_docs": "collect_{}",
    "explorations": "explore_{}",
    "reproductions": "reproduce_{}",
    "cards": "train_{}",
    "catalog": "catalog",
}
CATALOG = "catalog/index.html"  # where the stage *describe* keeps the catalog


def objects_root() -> str:
    """Return the file store's root: a folder or any fsspec URL.

    Raises:
        SpecError: ``NIGHTSHIFT_OBJECTS`` is not set.
    """
    root = os.environ.get("NIGHTSHIFT_OBJECTS")
    if not root:
        raise SpecError("NIGHTSHIFT_OBJECTS is not set: the folder or fsspec URL for snapshots and reports")
    return root


def dag_of(key: str) -> str:
    """Return the DAG whose file a served one is."""
    kind, name, *_ = key.split("/")
    return DAGS[kind].format(name)


def policy_of(key: str) -> str:
    """Return the Content-Security-Policy of a served file: only drift reports draw by script. No origin, no session."""
    return f"sandbox allow-scripts; {SCRIPTED}" if key.startswith("reports/") else f"sandbox; {POLICY}"


def sent_as(key: str) -> tuple[str, dict[str, str]]:
    """Return the media type of a served file, and the headers it goes with: a notebook is downloaded."""
    if not key.endswith(".ipynb"):
        return MEDIA_TYPES.get(key.rpartition(".")[2], "text/html"), {}
    subject, name = key.split("/")[1:]
    return NOTEBOOK, {"Content-Disposition": f'attachment; filename="{subject}-{name[:12]}.ipynb"'}


def data_docs_key(source: str, nights: object) -> str:
    """Return the key under which the stage *validate* keeps the data docs of these nights."""
    return f"data_docs/{source}/{nights}.html"
