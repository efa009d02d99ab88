"""The databases, their owners, and the warehouse's logins. Nobody can connect to a database not his own."""

from collections.abc import Mapping

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection


def create(
    admin_url: str,
    passwords: Mapping[str, str],
    logins: Mapping[str, str] | None = None,
    *,
    is_ours: bool = False,
) -> None:
    """Create each database that is missing and its owner of the same name; set their passwords and ``logins`` to ours.

    ``is_ours``: nobody else has a database on this server, so those that come with it are closed to all roles too.
    """
    session = psycopg2.connect(admin_url, connect_timeout=10)
    session.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    try:
        _create_stage_role(session)
        for name, password in passwords.items():
            _create(session, name, password)
        for name, password in (logins or {}).items():
            _create_login(session, name, password)
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


def _create_stage_role(session: connection) -> None:
    """Create the role that the warehouse's migration lets add to the ledger; its owner may create none."""
    with session.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'nightshift_stage'")
        if not cursor.fetchone():
            cursor.execute("CREATE ROLE nightshift_stage NOLOGIN")


def _create_login(session: connection, name: str, password: str) -> None:
    with session.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
        verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
        cursor.execute(
            sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(name), sql.Literal(password))
        )


def _create(session: connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    _create_login(session, name, password)
    with session.cursor() as cursor:
        # An administrator that is no superuser may only give a database to a role it belongs to.
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
