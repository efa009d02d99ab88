"""The warehouse's tables brought up to date at the start, in a process of its own beside Airflow's start.

``python -m nightshift.runtime.prepare DESCRIPTOR`` writes ``done`` to the pipe if all went well.
"""

import os
import sys

from nightshift.runtime import state


def warehouse() -> None:
    """Bring the warehouse's tables up to date."""
    from nightshift.warehouse import migrate

    migrate(state.load().warehouse_url)


if __name__ == "__main__":
    os.nice(10)  # Airflow's start is what everybody waits for
    warehouse()
    os.write(int(sys.argv[1]), b"done")
