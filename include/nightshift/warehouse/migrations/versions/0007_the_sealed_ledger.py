"""The ledger is a chain of hashes; versions taken out of service are barred; a role for stages that only adds."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = """
ALTER TABLE governance.promotions
    ALTER COLUMN entry DROP IDENTITY,
    DROP CONSTRAINT promotions_training_id_key,
    ADD COLUMN kind text NOT NULL DEFAULT 'promotion' CHECK (kind IN ('promotion', 'rollback')),
    ADD COLUMN request_id text, -- the run that asked for a rollback: it writes once
    ADD COLUMN as_of date, -- the first night that was not scored yet when the rollback was asked for
    ADD COLUMN previous_sha256 text,
    ADD COLUMN entry_sha256 text,
    ADD UNIQUE (model, request_id),
    ADD CHECK ((kind = 'rollback') = (request_id IS NOT NULL)),
    ADD CHECK ((kind = 'rollback') = (as_of IS NOT NULL));
CREATE UNIQUE INDEX promotions_training_id_key ON governance.promotions (training_id) WHERE kind = 'promotion';
CREATE SEQUENCE governance.entries OWNED BY governance.promotions.entry;
SELECT setval('governance.entries', coalesce(max(entry), 0) + 1, false) FROM governance.promotions;

-- A version that was taken out of service by hand: neither it nor a copy of it is promoted again by itself.
CREATE TABLE governance.bars (
    bar bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    version integer NOT NULL,
    barred boolean NOT NULL, -- false: the bar is lifted. The newest row of a version counts
    reason text NOT NULL,
    actor text NOT NULL,
    request_id text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (request_id, model, version),
    FOREIGN KEY (model, version) REFERENCES governance.versions (model, version)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON governance.bars
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON governance.bars
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

-- The bars that hold for a version: its own, and those of versions that it is a copy of.
CREATE FUNCTION governance.bars_on(wanted_model text, wanted_version integer)
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
           OR (v.snapshot_id, v.spec_sha256) = (w.snapshot_id, w.spec_sha256))
    ORDER BY b.bar DESC
$$;

-- One writer of a model's ledger at a time, until its transaction ends.
CREATE FUNCTION governance.lock_ledger(wanted_model text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('governance.promotions'), hashtext(wanted_model))
$$;

CREATE OR REPLACE FUNCTION governance.require_passed_decision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    judged_against integer;
    head integer;
    bar governance.bars;
BEGIN
    PERFORM governance.lock_ledger(NEW.model);
    SELECT d.champion INTO judged_against FROM governance.decisions d
    WHERE d.training_id = NEW.training_id AND d.model = NEW.model AND d.challenger = NEW.version
      AND d.passed AND d.evidence_sha256 = NEW.evidence_sha256;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no passed decision for % version % in training %', NEW.model, NEW.version, NEW.training_id;
    END IF;
    IF NEW.kind = 'promotion' AND EXISTS (
        SELECT 1 FROM governance.promotions p WHERE p.training_id = NEW.training_id AND p.kind = 'promotion'
    ) THEN
        RETURN NEW; -- written before: the unique index has the last word
    END IF;
    IF NEW.kind = 'rollback' AND NOT EXISTS (
        SELECT 1 FROM governance.promotions p WHERE (p.model, p.version) = (NEW.model, NEW.version)
    ) THEN
        RAISE EXCEPTION '% version % has never been champion: it cannot be rolled back to', NEW.model, NEW.version;
    END IF;
    SELECT p.version INTO head FROM governance.promotions p WHERE p.model = NEW.model ORDER BY p.entry DESC LIMIT 1;
    IF NEW.kind = 'promotion' AND head IS DISTINCT FROM judged_against THEN
        RAISE EXCEPTION '% version % was judged against version %, the champion is version %',
            NEW.model, NEW.version, judged_against, head;
    END IF;
    SELECT * INTO bar FROM governance.bars_on(NEW.model, NEW.version) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% version % is barred, as version % (bar %: %)',
            NEW.model, NEW.version, bar.version, bar.bar, bar.reason;
    END IF;
    RETURN NEW;
END $$;

-- Everything an entry says, and the hash of the entry before it, in one text that is the same everywhere.
CREATE FUNCTION governance.hash_of(p governance.promotions) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        p.entry, p.model, p.version, p.kind, to_char(p.effective_from, 'YYYY-MM-DD'), to_char(p.as_of, 'YYYY-MM-DD'),
        p.artifact_sha256, p.training_id, p.evidence_sha256, p.request_id, p.actor, p.reason,
        to_char(p.promoted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), p.previous_sha256
    )::text, 'UTF8')), 'hex')
$$;
CREATE FUNCTION governance.seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Numbered and dated under the lock: entries of a model stand in the order in which they were written.
    PERFORM governance.lock_ledger(NEW.model);
    NEW.entry := nextval('governance.entries');
    NEW.promoted_at := clock_timestamp();
    NEW.previous_sha256 := coalesce((
        SELECT p.entry_sha256 FROM governance.promotions p WHERE p.model = NEW.model ORDER BY p.entry DESC LIMIT 1
    ), repeat('0', 64));
    NEW.entry_sha256 := governance.hash_of(NEW);
    RETURN NEW;
END $$;

-- The entries that were there before the chain.
ALTER TABLE governance.promotions DISABLE TRIGGER append_only;
DO $$
DECLARE
    e bigint;
BEGIN
    FOR e IN SELECT entry FROM governance.promotions ORDER BY entry LOOP
        UPDATE governance.promotions p SET previous_sha256 = coalesce((
            SELECT q.entry_sha256 FROM governance.promotions q
            WHERE q.model = p.model AND q.entry < p.entry ORDER BY q.entry DESC LIMIT 1
        ), repeat('0', 64)) WHERE p.entry = e;
        UPDATE governance.promotions p SET entry_sha256 = governance.hash_of(p) WHERE p.entry = e;
    END LOOP;
END $$;
ALTER TABLE governance.promotions ENABLE TRIGGER append_only;
ALTER TABLE governance.promotions
    ALTER COLUMN previous_sha256 SET NOT NULL,
    ALTER COLUMN entry_sha256 SET NOT NULL,
    -- Whatever a transaction sees: two entries cannot follow the same one.
    ADD CONSTRAINT promotions_do_not_fork UNIQUE (model, previous_sha256);
-- Triggers fire in the order of their names: sealed comes after passed_the_gate.
CREATE TRIGGER sealed BEFORE INSERT ON governance.promotions FOR EACH ROW EXECUTE FUNCTION governance.seal();

-- The first entry of each ledger that does not fit; no row: every entry is what was written, after the one before it.
CREATE FUNCTION governance.verify_ledger(wanted_model text DEFAULT NULL)
RETURNS TABLE (model text, entry bigint, version integer, problem text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (c.model) c.model, c.entry, c.version,
        CASE WHEN c.actual <> c.entry_sha256 THEN 'was changed after it was written'
             ELSE 'does not follow the entry before it: one was removed, changed or put between' END
    FROM (
        SELECT p.*, governance.hash_of(p) AS actual,
            lag(p.entry_sha256, 1, repeat('0', 64)) OVER (PARTITION BY p.model ORDER BY p.entry) AS before
        FROM governance.promotions p WHERE wanted_model IS NULL OR p.model = wanted_model
    ) c
    WHERE c.actual <> c.entry_sha256 OR c.previous_sha256 <> c.before
    ORDER BY c.model, c.entry
$$;

-- Which version was champion at an instant, whatever nights it was champion for.
CREATE FUNCTION governance.champion_at(wanted_model text, moment timestamptz)
RETURNS SETOF governance.promotions LANGUAGE sql STABLE AS $$
    SELECT * FROM governance.promotions
    WHERE model = wanted_model AND promoted_at <= moment ORDER BY entry DESC LIMIT 1
$$;

-- A role that adds to governance and changes nothing. A server may not let us create it: its administrator can.
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage') THEN
        CREATE ROLE nightshift_stage NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL; -- the migration of another database was faster
    WHEN insufficient_privilege THEN
        RAISE WARNING 'role nightshift_stage is missing, and % may not create it: nothing was granted', current_user;
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage') THEN
        GRANT USAGE ON SCHEMA governance TO nightshift_stage;
        GRANT SELECT ON ALL TABLES IN SCHEMA governance TO nightshift_stage;
        GRANT INSERT ON governance.decisions, governance.signatures, governance.promotions, governance.bars
            TO nightshift_stage;
        GRANT USAGE ON SEQUENCE governance.entries TO nightshift_stage;
    END IF;
END $$;
"""


def upgrade() -> None:
    """Chain what is there, and create the rest."""
    op.execute(STATEMENTS)
