"""The file store as Airflow's processes find it, and the policy that a served file goes with. Light: the api-server."""

import os

from nightshift.errors import SpecError
from nightshift.kept import is_scripted
from nightshift.pages.face import POLICY, SCRIPTED


def objects_root() -> str:
    """Return the file store's root: a folder or any fsspec URL.

    Raises:
        SpecError: ``NIGHTSHIFT_OBJECTS`` is not set.
    """
    root = os.environ.get("NIGHTSHIFT_OBJECTS")
    if not root:
        raise SpecError("NIGHTSHIFT_OBJECTS is not set: the folder or fsspec URL for snapshots and reports")
    return root


def policy_of(key: str) -> str:
    """Return the Content-Security-Policy of a served file: only drift reports draw by script. No origin, no session."""
    return f"sandbox allow-scripts; {SCRIPTED}" if is_scripted(key) else f"sandbox; {POLICY}"
