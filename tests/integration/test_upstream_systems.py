"""The upstream for real: a year in PostgreSQL, files on disk, pages over HTTP."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from examples.nyc_flights import upstream
from nightshift.errors import SourceError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    """A database of this module's own."""
    admin = psycopg2.connect(postgres_url)
    admin.autocommit = True
    admin.cursor().execute("CREATE DATABASE upstream_test")
    yield f"{postgres_url.rpartition('/')[0]}/upstream_test"
    admin.cursor().execute("DROP DATABASE upstream_test WITH (FORCE)")
    admin.close()


@pytest.fixture(scope="module")
def weather(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upstream") / "weather"
    upstream.seed(database, folder)
    return folder


def ask(database: str, query: str) -> tuple[object, ...]:
    connection = psycopg2.connect(database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()
    finally:
        connection.close()


def test_the_year_is_there(database: str, weather: Path) -> None:
    assert ask(database, "SELECT count(*), count(tailnum) FROM ops.schedule") == (336776, 334264)
    assert ask(database, "SELECT count(*), count(dep_delay), count(arr_delay) FROM ops.arrivals") == (
        336776,
        328521,
        327346,
    )
    files = sorted(path.name for path in weather.glob("*.csv"))
    assert (len(files), files[0], files[-1]) == (364, "2013-01-01.csv", "2013-12-30.csv")


def test_nothing_is_known_before_it_could_be(database: str, weather: Path) -> None:
    late = """SELECT count(*) FROM ops.schedule
              WHERE published_at >= flight_date::timestamp AT TIME ZONE 'America/New_York'"""
    early = """SELECT count(*) FROM ops.arrivals JOIN ops.schedule USING (flight_id)
               WHERE reported_at < sched_dep_at + coalesce(dep_delay, 0) * interval '1 minute'"""
    assert ask(database, late) == (0,)
    assert ask(database, early) == (0,)


def test_the_gale_of_12_february_is_kept(weather: Path) -> None:
    assert (
        "EWR,2013-02-12T08:00:00Z,39.02,26.96,61.63,260,1048.36058"
        in (weather / "2013-02-12.csv").read_text()
    )


def test_a_second_seed_does_nothing_and_is_quick(database: str, weather: Path) -> None:
    before = ask(database, "SELECT pg_relation_filenode('ops.schedule')")
    started = time.perf_counter()
    upstream.seed(database, weather)
    assert time.perf_counter() - started < 2  # 0.05 s on an idle machine
    assert ask(database, "SELECT pg_relation_filenode('ops.schedule')") == before


def test_lost_rows_and_files_are_put_back(database: str, weather: Path) -> None:
    ask(
        database,
        "WITH gone AS (DELETE FROM ops.arrivals WHERE carrier = 'OO' RETURNING 1) SELECT 1 FROM gone",
    )
    (weather / "2013-02-08.csv").unlink()
    upstream.seed(database, weather)
    assert ask(database, "SELECT count(*) FROM ops.arrivals") == (336776,)
    assert (weather / "2013-02-08.csv").is_file()


def test_a_database_out_of_reach_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="upstream database"):
        upstream.seed("postgresql://nobody@127.0.0.1:1/none", tmp_path)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with upstream.service(0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield connection
    connection.close()


def get(client: http.client.HTTPConnection, path: str) -> tuple[int, dict[str, object]]:
    client.request("GET", path)
    answer = client.getresponse()
    return answer.status, json.loads(answer.read())


def test_the_register_is_read_page_by_page_over_one_connection(client: http.client.HTTPConnection) -> None:
    assert get(client, "/health") == (200, {"status": "ok"})
    socket = client.sock
    pages = [get(client, f"/aircraft?as_of=2013-02-01&page={page}&size=1000")[1] for page in range(1, 5)]
    assert client.sock is socket  # kept alive
    tails = [aircraft["tailnum"] for page in pages for aircraft in page["items"]]
    assert len(set(tails)) == pages[0]["total"] == 3322


def test_pages_come_without_the_40_ms_of_delayed_acknowledgements(client: http.client.HTTPConnection) -> None:
    started = time.perf_counter()
    for _ in range(50):
        get(client, "/aircraft?as_of=2013-02-01&page=1&size=10")
    assert (time.perf_counter() - started) / 50 < 0.03


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/aircraft?as_of=nope", 400, {"parameter": "as_of"}),
        ("/aircraft?as_of=2013-02-01&size=x", 400, {"parameter": "size"}),
        ("/planes", 404, {"error": "no such path /planes; known: /aircraft, /health"}),
    ],
)
def test_refusals_are_json(
    client: http.client.HTTPConnection, path: str, status: int, part: dict[str, str]
) -> None:
    answered, content = get(client, path)
    assert answered == status
    assert part.items() <= content.items()


def test_a_taken_port_is_a_source_error(port: int) -> None:
    with pytest.raises(SourceError, match=f"port {port}"):
        upstream.service(port)
