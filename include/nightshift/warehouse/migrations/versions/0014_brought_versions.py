"""A version may be brought instead of trained, and may need code of the project's own: both are told with it."""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = """
ALTER TABLE governance.versions
    -- NULL: trained here. Else the file, who brought it, and the last day that it says it was trained on.
    ADD COLUMN brought jsonb,
    -- Modules of include/ that its file needs to be opened, each with its SHA-256 then.
    ADD COLUMN own_code jsonb;
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(STATEMENTS)
