"""A schema for predictions that were asked for by hand."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create it; its tables follow from specs, as those of ``predictions`` do."""
    op.execute("CREATE SCHEMA IF NOT EXISTS adhoc")
