"""What a page is made of, whatever it is about. :mod:`nightshift.pages.html` and ``markdown`` render it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "warn", "bad", "quiet"]


@dataclass(frozen=True)
class Link:
    """A text that leads to an address, to a place on this page, or to a file or page that is kept with it.

    Other targets are left out: the text stands there without a link.
    """

    text: str
    href: str


@dataclass(frozen=True)
class Status:
    """A word that says how something is, in the colour that Airflow gives such a state."""

    word: str
    tone: Tone


@dataclass(frozen=True)
class Shape:
    """A box (x, y, width, height), or several of one kind. ``told``: what pointing at it says."""

    boxes: Sequence[tuple[float, float, float, float]]
    kind: str
    told: str = ""
    strength: float = 1.0


@dataclass(frozen=True)
class Outline:
    """A line through points, drawn as steps or straight as its path says: numbers and letters of SVG, never text."""

    path: str
    kind: str


@dataclass(frozen=True)
class Label:
    """A text in a drawing. ``anchor``: start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    tilted: bool = False


@dataclass(frozen=True)
class Drawing:
    """A chart. ``told`` says in words what it shows: its name for who does not see it, and all of it in Markdown.

    A ``wide`` one fills its place, however wide, at its own height: no labels inside, its two ``ends`` below it.
    """

    width: float
    height: float
    shapes: tuple[Shape | Outline | Label, ...]
    told: str
    wide: bool = False
    ends: tuple[str, str] = ("", "")


# None is a dash; several stand side by side.
Piece = Link | Status | Drawing | str | bool | int | float | None | object
Cell = Piece | tuple[Piece, ...]


@dataclass(frozen=True)
class Table:
    """Rows below a head; without a head the first column names the others. ``caption`` names what a head does not."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences or links."""

    lines: tuple[Cell, ...]


@dataclass(frozen=True)
class Figure:
    """A chart and its caption; ``note`` is a remark below. Figures that follow each other stand side by side."""

    caption: str
    drawing: Drawing | None
    note: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence that must not be missed: a verdict, a warning."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class Legend:
    """What the colours of the charts below stand for: (kind of shape, words)."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """A heading and what is below it, sections among it. ``anchor``: links lead here. ``folded``: opened by a click."""

    title: str
    parts: tuple["Part", ...]
    anchor: str = ""
    folded: bool = False


Part = str | Table | Bullets | Figure | Note | Legend | Section


@dataclass(frozen=True)
class Document:
    """A title, what it is about, and sections. ``notes`` come first: what the reader must know if no more is read."""

    title: str
    about: str
    sections: tuple[Section, ...]
    notes: tuple[Note, ...] = ()
