"""Whether an edited spec reads older deliveries otherwise: not by comparing keys, but by what both make of texts.

What one of them cannot read is no second meaning: such rows are set aside, and such files are refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.records.deliveries import Reading
from nightshift.specs import Dialect, Source
from nightshift.specs.parts import ColumnType
from nightshift.spelling import clocks_agree, plain
from nightshift.types import as_text
from nightshift.validate.coerce import coerce

PLAIN_TIME = ZoneInfo("UTC")
# The keys of a dialect that the values of each type are read by.
KEYS: dict[ColumnType, tuple[str, ...]] = {
    "string": ("nulls",),
    "integer": ("decimal", "thousands", "nulls"),
    "float": ("decimal", "thousands", "nulls"),
    "boolean": ("true_values", "false_values", "nulls"),
    "date": ("dates", "nulls"),
    "timestamp": ("timestamps", "nulls"),
}
NUMBERS = (
    "1.234",
    "1,234",
    "1.5",
    "1,5",
    "1.234,5",
    "1,234.5",
    "12,34,567",
    "12.34.567",
    "1 234",
    "1'234",
    "1_234",
)
TRUTHS = ("true", "t", "1", "false", "f", "0")
ISO = {"date": ("%Y-%m-%d", "%Y/%m/%d"), "timestamp": ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S")}
# Days whose numbers stand for one another: day and month, and in two digits the year.
DAYS = [datetime(2001, 1, 1, 13, 14, 15, tzinfo=UTC) + timedelta(days=11 * n) for n in range(400)]
LETTERS = [bytes([byte]) for byte in range(0x80, 0x100)] + [letter.encode() for letter in "éßÿžжא“€"]


@dataclass(frozen=True)
class Edit:
    """A key whose edit changes what stored values mean: its value then and now, and an example where there is one."""

    key: str
    then: str
    now: str
    example: str = ""

    def __str__(self) -> str:
        return f"key '{self.key}': {self.then} then, {self.now} now{self.example}"


def reading_of(source: Source) -> Reading:
    """Return how a source's values are read, as its spec says it now."""
    instants = [name for name, column in source.columns.items() if column.type == "timestamp"]
    dialect = source.dialect.model_dump(mode="json") if source.text_is_all else None
    return Reading({name: source.zone_of(name).key for name in instants}, dialect)


def edits(source: Source, before: Reading, first: date, last: date) -> list[Edit]:
    """Return what a source reads otherwise than ``before``, of nights ``first`` to ``last``. Empty: no value."""
    found = list(_clocks(source, before, first, last))
    if source.text_is_all and before.dialect is not None:
        then = _dialect(before.dialect)
        if then != source.dialect:
            found += [*_fields(source, then), *_values(source, then)]
    return list({each.key: each for each in reversed(found)}.values())[::-1]


def _dialect(stored: Mapping[str, Any]) -> Dialect:
    """Return a dialect that batches were read by: as it was stored, also where no spec may say so any more."""
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in stored.items()
        if key in Dialect.model_fields
    }
    return Dialect.model_construct(**known)


def _clocks(source: Source, before: Reading, first: date, last: date) -> Iterator[Edit]:
    if "%z" in (source.dialect.timestamps or ""):  # each value says its offset
        return
    for name, zone in reading_of(source).zones.items():
        then = before.zones.get(name, zone)
        if then != zone and not clocks_agree(then, zone, first, last):
            own = source.columns[name].timezone
            where = f"columns.{name}.timezone" if own else "timezone"
            yield Edit(where, then, zone, f" (of column '{name}')")


def _fields(source: Source, then: Dialect) -> Iterator[Edit]:
    """Yield what makes other texts of the same bytes; delimiters and lines make other columns, which is refused."""
    now = source.dialect
    if not any(column.type == "string" for column in source.columns.values()):
        return
    if then.quote != now.quote:
        yield Edit("connector.dialect.quote", repr(then.quote), repr(now.quote))
    if any(_differ(_decoded(each, then.encoding), _decoded(each, now.encoding)) for each in LETTERS):
        yield Edit("connector.dialect.encoding", then.encoding, now.encoding)


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeError:
        return None


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _values(source: Source, then: Dialect) -> Iterator[Edit]:
    now = source.dialect
    for name, column in source.columns.items():
        changed = [key for key in KEYS[column.type] if getattr(then, key) != getattr(now, key)]
        if not changed:
            continue
        texts = pd.Series(_texts(column.type, then, now), dtype="str")
        (was, was_wrong), (is_now, is_wrong) = (_read(texts, column.type, each) for each in (then, now))
        same = (was == is_now).fillna(False).astype(bool) | (was.isna() & is_now.isna())
        differs = ~same.to_numpy() & ~was_wrong & ~is_wrong
        if not column.nullable:  # a row without a value is set aside
            differs &= (was.notna() & is_now.notna()).to_numpy()
        if differs.any():
            place = int(differs.argmax())
            said = [_said(values, place) for values in (was, is_now)]
            example = f" ({texts[place]!r} in column '{name}' was {said[0]}, and would be {said[1]})"
            for key in changed:
                yield Edit(f"connector.dialect.{key}", _shown(then, key), _shown(now, key), example)


def _read(texts: pd.Series, kind: ColumnType, dialect: Dialect) -> tuple[pd.Series, np.ndarray]:
    return coerce(plain(texts, kind, dialect, PLAIN_TIME), kind, text_is_all=True)


def _texts(kind: ColumnType, *dialects: Dialect) -> list[str]:
    """Return texts that the two could read otherwise."""
    found = [text for each in dialects for text in (*each.nulls, *each.true_values, *each.false_values)]
    if kind in ("integer", "float"):
        return [*found, *NUMBERS]
    if kind == "boolean":
        return [*found, *TRUTHS]
    if kind in ISO:
        key = "dates" if kind == "date" else "timestamps"
        declared = [getattr(each, key) for each in dialects]
        forms = {form for own in declared for form in ((own,) if own else ISO[kind])}
        return [*found, *(day.strftime(form) for form in sorted(forms) for day in DAYS)]
    return found


def _said(values: pd.Series, place: int) -> str:
    one = values.iloc[[place]]
    return "nothing" if one.isna().all() else str(as_text(one).iloc[0])


def _shown(dialect: Dialect, key: str) -> str:
    value = getattr(dialect, key)
    listed = value if isinstance(value, tuple) else () if value is None else (value,)
    return ", ".join(map(repr, listed)) or "none"
