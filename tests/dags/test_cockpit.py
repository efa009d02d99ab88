"""The cockpit's plugin as Airflow sees it: light, whole, and one script registered three times."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightshift.cockpit.bundle import FILES, FOLDER, bundle, bundle_name

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = REPOSITORY / "plugins" / "nightshift_cockpit.py"
MOST_BYTES = 60_000
MOST_CPU_MILLISECONDS = 20
# Names that a browser has already: Airflow would draw those instead.
LOADED = """
import json, sys, time
import airflow.plugins_manager
import nightshift.orchestration.timetable
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
began = time.process_time()
import nightshift_cockpit
spent = time.process_time() - began
print("LOADED" + json.dumps([1000 * spent, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def plugin() -> Any:
    spec = importlib.util.spec_from_file_location("cockpit_plugin", PLUGIN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NightshiftCockpit


def test_every_component_imports_it_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(PLUGIN.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120)
    spent, loaded = json.loads(done.stdout.rpartition("LOADED")[2])
    assert spent <= MOST_CPU_MILLISECONDS
    heavy = (
        "fastapi",
        "pandas",
        "psycopg2",
        "nightshift.specs",
        "nightshift.database",
        "airflow.api_fastapi",
    )
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_no_registration_is_dropped(plugin: Any) -> None:
    """One wrong field, and Airflow leaves out the whole plugin with a warning in its log."""
    from airflow.api_fastapi.core_api.datamodels.plugins import ReactAppResponse

    apps = [ReactAppResponse.model_validate(app) for app in plugin.react_apps]
    assert {app.destination: app.name for app in apps} == {
        "nav": "Fleet",
        "dag": "Model",
        "dashboard": "Nightshift Cockpit",
    }
    known = {
        "name",
        "bundle_url",
        "destination",
        "url_route",
        "nav_top_level",
        "icon",
        "icon_dark_mode",
        "category",
    }
    assert {key for app in plugin.react_apps for key in app} <= known
    routes = [app.url_route for app in apps if app.url_route]
    assert len(routes) == len(set(routes)) == 2
    for app in apps:
        assert app.bundle_url == f"nightshift/api/{bundle_name()}"
        assert f'globalThis["{app.name}"] = ' in bundle()


def test_the_script_is_small_and_named_by_its_content() -> None:
    assert len(bundle().encode()) <= MOST_BYTES
    assert set(FILES) == {path.stem for path in FOLDER.glob("*.js")}
    assert bundle_name().startswith("cockpit-")
    assert bundle_name().endswith(".js")


def test_the_script_makes_no_markup_of_data_and_asks_nobody_else() -> None:
    for word in (
        "dangerouslySetInnerHTML",
        "innerHTML",
        "insertAdjacent",
        "eval(",
        "http://",
        "https://",
        "#fff",
    ):
        assert word not in bundle(), word
