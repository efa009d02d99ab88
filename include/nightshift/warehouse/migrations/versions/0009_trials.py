"""Trials: every candidate that a training's search tried, kept one by one so that a retry goes on from them."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = """
CREATE TABLE governance.trials (
    training_id text NOT NULL,
    search_sha256 text NOT NULL, -- of the snapshot and of what is searched: another search begins anew
    trial integer NOT NULL CHECK (trial >= 0), -- 0 is the estimator as declared
    model text NOT NULL,
    estimator text NOT NULL,
    params json NOT NULL,
    sampled json NOT NULL, -- json, not jsonb: numbers come out as they went in
    metric text NOT NULL,
    scores double precision[] NOT NULL, -- one a fold, in the order of time
    state text NOT NULL CHECK (state IN ('complete', 'pruned', 'failed')),
    seconds double precision NOT NULL,
    note text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (training_id, search_sha256, trial)
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)
