"""A model, source or feature set takes its history along to a new name; a ledger that moves still verifies."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = """
-- Append-only. txid: the transaction that moves the rows; no other may.
CREATE TABLE governance.renames (
    rename bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('model', 'source', 'features')),
    old_name text NOT NULL,
    new_name text NOT NULL CHECK (new_name <> old_name),
    reason text NOT NULL,
    actor text NOT NULL,
    txid bigint NOT NULL DEFAULT txid_current(),
    renamed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The name that an entry was sealed under. Its place, the column model, moves with the model; what it says does not.
ALTER TABLE governance.promotions
    ADD COLUMN sealed_as text,
    DROP CONSTRAINT promotions_kind_check,
    ADD CONSTRAINT promotions_kind_check CHECK (kind IN ('promotion', 'rollback', 'rename'));
ALTER TABLE governance.promotions DISABLE TRIGGER append_only;
UPDATE governance.promotions SET sealed_as = model;
ALTER TABLE governance.promotions ENABLE TRIGGER append_only;
ALTER TABLE governance.promotions ALTER COLUMN sealed_as SET NOT NULL;

CREATE OR REPLACE FUNCTION governance.hash_of(p governance.promotions) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        p.entry, p.sealed_as, p.version, p.kind, to_char(p.effective_from, 'YYYY-MM-DD'),
        to_char(p.as_of, 'YYYY-MM-DD'), p.artifact_sha256, p.training_id, p.evidence_sha256, p.request_id, p.actor,
        p.reason, to_char(p.promoted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), p.previous_sha256
    )::text, 'UTF8')), 'hex')
$$;
CREATE OR REPLACE FUNCTION governance.seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Numbered and dated under the lock: entries of a model stand in the order in which they were written.
    PERFORM governance.lock_ledger(NEW.model);
    NEW.entry := nextval('governance.entries');
    NEW.promoted_at := clock_timestamp();
    NEW.sealed_as := NEW.model;
    NEW.previous_sha256 := coalesce((
        SELECT p.entry_sha256 FROM governance.promotions p WHERE p.model = NEW.model ORDER BY p.entry DESC LIMIT 1
    ), repeat('0', 64));
    NEW.entry_sha256 := governance.hash_of(NEW);
    RETURN NEW;
END $$;

-- As before; and the name changes at an entry that tells of it, and ends as the one that the ledger stands under.
CREATE OR REPLACE FUNCTION governance.verify_ledger(wanted_model text DEFAULT NULL)
RETURNS TABLE (model text, entry bigint, version integer, problem text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (c.model) c.model, c.entry, c.version,
        CASE WHEN c.actual <> c.entry_sha256 THEN 'was changed after it was written'
             WHEN c.previous_sha256 <> c.before
             THEN 'does not follow the entry before it: one was removed, changed or put between'
             ELSE 'was written for another model (' || c.sealed_as || '), and no entry tells that it was renamed' END
    FROM (
        SELECT p.*, governance.hash_of(p) AS actual,
            lag(p.entry_sha256, 1, repeat('0', 64)) OVER w AS before,
            lag(p.sealed_as, 1, p.sealed_as) OVER w AS name_before,
            lead(p.sealed_as, 1, p.model) OVER w AS name_after,
            lead(p.kind) OVER w AS kind_after
        FROM governance.promotions p WHERE wanted_model IS NULL OR p.model = wanted_model
        WINDOW w AS (PARTITION BY p.model ORDER BY p.entry)
    ) c
    WHERE c.actual <> c.entry_sha256 OR c.previous_sha256 <> c.before
       OR (c.kind <> 'rename' AND c.sealed_as <> c.name_before)
       OR (c.kind_after IS NULL AND c.sealed_as <> c.name_after)
    ORDER BY c.model, c.entry
$$;

CREATE OR REPLACE FUNCTION governance.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A renaming, in its own transaction, moves a row to the model's new name and changes nothing else of it.
    IF TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN
        IF to_jsonb(NEW) - 'model' = to_jsonb(OLD) - 'model' AND EXISTS (
            SELECT 1 FROM governance.renames r WHERE r.kind = 'model' AND r.txid = txid_current()
              AND (r.old_name, r.new_name) = (to_jsonb(OLD) ->> 'model', to_jsonb(NEW) ->> 'model')
        ) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON governance.renames
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON governance.renames
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

-- What belongs to a version follows it.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT conname, conrelid::regclass AS t, pg_get_constraintdef(oid) AS d FROM pg_constraint
             WHERE contype = 'f' AND confrelid = 'governance.versions'::regclass AND confupdtype <> 'c' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s ON UPDATE CASCADE',
                       c.t, c.conname, c.conname, c.d);
    END LOOP;
END $$;
"""


def upgrade() -> None:
    """Create the table; let names move."""
    op.execute(STATEMENTS)
