"""Explorations: which rows somebody looked at, why, and the files that came of it."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = """
CREATE TABLE catalog.explorations (
    exploration bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL, -- source_<name> or features_<name>
    first_night date NOT NULL,
    last_night date NOT NULL,
    compared_first date,
    compared_last date,
    target text,
    row_count bigint NOT NULL,
    snapshot_sha256 text NOT NULL,
    snapshot_key text NOT NULL,
    report_key text NOT NULL,
    notebook_key text NOT NULL,
    spec_sha256 text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    run_id text NOT NULL,
    try_number integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (subject, run_id),
    CHECK (first_night <= last_night AND compared_first <= compared_last),
    CHECK ((compared_first IS NULL) = (compared_last IS NULL))
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)
