"""What is wrong with an installation that runs nothing: files, ports, packages, secrets."""

import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nightshift import processes
from nightshift.cli.app import app
from nightshift.environment import LOCK
from nightshift.runtime import state
from nightshift.runtime.doctor import CHECKS, Installation, clock, examine
from nightshift.runtime.endpoints import any_free_port
from nightshift.runtime.stack import record
from nightshift.runtime.state import Runtime, Snapshot


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NIGHTSHIFT_WAREHOUSE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def sound(tmp_path: Path) -> Installation:
    return Installation(tmp_path, now, lock=LOCK, env=tmp_path / ".env")


def troubles(found: Installation) -> dict[str, tuple[str, ...]]:
    return {finding.name: finding.troubles for finding in examine(found) if finding.troubles}


def test_a_sound_installation_has_nothing_wrong(sound: Installation) -> None:
    assert troubles(sound) == {}


def test_each_check_says_what_to_do() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(len(check.remedy) > 10 for check in CHECKS)


def test_a_package_that_is_not_the_locked_one_is_named(sound: Installation, tmp_path: Path) -> None:
    lock = tmp_path / "runtime.lock"
    lock.write_text("pandas==0.1 \\\n    --hash=sha256:00\nno-such-package==1.0\n")
    [words] = troubles(Installation(tmp_path, now, lock=lock, env=sound.env))["packages"]
    assert re.fullmatch(r"pandas [0-9.]+ is installed, 0\.1 is locked", words)


def test_a_placeholder_and_an_open_file_of_secrets_are_told_and_no_secret_is(
    sound: Installation, tmp_path: Path
) -> None:
    sound.env.write_text(
        "# comment\nMLFLOW_PASSWORD=changeme-changeme-1\nREDIS_PASSWORD='k3Jd9fK2mXq8Zr5Tw'\n"
    )
    sound.env.chmod(0o644)
    (tmp_path / "credentials.json").write_text("{}")
    (tmp_path / "credentials.json").chmod(0o600)
    assert troubles(sound) == {
        "permissions": (f"{sound.env}: others may read it",),
        "secrets": ("MLFLOW_PASSWORD is a placeholder; see .env.example",),
    }


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_taken_is_told(
    sound: Installation, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_AIRFLOW_PORT", str(taken))
    [words] = troubles(sound)["ports"]
    assert str(taken) in words


def test_a_server_that_is_named_and_does_not_answer_is_told(
    sound: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://warehouse:not-told@127.0.0.1:{any_free_port()}/warehouse"
    monkeypatch.setenv("NIGHTSHIFT_WAREHOUSE_URL", url)
    assert troubles(sound) == {
        "servers": ("the warehouse of NIGHTSHIFT_WAREHOUSE_URL does not answer",),
    }


@pytest.mark.parametrize(
    ("hours", "told"), [(3, "ahead by 180 minutes"), (-3, "back by 180 minutes"), (0.1, None), (0, None)]
)
def test_a_clock_that_was_set_under_a_running_stack_is_told(
    tmp_path: Path, hours: float, told: str | None
) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{any_free_port()}/none"
    runtime = Runtime(tmp_path, "", "", nowhere, nowhere, nowhere, nowhere, 1, {})
    us = record(os.getpid())  # it is supervised by this very process, since that began
    us = replace(us, since=time.time() - processes.age(us.started))
    state.write_snapshot(Snapshot(runtime, phase="ready", supervisor=us))
    shown = Installation(tmp_path, lambda: datetime.now(UTC) + timedelta(hours=hours), env=tmp_path / ".env")
    words = list(clock(shown))
    assert len(words) == (told is not None)
    assert all(f"was set {told} since" in each for each in words)


def test_the_command_ends_with_1_if_anything_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_HOME", str(tmp_path))
    assert "well   packages" in CliRunner().invoke(app, ["doctor"]).output
    monkeypatch.setenv("NIGHTSHIFT_POSTGRES_PORT", str(taken))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "wrong  ports" in done.output
    assert "-> end who listens there" in done.output
