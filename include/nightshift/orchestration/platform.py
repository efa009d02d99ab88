"""From Airflow's connections to the handles that stages work with. Secrets stay in the connections."""

import os
from functools import partial
from typing import Any

from airflow.sdk import Connection as AirflowConnection

from nightshift.collect import Connection
from nightshift.orchestration.connections import find, warehouse_url
from nightshift.orchestration.files import objects_root
from nightshift.registry import Registry
from nightshift.specs import Project
from nightshift.stages import Platform


def platform(project: Project, role: str) -> Platform:
    """Return the handles of this task: connections ``warehouse_<role>`` and ``mlflow``, and the file store.

    Raises:
        SpecError: a connection is missing.
    """
    return Platform.of(
        project,
        registry(),
        warehouse=warehouse_url(role),
        objects=objects_root(),
        connection=source_connection,
    )


def registry() -> Registry:
    """Return the model registry.

    The connection's login, if any, goes to MLflow's own environment variables, not into the URI, which MLflow
    logs. ``public_url`` in its extra is where people reach the server, if that differs.
    """
    found = find("mlflow")
    if found.login:
        os.environ["MLFLOW_TRACKING_USERNAME"] = found.login
        os.environ["MLFLOW_TRACKING_PASSWORD"] = found.password or ""
    uri = f"{found.schema or 'http'}://{found.host}:{found.port or 5000}"
    return Registry(uri, found.extra_dejson.get("public_url"))


def source_connection(conn_id: str) -> Connection:
    """Return a source's connection. Raises SpecError if Airflow has none of that id."""
    found = find(conn_id)
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
