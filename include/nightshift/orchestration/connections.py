"""Airflow's connections, by id. Secrets stay in them. Light: the triggerer imports it, and no engine with it."""

import logging
from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from nightshift.errors import SpecError

log = logging.getLogger(__name__)

# Of a connection's extra, what says who must answer: without these libpq takes any server, also in plain text.
TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def warehouse_url(role: str) -> str:
    """Return the warehouse's ``postgresql://`` URL with the login of a role: connection ``warehouse_<role>``.

    Where there is none, that of the one connection ``warehouse``, as before there were roles.
    """
    try:
        found = find(f"warehouse_{role}")
    except SpecError:
        found = find("warehouse")
        log.warning(
            "connection 'warehouse_%s' is missing: this task may do all that the login of 'warehouse' may; "
            "see 'One login a stage' in docs/configuration.md",
            role,
        )
    return postgres_url(found)


def postgres_url(found: Any) -> str:
    """Return the ``postgresql://`` URL of a connection, with the TLS that its extra asks for."""
    login = f"{quote(found.login or '', safe='')}:{quote(found.password or '', safe='')}"
    asked = urlencode({name: found.extra_dejson[name] for name in TLS if found.extra_dejson.get(name)})
    url = f"postgresql://{login}@{found.host}:{found.port or 5432}/{found.schema or 'warehouse'}"
    return f"{url}?{asked}" if asked else url


def find(conn_id: str) -> Connection:
    """Return the connection. Raises SpecError if Airflow has none of that id."""
    try:
        return Connection.get(conn_id)
    except AirflowNotFoundException as error:
        raise SpecError(
            f"connection '{conn_id}' is missing; add it in Airflow (Admin, Connections) or in airflow_settings.yaml"
        ) from error
