"""HTTP: JSON or CSV, page after page, with bounded retries; every way of going on for ever is an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pandas as pd

from nightshift.collect.connection import Connection, Reader, Sleep
from nightshift.collect.files import fill, without_login
from nightshift.collect.pages import pages
from nightshift.collect.request import Api, night_begins
from nightshift.errors import SpecError
from nightshift.specs import HttpConnector, Source

CHUNK_RECORDS = 50_000


@contextmanager
def open_http(source: Source, connection: Connection, zone: ZoneInfo, sleep: Sleep) -> Iterator[Reader]:
    """Yield a reader over one HTTP client."""
    spec = source.connector
    if not isinstance(spec, HttpConnector):
        raise SpecError(f"source '{source.name}': its connector is not http")
    _check(source, spec)
    with _client(source, connection, spec.timeout_seconds) as client:
        api = Api(source, spec, connection, client, sleep)
        yield Reader(lambda batch_date, *_: _frames(api, batch_date))


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
    if spec.format == "csv" and spec.paging and isinstance(spec.paging.total, str):
        raise SpecError(
            f"source '{source.name}', key 'connector.paging.total': CSV holds no '{spec.paging.total}'; leave it out"
        )
    _of_night(source, spec, date(2000, 1, 1))


def _client(source: Source, connection: Connection, timeout: float) -> httpx.Client:
    auth = httpx.BasicAuth(connection.login, connection.password or "") if connection.login else None
    address = _address(source, connection)
    try:
        headers = httpx.Headers(connection.extra.get("headers") or {})
    except (TypeError, ValueError) as error:
        raise connection.failure(
            source,
            f"headers in its extra: {error}",
            'give names and values as text of ASCII: {"headers": {"X-Version": "2"}}',
        ) from None
    return httpx.Client(base_url=address, auth=auth, headers=headers, timeout=timeout)


def _address(source: Source, connection: Connection) -> str:
    if not connection.host:
        raise connection.failure(source, "no host", "put the API's host into the connection")
    host = without_login(connection.host)
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise connection.failure(
            source, f"its host is no address: {error}", "give a name, and the port as the connection's"
        ) from None
    if url.query or url.fragment:
        # The endpoint would be put behind it.
        raise connection.failure(source, "its host holds a query", "put that into connector.parameters")
    return str(url.copy_with(port=connection.port) if connection.port else url)


def _of_night(source: Source, spec: HttpConnector, batch_date: date) -> HttpConnector:
    """Return the spec with the batch date in its endpoint and its parameters."""

    def filled(text: str, key: str) -> str:
        return fill(text, {"batch_date": batch_date}, f"source '{source.name}', key 'connector.{key}'")

    parameters = {key: filled(value, f"parameters.{key}") for key, value in spec.parameters.items()}
    return spec.model_copy(update={"endpoint": filled(spec.endpoint, "endpoint"), "parameters": parameters})


def _frames(api: Api, batch_date: date) -> Iterator[pd.DataFrame]:
    api = replace(api, spec=_of_night(api.source, api.spec, batch_date))
    night_begins(api)
    if api.spec.format == "csv":
        yield from pages(api)
        return
    records: list[Any] = []
    for page in pages(api):
        records += page
        if len(records) >= CHUNK_RECORDS:
            yield _of(records)
            records = []
    yield _of(records)


def _of(records: list[Any]) -> pd.DataFrame:
    # object: an integer beside a null stays an integer, and 2**60 stays exact.
    return pd.DataFrame(records, dtype=object)
