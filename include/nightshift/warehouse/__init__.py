"""The warehouse (PostgreSQL): the only home of psycopg2 and ADBC.

Bulk rows travel as Arrow through ADBC (COPY, binary, both ways); small statements through psycopg2.
A partition is replaced whole, in one transaction, under a lease: see :mod:`nightshift.warehouse.partitions`.
"""

from psycopg2.extras import Json

from nightshift.warehouse.database import Reading, Warehouse
from nightshift.warehouse.judged import Reported, came_of, digests
from nightshift.warehouse.migrate import known_revisions, migrate, newest_revision
from nightshift.warehouse.partitions import ROWS_A_PIECE, Lease, PartitionWrite
from nightshift.warehouse.tables import (
    Table,
    feature_inputs_table,
    feature_table,
    label_table,
    prediction_table,
    quarantine_table,
    raw_table,
)

__all__ = [
    "ROWS_A_PIECE",
    "Json",
    "Lease",
    "PartitionWrite",
    "Reading",
    "Reported",
    "Table",
    "Warehouse",
    "came_of",
    "digests",
    "feature_inputs_table",
    "feature_table",
    "known_revisions",
    "label_table",
    "migrate",
    "newest_revision",
    "prediction_table",
    "quarantine_table",
    "raw_table",
]
