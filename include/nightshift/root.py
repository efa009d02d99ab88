"""Where the project is: the folder that holds ``include/``, ``dags/`` and ``plugins/``.

``NIGHTSHIFT_INCLUDE`` says so; else it is the nearest one at or above the working directory, as with git; else the
one beside the engine.
"""

import os
from pathlib import Path

# What holds the package `nightshift`: the import path of whatever is started.
ENGINE = Path(__file__).resolve().parents[1]


def find(given: str | None, working: Path) -> Path:
    """Return the project's ``include``: ``given``, else the nearest at or above ``working``, else the engine's own."""
    if given:
        return Path(given)
    above = (folder / "include" for folder in (working, *working.parents))
    return next((folder for folder in above if (folder / "project.yaml").is_file()), ENGINE)


INCLUDE = find(os.environ.get("NIGHTSHIFT_INCLUDE"), Path.cwd())
ROOT = INCLUDE.absolute().parent
