"""Text that people or data wrote, as Markdown that shows it and does nothing else."""

import re

LONGEST = 500
# Between these a renderer sees an address, also where nothing is marked up.
ADDRESSES = re.compile(r"(?<=:)(?=//)|(?i:(?<=\bwww))(?=\.)|(?=@)")
JOINER = "\u2060"  # takes no room, and nobody breaks a line there
SIGNS = re.compile(r"[\\`*_{}\[\]()#+\-!|~]")


def plain(text: object, longest: int = LONGEST) -> str:
    """Return the text on one line, at most ``longest`` characters of it, with everything that is markup escaped."""
    line = " ".join(str(text)[:longest].split())
    escaped = SIGNS.sub(r"\\\g<0>", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return unlinked(escaped)


def unlinked(text: str) -> str:
    """Return the text with its addresses (web, mail) interrupted by a sign nobody sees, so that none is a link."""
    return ADDRESSES.sub(JOINER, text)
