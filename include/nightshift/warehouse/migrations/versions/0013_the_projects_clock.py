"""The project's time zone, as its nights were cut: another one would mean other nights by the same dates."""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = """
CREATE TABLE catalog.clock (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    timezone text NOT NULL, -- IANA name
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)
