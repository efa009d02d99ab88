"""A document of paragraphs and tables, as Markdown and as an HTML page: said once, escaped here and nowhere else.

Names, categories and reasons are other people's text; nothing of them is ever markup. The page has no script.
"""

import re
from dataclasses import dataclass
from html import escape

from nightshift.markdown import unlinked

LONGEST_TEXT = 2_000
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}"
    "th,td{border-bottom:1px solid #d9dee3;padding:.3rem .6rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{background:#f4f6f8}.n{text-align:right;font-variant-numeric:tabular-nums}"
)
# What Markdown would read as markup. An underscore inside a word is none.
SIGNS = re.compile(r"[\\`*\[\]{}|~#]|(?<!\w)_|_(?!\w)")
# A file beside the document, or an address.
LEADS_SOMEWHERE = re.compile(r"(https?://[^\s<>\"]+|[A-Za-z0-9][\w.-]*)\Z")


@dataclass(frozen=True)
class Link:
    """A text that leads to an address, or to a file beside the document. Other targets are left out."""

    text: str
    href: str


Cell = object  # a Link, a number, or anything by its text; None is a dash


@dataclass(frozen=True)
class Table:
    """Rows below a head; without a head the first column names the others."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    lines: tuple[str, ...]


Part = str | Table | Bullets


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Document:
    """A title, what it is about, and sections."""

    title: str
    about: str
    sections: tuple[Section, ...]


def markdown(document: Document) -> str:
    """Return the document as GitHub-flavoured Markdown, text in it escaped."""
    blocks = [f"# {_plain(document.title)}", _plain(document.about)]
    for section in document.sections:
        blocks += [f"## {_plain(section.title)}", *(_markdown(part) for part in section.parts)]
    return "\n\n".join(blocks) + "\n"


def page(document: Document) -> str:
    """Return the document as a self-contained HTML page without a script, text in it escaped."""
    body = [f"<h1>{_text(document.title)}</h1><p>{_text(document.about)}</p>"]
    for section in document.sections:
        body.append(f"<h2>{_text(section.title)}</h2>{''.join(_html(part) for part in section.parts)}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{POLICY}<title>{_text(document.title)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


def _markdown(part: Part) -> str:
    if isinstance(part, Bullets):
        return "\n".join(f"- {_plain(line)}" for line in part.lines)
    if isinstance(part, str):
        return _plain(part)
    if not part.rows:
        return "None."
    head = part.head or ("",) * len(part.rows[0])
    rows = [[_plain(name) for name in head], ["---"] * len(head)]
    rows += [[_plain_cell(cell) for cell in row] for row in part.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _html(part: Part) -> str:
    if isinstance(part, Bullets):
        return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in part.lines)}</ul>"
    if isinstance(part, str):
        return f"<p>{_text(part)}</p>"
    if not part.rows:
        return "<p>None.</p>"
    names = "".join(f"<th>{_text(name)}</th>" for name in part.head)
    head = f"<thead><tr>{names}</tr></thead>" if part.head else ""
    rows = "".join(f"<tr>{''.join(_html_cell(cell) for cell in row)}</tr>" for row in part.rows)
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _plain_cell(cell: Cell) -> str:
    if isinstance(cell, Link) and LEADS_SOMEWHERE.match(cell.href):
        return f"[{_plain(cell.text)}](<{cell.href}>)"
    return _plain(_shown(cell))


def _html_cell(cell: Cell) -> str:
    if isinstance(cell, Link) and LEADS_SOMEWHERE.match(cell.href):
        return f'<td><a href="{_text(cell.href)}">{_text(cell.text)}</a></td>'
    number = isinstance(cell, int | float) and not isinstance(cell, bool)
    kind = ' class="n"' if number else ""
    return f"<td{kind}>{_text(_shown(cell))}</td>"


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return cell.text if isinstance(cell, Link) else str(cell)


def _plain(text: str) -> str:
    line = " ".join(text[:LONGEST_TEXT].split())
    return unlinked(SIGNS.sub(r"\\\g<0>", escape(line, quote=False)))


def _text(value: str) -> str:
    return escape(value[:LONGEST_TEXT], quote=True)
