"""Leases: who may write a partition, a date and an arm. A newer generation makes every older try harmless."""

from dataclasses import dataclass
from datetime import date

from nightshift.rows import Command, Query, Row


@dataclass(frozen=True, kw_only=True)
class Held(Row):
    """The lease of a partition as it stands."""

    batch_date: date
    generation: int
    holder: str


# Ordered, so that two takers of overlapping ranges queue up instead of deadlocking.
TAKE = Query(
    "INSERT INTO catalog.leases AS held (table_name, batch_date, arm, generation, holder) "
    "SELECT %(table)s, d, %(arm)s, 1, %(holder)s FROM unnest(%(dates)s::date[]) AS d ORDER BY d "
    "ON CONFLICT (table_name, batch_date, arm) DO UPDATE "
    "SET generation = held.generation + 1, holder = excluded.holder, taken_at = clock_timestamp() "
    "RETURNING batch_date, generation, holder",
    Held,
)


def watching(model: str) -> str:
    """Return the name under which a model's monitoring takes leases: of no table, they say that it has begun."""
    return f"verdicts.{model}"


CHECK = Query(
    "SELECT batch_date, generation, holder FROM catalog.leases "
    "WHERE table_name = %(table)s AND arm = %(arm)s AND batch_date BETWEEN %(first)s AND %(last)s "
    "ORDER BY batch_date FOR UPDATE",
    Held,
)


@dataclass(frozen=True, kw_only=True)
class Newest(Row):
    """The newest generation of any partition of a table; 0: none."""

    generation: int


DROP = Query(
    "WITH gone AS (DELETE FROM catalog.leases WHERE table_name = %(table)s RETURNING generation) "
    "SELECT coalesce(max(generation), 0) AS generation FROM gone",
    Newest,
)
# Of every arm: what changes the whole table supersedes all who hold a part of it.
TAKE_ALL = Command(
    "UPDATE catalog.leases SET (generation, holder, taken_at) = (generation + 1, %(holder)s, clock_timestamp()) "
    "WHERE table_name = %(table)s"
)
# Whoever holds a lease under the old name writes nothing more, under either.
RENAME = Command(
    "UPDATE catalog.leases SET (table_name, generation, holder) = "
    "(%(new)s, generation + %(newest)s + 1, 'renamed') WHERE table_name = %(old)s"
)
