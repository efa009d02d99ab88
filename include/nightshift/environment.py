"""What runs here: packages, processor, threads. Recorded with a version, compared when it is made again.

The packages are those of ``requirements/runtime.lock`` that are installed: what a version stands on, and no more.
"""

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from email.message import Message
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, TypedDict

from threadpoolctl import threadpool_info

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "requirements" / "runtime.lock"
PROCESSORS = Path("/proc/cpuinfo")
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
# Some packages give the whole text of their licence as its name.
LONGEST_LICENCE = 80
SAYS_NOTHING = {"", "UNKNOWN", "OSI Approved", "Dual License"}


@dataclass(frozen=True)
class Package:
    """An installed package. ``licence``: as its metadata say it; ``spdx``: whether that is an SPDX expression."""

    name: str
    version: str
    licence: str | None
    spdx: bool = False


class Environment(TypedDict):
    """What the numbers of a fit may depend on. ``blas``: its libraries and the processor each is for."""

    python: str
    machine: str
    processor: str
    processors: int | None
    openmp_threads: int | None
    blas: list[str]
    blas_threads: int | None
    packages: dict[str, str]


@cache  # what is installed does not change under a process, and reading the metadata takes a second
def packages(lock: Path = LOCK) -> tuple[Package, ...]:
    """Return the packages of a lock file that are installed, by name; none where there is no lock file."""
    names = sorted(set(PINNED.findall(lock.read_text()))) if lock.exists() else []
    return tuple(package for name in names if (package := _installed(name)))


def environment(lock: Path = LOCK) -> Environment:
    """Return what the numbers of a fit may depend on, ready for JSON.

    Threads and linear algebra are those of the libraries that are loaded by now: ask after the fit.
    """
    pools = threadpool_info()
    blas = [pool for pool in pools if pool["user_api"] == "blas"]
    kinds = {f"{pool['internal_api']} {pool['version']} for {pool.get('architecture')}" for pool in blas}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "openmp_threads": _most(pool["num_threads"] for pool in pools if pool["user_api"] == "openmp"),
        "blas": sorted(kinds),
        "blas_threads": _most(pool["num_threads"] for pool in blas),
        "packages": {package.name: package.version for package in packages(lock)},
    }


def lock_sha256(lock: Path = LOCK) -> str:
    """Return the hash of the lock file that is here, or ``unknown`` where there is none."""
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unknown"


def _installed(name: str) -> Package | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None  # for another platform
    return Package(name, found.version, *_licence(found.metadata))


def _licence(metadata: Any) -> tuple[str | None, bool]:
    given: Message = metadata
    if given.get("License-Expression"):
        return str(given["License-Expression"]), True
    text = str(given.get("License") or "").strip()
    if text not in SAYS_NOTHING and len(text) <= LONGEST_LICENCE and "\n" not in text:
        return text, False
    lines = given.get_all("Classifier") or ()
    named = {line.rpartition(" :: ")[2] for line in lines if "License ::" in line} - SAYS_NOTHING
    return (", ".join(sorted(named)) or None), False


def _processor() -> str:
    text = PROCESSORS.read_text() if PROCESSORS.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or "unknown"


def _most(numbers: Any) -> int | None:
    return max(numbers, default=None)
