"""Delivered columns against declared ones. Order is free; a missing or an undeclared column is not.

With ``schema_changes: warn`` two changes are told and forgiven: an undeclared column, and a missing nullable
one. With ``other_columns: ignore`` an undeclared column is no difference. Whatever cannot be read without
guessing always fails.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from nightshift.specs import Column
from nightshift.specs.tables import OURS_BESIDE_ROWS, SYSTEM

REPEATED = re.compile(r"(.*) \(\d+\)", re.DOTALL)


@dataclass(frozen=True)
class Mismatch:
    """One difference. ``forgivable``: the batch can be read without the column."""

    column: str
    words: str
    forgivable: bool


def mismatches(
    declared: Mapping[str, Column], delivered: Iterable[str], *, ignoring: bool = False
) -> list[Mismatch]:
    """Return every difference, in words. ``ignoring``: columns that are not declared are none."""
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
    if ignoring:
        unknown = [name for name in unknown if _repeats(name, given) in declared]
    return found + [_undeclared(name, given) for name in unknown]


def _repeats(name: str, given: list[str]) -> str | None:
    """Return the column that is there under this name because its own was taken, or None."""
    found = REPEATED.fullmatch(name)
    return found[1] if found and found[1] in given else None


def _undeclared(name: str, given: list[str]) -> Mismatch:
    if repeated := _repeats(name, given):
        # Which of the two is the column's value would be a guess.
        return Mismatch(name, f"column '{repeated}' is delivered more than once", False)
    if name in OURS_BESIDE_ROWS | SYSTEM:
        words = f"column '{name}' has a name of ours; rename it in the source, or write other_columns: ignore"
        return Mismatch(name, words, True)
    words = f"column '{name[:100]}' is not declared; add it under 'columns', or leave it out of the source"
    return Mismatch(name, words, True)
