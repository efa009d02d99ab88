"""How a training ended: written by what ended it, with it; never worked out afterwards from what is missing."""

from typing import Any, Literal

from nightshift.warehouse import Warehouse

Outcome = Literal["promoted", "rejected", "timed out", "stale", "barred"]


def write_outcome(cursor: Any, training_id: str, outcome: Outcome) -> None:
    """Write a training's outcome in the transaction of ``cursor``. A newer one replaces it; a promotion stays."""
    cursor.execute(
        "INSERT INTO governance.outcomes AS known (training_id, outcome) VALUES (%s, %s) "
        "ON CONFLICT (training_id) DO UPDATE SET (outcome, recorded_at) = (excluded.outcome, clock_timestamp()) "
        "WHERE known.outcome <> 'promoted'",
        (training_id, outcome),
    )


def outcome_of(warehouse: Warehouse, training_id: str) -> Outcome | None:
    """Return how a training ended; None if nothing has ended it: it runs, or it failed."""
    row = warehouse.row("SELECT outcome FROM governance.outcomes WHERE training_id = %s", (training_id,))
    return row["outcome"] if row else None
