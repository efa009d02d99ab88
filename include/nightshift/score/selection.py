"""Which rows of a night somebody asks for: those of given keys, or those whose columns have given values. No SQL."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nightshift.errors import RequestError, did_you_mean
from nightshift.exact import LEAST, MOST

Key = tuple[str, ...]
MOST_NAMED = 20  # of the keys that were not found
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Selected:
    """The rows of a night that were asked for; how many keys were given, and which of them have no row."""

    rows: pd.DataFrame
    asked: int
    missing: list[Key]

    def words(self) -> str:
        """Return how many were found, and which were not, by name."""
        if not self.missing:
            return f"{len(self.rows)} rows"
        named = ", ".join("/".join(key) for key in self.missing[:MOST_NAMED])
        more = f" and {len(self.missing) - MOST_NAMED} more" if self.missing[MOST_NAMED:] else ""
        found = self.asked - len(self.missing)
        return f"{found} of {self.asked} keys found; without a row: {named}{more}"


def keyed(rows: pd.DataFrame, keys: Iterable[Key], entity: list[str]) -> Selected:
    """Return the rows of these entities, each key once; the values of a key in the order of ``entity``."""
    wanted = dict.fromkeys(keys)
    have = list(zip(*(rows[name].astype("str") for name in entity), strict=True))
    present = set(have)
    missing = [key for key in wanted if key not in present]
    return Selected(rows[[key in wanted for key in have]], len(wanted), missing)


def matching(rows: pd.DataFrame, conditions: Mapping[str, Sequence[Any]]) -> Selected:
    """Return the rows whose columns have one of the values given for them, in every column named."""
    chosen = rows
    for name, values in conditions.items():
        chosen = chosen[chosen[name].isin(list(values))]
    return Selected(chosen, 0, [])


def read_conditions(texts: Iterable[str], columns: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return, a column, the values of ``column=value``. ``columns``: name to declared type. Twice a column: either.

    Raises:
        RequestError: no such column, or a value that is none of its type.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise RequestError(f"where: expected column=value, got {text[:60]!r}")
        if name not in columns:
            raise RequestError(f"where: unknown column '{name[:60]}'{did_you_mean(name[:60], columns)}")
        found.setdefault(name, []).append(_read(name, columns[name], value))
    return found


def _read(name: str, kind: str, value: str) -> Any:
    try:
        return READERS[kind](value)
    except KeyError:
        raise RequestError(
            f"where: {name} is of type {kind}; {value[:60]!r} is no value of it that can be asked for"
        ) from None
    except ValueError as error:
        raise RequestError(f"where: {name} is of type {kind}, got {value[:60]!r}") from error


def _integer(value: str) -> int:
    if not WHOLE_NUMBER.fullmatch(value) or not LEAST <= int(value) <= MOST:
        raise ValueError(value)
    return int(value)


def _float(value: str) -> float:
    number = float(value)
    if not math.isfinite(number) or "_" in value:
        raise ValueError(value)
    return number


READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _integer,
    "float": _float,
    "boolean": lambda value: TRUTH[value.lower()],
}
