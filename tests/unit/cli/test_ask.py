"""The files of `nightshift score`: keys as they are spelled, predictions whole or not at all."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from nightshift.cli.app import app
from nightshift.cli.ask import read_keys, run, write
from nightshift.errors import RequestError


@pytest.mark.parametrize("content", ["id,name\n007,x\na b,y\n", "\ufeffname,id\r\nx,007\r\n\r\ny,a b\r\n"])
def test_keys_are_text_as_the_file_spells_them_and_other_columns_do_not_matter(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "keys.csv"
    file.write_text(content, newline="", encoding="utf-8")
    assert read_keys(file, ["id"]) == [("007",), ("a b",)]
    assert read_keys(file, ["name", "id"]) == [("x", "007"), ("y", "a b")]


def test_keys_come_from_parquet_too_and_whole_numbers_are_spelled_out(tmp_path: Path) -> None:
    file = tmp_path / "keys.parquet"
    pd.DataFrame({"id": [9007199254740993, 2], "f": [1.0, 2.0], "n": ["a", None]}).to_parquet(file)
    assert read_keys(file, ["id"]) == [("9007199254740993",), ("2",)]
    with pytest.raises(RequestError, match=r"row 1: expected text, got 1\.0"):
        read_keys(file, ["f"])
    with pytest.raises(RequestError, match="row 2: expected text, got None"):
        read_keys(file, ["n"])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("k.csv", b"idd\n1\n", r"no column 'id'; did you mean 'idd'\?"),
        ("k.csv", b"", "no column 'id'"),
        ("k.csv", b"id\n", "holds no key"),
        ("k.csv", b"id,x\n1\n", "row 1 has 1 fields, the header 2"),
        ("k.csv", b"id,id\n1,2\n", "two columns have the same name"),
        ("k.csv", b"id,x\n,2\n", "row 1: expected text, got ''"),
        ("k.csv", b'id\n"1\n', "cannot be read"),
        ("k.csv", b"id\n\xff\xfe\n", "cannot be read"),
        ("k.parquet", b"id\n1\n", "cannot be read"),
    ],
)
def test_a_file_of_keys_that_is_none_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RequestError, match=says) as refused:
        read_keys(file, ["id"])
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        read_keys(tmp_path / "none.csv", ["id"])


def test_predictions_are_written_whole_by_the_files_ending(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["007"], "prediction": [0.1 + 0.2]})
    for name in ("p.csv", "p.PARQUET"):
        write(rows, tmp_path / name)
    assert pd.read_csv(tmp_path / "p.csv", dtype={"id": str}, float_precision="round_trip").equals(rows)
    assert pd.read_parquet(tmp_path / "p.PARQUET")["prediction"].tolist() == [0.1 + 0.2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["p.PARQUET", "p.csv"]
    with pytest.raises(RequestError, match="cannot be written"):
        write(rows, tmp_path / "none" / "p.csv")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give either --keys FILE or --where"),
        (["--keys", "k.csv", "--where", "a=b"], "give either --keys FILE or --where"),
        (["--keys", "k.txt"], "--keys: k.txt: expected a file that ends in"),
        (["--where", "a=b", "--output", "p.xlsx"], "--output: p.xlsx: expected a file that ends in"),
    ],
)
def test_the_command_says_what_it_takes(words: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["score", "late_arrival", *words])
    assert done.exit_code == 1
    assert says in " ".join(done.output.split())


def test_neither_keys_nor_conditions_is_no_question() -> None:
    with pytest.raises(RequestError):
        run("late_arrival", keys=None, where=[], night=None, output=None)
