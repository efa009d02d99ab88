"""Count again: every row that was landed is accepted or in quarantine, and is there once."""

from datetime import date

from nightshift import results
from nightshift.calendar import DateRange
from nightshift.errors import Unreconciled
from nightshift.platform import Platform
from nightshift.warehouse import raw_table

MOST_TOLD = 5


def reconcile_source(platform: Platform, name: str, nights: DateRange) -> results.Reconciled:
    """Count the rows of every published batch of ``nights`` in the warehouse.

    Raises:
        Unreconciled: naming each date whose numbers differ, and the numbers.
    """
    table = raw_table(platform.project.source(name))
    platform.warehouse.ensure(table)
    accounts = platform.warehouse.accounts(table, nights.first, nights.last)
    wrong = []
    for batch in accounts:
        judged, held = (batch.accepted, batch.rejected), (batch.raw, batch.quarantined)
        if difference := _difference(batch.batch_date, batch.landed, judged, held):
            wrong.append(difference)
    if wrong:
        rest = f"; and {len(wrong) - MOST_TOLD} more dates" if len(wrong) > MOST_TOLD else ""
        raise _unreconciled(name, "; ".join(wrong[:MOST_TOLD]) + rest)
    return {"source": name, "nights": str(nights), "batches": len(accounts)}


def require_balance(
    name: str, day: date, landed: int, judged: tuple[int, int], held: tuple[int, int]
) -> None:
    """Compare the rows of one batch: ``judged`` and ``held`` are (accepted, set aside).

    Raises:
        Unreconciled: they differ.
    """
    if difference := _difference(day, landed, judged, held):
        raise _unreconciled(name, difference)


def _difference(day: date, landed: int, judged: tuple[int, int], held: tuple[int, int]) -> str:
    if landed == sum(judged) and judged == held:
        return ""
    return (
        f"{day}: {landed} rows landed, {sum(judged)} judged ({judged[0]} accepted + {judged[1]} rejected), "
        f"{sum(held)} in the warehouse ({held[0]} in raw + {held[1]} in quarantine)"
    )


def _unreconciled(name: str, differences: str) -> Unreconciled:
    return Unreconciled(
        f"source '{name}': rows do not add up: {differences}. If somebody changed the tables by hand, "
        f"trigger replay_quarantine_{name} for these dates with action 'recollect'"
    )
