"""What a replay says that trainings gain, by the age of the model in service."""

from alembic import op

revision = "0025"
down_revision = "0024"

STATEMENTS = """
CREATE TABLE monitoring.gains (
    model text NOT NULL,
    run_id text NOT NULL,
    last date NOT NULL,
    by_age jsonb NOT NULL,
    replayed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, run_id)
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)
