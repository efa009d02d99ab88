"""The evidence of a decision, and who signed it: no promotion of a model with sign-off without a signature."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = """
-- Predictions for the first rows of the holdout, as they were at training. Null: an older version.
ALTER TABLE governance.versions ADD COLUMN examples jsonb;
ALTER TABLE governance.decisions
    ADD COLUMN evaluation jsonb,
    ADD COLUMN approval text NOT NULL DEFAULT 'auto' CHECK (approval IN ('auto', 'required')),
    ADD COLUMN requested_by text;

-- What a person, or the passing of time, said to a decision. Append-only.
CREATE TABLE governance.signatures (
    training_id text PRIMARY KEY REFERENCES governance.decisions,
    model text NOT NULL,
    answer text NOT NULL CHECK (answer IN ('approved', 'rejected', 'timed out')),
    signed_by text,
    comment text,
    evidence_sha256 text NOT NULL,
    signed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((answer = 'timed out') = (signed_by IS NULL))
);
CREATE OR REPLACE FUNCTION governance.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON governance.signatures
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON governance.signatures
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

-- Not even by hand: who asked for a training does not sign it, and a signature is for this evidence.
CREATE FUNCTION governance.require_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM governance.decisions d WHERE d.training_id = NEW.training_id AND d.approval = 'required'
    ) AND NOT EXISTS (
        SELECT 1 FROM governance.signatures s JOIN governance.decisions d USING (training_id)
        WHERE s.training_id = NEW.training_id AND s.answer = 'approved'
          AND s.evidence_sha256 = d.evidence_sha256 AND s.signed_by IS DISTINCT FROM d.requested_by
    ) THEN
        RAISE EXCEPTION 'training % of % is not signed', NEW.training_id, NEW.model;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signed BEFORE INSERT ON governance.promotions
    FOR EACH ROW EXECUTE FUNCTION governance.require_signature();
"""


def upgrade() -> None:
    """Create it."""
    op.execute(STATEMENTS)
