"""A server answers to its own names, exactly: host and port, and no page of another place."""

import asyncio

import pytest

from nightshift.hosts import OwnHosts, listed, names_of

LOCAL = names_of("http://127.0.0.1:5000")


def test_names_of_addresses() -> None:
    assert names_of("http://127.0.0.1:5000") == {"127.0.0.1:5000", "localhost:5000"}
    assert names_of("https://Night.example.org") == {"night.example.org", "night.example.org:443"}
    assert names_of("", "http://airflow-apiserver:8080/execution/") == {"airflow-apiserver:8080"}
    assert listed(" Tunnel:9000, ,x:1") == {"tunnel:9000", "x:1"}


def answered(
    headers: list[tuple[bytes, bytes]], *, kind: str = "http", names: frozenset[str] = LOCAL
) -> list[object]:
    """Return what was sent: the app's answer, a refusal's status, or that a websocket was closed."""
    sent: list[object] = []

    async def app(scope, receive, send) -> None:
        await send("the app")

    async def send(message) -> None:
        sent.append(message if isinstance(message, str) else message.get("status", message["type"]))

    scope = {"type": kind, "method": "GET", "headers": headers}
    asyncio.run(OwnHosts(app, names)(scope, None, send))
    return sent


@pytest.mark.parametrize("host", [b"127.0.0.1:5000", b"localhost:5000", b"LOCALHOST:5000"])
def test_its_own_name_is_answered(host: bytes) -> None:
    assert answered([(b"host", host)]) == ["the app"]
    assert answered([(b"Host", host), (b"origin", b"http://" + host)]) == ["the app"]
    assert answered([], kind="lifespan") == ["the app"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"")],
        [(b"host", b"10.evil.example:5000")],
        [(b"host", b"127.0.0.1.evil.example:5000")],
        [(b"host", b"evil.example")],
        [(b"host", b"localhost")],
        [(b"host", b"localhost:5001")],
        [(b"host", b"localhost:5000 ")],
        [(b"host", b"user@localhost:5000")],
        [(b"host", b"*")],
        [(b"host", b"localhost:5000"), (b"host", b"evil.example")],
        [(b"host", b"localhost:5000"), (b"host", b"localhost:5000")],
        [(b"host", b"localhost:5000"), (b"origin", b"http://localhost:9999")],
        [(b"host", b"localhost:5000"), (b"origin", b"null")],
        [(b"host", b"localhost:5000"), (b"origin", b"http://localhost:5000.evil.example")],
    ],
)
def test_another_name_or_a_page_of_another_place_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert answered(headers)[0] == 421
    assert answered(headers, kind="websocket") == ["websocket.close"]
