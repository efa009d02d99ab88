"""Kept files in Airflow's UI: the catalog, data docs, drift reports and explorations, for whoever is logged in.

Airflow does not authenticate the apps that plugins mount: every route here takes ``GetUserDep``. Pages are
served in a sandbox (no origin, no access to the session), whatever a data value in them may try.
"""

from airflow.plugins_manager import AirflowPlugin

from nightshift.orchestration.files import CATALOG
from nightshift.orchestration.links import file_url


def _app():
    from airflow.api_fastapi.core_api.security import GetUserDep
    from fastapi import FastAPI, HTTPException, Response

    from nightshift.objects import Objects
    from nightshift.orchestration.files import SERVED, objects_root, sent_as

    app = FastAPI(title="Nightshift files", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/files/{key:path}")
    def file(key: str, user: GetUserDep) -> Response:
        """Return a kept page or notebook by its key."""
        if not SERVED.fullmatch(key):
            raise HTTPException(404, "no such file")
        try:
            content = Objects(objects_root()).get(key)
        except (FileNotFoundError, ValueError) as error:
            raise HTTPException(404, "no such file") from error
        media_type, more = sent_as(key)
        headers = {
            **more,
            "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' "
            "'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; font-src data:",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(content, media_type=media_type, headers=headers)

    return app


class NightshiftFiles(AirflowPlugin):
    """Mounts the app below ``/nightshift``, and opens the catalog from the navigation."""

    name = "nightshift_files"
    external_views = [
        {"name": "Catalog", "href": file_url(CATALOG), "url_route": "catalog", "destination": "nav"}
    ]
    fastapi_apps = [{"app": _app(), "url_prefix": "/nightshift", "name": "Nightshift files"}]
