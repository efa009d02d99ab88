"""Quarantine: rows that were set aside, and what people did about them."""

from dataclasses import dataclass
from datetime import date

from nightshift.rows import Command, Query, Row


@dataclass(frozen=True, kw_only=True)
class Resolved(Row):
    """The rows of a delivery that one run mended by a fix, or discarded."""

    batch_date: date
    landed_sha256: str
    action: str
    fix: str
    numbers: list[int]


# By run too: what one run did to a row comes before what a later one did.
RESOLVED = Query(
    "SELECT batch_date, landed_sha256, action, fix, array_agg(row_number ORDER BY row_number) AS numbers "
    "FROM quarantine.resolutions WHERE source = %(source)s AND batch_date BETWEEN %(first)s AND %(last)s "
    "GROUP BY batch_date, landed_sha256, action, fix, run_id ORDER BY min(resolved_at)",
    Resolved,
)
MEND = Command(
    "INSERT INTO quarantine.resolutions "
    "(source, batch_date, landed_sha256, row_number, action, fix, reason, actor, run_id) "
    "SELECT %(source)s::text, %(batch_date)s::date, %(sha256)s::text, number::bigint, 'fix', %(fix)s::text, "
    "%(reason)s::text, %(actor)s::text, %(run_id)s::text "
    "FROM json_array_elements_text(%(numbers)s::text::json) AS number"
)
DISCARD = Command(
    "INSERT INTO quarantine.resolutions "
    "(source, batch_date, landed_sha256, row_number, action, reason, actor, run_id) "
    "SELECT source, batch_date, landed_sha256, row_number, 'discard', %(reason)s::text, %(actor)s::text, "
    "%(run_id)s::text FROM quarantine.open_rows WHERE source = %(source)s "
    "AND batch_date BETWEEN %(first)s AND %(last)s AND (%(rule)s::text = '' OR EXISTS "
    "(SELECT 1 FROM json_array_elements(violations) v WHERE v ->> 'rule' = %(rule)s::text))"
)


@dataclass(frozen=True, kw_only=True)
class Count(Row):
    """A number of rows."""

    n: int


DISCARDED = Query(
    "SELECT count(*) AS n FROM quarantine.resolutions WHERE source = %(source)s AND run_id = %(run_id)s "
    "AND action = 'discard'",
    Count,
)


@dataclass(frozen=True, kw_only=True)
class SetAside(Row):
    """The numbers of a night's rows that are in quarantine."""

    batch_date: date
    numbers: list[int]


SET_ASIDE = Query(
    "SELECT batch_date, array_agg(row_number) AS numbers FROM quarantine.rows "
    "WHERE source = %(source)s AND batch_date BETWEEN %(first)s AND %(last)s GROUP BY 1",
    SetAside,
)
