"""Explorations as Airflow sees them: one DAG a source and a set, forms, links, and which files are served."""

import asyncio
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError

from nightshift.objects import Objects
from nightshift.specs import load_project

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dags() -> dict:
    bag = DagBag(str(REPOSITORY / "dags" / "explore.py"))
    assert not bag.import_errors
    return bag.dags


def test_every_source_and_every_feature_set_can_be_explored_by_hand_only(dags: dict) -> None:
    project = load_project()
    sources = {f"explore_source_{name}" for name in project.sources}
    sets = {f"explore_features_{name}" for name in project.feature_sets}
    assert set(dags) == sources | sets
    for dag in dags.values():
        assert not dag.timetable.can_be_scheduled
        assert [task.task_id for task in dag.tasks] == ["explore"]
        assert "explore" in dag.tags


def test_the_task_links_to_the_report_and_the_notebook(dags: dict) -> None:
    for dag in dags.values():
        links = {link.name: link.field for link in dag.get_task("explore").operator_extra_links}
        assert links == {"Report": "report_url", "Notebook": "notebook_url"}


def test_the_form_offers_the_models_on_the_set_and_bounds_the_sample(dags: dict) -> None:
    assert "target" not in dags["explore_source_weather"].params
    params = dags["explore_features_departure"].params
    target = params.get_param("target")
    assert (target.value, target.schema["enum"]) == ("arrival_delay", ["arrival_delay", "late_arrival", None])
    sample = params.get_param("sample")
    assert sample.value == 50_000
    for wrong in (0, 10**9, "all"):
        with pytest.raises(ParamValidationError):
            sample.resolve(wrong)


HASH = "ab" * 32
FOLDER = "explorations/features_departure"


# Files of DAGs that the auth manager of these tests shows to nobody.
FORBIDDEN = {
    "reports/late_arrival/2013-02-08.html": "monitor_late_arrival",
    "data_docs/flights/2013-02-08.html": "collect_flights",
    "catalog/index.html": "catalog",
    f"explorations/source_flights/{HASH}.html": "explore_source_flights",
    f"reproductions/late_arrival/{HASH}.html": "reproduce_late_arrival",
    "cards/late_arrival/1/card.html": "train_late_arrival",
}
Ask = Callable[[str], httpx.Response]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Return what the plugin answers about a store that holds one exploration, to somebody who is logged in."""
    root = tmp_path_factory.mktemp("objects")
    for suffix in ("html", "ipynb", "parquet", "html.part"):
        Objects(str(root)).put(f"{FOLDER}/{HASH}.{suffix}", b"content")
    Objects(str(root)).put(f"snapshots/late_arrival/{HASH}.parquet", b"rows")
    for key in FORBIDDEN:
        Objects(str(root)).put(key, b"content")
    app = plugin_app()

    class Manager:
        """Lets everybody see one DAG."""

        def is_authorized_dag(self, *, method: str, details: Any, user: object) -> bool:
            return method == "GET" and details.id == "explore_features_departure"

    async def get(key: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(f"/{key}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIGHTSHIFT_OBJECTS", str(root))
        patch.setattr("airflow.api_fastapi.app.get_auth_manager", Manager)
        yield lambda key: asyncio.run(get(key))


def plugin_app():  # type: ignore[no-untyped-def]
    """Return the plugin's app with somebody logged in."""
    spec = importlib.util.spec_from_file_location("plugin", REPOSITORY / "plugins" / "nightshift_files.py")
    assert spec
    assert spec.loader
    plugin = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        # What the API server imports warns of its own imports.
        warnings.simplefilter("ignore")
        from airflow.api_fastapi.core_api.security import get_user

        spec.loader.exec_module(plugin)
    app = plugin.NightshiftFiles.fastapi_apps[0]["app"].made()
    app.dependency_overrides[get_user] = lambda: None
    return app


def test_a_report_is_a_page_in_a_sandbox_and_a_notebook_a_download(ask: Ask) -> None:
    page = ask(f"{FOLDER}/{HASH}.html")
    assert (page.status_code, page.content) == (200, b"content")
    assert page.headers["content-type"].startswith("text/html")
    assert "content-disposition" not in page.headers
    book = ask(f"{FOLDER}/{HASH}.ipynb")
    assert (book.status_code, book.headers["content-type"]) == (200, "application/x-ipynb+json")
    assert (
        book.headers["content-disposition"] == 'attachment; filename="features_departure-abababababab.ipynb"'
    )
    for answer in (page, book):
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "script" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("key", FORBIDDEN)
def test_who_may_not_see_the_dag_does_not_see_that_its_file_is_there(ask: Ask, key: str) -> None:
    answer, absent = ask(key), ask(key.replace("departure", "absent").replace("late_arrival", "absent"))
    assert (answer.status_code, answer.content) == (absent.status_code, absent.content)
    assert answer.status_code == 404


def test_every_kind_of_file_belongs_to_a_dag_that_there_is() -> None:
    from nightshift.kept import dag_of
    from nightshift.orchestration.files import policy_of
    from nightshift.specs import load_project

    assert {key: dag_of(key) for key in FORBIDDEN} == FORBIDDEN
    assert {key for key in FORBIDDEN if "script" in policy_of(key)} == {
        "reports/late_arrival/2013-02-08.html"
    }
    assert "late_arrival" in load_project().models


@pytest.mark.parametrize(
    "key",
    [
        f"{FOLDER}/{HASH}.parquet",
        f"{FOLDER}/{HASH}.html.part",
        f"{FOLDER}/{HASH[:-1]}.html",
        f"{FOLDER}/%2e%2e/features_departure/{HASH}.html",
        f"explorations/{HASH}.html",
        f"reports/features_departure/{HASH}.html",
        f"snapshots/late_arrival/{HASH}.parquet",
    ],
)
def test_nothing_else_of_an_exploration_is_served(ask: Ask, key: str) -> None:
    assert ask(key).status_code == 404
