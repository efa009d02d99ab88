"""`nightshift score`: the champion's predictions for given entities, into a file or a table of their own."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from nightshift.calendar import parse_date
from nightshift.cli import handles
from nightshift.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")


def run(
    model: str, *, keys: Path | None, where: Sequence[str], night: str | None, output: Path | None
) -> list[str]:
    """Score, and return what was found and where it is, in words.

    Raises:
        RequestError: neither or both of keys and where; a file that cannot be read, or is of another kind.
    """
    if (keys is None) == (not where):
        raise RequestError("give either --keys FILE or --where column=value")
    for file, option in ((keys, "--keys"), (output, "--output")):
        if file and file.suffix.lower() not in SUFFIXES:
            raise RequestError(f"{option}: {file}: expected a file that ends in {' or '.join(SUFFIXES)}")
    platform = handles.platform("score")
    from nightshift import stages

    entity = platform.project.feature_set(platform.project.model(model).features).entity
    wanted = stages.Wanted(read_keys(keys, entity) if keys else (), tuple(where))
    asked = stages.Try(f"command_{uuid4().hex}")
    of = platform.project.calendar.check(parse_date(night, "--night")) if night else None
    if output is None:
        facts, words = stages.score_entities(platform, model, of, asked, wanted)
        where_it_is = f"table {facts['table']}, run_id {facts['run_id']}"
        told = (facts["night"], facts["version"], facts["recalibrated"])
    else:
        answered = stages.ask_champion(platform, model, of, asked, wanted)
        write(answered.rows.drop(columns="arm"), output)
        words, where_it_is = answered.selected.words(), str(output)
        told = (str(answered.night), answered.version, answered.recalibrated)
    return [
        f"{model}, night of {told[0]}, version {told[1]}, {told[2]}: {words}",
        f"Predictions: {where_it_is}",
    ]


def read_keys(file: Path, entity: list[str]) -> list[tuple[str, ...]]:
    """Return the keys in a CSV or Parquet file, whose columns may be more than the entity's.

    Raises:
        RequestError: it cannot be read, lacks a column, has no row, or a key without a value.
    """
    try:
        columns = _columns(file)
    except (OSError, ValueError, csv.Error) as error:
        raise RequestError(f"--keys: {file}: cannot be read: {error}") from error
    for name in entity:
        if name not in columns:
            raise RequestError(f"--keys: {file}: no column '{name}'{did_you_mean(name, columns)}")
    keys = list(zip(*(columns[name] for name in entity), strict=True))
    if not keys:
        raise RequestError(f"--keys: {file}: holds no key")
    return [_key(key, f"--keys: {file}: row {number}") for number, key in enumerate(keys, start=1)]


def _key(values: tuple[object, ...], place: str) -> tuple[str, ...]:
    for value in values:
        # Keys are text; a float would be spelled in some way of its own.
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise RequestError(f"{place}: expected text, got {value!r}")
    return tuple(map(str, values))


def _columns(file: Path) -> dict[str, list[object]]:
    if file.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        return dict(pq.read_table(file).to_pydict())
    with file.open(newline="", encoding="utf-8-sig") as lines:
        head, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
    if len(set(head)) != len(head):
        raise ValueError("two columns have the same name")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} fields, the header {len(head)}")
    return {name: [row[place] for row in rows] for place, name in enumerate(head)}


def write(rows: "pd.DataFrame", file: Path) -> None:
    """Write a file that is there whole, or not at all.

    Raises:
        RequestError: it cannot be written.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        if file.suffix.lower() == ".parquet":
            rows.to_parquet(beside, index=False)
        else:
            rows.to_csv(beside, index=False)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RequestError(f"--output: {file}: cannot be written: {error.strerror or error}") from error
