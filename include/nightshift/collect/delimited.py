"""CSV as text: every value a string, nothing an empty field. Typing is validation's job.

Arrow reads what is plainly spelled, a piece of whole lines at a time, each as one block: where its blocks meet within
quotes it loses bytes. Whatever is not plain (a quote within an unquoted field, lines of unequal length, a delimiter
beyond ASCII, comments among the rows) is read field by field, by the rules of Python's csv module in its strict form.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from nightshift.specs import Dialect

LINE_END = re.compile(rb"\r\n|\n|\r")
LARGEST_BLOCK = 2**31 - 2
PIECE = 2**23
ROWS_A_CHUNK = 50_000
PLAIN = Dialect()


class NotCsv(ValueError):
    """Bytes that are not a CSV table of this dialect."""


class NotPlain(Exception):
    """Bytes that Arrow could read otherwise than csv does."""


class Record(NamedTuple):
    """One line: its fields, None for an empty one without quotes; where it begins, and where the next one does."""

    fields: list[bytes | None]
    start: int
    end: int


def read_csv(content: bytes, dialect: Dialect = PLAIN) -> pd.DataFrame:
    """Return the table in ``content``; a header alone is no rows, and so is a line without a value.

    Raises:
        NotCsv: no byte at all, another encoding, a quote that is never closed or that text follows, or a line whose
            number of fields is not the header's (a file cut short, a delimiter that is not quoted). Others would pad
            or shift such rows.
    """
    try:
        found = list(frames_of(content, dialect, strictly=False))
    except NotPlain:
        found = list(frames_of(content, dialect, strictly=True))
    return pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]


def frames_of(
    content: bytes, dialect: Dialect, *, strictly: bool, piece: int = PIECE
) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`read_csv` some at a time, all with the same columns; at least one frame.

    ``piece``: about so many bytes at a time, unless ``strictly``.

    Raises:
        NotPlain: unless ``strictly``, where Arrow could read otherwise than csv does. What came does not count.
        NotCsv: as :func:`read_csv`.
    """
    text = encoded(content, dialect)
    head = header(text, dialect)
    names = [_decoded(name or b"", text, head.start) for name in head.fields]
    tables = (
        _strict(names, text, head.end, dialect) if strictly else _plain(names, text, head.end, dialect, piece)
    )
    if not all(name.strip() for name in names):
        tables = iter(
            [pa.concat_tables(tables)]
        )  # whether such a column holds anything, its last row may tell
    for table in tables:
        yield _frame(names, table)


def encoded(content: bytes, dialect: Dialect) -> bytes:
    """Return the content as UTF-8 without a byte order mark. Raises NotCsv."""
    if not content.strip():
        raise NotCsv("empty: zero bytes, not even a header line")
    if dialect.encoding == "utf-8":
        return content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode(dialect.encoding).removeprefix("\ufeff").encode()
    except UnicodeError as error:
        raise NotCsv(f"not {dialect.encoding} text: {error}") from error


def header(text: bytes, dialect: Dialect) -> Record:
    """Return the first line, below those to skip, that names anything. Raises NotCsv."""
    start = 0
    for _ in range(dialect.skip_lines):
        start = _next_line(text, start)
    for record in records(text, dialect, start):
        if any((name or b"").strip() for name in record.fields):
            return record
    raise NotCsv(f"no header line below the first {dialect.skip_lines}")


def _next_line(text: bytes, place: int) -> int:
    end = LINE_END.search(text, place)
    return end.end() if end else len(text)


def records(text: bytes, dialect: Dialect, start: int = 0) -> Iterator[Record]:
    """Yield each line from ``start`` on that is no comment, blank ones too. Raises NotCsv where a quote goes astray."""
    comma, mark = dialect.delimiter.encode(), dialect.quote.encode()
    bare, quoted = _patterns(comma, mark)
    place = start
    while place < len(text):
        if dialect.comment and text.startswith(dialect.comment.encode(), place):
            place = _next_line(text, place)
            continue
        fields: list[bytes | None] = []
        first, ended = place, comma
        while ended == comma:
            is_quoted = bool(mark) and text.startswith(mark, place)
            found = (quoted if is_quoted else bare).match(text, place)
            if found is None:
                raise _astray(text, place, dialect)
            value, ended = found[1], found[2]
            fields.append(value.replace(mark * 2, mark) if is_quoted else value or None)
            place = found.end()
        yield Record(fields, first, place)


def _patterns(comma: bytes, mark: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what an unquoted and what a quoted field is: its value, then what ends it."""
    end = rb"(" + re.escape(comma) + rb"|\r\n|\n|\r|\Z)"
    one = rb"[^\r\n" + re.escape(comma) + rb"]" if len(comma) == 1 else rb"(?!" + comma + rb")[^\r\n]"
    bare = re.compile(rb"((?:" + one + rb")*+)" + end)
    return bare, re.compile(_within(mark) + end) if mark else bare


def _within(mark: bytes) -> bytes:
    one = re.escape(mark)
    other = rb"[^" + one + rb"]++" if len(mark) == 1 else rb"(?!" + one + rb")[\s\S]"
    return one + rb"((?:" + other + rb"|" + one * 2 + rb")*+)" + one


def _astray(text: bytes, place: int, dialect: Dialect) -> NotCsv:
    line = _line(text, place)
    closed = re.compile(_within(dialect.quote.encode())).match(text, place)
    if closed is None:
        return NotCsv(
            f"the quote opened on line {line} is never closed; the file is cut short, or a quote is missing"
        )
    rest = text[closed.end() : closed.end() + 20].decode(errors="replace")
    return NotCsv(
        f"line {_line(text, closed.end())}: {rest!r} follows a closing quote; double a quote within a field"
    )


def _line(text: bytes, place: int) -> int:
    return sum(1 for _ in LINE_END.finditer(text, 0, place)) + 1


def _plain(names: list[str], text: bytes, start: int, dialect: Dialect, piece: int) -> Iterator[pa.Table]:
    """Yield the tables of pieces as Arrow reads them. Raises NotPlain where it could read otherwise than csv does."""
    while True:
        end = _last_line_end(text, start, dialect.quote.encode(), piece)
        table = _piece(names, text[start:end], dialect)
        if table is None:
            raise NotPlain
        yield table
        if end == len(text):
            return
        start = end


def _last_line_end(text: bytes, start: int, mark: bytes, reach: int) -> int:
    """Return where a piece ends: behind its last line end that is not within quotes, each of which has two marks."""
    while start + reach < len(text):
        end = text.rfind(b"\n", start, start + reach) + 1
        odd = mark and text.count(mark, start, end) % 2 if end else 0
        while end and odd:
            before = text.rfind(b"\n", start, end - 1) + 1
            odd = (odd + text.count(mark, before or start, end)) % 2
            end = before
        if end:
            return end
        reach *= 2
    return len(text)


def _piece(names: list[str], body: bytes, dialect: Dialect) -> pa.Table | None:
    """Return the table as Arrow reads it, or None where it could read otherwise than csv does."""
    columns = [str(n) for n in range(len(names))]
    if not body.strip(b"\r\n"):
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    comma, mark = dialect.delimiter, dialect.quote
    if len(body) > LARGEST_BLOCK or not (comma + mark).isascii() or _has_comments(body, dialect):
        return None
    quoted = bool(mark) and mark.encode() in body
    if quoted and not _is_plainly_quoted(body, comma.encode(), mark.encode()):
        return None
    if quoted and body.endswith(comma.encode()):
        body += b"\n"  # at the very end, Arrow takes nothing behind a quoted field for a quoted nothing
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, column_names=columns, block_size=len(body) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=comma, quote_char=mark if quoted else False, newlines_in_values=quoted
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:  # told, with its line, by the strict reading
        return None


def _has_comments(body: bytes, dialect: Dialect) -> bool:
    if dialect.comment is None:
        return False
    return re.search(rb"(?:\A|[\r\n])" + re.escape(dialect.comment.encode()), body) is not None


def _is_plainly_quoted(body: bytes, comma: bytes, mark: bytes) -> bool:
    """Return whether every quote opens or closes a whole field, or is one of two within one."""
    content = np.frombuffer(body, dtype=np.uint8)
    places = np.flatnonzero(content == mark[0])
    if len(places) % 2:
        return False
    borders = np.zeros(256, dtype=bool)
    borders[[mark[0], comma[0], *b"\r\n"]] = True
    opening, closing = places[::2], places[1::2]
    before, after = opening[opening > 0] - 1, closing[closing < len(content) - 1] + 1
    return bool(borders[content[before]].all() and borders[content[after]].all())


def _strict(names: list[str], text: bytes, start: int, dialect: Dialect) -> Iterator[pa.Table]:
    yield pa.table({str(n): pa.array([], pa.string()) for n in range(len(names))})
    rows = (
        _row(record, names, text) for record in records(text, dialect, start) if not _is_blank(record, names)
    )
    while chunk := list(islice(rows, ROWS_A_CHUNK)):
        columns = zip(*chunk, strict=True)
        yield pa.table({str(n): pa.array(values, pa.string()) for n, values in enumerate(columns)})


def _is_blank(record: Record, names: list[str]) -> bool:
    alone = len(record.fields) == 1 < len(names)
    return not any(field is not None and not (alone and not field.strip()) for field in record.fields)


def _row(record: Record, names: list[str], text: bytes) -> list[str | None]:
    """Return the fields of a line, with as many as the header; one too many or too few without a value is none."""
    fields = record.fields
    named = len(names) - next((n for n, name in enumerate(reversed(names)) if name.strip()), 0)
    while len(fields) > len(names) and not fields[-1]:
        fields.pop()
    if not named <= len(fields) <= len(names):
        line = _line(text, record.start)
        raise NotCsv(
            f"not a CSV table: line {line} has {len(fields)} fields, the header has {len(names)}: "
            f"{_shown(text, record.start)}"
        )
    fields += [None] * (len(names) - len(fields))
    return [None if field is None else _decoded(field, text, record.start) for field in fields]


def _decoded(field: bytes, text: bytes, place: int) -> str:
    try:
        return field.decode()
    except UnicodeDecodeError as error:
        raise NotCsv(f"not UTF-8 text: line {_line(text, place)}: {_shown(text, place)}") from error


def _shown(text: bytes, place: int) -> str:
    line = text[place : place + 60].decode(errors="backslashreplace")
    return repr(line.partition("\n")[0].rstrip("\r"))


def _frame(names: list[str], table: pa.Table) -> pd.DataFrame:
    # UCI's files, and many a spreadsheet's, end each line with delimiters, and the file with lines of them.
    kept = [n for n, name in enumerate(names) if name.strip() or table.column(n).null_count < len(table)]
    table = table.select(kept)
    if kept and all(column.null_count for column in table.columns):
        blank = table.column(0).is_null()
        for column in table.columns[1:]:
            blank = pc.and_(blank, column.is_null())
        table = table.filter(pc.invert(blank))
    frame = pd.DataFrame({n: column.to_pandas() for n, column in enumerate(table.columns)}, dtype="str")
    # An unnamed column that holds something, as the index of a data frame does, is called by its place.
    frame.columns = pd.Index(
        [names[n] if names[n].strip() else f"column_{n + 1}" for n in kept], dtype=object
    )
    return frame
