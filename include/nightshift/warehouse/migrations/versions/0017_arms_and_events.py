"""Partitions by date and arm, restated performance beside the old, the nights of a model as one view, events."""

from alembic import op

revision = "0017"
down_revision = "0016"

STATEMENTS = """
-- A lease is of a date and an arm: one who tries an arm beside the champion supersedes nobody else.
ALTER TABLE catalog.leases ADD COLUMN arm text NOT NULL DEFAULT '';
UPDATE catalog.leases SET arm = 'champion' WHERE table_name LIKE 'predictions.%';
ALTER TABLE catalog.leases DROP CONSTRAINT leases_pkey, ADD PRIMARY KEY (table_name, batch_date, arm);

ALTER TABLE catalog.prediction_batches ADD COLUMN arm text NOT NULL DEFAULT 'champion';
ALTER TABLE catalog.prediction_batches
    DROP CONSTRAINT prediction_batches_pkey, ADD PRIMARY KEY (model, batch_date, arm);
ALTER TABLE monitoring.verdicts ADD COLUMN arm text NOT NULL DEFAULT 'champion';
ALTER TABLE monitoring.verdicts DROP CONSTRAINT verdicts_pkey, ADD PRIMARY KEY (model, batch_date, arm);

-- Performance as each night knew it: a correction adds what is known now, and what was known before stays.
ALTER TABLE monitoring.performance RENAME TO performance_history;
ALTER TABLE monitoring.performance_history ADD COLUMN arm text NOT NULL DEFAULT 'champion';
ALTER TABLE monitoring.performance_history
    DROP CONSTRAINT performance_pkey,
    ADD CONSTRAINT performance_history_pkey PRIMARY KEY (model, batch_date, arm, known_on);
CREATE VIEW monitoring.performance AS
SELECT DISTINCT ON (model, batch_date, arm) * FROM monitoring.performance_history
ORDER BY model, batch_date, arm, known_on DESC;

CREATE OR REPLACE VIEW catalog.nights AS
SELECT 'source' AS kind, source AS name, batch_date, CASE status WHEN 'published' THEN accepted END AS row_count,
       status, rejected::double precision / nullif(collected, 0) AS rejected_share, NULL::text AS drift,
       reasons AS why, run_id, recorded_at
FROM catalog.batches
UNION ALL
SELECT 'features', format('%s_v%s', feature_set, feature_version), batch_date, row_count,
       'built', NULL, NULL, '', run_id, built_at
FROM catalog.feature_batches
UNION ALL
SELECT 'model', p.model, p.batch_date, p.row_count,
       coalesce(v.status, 'scored'), NULL, v.drift ->> 'status', coalesce(v.reason, ''), p.run_id, p.scored_at
FROM catalog.prediction_batches p LEFT JOIN monitoring.verdicts v USING (model, batch_date, arm)
WHERE p.arm = 'champion';

-- A model's night in one row: what was scored, what it came to, what it said, what was asked for, what came of it.
CREATE VIEW monitoring.nights AS
SELECT b.model, b.batch_date, b.arm, b.model_version, b.row_count AS scored,
       v.status, v.drift ->> 'status' AS drift, v.reason, v.report_key,
       p.labelled, p.metrics, p.known_on,
       r.status AS request, r.guard, r.reason AS request_reason, r.training_id, r.outcome,
       c.version AS promoted, c.actor AS promoted_by
FROM catalog.prediction_batches b
LEFT JOIN monitoring.verdicts v USING (model, batch_date, arm)
LEFT JOIN monitoring.performance p USING (model, batch_date, arm)
LEFT JOIN monitoring.retrain_requests r ON (r.model, r.batch_date) = (b.model, b.batch_date) AND b.arm = 'champion'
LEFT JOIN governance.promotions c ON c.training_id = r.training_id AND c.kind = 'promotion';

-- What happened, to what, when, who did it and why. Written by triggers: in the transaction of the fact, by every way
-- to it. Names are those of then: a renaming is an event, and changes none.
CREATE TABLE catalog.events (
    event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    what text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('source', 'features', 'model')),
    name text NOT NULL,
    batch_date date,
    run_id text,
    actor text,
    why text NOT NULL,
    about jsonb NOT NULL -- numbers and versions
);
CREATE INDEX events_by_subject ON catalog.events (kind, name, event);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON catalog.events
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON catalog.events
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

CREATE FUNCTION catalog.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    n jsonb := to_jsonb(NEW);
    o jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
    what text; kind text; name text; night text; run_id text; actor text; why text;
    about jsonb := '{}';
BEGIN
    CASE TG_TABLE_NAME
    WHEN 'batches' THEN
        -- Filling in the hash of the content tells nothing new.
        IF n ->> 'recorded_at' = o ->> 'recorded_at' THEN RETURN NULL; END IF;
        SELECT n ->> 'status', 'source', n ->> 'source', n ->> 'batch_date', n ->> 'run_id', NULL, n ->> 'reasons',
               jsonb_build_object('accepted', n -> 'accepted', 'rejected', n -> 'rejected')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'feature_batches' THEN
        IF n ->> 'built_at' = o ->> 'built_at' THEN RETURN NULL; END IF;
        SELECT 'built', 'features', format('%s_v%s', n ->> 'feature_set', n ->> 'feature_version'),
               n ->> 'batch_date', n ->> 'run_id', NULL, '', jsonb_build_object('rows', n -> 'row_count')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'prediction_batches' THEN
        IF n ->> 'scored_at' = o ->> 'scored_at' THEN RETURN NULL; END IF;
        SELECT 'scored', 'model', n ->> 'model', n ->> 'batch_date', n ->> 'run_id', NULL, '', jsonb_build_object(
               'rows', n -> 'row_count', 'version', n -> 'model_version', 'arm', n -> 'arm')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'verdicts' THEN
        IF n ->> 'decided_at' = o ->> 'decided_at' THEN RETURN NULL; END IF;
        SELECT 'judged ' || (n ->> 'status'), 'model', n ->> 'model', n ->> 'batch_date', n ->> 'run_id', NULL,
               n ->> 'reason', jsonb_build_object('version', n -> 'model_version', 'arm', n -> 'arm')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'retrain_requests' THEN
        IF TG_OP = 'UPDATE' AND n ->> 'outcome' IS NOT DISTINCT FROM o ->> 'outcome' THEN RETURN NULL; END IF;
        SELECT CASE TG_OP WHEN 'INSERT' THEN 'training ' || (n ->> 'status')
                          ELSE 'training ended: ' || coalesce(n ->> 'outcome', 'it goes on') END,
               'model', n ->> 'model', n ->> 'batch_date', n ->> 'training_id', n ->> 'requested_by', n ->> 'reason',
               jsonb_build_object('guard', n -> 'guard')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'decisions' THEN
        SELECT CASE WHEN (n ->> 'passed')::boolean THEN 'passed its gates' ELSE 'failed its gates' END, 'model',
               n ->> 'model', n ->> 'as_of', n ->> 'training_id', n ->> 'requested_by', n ->> 'reason',
               jsonb_build_object('challenger', n -> 'challenger', 'champion', n -> 'champion')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'signatures' THEN
        SELECT n ->> 'answer', 'model', n ->> 'model', NULL, n ->> 'training_id', n ->> 'signed_by',
               coalesce(n ->> 'comment', ''), '{}'::jsonb
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'promotions' THEN
        SELECT CASE n ->> 'kind' WHEN 'promotion' THEN 'promoted' WHEN 'rollback' THEN 'rolled back' ELSE 'renamed' END,
               'model', n ->> 'model', n ->> 'effective_from', coalesce(n ->> 'request_id', n ->> 'training_id'),
               n ->> 'actor', n ->> 'reason', jsonb_build_object('version', n -> 'version', 'entry', n -> 'entry')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'bars' THEN
        SELECT CASE WHEN (n ->> 'barred')::boolean THEN 'barred' ELSE 'free again' END, 'model', n ->> 'model', NULL,
               n ->> 'request_id', n ->> 'actor', n ->> 'reason', jsonb_build_object('version', n -> 'version')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'renames' THEN
        SELECT 'renamed', n ->> 'kind', n ->> 'new_name', NULL, NULL, n ->> 'actor', n ->> 'reason',
               jsonb_build_object('from', n -> 'old_name')
        INTO what, kind, name, night, run_id, actor, why, about;
    WHEN 'reproductions' THEN
        SELECT CASE WHEN (n ->> 'equal')::boolean THEN 'made again: equal' ELSE 'made again: different' END, 'model',
               n ->> 'model', NULL, n ->> 'run_id', NULL, n ->> 'reason',
               jsonb_build_object('version', n -> 'version')
        INTO what, kind, name, night, run_id, actor, why, about;
    END CASE;
    INSERT INTO catalog.events (what, kind, name, batch_date, run_id, actor, why, about)
    VALUES (what, kind, name, night::date, run_id, actor, coalesce(why, ''), about);
    RETURN NULL;
END $$;

-- A replay resolves many rows at once: one event a night and action.
CREATE FUNCTION catalog.tell_of_resolutions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO catalog.events (what, kind, name, batch_date, run_id, actor, why, about)
    SELECT CASE r.action WHEN 'fix' THEN 'mended' ELSE 'discarded' END, 'source', r.source, r.batch_date, r.run_id,
           r.actor, r.reason, jsonb_build_object('rows', count(*), 'fix', r.fix)
    FROM added r GROUP BY r.source, r.batch_date, r.action, r.fix, r.run_id, r.actor, r.reason;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON quarantine.resolutions REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION catalog.tell_of_resolutions();
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['catalog.batches', 'catalog.feature_batches', 'catalog.prediction_batches',
                             'monitoring.verdicts', 'monitoring.retrain_requests'] LOOP
        EXECUTE format('CREATE TRIGGER tell AFTER INSERT OR UPDATE ON %s FOR EACH ROW '
                       'EXECUTE FUNCTION catalog.tell()', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['decisions', 'signatures', 'promotions', 'bars', 'renames', 'reproductions'] LOOP
        EXECUTE format('CREATE TRIGGER tell AFTER INSERT ON governance.%s FOR EACH ROW '
                       'EXECUTE FUNCTION catalog.tell()', t);
    END LOOP;
END $$;
"""


def upgrade() -> None:
    """Widen the keys, keep what was known, tell what happens."""
    op.execute(STATEMENTS)
