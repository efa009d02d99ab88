"""What each policy of retraining would have come to, over nights whose outcomes are known."""

from alembic import op

revision = "0019"
down_revision = "0018"

STATEMENTS = """
-- Gains are a night's, in the unit of the loss, over never retraining; trainings are a year's.
CREATE TABLE monitoring.replays (
    model text NOT NULL,
    run_id text NOT NULL,
    policy text NOT NULL,
    first date NOT NULL,
    last date NOT NULL,
    starts integer NOT NULL,
    loss double precision NOT NULL,
    gain double precision NOT NULL,
    low double precision NOT NULL,
    high double precision NOT NULL,
    worst double precision NOT NULL,
    best double precision NOT NULL,
    started double precision NOT NULL,
    promoted double precision NOT NULL,
    earlier double precision NOT NULL,
    later double precision NOT NULL,
    spread double precision NOT NULL,
    chosen boolean NOT NULL,
    page_key text NOT NULL,
    reason text NOT NULL,
    replayed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, run_id, policy)
);
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(STATEMENTS)
