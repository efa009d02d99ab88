"""A document as one self-contained HTML page. Every text in it goes through :func:`nightshift.pages.words.html`."""

import re
from datetime import date
from itertools import groupby

from nightshift.pages.document import (
    Bullets,
    Cell,
    Document,
    Drawing,
    Figure,
    Label,
    Legend,
    Link,
    Note,
    Outline,
    Part,
    Piece,
    Section,
    Shape,
    Status,
    Table,
)
from nightshift.pages.face import POLICY, SCRIPTED, STYLE
from nightshift.pages.shown import leads_somewhere, shown
from nightshift.pages.words import html as text

LONG_TEXT, LONG_WORD, SHORT = 40, 32, 16
SMALL = 320
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?%?")
HASH = re.compile(r"[0-9a-f]{32,64}")
DEEPEST = 4
FACTS = ' class="facts"'


def page(document: Document) -> str:
    """Return the document as a page without a script."""
    return f'<!doctype html><html lang="en"><head>{_head(document, POLICY)}</head><body>{_main(document)}</body></html>'


def above(document: Document, foreign: str) -> str:
    """Return ``foreign``, a whole page that draws by script, with the document above what it shows.

    The one kind of page that runs scripts: what is untrusted in ``foreign`` must be escaped already.
    """
    opened = re.sub(r"<html(?![^>]*\slang=)", '<html lang="en"', foreign, count=1)
    headed = opened.replace("<head>", f"<head>{_head(document, SCRIPTED)}", 1)
    return headed.replace("<body>", f"<body>{_main(document)}", 1)


def _head(document: Document, policy: str) -> str:
    return (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(document.title)}</title><style>{STYLE}</style>"
    )


def _main(document: Document) -> str:
    notes = "".join(_note(note) for note in document.notes)
    about = f"<p>{text(document.about)}</p>" if document.about else ""
    sections = "".join(_section(section, 2) for section in document.sections)
    return f"<main><h1>{text(document.title)}</h1>{notes}{about}{sections}</main>"


def _section(section: Section, level: int) -> str:
    heading = f"<h{level}>{text(section.title)}</h{level}>"
    named = f' id="{text(section.anchor)}"' if section.anchor else ""
    below = _parts(section.parts, min(level + 1, DEEPEST), section.title)
    if section.folded:
        return f"<details{named}><summary>{heading}</summary>{below}</details>"
    return f"<section{named}>{heading}{below}</section>"


def _parts(parts: tuple[Part, ...], level: int, title: str) -> str:
    made = []
    for place, group in groupby(parts, key=_place):
        found = "".join(_part(part, level, title) for part in group)
        made.append(f'<div class="{place}">{found}</div>' if place else found)
    return "".join(made)


def _place(part: Part) -> str:
    """Return where a part stands: a small figure beside others, a large one alone."""
    if not isinstance(part, Figure):
        return ""
    return "whole" if part.drawing and part.drawing.width > SMALL else "figures"


def _part(part: Part, level: int, title: str) -> str:
    if isinstance(part, Section):
        return _section(part, level)
    if isinstance(part, Table):
        return _table(part, title)
    return f"<p>{text(part)}</p>" if isinstance(part, str) else PARTS[type(part)](part)  # type: ignore[operator]


def _bullets(part: Bullets) -> str:
    return f"<ul>{''.join(f'<li>{_cell(line)}</li>' for line in part.lines)}</ul>"


def _note(part: Note) -> str:
    return f'<p class="note {part.tone}">{text(part.text)}</p>'


def _legend(part: Legend) -> str:
    sample = (
        '<svg width="11" height="11" aria-hidden="true"><rect class="k-{}" width="11" height="11"/></svg>'
    )
    entries = "".join(f"<li>{sample.format(text(kind))}{text(words)}</li>" for kind, words in part.entries)
    return f'<ul class="legend">{entries}</ul>'


def _figure(part: Figure) -> str:
    note = f"<p>{text(part.note)}</p>" if part.note else ""
    drawing = _drawing(part.drawing) if part.drawing else ""
    return f"<figure><figcaption>{text(part.caption)}</figcaption>{drawing}{note}</figure>"


PARTS = {Bullets: _bullets, Note: _note, Legend: _legend, Figure: _figure}


def _table(part: Table, title: str) -> str:
    if not part.rows:
        return "<p>None.</p>"
    head = "".join(_heading(part, column, name) for column, name in enumerate(part.head))
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    rows = "".join(f"<tr>{''.join(_row(row, named=not part.head))}</tr>" for row in part.rows)
    caption = f"<caption>{text(part.caption)}</caption>" if part.caption else ""
    # It can be scrolled by the keyboard, so it has a name too.
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{text(part.caption or title, 200)}">'
        f"<table{'' if head else FACTS}>{caption}{top}<tbody>{rows}</tbody></table></div>"
    )


def _heading(part: Table, column: int, name: str) -> str:
    cells = [row[column] for row in part.rows if column < len(row) and row[column] is not None]
    kind = ' class="n"' if cells and all(_is_number(cell) for cell in cells) else ""
    return f'<th scope="col"{kind}>{text(name)}</th>' if name else "<td></td>"


def _row(row: tuple[Cell, ...], *, named: bool) -> list[str]:
    cells = [f"<td{_kind(cell)}>{_cell(cell)}</td>" for cell in row]
    if named and row:
        cells[0] = f'<th scope="row">{_cell(row[0])}</th>'
    return cells


def _kind(cell: Cell) -> str:
    if _is_number(cell):
        return ' class="n"'
    if not isinstance(cell, str):
        return ' class="s"' if isinstance(cell, date) else ""
    if max(map(len, cell.split()), default=0) >= LONG_WORD:
        return ' class="w"'
    return ' class="t"' if len(cell) >= LONG_TEXT else ' class="s"' if len(cell) <= SHORT else ""


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return NUMBER.fullmatch(cell) is not None
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _cell(cell: Cell) -> str:
    if not isinstance(cell, tuple):
        return _piece(cell)
    between = " " if any(isinstance(piece, Status) for piece in cell) else ", "
    return between.join(map(_piece, cell))


def _piece(piece: Piece) -> str:
    if isinstance(piece, Drawing):
        return _drawing(piece)
    if isinstance(piece, Status):
        return f'<span class="status {piece.tone}">{text(piece.word)}</span>'
    if isinstance(piece, Link) and leads_somewhere(piece.href):
        return f'<a href="{text(piece.href)}">{text(piece.text)}</a>'
    words = shown(piece)
    return f"<code>{words}</code>" if HASH.fullmatch(words) else text(words)


def _drawing(drawing: Drawing) -> str:
    shapes = "".join(SHAPES[type(shape)](shape) for shape in drawing.shapes)  # type: ignore[operator]
    if drawing.wide:
        size = f'class="wide" height="{drawing.height:.0f}" preserveAspectRatio="none"'
    else:
        size = f'width="{drawing.width:.0f}" height="{drawing.height:.0f}"'
    ends = "".join(f"<span>{text(end)}</span>" for end in drawing.ends)
    below = f'<div class="ends">{ends}</div>' if any(drawing.ends) else ""
    return (
        f'<svg {size} viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" role="img">'
        f"<title>{text(drawing.told)}</title>{shapes}</svg>{below}"
    )


def _shape(shape: Shape) -> str:
    faint = f' fill-opacity="{shape.strength:.2f}"' if shape.strength < 1 else ""
    kind = f'class="k-{text(shape.kind)}"{faint}'
    if shape.told:
        ((x, y, w, h),) = shape.boxes
        box = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        return f"<rect {kind} {box}><title>{text(shape.told)}</title></rect>"
    # One path for all boxes of a colour: a page of 200 columns stays small.
    path = "".join(f"M{x:.1f} {y:.1f}h{w:.1f}v{h:.1f}h-{w:.1f}z" for x, y, w, h in shape.boxes)
    return f'<path {kind} d="{path}"/>' if path else ""


def _outline(shape: Outline) -> str:
    # Whole: a year's line has more signs than any text may have.
    return f'<path class="o-{text(shape.kind)}" d="{text(shape.path, len(shape.path))}"/>'


def _label(shape: Label) -> str:
    turned = f' transform="rotate(-60 {shape.x:.1f} {shape.y:.1f})"' if shape.tilted else ""
    return (
        f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{text(shape.anchor)}"{turned}>'
        f"{text(shape.text, 40)}</text>"
    )


SHAPES = {Shape: _shape, Outline: _outline, Label: _label}
