"""Bring the warehouse's fixed tables up to date (Alembic). Safe to run any number of times, also at once."""

from pathlib import Path
from typing import TYPE_CHECKING

from nightshift.database import told
from nightshift.errors import NotReady, RequestError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the warehouse at ``url`` to ``revision``.

    Nothing was changed where it raises.

    Raises:
        NotReady: it is at a revision that this engine does not know.
        RequestError: that is no address of a warehouse.
        Unreachable, WarehouseRefused: the server does not answer, or refuses the login or a statement.
    """
    from alembic import command  # a second of import that only this asks for
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy.exc import ArgumentError, DBAPIError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # In attributes, not in an option: the ini parser would trip over a % in the password.
    config.attributes["url"] = url
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise NotReady(
            f"the warehouse's tables are of a newer engine than this one: {error}. Install that one; the way back is "
            "to restore a backup of before (docs/runbooks.md, Upgrade)"
        ) from error
    except DBAPIError as error:
        raise told(error.orig or error, getattr(error.orig, "pgcode", None)) from error
    except ArgumentError as error:  # which it quotes, password and all
        raise RequestError(
            "the warehouse's address: expected postgresql://LOGIN:PASSWORD@HOST:PORT/NAME"
        ) from error


def newest_revision() -> str:
    """Return the revision that this engine migrates to."""
    return str(_scripts().get_current_head())


def known_revisions() -> set[str]:
    """Return the revisions that this engine can migrate from."""
    return {each.revision for each in _scripts().walk_revisions()}


def _scripts() -> "ScriptDirectory":
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)
