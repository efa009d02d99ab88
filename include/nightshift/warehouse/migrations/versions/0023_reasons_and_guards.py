"""What each reason said of a night, what each guard said of a request, and the losses that harm is judged by."""

from alembic import op

revision = "0023"
down_revision = "0022"

STATEMENTS = """
-- A new champion against the version before, on the nights that both scored.
CREATE TABLE monitoring.probations (
    model text NOT NULL,
    batch_date date NOT NULL,
    model_version integer NOT NULL,
    before integer NOT NULL,
    since date NOT NULL,
    nights integer NOT NULL,
    evidence double precision NOT NULL,
    difference double precision,
    rolls_back boolean NOT NULL,
    reason text NOT NULL,
    run_id text NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);
ALTER TABLE monitoring.performance_history ADD COLUMN losses jsonb;
ALTER TABLE monitoring.verdicts ADD COLUMN reasons jsonb NOT NULL DEFAULT '{"said": [], "harm": null, "format": 1}';
ALTER TABLE monitoring.retrain_requests
    ADD COLUMN answers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN not_before date;
-- Lineage is of what is read: of the champion's predictions.
CREATE OR REPLACE VIEW catalog.origins AS
WITH origins AS (
    SELECT b.model, b.batch_date, b.model_version, v.snapshot_id, 'scored' AS role,
           i.source, i.source_batch_date, i.landed_sha256, i.landed_by,
           f.content_sha256 IS DISTINCT FROM b.features_sha256 AS rebuilt_since
    FROM catalog.prediction_batches b
    JOIN catalog.feature_inputs i USING (feature_set, feature_version, batch_date)
    LEFT JOIN catalog.feature_batches f USING (feature_set, feature_version, batch_date)
    JOIN governance.versions v ON v.model = b.model AND v.version = b.model_version
    WHERE b.arm = 'champion'
    UNION ALL
    SELECT b.model, b.batch_date, b.model_version, v.snapshot_id,
           CASE s.role WHEN 'labels' THEN 'training labels' ELSE 'training features' END,
           s.source, s.source_batch_date, nullif(s.landed_sha256, ''), s.landed_by, false
    FROM catalog.prediction_batches b
    JOIN governance.versions v ON v.model = b.model AND v.version = b.model_version
    JOIN catalog.snapshot_sources s USING (snapshot_id)
    WHERE b.arm = 'champion'
)
SELECT o.*, (
    SELECT l.object_key FROM catalog.landings l
    WHERE (l.source, l.batch_date, l.sha256) = (o.source, o.source_batch_date, o.landed_sha256) LIMIT 1
) AS landed_file
FROM origins o;

-- Edges between things named by their content. From a batch to a snapshot there is a short cut as well: it
-- stands when the features in between have been built again.
CREATE OR REPLACE VIEW catalog.lineage (upstream_kind, upstream_id, downstream_kind, downstream_id) AS
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
FROM catalog.prediction_batches WHERE arm = 'champion'
UNION ALL
SELECT 'features', format('%s_v%s/%s/%s', feature_set, feature_version, batch_date, features_sha256),
       'predictions', concat_ws('/', model, batch_date)
FROM catalog.prediction_batches WHERE features_sha256 IS NOT NULL AND arm = 'champion';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)
