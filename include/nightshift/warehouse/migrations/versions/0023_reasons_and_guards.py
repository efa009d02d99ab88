"""What each reason said of a night, what each guard said of a request, and the losses that harm is judged by."""

from alembic import op

revision = "0023"
down_revision = "0019"

STATEMENTS = """
ALTER TABLE monitoring.performance_history ADD COLUMN losses jsonb;
ALTER TABLE monitoring.verdicts ADD COLUMN reasons jsonb NOT NULL DEFAULT '{"said": [], "harm": null, "format": 1}';
ALTER TABLE monitoring.retrain_requests
    ADD COLUMN answers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN not_before date;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)
