"""How much memory a task takes that has Apache Spark score its night: of 1 and of 20 million rows.

    PYTHONPATH=. python benchmarks/driver.py [MILLIONS ...]

Needs `make spark`. As benchmarks/score.py, on a PostgreSQL of its own, with the predictions made by two workers of
`local[2]`: what is measured is the task, which reads the night, deals it, looks at what comes back and commits it. Each
in a process of its own. The exit code is 1 where the largest size takes more than 1.2 times the memory of the first.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import engine
from monitoring import memory

import score
from features import server
from nightshift.warehouse import migrate

# As benchmarks/score.py has it, not six times as many trees.
score.PARAMS = {"max_iter": 100, "random_state": 0}
FLAT_BAR = 1.2


class Driven(NamedTuple):
    """Seconds by the clock, and the most memory that the task has taken, in GiB."""

    wall: float
    gib: float


def driven(url: str, file: Path) -> Driven:
    """Score the night as the task does, on Spark."""
    wall = engine.serve_night(engine.on(score.platform(url, file), "local[2]"))
    return Driven(wall, memory("VmHWM") / 1024)


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 0 if it is within its bar."""
    sizes, found = [int(float(each) * 1e6) for each in arguments or ["1", "20"]], []
    with tempfile.TemporaryDirectory(prefix="nightshift-benchmark-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "model.skops"
        with server(Path(folder)) as url:
            migrate(url)
            score.alone(score.register, url, file)
            for rows in sizes:
                score.alone(score.fill, url, rows)
                found.append(score.alone(driven, url, file))
                print(f"{rows:,} rows: {found[-1].wall:.0f} s, {found[-1].gib:.2f} GiB", flush=True)
    grown = found[-1].gib / found[0].gib
    print(f"memory of the last to that of the first: {grown:.2f} times (bar {FLAT_BAR})")
    return 0 if grown <= FLAT_BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
