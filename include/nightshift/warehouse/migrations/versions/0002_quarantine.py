"""Quarantine that is worked: who mended or discarded which row of which delivery; a batch's warnings."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = """
-- Which delivery a row number counts in: the batch's own record may be of a later delivery, that failed.
ALTER TABLE quarantine.rows ADD COLUMN landed_sha256 text NOT NULL DEFAULT '';
UPDATE quarantine.rows r SET landed_sha256 = b.landed_sha256 FROM catalog.batches b
WHERE b.source = r.source AND b.batch_date = r.batch_date AND b.status = 'published';

-- Changes of the schema that the source forgave.
ALTER TABLE catalog.batches ADD COLUMN warnings text NOT NULL DEFAULT '';

-- What people did about rows that were set aside. Bound to the content: whatever else is delivered for the
-- night starts afresh, and the same content keeps its resolutions however often it is judged.
CREATE TABLE quarantine.resolutions (
    source text NOT NULL,
    batch_date date NOT NULL,
    landed_sha256 text NOT NULL,
    row_number bigint NOT NULL,
    action text NOT NULL CHECK (action IN ('fix', 'discard')),
    fix text NOT NULL DEFAULT '',
    reason text NOT NULL,
    actor text NOT NULL,
    run_id text NOT NULL,
    resolved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, batch_date, landed_sha256, row_number, action, fix),
    CHECK ((action = 'fix') = (fix <> ''))
);

CREATE VIEW quarantine.open_rows AS
SELECT r.* FROM quarantine.rows r
WHERE NOT EXISTS (
    SELECT 1 FROM quarantine.resolutions s
    WHERE s.source = r.source AND s.batch_date = r.batch_date AND s.landed_sha256 = r.landed_sha256
      AND s.row_number = r.row_number AND s.action = 'discard'
);
"""


def upgrade() -> None:
    """Add the tables of worked quarantine."""
    op.execute(STATEMENTS)
