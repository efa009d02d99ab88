"""What came of predictions, joined where both lie: rows leave the server only of nights that are asked for.

``nightshift.train.labels`` says the same of reports that are here: the last that was known counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
from psycopg2 import sql

from nightshift.calendar import DateRange
from nightshift.types import to_frame
from nightshift.warehouse.database import Reading
from nightshift.warehouse.tables import Table, rendered

# Of the newest nights the server has no statistics yet: it takes them for a row each, and would loop over all others.
HASHED = "SET LOCAL enable_nestloop = off"
# The last report's, as PostgreSQL orders those of one entity.
LAST = "(array_agg({} ORDER BY known_at DESC, batch_date DESC))[1] AS {}"


@dataclass(frozen=True)
class Reported:
    """The labels of a model as of an instant: of batches ``nights``, what was known ``by`` then (to the second)."""

    table: Table
    nights: DateRange
    by: datetime

    @property
    def known(self) -> sql.Composed:
        """The condition on a row of the table."""
        return sql.SQL("batch_date BETWEEN {} AND {} AND known_at <= to_timestamp({})").format(
            sql.Literal(self.nights.first),
            sql.Literal(self.nights.last),
            sql.Literal(int(self.by.timestamp())),
        )


def came_of(
    reading: Reading, said: Table, reported: Reported, nights: Sequence[date], columns: Sequence[str]
) -> pd.DataFrame:
    """Return ``columns`` of predictions of ``nights``, a row each in the order of their key, with what came of them.

    ``label`` and ``no_class`` of the last report, and since when an entity was ``first_reported`` and ``first_known``:
    with an outcome. What is not there is missing.
    """
    entity = said.key[2:]
    on = _listed(nights)
    last = [
        sql.SQL(LAST).format(sql.Identifier(name), sql.Identifier(name)) for name in ("label", "no_class")
    ]
    of_entities = sql.SQL(
        "SELECT {entity}, min(known_at) AS first_reported, min(known_at) FILTER (WHERE label IS NOT NULL OR no_class "
        "IS NOT NULL) AS first_known, {last} FROM {labels} WHERE {known} AND ({entity}) IN "
        "(SELECT {entity} FROM {said} WHERE batch_date IN ({on})) GROUP BY {entity}"
    ).format(
        entity=_names(entity),
        last=sql.SQL(", ").join(last),
        labels=reported.table.identifier,
        known=reported.known,
        said=said.identifier,
        on=on,
    )
    query = sql.SQL(
        "SELECT {columns}, label, no_class, first_reported, first_known FROM {said} LEFT JOIN ({of_entities}) l "
        "USING ({entity}) WHERE batch_date IN ({on}) ORDER BY {key}"
    ).format(
        columns=_names(columns),
        said=said.identifier,
        of_entities=of_entities,
        entity=_names(entity),
        on=on,
        key=_names(said.key),
    )
    reading.cursor.execute(HASHED)
    reading.cursor.execute(rendered(query))
    return to_frame(reading.cursor.fetch_record_batch().read_all())


def digests(
    reading: Reading, said: Table, reported: Reported, nights: DateRange
) -> dict[tuple[date, str], str]:
    """Return of each night and arm that has predictions a digest of all reports on its entities, in any order."""
    entity = said.key[2:]
    together = sql.SQL(" AND ").join(
        sql.SQL("p.{} = l.{}").format(sql.Identifier(name), sql.Identifier(name)) for name in entity
    )
    query = sql.SQL(
        "SELECT p.batch_date, p.arm, concat_ws(' ', count(l.known_at), sum(hash_record_extended(l, 0)) FILTER "
        "(WHERE l.known_at IS NOT NULL)) FROM {said} p LEFT JOIN (SELECT * FROM {labels} WHERE {known}) l "
        "ON {together} WHERE p.batch_date BETWEEN {first} AND {last} GROUP BY p.batch_date, p.arm"
    ).format(
        said=said.identifier,
        labels=reported.table.identifier,
        known=reported.known,
        together=together,
        first=sql.Literal(nights.first),
        last=sql.Literal(nights.last),
    )
    reading.cursor.execute(HASHED)
    reading.cursor.execute(rendered(query))
    return {(night, arm): digest for night, arm, digest in reading.cursor.fetchall()}


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _listed(nights: Sequence[date]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Literal, nights)) if nights else sql.SQL("NULL")
