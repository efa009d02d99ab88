"""How values read, and which targets are links: the same in HTML and in Markdown."""

import re

from nightshift.pages.document import Drawing, Link, Status

# An address, a place on the page, a file beside it, or a page kept in another folder.
LEADS = re.compile(
    r"(https?://[^\s<>\"]+|#[\w.-]+|[A-Za-z0-9][\w.-]*|(\.\./){1,3}([a-z0-9_]+/)+[\w-][\w.-]*\.html)\Z"
)


def leads_somewhere(href: str) -> bool:
    """Return whether a target is one that a page may link to."""
    return LEADS.match(href) is not None


def shown(value: object) -> str:
    """Return a value in a reader's words: a dash for nothing, six digits of a fraction."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Link):
        return value.text
    return _words(value)


def _words(value: object) -> str:
    if isinstance(value, Status):
        return value.word
    return value.told if isinstance(value, Drawing) else str(value)
