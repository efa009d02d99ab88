"""Sketches of nights, beside the partitions that they are of; faults in the data, and who closed them."""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = """
-- Where the bins of a set's sketches lie. A night whose sketch has others is sketched again when it is needed.
CREATE TABLE catalog.feature_edges (
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    edges_sha256 text NOT NULL,
    edges jsonb NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (feature_set, feature_version)
);
CREATE TABLE catalog.feature_sketches (
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    batch_date date NOT NULL,
    edges_sha256 text NOT NULL,
    sketch_sha256 text NOT NULL,
    sketch jsonb NOT NULL,
    sketched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (feature_set, feature_version, batch_date)
);
CREATE TABLE catalog.prediction_sketches (
    model text NOT NULL,
    batch_date date NOT NULL,
    arm text NOT NULL,
    model_version integer NOT NULL,
    edges_sha256 text NOT NULL,
    sketch_sha256 text NOT NULL,
    sketch jsonb NOT NULL,
    sketched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date, arm)
);

-- What is wrong with a night's features: open until somebody closes it, or the night is built from other rows.
CREATE TABLE monitoring.faults (
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    batch_date date NOT NULL,
    column_name text NOT NULL, -- empty: the whole batch
    measure text NOT NULL,
    words text NOT NULL,
    sources text[] NOT NULL,
    sketch_sha256 text NOT NULL,
    run_id text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_by text,
    closed_because text,
    closed_at timestamptz,
    PRIMARY KEY (feature_set, feature_version, batch_date, column_name, measure),
    CHECK ((closed_by IS NULL) = (closed_at IS NULL) AND (closed_by IS NULL) = (closed_because IS NULL))
);

CREATE FUNCTION catalog.tell_of_faults() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_open boolean := NEW.closed_at IS NULL;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF is_open = (OLD.closed_at IS NULL) AND NEW.sketch_sha256 = OLD.sketch_sha256 THEN RETURN NULL; END IF;
    END IF;
    INSERT INTO catalog.events (what, kind, name, batch_date, run_id, actor, why, about)
    VALUES (CASE WHEN is_open THEN 'fault' ELSE 'fault closed' END, 'features',
            format('%s_v%s', NEW.feature_set, NEW.feature_version), NEW.batch_date, NEW.run_id,
            NEW.closed_by, CASE WHEN is_open THEN NEW.words ELSE NEW.closed_because END,
            jsonb_build_object('column', NEW.column_name, 'measure', NEW.measure));
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON monitoring.faults
    FOR EACH ROW EXECUTE FUNCTION catalog.tell_of_faults();
"""


def upgrade() -> None:
    """Create them."""
    op.execute(STATEMENTS)
