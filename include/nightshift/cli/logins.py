"""Whether each kind of stage has a login of its own: `nightshift status` and `check --deep` tell."""

from nightshift.database import Database
from nightshift.specs.derived import ROLES, login_of


def missing(database: Database) -> list[str]:
    """Return, in a line, which logins the server lacks; the tasks of these stages enter as the warehouse's owner."""
    rows = database.rows(
        "SELECT name FROM unnest(%s::text[]) name WHERE to_regrole(name) IS NULL",
        ([login_of(role) for role in ROLES],),
    )
    if not rows:
        return []
    names = ", ".join(row["name"] for row in rows)
    see = "See 'From one login to one a stage' in docs/runbooks.md"
    return [f"warehouse: there is no login {names}: these stages run as its owner. {see}"]
