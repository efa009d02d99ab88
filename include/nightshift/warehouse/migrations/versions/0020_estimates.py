"""What a night is expected to come to before its labels are known, and when its labels came."""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = """
CREATE TABLE monitoring.estimates (
    model text NOT NULL,
    batch_date date NOT NULL,
    arm text NOT NULL DEFAULT 'champion',
    model_version integer NOT NULL,
    sketch_sha256 text NOT NULL,
    result jsonb NOT NULL,
    estimated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date, arm)
);

-- Labels by how many nights later they became known.
CREATE TABLE monitoring.arrivals (
    model text NOT NULL,
    batch_date date NOT NULL,
    scored bigint NOT NULL,
    observed integer NOT NULL,
    arrived jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('provisional', 'final')),
    reason text NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(STATEMENTS)
