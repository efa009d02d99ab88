"""What a heartbeat says of a component, also when the clock was set between its start and now."""

import socket
import threading
from datetime import UTC, datetime

import pytest

from nightshift.runtime import health
from nightshift.runtime.state import Record

NOW = 1_800_000_000.0
HOURS = 3 * 3600.0


def status(beat: float, told: str = "healthy") -> dict[str, str]:
    return {"status": told, "latest_scheduler_heartbeat": datetime.fromtimestamp(beat, UTC).isoformat()}


@pytest.mark.parametrize(
    ("beat", "since", "database_since", "well"),
    [
        pytest.param(NOW - 5, NOW - 60, NOW - 90, True, id="its own"),
        pytest.param(NOW - 25, NOW - 9, NOW - 90, False, id="of the one before"),
        pytest.param(NOW - 25, NOW - 60, NOW - 9, False, id="to the server before"),
        pytest.param(NOW - 5, NOW - 60 + HOURS, NOW - 90 + HOURS, True, id="set back since both started"),
        pytest.param(NOW - 5, NOW - 60, NOW - 90 + HOURS, True, id="set back, and started anew since"),
        pytest.param(NOW - 25, NOW - 9, NOW - 90 + HOURS, False, id="set back, and of the one before"),
        pytest.param(NOW - 5, NOW - 60 - HOURS, NOW - 90 - HOURS, True, id="set ahead"),
    ],
)
def test_a_heartbeat_is_fresh_its_own_and_of_the_server_that_runs(
    beat: float, since: float, database_since: float, well: bool
) -> None:
    record = Record(pid=2, started=1, since=since)
    assert health.beats(status(beat), record, database_since, NOW) is well


def test_without_an_answer_nothing_is_known_and_a_stale_beat_is_none() -> None:
    record = Record(pid=2, started=1, since=NOW - 60)
    assert health.beats(None, record, 0, NOW) is None
    assert health.beats(status(NOW), None, 0, NOW) is None
    assert health.beats(status(NOW - 50, "unhealthy"), record, 0, NOW) is False


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", id="broken off"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_does_not_answer_as_http_does_is_no_answer(answer: bytes) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        assert health.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/health") is None
        server.join()
