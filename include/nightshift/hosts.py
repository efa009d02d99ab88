"""Under which names a server answers: its own, exactly, with the port.

A web page may point its own name at 127.0.0.1 (DNS rebinding) and then talk to whatever listens there as if
it came from the same place. What gives it away is the name it asks for, so a server that knows its names
answers no other.
"""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from nightshift.freeform import Message

Scope = Message
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost")
USUAL_PORTS = {"http": 80, "https": 443}


def names_of(*urls: str) -> frozenset[str]:
    """Return what a ``Host`` header may say for these URLs: a loopback address has two names, a usual port none."""
    names: set[str] = set()
    for url in filter(None, urls):
        parts = urlsplit(url)
        host, usual = parts.hostname or "", USUAL_PORTS.get(parts.scheme)
        port = parts.port or usual
        names |= {f"{name}:{port}" for name in (LOOPBACK if host in LOOPBACK else (host,))}
        if port == usual:
            names.add(host)
    return frozenset(names)


def listed(text: str) -> frozenset[str]:
    """Return the names of a list with commas."""
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def is_own(headers: Iterable[tuple[bytes, bytes]], names: frozenset[str]) -> bool:
    """Whether a request asks for one of these names, once, and comes from a page of one of them, or from no page."""
    seen = [(key.lower(), value.decode("latin-1").lower()) for key, value in headers]
    hosts = [value for key, value in seen if key == b"host"]
    # `null` is the origin of a sandboxed page: a page like any other that is not ours.
    origins = [value.partition("://")[2] for key, value in seen if key == b"origin"]
    return len(hosts) == 1 and set(hosts) | set(origins) <= names


class OwnHosts:
    """An ASGI app that passes on what asks for one of ``names``, and answers 421 to all else."""

    def __init__(self, app: App, names: Iterable[str]) -> None:
        self.app = app
        self.names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan" or is_own(scope["headers"], self.names):
            await self.app(scope, receive, send)
        else:
            await refuse(
                scope, send, 421, "This server does not go by that name. See NIGHTSHIFT_ALLOWED_HOSTS."
            )


async def refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answer a request with a status and a reason, text or JSON; a websocket is closed before it is open."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = b"application/json" if reason.startswith("{") else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reason.encode()})
