"""Delivered columns against declared ones. Order is free; a missing or an undeclared column is not.

With ``schema_changes: warn`` two changes are told and forgiven: an undeclared column, and a missing nullable
one. Whatever cannot be read without guessing always fails.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from nightshift.specs import Column


@dataclass(frozen=True)
class Mismatch:
    """One difference. ``forgivable``: the batch can be read without the column."""

    column: str
    words: str
    forgivable: bool


def mismatches(declared: Mapping[str, Column], delivered: Iterable[str]) -> list[Mismatch]:
    """Return every difference, in words."""
    given = list(delivered)
    unknown = [name for name in given if name not in declared]
    found = []
    for name in (name for name in declared if name not in given):
        renamed = get_close_matches(name, unknown, n=1)
        words = f"column '{name}' is missing"
        if renamed:
            unknown.remove(renamed[0])
            words += f"; '{renamed[0]}', undeclared, may be its new name"
        found.append(Mismatch(name, words, declared[name].nullable))
    return found + [_undeclared(name) for name in unknown]


def _undeclared(name: str) -> Mismatch:
    if name.endswith(")") and " (" in name:
        # Which of the two is the column's value would be a guess.
        return Mismatch(name, f"column '{name.rpartition(' (')[0]}' is delivered more than once", False)
    words = f"column '{name[:100]}' is not declared; add it under 'columns', or leave it out of the source"
    return Mismatch(name, words, True)
