"""Where Airflow's UI shows the cockpit. Light: every component of Airflow imports every plugin."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from nightshift.cockpit.bundle import bundle_name
from nightshift.freeform import Json

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/nightshift/api"


class Lazy:
    """An ASGI app that is made when it is first asked for."""

    def __init__(self, make: Callable[[], "FastAPI"]) -> None:
        self.made = cache(make)

    @property
    def routes(self) -> Any:
        """The routes of the app."""
        return self.made().routes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        await self.made()(scope, receive, send)


def api() -> "FastAPI":
    """Return the app of the API and of the script that draws its answers."""
    from nightshift.orchestration.cockpit_api import app

    return app()


def react_apps() -> list[Json]:
    """Return where the script is shown: in the navigation, as a tab of each DAG, and on Home."""
    url = f"{PREFIX.lstrip('/')}/{bundle_name()}"
    fleet = {"destination": "nav", "url_route": "nightshift", "nav_top_level": True}
    tab = {"destination": "dag", "url_route": "nightshift_model"}
    return [
        {"name": "Fleet", "bundle_url": url, **fleet},
        {"name": "Model", "bundle_url": url, **tab},
        {"name": "Nightshift Cockpit", "bundle_url": url, "destination": "dashboard"},
    ]
