"""How fast the cockpit answers: 25 models and a year of nights each, and 200 models, on a PostgreSQL of its own.

Run as ``python benchmarks/cockpit.py [MODELS]``. It prints time, CPU time (of this process and of the server) and size
of each page, without the cache: a crowded machine adds to the first, hardly to the second.
"""

import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
from pydantic import TypeAdapter

from nightshift.cockpit import answers
from nightshift.cockpit.standing import Tonight
from nightshift.database import Readings
from nightshift.specs import Project, load_project
from nightshift.warehouse import Warehouse, migrate

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import postgres_url
from tests.integration.fleet_rows import fill

NIGHT, NIGHTS, TIMES = date(2013, 12, 31), 365, 40


def of_many(models: int) -> Project:
    """Return the example with so many models."""
    project = load_project()
    one = project.model("late_arrival")
    many = {f"model_{n:03}": one.model_copy(update={"name": f"model_{n:03}"}) for n in range(models)}
    return project.model_copy(update={"models": many})


def spent_on_cpu() -> float:
    """Return the seconds of CPU that this process and its children, the server's processes, have used."""
    mine = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in [mine, *mine.children(recursive=True)])


def timed(name: str, kind: type, ask: Callable[[], Any]) -> None:
    """Print how long a page takes, and how large it is."""
    spent, cpu = [], spent_on_cpu()
    for _ in range(TIMES):
        began = time.perf_counter()
        content = TypeAdapter(kind).dump_json(ask())
        spent.append(1000 * (time.perf_counter() - began))
    print(
        f"{name:8} median {median(spent):6.0f} ms   p95 {quantiles(spent, n=20)[-1]:6.0f} ms   "
        f"cpu {1000 * (spent_on_cpu() - cpu) / TIMES:6.1f} ms   {len(content) / 1000:6.1f} kB, "
        f"{len(gzip.compress(content, 5)) / 1000:.1f} kB as the API server sends it",
        flush=True,
    )


def main(models: int) -> None:
    """Fill a server and ask it."""
    with tempfile.TemporaryDirectory() as folder:

        class Folders:
            """Where the fixture makes its server."""

            def mktemp(self, name: str) -> Path:
                made = Path(folder) / name
                made.mkdir()
                return made

        served = postgres_url.__wrapped__(Folders())
        url = next(served)
        try:
            migrate(url)
            project, began = of_many(models), time.monotonic()
            fill(Warehouse(url), project, NIGHT, NIGHTS)
            Warehouse(url).execute("ANALYZE")  # as autovacuum does within minutes
            print(f"{models} models x {NIGHTS} nights, filled in {time.monotonic() - began:.0f} s")
            ask(Readings(url), project)
        finally:
            next(served, None)


def ask(reads: Readings, project: Project) -> None:
    """Time each page."""
    at, seen = Tonight(NIGHT, due=True), {"may_see": lambda dag: True}
    offered = seen | {"may_start": lambda dag: True}
    timed("fleet", answers.Fleet, lambda: answers.fleet(reads, project, at, **seen))
    one = next(iter(project.models))
    timed("model", answers.ModelPage, lambda: answers.model_page(reads, project, at, name=one, **offered))
    timed("night", answers.NightPage, lambda: answers.night_page(reads, project, at, **seen))
    timed("data", answers.DataPage, lambda: answers.data_page(reads, project, at, **offered))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
