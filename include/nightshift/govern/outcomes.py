"""How a training ended: written by what ended it, with it; never worked out afterwards from what is missing."""

from typing import Any, Literal

from nightshift.warehouse import Warehouse

Outcome = Literal["promoted", "rejected", "timed out", "stale", "barred"]


def write_outcome(cursor: Any, training_id: str, outcome: Outcome) -> None:
    """Add a training's outcome in the transaction of ``cursor``. The newest counts; after a promotion none is added."""
    cursor.execute(
        "INSERT INTO governance.outcomes (training_id, outcome) SELECT %(training)s, %(outcome)s WHERE coalesce(("
        "SELECT outcome NOT IN ('promoted', %(outcome)s) FROM governance.outcomes WHERE training_id = %(training)s "
        "ORDER BY outcome = 'promoted' DESC, outcome_id DESC LIMIT 1), true)",
        {"training": training_id, "outcome": outcome},
    )


def outcome_of(warehouse: Warehouse, training_id: str) -> Outcome | None:
    """Return how a training ended; None if nothing has ended it: it runs, or it failed."""
    row = warehouse.row(
        "SELECT outcome FROM governance.outcomes WHERE training_id = %s "
        "ORDER BY outcome = 'promoted' DESC, outcome_id DESC LIMIT 1",
        (training_id,),
    )
    return row["outcome"] if row else None
