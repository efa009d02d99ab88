"""`nightshift sql`: what it prints can be read."""

import pytest

from nightshift.runtime import postgres

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("columns", ["100", "160"])
def test_wide_cells_are_folded_and_nothing_of_them_is_lost(
    database_url: str, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    statement = "SELECT 7 AS version, repeat('x', 6000) AS words, repeat('y', 400) AS told"
    assert postgres.ask(database_url, statement) == 0
    said = capfd.readouterr().out
    assert (said.count("x"), said.count("y")) == (6000, 400)
    assert max(map(len, said.splitlines())) <= int(columns)


def test_nothing_is_folded_where_the_whole_is_asked_for(
    database_url: str, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert postgres.ask(database_url, "SELECT 7 AS version, repeat('x', 6000) AS words", whole=True) == 0
    assert f" 7 | {'x' * 6000}" in " ".join(capfd.readouterr().out.split(" ")).replace("       7", " 7")


def test_narrow_rows_stay_a_table(database_url: str, capfd: pytest.CaptureFixture) -> None:
    assert postgres.ask(database_url, "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t (version, words)") == 0
    assert [line.split() for line in capfd.readouterr().out.splitlines()][2:4] == [
        ["1", "|", "a"],
        ["2", "|", "b"],
    ]
