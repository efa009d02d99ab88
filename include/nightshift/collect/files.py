"""Files: CSV or Parquet below a folder or an fsspec URL; one file a date, or one file with a date column."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from string import Formatter
from urllib.parse import urlsplit, urlunsplit

import fsspec
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from nightshift.collect.connection import Connection, Reader, Sleep, Window
from nightshift.collect.delimited import NotCsv, read_csv
from nightshift.errors import SchemaMismatch, SourceError, SpecError, did_you_mean
from nightshift.specs import FilesConnector, Source

# Year first, so that month and day cannot be mistaken for each other.
SLASHED = r"^(\d{4})/(\d{2})/(\d{2})$"


@contextmanager
def open_files(source: Source, connection: Connection, sleep: Sleep) -> Iterator[Reader]:
    """Yield a reader; a file that serves several dates is read once."""
    spec = source.connector
    if not isinstance(spec, FilesConnector):
        raise SpecError(f"source '{source.name}': its connector is not files")
    root = _root(source, connection)
    place(root, spec.path, date(2000, 1, 1), source)  # a wrong path fails now, not at the first read
    load = cache(lambda path, batch_date: _load(source, spec, connection, path, batch_date))

    def read(batch_date: date, window: Window) -> pd.DataFrame:
        day = batch_date + timedelta(days=spec.offset_days)
        path = place(root, spec.path, day, source)
        if spec.date_column is None:
            return _load(source, spec, connection, path, day)
        return _rows_of(source, load(path, None), spec.date_column, day, path)

    yield Reader(read)


def place(root: str, pattern: str, day: date, source: Source) -> str:
    """Return the full path or URL of ``day``'s file: ``pattern`` below ``root``, and never out of it.

    Raises:
        SpecError: the pattern names anything but ``{date}`` or ``{date:format}``, or leads out of the root.
    """
    where = f"source '{source.name}', key 'connector.path'"
    relative = fill(pattern, {"date": day}, where)
    parts = PurePosixPath(relative.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or "://" in relative or "\0" in relative:
        raise SpecError(f"{where}: '{relative}' leads out of the source's folder; give a path below it")
    if "://" in root:
        return f"{root.rstrip('/')}/{relative}"
    full = (Path(root) / relative).resolve()
    if not full.is_relative_to(Path(root).resolve()):
        raise SpecError(f"{where}: '{relative}' is a link out of the source's folder {root}")
    return str(full)


def fill(pattern: str, values: dict[str, date], where: str) -> str:
    """Return ``pattern`` with ``{name}`` or ``{name:format}`` filled in: dates only, no attributes.

    Raises:
        SpecError: any other placeholder, or one that does not end.
    """
    try:
        for _, name, form, conversion in Formatter().parse(pattern):
            if name is not None and (name not in values or conversion or "{" in (form or "")):
                known = " or ".join(f"{{{known}}}" for known in values)
                raise SpecError(f"{where}: placeholder '{{{name}}}' is not known; use {known}")
        return pattern.format(**values)
    except ValueError as error:
        raise SpecError(f"{where}: {pattern!r} is not a pattern: {error}") from error


def _root(source: Source, connection: Connection) -> str:
    root = connection.extra.get("path") or connection.host
    if not root:
        raise connection.failure(
            source, "no folder", 'put {"path": "/folder or s3://bucket/prefix"} into the connection\'s extra'
        )
    return str(root).removeprefix("file://")


def _load(
    source: Source, spec: FilesConnector, connection: Connection, path: str, day: date | None
) -> pd.DataFrame:
    shown = without_login(path) + (f" (rows of {day})" if day else "")
    try:
        with fsspec.open(
            path, "rb", compression="infer", **connection.extra.get("storage_options", {})
        ) as file:
            if spec.format == "csv":
                return read_csv(file.read())
            # Integers beside nulls stay integers; the writer's pandas index is no concern of ours.
            return parquet.read_table(file).to_pandas(integer_object_nulls=True, ignore_metadata=True)
    except FileNotFoundError:
        raise connection.failure(
            source, f"no file {shown}", "check that the upstream delivered it, then run the date again"
        ) from None
    except NotCsv as error:
        raise connection.failure(
            source, f"{shown}: {error}", "ask the upstream for the whole file"
        ) from error
    except pa.ArrowException as error:
        raise connection.failure(
            source, f"{shown}: not Parquet: {error}", "ask for the whole file"
        ) from error
    except (OSError, ImportError, ValueError) as error:
        raise connection.failure(
            source, f"{shown}: {error}", "check the folder, its path and rights"
        ) from None


def _rows_of(source: Source, frame: pd.DataFrame, column: str, day: date, path: str) -> pd.DataFrame:
    if column not in frame.columns:
        raise SchemaMismatch(
            f"source '{source.name}': {path} has no column '{column}' (connector.date_column)"
            f"{did_you_mean(column, map(str, frame.columns))}"
        )
    # The first ten letters of a date or timestamp, year first; datetimes and dates print as such.
    days = frame[column].astype("str").str.slice(0, 10)
    days = days.str.replace(SLASHED, r"\1-\2-\3", regex=True)
    wrong = frame[column][~days.str.fullmatch(r"\d{4}-\d{2}-\d{2}").fillna(False).astype(bool)]
    if len(wrong):
        # Such a row belongs to no night: dropping it would lose it without a trace.
        raise SourceError(
            f"source '{source.name}': {path}, column '{column}': {len(wrong)} values are no dates "
            f"YYYY-MM-DD, the first {wrong.iloc[0]!r:.60}; correct the file"
        )
    return frame[days == day.isoformat()].reset_index(drop=True)


def without_login(path: str) -> str:
    """Return a URL without its user and password."""
    if "://" not in path:
        return path
    parts = urlsplit(path)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
