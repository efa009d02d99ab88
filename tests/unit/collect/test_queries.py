"""What is asked over HTTP: a query as the endpoint spells it, and parameters behind it."""

import httpx
import pytest

from nightshift.collect.request import _asking


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
