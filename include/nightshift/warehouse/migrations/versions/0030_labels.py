"""Labels as partitions, and what a measured night was measured from: only what changed is read again."""

from alembic import op

revision = "0030"
down_revision = "0029"

STATEMENTS = """
CREATE SCHEMA labels;
CREATE FUNCTION labels.ensure_table(of_name text, names text[], types text[], required text[], key text[], anew boolean)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
'SELECT catalog.make_table(''labels'', of_name, names, types, required, key, anew)';
REVOKE ALL ON FUNCTION labels.ensure_table FROM PUBLIC;

-- What a night's batch reported, to a model: current while its batch and what its labels mean are these.
CREATE TABLE catalog.label_batches (
    model text NOT NULL,
    batch_date date NOT NULL,
    source text NOT NULL,
    judged_at timestamptz, -- the batch's recorded_at; null: rows without a record, derived anew each time
    definition text NOT NULL,
    row_count bigint NOT NULL,
    content_sha256 text NOT NULL,
    run_id text NOT NULL,
    derived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);

-- Of which predictions and reports a night's performance is; null: measured before this was kept.
ALTER TABLE monitoring.performance_history ADD COLUMN inputs_sha256 text;
-- What was said and what came true of the window's nights, as the newest look at them had it: verdicts pool it.
CREATE TABLE monitoring.outcomes (
    model text NOT NULL,
    batch_date date NOT NULL,
    arm text NOT NULL DEFAULT 'champion',
    known_on date NOT NULL,
    inputs_sha256 text NOT NULL,
    outcomes bytea NOT NULL, -- npy, float64: a row each with a label: the label, then what was said
    PRIMARY KEY (model, batch_date, arm)
);
"""


def upgrade() -> None:
    """Create them; labels of older nights are derived by the nights that follow, and by whoever reads them."""
    op.execute(STATEMENTS)
