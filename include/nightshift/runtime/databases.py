"""The databases, their owners, and the warehouse's logins. Nobody can connect to a database not his own."""

from collections.abc import Mapping

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection
from sqlalchemy.engine import make_url

from nightshift.errors import NotReady

MARKS = "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = ANY(%s)"
OWNERS = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname = ANY(%s)"


def create(
    admin_url: str,
    passwords: Mapping[str, str],
    logins: Mapping[str, str] | None = None,
    *,
    installation: str = "",
    is_ours: bool = False,
) -> None:
    """Create each database that is missing and its owner of the same name; set their passwords and ``logins`` to ours.

    ``installation`` is noted at the roles: whose they are. ``is_ours``: nobody else has a database on this server, so
    those that come with it are closed to all roles too.

    Raises:
        NotReady: somebody else has a role or a database of such a name; nothing was changed.
    """
    mark = f"nightshift {installation}"
    session = psycopg2.connect(admin_url, connect_timeout=10)
    session.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    try:
        if not is_ours:
            _require_ours(session, admin_url, passwords, mark)
        _create_stage_role(session)
        for name, password in passwords.items():
            _create(session, name, password, mark)
        for name, password in (logins or {}).items():
            _create_login(session, name, password, mark)
        if is_ours:
            with session.cursor() as cursor:
                cursor.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    finally:
        session.close()


def answers(admin_url: str) -> bool:
    """Whether the server runs a query within two seconds."""
    try:
        session = psycopg2.connect(admin_url, connect_timeout=2, options="-c statement_timeout=2000")
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT 1")
                return True
        finally:
            session.close()
    except psycopg2.Error:
        return False


def _require_ours(session: connection, admin_url: str, passwords: Mapping[str, str], mark: str) -> None:
    """Raise NotReady for a role or database that is there, and neither has our mark nor lets us in.

    A database has the mark of its owner. What lets us in was made before roles were marked.
    """
    with session.cursor() as cursor:
        cursor.execute(MARKS, ([*passwords],))
        roles = dict(cursor.fetchall())
        cursor.execute(OWNERS, ([*passwords],))
        owners = dict(cursor.fetchall())
    theirs = []
    for name, password in passwords.items():
        marked = roles.get(name) == mark and owners.get(name, name) == name
        there = [kind for kind, found in (("role", roles), ("database", owners)) if name in found]
        own = make_url(admin_url).set(username=name, password=password, database=name)
        if there and not marked and not answers(own.render_as_string(hide_password=False)):
            theirs += [f"{kind} '{name}'" for kind in there]
    if theirs:
        raise NotReady(
            f"{', '.join(theirs)}: on the server of NIGHTSHIFT_DATABASE_URL already, and not ours; nothing was "
            "changed. Name a server without them; or make them ours: the database its role's, and of each role, as its "
            f"administrator, COMMENT ON ROLE ... IS '{mark}'"
        )


def _create_stage_role(session: connection) -> None:
    """Create the role that the warehouse's migration lets add to the ledger; its owner may create none."""
    with session.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage'")
        if not cursor.fetchone():
            cursor.execute("CREATE ROLE nightshift_stage NOLOGIN")


def _create_login(session: connection, name: str, password: str, mark: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(MARKS, ([name],))
        found = cursor.fetchone()
        role, verb = sql.Identifier(name), sql.SQL("ALTER" if found else "CREATE")
        statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password))
        if found is None or found[1] is None:  # what somebody has noted there himself stays
            # In one go, which is one transaction: a role of ours without its mark would be taken for another's.
            statement += sql.SQL("; COMMENT ON ROLE {} IS {}").format(role, sql.Literal(mark))
        cursor.execute(statement)


def _create(session: connection, name: str, password: str, mark: str) -> None:
    role = sql.Identifier(name)
    _create_login(session, name, password, mark)
    with session.cursor() as cursor:
        # An administrator that is no superuser may only give a database to a role it belongs to.
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
