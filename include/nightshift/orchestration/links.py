"""Links from a task to what it made: the MLflow run, a report, the data docs, a notebook."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink, XComArg


class ResultLink(BaseOperatorLink):
    """A link whose address the task returned in a field, or pushed under that name before it failed."""

    def __init__(self, name: str, field: str) -> None:
        self._name = name
        self.field = field

    @property
    def name(self) -> str:
        """The button's text."""
        return self._name

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address, or nothing if the task left none. Runs in the task's process."""
        from airflow.sdk.execution_time.xcom import XCom

        # Airflow pushes each field of a returned dictionary under its own name too.
        return str(XCom.get_value(ti_key=ti_key, key=self.field) or "")


def linked(output: Any, name: str, field: str) -> Any:
    """Give the task behind ``output`` a link; return ``output``."""
    if isinstance(output, XComArg):
        operator = output.operator
        operator.operator_extra_links = (*operator.operator_extra_links, ResultLink(name, field))
    return output


def file_url(key: str) -> str:
    """Return the address of a kept file in Airflow's UI (the plugin ``nightshift_files`` serves it)."""
    return f"{_base_url()}/nightshift/files/{key}"


def run_url(dag_run: Any) -> str:
    """Return the address of a run's page in Airflow's UI."""
    return f"{_base_url()}/dags/{dag_run.dag_id}/runs/{quote(dag_run.run_id)}"


def dag_url(dag_id: str) -> str:
    """Return the address of a DAG's page in Airflow's UI."""
    return f"{_base_url()}/dags/{dag_id}"


def alert_url(dag_id: str | None) -> str:
    """Return where an alert leads: the page of its DAG, or Airflow's first page."""
    return dag_url(dag_id) if dag_id else f"{_base_url()}/"


def _base_url() -> str:
    from airflow.configuration import conf

    return (conf.get("api", "base_url", fallback="/") or "/").rstrip("/")
