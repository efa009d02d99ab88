"""Lineage by ids, and the catalog: what was read, what there is, how fresh and how good it is."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = """
-- Which landing the rows of raw.<source> came from. A failed try afterwards leaves the rows, and so this.
ALTER TABLE catalog.batches ADD COLUMN published_sha256 text, ADD COLUMN published_by text;
UPDATE catalog.batches SET (published_sha256, published_by) = (landed_sha256, run_id) WHERE status = 'published';
CREATE FUNCTION catalog.keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'published' THEN
        NEW.published_sha256 := NEW.landed_sha256;
        NEW.published_by := NEW.run_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_published BEFORE INSERT OR UPDATE ON catalog.batches
    FOR EACH ROW EXECUTE FUNCTION catalog.keep_published();

-- Which raw batches a feature partition saw rows of. Replaced with the partition.
-- bigint, and a landing that may be unknown: rows published by a failed batch before this migration.
CREATE TABLE catalog.feature_inputs (
    feature_set text NOT NULL,
    feature_version bigint NOT NULL,
    batch_date date NOT NULL,
    source text NOT NULL,
    source_batch_date date NOT NULL,
    landed_sha256 text,
    landed_by text,
    PRIMARY KEY (feature_set, feature_version, batch_date, source, source_batch_date)
);
CREATE INDEX feature_inputs_by_source ON catalog.feature_inputs (source, source_batch_date);

-- What a snapshot was frozen from. Features may be built again; this stays.
CREATE TABLE catalog.snapshot_inputs (
    snapshot_id text NOT NULL REFERENCES governance.snapshots ON DELETE CASCADE,
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    batch_date date NOT NULL,
    content_sha256 text NOT NULL,
    PRIMARY KEY (snapshot_id, feature_set, feature_version, batch_date)
);
CREATE TABLE catalog.snapshot_sources (
    snapshot_id text NOT NULL REFERENCES governance.snapshots ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('features', 'labels')),
    source text NOT NULL,
    source_batch_date date NOT NULL,
    landed_sha256 text NOT NULL DEFAULT '', -- empty: unknown
    landed_by text,
    -- With the hash: two partitions of one snapshot may have seen two deliveries of the same batch.
    PRIMARY KEY (snapshot_id, role, source, source_batch_date, landed_sha256)
);
CREATE INDEX snapshot_sources_by_source ON catalog.snapshot_sources (source, source_batch_date);

ALTER TABLE catalog.prediction_batches
    ADD COLUMN feature_set text, ADD COLUMN feature_version integer, ADD COLUMN features_sha256 text;

-- From the predictions of a night to every raw batch behind them.
CREATE VIEW catalog.origins AS
WITH origins AS (
    SELECT b.model, b.batch_date, b.model_version, v.snapshot_id, 'scored' AS role,
           i.source, i.source_batch_date, i.landed_sha256, i.landed_by,
           f.content_sha256 IS DISTINCT FROM b.features_sha256 AS rebuilt_since
    FROM catalog.prediction_batches b
    JOIN catalog.feature_inputs i USING (feature_set, feature_version, batch_date)
    LEFT JOIN catalog.feature_batches f USING (feature_set, feature_version, batch_date)
    JOIN governance.versions v ON v.model = b.model AND v.version = b.model_version
    UNION ALL
    SELECT b.model, b.batch_date, b.model_version, v.snapshot_id,
           CASE s.role WHEN 'labels' THEN 'training labels' ELSE 'training features' END,
           s.source, s.source_batch_date, nullif(s.landed_sha256, ''), s.landed_by, false
    FROM catalog.prediction_batches b
    JOIN governance.versions v ON v.model = b.model AND v.version = b.model_version
    JOIN catalog.snapshot_sources s USING (snapshot_id)
)
SELECT o.*, (
    SELECT l.object_key FROM catalog.landings l
    WHERE (l.source, l.batch_date, l.sha256) = (o.source, o.source_batch_date, o.landed_sha256) LIMIT 1
) AS landed_file
FROM origins o;

-- Edges between things named by their content. From a batch to a snapshot there is a short cut as well: it
-- stands when the features in between have been built again.
CREATE VIEW catalog.lineage (upstream_kind, upstream_id, downstream_kind, downstream_id) AS
SELECT 'batch', concat_ws('/', i.source, i.source_batch_date, i.landed_sha256),
       'features', format('%s_v%s/%s/%s', f.feature_set, f.feature_version, f.batch_date, f.content_sha256)
FROM catalog.feature_inputs i JOIN catalog.feature_batches f USING (feature_set, feature_version, batch_date)
UNION ALL
SELECT 'features', format('%s_v%s/%s/%s', feature_set, feature_version, batch_date, content_sha256),
       'snapshot', snapshot_id
FROM catalog.snapshot_inputs
UNION ALL
SELECT DISTINCT 'batch', concat_ws('/', source, source_batch_date, nullif(landed_sha256, '')), 'snapshot', snapshot_id
FROM catalog.snapshot_sources
UNION ALL
SELECT 'snapshot', snapshot_id, 'model version', concat_ws('/', model, version) FROM governance.versions
UNION ALL
SELECT 'model version', concat_ws('/', model, model_version), 'predictions', concat_ws('/', model, batch_date)
FROM catalog.prediction_batches
UNION ALL
SELECT 'features', format('%s_v%s/%s/%s', feature_set, feature_version, batch_date, features_sha256),
       'predictions', concat_ws('/', model, batch_date)
FROM catalog.prediction_batches WHERE features_sha256 IS NOT NULL;

-- What there is, from the specs; replaced whole by the stage describe.
CREATE TABLE catalog.datasets (
    kind text NOT NULL CHECK (kind IN ('source', 'features', 'model')),
    name text NOT NULL,
    owner text NOT NULL,
    description text NOT NULL,
    schema jsonb NOT NULL, -- [{name, type, nullable, description}]
    reads text[] NOT NULL, -- kind.name
    read_by text[] NOT NULL,
    spec_sha256 text NOT NULL,
    as_of date NOT NULL,
    described_by text NOT NULL,
    described_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, name)
);

-- Volume and quality, a row a dataset and night. row_count: what readers find; a failed try publishes nothing.
CREATE VIEW catalog.nights AS
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
FROM catalog.prediction_batches p LEFT JOIN monitoring.verdicts v USING (model, batch_date);

CREATE FUNCTION catalog.newest_known_at(source text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    newest timestamptz;
BEGIN
    IF to_regclass(format('raw.%I', source)) IS NOT NULL THEN
        EXECUTE format('SELECT max(known_at) FROM raw.%1$I '
                       'WHERE batch_date = (SELECT max(batch_date) FROM raw.%1$I)', source) INTO newest;
    END IF;
    RETURN newest;
END $$;
CREATE VIEW catalog.freshness AS
SELECT kind, name, max(batch_date) FILTER (WHERE row_count IS NOT NULL) AS newest_batch_date,
       CASE kind WHEN 'source' THEN catalog.newest_known_at(name) END AS newest_known_at,
       max(recorded_at) AS recorded_at
FROM catalog.nights GROUP BY kind, name;
"""


def upgrade() -> None:
    """Create everything."""
    op.execute(STATEMENTS)
