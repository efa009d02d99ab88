"""A project of its own in a folder of its own, used as a person does: by the command, from within that folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightshift.runtime import endpoints, state
from nightshift.runtime.state import Runtime

ELSEWHERE = ("NIGHTSHIFT_INCLUDE", "NIGHTSHIFT_HOME", "PYTHONPATH")


@dataclass(frozen=True)
class Shop:
    """The project, and the ports of its stack."""

    folder: Path
    ports: dict[str, str]

    @property
    def runtime(self) -> Runtime:
        """Its stack, once it has run."""
        return state.load(self.folder / ".nightshift")

    def nightshift(self, *words: str) -> str:
        """Return what the command prints; it must succeed."""
        kept = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "nightshift.cli", *words],
            cwd=self.folder,
            env=kept | self.ports | {"COLUMNS": "200"},
            input="y\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@contextmanager
def opened(root: Path, *options: str) -> Iterator[Shop]:
    """Yield an empty project below ``root``, its stack running."""
    ports = {
        f"NIGHTSHIFT_{name.upper()}_PORT": str(endpoints.any_free_port()) for name in endpoints.PREFERRED
    }
    Shop(root, ports).nightshift("init", "shop", *options)
    shop = Shop(root / "shop", ports)
    try:
        shop.nightshift("up")
        yield shop
    finally:
        shop.nightshift("down", "--purge")
