"""Whatever governance has written is sealed: row by row, in one chain a model, that can be anchored elsewhere."""

from alembic import op

revision = "0015"
down_revision = "0014"

STATEMENTS = """
-- What ended a training is added, never replaced: a promotion counts before all, else the newest.
ALTER TABLE governance.outcomes
    DROP CONSTRAINT outcomes_pkey,
    ADD COLUMN outcome_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE INDEX outcomes_by_training ON governance.outcomes (training_id);

-- A seal a row. columns: those that the row had; what a later migration adds is not part of it.
CREATE TABLE governance.seals (
    seal bigint PRIMARY KEY,
    model text NOT NULL, -- whose chain; empty: of no model
    relation text NOT NULL,
    key text NOT NULL,
    columns text[] NOT NULL,
    row_sha256 text NOT NULL,
    previous_sha256 text NOT NULL,
    seal_sha256 text NOT NULL,
    UNIQUE (relation, key),
    CONSTRAINT seals_do_not_fork UNIQUE (model, previous_sha256)
);
CREATE SEQUENCE governance.seal_numbers OWNED BY governance.seals.seal;

-- All that is sealed. The model moves with its name, and is compared with that of the seal instead.
CREATE VIEW governance.sealed_rows (relation, key, model, facts, written_at) AS
SELECT 'versions', t.training_id, t.model, to_jsonb(t) - 'model', t.created_at FROM governance.versions t
UNION ALL
SELECT 'decisions', t.training_id, t.model, to_jsonb(t) - 'model', t.decided_at FROM governance.decisions t
UNION ALL
SELECT 'signatures', t.training_id, t.model, to_jsonb(t) - 'model', t.recorded_at FROM governance.signatures t
UNION ALL
SELECT 'outcomes', t.outcome_id::text, d.model, to_jsonb(t), t.recorded_at
FROM governance.outcomes t JOIN governance.decisions d USING (training_id)
UNION ALL
SELECT 'promotions', t.entry::text, t.model, to_jsonb(t) - 'model', t.promoted_at FROM governance.promotions t
UNION ALL
SELECT 'bars', t.bar::text, t.model, to_jsonb(t) - 'model', t.recorded_at FROM governance.bars t
UNION ALL
SELECT 'renames', t.rename::text, CASE t.kind WHEN 'model' THEN NULL ELSE '' END, to_jsonb(t), t.renamed_at
FROM governance.renames t;

CREATE FUNCTION governance.hash_of_row(facts jsonb, names text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(convert_to(coalesce(jsonb_object_agg(key, value), '{}')::text, 'UTF8')), 'hex')
    FROM jsonb_each(facts) WHERE key = ANY(names)
$$;
CREATE FUNCTION governance.hash_of_seal(s governance.seals) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        s.seal, s.relation, s.key, s.columns, s.row_sha256, s.previous_sha256
    )::text, 'UTF8')), 'hex')
$$;
CREATE FUNCTION governance.append_seal(whose text, of_relation text, of_key text, facts jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s governance.seals;
BEGIN
    -- Numbered under the lock: the seals of a model stand in the order in which they were written.
    PERFORM governance.lock_ledger(whose);
    s.seal := nextval('governance.seal_numbers');
    s.model := whose;
    s.relation := of_relation;
    s.key := of_key;
    s.columns := ARRAY(SELECT name FROM jsonb_object_keys(facts) name ORDER BY name COLLATE "C");
    s.row_sha256 := governance.hash_of_row(facts, s.columns);
    s.previous_sha256 := coalesce((
        SELECT b.seal_sha256 FROM governance.seals b WHERE b.model = whose ORDER BY b.seal DESC LIMIT 1
    ), repeat('0', 64));
    s.seal_sha256 := governance.hash_of_seal(s);
    INSERT INTO governance.seals SELECT s.*;
END $$;
-- Whoever may add a row need not be able to add a seal. The zone: an instant is spelled in that of the session.
CREATE FUNCTION governance.seal_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    facts jsonb := to_jsonb(NEW);
    whose text := facts ->> 'model';
BEGIN
    IF TG_TABLE_NAME = 'outcomes' THEN
        SELECT d.model INTO whose FROM governance.decisions d WHERE d.training_id = facts ->> 'training_id';
    ELSIF TG_TABLE_NAME = 'renames' THEN
        -- In the chain of the model, which then goes over to the new name.
        whose := CASE facts ->> 'kind' WHEN 'model' THEN facts ->> 'old_name' ELSE '' END;
    END IF;
    PERFORM governance.append_seal(whose, TG_TABLE_NAME, facts ->> TG_ARGV[0], facts - 'model');
    RETURN NULL;
END $$;

-- What was there before the seals is sealed as it is found, in the order of its instants.
DO $$
DECLARE
    r record;
    whose text;
BEGIN
    SET LOCAL timezone = 'UTC';
    FOR r IN SELECT s.* FROM governance.sealed_rows s
             ORDER BY s.written_at, array_position(ARRAY['versions', 'decisions', 'signatures'], s.relation)
    LOOP
        whose := r.model;
        IF whose IS NULL THEN -- a renamed model: the name that it has by now
            SELECT coalesce((WITH RECURSIVE names AS (
                SELECT n.rename, n.new_name FROM governance.renames n WHERE n.rename = r.key::bigint
                UNION ALL
                SELECT n.rename, n.new_name FROM names b JOIN governance.renames n
                ON n.kind = 'model' AND n.old_name = b.new_name AND n.rename > b.rename
            ) SELECT new_name FROM names ORDER BY rename DESC LIMIT 1), '') INTO whose;
        END IF;
        PERFORM governance.append_seal(whose, r.relation, r.key, r.facts);
    END LOOP;
END $$;

DO $$
DECLARE
    t text;
    keys jsonb := '{"versions": "training_id", "decisions": "training_id", "signatures": "training_id",
        "outcomes": "outcome_id", "promotions": "entry", "bars": "bar", "renames": "rename"}';
BEGIN
    FOR t IN SELECT jsonb_object_keys(keys) LOOP
        EXECUTE format('CREATE TRIGGER sealed_in_chain AFTER INSERT ON governance.%I '
                       'FOR EACH ROW EXECUTE FUNCTION governance.seal_row(%L)', t, keys ->> t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['versions', 'decisions', 'outcomes', 'seals'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON governance.%I '
                       'FOR EACH ROW EXECUTE FUNCTION governance.refuse_change()', t);
        EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON governance.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change()', t);
    END LOOP;
END $$;

-- Every row that is not as it was sealed, and every seal that does not follow the one before it; no row: all fit.
CREATE FUNCTION governance.verify_seals(wanted_model text DEFAULT NULL)
RETURNS TABLE (model text, seal bigint, relation text, key text, problem text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    WITH chain AS (
        SELECT s.*, governance.hash_of_seal(s) AS actual,
            lag(s.seal_sha256, 1, repeat('0', 64)) OVER (PARTITION BY s.model ORDER BY s.seal) AS before
        FROM governance.seals s WHERE wanted_model IS NULL OR s.model = wanted_model
    ), compared AS (
        SELECT c.model, c.seal, c.relation, c.key, CASE
            WHEN c.actual <> c.seal_sha256 THEN 'has a seal that was changed after it was written'
            WHEN c.previous_sha256 <> c.before THEN 'has a seal that does not follow the one before: one was removed'
            WHEN r.key IS NULL THEN 'was removed'
            WHEN governance.hash_of_row(r.facts, c.columns) <> c.row_sha256 THEN 'was changed after it was written'
            WHEN r.model <> c.model THEN 'was moved to another model (' || r.model || ')'
        END AS problem
        FROM chain c LEFT JOIN governance.sealed_rows r USING (relation, key)
        UNION ALL
        SELECT r.model, NULL, r.relation, r.key, 'was put there without a seal'
        FROM governance.sealed_rows r LEFT JOIN governance.seals s USING (relation, key)
        WHERE s.seal IS NULL AND (wanted_model IS NULL OR coalesce(r.model, wanted_model) = wanted_model)
    )
    SELECT c.* FROM compared c WHERE c.problem IS NOT NULL ORDER BY c.model, c.seal NULLS LAST
$$;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage') THEN
        GRANT SELECT ON governance.seals, governance.sealed_rows TO nightshift_stage;
        REVOKE UPDATE ON governance.outcomes FROM nightshift_stage;
    END IF;
END $$;
"""


def upgrade() -> None:
    """Create the chain, and seal what is there."""
    op.execute(STATEMENTS)
