"""What is struck out wherever values of data are shown: addresses, and numbers long enough to be somebody's."""

import re

EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
LONG_NUMBER = re.compile(r"\d(?:[ ./-]?\d){6,}")
# A date, a time and a decimal fraction are numbers of nobody.
_KEPT_OR_LONG = re.compile(
    rf"(?P<kept>\d{{4}}-\d\d-\d\d(?!\d)|\d\d:\d\d(:\d\d(\.\d+)?)?|(?<![\d.])\d{{1,6}}\.\d+(?![\d./-]))|{LONG_NUMBER.pattern}"
)


def masked(value: object) -> str:
    """Return a value's text with what looks like an e-mail address or a long number struck out."""
    text = EMAIL.sub("[address]", str(value))
    return _KEPT_OR_LONG.sub(lambda found: found["kept"] or "[number]", text)
