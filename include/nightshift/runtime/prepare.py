"""One-off work at the start, each in a process of its own beside Airflow's start.

``python -m nightshift.runtime.prepare WORK DESCRIPTOR`` writes ``done`` to the pipe if all went well.
"""

import os
import sys
from collections.abc import Callable

from nightshift.runtime import state


def warehouse() -> None:
    """Bring the warehouse's tables up to date."""
    from nightshift.warehouse import migrate

    migrate(state.load().warehouse_url)


def upstream() -> None:
    """Fill the example's upstream systems."""
    from nightshift.runtime import upstream

    runtime = state.load()
    runtime.weather_folder.mkdir(parents=True, exist_ok=True)
    upstream.seed(runtime.ops_url, runtime.weather_folder)


WORK: dict[str, Callable[[], None]] = {"warehouse": warehouse, "upstream": upstream}

if __name__ == "__main__":
    os.nice(10)  # Airflow's start is what everybody waits for
    WORK[sys.argv[1]]()
    os.write(int(sys.argv[2]), b"done")
