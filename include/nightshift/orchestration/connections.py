"""From Airflow's connections to the handles that stages work with. Secrets stay in the connections."""

import os
from functools import partial
from typing import Any
from urllib.parse import quote

from airflow.sdk import Connection as AirflowConnection
from airflow.sdk.exceptions import AirflowNotFoundException

from nightshift.collect import Connection
from nightshift.errors import SpecError
from nightshift.objects import Objects
from nightshift.orchestration.files import objects_root
from nightshift.registry import Registry
from nightshift.specs import Project
from nightshift.stages import Platform
from nightshift.warehouse import Warehouse


def platform(project: Project) -> Platform:
    """Return the handles of this task: connections ``warehouse`` and ``mlflow``, and the file store.

    Raises:
        SpecError: a connection is missing.
    """
    return Platform(
        project=project,
        warehouse=Warehouse(warehouse_url()),
        registry=registry(),
        objects=Objects(objects_root()),
        connection=source_connection,
    )


def warehouse_url() -> str:
    """Return the warehouse's ``postgresql://`` URL."""
    found = _find("warehouse")
    login = f"{quote(found.login or '', safe='')}:{quote(found.password or '', safe='')}"
    return f"postgresql://{login}@{found.host}:{found.port or 5432}/{found.schema or 'warehouse'}"


def registry() -> Registry:
    """Return the model registry.

    The connection's login, if any, goes to MLflow's own environment variables, not into the URI, which MLflow
    logs. ``public_url`` in its extra is where people reach the server, if that differs.
    """
    found = _find("mlflow")
    if found.login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = found.login
        os.environ["MLFLOW_TRACKING_PASSWORD"] = found.password or ""
    uri = f"{found.schema or 'http'}://{found.host}:{found.port or 5000}"
    return Registry(uri, found.extra_dejson.get("public_url"))


def source_connection(conn_id: str) -> Connection:
    """Return a source's connection. Raises SpecError if Airflow has none of that id."""
    found = _find(conn_id)
    return Connection(
        id=conn_id,
        kind=found.conn_type,
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra=found.extra_dejson,
        engine=partial(_engine, found),
    )


def _engine(found: AirflowConnection) -> Any:
    return found.get_hook().get_sqlalchemy_engine()


def _find(conn_id: str) -> AirflowConnection:
    try:
        return AirflowConnection.get(conn_id)
    except AirflowNotFoundException as error:
        raise SpecError(
            f"connection '{conn_id}' is missing; add it in Airflow (Admin, Connections) or in airflow_settings.yaml"
        ) from error
