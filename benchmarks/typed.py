"""What types cost: landing, validation, writing and reading of 300,000 rows, beside another revision's in one run.

    PYTHONPATH=. python benchmarks/typed.py [revision] [rows]

On a PostgreSQL of its own. The other revision (default: the commit before) is checked out into a folder of its own; a
process of each takes turns with the other, so a busy machine slows both. Told are each one's best speed, and the
median over the pairs of turns of the ratio, in CPU-seconds or in wall time, whichever is kinder. The exit code is 1 if
one lies below 0.9 times the other revision.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROUNDS, BAR, ROWS = 7, 0.9, 300_000
HERE = Path(__file__).resolve().parents[1]
Clocks = tuple[float, float]  # CPU and wall, seconds


def turns(url: str, name: str, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is measured, each with its name. Only what both revisions have."""
    import pandas as pd
    import validate as example

    from nightshift.landing import parquet
    from nightshift.validate import validate
    from nightshift.warehouse import Warehouse, raw_table

    source = example.source().model_copy(update={"name": f"bench_{name}"})
    delivered = example.rows(count, 0.0)
    dated = delivered.assign(batch_date=pd.Timestamp(example.DAY))
    accepted = validate(source, dated, [example.DAY]).accepted
    accepted = accepted.assign(known_at=accepted["at"])
    warehouse, table = Warehouse(url), raw_table(source)
    warehouse.ensure(table)

    def write() -> None:
        with warehouse.write(warehouse.lease(table, [example.DAY], "benchmark")) as opened:
            opened.replace(table, accepted)

    yield "land", lambda: parquet(delivered)
    yield "validate", lambda: validate(source, dated, [example.DAY])
    yield "write", write
    yield "read", lambda: warehouse.read(table, example.DAY, example.DAY)


def work(url: str, name: str, count: int) -> None:
    """Take a turn for every line of standard input; answer with the seconds it took."""
    measured = dict(turns(url, name, count))
    print(*measured, flush=True)
    for line in sys.stdin:
        began = time.process_time(), time.perf_counter()
        measured[line.strip()]()
        print(time.process_time() - began[0], time.perf_counter() - began[1], flush=True)


@contextmanager
def worker(include: Path, *arguments: str) -> Iterator[Callable[[str], list[str]]]:
    """Yield a way to ask a process that imports the engine from ``include``."""
    environment = {**os.environ, "PYTHONPATH": f"{include}{os.pathsep}{HERE / 'benchmarks'}"}
    command = [sys.executable, __file__, "--work", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, told = process.stdin, process.stdout

        def ask(what: str) -> list[str]:
            given.write(f"{what}\n" if what else "")
            given.flush()
            return told.readline().split()

        yield ask
        given.close()


def compare(url: str, other: Path, count: int) -> bool:
    """Print the speeds of both; return whether this one is fast enough."""
    fast = True
    with (
        worker(other / "include", url, "before", str(count)) as before,
        worker(HERE / "include", url, "now", str(count)) as now,
    ):
        names = before("")
        assert names == now("")
        for name in names:
            pairs: list[tuple[Clocks, Clocks]] = []
            for number in range(ROUNDS + 1):
                first, second = (before, now) if number % 2 else (now, before)
                one, two = ([float(part) for part in ask(name)] for ask in (first, second))
                pair = (tuple(one), tuple(two)) if number % 2 else (tuple(two), tuple(one))
                if number:  # the first turn warms both
                    pairs.append(pair)
            ratio = max(median(old[clock] / new[clock] for old, new in pairs) for clock in (0, 1))
            best = [count / min(pair[side][1] for pair in pairs) for side in (0, 1)]
            print(
                f"{name:9} before {best[0]:>12,.0f} rows/s   now {best[1]:>12,.0f} rows/s   ratio {ratio:.2f}"
            )
            fast = fast and ratio >= BAR
    return fast


def main(revision: str = "HEAD~1", count: str = str(ROWS)) -> None:
    """Check out the other revision, compare, hold against the bar."""
    from features import server
    from nightshift.warehouse import migrate

    git = ["git", "-C", str(HERE)]
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        Path(folder).chmod(0o755)
        other = Path(folder) / "before"
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(other), revision], check=True)
        try:
            with server(Path(folder)) as url:
                migrate(url)
                fast = compare(url, other, int(count))
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(other)], check=True)
    sys.exit(0 if fast else f"below {BAR} of {revision}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(*sys.argv[1:])
