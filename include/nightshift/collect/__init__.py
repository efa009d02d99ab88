"""Collect: a source's rows for one batch date, as delivered.

Nothing is judged here, an empty answer included: validation judges. What comes back has the columns and
the values the upstream gave; text stays text, so that typing is validation's alone.
"""

from nightshift.collect.connection import Connection, Reader, connection_of
from nightshift.collect.connectors import CONNECTORS, check, collect, open_source
from nightshift.collect.files import content_of
from nightshift.collect.sniff import Sniffed, sniff, spelled_as

__all__ = [
    "CONNECTORS",
    "Connection",
    "Reader",
    "Sniffed",
    "check",
    "collect",
    "connection_of",
    "content_of",
    "open_source",
    "sniff",
    "spelled_as",
]
