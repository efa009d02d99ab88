"""Reproductions: versions made again from what was recorded of them, and how they compare."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = """
-- What the version said of every row of its snapshot when it was trained; null: trained before this was kept.
ALTER TABLE governance.versions ADD COLUMN predictions_sha256 text;

CREATE TABLE governance.reproductions (
    model text NOT NULL,
    version integer NOT NULL,
    run_id text NOT NULL,
    equal boolean NOT NULL,
    findings jsonb NOT NULL,
    page_key text NOT NULL,
    reason text NOT NULL,
    reproduced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, version, run_id),
    FOREIGN KEY (model, version) REFERENCES governance.versions (model, version)
);
"""


def upgrade() -> None:
    """Add the column, create the table."""
    op.execute(STATEMENTS)
