"""Kept files: where they are, and which of them the UI serves. Light: the api-server imports it."""

import os
import re

from nightshift.errors import SpecError

# Pages we rendered, and nothing else of the store: landed batches and snapshots hold rows.
SERVED = re.compile(r"(reports|data_docs)/[a-z][a-z0-9_]*/[0-9.\-]+\.html|catalog/index\.html")
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


def data_docs_key(source: str, nights: object) -> str:
    """Return the key under which the stage *validate* keeps the data docs of these nights."""
    return f"data_docs/{source}/{nights}.html"
