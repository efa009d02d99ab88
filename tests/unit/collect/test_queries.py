"""What is asked over HTTP, and where: a query as the endpoint spells it, address and headers as the connection does."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from nightshift.collect import Connection, check, open_source
from nightshift.collect.request import _asking
from nightshift.errors import SourceError, SpecError
from nightshift.specs import Source, load_project

DAY, WINDOW = date(2013, 2, 8), (datetime(2013, 2, 7, tzinfo=UTC), datetime(2013, 2, 8, tzinfo=UTC))
FLEET = Source.model_validate(
    {
        "name": "fleet",
        "owner": "tests",
        "description": "",
        "connector": {"kind": "http", "connection": "api", "endpoint": "/aircraft"},
        "columns": {"id": {"type": "string"}},
        "key": ["id"],
    }
)


@pytest.mark.parametrize(
    "query",
    [
        b"city=M%FCnchen",  # of Latin-1: read as UTF-8 and written again, another city
        b"ids=1,2&at=2013-02-08T00:00:00%2B01:00&$top=5",
        b"flag&a=1&a=2&empty=",
        b"q=%22a%20b%22+c&x=~!*()'",
    ],
)
def test_the_query_of_an_endpoint_is_sent_as_it_is_written(query):
    url = _asking(httpx.URL(f"/cities?{query.decode()}"), {"page": "1", "as of": "a&b+c é"})
    assert url.raw_path == b"/cities?" + query + b"&page=1&as+of=a%26b%2Bc+%C3%A9"
    assert _asking(url, {}).raw_path == url.raw_path


def test_an_endpoint_without_a_query_gets_one():
    assert [_asking(httpx.URL(place), {"page": "1"}).raw_path for place in ("/a%2Fb", "/a%2Fb?")] == [
        b"/a%2Fb?page=1"
    ] * 2


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"extra": {"headers": {"X-Version": 2}}}, "headers in its extra: .*; give names and values as text"),
        ({"extra": {"headers": "X-Version: 2"}}, "headers in its extra: .*; give names and values as text"),
        ({"extra": {"headers": {"X-City": "Z\u00fcrich"}}}, "headers in its extra: 'ascii' codec"),
        ({"host": "api.invalid:http"}, "its host is no address: Invalid port: 'http'; give a name"),
        ({"host": "api.invalid/v1?key=1"}, "its host holds a query; put that into connector.parameters"),
        ({"schema": "ftp"}, "/aircraft: .*unsupported protocol.*; check the connection's schema"),
        ({"host": "api..invalid"}, "/aircraft: .*idna.*; check the connection's host"),
    ],
)
def test_a_connection_that_cannot_be_asked_is_told_by_name(connection: dict[str, Any], says: str) -> None:
    asked = Connection("api", "http", **{"host": "api.invalid", "schema": "http", **connection})
    with (
        pytest.raises(SourceError, match=f"source 'fleet', connection 'api': {says}"),
        open_source(FLEET, asked, ZoneInfo("UTC")) as reader,
    ):
        reader.read(DAY, WINDOW)


@pytest.mark.parametrize(
    ("connector", "says"),
    [
        ({"endpoint": "http://h/x"}, "key 'connector.endpoint': 'http://h/x' is a whole address"),
        ({"endpoint": "/x/{ds}"}, "placeholder '{ds}' is not known"),
        ({"endpoint": "/x", "parameters": {"d": "{batch_date.year}"}}, "key 'connector.parameters.d'"),
        ({"endpoint": "/x", "format": "csv", "paging": {"kind": "cursor"}}, "CSV holds no cursor"),
        ({"endpoint": "/x", "format": "csv", "paging": {"total": "n"}}, "CSV holds no 'n'; leave it out"),
        ({"kind": "sql", "query": "SELECT :night AS id"}, "unknown bind ':night'"),
        ({"kind": "sql", "query": "SELECT :batch_date::date"}, "is not seen as a bind; write CAST"),
        ({"kind": "files", "path": "../{date}.csv"}, "leads out of the source's folder"),
        ({"kind": "files", "path": "{date}-{x}.csv"}, "placeholder '{x}' is not known"),
    ],
)
def test_what_no_night_could_collect_a_check_tells_without_asking(
    connector: dict[str, Any], says: str
) -> None:
    spec = {**FLEET.model_dump(), "connector": {"kind": "http", "connection": "api", **connector}}
    with pytest.raises(SpecError, match=says):
        check(Source.model_validate(spec), ZoneInfo("UTC"))


def test_the_sources_of_the_example_can_be_collected() -> None:
    for source in load_project().sources.values():
        check(source, ZoneInfo("America/New_York"))
