"""A document as GitHub-flavoured Markdown. Every text in it goes through :mod:`nightshift.pages.words`."""

import re

from nightshift.pages.document import (
    Bullets,
    Cell,
    Document,
    Figure,
    Legend,
    Link,
    Note,
    Part,
    Piece,
    Section,
    Table,
)
from nightshift.pages.shown import leads_somewhere, shown
from nightshift.pages.words import line, plain

# An address that ends at its bracket; any other, and a file, stands in pointed ones.
BARE = re.compile(r"https?://[^\s()<>]+")


def markdown(document: Document, *, titled: bool = True) -> str:
    """Return the document as Markdown. ``titled``: with its title; without, where the place it is shown at says it."""
    blocks = [f"# {plain(document.title)}"] if titled else []
    blocks += [f"**{plain(note.text)}**" for note in document.notes]
    blocks += [line(document.about)] if document.about else []
    for section in document.sections:
        blocks += _section(section, 2)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, level: int) -> list[str]:
    blocks = [f"{'#' * level} {plain(section.title)}"]
    for part in section.parts:
        blocks += _section(part, level + 1) if isinstance(part, Section) else [_part(part)]
    return blocks


def _part(part: Part) -> str:
    if isinstance(part, Bullets):
        return "\n".join(f"- {_cell(each, first=True)}" for each in part.lines)
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Note):
        return f"**{plain(part.text)}**"
    return _drawn(part) if isinstance(part, Figure | Legend) else line(part)


def _drawn(part: Figure | Legend) -> str:
    if isinstance(part, Legend):
        return line("; ".join(words for _, words in part.entries))
    told = [part.caption, part.drawing.told if part.drawing else "", part.note]
    return line(": ".join(filter(None, told)))


def _table(part: Table) -> str:
    if not part.rows:
        return "None."
    head = part.head or ("",) * len(part.rows[0])
    rows = [[plain(name) for name in head], ["---"] * len(head)]
    rows += [[_cell(cell) for cell in row] for row in part.rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{line(part.caption)}\n\n{table}" if part.caption else table


def _cell(cell: Cell, *, first: bool = False) -> str:
    if isinstance(cell, tuple):
        return ", ".join(map(_piece, cell))
    return line(cell) if first and isinstance(cell, str) else _piece(cell)


def _piece(piece: Piece) -> str:
    if isinstance(piece, Link) and leads_somewhere(piece.href):
        href = piece.href if BARE.fullmatch(piece.href) else f"<{piece.href}>"
        return f"[{plain(piece.text)}]({href})"
    return plain(shown(piece))
