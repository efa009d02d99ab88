"""``airflow_settings.yaml``: connections, pools and variables, in the format of the Astro CLI.

The file holds no secret. It names what must exist; here, each endpoint and password of the local runtime is
laid over it. Airflow has no command that reads the file, so applying it is ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightshift.errors import SpecError
from nightshift.freeform import Json


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Connection(_Entry):
    """One connection. The Astro CLI writes empty keys for what is not set; they mean the same as None."""

    conn_id: str
    conn_type: str = ""
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | str | None = None
    conn_uri: str | None = None
    conn_extra: Json | str | None = None


class Parts(TypedDict, total=False):
    """What is laid over a connection of the file: columns of Airflow's table of connections."""

    host: str | None
    port: int | None
    schema: str | None
    login: str | None
    password: str | None
    extra: str | Json


class Pool(_Entry):
    """One pool."""

    pool_name: str
    pool_slot: int = Field(ge=0)
    pool_description: str = ""


class Variable(_Entry):
    """One variable."""

    variable_name: str
    variable_value: Any


class Settings(_Entry):
    """The section ``airflow`` of the file."""

    connections: list[Connection] = []
    pools: list[Pool] = []
    variables: list[Variable] = []


def read(path: Path) -> Settings:
    """Return what the file declares.

    Raises:
        SpecError: naming the file and the key that is wrong.
    """
    content = yaml.safe_load(path.read_text()) or {}
    if set(content) - {"airflow"}:
        raise SpecError(f"{path}: unknown key '{min(set(content) - {'airflow'})}'; expected only 'airflow'")
    section = {key: entries or [] for key, entries in (content.get("airflow") or {}).items()}
    try:
        return Settings.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"{path}: airflow.{place}: {first['msg']}") from error


def overlay(connection: Connection, local: Parts) -> Json:
    """Return the arguments of Airflow's ``Connection``: the file's, with ``local`` laid over them."""
    declared = {
        "conn_type": connection.conn_type or None,
        "host": connection.conn_host or None,
        "schema": connection.conn_schema or None,
        "login": connection.conn_login or None,
        "password": connection.conn_password or None,
        "port": int(connection.conn_port) if connection.conn_port else None,
        "extra": connection.conn_extra or None,
    }
    if connection.conn_uri and not local:
        declared = {"uri": connection.conn_uri}
    return {**declared, **local}


def apply(settings: Settings, local: Mapping[str, Parts]) -> None:
    """Write the settings into Airflow's metadata database, over what is there.

    ``local`` holds, by connection id, what wins over the file: host, port, schema, login, password, extra.
    """
    from airflow.models import Connection as AirflowConnection
    from airflow.models import Pool as AirflowPool
    from airflow.models import Variable as AirflowVariable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    names = [c.conn_id for c in settings.connections]
    # The one login of before there was one a stage: the warehouse's owner.
    names += ["warehouse"] if any(name.startswith("warehouse_") for name in names) else []
    with create_session() as session:
        session.execute(delete(AirflowConnection).where(AirflowConnection.conn_id.in_(names)))
        for c in settings.connections:
            session.add(AirflowConnection(conn_id=c.conn_id, **overlay(c, local.get(c.conn_id, {}))))
    for pool in settings.pools:
        AirflowPool.create_or_update_pool(
            name=pool.pool_name,
            slots=pool.pool_slot,
            description=pool.pool_description,
            include_deferred=False,
        )
    for variable in settings.variables:
        AirflowVariable.set(variable.variable_name, variable.variable_value)
