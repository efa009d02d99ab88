"""What dialect a delimited file seems to be in: guessed from all of it, with a word on each guess that is open."""

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from nightshift.collect.delimited import NotCsv, read_csv
from nightshift.collect.guesses import NUMBER, guess
from nightshift.specs import Dialect

TOP = 2**18  # bytes that tell how lines and fields are set apart
LINES = 300
BANNER = 30
COMMENT = "#"
DELIMITERS = ",;\t|~^\u00a6\u00a7"
LONGEST_RECORD = 10  # lines
FIELD = rf"(?:^|(?<=[{re.escape(DELIMITERS)}]))"
CLOSED, OPENED = re.compile(rf'{FIELD}"(?:[^"]|"")*"(?!")'), re.compile(f'{FIELD}"')
# What Excel is told its delimiter by.
TOLD = re.compile(r"sep=.")


class Sniffed(NamedTuple):
    """A dialect, and a sentence on each part of it that the file leaves open."""

    dialect: Dialect
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    delimiter: str
    quote: str
    skip_lines: int
    comment: str | None = None


def sniff(content: bytes) -> Sniffed:
    """Return the dialect that a table in ``content`` seems to be in; the plain one if it seems to be none."""
    encoding, doubts = _encoding(content)
    text = content[:TOP].decode(encoding, errors="replace").removeprefix("\ufeff")
    layout = _layout(text, whole=len(content) <= TOP)
    if layout is None:
        return Sniffed(Dialect(encoding=encoding), doubts)
    dialect = Dialect(encoding=encoding, **asdict(layout))
    try:
        table = read_csv(content, dialect)
    except NotCsv as error:
        return Sniffed(dialect, (*doubts, f"as that it does not read: {error}"))
    return spelled_as(table, Sniffed(dialect, doubts))


def spelled_as(table: pd.DataFrame, found: Sniffed) -> Sniffed:
    """Return a dialect with how it spells values guessed of ``table``, as delivered: of one file or of several.

    What was guessed of the encoding stands.
    """
    layout = found.dialect.model_dump(include={"delimiter", "quote", "skip_lines", "comment", "encoding"})
    spelled, doubts = guess(table, found.dialect.delimiter)
    kept = [doubt for doubt in found.doubts if doubt.startswith("encoding:")]
    return Sniffed(Dialect(**layout).model_copy(update=spelled), (*kept, *doubts))


# What a file that is no CSV begins with, and what to do.
OTHER_FILES = {
    b"\x1f\x8b": "it is packed by gzip: let its name end in .gz",
    b"PK\x03\x04": "it is a zip archive (let its name end in .zip) or an Excel workbook (save the sheet as CSV)",
    b"\xd0\xcf\x11\xe0": "it is an old Excel workbook: save the sheet as CSV",
    b"PAR1": "it is Parquet: write connector.format: parquet",
    b"%PDF": "it is a PDF: ask the upstream for the table",
}


def looks_like(content: bytes, declared: Dialect) -> str:
    """Return what to write into the spec so that the file reads, or nothing if it seems to be what is declared."""
    for mark, what in OTHER_FILES.items():
        if content.startswith(mark):
            return what
    found = sniff(content).dialect
    shape = ("delimiter", "quote", "encoding", "comment", "skip_lines")
    if all(getattr(found, key) == getattr(declared, key) for key in shape):
        return ""
    plain = Dialect()
    keys = {key: value for key, value in found.model_dump().items() if value != getattr(plain, key)}
    if not keys:
        return "it looks like the plain dialect: take connector.dialect away"
    shown = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in keys.items())
    return f"it looks like another dialect; write connector.dialect: {{{shown}}}"


def _as_yaml(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
    return str(value)


MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _encoding(content: bytes) -> tuple[str, tuple[str, ...]]:
    for mark, name in MARKS:
        if content.startswith(mark):
            return name, ()
    top = content[:TOP]
    zeros = [top[n::2].count(0) / max(len(top[n::2]), 1) for n in (0, 1)]
    if max(zeros) > 0.4:
        return ("utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"), ()
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
        return "utf-8", ()
    except UnicodeDecodeError:
        pass
    found = "cp1252" if not set(content) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "latin-1"
    return codecs.lookup(found).name, (
        f"encoding: not UTF-8; {found} is a guess, look at names with accents in it",
    )


def _layout(text: str, *, whole: bool) -> _Layout | None:
    lines = re.split(r"\r\n|\n|\r", text)
    lines = lines[: LINES + BANNER] if whole or len(lines) > LINES + BANNER else lines[:-1]
    starts = _starts(lines)
    records = ["\n".join(lines[start:end]) for start, end in pairwise([*starts, len(lines)])]
    found = _commented(records) or _best(records)
    return replace(found, skip_lines=starts[found.skip_lines]) if found else None


def _starts(lines: Sequence[str]) -> list[int]:
    """Return where records start: a field in quotes may hold line ends, as a spreadsheet's header does."""
    starts, end = [], 0
    for number in range(len(lines)):
        if number < end:
            continue
        starts.append(number)
        ends = (n for n in range(number + 1, min(number + 1 + LONGEST_RECORD, len(lines) + 1)))
        end = next(
            (n for n in ends if not OPENED.search(CLOSED.sub("", "\n".join(lines[number:n])))), number + 1
        )
    return starts


def _commented(lines: Sequence[str]) -> _Layout | None:
    """Return the layout of the lines that are no comments, if some are: none of these is as wide as the table."""
    kept = [n for n, line in enumerate(lines) if not line.startswith(COMMENT)]
    layout = _best([lines[n] for n in kept]) if len(kept) < len(lines) else None
    if layout is None:
        return None
    widths = [_width(line, layout.delimiter, layout.quote) for line in lines]
    table = Counter(widths[n] for n in kept).most_common(1)[0][0]
    if any(widths[n] == table for n in range(len(lines)) if n not in set(kept)):
        return None
    skipped = kept[layout.skip_lines] if layout.skip_lines else 0
    return replace(layout, skip_lines=skipped, comment=COMMENT)


def _best(lines: Sequence[str]) -> _Layout | None:
    best: tuple[tuple[float, ...], _Layout] | None = None
    for delimiter in DELIMITERS:
        for quote in '"', "'":
            found = _score(lines, delimiter, quote)
            if found and (best is None or found[0] > best[0]):
                best = found
    return best[1] if best else None


def _score(lines: Sequence[str], delimiter: str, quote: str) -> tuple[tuple[float, ...], _Layout] | None:
    """Return how well the lines fit, and the layout: as many lines as possible of one width, below a header."""
    if quote == "'" and not any(_is_wrapped(line, delimiter) for line in lines):
        return None
    widths = [_width(line, delimiter, quote) for line in lines]
    filled = [n for n, line in enumerate(lines) if line.strip()]
    counts = Counter(widths[n] for n in filled if widths[n] > 1 and not TOLD.fullmatch(lines[n]))
    if not counts:
        return None
    width = max(counts, key=lambda one: (counts[one], one))
    first = next(n for n in filled if widths[n] == width and not TOLD.fullmatch(lines[n]))
    below = [n for n in filled if n >= first]
    # A field may hold line ends: then a part of the lines is of another width.
    share = sum(widths[n] == width for n in below) / len(below)
    wrapped = sum(_is_wrapped(lines[n], delimiter) for n in below) / len(below)
    if first > BANNER or share < 0.5 or (quote == "'" and wrapped < 0.5):
        return None
    names = _is_header(lines[first], delimiter, quote)
    layout = _Layout(delimiter, quote, first if _has_banner(lines, first) else 0)
    return (names, round(share * len(below) / len(filled), 2), quote == "'", width), layout


def _is_header(line: str, delimiter: str, quote: str) -> bool:
    names = [name for name in (field.strip().strip(quote) for field in line.split(delimiter)) if name]
    return 0 < len(names) == len(set(names)) and not any(re.fullmatch(NUMBER, name) for name in names)


def _has_banner(lines: Sequence[str], first: int) -> bool:
    return any(line.strip() for line in lines[:first])


def _is_wrapped(line: str, delimiter: str) -> bool:
    one = re.escape(delimiter)
    return re.search(rf"(?:^|{one})'[^']*'(?:{one}|$)", line) is not None


def _width(line: str, delimiter: str, quote: str) -> int:
    """Return the number of fields of a line; a quote that is left open takes all that follows."""
    if quote in line:
        one, mark = re.escape(delimiter), re.escape(quote)
        line = re.sub(rf"(?<![^{one}]){mark}(?:[^{mark}]|{mark}{mark})*(?:{mark}|$)", "", line)
    return line.count(delimiter) + 1
