"""What retention takes away: marked before it goes, counted when it is gone; old events of nights may end."""

from alembic import op

revision = "0028"
down_revision = "0026"

STATEMENTS = """
-- Marked first, with all else that the run takes away; removed_at: when it was really gone.
CREATE TABLE catalog.retired (
    kind text NOT NULL,
    name text NOT NULL, -- a file's key, <subject>/<night> of rows, the id of a run of MLflow
    day date NOT NULL, -- the later of its night and the day it was written
    things bigint NOT NULL,
    bytes bigint NOT NULL,
    why text NOT NULL,
    run_id text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz,
    PRIMARY KEY (kind, name)
);
CREATE TABLE catalog.retentions (
    run_id text NOT NULL,
    kind text NOT NULL,
    as_of date NOT NULL,
    things bigint NOT NULL,
    bytes bigint NOT NULL,
    oldest_kept date,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, kind)
);

-- What happened to a night may end, a month later at the earliest; what happened to a version is told for good.
CREATE FUNCTION catalog.refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.happened_at < clock_timestamp() - interval '35 days' AND (
        OLD.what IN ('published', 'failed', 'built', 'scored') OR starts_with(OLD.what, 'judged ')
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP;
END $$;
DROP TRIGGER append_only ON catalog.events;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON catalog.events
    FOR EACH ROW EXECUTE FUNCTION catalog.refuse_change_of_events();
"""


def upgrade() -> None:
    """Add the tables, and let what happened to nights end."""
    op.execute(STATEMENTS)
