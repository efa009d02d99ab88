"""Since when each source and feature set is declared; and that the monitoring of nights with a verdict has begun."""

from alembic import op

revision = "0031"
down_revision = "0030"

STATEMENTS = """
CREATE TABLE alerts.declared (
    name text PRIMARY KEY, -- a source, or a feature set's table
    since timestamptz NOT NULL
);
-- A monitoring leaves a lease where it begins: what has none was missed.
INSERT INTO catalog.leases (table_name, batch_date, arm, generation, holder)
SELECT 'verdicts.' || model, batch_date, arm, 1, run_id FROM monitoring.verdicts;
"""


def upgrade() -> None:
    """Create the table, which the next look at alerts fills; leases of the verdicts that there are."""
    op.execute(STATEMENTS)
