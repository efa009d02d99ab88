"""Bring the warehouse's fixed tables up to date (Alembic). Safe to run any number of times, also at once."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the warehouse at ``url`` to ``revision``."""
    from alembic import command  # a second of import that only this asks for
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # In attributes, not in an option: the ini parser would trip over a % in the password.
    config.attributes["url"] = url
    command.upgrade(config, revision)


def newest_revision() -> str:
    """Return the revision that this engine migrates to."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return str(ScriptDirectory.from_config(config).get_current_head())
