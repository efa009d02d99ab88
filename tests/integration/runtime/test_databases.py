"""Roles and databases on a server of somebody else's: what is not ours is named, and left as it was."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from nightshift.errors import NotReady
from nightshift.runtime import databases

pytestmark = pytest.mark.integration


class Server:
    """A server as its administrator sees it, and two names on it that nobody has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.free, self.taken = f"free_{uuid4().hex}", f"taken_{uuid4().hex}"

    def run(self, statement: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)

    def enters(self, name: str, password: str) -> bool:
        own = make_url(self.url).set(username=name, password=password, database=name)
        return databases.answers(own.render_as_string(hide_password=False))

    def create(self, password: str, installation: str) -> None:
        databases.create(self.url, {self.free: password, self.taken: password}, installation=installation)


@pytest.fixture
def server(postgres_url: str) -> Iterator[Server]:
    found = Server(postgres_url)
    yield found
    for name in (found.free, found.taken):
        found.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        found.run(f"DROP ROLE IF EXISTS {name}")


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["CREATE ROLE {0} LOGIN PASSWORD 'theirs'", "CREATE DATABASE {0} OWNER {0}"], ["role", "database"]),
        (["CREATE ROLE {0} LOGIN PASSWORD 'theirs'"], ["role"]),
        (["CREATE DATABASE {0}"], ["database"]),
    ],
)
def test_what_somebody_else_has_is_named_and_nothing_is_changed(
    server: Server, statements: list[str], named: list[str]
) -> None:
    for statement in statements:
        server.run(statement.format(server.taken))
    said = ", ".join(f"{kind} '{server.taken}'" for kind in named)
    with pytest.raises(NotReady, match=f"^{said}: .* not ours; nothing was changed.*COMMENT ON ROLE") as told:
        server.create("word", "one")
    assert "word" not in str(told.value)
    assert server.enters(server.taken, "theirs") == (named == ["role", "database"])
    with pytest.raises(psycopg2.errors.UndefinedObject):
        server.run(f"DROP ROLE {server.free}")


def test_what_is_ours_goes_on_with_another_password_and_is_not_another_homes(server: Server) -> None:
    server.create("word", "one")
    server.create("another", "one")
    assert server.enters(server.taken, "another")
    with pytest.raises(NotReady, match="not ours"):
        server.create("mine", "two")
    assert server.enters(server.taken, "another")
    for name in (server.free, server.taken):
        server.run(f"COMMENT ON ROLE {name} IS 'nightshift two'")
    server.create("mine", "two")
    assert server.enters(server.taken, "mine")


def test_an_installation_from_before_roles_were_marked_goes_on_without_a_step(server: Server) -> None:
    server.create("word", "one")
    for name in (server.free, server.taken):
        server.run(f"COMMENT ON ROLE {name} IS NULL")
    server.create("word", "one")
    server.create("another", "one")
    assert server.enters(server.taken, "another")
