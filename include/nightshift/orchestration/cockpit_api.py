"""The cockpit's API: GET only, for who is logged in, and of each DAG for who may see it. The API server imports it.

Airflow does not authenticate the apps that plugins mount: every route takes ``GetUserDep``. What is absent and what is
forbidden look the same. Answers are kept for seconds: many browsers that look at a page ask the warehouse once.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import cache, partial
from typing import Any, TypeVar

from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.exceptions import AirflowNotFoundException
from airflow.models import Connection
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter

from nightshift.cockpit import alarms
from nightshift.cockpit import answers as cockpit
from nightshift.cockpit.bundle import bundle, bundle_name
from nightshift.cockpit.standing import Tonight
from nightshift.database import Readings
from nightshift.errors import NightshiftError, RequestError, SpecError
from nightshift.orchestration.connections import postgres_url
from nightshift.orchestration.telemetry import event
from nightshift.records.cockpit import NEWEST_NIGHT
from nightshift.specs import Project, load_project
from nightshift.specs.derived import OF_THE_PROJECT, STAGES, Named, dag_id

KEPT_SECONDS, SPECS_SECONDS = 5.0, 30.0
MOST_KEPT = 500
# Pages with forms, which are for who may start them: made anew for each reader, ...
WITH_FORMS = (cockpit.ModelPage, cockpit.DataPage, alarms.AlertsPage)
# ... or made once for all who see the same, and forms taken out of them for each.
FOR: dict[type, Callable[..., Any]] = {
    cockpit.Fleet: cockpit.fleet_for,
    cockpit.NightPage: cockpit.night_for,
}
T = TypeVar("T")


def told(request: Request, user: GetUserDep) -> Iterator[None]:
    """Tell of a request that was answered: who asked for what, how it ended and how long it took."""
    began, status = time.monotonic(), 200
    try:
        yield
    except Exception as error:
        status = getattr(error, "status_code", 422 if isinstance(error, RequestValidationError) else 500)
        raise
    finally:
        took = round(1000 * (time.monotonic() - began), 1)
        path = request.url.path
        event("request", datetime.now(UTC), user=user.get_name(), path=path, status=status, milliseconds=took)


router = APIRouter(dependencies=[Depends(told)])


def app() -> FastAPI:
    """Return the app: what it answers is described at ``/openapi.json``, to who is logged in."""
    made = FastAPI(title="Nightshift cockpit", version="1", docs_url=None, redoc_url=None, openapi_url=None)

    @made.get("/openapi.json", include_in_schema=False)
    def described(user: GetUserDep) -> dict[str, Any]:
        """Return what this API answers."""
        return made.openapi()

    made.include_router(router)
    return made


@router.get("/fleet", response_model=cockpit.Fleet)
def fleet(user: GetUserDep, night: date | None = None) -> Response:
    """Return every model, the one that needs somebody first."""
    return _answer(cockpit.Fleet, user, night, cockpit.fleet)


@router.get("/models/{name}", response_model=cockpit.ModelPage)
def model(name: str, user: GetUserDep, night: date | None = None) -> Response:
    """Return a model over a year of nights."""
    return _answer(cockpit.ModelPage, user, night, partial(cockpit.model_page, name=name), name)


@router.get("/nights/{night}", response_model=cockpit.NightPage)
def one_night(night: date, user: GetUserDep) -> Response:
    """Return what a night came to, in the order of the stages."""
    return _answer(cockpit.NightPage, user, night, cockpit.night_page)


@router.get("/data", response_model=cockpit.DataPage)
def data(user: GetUserDep, night: date | None = None) -> Response:
    """Return the sources and feature sets, and what waits in quarantine."""
    return _answer(cockpit.DataPage, user, night, cockpit.data_page)


@router.get("/alerts", response_model=alarms.AlertsPage)
def alerts(user: GetUserDep) -> Response:
    """Return what is wrong now, the worst first."""
    return _answer(alarms.AlertsPage, user, None, alarms.alerts_page)


@router.get("/{name}.js", include_in_schema=False)
def script(name: str, user: GetUserDep) -> Response:
    """Return the script that draws the pages."""
    if f"{name}.js" != bundle_name():
        raise HTTPException(404, "not found")
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(bundle(), media_type="text/javascript", headers=headers)


def _answer(kind: type, user: Any, night: date | None, make: Callable[..., Any], about: str = "") -> Response:
    """Return a page of a kind as somebody may see it, as JSON. 404: not there, or not for him; 503: no warehouse."""
    try:
        project = SPECS.get("", load_project)
        page = _page(kind, user, project, night, make, about)
    except RequestError as error:
        raise HTTPException(404, "not found") from error
    except NightshiftError as error:
        raise HTTPException(503, str(error)) from error
    if page is None:
        raise HTTPException(404, "not found")
    content = TypeAdapter(kind).dump_json(page)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def _page(
    kind: type, user: Any, project: Project, night: date | None, make: Callable[..., Any], about: str
) -> Any:
    sees = airflow_app.get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    mine = frozenset(sees & _dags(project))
    at = _looked_at(project, night)
    key = (kind, about, at, mine)

    def may_start(dag: str) -> bool:
        return dag in mine and _may_start(user, dag)

    def made() -> Any:
        rights = {"may_start": may_start} if kind in WITH_FORMS else {}
        return make(warehouse(), project, at, may_see=mine.__contains__, **rights)

    def for_him() -> Any:
        return FOR[kind](PAGES.get(key, made), may_start) if kind in FOR else made()

    return PAGES.get((*key, user.get_id()), for_him)


def _may_start(user: Any, dag: str) -> bool:
    """Whether somebody may start a DAG: what Airflow's own API asks before it does."""
    return airflow_app.get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag), user=user
    )


class Kept:
    """Values that are good for some seconds; of several who ask for one at once, one makes it."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._found: dict[object, tuple[float, Any]] = {}
        self._locks: dict[object, threading.Lock] = {}

    def get(self, key: object, make: Callable[[], T]) -> T:
        """Return the value of ``key``, made anew if it is too old."""
        if len(self._locks) > MOST_KEPT:
            self._found, self._locks = {}, {}
        with self._locks.setdefault(key, threading.Lock()):
            made, value = self._found.get(key, (float("-inf"), None))
            if self._clock() - made >= self._seconds:
                value = make()
                self._found[key] = (self._clock(), value)
            return value


PAGES, SPECS = Kept(KEPT_SECONDS), Kept(SPECS_SECONDS)


def _looked_at(project: Project, night: date | None) -> Tonight:
    now = datetime.now(UTC)
    at = PAGES.get(
        "tonight", lambda: cockpit.tonight(project.calendar, project.settings.begins, now, _newest)
    )
    if night is None or night == at.night:
        return at
    return Tonight(project.calendar.check(night), due=night < at.night)


def _newest() -> date | None:
    found = warehouse().one(NEWEST_NIGHT)
    return found.night if found else None


def _dags(project: Project) -> set[str]:
    """Return the DAGs of all specs, and the project's."""
    specs: list[Named] = [*project.sources.values(), *project.feature_sets.values(), *project.models.values()]
    return {*OF_THE_PROJECT, *(dag_id(stage, spec) for spec in specs for stage in STAGES[type(spec)])}


@cache
def warehouse() -> Readings:
    """Return the warehouse as its reader sees it: connection ``warehouse_reader``, else as a stage does that reads all.

    Raises:
        SpecError: there is no such connection.
    """
    for name in ("warehouse_reader", "warehouse_describe", "warehouse"):
        try:
            return Readings(postgres_url(Connection.get_connection_from_secrets(name)))
        except AirflowNotFoundException:
            continue
    raise SpecError(
        "connection 'warehouse_reader' is missing; add it in Airflow (Admin, Connections) or in airflow_settings.yaml"
    )
