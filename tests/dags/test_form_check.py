"""What contradicts itself in a form is answered before there is a run; all else reaches Airflow as it was sent."""

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from nightshift.orchestration.form_check import LARGEST_FORM

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "nightshift_forms.py"
COLLECT = "/api/v2/dags/collect_weather/dagRuns"
REVERSED = {"batch_date": "2013-02-08", "until": "2013-02-01"}


async def airflow(scope: dict, receive: Any, send: Any) -> None:
    """Answers with what it was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def post(path: str, content: bytes, method: str = "POST") -> httpx.Response:
    found = importlib.util.spec_from_file_location("plugin", PLUGIN)
    plugin = importlib.util.module_from_spec(found)
    found.loader.exec_module(plugin)
    (entry,) = plugin.NightshiftForms.fastapi_root_middlewares
    app = entry["middleware"](airflow)

    async def parts() -> Any:
        for start in range(0, len(content), 1 << 20):
            yield content[start : start + (1 << 20)]

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, content=parts())

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("dag_id", "conf", "says"),
    [
        ("collect_weather", REVERSED, "until: 2013-02-01 lies before batch_date 2013-02-08"),
        ("collect_weather", {"until": "2013-02-01"}, "until: give batch_date too"),
        (
            "collect_weather",
            {"batch_date": "2013-02-30", "until": None},
            "batch_date: '2013-02-30' is not a cal",
        ),
        (
            "explore_source_weather",
            {"compare_from": "2013-02-08", "compare_until": "2013-02-01"},
            "compare_until: ",
        ),
        (
            "replay_quarantine_weather",
            {"action": "discard", "rule": None, "reason": None},
            "reason: needed to",
        ),
        (
            "train_late_arrival",
            {"imported": "a" * 64, "trained_until": None},
            "imported, trained_until: give",
        ),
        ("predict_late_arrival", {"keys": None, "where": None}, "give either keys or where"),
    ],
)
def test_a_form_that_contradicts_itself_is_answered_in_words(dag_id: str, conf: dict, says: str) -> None:
    answer = post(f"/api/v2/dags/{dag_id}/dagRuns", json.dumps({"logical_date": None, "conf": conf}).encode())
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(says)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (COLLECT, json.dumps({"conf": {"batch_date": "2013-02-01", "until": "2013-02-08"}}).encode()),
        (COLLECT, json.dumps({"conf": {}}).encode()),
        (COLLECT, json.dumps({"conf": None}).encode()),
        (COLLECT, b'{"conf": ["until"]}'),
        (COLLECT, b"[]"),
        (COLLECT, b"{"),
        (COLLECT, b"\xff"),
        (COLLECT, b""),
        (COLLECT, b"[" * 100_000),
        (COLLECT, b" " * (LARGEST_FORM + 2) + json.dumps({"conf": REVERSED}).encode()),
        ("/api/v2/dags/another_teams/dagRuns", json.dumps({"conf": REVERSED}).encode()),
        ("/api/v2/dags/collect_weather/clearTaskInstances", json.dumps({"conf": REVERSED}).encode()),
    ],
)
def test_all_else_is_airflows_to_judge_and_reaches_it_as_it_was_sent(path: str, content: bytes) -> None:
    answer = post(path, content)
    assert answer.status_code == 200
    assert answer.content == content
