"""The cockpit's one script: files of ``ui/`` in their order, as a module of its own. Light: every component imports it.

There is no build: React, Chakra and the router are those of Airflow's UI, which it leaves on ``globalThis``.
"""

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "ui"
# A file uses what those before it define.
FILES = ("parts", "marks", "fleet", "model", "night", "data", "alerts", "app")


@cache
def bundle() -> str:
    """Return the script."""
    return "\n".join((FOLDER / f"{name}.js").read_text() for name in FILES)


def bundle_name() -> str:
    """Return the script's file name, which changes with its content: a browser keeps it for good."""
    return f"cockpit-{hashlib.sha256(bundle().encode()).hexdigest()[:16]}.js"
