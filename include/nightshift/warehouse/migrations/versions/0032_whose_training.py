"""A signature is of the model that is promoted; an imported file is a copy of another only if it is the same file."""

from alembic import op

revision = "0032"
down_revision = "0031"

STATEMENTS = """
-- The id of a training is that of an Airflow run, which another model's run may have too.
CREATE OR REPLACE FUNCTION governance.require_signature() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM governance.decisions d WHERE d.training_id = NEW.training_id AND d.approval = 'required'
    ) AND NOT EXISTS (
        SELECT 1 FROM governance.signatures s JOIN governance.decisions d USING (training_id)
        WHERE s.training_id = NEW.training_id AND s.answer = 'approved'
          AND s.model = NEW.model AND d.model = NEW.model
          AND s.evidence_sha256 = d.evidence_sha256 AND s.signed_by IS DISTINCT FROM d.requested_by
    ) THEN
        RAISE EXCEPTION 'training % of % is not signed', NEW.training_id, NEW.model;
    END IF;
    RETURN NEW;
END $$;

-- Of imported versions snapshot and spec say what they were judged on, not what they were made of.
CREATE OR REPLACE FUNCTION governance.bars_on(wanted_model text, wanted_version integer)
RETURNS SETOF governance.bars LANGUAGE sql STABLE AS $$
    SELECT b.* FROM governance.bars b
    JOIN governance.versions v ON (v.model, v.version) = (b.model, b.version)
    JOIN governance.versions w ON (w.model, w.version) = (wanted_model, wanted_version)
    WHERE b.model = wanted_model AND b.barred
      AND NOT EXISTS (
          SELECT 1 FROM governance.bars newer
          WHERE (newer.model, newer.version) = (b.model, b.version) AND newer.bar > b.bar
      )
      AND (v.version = w.version OR v.artifact_sha256 = w.artifact_sha256
           OR (v.brought IS NULL AND w.brought IS NULL
               AND (v.snapshot_id, v.spec_sha256) = (w.snapshot_id, w.spec_sha256)))
    ORDER BY b.bar DESC
$$;
"""


def upgrade() -> None:
    """Replace both functions."""
    op.execute(STATEMENTS)
