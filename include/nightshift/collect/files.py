"""Files: CSV or Parquet below a folder or an fsspec URL; one file a date, or of several with a date column."""

import glob
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from nightshift.collect.archives import MEGABYTE, BadArchive, TooLarge, read_whole
from nightshift.collect.connection import Anew, Connection, Reader, Sleep, Window, taken, whole
from nightshift.collect.delimited import NotCsv, NotPlain, frames_of
from nightshift.collect.refusals import declared_once, named_once
from nightshift.collect.sniff import looks_like
from nightshift.errors import SchemaMismatch, SourceError, SpecError, did_you_mean
from nightshift.landing import Other, without_dictionaries
from nightshift.specs import FilesConnector, Source
from nightshift.spelling import days

# What a value of Parquet takes in memory, at least.
VALUE_BYTES = 8
ROWS_A_FRAME = 100_000
UNREACHED = "check the folder, its path and rights"
TEXTS = {pa.string(), pa.large_string(), pa.string_view()}
NOWHERE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Folder:
    """One files source, open."""

    source: Source
    spec: FilesConnector
    connection: Connection
    root: str

    def failure(self, path: str, happened: object, remedy: str) -> SourceError:
        """Return the error that names source, folder and file."""
        return self.connection.failure(self.source, f"{without_login(path)}: {happened}", remedy)

    def missing(self, path: str, rows_of: str) -> SourceError:
        """Return the error of a file that is not there. ``rows_of``: whose rows it would hold."""
        return self.connection.failure(
            self.source,
            f"no file {without_login(path)}{rows_of}",
            "check that the upstream delivered it, then run the date again",
        )


@contextmanager
def open_files(source: Source, connection: Connection, zone: ZoneInfo, sleep: Sleep) -> Iterator[Reader]:
    """Yield a reader; a file that serves several dates is read once."""
    folder = _folder(source, connection)
    spec = folder.spec
    place(folder.root, spec.path, date(2000, 1, 1), source)  # a wrong path fails now, not at the first read
    # Of a month's file too: the nights of two of them may alternate where a month ends.
    whole_file = lru_cache(maxsize=2)(lambda path: _dated(folder, path, zone))

    def frames(batch_date: date, window: Window, careful: bool) -> Iterator[pd.DataFrame]:
        day = batch_date + timedelta(days=spec.offset_days)
        path = place(folder.root, spec.path, day, source)
        if spec.date_column is None:
            yield from _frames(folder, path, careful, f" (rows of {day})")
        else:
            rows, places = whole_file(path)
            yield _at(rows, places.get(pd.Timestamp(day), NOWHERE)).reset_index(drop=True)

    def nights() -> list[date]:
        _, places = whole_file(place(folder.root, spec.path, date(2000, 1, 1), source))
        return [day.date() - timedelta(days=spec.offset_days) for day in sorted(places)]

    yield Reader(frames, nights if spec.date_column and spec.is_one_file else None)


def _at(rows: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
    """Return the rows at ascending places; those that stand together, as in a file by date, without a copy."""
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return rows.iloc[places[0] : places[-1] + 1]
    return rows.iloc[places]


def content_of(source: Source, connection: Connection, day: date) -> bytes:
    """Return the bytes, decompressed, of the file of a day, or of the first of several. Raises SourceError."""
    folder = _folder(source, connection)
    path = place(folder.root, folder.spec.path, day, source)
    rows_of = f" (rows of {day})"
    if "*" in path:
        path = _matching(folder, path, rows_of)[0]
    return _content(folder, path, folder.spec.max_megabytes * MEGABYTE, rows_of)


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
                raise SpecError(
                    f"{where}: placeholder '{{{name}}}' is not known; use {known}, or {{{{ and }}}} for braces"
                )
        return pattern.format(**values)
    except ValueError as error:
        raise SpecError(f"{where}: {pattern!r} is not a pattern: {error}") from error


def _folder(source: Source, connection: Connection) -> Folder:
    if not isinstance(source.connector, FilesConnector):
        raise SpecError(f"source '{source.name}': its connector is not files")
    return Folder(source, source.connector, connection, _root(source, connection))


def _root(source: Source, connection: Connection) -> str:
    root = connection.extra.get("path") or connection.host
    if not root:
        raise connection.failure(
            source, "no folder", 'put {"path": "/folder or s3://bucket/prefix"} into the connection\'s extra'
        )
    return str(root).removeprefix("file://")


def _frames(folder: Folder, path: str, careful: bool, rows_of: str = "") -> Iterator[pd.DataFrame]:
    """Yield the rows of the file, or of the files that fit the pattern, one after the other."""
    left = folder.spec.max_megabytes * MEGABYTE
    read = _csv if folder.spec.format == "csv" else _parquet
    if "*" not in path:
        yield from read(folder, path, _content(folder, path, left, rows_of), careful)
        return
    first: tuple[str, pd.DataFrame] | None = None
    for one in _matching(folder, path, rows_of):
        content = _content(folder, one, left, rows_of)
        left -= len(content)
        for each in read(folder, one, content, careful):
            frame = declared_once(folder.source, folder.connection, each, beside=folder.spec.date_column)
            first = first or (one, frame.iloc[:0])
            _require_same_columns(folder, first, (one, frame))
            yield frame


def _matching(folder: Folder, path: str, rows_of: str) -> list[str]:
    # Only the star means something; other signs of a pattern are part of a name.
    pattern = "*".join(map(glob.escape, path.split("*")))
    try:
        system, within = fsspec.core.url_to_fs(pattern, **folder.connection.extra.get("storage_options", {}))
        found = sorted(one for one in system.glob(within) if not system.isdir(one))
    except Exception as error:  # noqa: BLE001 a storage's own errors have no common root
        raise folder.failure(path, error, UNREACHED) from None
    if not found:
        raise folder.missing(path, rows_of)
    for one in found if "://" not in path else ():
        if not Path(one).resolve().is_relative_to(Path(folder.root).resolve()):
            raise SpecError(
                f"source '{folder.source.name}': '{one}' is a link out of the folder {folder.root}"
            )
    return found if "://" not in path else [system.unstrip_protocol(one) for one in found]


def _require_same_columns(
    folder: Folder, first: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]
) -> None:
    """Raise SchemaMismatch if two files differ in the columns that count: their order is free."""
    counts = folder.source.columns if folder.source.other_columns == "ignore" else None
    one, two = (
        {name for name in frame.columns if counts is None or name in counts} for _, frame in (first, other)
    )
    lacking = [(other[0], first[0], one - two), (first[0], other[0], two - one)]
    for path, beside, names in lacking:
        if names:
            raise SchemaMismatch(
                f"source '{folder.source.name}': {without_login(path)} has no column '{min(map(str, names))}', "
                f"which {without_login(beside)} has; files of one night have the same columns"
            )


def _content(folder: Folder, path: str, limit: int, rows_of: str) -> bytes:
    try:
        with fsspec.open(path, "rb", **folder.connection.extra.get("storage_options", {})) as file:
            return read_whole(file, urlsplit(path).path if "://" in path else path, limit)
    except FileNotFoundError:
        raise folder.missing(path, rows_of) from None
    except BadArchive as error:
        raise folder.failure(
            path, error, "ask the upstream for the whole file, alone in its archive"
        ) from error
    except TooLarge as error:
        raise folder.failure(path, error, "raise connector.max_megabytes if that is right") from error
    except Exception as error:  # noqa: BLE001 a storage's own errors have no common root
        raise folder.failure(path, error, UNREACHED) from None


def _csv(folder: Folder, path: str, content: bytes, careful: bool) -> Iterator[pd.DataFrame]:
    dialect, is_first = folder.source.dialect, True
    try:
        for frame in frames_of(content, dialect, strictly=careful):
            if is_first:
                _require_known_columns(folder, path, content, frame)
            is_first = False
            yield frame
    except NotPlain:
        raise Anew from None
    except NotCsv as error:
        hint = looks_like(content, dialect) or "ask the upstream for the whole file"
        raise folder.failure(path, error, hint) from error


def _require_known_columns(folder: Folder, path: str, content: bytes, frame: pd.DataFrame) -> None:
    """Raise SchemaMismatch if no column is a declared one, and the content looks like another dialect."""
    declared = folder.source.columns.keys()  # none yet, of a source that is being drafted
    if declared and not declared & set(frame.columns):
        hint = looks_like(content, folder.source.dialect)
        if hint:
            shown = ", ".join(map(repr, frame.columns[:3]))
            raise SchemaMismatch(str(folder.failure(path, f"its columns are {shown:.120}", hint)))


def _parquet(folder: Folder, path: str, content: bytes, _: bool) -> Iterator[pd.DataFrame]:
    try:
        about = parquet.read_metadata(io.BytesIO(content))
        size = about.num_rows * about.num_columns * VALUE_BYTES
        if size > folder.spec.max_megabytes * MEGABYTE:
            raise folder.failure(
                path,
                f"{about.num_rows} rows of {about.num_columns} columns take more than {folder.spec.max_megabytes} MB",
                "raise connector.max_megabytes if that is right",
            )
        # Not read_table, which looks columns up by name and gives up where two have one.
        with parquet.ParquetFile(io.BytesIO(content), coerce_int96_timestamp_unit="us") as file:
            counting = _counting(folder, file.schema_arrow)
            _require_known_zones(folder, path, [file.schema_arrow.field(place) for place in counting])
            if about.num_rows <= ROWS_A_FRAME:
                yield _rows_in(file.read().select(counting))
                return
            for batch in file.iter_batches(ROWS_A_FRAME):
                yield _rows_in(pa.Table.from_batches([batch]).select(counting))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise folder.failure(path, f"not Parquet: {error}", "ask for the whole file") from error


def _counting(folder: Folder, schema: pa.Schema) -> list[int]:
    """Return the places of the columns that count: what is ignored is not looked at, whatever it holds."""
    wanted = {*folder.source.columns, folder.spec.date_column}
    is_all = folder.source.other_columns != "ignore"
    return [place for place, name in enumerate(schema.names) if is_all or name in wanted]


def _require_known_zones(folder: Folder, path: str, fields: list[pa.Field]) -> None:
    for field in fields:
        zone = field.type.tz if pa.types.is_timestamp(field.type) else None
        try:
            # As to_pandas reads them: pandas itself knows zones that Arrow does not, such as UTC+01:00.
            pa.lib.string_to_tzinfo(zone or "UTC")
        except (LookupError, TypeError, ValueError):
            raise folder.failure(
                path,
                f"column '{field.name}' is in time zone {zone!r}, which is none",
                "write it in UTC upstream",
            ) from None


def _rows_in(table: pa.Table) -> pd.DataFrame:
    # Integers beside nulls stay integers; the writer's pandas index is no concern of ours.
    options = {"integer_object_nulls": True, "ignore_metadata": True}
    table, beyond = without_dictionaries(table), False
    try:
        frame = table.to_pandas(**options)
    except ValueError:  # a date that Python cannot say: judging sets that row aside, not the file
        frame, beyond = table.to_pandas(date_as_object=False, **options), True
    for place, column in enumerate(table.columns):
        # All others are dates still, as they are where no such date stands beside them.
        if beyond and pa.types.is_date(column.type):
            frame.isetitem(place, _dates(column))
        if column.type in TEXTS and not _is_unicode(column):
            frame.isetitem(place, _texts(column))
        if isinstance(column.type, pa.UuidType):  # pandas would have its bytes
            frame.isetitem(place, pd.Series(column.to_pylist(), dtype=object))
    return frame


def _is_unicode(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _texts(column: pa.ChunkedArray) -> pd.Series:
    """Return texts, some of which are bytes that are none: writers do not look, and no other row is worse for it."""
    return pd.Series(map(_text, column.cast(pa.large_binary()).to_pylist()), dtype=object)


def _text(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _dates(column: pa.ChunkedArray) -> pd.Series:
    days = column.to_numpy().astype("datetime64[D]")
    values = zip(days, days.astype(object), strict=True)  # of a year that Python has not, a number
    found = [Other("date", str(day)) if isinstance(value, int) else value for day, value in values]
    return pd.Series(found, dtype=object)


def _dated(folder: Folder, path: str, zone: ZoneInfo) -> tuple[pd.DataFrame, Mapping[Any, np.ndarray]]:
    """Return the rows and where those of each day stand. A row whose date cannot be read goes with the row above it.

    Nor can one that is of a day whose file is another. So each row belongs to exactly one night, whichever night asks,
    and none is lost: validation sets it aside there.
    """
    source, name = folder.source, folder.spec.date_column or ""
    rows = taken(lambda careful: _frames(folder, path, careful), whole)
    if name not in rows.columns:
        raise SchemaMismatch(
            f"source '{source.name}': {without_login(path)} has no column '{name}' (connector.date_column)"
            f"{did_you_mean(name, map(str, rows.columns))}"
        )
    named_once(source, folder.connection, rows[[name]])
    declared = source.columns.get(name)
    found = days(rows[name], declared.type if declared else None, source.dialect, source.zone_of(name), zone)
    if len(rows) and found.isna().all():
        raise folder.failure(
            path,
            f"column '{name}': none of {len(rows)} values reads as a date, such as {rows[name].iloc[0]!r:.60}",
            "correct the file, or say how it spells dates in connector.dialect.dates",
        )
    elsewhere = [
        day
        for day in (found.dropna().unique() if not folder.spec.is_one_file else ())
        if place(folder.root, folder.spec.path, day.date(), source) != path
    ]
    found = found.mask(found.isin(elsewhere))
    if elsewhere and found.isna().all():
        raise folder.failure(
            path,
            f"column '{name}': none of {len(rows)} rows is of a day whose file this is, but of {elsewhere[0].date()}",
            "correct the file, or connector.path",
        )
    places = rows.groupby(found.ffill().bfill().to_numpy()).indices
    return rows, {day: np.asarray(standing) for day, standing in places.items()}


def without_login(path: str) -> str:
    """Return a URL without its user and password."""
    if "://" not in path:
        return path
    parts = urlsplit(path)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
