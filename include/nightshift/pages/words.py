"""Other people's text, as HTML and as Markdown that shows it and does nothing else. Nothing is escaped elsewhere."""

import re
from html import escape

LONGEST = 2_000
# Between these a renderer sees an address, also where nothing is marked up.
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?i:(?<=\bwww))(?=\.)|(?=@)")
JOINER = "\u2060"  # takes no room, and nobody breaks a line there
# What Markdown would read as markup. An underscore inside a word is none.
SIGNS = re.compile(r"[\\`*\[\]{}|~#]|(?<![^\W_])_|_(?![^\W_])")
# What would begin a list or a rule, were it the first of its line.
BEGINS = re.compile(r"^(?=[-+=])|^(\d{1,9})(?=[.)](?:\s|$))")


def html(value: object, longest: int = LONGEST) -> str:
    """Return a text, at most ``longest`` characters of it, for an element or an attribute in quotes."""
    return escape(_cut(str(value), longest), quote=True)


def plain(value: object, longest: int = LONGEST) -> str:
    """Return a text on one line, at most ``longest`` characters of it, for the middle of a line of Markdown."""
    line = " ".join(_cut(str(value), longest).split())
    return unlinked(SIGNS.sub(r"\\\g<0>", escape(line, quote=False)))


def line(value: object, longest: int = LONGEST) -> str:
    """Return a text as :func:`plain` does, for the beginning of a line."""
    return BEGINS.sub(lambda found: f"{found[1] or ''}\\", plain(value, longest))


def unlinked(text: str) -> str:
    """Return the text with its addresses (web, mail) interrupted by a sign nobody sees, so that none is a link."""
    return ADDRESSES.sub(JOINER, text)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
