"""One HTTP request: all of it within its time and its size, tried again where that may help, and never redirected."""

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urljoin

import httpx
import pyarrow as pa
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from nightshift.collect.archives import MEGABYTE, PART
from nightshift.collect.connection import Connection, Sleep
from nightshift.collect.files import without_login
from nightshift.errors import SourceError
from nightshift.specs import HttpConnector, Source

LONGEST_WAIT_SECONDS = 60.0
BUSY = {408, 425, 429}
# Not done, and not to be done later either.
NEVER = {501, 505, 511}
# What zlib calls the wrapping of a stream.
GZIP, ZLIB, BARE = 31, 15, -15


class Unavailable(Exception):
    """An answer, or the lack of one, that a later try may better. ``after``: seconds the server asked for."""

    def __init__(self, happened: str, after: float | None = None) -> None:
        super().__init__(happened)
        self.after = after


@dataclass(frozen=True)
class Answer:
    """What came back, decompressed."""

    url: httpx.URL
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def kind(self) -> str:
        """The type of its content."""
        return str(self.headers.get("content-type", "no content type"))


@dataclass
class Api:
    """One HTTP source, open: its client keeps the connection alive between pages and dates."""

    source: Source
    spec: HttpConnector
    connection: Connection
    client: httpx.Client
    sleep: Sleep
    # What a night may still take, in bytes.
    left: int = 0
    # Connections that were opened; one request at a time uses them.
    streams: list[Any] = field(default_factory=list)

    def failure(self, happened: object, remedy: str) -> SourceError:
        """Return the error that names source, connection and endpoint."""
        return self.connection.failure(self.source, f"{self.spec.endpoint}: {happened}", remedy)

    def shown(self, text: str, length: int = 120) -> str:
        """Return a part of what a server said. Secrets first: of one that is cut in two, a half would be shown."""
        return repr(self.connection.without_secrets(text)[:length])


def get(api: Api, place: str, parameters: dict[str, str], *, ends: int | None = None) -> Answer:
    """Return the answer; parameters are merged into the query that ``place`` has. ``ends``: a status that is no error.

    Raises:
        SourceError: no answer, or one that says no; with where it leads, if it leads elsewhere.
    """
    tries = Retrying(
        stop=stop_after_attempt(api.spec.retries + 1),
        wait=_pause,
        retry=retry_if_exception_type(Unavailable),
        sleep=api.sleep,
        reraise=True,
    )
    try:
        return tries(_try, api, place, parameters, ends)
    except Unavailable as error:
        raise api.failure(
            f"{error} ({api.spec.retries + 1} tries)", "check that the service is up, then run the date again"
        ) from None


def _try(api: Api, place: str, parameters: dict[str, str], ends: int | None) -> Answer:
    try:
        url = _asking(httpx.URL(place), parameters)
        with _deadline(api) as watch, _opened(api, url, watch) as response:
            return _judged(api, response, _content(api, response), ends)
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:  # nothing was asked, nor will be
        raise api.failure(error, "check the connection's schema, host and headers") from None
    except httpx.TransportError as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # IDNA knows no name such as "a..b"
        raise api.failure(error, "check the connection's host and the endpoint") from None


def _asking(url: httpx.URL, parameters: dict[str, str]) -> httpx.URL:
    """Return the URL with parameters behind the query that it has, which stays as it is written, byte by byte."""
    given = [url.query, str(httpx.QueryParams(parameters)).encode()]
    return url.copy_with(query=b"&".join(filter(None, given))) if parameters else url


@contextmanager
def _opened(api: Api, url: httpx.URL, watch: "_Watch") -> Iterator[httpx.Response]:
    headers = {"Accept-Encoding": "gzip"}
    with api.client.stream("GET", url, headers=headers, extensions={"trace": watch.see}) as response:
        yield response


class _Watch:
    """Shuts the connections of a request when its time is over: a read that waits then ends."""

    def __init__(self, streams: list[Any]) -> None:
        self.streams = streams
        self.is_over = False

    def see(self, event: str, about: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.streams.append(about.get("return_value"))
            if self.is_over:
                self.end()

    def end(self) -> None:
        self.is_over = True
        for stream in self.streams:
            with suppress(OSError, AttributeError):
                stream.get_extra_info("socket").shutdown(SHUT_RDWR)


@contextmanager
def _deadline(api: Api) -> Iterator[_Watch]:
    """Yield a watch over a whole request. The client's timeout is one of each read: a byte now and then outlives it."""
    seconds, watch = api.spec.timeout_seconds, _Watch(api.streams)
    timer = threading.Timer(seconds, watch.end)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    except httpx.TransportError as error:
        if watch.is_over and not isinstance(error, httpx.TimeoutException):
            raise Unavailable(f"no whole answer within {seconds:g} s (timeout_seconds)") from error
        raise
    finally:
        timer.cancel()
    if watch.is_over:
        raise Unavailable(f"no whole answer within {seconds:g} s (timeout_seconds)")


def _content(api: Api, response: httpx.Response) -> bytes:
    """Return the body, decompressed as it comes: no more than a night may still take is ever in memory."""
    encoding = response.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding not in ENCODINGS:
        raise api.failure(
            f"the answer is encoded as {encoding[:40]!r}",
            f"gzip was asked for, and {', '.join(ENCODINGS)} are read; mend the API",
        )
    content = _within_limit(api, ENCODINGS[encoding](api, response))
    api.left -= len(content)
    return content


def _within_limit(api: Api, parts: Iterator[bytes]) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > api.left:
            raise api.failure(
                f"the answers of a night are larger than {api.spec.max_megabytes} MB",
                "raise connector.max_megabytes if that is right",
            )
    return bytes(body)


def _as_it_is(api: Api, response: httpx.Response) -> Iterator[bytes]:
    return response.iter_raw(PART)


def _unzipped(api: Api, response: httpx.Response) -> Iterator[bytes]:
    return _inflated(api, response, "gzip", lambda raw: GZIP)


def _deflated(api: Api, response: httpx.Response) -> Iterator[bytes]:
    # By the standard within zlib's header, of which 8 is the half of the first byte; many servers send it bare.
    return _inflated(api, response, "deflate", lambda raw: ZLIB if raw[0] & 15 == 8 else BARE)


def _inflated(
    api: Api, response: httpx.Response, encoding: str, window: Callable[[bytes], int]
) -> Iterator[bytes]:
    stream = None
    try:
        for raw in response.iter_raw(PART):
            stream, rest = stream or zlib.decompressobj(wbits=window(raw)), raw
            while rest and not stream.eof:
                yield stream.decompress(rest, PART)
                rest = stream.unconsumed_tail
            if stream.unused_data or (rest and stream.eof):
                raise api.failure(f"bytes follow the end of the answer's {encoding} content", "mend the API")
    except zlib.error as error:
        raise api.failure(f"the answer cannot be decompressed: {error}", "mend the API") from error
    if stream is None or not stream.eof:
        raise Unavailable(f"the answer is cut short: its {encoding} content has no end")


def _of_brotli(api: Api, response: httpx.Response) -> Iterator[bytes]:
    packed = pa.BufferReader(_within_limit(api, response.iter_raw(PART)))
    try:
        with pa.CompressedInputStream(packed, "brotli") as stream:
            yield from iter(lambda: stream.read(PART), b"")
    except (OSError, pa.ArrowException) as error:
        raise api.failure(f"the answer cannot be decompressed: {error}", "mend the API") from error


ENCODINGS: dict[str, Callable[[Api, httpx.Response], Iterator[bytes]]] = {
    "identity": _as_it_is,
    "gzip": _unzipped,
    "deflate": _deflated,
    "br": _of_brotli,
}


def _judged(api: Api, response: httpx.Response, content: bytes, ends: int | None) -> Answer:
    status, headers = response.status_code, response.headers
    answer = Answer(response.url, status, headers, content)
    if response.is_success or status == ends:
        return answer
    asked = headers.get("retry-after")
    is_later = status in BUSY or (status >= 500 and status not in NEVER) or (status >= 400 and asked)
    if is_later:
        raise Unavailable(f"HTTP {status}", _asked_wait(asked))
    if response.has_redirect_location or 300 <= status < 400:
        raise _redirected(api, answer)
    said = api.shown(content[:PART].decode(errors="replace"))
    raise api.failure(f"HTTP {status}, {said}", "check the endpoint, its parameters and the login")


def _redirected(api: Api, answer: Answer) -> SourceError:
    """Return the error that says where an answer leads. It is not followed: it could carry the login elsewhere."""
    target = answer.headers.get("location")
    if not target:
        return api.failure(f"HTTP {answer.status}, a redirect without a target", "check the endpoint")
    url = resolved(api, answer, target)
    if server(url) == server(api.client.base_url):
        return api.failure(
            f"HTTP {answer.status} leads to {url.raw_path.decode()[:200]}",
            "write that into connector.endpoint",
        )
    return api.failure(
        f"HTTP {answer.status} leads to another server, {without_login(str(url))[:200]}",
        "if it is the right one, put it into the connection",
    )


def resolved(api: Api, answer: Answer, place: str) -> httpx.URL:
    """Return where an answer leads. Raises SourceError for what is no address."""
    try:
        return httpx.URL(urljoin(str(answer.url), place))
    except (ValueError, httpx.InvalidURL) as error:
        raise api.failure(
            f"the answer leads to {api.shown(place)}, which is no address: {error}", "mend the API"
        ) from None


def server(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of a URL, the usual port if it names none."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def as_json(api: Api, answer: Answer) -> Any:
    """Return the answer's content. Raises SourceError if it is not JSON."""
    try:
        return json.loads(answer.content, object_pairs_hook=_object)
    except _Twice as error:
        raise api.failure(
            f"the answer has the key {api.shown(str(error), 60)} twice in one object, with two values; which is meant "
            "would be a guess",
            "mend the API",
        ) from None
    except (ValueError, RecursionError) as error:
        raise api.failure(f"the answer is not JSON ({answer.kind}): {error}", "check the endpoint") from None


class _Twice(Exception):
    """A key that an object has with several values; json would take the last and drop the others."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen and _spelled(seen[name]) != _spelled(value):
                raise _Twice(name)
            seen[name] = value
    return found


def _spelled(value: Any) -> str:
    # To Python, 1 and true are equal.
    return json.dumps(value, sort_keys=True)


def night_begins(api: Api) -> None:
    """Give the answers of one more night all the room they may take."""
    api.left = api.spec.max_megabytes * MEGABYTE


def _pause(state: RetryCallState) -> float:
    """Return the wait before the next try: what the server asked for, within reason, or 0.5, 1, 2, ... s."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Unavailable) else None
    own = wait_exponential(multiplier=0.5, max=30)(state)
    return own if asked is None else min(max(asked, 0.0), LONGEST_WAIT_SECONDS)


def _asked_wait(header: str | None) -> float | None:
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
