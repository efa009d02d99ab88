"""What delivered rows say of themselves: types, keys, when they became known, and what seems to hold. Pure."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from nightshift.errors import NotReady
from nightshift.specs.parts import ColumnType
from nightshift.validate.batches import gathered
from nightshift.validate.coerce import coerce, kind_of

IDENTIFIER = re.compile(r"(^|_)(id|key|code|uuid|no|nr|num|number|name)$|(id|num)$", re.IGNORECASE)
BECAME_KNOWN = re.compile(r"publish|report|known|creat|updat|record|ingest|receiv|load", re.IGNORECASE)
TRUTHS = {"true", "false"}
KEYS_FROM_COLUMNS = 12
LONGEST_KEY = 3
FEW_CATEGORIES = 12
ROWS_A_CATEGORY = 5


@dataclass(frozen=True)
class ColumnGuess:
    """One column as it came."""

    type: ColumnType
    nullable: bool
    may_be_empty: bool


@dataclass(frozen=True)
class Inferred:
    """What a look at some nights' rows says. Candidates are ordered, the best first."""

    nights: tuple[date, ...]
    rows: int
    columns: dict[str, ColumnGuess]
    keys: list[tuple[str, ...]]
    # Timestamps that are never after their night's cut-off; those whose name says so come first.
    known_at: list[str]
    targets: list[str]
    expectations: list[dict[str, dict[str, Any]]]

    @property
    def known_at_by_name(self) -> str | None:
        """The first candidate, if its name says that it tells when a row became known."""
        named = [name for name in self.known_at if BECAME_KNOWN.search(name)]
        return named[0] if named else None


def infer(
    batches: Mapping[date, pd.DataFrame], cutoffs: Mapping[date, datetime], *, text_is_all: bool
) -> Inferred:
    """Return what the rows of some nights, as delivered, say of themselves.

    Raises:
        NotReady: rows repeat, so that nothing could be their key.
    """
    frame, _ = gathered(batches)
    day = frame.pop("batch_date")
    guesses, typed = {}, {}
    for name in frame.columns:
        kind = column_type(frame[name], text_is_all=text_is_all)
        typed[name] = coerce(frame[name], kind, text_is_all=text_is_all)[0]
        filled = typed[name].notna().groupby(day).any()
        nullable = bool(typed[name].isna().any())
        guesses[name] = ColumnGuess(kind, nullable, nullable and not bool(filled.all()))
    table = pd.DataFrame(typed)
    keys = key_candidates(table, day, guesses)
    return Inferred(
        nights=tuple(sorted(batches)),
        rows=len(table),
        columns=guesses,
        keys=keys,
        known_at=known_at_candidates(table, day, guesses, cutoffs),
        targets=target_candidates(table, guesses, keys[0]),
        expectations=list(expectations(table, day, guesses, keys[0])),
    )


def column_type(values: pd.Series, *, text_is_all: bool) -> ColumnType:
    """Return the narrowest type that reads every value, as validation reads it; text if none does."""
    present = values.dropna()
    found = kind_of(present)
    for kind in _readable(present, found, text_is_all):
        typed, wrong = coerce(values, kind, text_is_all=text_is_all)
        if not wrong.any() and typed.notna().any():
            return kind
    return "string"


def _readable(present: pd.Series, found: str, text_is_all: bool) -> Sequence[ColumnType]:
    known: dict[str, Sequence[ColumnType]] = {
        "boolean": ["boolean"],
        "integer": ["integer"],
        "float": ["float"],
        "decimal": ["float"],
        "date": ["date"],
        "timestamp": ["date", "timestamp"],
        "mixed": ["integer", "float", "timestamp"],
    }
    if found != "text":
        return known.get(found, [])
    return [*(_numbers_of_text(present) if text_is_all else []), "date", "timestamp"]


def _numbers_of_text(present: pd.Series) -> Iterator[ColumnType]:
    text = present.astype("str").str.strip().str.lower()
    # 0 and 1 are numbers as well; only words are surely booleans.
    if set(text.unique()) <= TRUTHS:
        yield "boolean"
    # 007 is a name, not the number 7; 12.0 is a measurement that happens to be whole.
    if text.str.match(r"[+-]?0\d").any():
        return
    if not text.str.contains(r"[.e]", regex=True).any():
        yield "integer"
    yield "float"


def key_candidates(
    table: pd.DataFrame, day: pd.Series, guesses: Mapping[str, ColumnGuess]
) -> list[tuple[str, ...]]:
    """Return the smallest sets of columns that are unique, best first: over all nights, else within each.

    Raises:
        NotReady: there is none of up to three columns.
    """
    usable = [n for n, g in guesses.items() if not g.nullable and g.type not in ("float", "boolean")]
    usable = sorted(usable, key=lambda name: -_identifies(name, guesses[name].type))[:KEYS_FROM_COLUMNS]
    for within in ([], [day.rename("batch_date")]):
        for size in range(1, LONGEST_KEY + 1):
            found = [
                names
                for names in combinations(usable, size)
                if not pd.concat([*within, table[list(names)]], axis=1).duplicated().any()
            ]
            if found:
                best = sorted(found, key=lambda names: -sum(_identifies(n, guesses[n].type) for n in names))
                # In the order of the table: a key reads as its columns do.
                return [tuple(name for name in table.columns if name in names) for names in best]
    raise NotReady(
        f"rows repeat: no {LONGEST_KEY} columns without nulls are unique; the upstream must tell rows apart"
    )


def _identifies(name: str, kind: ColumnType) -> float:
    """Return how much a column looks like (a part of) an identifier."""
    by_type = {"string": 2.0, "date": 2.0, "timestamp": 1.0}.get(kind, 0.0)
    return by_type + 3 * bool(IDENTIFIER.search(name)) - 3 * bool(BECAME_KNOWN.search(name))


def known_at_candidates(
    table: pd.DataFrame,
    day: pd.Series,
    guesses: Mapping[str, ColumnGuess],
    cutoffs: Mapping[date, datetime],
) -> list[str]:
    """Return the timestamps that lie, in every row, not after the cut-off of the row's night."""
    cutoff = pd.to_datetime(day.map(lambda night: cutoffs[night.date()]), utc=True)
    found = [
        name
        for name, guess in guesses.items()
        if guess.type == "timestamp" and not guess.nullable and (table[name] <= cutoff).all()
    ]
    return sorted(found, key=lambda name: not BECAME_KNOWN.search(name))


def target_candidates(
    table: pd.DataFrame, guesses: Mapping[str, ColumnGuess], key: tuple[str, ...]
) -> list[str]:
    """Return the numbers and booleans that vary and identify nothing: what a model could predict."""
    kinds = ("float", "integer", "boolean")
    return [n for n, g in guesses.items() if g.type in kinds and n not in key and table[n].nunique() > 1]


def expectations(
    table: pd.DataFrame, day: pd.Series, guesses: Mapping[str, ColumnGuess], key: tuple[str, ...]
) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield modest expectations: few categories, ranges of numbers widened generously, numbers of rows."""
    for name, guess in guesses.items():
        values = table[name].dropna()
        if guess.type == "string" and 0 < values.nunique() <= min(
            FEW_CATEGORIES, len(values) / ROWS_A_CATEGORY
        ):
            categories = sorted(map(str, values.unique()))
            yield {"expect_column_values_to_be_in_set": {"column": name, "value_set": categories}}
        if guess.type in ("float", "integer") and name not in key and len(values):
            low, high = widened(float(values.min()), float(values.max()))
            yield {
                "expect_column_values_to_be_between": {"column": name, "min_value": low, "max_value": high}
            }
    sizes = day.value_counts()
    yield {
        "expect_table_row_count_to_be_between": {
            "min_value": max(int(sizes.min()) // 10, 1),
            "max_value": int(widened(0, 4.0 * float(sizes.max()))[1]),
        }
    }


def widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that holds ``low`` .. ``high`` with as much room again on either side, in round numbers.

    What was never negative stays so.
    """
    span = (high - low) or max(abs(high), 1.0)
    step = 10.0 ** math.floor(math.log10(span))
    bottom = math.floor((low - span) / step) * step
    return _plain(0.0 if low >= 0 else bottom), _plain(math.ceil((high + span) / step) * step)


def _plain(number: float) -> float:
    tidy = float(np.format_float_positional(number, precision=12, trim="0"))
    return int(tidy) if tidy == int(tidy) else tidy
