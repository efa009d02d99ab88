"""What each reason said of a night, what each guard said of a request, and the losses that harm is judged by."""

from alembic import op

revision = "0023"
down_revision = "0022"

STATEMENTS = """
-- A new champion against the version before, on the nights that both scored.
CREATE TABLE monitoring.probations (
    model text NOT NULL,
    batch_date date NOT NULL,
    model_version integer NOT NULL,
    before integer NOT NULL,
    since date NOT NULL,
    nights integer NOT NULL,
    evidence double precision NOT NULL,
    difference double precision,
    rolls_back boolean NOT NULL,
    reason text NOT NULL,
    run_id text NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);
ALTER TABLE monitoring.performance_history ADD COLUMN losses jsonb;
ALTER TABLE monitoring.verdicts ADD COLUMN reasons jsonb NOT NULL DEFAULT '{"said": [], "harm": null, "format": 1}';
ALTER TABLE monitoring.retrain_requests
    ADD COLUMN answers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN not_before date;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)
