"""Airflow's connections, by id. Secrets stay in them. Light: the triggerer imports it, and no engine with it."""

from urllib.parse import quote

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from nightshift.errors import SpecError


def warehouse_url() -> str:
    """Return the warehouse's ``postgresql://`` URL."""
    found = find("warehouse")
    login = f"{quote(found.login or '', safe='')}:{quote(found.password or '', safe='')}"
    return f"postgresql://{login}@{found.host}:{found.port or 5432}/{found.schema or 'warehouse'}"


def find(conn_id: str) -> Connection:
    """Return the connection. Raises SpecError if Airflow has none of that id."""
    try:
        return Connection.get(conn_id)
    except AirflowNotFoundException as error:
        raise SpecError(
            f"connection '{conn_id}' is missing; add it in Airflow (Admin, Connections) or in airflow_settings.yaml"
        ) from error
