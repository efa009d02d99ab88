"""A night's verdict is waited for until its deadline; one that is there is seen whenever it is looked for."""

import asyncio
import time

import pytest

from nightshift.orchestration import connections, sensors
from nightshift.orchestration.sensors import VerdictTrigger


def said(monkeypatch: pytest.MonkeyPatch, deadline: float, there: list[bool]) -> bool:
    """Return what the trigger fires with; ``there``: whether the verdict is, look by look, the last one for good."""
    monkeypatch.setattr(connections, "warehouse_url", lambda role: "postgresql://nowhere")
    monkeypatch.setattr(sensors, "_has_verdict", lambda *_: there.pop(0) if len(there) > 1 else there[0])

    async def first() -> bool:
        async for event in VerdictTrigger("late_arrival", "2013-01-08", deadline).run():
            return bool(event.payload["verdict"])
        raise AssertionError("it fired nothing")

    return asyncio.run(first())


def test_a_run_that_is_cleared_after_its_deadline_finds_the_verdict_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert said(monkeypatch, time.time() - 86_400, [True])
    assert not said(monkeypatch, time.time() - 86_400, [False])


def test_a_verdict_of_the_last_moment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "FIRST_PAUSE_SECONDS", 0.3)
    assert said(monkeypatch, time.time() + 0.1, [False, True])
