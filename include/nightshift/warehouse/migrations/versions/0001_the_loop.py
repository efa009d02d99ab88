"""The fixed tables of the loop: leases, batches, quarantine, governance, monitoring."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS quarantine;
CREATE SCHEMA IF NOT EXISTS features;
CREATE SCHEMA IF NOT EXISTS predictions;
CREATE SCHEMA IF NOT EXISTS monitoring;
CREATE SCHEMA IF NOT EXISTS governance;

-- Who may write a partition. A newer generation makes every older try harmless.
CREATE TABLE catalog.leases (
    table_name text NOT NULL,
    batch_date date NOT NULL,
    generation bigint NOT NULL,
    holder text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, batch_date)
);

-- What each run found upstream, as delivered.
CREATE TABLE catalog.landings (
    source text NOT NULL,
    batch_date date NOT NULL,
    run_id text NOT NULL,
    object_key text NOT NULL,
    sha256 text NOT NULL,
    row_count bigint NOT NULL,
    landed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, batch_date, run_id)
);

-- The last try at each batch. A failed one leaves the rows of raw.<source> as they were.
CREATE TABLE catalog.batches (
    source text NOT NULL,
    batch_date date NOT NULL,
    status text NOT NULL CHECK (status IN ('published', 'failed')),
    collected bigint NOT NULL,
    accepted bigint NOT NULL,
    rejected bigint NOT NULL,
    reasons text NOT NULL DEFAULT '',
    landed_sha256 text NOT NULL,
    docs_key text,
    run_id text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, batch_date),
    CHECK (collected = accepted + rejected)
);

CREATE TABLE quarantine.rows (
    source text NOT NULL,
    batch_date date NOT NULL,
    row_number bigint NOT NULL,
    rule text NOT NULL,
    column_name text,
    value text,
    "row" json NOT NULL,
    violations json NOT NULL,
    PRIMARY KEY (source, batch_date, row_number)
);

-- Which partitions of a feature set exist, from which raw batches, with which content.
CREATE TABLE catalog.feature_batches (
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    batch_date date NOT NULL,
    row_count bigint NOT NULL,
    content_sha256 text NOT NULL,
    code_sha256 text NOT NULL,
    run_id text NOT NULL,
    built_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (feature_set, feature_version, batch_date)
);

CREATE TABLE catalog.prediction_batches (
    model text NOT NULL,
    batch_date date NOT NULL,
    model_version integer NOT NULL,
    row_count bigint NOT NULL,
    run_id text NOT NULL,
    scored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);

CREATE TABLE governance.snapshots (
    snapshot_id text PRIMARY KEY, -- sha256 of the Parquet file
    model text NOT NULL,
    as_of date NOT NULL,
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    object_key text NOT NULL,
    row_count bigint NOT NULL,
    train_first date NOT NULL,
    train_last date NOT NULL,
    holdout_first date NOT NULL,
    holdout_last date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (train_last < holdout_first)
);

-- What a registered version is made of, and what it was like when it was trained.
CREATE TABLE governance.versions (
    model text NOT NULL,
    version integer NOT NULL,
    mlflow_run_id text NOT NULL UNIQUE,
    training_id text NOT NULL UNIQUE,
    snapshot_id text NOT NULL REFERENCES governance.snapshots,
    artifact_sha256 text NOT NULL,
    spec_sha256 text NOT NULL,
    code_commit text NOT NULL,
    lock_sha256 text NOT NULL,
    train_first date NOT NULL,
    train_last date NOT NULL,
    feature_set text NOT NULL,
    feature_version integer NOT NULL,
    profile jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, version)
);

CREATE TABLE governance.decisions (
    training_id text PRIMARY KEY,
    model text NOT NULL,
    challenger integer NOT NULL,
    champion integer,
    as_of date NOT NULL,
    reason text NOT NULL,
    snapshot_id text NOT NULL REFERENCES governance.snapshots,
    passed boolean NOT NULL,
    gates jsonb NOT NULL,
    challenger_metrics jsonb NOT NULL,
    champion_metrics jsonb,
    evidence_sha256 text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (model, challenger) REFERENCES governance.versions (model, version)
);

-- The ledger: append-only. The champion of batch date D is the newest row with effective_from <= D.
CREATE TABLE governance.promotions (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    version integer NOT NULL,
    effective_from date NOT NULL,
    artifact_sha256 text NOT NULL,
    training_id text NOT NULL UNIQUE REFERENCES governance.decisions,
    evidence_sha256 text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    promoted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (model, version) REFERENCES governance.versions (model, version)
);
CREATE FUNCTION governance.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'governance.promotions is append-only: % refused', TG_OP;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON governance.promotions
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON governance.promotions
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();
-- No way round the gate, not even by hand: a promotion needs a decision that passed, for that version.
CREATE FUNCTION governance.require_passed_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM governance.decisions d
        WHERE d.training_id = NEW.training_id AND d.model = NEW.model AND d.challenger = NEW.version
          AND d.passed AND d.evidence_sha256 = NEW.evidence_sha256
    ) THEN
        RAISE EXCEPTION 'no passed decision for % version % in training %', NEW.model, NEW.version, NEW.training_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER passed_the_gate BEFORE INSERT ON governance.promotions
    FOR EACH ROW EXECUTE FUNCTION governance.require_passed_decision();

CREATE FUNCTION governance.champion_on(wanted_model text, batch_date date)
RETURNS SETOF governance.promotions LANGUAGE sql STABLE AS $$
    SELECT * FROM governance.promotions
    WHERE model = wanted_model AND effective_from <= batch_date ORDER BY entry DESC LIMIT 1
$$;

-- Realised performance of the predictions of one batch date, once their labels have matured.
CREATE TABLE monitoring.performance (
    model text NOT NULL,
    batch_date date NOT NULL,
    model_version integer NOT NULL,
    scored bigint NOT NULL,
    labelled bigint NOT NULL,
    metrics jsonb NOT NULL,
    known_on date NOT NULL,
    PRIMARY KEY (model, batch_date)
);

-- One row a night and model.
CREATE TABLE monitoring.verdicts (
    model text NOT NULL,
    batch_date date NOT NULL,
    model_version integer NOT NULL,
    status text NOT NULL,
    breach boolean NOT NULL,
    retrain boolean NOT NULL,
    reason text NOT NULL,
    drift jsonb NOT NULL,
    performance jsonb,
    report_key text,
    run_id text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);

-- Every request to retrain: what started it, or which guard held it back and why.
CREATE TABLE monitoring.retrain_requests (
    model text NOT NULL,
    batch_date date NOT NULL,
    status text NOT NULL CHECK (status IN ('started', 'suppressed')),
    guard text,
    reason text NOT NULL,
    training_id text,
    outcome text,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, batch_date)
);
"""


def upgrade() -> None:
    """Create everything."""
    op.execute(STATEMENTS)
