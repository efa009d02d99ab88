"""A version serves by a fit on the rows that it was judged on too: the fit that was judged is kept beside it."""

from alembic import op

revision = "0022"
down_revision = "0021"

STATEMENTS = """
ALTER TABLE governance.versions
    -- NULL: what was judged serves. Else the last night that what serves was fitted on, and on how many rows. Of what
    -- was judged: the hash of its file, of its predictions on the snapshot, and what it said of the first rows of
    -- the holdout.
    ADD COLUMN refit jsonb CHECK (refit ?& ARRAY['last', 'rows', 'judged_sha256', 'judged_predictions_sha256']);
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(STATEMENTS)
