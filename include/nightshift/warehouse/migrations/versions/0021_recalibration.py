"""By what a night's predictions were moved, beside the partition and beside its sketch."""

from alembic import op

revision = "0021"
down_revision = "0020"

STATEMENTS = """
-- Null: the predictions are as the version says. With it they can be brought back to that.
ALTER TABLE catalog.prediction_batches ADD COLUMN recalibration jsonb;
ALTER TABLE catalog.prediction_sketches ADD COLUMN recalibration jsonb;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)
