"""How a source's batches were read, by whose clock, in which spelling; and which run announced a night first."""

from alembic import op

revision = "0029"
down_revision = "0028"

STATEMENTS = """
CREATE TABLE catalog.readings (
    source text PRIMARY KEY,
    reading jsonb NOT NULL, -- zones by timestamp column, the dialect of a CSV
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Which run announced a night first: a later one alone wakes nobody who waits for several.
ALTER TABLE catalog.announcements ADD COLUMN first_run_id text;
UPDATE catalog.announcements SET first_run_id = run_id WHERE announced;
"""


def upgrade() -> None:
    """Create the table; a source that has batches has its row at its next collection, as its spec is then."""
    op.execute(STATEMENTS)
