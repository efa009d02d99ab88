"""What a version stands on: spec, code and packages; and the files that are logged with its run."""

import hashlib
import json
import os
import subprocess
from importlib.metadata import packages_distributions
from importlib.metadata import version as installed
from pathlib import Path

from nightshift.environment import lock_sha256
from nightshift.specs import Model

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = ("scikit-learn", "skops", "numpy", "pandas")
# With the run of a version: the spec as it was, and what it was trained with.
SPEC_FILE, ENVIRONMENT_FILE, TRIALS_FILE = "spec.json", "environment.json", "trials.json"


def packages_of(model: Model) -> list[str]:
    """Return what the file of a version needs to be opened, pinned."""
    library = model.estimator.named.partition(".")[0]
    others = packages_distributions().get(library, []) if library != "sklearn" else []
    return [f"{package}=={installed(package)}" for package in (*PACKAGES, *others)]


def provenance(model: Model) -> dict[str, str]:
    """Return what a version stands on: spec, code and packages."""
    return {
        "nightshift.spec_sha256": hashlib.sha256(spec_text(model).encode()).hexdigest(),
        "nightshift.code_commit": code_commit(),
        "nightshift.lock_sha256": lock_sha256(),
    }


def spec_text(model: Model) -> str:
    """Return the spec as it is logged with a version's run; its hash is the version's ``spec_sha256``."""
    return json.dumps(model.model_dump(mode="json", by_alias=True), indent=2, sort_keys=True)


def code_commit() -> str:
    """Return the commit of the code that runs, ``+changes`` if files differ from it, or ``unknown``.

    An image has no repository: it carries the commit in ``NIGHTSHIFT_CODE_COMMIT``.
    """
    if os.environ.get("NIGHTSHIFT_CODE_COMMIT"):
        return os.environ["NIGHTSHIFT_CODE_COMMIT"]
    git = ["git", "-c", f"safe.directory={REPOSITORY}", "-C", str(REPOSITORY)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+changes" if changed else commit
