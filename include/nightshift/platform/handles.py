"""What stages work with: the project's specs and handles on the warehouse, the registry and the files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from nightshift.collect import Connection
from nightshift.errors import NotReady
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.specs import Project
from nightshift.warehouse import Warehouse


@dataclass(frozen=True)
class Platform:
    """Handles, made once a task. ``connection`` finds a source's connection by its id."""

    project: Project
    warehouse: Warehouse
    registry: Registry
    objects: Objects
    connection: Callable[[str], Connection]

    @classmethod
    def of(
        cls,
        project: Project,
        registry: Registry,
        *,
        warehouse: str,
        objects: str,
        connection: Callable[[str], Connection] | None = None,
    ) -> "Platform":
        """Return handles on the warehouse and the file store at these URLs; without ``connection`` nothing collects."""
        return cls(
            project, Warehouse.keeping(warehouse), registry, Objects(objects), connection or _no_source
        )


def _no_source(name: str) -> NoReturn:
    raise NotReady(f"connection '{name}': nothing is collected here; trigger collect_<source> instead")


@dataclass(frozen=True)
class Try:
    """Who asks: the run, and which try of it. Written to leases and audit columns."""

    run_id: str
    number: int = 1
    is_backfill: bool = False

    @property
    def holder(self) -> str:
        """The name under which this try takes leases."""
        return f"{self.run_id} (try {self.number})"
