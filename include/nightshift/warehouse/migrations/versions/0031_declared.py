"""Since when each source and feature set is declared: the times of files are those of their last deployment."""

from alembic import op

revision = "0031"
down_revision = "0030"

STATEMENTS = """
CREATE TABLE alerts.declared (
    name text PRIMARY KEY, -- a source, or a feature set's table
    since timestamptz NOT NULL
);
"""


def upgrade() -> None:
    """Create it; the next look fills it."""
    op.execute(STATEMENTS)
