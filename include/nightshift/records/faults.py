"""Faults: what is wrong with a night's features, open until somebody closes it or the night is built of other rows."""

from dataclasses import dataclass
from datetime import date, datetime

from nightshift.records.deliveries import Night
from nightshift.rows import Command, Query, Row, given, insert, select, stamped


@dataclass(frozen=True, kw_only=True)
class Fault(
    Row,
    table="monitoring.faults",
    key=("feature_set", "feature_version", "batch_date", "column_name", "measure"),
):
    """What is wrong with a column of a night, and from which sources it can come; "": with the whole batch."""

    feature_set: str
    feature_version: int
    batch_date: date
    column_name: str
    measure: str
    words: str
    sources: list[str]
    sketch_sha256: str
    run_id: str
    closed_by: str | None = None
    closed_because: str | None = None
    closed_at: datetime | None = None
    found_at: datetime = stamped()

    @property
    def told(self) -> str:
        """The fault in words, with its column and where that comes from."""
        of = f"{self.column_name}: " if self.column_name else ""
        return f"{of}{self.words} (from {' or '.join(self.sources)})"


_OF_SET = "feature_set = %(feature_set)s AND feature_version = %(version)s"
# Who looks again at the same rows finds it as it is: also closed, if somebody closed it. Other rows are looked at anew,
# also where a build before has found that they had been mended. ``same``: whether the night is built of the rows that
# it had. Their sketch alone does not tell: it is another one once bins are made anew.
_IS_KNOWN = (
    "(%(same)s OR faults.sketch_sha256 = excluded.sketch_sha256) "
    "AND faults.closed_by IS DISTINCT FROM 'nightshift'"
)
_KEPT = ", ".join(
    f"{name} = CASE WHEN {_IS_KNOWN} THEN faults.{name} ELSE excluded.{name} END"
    for name in given(Fault)
    if name not in Fault.key
)
FIND = insert(
    Fault,
    f"ON CONFLICT (feature_set, feature_version, batch_date, column_name, measure) DO UPDATE SET {_KEPT}",
)
CORRECTED = Command(
    "UPDATE monitoring.faults SET closed_at = clock_timestamp(), closed_by = 'nightshift', "
    f"closed_because = 'the night was built of other rows' WHERE {_OF_SET} "
    "AND batch_date = %(batch_date)s AND closed_at IS NULL AND sketch_sha256 <> %(sketch_sha256)s AND NOT %(same)s"
)
CLOSE = Command(
    "UPDATE monitoring.faults SET closed_at = clock_timestamp(), closed_by = %(actor)s, closed_because = %(reason)s "
    f"WHERE {_OF_SET} AND batch_date = %(batch_date)s AND closed_at IS NULL"
)
OPEN = select(
    Fault,
    f"{_OF_SET} AND batch_date BETWEEN %(first)s AND %(last)s AND closed_at IS NULL",
    order="batch_date, column_name, measure",
)
NIGHTS = Query(
    f"SELECT DISTINCT batch_date FROM monitoring.faults WHERE {_OF_SET} AND closed_at IS NULL "
    "AND batch_date BETWEEN %(first)s AND %(last)s ORDER BY batch_date",
    Night,
)
RENAME_SOURCE = Command(
    "UPDATE monitoring.faults SET sources = array_replace(sources, %(old)s, %(new)s) WHERE %(old)s = ANY(sources)"
)
