"""Which of MLflow's routes are open: those on this list, and no other.

MLflow mounts more than a tracking server needs, and more with each version: an Assistant that runs commands,
a gateway to language models, a registry of MCP servers, jobs, webhooks, traces, users, workspaces. What is not
on the list is answered with 404 before MLflow sees it. A test walks all routes of the installed version and
fails where one is neither on this list nor on its list of closed ones.
"""

import re

from nightshift.hosts import App, Receive, Scope, Send, refuse

# What a template's parts stand for. No segment is empty, `.` or `..`; nothing is a control character.
SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+"
PARTS = {
    "{api}": r"/(?:ajax-)?api/2\.0/mlflow",
    "{api3}": r"/(?:ajax-)?api/3\.0/mlflow",
    "{artifacts}": r"/(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts",
    "{id}": r"[A-Za-z0-9_-]+",
    "{path}": rf"{SEGMENT}(?:/{SEGMENT})*",
}

# The UI itself, and whether the server is there.
PAGES = (
    "GET /",
    "GET /health",
    "GET /version",
    "GET /static-files/{path}",
    "GET {api3}/server-info",
)
# Looking: experiments, runs, models, artifacts.
READING = (
    "GET {api}/experiments/get",
    "GET {api}/experiments/get-by-name",
    "GET {api}/experiments/search",
    "POST {api}/experiments/search",
    "POST {api}/experiments/search-datasets",
    "GET {api}/runs/get",
    "POST {api}/runs/search",
    "POST /graphql",  # the page of a run; it can only read
    "POST {api}/logged-models/search",  # the list of runs asks for them, and shows nothing without an answer
    "GET {api}/metrics/get-history",
    "GET {api}/metrics/get-history-bulk",
    "GET {api}/metrics/get-history-bulk-interval",
    "GET {api}/artifacts/list",
    "GET {artifacts}",
    "GET {artifacts}/{path}",
    "GET /get-artifact",
    "GET /model-versions/get-artifact",
    "GET {api}/registered-models/get",
    "GET {api}/registered-models/search",
    "GET {api}/registered-models/alias",
    "GET {api}/registered-models/get-latest-versions",
    "POST {api}/registered-models/get-latest-versions",
    "GET {api}/model-versions/get",
    "GET {api}/model-versions/search",
    "GET {api}/model-versions/get-download-uri",
)
# What trainings write, and what people note beside it. Nothing is deleted through MLflow but tags and aliases.
WRITING = (
    "POST {api}/experiments/create",
    "POST {api}/experiments/update",
    "POST {api}/experiments/set-experiment-tag",
    "POST {api}/experiments/delete-experiment-tag",
    "POST {api}/runs/create",
    "POST {api}/runs/update",
    "POST {api}/runs/log-batch",
    "POST {api}/runs/log-inputs",
    "POST {api}/runs/log-metric",
    "POST {api}/runs/log-parameter",
    "POST {api}/runs/set-tag",
    "POST {api}/runs/delete-tag",
    "PUT {artifacts}/{path}",
    "POST {api}/registered-models/create",
    "POST {api}/registered-models/rename",
    "PATCH {api}/registered-models/update",
    "POST {api}/registered-models/set-tag",
    "DELETE {api}/registered-models/delete-tag",
    "POST {api}/registered-models/alias",
    "DELETE {api}/registered-models/alias",
    "POST {api}/model-versions/create",
    "PATCH {api}/model-versions/update",
    "POST {api}/model-versions/set-tag",
    "DELETE {api}/model-versions/delete-tag",
)

# In MLflow's own form: its pages and clients read every answer as JSON.
NOT_HERE = '{"error_code": "ENDPOINT_NOT_FOUND", "message": "This server does not serve that."}'


def is_open(method: str, path: str) -> bool:
    """Whether MLflow may answer ``method`` on the decoded ``path``. HEAD is a GET without its body."""
    pattern = _OPEN.get("GET" if method == "HEAD" else method)
    return bool(pattern and pattern.fullmatch(path))


class Door:
    """An ASGI app that passes on what is on the list, and answers 404 to all else."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope.get("root_path") and is_open(scope["method"], scope["path"]):
            await self.app(scope, receive, send)
        else:
            await refuse(scope, send, 404, NOT_HERE)


def _pattern(template: str) -> str:
    return "".join(PARTS.get(part, re.escape(part)) for part in re.split(r"(\{\w+\})", template))


def _by_method() -> dict[str, re.Pattern[str]]:
    templates: dict[str, list[str]] = {}
    for line in (*PAGES, *READING, *WRITING):
        method, _, template = line.partition(" ")
        templates.setdefault(method, []).append(_pattern(template))
    return {method: re.compile("|".join(patterns), re.ASCII) for method, patterns in templates.items()}


_OPEN = _by_method()
