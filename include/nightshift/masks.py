"""What is struck out wherever values of data are shown: addresses, and numbers long enough to be somebody's.

A sentence of ours writes its counts with commas (``1,234,567``), which are kept.
"""

import re

EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
LONG_NUMBER = re.compile(r"\d(?:[ ./-]?\d){6,}")
# A date, a time and a decimal fraction are numbers of nobody.
_KEPT_OR_LONG = re.compile(
    rf"(?P<kept>\d{{4}}-\d\d-\d\d(?!\d)|\d\d:\d\d(:\d\d(\.\d+)?)?|(?<![\d.])\d{{1,6}}\.\d+(?![\d./-]))|{LONG_NUMBER.pattern}"
)


# What tells how a value is wrong, and of whom nothing: a short number, a date, a word for nothing.
_TELLING = re.compile(
    r"[+-]?\d{0,6}(?:[.,]\d{1,6})?(?:[eE][+-]?\d{1,3})?|\d{4}-\d\d-\d\d(?:[T ][\d:.+Zz-]*)?"
    r"|[+-]?inf(?:inity)?|nan|null|none|n/a|na|true|false",
    re.IGNORECASE,
)
LONGEST_OUTLINE = 40


def outlined(value: str) -> str:
    """Return a value that was set aside: numbers, dates and words for nothing as they are, of other text its shape.

    A letter is an ``a`` or an ``A``, a digit a ``9``: enough to see a format that changed, and nobody's name.
    """
    if _TELLING.fullmatch(value):
        return value
    shape = "".join(_sign(letter) for letter in value[:LONGEST_OUTLINE])
    return shape + ("..." if len(value) > LONGEST_OUTLINE else "")


def _sign(letter: str) -> str:
    if letter.isdigit():
        return "9"
    return ("A" if letter.isupper() else "a") if letter.isalpha() else letter


def masked(value: object) -> str:
    """Return a value's text with what looks like an e-mail address or a long number struck out."""
    text = EMAIL.sub("[address]", str(value))
    return _KEPT_OR_LONG.sub(lambda found: found["kept"] or "[number]", text)
