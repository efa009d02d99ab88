"""How a training ended is written by what ended it; who had a night ask for one is kept with the request."""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = """
-- No row: the training runs, or it failed.
CREATE TABLE governance.outcomes (
    training_id text PRIMARY KEY REFERENCES governance.decisions,
    outcome text NOT NULL CHECK (outcome IN ('promoted', 'rejected', 'timed out', 'stale', 'barred')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- What can be told of the trainings before: stale and barred ones left nothing.
INSERT INTO governance.outcomes (training_id, outcome)
SELECT d.training_id, CASE WHEN p.entry IS NOT NULL THEN 'promoted' WHEN NOT d.passed THEN 'rejected' ELSE s.answer END
FROM governance.decisions d
LEFT JOIN governance.promotions p ON p.training_id = d.training_id AND p.kind = 'promotion'
LEFT JOIN governance.signatures s ON s.training_id = d.training_id
WHERE p.entry IS NOT NULL OR NOT d.passed OR s.answer <> 'approved';
ALTER TABLE monitoring.retrain_requests ADD COLUMN requested_by text;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage') THEN
        GRANT SELECT, INSERT, UPDATE ON governance.outcomes TO nightshift_stage;
    END IF;
END $$;
"""


def upgrade() -> None:
    """Create the table, and the column."""
    op.execute(STATEMENTS)
