"""How Alembic reaches the warehouse."""

import sqlalchemy as sa
from alembic import context

from nightshift.warehouse import roles

MIGRATION_LOCK = 0x6E736D67

engine = sa.create_engine(
    context.config.attributes["url"].replace("postgresql://", "postgresql+psycopg2://", 1)
)
with engine.begin() as connection:
    # Two schedulers may start at once: the second waits here and then finds nothing to do.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS catalog"))
    context.configure(connection=connection, version_table="migrations", version_table_schema="catalog")
    context.run_migrations()
    roles.grant(connection.connection.cursor())
engine.dispose()
