"""What a column's name says of it: whether it calls itself an identifier. One definition for all drafts."""

import re

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
# Whose numbers grow with every booking or customer.
COUNTED = {"id", "idx"}
# What nothing is to be learned from.
IDENTIFIERS = COUNTED | {"uuid", "guid", "index"}
# What may be (a part of) a key.
KEYS = IDENTIFIERS | {"key", "code", "no", "nr", "num", "number", "name", "row", "ref", "reference"}
# Without a sign between, userid and tailnum are two words, and these are one.
RUN_ON = re.compile(r".+(id|num)")
ONE_WORD = re.compile(
    "acid|aid|amid|android|arid|asteroid|avoid|bid|centroid|covid|fluid|grid|humid|hybrid|invalid|kid|lid|lipid|liquid|mid|"
    "opioid|paid|platinum|prepaid|pyramid|raid|rapid|repaid|rigid|sigmoid|solid|steroid|thyroid|unpaid|valid|void"
)
UNNAMED = re.compile(r"unnamed.*|column_1", re.IGNORECASE)  # pandas' and readr's names of row numbers


def last_word(name: str) -> str:
    """Return the last word of a name, small: of ``userId``, ``user_id``, ``USERID`` and ``id`` that is ``id``."""
    words = WORD.findall(name)
    last = words[-1].lower() if words else ""
    two = RUN_ON.fullmatch(last)
    return two[1] if two and last not in KEYS and not ONE_WORD.fullmatch(last) else last


def is_counted(name: str) -> bool:
    """Return whether a name is that of a number that grows with every row."""
    return last_word(name) in COUNTED


def is_identifier(name: str) -> bool:
    """Return whether a name is that of an identifier, of which nothing is to be learned."""
    return last_word(name) in IDENTIFIERS


def may_be_key(name: str) -> bool:
    """Return whether a name is that of a key, or of a part of one."""
    return last_word(name) in KEYS or bool(UNNAMED.fullmatch(name))
