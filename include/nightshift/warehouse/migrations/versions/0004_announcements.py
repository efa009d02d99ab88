"""What each batch holds, and which of it has been announced: unchanged nights wake nobody."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = """
-- Content of the accepted rows, and the run that last changed it.
ALTER TABLE catalog.batches ADD COLUMN content_sha256 text, ADD COLUMN content_run_id text;

-- The last word on each partition: told to what follows, or left. A partition without a row was never decided on.
CREATE TABLE catalog.announcements (
    asset text NOT NULL,
    batch_date date NOT NULL,
    announced boolean NOT NULL,
    content_sha256 text,
    run_id text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset, batch_date)
);
"""


def upgrade() -> None:
    """Add the columns and the table."""
    op.execute(STATEMENTS)
