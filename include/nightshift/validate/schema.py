"""Delivered columns against declared ones. Order is free; a missing or an undeclared column is not."""

from collections.abc import Iterable
from difflib import get_close_matches


def mismatches(declared: Iterable[str], delivered: Iterable[str]) -> list[tuple[str, str]]:
    """Return (column, what is wrong with it) for every difference."""
    wanted, given = list(declared), list(delivered)
    unknown = [name for name in given if name not in wanted]
    found = []
    for name in (name for name in wanted if name not in given):
        renamed = get_close_matches(name, unknown, n=1)
        if renamed:
            unknown.remove(renamed[0])
            found.append(
                (name, f"column '{name}' is missing; '{renamed[0]}', undeclared, may be its new name")
            )
        else:
            found.append((name, f"column '{name}' is missing"))
    found += [(name, _undeclared(name)) for name in unknown]
    return found


def _undeclared(name: str) -> str:
    if name.endswith(")") and " (" in name:
        return f"column '{name.rpartition(' (')[0]}' is delivered more than once"
    return f"column '{name[:100]}' is not declared; add it under 'columns', or leave it out of the source"
