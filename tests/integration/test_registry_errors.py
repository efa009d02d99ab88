"""What MLflow answers, or fails to, told as an error of ours: only what another try may cure is tried again."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from nightshift.errors import AccessDenied, NightshiftError, NotReady, RegistryRefused, Unreachable
from nightshift.registry import TRAINING_ID, Registry

pytestmark = pytest.mark.integration

JSON, TEXT = "application/json", "text/plain"


class Answering(BaseHTTPRequestHandler):
    """Gives every request the answer that the server was told."""

    def answer(self) -> None:
        server: Any = self.server
        status, kind, body = server.says
        time.sleep(server.delay)
        with suppress(BrokenPipeError):  # who asked did not wait
            self.respond(status, kind, body)

    def respond(self, status: int, kind: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    running: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    running.says, running.delay = (200, JSON, "{}"), 0
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(10)


def registry_at(server: Any) -> Registry:
    return Registry(f"http://127.0.0.1:{server.server_address[1]}")


# Reading an alias, a page and a file; beginning, logging, registering, promoting.
STEPS: dict[str, Callable[[Registry], object]] = {
    "champion": lambda r: r.champion("m"),
    "url": lambda r: r.url("0"),
    "file": lambda r: r.file("0", "model/model.skops"),
    "files": lambda r: r.files("0"),
    "run_of": lambda r: r.run_of("m", "t", tags={}),
    "log": lambda r: r.log("0", metrics={"a": 1.0}),
    "log_file": lambda r: r.log_file("0", "a/b.json", {}),
    "register": lambda r: r.register("m", "0", tags={}),
    "finish": lambda r: r.finish("0"),
    "promote": lambda r: r.promote("m", 1),
    "withdraw": lambda r: r.withdraw("m"),
    "versions": lambda r: r.versions("m"),
    "unfinished": lambda r: r.unfinished("m"),
    "orphan_run": lambda r: r.orphan_run("0", "why"),
    "adopt_version": lambda r: r.adopt_version("m", 1),
}
CURED_BY_ANOTHER_TRY = [
    (500, TEXT, "oops"),
    (500, JSON, json.dumps({"error_code": "INTERNAL_ERROR", "message": "database is locked"})),
    (502, TEXT, "<html>bad gateway</html>"),
    (503, JSON, json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"})),
    (504, TEXT, ""),
    (429, TEXT, "slow down"),
]
OF_OUR_LOGIN = [
    (401, TEXT, "You are not authenticated. Please see https://mlflow.org"),
    (403, JSON, json.dumps({"error_code": "PERMISSION_DENIED", "message": "Permission denied"})),
    (403, TEXT, "Invalid Host header"),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_fails_may_be_back_and_one_that_refuses_us_says_how_to_get_in(
    server: Any, step: str
) -> None:
    for says in CURED_BY_ANOTHER_TRY:
        server.says = says
        with pytest.raises(Unreachable, match="MLflow is down"):
            STEPS[step](registry_at(server))
    for says in OF_OUR_LOGIN:
        server.says = says
        with pytest.raises(AccessDenied, match="login and password of the connection `mlflow`"):
            STEPS[step](registry_at(server))


@pytest.mark.parametrize("step", STEPS)
def test_a_dead_server_is_unreachable_whatever_is_asked(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unreachable):
        STEPS[step](Registry("http://127.0.0.1:1"))


def test_a_server_that_hangs_is_unreachable_in_time(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server.delay = 3
    began = time.monotonic()
    with pytest.raises(Unreachable, match="time"):
        registry_at(server).champion("m")
    assert time.monotonic() - began < 3


def test_what_is_refused_for_another_reason_is_not_tried_again(server: Any) -> None:
    server.says = (400, JSON, json.dumps({"error_code": "INVALID_STATE", "message": "no"}))
    with pytest.raises(NightshiftError):
        registry_at(server).finish("0")
    server.says = (400, JSON, json.dumps({"error_code": "BAD_REQUEST", "message": "no"}))
    with pytest.raises(RegistryRefused, match=r"\(400\)") as refused:
        registry_at(server).finish("0")
    assert not isinstance(refused.value, AccessDenied)


# Against the real one


@pytest.fixture
def registry(mlflow_url: str) -> Registry:
    return Registry(mlflow_url)


@pytest.fixture
def model() -> str:
    return f"errors_{uuid4().hex[:8]}"


def test_what_is_not_there_is_no_outage(registry: Registry, model: str) -> None:
    run = registry.run_of(model, "t", tags={})
    registry.log_file(run, "a/there.json", {"a": 1})
    assert json.loads(registry.file(run, "a/there.json")) == {"a": 1}
    for path in ("a/absent.json", "absent.json", "model/model.skops"):
        with pytest.raises(NotReady, match=f"no artifact {path}"):
            registry.file(run, path)
    with pytest.raises(NotReady, match="not in MLflow"):
        registry.file("0" * 32, "a/there.json")
    with pytest.raises(NotReady, match="not in MLflow"):
        registry.url("0" * 32)
    assert registry.champion(model) is None
    version = registry.register(model, run, tags={})
    assert registry.champion(model) is None, "registered, and never promoted"
    registry.promote(model, version)
    assert registry.champion(model) == version


@pytest.mark.parametrize(
    "training", ["it's", 'a "b"', """'"'\\%_`""", "x'; DROP", "a\nb", "100%", "_", "plain 1", "ünï'"]
)
def test_a_training_is_found_again_by_its_id_whatever_that_is_made_of(
    registry: Registry, model: str, training: str
) -> None:
    other = registry.run_of(model, f"{training[:-1]}~", tags={})
    run = registry.run_of(model, training, tags={})
    assert registry.run_of(model, training, tags={}) == run != other
    assert [r.training_id for r in registry.unfinished(model) if r.run_id == run] == [training]


def test_a_run_that_failed_is_open_again_for_the_retry_and_a_mended_spec_begins_another(
    registry: Registry, model: str
) -> None:
    tags = {"nightshift.spec_sha256": "a", "nightshift.snapshot": "s"}
    run = registry.run_of(model, "t", tags=tags)
    with suppress(KeyboardInterrupt), registry.ending(run):
        registry.log(run, params={"depth": 1})
        raise KeyboardInterrupt
    assert status(registry, run) == "FAILED"
    assert registry.run_of(model, "t", tags=tags) == run
    assert status(registry, run) == "RUNNING"
    with registry.ending(run):
        registry.log(run, params={"depth": 1})
    assert status(registry, run) == "FINISHED"
    mended = registry.run_of(model, "t", tags={**tags, "nightshift.spec_sha256": "b"})
    assert mended != run
    registry.log(mended, params={"depth": 2})
    assert registry._client.get_run(mended).data.tags[TRAINING_ID] == "t"


def status(registry: Registry, run: str) -> str:
    return str(registry._client.get_run(run).info.status)
