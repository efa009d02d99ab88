"""Of all routes that the installed MLflow mounts, those on the list are open; a new one is for a person to judge."""

import json
import os
import re
import subprocess
import sys

import pytest

from nightshift.runtime import mlflow_routes
from nightshift.runtime.mlflow_routes import is_open

# Closed, and why nobody misses them.
CLOSED = {
    "runs commands on the server": r"/mlflow/assistant/|/jobs(/|$)|/prompt-optimization/|/scorers?/|/genai/",
    "calls other servers with kept keys": r" /gateway/|/mlflow/gateway|/webhooks|/mcp-servers|/promptlab|-promptlab-",
    "language models, which nobody here traces": r"/traces|/v1/traces|trace-artifact|trace-details|unified-traces"
    r"|/datasets(/|$)|/assessments|/label-schemas/|/review-queues/|/issues|/demo/|/prompts",
    "logged models, which no training makes": r"/logged-models(?!/search)|/runs/log-model|/runs/outputs",
    "deletes or brings back what versions are made of": r"/(experiments|runs|registered-models"
    r"|model-versions)/(delete|restore)$|DELETE .*/mlflow-artifacts/",
    "stages, which the ledger took over from": r"/model-versions/transition-stage",
    "another way to the files": r"/mlflow-artifacts/(mpu|presigned)/|/artifacts/presigned-|/upload-artifact|/build/",
    "accounts: there is one": r"/users/|/roles/|/signup|/permissions/|/workspaces",
    "tells others how the UI is used": r"/ui-telemetry",
    "GraphQL in an address": r"GET /graphql",
    "MLflow's own misspelling": r"/(ajax-)?api/2\.0mlflow/",
}
WALK = """
import json
import sys
from pathlib import Path
from nightshift.runtime.mlflow_server import Server, application, take_password
app = application(Server("127.0.0.1", 1, "file:///tmp", Path(sys.argv[1]), frozenset({"localhost:1"})))
from mlflow.server import app as flask
import os
from mlflow.server.auth import store
os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = "drawn-anew-77e25b"
take_password()
logins = [store.authenticate_user("nightshift", word) for word in ("drawn-anew-77e25b", "4f1c09ad77e25b3860d1")]
assert logins == [True, False], "the password of now, and no other"
hashed = []
authenticate = store.authenticate_user
store.authenticate_user = lambda *login, **more: hashed.append(login[1]) or authenticate(*login, **more)
words = ("drawn-anew-77e25b", "4f1c09ad77e25b3860d1", "drawn-anew-77e25b", "4f1c09ad77e25b3860d1")
search = "/api/2.0/mlflow/experiments/search?max_results=1"
answers = [flask.test_client().get(search, auth=("nightshift", word)).status_code for word in words]
assert answers == [200, 401, 200, 401], answers
assert hashed == [words[0], words[1], words[3]], "a login that was right is hashed once, a wrong one each time"
def walk(routes, prefix=""):
    for route in routes:
        path = prefix + (getattr(route, "path", "") or "")
        inner = getattr(route, "routes", None)
        yield from walk(inner, path) if inner else [(sorted(getattr(route, "methods", None) or ["*"]), path)]
rules = [(sorted(rule.methods), rule.rule) for rule in flask.url_map.iter_rules()]
print("ROUTES" + json.dumps([*walk(app.routes), *rules]))
"""


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return every route of our MLflow application as (method, template), each parameter as ``{}``."""
    folder = tmp_path_factory.mktemp("mlflow")
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_AUTH_ADMIN_USERNAME": "nightshift",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "4f1c09ad77e25b3860d1",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "4f1c09ad77e25b3860d1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(folder / "auth.ini")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.rpartition("ROUTES")[2])
    assert (folder / "auth.ini").stat().st_mode & 0o077 == 0
    return {
        (method, re.sub(r"<[^>]+>|\{[^}]+\}", "{}", path))
        for methods, path in found
        for method in methods
        # What Flask mounts all of: the catch-all of the FastAPI application.
        if (method, path) != ("*", "")
    }


def listed() -> set[tuple[str, str]]:
    """Return the routes of our list as (method, template)."""
    found = set()
    for line in (*mlflow_routes.PAGES, *mlflow_routes.READING, *mlflow_routes.WRITING):
        method, _, template = line.partition(" ")
        for api in ("/api", "/ajax-api"):
            path = template.replace("{api}", f"{api}/2.0/mlflow").replace("{api3}", f"{api}/3.0/mlflow")
            path = path.replace("{artifacts}", f"{api}/2.0/mlflow-artifacts/artifacts")
            found.add((method, re.sub(r"\{\w+\}", "{}", path)))
    return found


def test_what_is_open_of_mlflow_is_what_is_listed(routes: set[tuple[str, str]]) -> None:
    answered = {
        (method, path)
        for method, path in routes
        if method not in {"HEAD", "OPTIONS"} and is_open(method, path.replace("{}", "a1"))
    }
    assert answered <= listed()
    only_one_of_both = {
        "/api/2.0/mlflow/metrics/get-history-bulk",
        "/api/2.0/mlflow/experiments/search-datasets",
    }
    assert {(m, p) for m, p in listed() - answered if p not in only_one_of_both} == set(), "no such route"


def test_every_other_route_is_closed_for_a_reason(routes: set[tuple[str, str]]) -> None:
    closed = {(method, path) for method, path in routes - listed() if method not in {"HEAD", "OPTIONS"}}
    assert len(closed) > 200
    new = [
        f"{method} {path}"
        for method, path in sorted(closed)
        if not any(re.search(pattern, f"{method} {path}") for pattern in CLOSED.values())
    ]
    assert new == [], "new routes of MLflow: open them in mlflow_routes.py or say here why they stay closed"


@pytest.mark.parametrize("reason", CLOSED)
def test_no_reason_closes_what_is_open(reason: str) -> None:
    pattern = CLOSED[reason]
    assert [path for method, path in listed() if re.search(pattern, f"{method} {path}")] == []


ASSISTANT = "/ajax-api/3.0/mlflow/assistant/config"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ASSISTANT),
        ("GET", ASSISTANT.upper()),
        ("GET", "/api/2.0/mlflow/runs/get/"),
        ("GET", "//api/2.0/mlflow/runs/get"),
        ("GET", "/api//2.0/mlflow/runs/get"),
        ("GET", "/./api/2.0/mlflow/runs/get"),
        ("GET", "/API/2.0/mlflow/runs/get"),
        ("GET", "/api/2x0/mlflow/runs/get"),
        ("GET", "/api/2.0/mlflow/runs/get\n"),
        ("get", "/api/2.0/mlflow/runs/get"),
        ("OPTIONS", "/api/2.0/mlflow/runs/get"),
        ("TRACE", "/"),
        ("POST", "/"),
        ("GET", f"/static-files/../..{ASSISTANT}"),
        ("GET", f"/static-files/..{ASSISTANT}"),
        ("GET", "/static-files/a/."),
        ("GET", "/static-files//a"),
        ("GET", "/static-files/a\\..\\b"),
        ("GET", "/static-files/a\x00b"),
        ("GET", "/static-files/"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/../2/model.skops"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/.."),
        ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/model.skops"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts"),
        ("", ""),
    ],
)
def test_a_path_that_is_written_otherwise_is_closed(method: str, path: str) -> None:
    assert not is_open(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/health"),
        ("GET", "/static-files/static/js/main.4f1c.js"),
        ("GET", "/ajax-api/2.0/mlflow/runs/get"),
        ("POST", "/api/2.0/mlflow/runs/log-batch"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/4f1c/artifacts/what it says …/..model.skops"),
    ],
)
def test_what_trainings_and_people_need_is_open(method: str, path: str) -> None:
    assert is_open(method, path)
