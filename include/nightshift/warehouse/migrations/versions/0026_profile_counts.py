"""Nights in the bins of a version's profile: a verdict sums them, and reads no row."""

from alembic import op

revision = "0026"
down_revision = "0025"

STATEMENTS = """
CREATE TABLE catalog.profile_counts (
    model text NOT NULL,
    model_version integer NOT NULL,
    batch_date date NOT NULL,
    features_sha256 text NOT NULL,
    counts_sha256 text NOT NULL,
    counted jsonb NOT NULL,
    counted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, model_version, batch_date)
);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(STATEMENTS)
