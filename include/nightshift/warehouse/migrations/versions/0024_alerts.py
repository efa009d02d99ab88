"""Alerts: what is wrong now, what was told of it, what waits to be sent, and what somebody silenced."""

from alembic import op

revision = "0024"
down_revision = "0023"

STATEMENTS = """
CREATE SCHEMA alerts;

-- A level: the row is there while it is wrong.
CREATE TABLE alerts.open (
    fingerprint text PRIMARY KEY, -- kind and subject
    kind text NOT NULL,
    subject text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('warning', 'error', 'critical')),
    owner text NOT NULL,
    title text NOT NULL,
    action text NOT NULL,
    runbook text NOT NULL,
    dag_id text,
    numbers jsonb NOT NULL,
    since timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    told_at timestamptz, -- NULL: nobody was told of it
    told integer NOT NULL DEFAULT 0,
    muted_by text, -- the fingerprint of what it follows from
    silenced_until timestamptz
);

CREATE TABLE alerts.events (
    event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL,
    fingerprint text NOT NULL,
    what text NOT NULL CHECK (what IN ('opened', 'told', 'reminded', 'resolved', 'silenced')),
    severity text NOT NULL,
    owner text NOT NULL,
    title text NOT NULL,
    told boolean NOT NULL,
    why text NOT NULL DEFAULT ''
);
CREATE INDEX events_by_alert ON alerts.events (fingerprint, event);
CREATE INDEX events_by_instant ON alerts.events (happened_at);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON alerts.events
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON alerts.events
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

-- Written with what it tells of, in one transaction; marked when the receiver has answered. Nothing leaves it.
CREATE TABLE alerts.outbox (
    message bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    receiver text NOT NULL,
    what text NOT NULL CHECK (what IN ('opened', 'reminded', 'resolved', 'test')),
    body jsonb NOT NULL,
    made_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    error text
);
CREATE INDEX outbox_waiting ON alerts.outbox (not_before, message) WHERE delivered_at IS NULL;

CREATE TABLE alerts.silences (
    silence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    owner text NOT NULL CHECK (owner <> ''),
    until timestamptz NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    made_at timestamptz NOT NULL,
    CHECK (until > made_at)
);

CREATE TABLE alerts.pulse (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    evaluated_at timestamptz NOT NULL,
    evaluated_by text NOT NULL
);
"""


def upgrade() -> None:
    """Add the tables."""
    op.execute(STATEMENTS)
