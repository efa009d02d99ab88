"""Connectors against the real thing: PostgreSQL, and an HTTP server that misbehaves on demand."""

import base64
import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import create_engine, text

from nightshift.calendar import Calendar
from nightshift.collect import Connection, collect, open_source
from nightshift.collect.pages import _follow
from nightshift.collect.request import Answer as RequestAnswer
from nightshift.collect.request import Api as OpenApi
from nightshift.drafts.look import look
from nightshift.errors import SourceError, SourceRefused, SpecError
from nightshift.specs import Source
from nightshift.validate import validate_batches

pytestmark = pytest.mark.integration
DAY = date(2013, 2, 8)
WINDOW = (datetime(2013, 2, 7, 5, tzinfo=UTC), datetime(2013, 2, 8, 5, tzinfo=UTC))
SECRET = "s3cret-horse"
HOME = ZoneInfo("UTC")
Answer = tuple[int, dict[str, str], bytes]


def source(connector: dict[str, Any], **changes: Any) -> Source:
    spec: dict[str, Any] = {
        "name": "fleet",
        "owner": "tests",
        "description": "",
        "connector": {"connection": "api", **connector},
        "columns": {"id": {"type": "string"}},
        "key": ["id"],
    }
    return Source.model_validate({**spec, **changes})


class Api:
    """A server whose every answer a test decides; it remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer: Callable[[str, dict[str, str]], Answer] = lambda path, query: (404, {}, b"")
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                api.asked.append((parts.path, query, dict(self.headers)))
                status, headers, body = api.answer(parts.path, query)
                if status == 0:  # hang up without a word
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def connection(self) -> Connection:
        port = self.server.server_address[1]
        return Connection("api", "http", "127.0.0.1", port, "robot", SECRET, schema="http")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api()
    yield served
    served.close()


def js(content: Any, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def read(api: Api, connector: dict[str, Any], slept: list[float] | None = None) -> pd.DataFrame:
    waits = slept if slept is not None else []
    with open_source(
        source({"kind": "http", "endpoint": "/aircraft", **connector}),
        api.connection,
        HOME,
        sleep=waits.append,
    ) as r:
        return r.read(DAY, WINDOW)


RECORDS = [{"id": f"N{n}", "seats": n if n % 2 else None} for n in range(25)]


def paged(path: str, query: dict[str, str]) -> Answer:
    page, size = int(query["page"]), min(int(query["size"]), 10)  # the server caps the size
    return js({"items": RECORDS[(page - 1) * size : page * size]})


def test_pages_are_read_to_the_end_though_the_server_caps_their_size(api):
    api.answer = paged
    paging = {"kind": "page", "parameter": "page", "size_parameter": "size", "size": 1000}
    frame = read(api, {"records_key": "items", "paging": paging, "parameters": {"as_of": "{batch_date}"}})
    assert frame["id"].tolist() == [record["id"] for record in RECORDS]
    assert frame["seats"].tolist()[:4] == [None, 1, None, 3]
    assert {query["as_of"] for _, query, _ in api.asked} == {"2013-02-08"}


def test_the_rows_of_many_pages_come_in_frames_and_a_later_page_may_have_a_key_more(api):
    pages = [[{"id": n} for n in range(start, start + 30_000)] for start in (0, 30_000, 60_000)]
    pages[2][0]["seats"] = 2**60
    api.answer = lambda path, query: js(pages[int(query["page"]) - 1] if int(query["page"]) < 4 else [])
    spec = source({"kind": "http", "endpoint": "/aircraft", "paging": {"kind": "page"}})
    with open_source(spec, api.connection, HOME) as reader:
        sizes = reader.take(DAY, WINDOW, lambda frames: [len(frame) for frame in frames])
        frame = reader.read(DAY, WINDOW)
    assert sizes == [60_000, 30_000]
    assert frame["id"].to_list() == list(range(90_000))
    assert frame["seats"].dropna().to_dict() == {60_000: 2**60}


def test_the_login_is_sent_and_the_connection_kept(api):
    api.answer = lambda path, query: js([{"id": "a"}])
    with open_source(source({"kind": "http", "endpoint": "/aircraft"}), api.connection, HOME) as reader:
        assert [len(reader.read(day, WINDOW)) for day in (DAY, date(2013, 2, 9))] == [1, 1]
    assert all(headers["Authorization"].startswith("Basic ") for _, _, headers in api.asked)


def test_a_token_cursor_is_followed(api):
    answers = {None: js({"rows": [{"id": "a"}], "next": 7}), "7": js({"rows": [{"id": "b"}], "next": None})}
    api.answer = lambda path, query: answers[query.get("after")]
    paging = {"kind": "cursor", "parameter": "after", "next_key": "next"}
    assert read(api, {"records_key": "rows", "paging": paging})["id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("token", ["/9j/4AAQSkZJRg==", "/+8Bq7d2", "//dhX9xw"])
def test_a_token_of_base64_is_no_link_though_it_begins_with_a_slash(api, token):
    first, second = js({"rows": [{"id": "a"}], "next": token}), js({"rows": [{"id": "b"}]})
    api.answer = lambda path, query: second if query.get("after") == token else first
    paging = {"kind": "cursor", "parameter": "after"}
    assert read(api, {"records_key": "rows", "paging": paging})["id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("link", ["/aircraft/p2", "/aircraft/page/2/", "/list/of/p2"])
def test_a_link_may_have_no_query(api, link):
    first, second = js({"rows": [{"id": "a"}], "next": link}), js({"rows": [{"id": "b"}]})
    api.answer = lambda path, query: second if path == link else first
    assert read(api, {"records_key": "rows", "paging": {"kind": "cursor"}})["id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("link", ["http://[", "http://127.0.0.1:abc/", "?page=\x01"])
def test_a_link_that_is_no_address_is_told(api, link):
    api.answer = lambda path, query: js({"rows": [{"id": "a"}], "next": link})
    with pytest.raises(SourceError, match=r"the answer leads to '.*, which is no address.*mend the API"):
        read(api, {"records_key": "rows", "paging": {"kind": "cursor"}})
    api.answer = lambda path, query: (302, {"Location": "http://["}, b"")
    with pytest.raises(SourceError, match="which is no address"):
        read(api, {})


@pytest.mark.parametrize("link", ["/aircraft?page=2", "?page=2", "http://127.0.0.1:{port}/aircraft?page=2"])
def test_a_link_cursor_is_followed_with_its_own_query(api, link):
    link = link.format(port=api.server.server_address[1])
    first, second = js({"rows": [{"id": "a"}], "next": link}), js({"rows": [{"id": "b"}]})
    api.answer = lambda path, query: second if query.get("page") == "2" else first
    paging = {"kind": "cursor", "next_key": "next"}
    assert read(api, {"records_key": "rows", "paging": paging})["id"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "link", ["http://example.org/x", "https://127.0.0.1/x", "//example.org/x", "http://127.0.0.1:1/x"]
)
def test_a_link_to_another_server_is_refused(api, link):
    api.answer = lambda path, query: js({"rows": [{"id": "a"}], "next": link})
    with pytest.raises(SourceError, match="the cursor leads to another server"):
        read(api, {"records_key": "rows", "paging": {"kind": "cursor"}})
    assert len(api.asked) == 1


PAGE = {"kind": "page"}
ENDLESS = [
    (PAGE, lambda n: js([{"id": "same"}]), "page 2 repeats a page before it"),
    ({**PAGE, "max_pages": 5}, lambda n: js([{"id": str(n)}]), "no end after 5 pages"),
    (
        {"kind": "cursor"},
        lambda n: js({"r": [{"id": str(n)}], "next": "ab"[n % 2]}),
        "the pages run in a circle",
    ),
    ({"kind": "cursor", "max_pages": 5}, lambda n: js({"r": [], "next": str(n)}), "no end after 5 pages"),
]


@pytest.mark.parametrize(("paging", "answer", "message"), ENDLESS)
def test_endless_pages_are_an_error(api, paging, answer, message):
    api.answer = lambda path, query: answer(len(api.asked))
    key = "r" if paging["kind"] == "cursor" else None
    with pytest.raises(SourceError, match=message):
        read(api, {"records_key": key, "paging": paging})
    assert len(api.asked) <= 6


NONSENSE = [
    ({}, (200, {"Content-Type": "text/html"}, b"<html>"), "the answer is not JSON .text/html."),
    ({}, (200, {}, b"[" * 100_000), "the answer is not JSON"),
    ({}, (200, {}, b'[{"id": "a", "n": 1, "n": 2}]'), "has the key 'n' twice in one object"),
    ({}, (200, {}, b'[{"id": "a", "n": 1, "n": true}]'), "has the key 'n' twice in one object"),
    ({"records_key": "items"}, (200, {}, b'{"items": [{"id": "a"}], "items": []}'), "key 'items' twice"),
    ({"records_key": "items"}, js({"item": []}), "no key 'items'; did you mean 'item'"),
    ({"records_key": "items"}, js([]), "no key 'items'"),
    ({}, js({"items": []}), "expected a list of objects, got a JSON object"),
    ({}, js([1, 2]), "expected a list of objects, got a JSON array"),
    (
        {"records_key": "r", "paging": {"kind": "cursor"}},
        js({"r": [], "next": [1]}),
        "'next' is a JSON array, not text",
    ),
    ({"format": "csv"}, (200, {}, b""), "empty: zero bytes"),
    ({}, js({}, 404), "HTTP 404"),
    ({}, js({"why": "no"}, 401), "HTTP 401"),
    ({}, js({}, 302, Location="http://example.org/"), "HTTP 302"),
]


@pytest.mark.parametrize(("connector", "answer", "message"), NONSENSE)
def test_nonsense_is_told_at_once_and_not_asked_again(api, connector, answer, message):
    api.answer = lambda path, query: answer
    with pytest.raises(SourceError, match=message) as raised:
        read(api, connector)
    assert str(raised.value).startswith("source 'fleet', connection 'api': /aircraft: ")
    assert SECRET not in str(raised.value)
    assert len(api.asked) == 1


BUSY = [
    ((403, {"Retry-After": "3"}, b""), [3.0, 3.0]),
    ((408, {}, b""), [0.5, 1.0]),
    ((425, {}, b""), [0.5, 1.0]),
    ((520, {}, b""), [0.5, 1.0]),
    ((522, {}, b""), [0.5, 1.0]),
    ((530, {}, b""), [0.5, 1.0]),
    ((503, {}, b""), [0.5, 1.0]),
    ((429, {"Retry-After": "7"}, b""), [7.0, 7.0]),
    ((429, {"Retry-After": "86400"}, b""), [60.0, 60.0]),
    ((503, {"Retry-After": "Fri, 08 Feb 2013 05:00:00 GMT"}, b""), [0.0, 0.0]),
    ((503, {"Retry-After": "soon"}, b""), [0.5, 1.0]),
    ((503, {"Retry-After": "\u00b2"}, b""), [0.5, 1.0]),
    ((0, {}, b""), [0.5, 1.0]),
]


@pytest.mark.parametrize(("answer", "waits"), BUSY)
def test_a_busy_server_is_asked_again_after_a_wait(api, answer, waits):
    api.answer = lambda path, query: js([{"id": "a"}]) if len(api.asked) == 3 else answer
    slept: list[float] = []
    assert read(api, {"retries": 2}, slept)["id"].tolist() == ["a"]
    assert slept == waits


def test_a_server_that_stays_away_is_told_after_the_last_try(api):
    api.answer = lambda path, query: (500, {}, b"")
    with pytest.raises(SourceError, match=r"HTTP 500 \(3 tries\); check that the service is up"):
        read(api, {"retries": 2})
    assert len(api.asked) == 3


@pytest.mark.parametrize("before", range(90, 122, 3))
def test_a_login_that_a_server_repeats_is_struck_out_wherever_the_message_is_cut(api, before):
    login = base64.b64encode(f"robot:{SECRET}".encode()).decode()
    body = f"{'x' * before}{SECRET} {login}"
    api.answer = lambda path, query: (401, {}, body.encode())
    with pytest.raises(SourceError) as raised:
        read(api, {})
    told = str(raised.value)
    assert "HTTP 401" in told
    assert not any(secret[:5] in told for secret in (SECRET, login[8:]))


def test_a_server_that_is_not_there_is_told():
    connection = Connection("api", host="http://127.0.0.1", port=1, password=SECRET, login="robot")
    with (
        pytest.raises(SourceError, match=r"ConnectError.*1 tries"),
        open_source(source({"kind": "http", "endpoint": "/a", "retries": 0}), connection, HOME) as reader,
    ):
        reader.read(DAY, WINDOW)


def test_a_slow_server_is_given_up(api):
    done = threading.Event()

    def slow(path: str, query: dict[str, str]) -> Answer:
        done.wait(5)
        return 0, {}, b""

    api.answer = slow
    with pytest.raises(SourceError, match=r"ReadTimeout|no whole answer within 0.1 s"):
        read(api, {"retries": 0, "timeout_seconds": 0.1})
    done.set()


class Dribble:
    """A server that sends its answers a byte at a time, for longer than anybody waits."""

    def __init__(self, whole: int, answer: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.whole, self.answer = whole, answer
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        peer, _ = self.listening.accept()
        with peer, suppress(OSError):
            for _ in range(self.whole):
                self.hear(peer)
                peer.sendall(WHOLE)
            self.hear(peer)
            for byte in self.answer:
                peer.sendall(bytes([byte]))
                time.sleep(0.05)

    def hear(self, peer: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += peer.recv(4096) or b"\r\n\r\n"

    def close(self) -> None:
        self.listening.close()
        self.thread.join(10)


BODY = b'[{"id": "a"}]'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY


@pytest.mark.parametrize("whole", [0, 1], ids=["a new connection", "one that was kept"])
@pytest.mark.parametrize(
    "answer",
    [WHOLE, WHOLE.replace(b"13\r\n", b"99\r\n") + b" " * 86, b"HTTP/1.0 200 OK\r\n\r\n" + BODY + b" " * 99],
    ids=["head", "body", "no length"],
)
def test_a_byte_now_and_then_does_not_outlive_the_time_of_a_request(whole: int, answer: bytes) -> None:
    served = Dribble(whole, answer)
    connection = Connection("api", host="http://127.0.0.1", port=served.port)
    spec = source({"kind": "http", "endpoint": "/a", "retries": 0, "timeout_seconds": 0.7})
    with open_source(spec, connection, HOME) as reader:
        for _ in range(whole):
            assert len(reader.read(DAY, WINDOW)) == 1
        began = time.monotonic()
        with pytest.raises(
            SourceError, match=r"no whole answer within 0.7 s \(timeout_seconds\) \(1 tries\)"
        ):
            reader.read(DAY, WINDOW)
    assert time.monotonic() - began < 3
    served.close()


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda content: bytes(pa.compress(content, codec="brotli", asbytes=True)),
}


@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_bomb_is_given_up_at_the_limit(api, form, encoding):
    bomb = BOMBS[encoding](bytes(60 * 2**20))
    assert len(bomb) < 2**17
    api.answer = lambda path, query: (200, {"Content-Encoding": encoding}, bomb)
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"larger than 2 MB; raise connector.max_megabytes"):
        read(api, {"format": form, "max_megabytes": 2})
    assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    tracemalloc.stop()
    assert len(api.asked) == 1


def test_the_pages_of_a_night_share_one_limit(api):
    api.answer = lambda path, query: js([{"id": query["page"] + "x" * 600_000}])
    with pytest.raises(SourceError, match="answers of a night are larger than 1 MB"):
        read(api, {"paging": PAGE, "max_megabytes": 1})
    assert len(api.asked) == 2


PACKED = gzip.compress(BODY, mtime=0)
BROTLI = pa.compress(BODY, codec="brotli", asbytes=True)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, wbits=-15)),
        ("br", BROTLI),
    ],
    ids=["gzip", "deflate", "deflate without a header", "br"],
)
def test_an_answer_packed_otherwise_than_asked_for_is_read_too(api, encoding, body):
    api.answer = lambda path, query: (200, {"Content-Encoding": encoding}, body)
    assert len(read(api, {"retries": 0})) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "says"),
    [
        ("gzip", PACKED[:-5], "cut short: its gzip content has no end"),
        ("gzip", PACKED + b"x", "bytes follow the end"),
        ("gzip", BODY, "cannot be decompressed"),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0), "encoded as 'gzip, gzip'"),
        ("zstd", BODY, "encoded as 'zstd'; gzip was asked for, and identity, gzip, deflate, br are read"),
        ("deflate", zlib.compress(BODY)[:-5], "cut short: its deflate content has no end"),
        ("deflate", zlib.compress(BODY) + b"x", "bytes follow the end of the answer's deflate content"),
        ("deflate", b"x" + BODY, "cannot be decompressed"),
        ("br", BODY, "cannot be decompressed"),
        ("br", BROTLI[:-3], "cannot be decompressed"),
    ],
)
def test_a_packed_answer_is_read_to_its_end_or_refused(api, encoding, body, says):
    api.answer = lambda path, query: (200, {"Content-Encoding": encoding}, body)
    with pytest.raises(SourceError, match=says):
        read(api, {"retries": 0})
    api.answer = lambda path, query: (200, {"Content-Encoding": "gzip"}, PACKED)
    assert len(read(api, {"retries": 0})) == 1


def test_a_key_that_comes_twice_with_one_value_is_that_value(api):
    again = b", ".join(b'"%d": [1, null], "%d": [1, null]' % (n, n) for n in range(30_000))
    api.answer = lambda path, query: (200, {}, b'{"items": [{"id": "a", "id": "a"}], %s}' % again)
    assert read(api, {"records_key": "items"}).to_dict("list") == {"id": ["a"]}


def few(number: int, rows: int = 10) -> list[dict[str, Any]]:
    return [{"id": f"{number}-{n}"} for n in range(rows)]


def upto(number: int, end: int = 3) -> list[dict[str, Any]]:
    return few(number) if number < end else []


CURSOR = {"kind": "cursor", "parameter": "after", "next_key": "next"}
# How pages end that have not given all there is: by the page that is asked for, its number from 1.
NO_END = [
    (
        PAGE,
        lambda n: {"items": upto(n), "total": 50, **({"error": "quota"} if n == 3 else {})},
        "says 'error': .\"quota\"",
    ),
    (PAGE, lambda n: {"items": upto(n), "total": 50}, "'total': 50, and 20 rows came"),
    (PAGE, lambda n: {"items": few(n) if n < 3 else None, "count": 50}, "'count': 50, and 20 rows came"),
    (
        PAGE,
        lambda n: {"items": few(n), "total": 50} if n < 3 else {"items": []},
        "'total': 50, and 20 rows came",
    ),
    (PAGE, lambda n: {"items": upto(n), "errors": [{"code": 7}]}, "says 'errors'"),
    (PAGE, lambda n: {"items": upto(n, 2), "success": n < 2}, "says 'success': false"),
    (PAGE, lambda n: {"items": upto(n, 2), "status": "error" if n > 1 else "ok"}, "says 'status': \"error\""),
    (PAGE, lambda n: {"items": few(1 + n % 2), "at": n}, "page 3 repeats a page before it"),
    (
        {**PAGE, "total": "meta.all"},
        lambda n: {"items": upto(n), "meta": {"all": 21}},
        "'meta.all': 21, and 20",
    ),
    (
        {**PAGE, "total": "meta.all"},
        lambda n: {"items": upto(n), "meta": {"all": 19}},
        "'meta.all': 19, and 20",
    ),
    (
        {**PAGE, "total": "all"},
        lambda n: {"items": upto(n)},
        "no answer has a number 'all'; check paging.total",
    ),
    # Rows went while the pages were read; that is no licence to lose the others.
    (PAGE, lambda n: {"items": upto(n), "total": 51 - n}, "'total': 49, and 20 rows came"),
    (
        PAGE,
        lambda n: {"items": few(n), "total": 24} if n == 1 else {"items": [], "total": 0},
        "'total': 24, and 10 rows came",
    ),
    (
        {**PAGE, "total": "meta.all"},
        lambda n: {"items": upto(n), "meta": {"all": 51 - n}},
        "'meta.all': 49, and 20",
    ),
    (CURSOR, lambda n: {"items": few(n, 3), "next_cursor": "b"}, "no key 'next'; known: items, next_cursor"),
    (CURSOR, lambda n: {"items": few(n, 3), "cursor": "b", "total": 15}, "no key 'next'"),
    (CURSOR, lambda n: {"items": few(n, 3), "next": None, "total": 15}, "'total': 15, and 3 rows came"),
    (CURSOR, lambda n: {"items": few(1, 3), "next": str(n)}, "page 2 repeats a page before it"),
    (
        None,
        lambda n: {"items": few(n), "total": 50},
        "'total': 50, and 10 rows came; declare connector.paging",
    ),
    (None, lambda n: {"items": few(n), "next": "/aircraft?page=2"}, "has a next page, '/aircraft\\?page=2'"),
    (None, lambda n: {"items": few(n), "meta": {"total": "50"}}, "'meta.total': 50, and 10 rows came"),
    (None, lambda n: {"items": few(n), "has_more": True}, "says 'has_more': true; declare connector.paging"),
    (PAGE, lambda n: {"items": upto(n), "pagination": {"total": 50}}, "'pagination.total': 50, and 20 rows"),
    (None, lambda n: {"items": [], "error": "not today"}, "says 'error': .\"not today\""),
    (PAGE, lambda n: {"items": upto(n), "timed_out": n == 2}, "says 'timed_out': true"),
    (None, lambda n: {"items": few(n), "incomplete_results": True}, "says 'incomplete_results': true"),
]


@pytest.mark.parametrize(("paging", "answer", "says"), NO_END)
def test_an_end_that_is_none_is_refused(api, paging, answer, says):
    api.answer = lambda path, query: js(answer(len(api.asked)))
    with pytest.raises(SourceError, match=says):
        read(api, {"records_key": "items", "paging": paging})


AN_END = [
    (PAGE, lambda n: {"items": few(n) if n < 3 else [], "total": 20}, 20),
    (PAGE, lambda n: {"items": few(n) if n < 3 else None, "total": 20, "error": None, "errors": []}, 20),
    (PAGE, lambda n: {"items": few(n, 12 - 4 * n) if n < 3 else [], "count": 12 - 4 * n}, 12),
    (PAGE, lambda n: {"items": upto(n), "count": len(upto(n))}, 20),
    (PAGE, lambda n: {"items": upto(n), "total": 18 + n}, 20),
    ({**PAGE, "total": False}, lambda n: {"items": few(n) if n < 3 else [], "total": 500}, 20),
    ({**PAGE, "total": "meta.all"}, lambda n: {"items": few(n) if n < 3 else [], "meta": {"all": 20}}, 20),
    # A total that comes with the rows: the empty page after the last says 0.
    ({**PAGE, "total": "all"}, lambda n: {"items": upto(n), "all": 20 if n < 3 else 0}, 20),
    # A row came while the pages were read.
    ({**PAGE, "total": "all"}, lambda n: {"items": few(n, 12 - n) if n < 3 else [], "all": 19 + n}, 21),
    (CURSOR, lambda n: {"items": few(n), "next": str(n)} if n < 3 else {"items": few(n)}, 30),
    (CURSOR, lambda n: {"items": few(n, 3), "total": 3}, 3),
    ({**CURSOR, "next_may_be_absent": True}, lambda n: {"items": few(n, 3)}, 3),
    (
        {**CURSOR, "next_key": "meta.next"},
        lambda n: {"items": few(n), "meta": {"next": "b" if n < 2 else None}},
        20,
    ),
    ({"kind": "single"}, lambda n: {"items": few(n), "total": 50, "next": "/b", "has_more": True}, 10),
    (None, lambda n: {"items": few(n), "total": 10, "next": None}, 10),
]


@pytest.mark.parametrize(("paging", "answer", "rows"), AN_END)
def test_an_end_that_is_one_is_taken(api, paging, answer, rows):
    api.answer = lambda path, query: js(answer(len(api.asked)))
    assert len(read(api, {"records_key": "items", "paging": paging})) == rows


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (200, {"Link": '</aircraft?page=2>; rel="next"'}, "has a next page, '/aircraft.page=2' .Link"),
        (200, {"X-Total-Count": "50"}, "'X-Total-Count': 50, and 10 rows came; declare connector.paging"),
        (200, {"Content-Range": "0-9/50"}, "'Content-Range': 50, and 10 rows came"),
        (206, {"Content-Range": "0-9/*"}, "is a part of it .HTTP 206"),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_answer_whose_headers_tell_of_others_is_not_all_there_is(api, form, status, headers, says):
    body = "id\n" + "\n".join(each["id"] for each in few(1)) if form == "csv" else json.dumps(few(1))
    api.answer = lambda path, query: (status, headers, body.encode())
    with pytest.raises(SourceError, match=says):
        read(api, {"format": form})
    assert len(read(api, {"format": form, "paging": {"kind": "single"}})) == 10


def test_a_draft_looks_at_the_first_answer_of_an_api_whose_paging_nobody_has_said_yet(api):
    api.answer = lambda path, query: js(
        {"items": few(len(api.asked)), "total": 50, "next": "/aircraft?page=2"}
    )
    spec = source({"kind": "http", "endpoint": "/aircraft", "records_key": "items"})
    found = look(spec, api.connection, Calendar(HOME, DAY, DAY))
    assert {day: len(rows) for day, rows in found.items()} == {DAY: 10}
    with pytest.raises(SourceError, match=r"'total': 50|has a next page"):
        collect(spec, DAY, WINDOW, api.connection, HOME)


def past_the_end(status: int, **total: Any) -> Callable[[str, dict[str, str]], Answer]:
    invalid = js({"detail": "Invalid page."}, status)
    return lambda path, query: (
        invalid if int(query["page"]) > 2 else js({"items": few(int(query["page"])), **total})
    )


def test_a_status_past_the_last_page_is_the_end_if_all_rows_have_come_or_it_is_declared(api):
    connector = {"records_key": "items", "paging": PAGE}
    api.answer = past_the_end(404, count=20, next=None)
    assert len(read(api, connector)) == 20
    api.answer = lambda path, query: past_the_end(404, count=18 + int(query["page"]))(path, query)
    assert len(read(api, connector)) == 20
    for answer in (past_the_end(404), past_the_end(404, count=30), past_the_end(404, count=20, next="/x")):
        api.answer = answer
        with pytest.raises(SourceError, match=r"HTTP 404, .*Invalid page"):
            read(api, connector)
    api.answer = past_the_end(416)
    declared = {**connector, "paging": {**PAGE, "end_status": 416}}
    assert len(read(api, declared)) == 20
    api.answer = lambda path, query: js({}, 416)
    with pytest.raises(SourceError, match="HTTP 416"):
        read(api, declared)


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("/days/{batch_date}/fleet", ("/days/2013-02-08/fleet", {})),
        ("/days/{batch_date:%Y/%j}?as_of={batch_date:%d.%m.%Y}", ("/days/2013/039", {"as_of": "08.02.2013"})),
        ("/days?filter={{1}}", ("/days", {"filter": "{1}"})),
    ],
)
def test_the_batch_date_may_stand_in_the_endpoint(api, endpoint, asked):
    api.answer = lambda path, query: js(few(1))
    read(api, {"endpoint": endpoint})
    assert [(path, query) for path, query, _ in api.asked] == [asked]


def test_the_query_of_an_endpoint_is_asked_together_with_parameters_and_pages(api):
    api.answer = lambda path, query: js(few(1) if query.get("page") in (None, "1") else [])
    for connector in (
        {"endpoint": "/aircraft?type=a&type=b&empty="},
        {"endpoint": "/aircraft?type=a%20b", "parameters": {"as_of": "{batch_date}"}},
        {"endpoint": "/aircraft?type=a", "parameters": {"as_of": "{batch_date}"}, "paging": PAGE},
    ):
        read(api, connector)
    asked = [sorted(query.items()) for _, query, _ in api.asked]
    assert asked == [
        [("type", "b")],
        [("as_of", "2013-02-08"), ("type", "a b")],
        [("as_of", "2013-02-08"), ("page", "1"), ("type", "a")],
        [("as_of", "2013-02-08"), ("page", "2"), ("type", "a")],
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_with_its_target_and_not_followed(api, status):
    for target, says in (
        ("/aircraft/?v=2", r"leads to /aircraft/\?v=2; write that into connector.endpoint"),
        ("http://me:word@example.org/a", r"leads to another server, http://example.org/a"),
        ("https://127.0.0.1/aircraft", r"leads to another server, https://127.0.0.1/aircraft"),
        (None, "a redirect without a target"),
    ):
        headers = {"Location": target} if target else {}
        api.answer = lambda path, query, headers=headers: (status, headers, b"")
        with pytest.raises(SourceError, match=rf"HTTP {status}.*{says}") as raised:
            read(api, {})
        assert "word" not in str(raised.value)
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("http://api.example.org/x?page=2", "https://api.example.org/x?page=2"),
        ("https://api.example.org:443/x?page=2", "https://api.example.org/x?page=2"),
        ("//api.example.org/x?page=2", "https://api.example.org/x?page=2"),
        ("http://api.example.org:8080/x", None),
        ("http://other.example.org/x", None),
    ],
)
def test_a_link_by_the_other_scheme_is_asked_by_the_one_that_is_declared(link, leads):
    spec = source({"kind": "http", "endpoint": "/x", "paging": CURSOR})
    with httpx.Client(base_url="https://api.example.org") as client:
        opened = OpenApi(spec, spec.connector, Connection("api"), client, time.sleep)
        answer = RequestAnswer(httpx.URL("https://api.example.org/x"), 200, httpx.Headers(), b"")
        if leads:
            assert _follow(opened, answer, link, {}, spec.connector.paging) == (leads, {})
        else:
            with pytest.raises(
                SourceError, match=r"another server, http://\w+.example.org:\d+, not https://api.ex"
            ):
                _follow(opened, answer, link, {}, spec.connector.paging)


@pytest.mark.parametrize(
    "answer",
    [js({"error": "quota"}), (200, {"Content-Type": "text/html"}, b"<html>"), (200, {}, b"id,m\n1,2\n")],
)
def test_a_later_page_that_is_no_page_of_the_table_is_no_end(api, answer):
    api.answer = lambda path, query: (200, {}, b"id,n\na,1\n") if query["page"] == "1" else answer
    with pytest.raises(SourceError, match=r"not CSV|has other columns than the first"):
        read(api, {"format": "csv", "paging": PAGE})


def test_csv_in_another_dialect_is_read_or_told(api):
    api.answer = lambda path, query: (200, {}, "id;n\nKäse;1,5\n".encode("cp1252"))
    dialect = {"delimiter": ";", "encoding": "cp1252"}
    assert read(api, {"format": "csv", "dialect": dialect})["n"].tolist() == ["1,5"]
    with pytest.raises(
        SourceError, match=r'write connector.dialect: {delimiter: ";", decimal: ",", encoding: "cp1252"}'
    ):
        read(api, {"format": "csv"})


def test_csv_pages_are_one_frame_of_text(api):
    pages = {"1": b"id,n\n007,1\n", "2": b"id,n\n8,\n", "3": b"id,n\n"}
    api.answer = lambda path, query: (200, {"Content-Type": "text/csv"}, pages[query["page"]])
    frame = read(api, {"format": "csv", "paging": PAGE})
    assert frame["id"].tolist() == ["007", "8"]


def test_no_records_are_no_rows(api):
    api.answer = lambda path, query: js([])
    assert len(read(api, {"paging": PAGE})) == 0


MISTAKES = [
    ({"endpoint": "http://example.org/x"}, "is a whole address"),
    ({"endpoint": "//example.org/x"}, "is a whole address"),
    ({"parameters": {"as_of": "{batch_date.year}"}}, "key 'connector.parameters.as_of'"),
    ({"parameters": {"as_of": "{ds}"}}, "use {batch_date}"),
    ({"endpoint": "/days/{date}"}, "key 'connector.endpoint': placeholder '{date}' is not known"),
    ({"format": "csv", "paging": {"kind": "cursor"}}, "CSV holds no cursor"),
]


@pytest.mark.parametrize(("connector", "message"), MISTAKES)
def test_a_mistake_in_the_spec_is_told_before_anything_is_asked(api, connector, message):
    with pytest.raises(SpecError, match=message):
        read(api, connector)
    assert api.asked == []


SETUP = """
DROP SCHEMA IF EXISTS test_connectors CASCADE;
CREATE SCHEMA test_connectors;
CREATE TABLE test_connectors.flights (
    id text, day date, at timestamptz, fare numeric(10, 2), delay double precision,
    seats bigint, late boolean);
INSERT INTO test_connectors.flights
SELECT 'f' || n, date '2013-02-08' + (n % 2), timestamptz '2013-02-08 00:00+00' + n * interval '1 minute',
       n / 4.0, CASE WHEN n % 5 = 0 THEN NULL ELSE n END, 1152921504606846977, n % 3 = 0
FROM generate_series(1, 200) AS n;
"""
COLUMNS = {
    "id": {"type": "string"},
    "day": {"type": "date"},
    "at": {"type": "timestamp"},
    "fare": {"type": "float"},
    "delay": {"type": "float", "nullable": True},
    "seats": {"type": "integer"},
    "late": {"type": "boolean"},
}


@pytest.fixture
def flights(postgres_url: str) -> Iterator[Connection]:
    url = postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(SETUP))
    yield Connection("ops", "postgres", engine=lambda: create_engine(url))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA test_connectors CASCADE"))
    engine.dispose()


def postgres(query: str) -> Source:
    rule = {"expect_column_values_to_be_between": {"column": "delay", "min_value": 0}}
    return source({"kind": "sql", "query": query}, columns=COLUMNS, expectations=[rule])


def test_postgresql_rows_are_collected_typed_and_valid(flights):
    spec = postgres("SELECT * FROM test_connectors.flights WHERE day = :batch_date")
    frame = collect(spec, DAY, WINDOW, flights, HOME)
    assert len(frame) == 100
    assert frame["seats"].tolist() == [2**60 + 1] * 100
    assert isinstance(frame["fare"].iloc[0], Decimal)
    accepted = validate_batches(spec, {DAY: frame}).require_passed().accepted
    assert str(accepted["at"].dtype) == "datetime64[us, UTC]"


def test_postgresql_windows_meet_without_gap_or_overlap(flights):
    spec = postgres(
        "SELECT id, at FROM test_connectors.flights WHERE at >= :window_start AND at < :window_end"
    )
    edges = [datetime(2013, 2, 8, hour, tzinfo=UTC) for hour in (0, 1, 3, 4)]
    with open_source(spec, flights, HOME) as reader:
        parts = [reader.read(DAY, window) for window in pairwise(edges)]
    assert sorted(row for part in parts for row in part["id"]) == sorted(f"f{n}" for n in range(1, 201))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT lo_create(0) AS id", "read-only transaction"),
        ("DELETE FROM test_connectors.flights RETURNING id", "syntax error"),
    ],
)
def test_a_source_is_never_written_to(flights, query, message):
    with pytest.raises(SourceError, match=message):
        collect(postgres(query), DAY, WINDOW, flights, HOME)


def test_a_retyped_postgresql_column_stops_at_validation_by_name(flights):
    spec = postgres(
        "SELECT id, day, at, fare, delay::text AS delay, seats, late FROM test_connectors.flights"
    )
    verdict = validate_batches(spec, {DAY: collect(spec, DAY, WINDOW, flights, HOME)}).verdicts[DAY]
    assert verdict.reasons[0].startswith("column 'delay' is not float any more")


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        ("SELEC 1", SourceRefused, 'syntax error at or near "SELEC"; mend connector.query'),
        ("SELECT nope FROM pg_class", SourceRefused, 'column "nope" does not exist; mend connector.query'),
        ("SELECT rolpassword FROM pg_authid, nowhere", SourceError, "check the table's name, and that it is there"),
        ("SELECT 1/0 AS id", SourceRefused, "division by zero; a value is not what the query takes it for"),
        ("SELECT 'x'::int AS id", SourceRefused, 'invalid input syntax for type integer: "x"; a value is not'),
        ("SELECT 1 AS id, 2 AS id", SourceRefused, "column 'id' is delivered more than once; rename one of them"),
        ("SELECT", SourceRefused, "the query returns no columns"),
        ("CREATE TABLE x (a int)", SourceRefused, "mend connector.query"),
        ("SELECT pg_terminate_backend(pg_backend_pid()) AS id", SourceError, "check that the database is up"),
        ("SELECT pg_sleep(3) AS id", SourceError, "make the query faster, or raise statement_timeout"),
    ],
)  # fmt: skip
def test_a_database_that_would_answer_the_same_is_not_asked_again(
    database_url: str, query: str, error: type, says: str
) -> None:
    url = database_url.replace("postgresql://", "postgresql+psycopg2://")
    timeout = {"options": "-c statement_timeout=500"}
    connection = Connection("api", engine=lambda: create_engine(url, connect_args=timeout))
    with pytest.raises(SourceError) as refused:
        collect(source({"kind": "sql", "query": query}), DAY, WINDOW, connection, HOME)
    assert type(refused.value) is error, refused.value
    assert says in str(refused.value)
    assert "CURSOR" not in str(refused.value)
