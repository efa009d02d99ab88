"""HTTP: JSON or CSV, page after page, with bounded retries; every way of going on for ever is an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from itertools import count, islice
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from nightshift.collect.connection import Connection, Reader, Sleep
from nightshift.collect.delimited import NotCsv, read_csv
from nightshift.collect.files import fill, without_login
from nightshift.errors import SourceError, SpecError, did_you_mean
from nightshift.specs import HttpConnector, Source
from nightshift.specs.source import Paging

LONGEST_WAIT_SECONDS = 60.0
BUSY = {429, 500, 502, 503, 504}


class Unavailable(Exception):
    """An answer, or the lack of one, that a later try may better. ``after``: seconds the server asked for."""

    def __init__(self, happened: str, after: float | None = None) -> None:
        super().__init__(happened)
        self.after = after


@dataclass(frozen=True)
class Api:
    """One HTTP source, open: its client keeps the connection alive between pages and dates."""

    source: Source
    spec: HttpConnector
    connection: Connection
    client: httpx.Client
    sleep: Sleep

    def failure(self, happened: object, remedy: str) -> SourceError:
        """Return the error that names source, connection and endpoint."""
        return self.connection.failure(self.source, f"{self.spec.endpoint}: {happened}", remedy)


@contextmanager
def open_http(source: Source, connection: Connection, zone: ZoneInfo, sleep: Sleep) -> Iterator[Reader]:
    """Yield a reader over one HTTP client."""
    spec = source.connector
    if not isinstance(spec, HttpConnector):
        raise SpecError(f"source '{source.name}': its connector is not http")
    _check(source, spec)
    auth = httpx.BasicAuth(connection.login, connection.password or "") if connection.login else None
    headers = connection.extra.get("headers", {})
    with httpx.Client(
        base_url=_address(source, connection), auth=auth, headers=headers, timeout=spec.timeout_seconds
    ) as client:
        api = Api(source, spec, connection, client, sleep)
        yield Reader(lambda batch_date, window: _read(api, batch_date))


def _check(source: Source, spec: HttpConnector) -> None:
    if "://" in spec.endpoint or spec.endpoint.startswith("//"):
        raise SpecError(
            f"source '{source.name}', key 'connector.endpoint': '{spec.endpoint}' is a whole address; "
            "give the path, the host belongs to the connection"
        )
    if spec.format == "csv" and spec.paging and spec.paging.kind == "cursor":
        raise SpecError(
            f"source '{source.name}', key 'connector.paging': CSV holds no cursor; use kind: page"
        )
    _parameters(source, spec, date(2000, 1, 1))


def _address(source: Source, connection: Connection) -> str:
    if not connection.host:
        raise connection.failure(source, "no host", "put the API's host into the connection")
    host = without_login(connection.host)
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    url = httpx.URL(address)
    return str(url.copy_with(port=connection.port) if connection.port else url)


def _parameters(source: Source, spec: HttpConnector, batch_date: date) -> dict[str, str]:
    where = f"source '{source.name}', key 'connector.parameters"
    return {
        key: fill(value, {"batch_date": batch_date}, f"{where}.{key}'")
        for key, value in spec.parameters.items()
    }


def _read(api: Api, batch_date: date) -> pd.DataFrame:
    parameters = _parameters(api.source, api.spec, batch_date)
    pages = _pages(api, parameters)
    if api.spec.format == "csv":
        frames = list(pages)
        filled = [frame for frame in frames if len(frame)] or frames[:1]
        return pd.concat(filled, ignore_index=True)
    records = [record for page in pages for record in page]
    # object: an integer beside a null stays an integer, and 2**60 stays exact.
    return pd.DataFrame(records, dtype=object)


def _pages(api: Api, parameters: dict[str, str]) -> Iterator[Any]:
    """Yield each page's records (CSV: a frame), in order."""
    paging = api.spec.paging
    if paging is None:
        yield _records(api, _get(api, api.spec.endpoint, parameters))
    elif paging.kind == "page":
        yield from _numbered(api, parameters, paging)
    else:
        yield from _chained(api, parameters, paging)


def _numbered(api: Api, parameters: dict[str, str], paging: Paging) -> Iterator[Any]:
    size = {paging.size_parameter: str(paging.size)} if paging.size_parameter else {}
    before = None
    # Up to the first empty page, not the first short one: a server may cap the size below what was asked.
    for number in islice(count(paging.first), paging.max_pages):
        answer = _get(api, api.spec.endpoint, {**parameters, **size, paging.parameter: str(number)})
        records = _records(api, answer)
        if not len(records):
            if before is None:
                yield records
            return
        if answer.content == before:
            raise api.failure(
                f"page {number} repeats the page before it", f"is '{paging.parameter}' the page's parameter?"
            )
        before = answer.content
        yield records
    raise api.failure(f"no end after {paging.max_pages} pages", "raise paging.max_pages, or mend the API")


def _chained(api: Api, parameters: dict[str, str], paging: Paging) -> Iterator[Any]:
    size = {paging.size_parameter: str(paging.size)} if paging.size_parameter else {}
    place, asked = api.spec.endpoint, {**parameters, **size}
    seen: set[str] = set()
    for _ in range(paging.max_pages):
        answer = _get(api, place, asked)
        yield _records(api, answer)
        token = _next(api, answer, paging)
        if token is None:
            return
        if token in seen:
            raise api.failure(
                f"cursor {api.connection.without_secrets(token)[:60]!r} comes back: the pages run in a circle",
                "mend the API",
            )
        seen.add(token)
        place, asked = _follow(api, answer, token, {**parameters, **size}, paging)
    raise api.failure(f"no end after {paging.max_pages} pages", "raise paging.max_pages, or mend the API")


def _next(api: Api, answer: httpx.Response, paging: Paging) -> str | None:
    content = _json(api, answer)
    if not isinstance(content, dict):
        raise api.failure(f"a JSON {_kind(content)} holds no '{paging.next_key}'", "check connector.paging")
    token = content.get(paging.next_key)
    if token in (None, ""):
        return None
    if not isinstance(token, str | int):
        raise api.failure(f"'{paging.next_key}' is a JSON {_kind(token)}, not text", "check paging.next_key")
    return str(token)


def _follow(
    api: Api, answer: httpx.Response, token: str, parameters: dict[str, str], paging: Paging
) -> tuple[str, dict[str, str]]:
    """Return where the cursor leads: a URL as it stands, on the same server; a token as a parameter."""
    if not token.startswith(("http://", "https://", "/", "?")):
        return api.spec.endpoint, {**parameters, paging.parameter: token}
    url = httpx.URL(urljoin(str(answer.url), token))
    if _server(url) != _server(api.client.base_url):
        # The client carries the connection's login: it goes to no other server.
        raise api.failure(f"the cursor leads to another server, {url.host}", "mend the API, or use a token")
    return str(url), {}


def _server(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _records(api: Api, answer: httpx.Response) -> Any:
    if api.spec.format == "csv":
        try:
            return read_csv(answer.content)
        except NotCsv as error:
            raise api.failure(error, "check connector.format and the endpoint") from error
    content = _json(api, answer)
    key = api.spec.records_key
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            known = map(str, content) if isinstance(content, dict) else ()
            raise api.failure(
                f"the answer has no key '{key}'{did_you_mean(key, known)}", "check connector.records_key"
            )
        content = content[key]
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise api.failure(
            f"expected a list of objects, got a JSON {_kind(content)}",
            "name the list in connector.records_key",
        )
    return content


def _json(api: Api, answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        kind = answer.headers.get("content-type", "no content type")
        raise api.failure(f"the answer is not JSON ({kind}): {error}", "check the endpoint") from None


def _kind(content: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")


def _get(api: Api, place: str, parameters: dict[str, str]) -> httpx.Response:
    tries = Retrying(
        stop=stop_after_attempt(api.spec.retries + 1),
        wait=_pause,
        retry=retry_if_exception_type(Unavailable),
        sleep=api.sleep,
        reraise=True,
    )
    try:
        return tries(_try, api, place, parameters)
    except Unavailable as error:
        raise api.failure(
            f"{error} ({api.spec.retries + 1} tries)", "check that the service is up, then run the date again"
        ) from None


def _try(api: Api, place: str, parameters: dict[str, str]) -> httpx.Response:
    try:
        # No parameters is None: {} would strip the query off a cursor's URL.
        answer = api.client.get(place, params=parameters or None)
    except httpx.TransportError as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise api.failure(error, "check the connection's host and the endpoint") from None
    if answer.status_code in BUSY:
        raise Unavailable(f"HTTP {answer.status_code}", _asked_wait(answer.headers.get("retry-after")))
    if not answer.is_success:
        # Redirects are not followed: they could carry the login elsewhere.
        # Secrets first: of one that is cut in two, a half would be shown.
        text = api.connection.without_secrets(answer.text)[:120]
        raise api.failure(
            f"HTTP {answer.status_code}, {text!r}",
            "check the endpoint, its parameters and the login",
        )
    return answer


def _pause(state: RetryCallState) -> float:
    """Return the wait before the next try: what the server asked for, within reason, or 0.5, 1, 2, ... s."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, Unavailable) else None
    own = wait_exponential(multiplier=0.5, max=30)(state)
    return own if asked is None else min(max(asked, 0.0), LONGEST_WAIT_SECONDS)


def _asked_wait(header: str | None) -> float | None:
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
