"""Kept files in Airflow's UI: the catalog, data docs, drift reports and explorations, for who may see their DAG.

Airflow does not authenticate the apps that plugins mount: every route here takes ``GetUserDep``, and asks the
auth manager for the DAG. What is absent and what is forbidden look the same. Pages are served in a sandbox (no
origin, no access to the session), whatever a data value in them may try.
"""

from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from nightshift.kept import CATALOG
from nightshift.orchestration.cockpit import Lazy
from nightshift.orchestration.links import file_url

if TYPE_CHECKING:
    from fastapi import FastAPI


def _app() -> "FastAPI":
    from airflow.api_fastapi import app as airflow_app
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.api_fastapi.core_api.security import GetUserDep
    from fastapi import FastAPI, HTTPException, Response

    from nightshift.kept import SERVED, dag_of, sent_as
    from nightshift.objects import Objects
    from nightshift.orchestration.files import objects_root, policy_of

    app = FastAPI(title="Nightshift files", docs_url=None, redoc_url=None, openapi_url=None)

    def may_see(user: GetUserDep, dag_id: str) -> bool:
        manager = airflow_app.get_auth_manager()
        return manager.is_authorized_dag(method="GET", details=DagDetails(id=dag_id), user=user)

    @app.get("/{key:path}")
    def file(key: str, user: GetUserDep) -> Response:
        """Return a kept page or notebook by its key."""
        if not (SERVED.fullmatch(key) and may_see(user, dag_of(key))):
            raise HTTPException(404, "no such file")
        try:
            content = Objects(objects_root()).get(key)
        except (FileNotFoundError, ValueError) as error:
            raise HTTPException(404, "no such file") from error
        media_type, more = sent_as(key)
        headers = {
            **more,
            "Content-Security-Policy": policy_of(key),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(content, media_type=media_type, headers=headers)

    return app


class NightshiftFiles(AirflowPlugin):
    """Mounts the app below ``/nightshift/files``, and opens the catalog from the navigation."""

    name = "nightshift_files"
    # In a tab of its own: in Airflow's frame, which has no session to pass on, the page's links would lead nowhere.
    external_views = [{"name": "Catalog", "href": file_url(CATALOG), "destination": "nav"}]
    fastapi_apps = [{"app": Lazy(_app), "url_prefix": "/nightshift/files", "name": "Nightshift files"}]
