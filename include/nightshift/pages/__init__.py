"""Pages: one model of a document, one face, one escape. What a page is about, this package does not know."""

from nightshift.pages.document import (
    Bullets,
    Cell,
    Document,
    Drawing,
    Figure,
    Legend,
    Link,
    Note,
    Part,
    Section,
    Status,
    Table,
    Tone,
)
from nightshift.pages.html import above, page
from nightshift.pages.markdown import markdown

__all__ = [
    "Bullets",
    "Cell",
    "Document",
    "Drawing",
    "Figure",
    "Legend",
    "Link",
    "Note",
    "Part",
    "Section",
    "Status",
    "Table",
    "Tone",
    "above",
    "markdown",
    "page",
]
