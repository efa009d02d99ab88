"""What delivered rows say of themselves: types, keys, when they became known, and what seems to hold. Pure."""

import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.drafts.names import is_counted, may_be_key
from nightshift.errors import NotReady, RequestError
from nightshift.exact import kind_of
from nightshift.featurise.giveaway import gives_away, is_classes, summed, telling
from nightshift.freeform import Arguments
from nightshift.specs import Dialect, Source
from nightshift.specs.parts import ColumnType
from nightshift.spelling import PLAIN, plain
from nightshift.validate.coerce import coerce

BECAME_KNOWN = re.compile(r"publish|report|known|creat|updat|record|ingest|receiv|load", re.IGNORECASE)
UTC = ZoneInfo("UTC")
TRUTHS = {"true", "false"}
# +4915112345678 is a telephone's, 007 a name, 1E5 a code, whatever a number's reader makes of them.
DIALLED, PADDED, CODED = r"\+\d{7,}", r"[+-]?0\d", r"\d+[eE]\d+"
KEYS_FROM_COLUMNS = 12
LONGEST_KEY = 3
# A set of values is closed only if none came late: seen on many nights, each many times, all of them early on.
FEW_CATEGORIES, NIGHTS_TO_CLOSE = 12, 50
ROWS_A_CATEGORY, NIGHTS_A_CATEGORY = 20, 10
EXACT_DIGITS = 15
# The share of rows without a day that a file may have, as a batch may set aside.
FEW_UNDATED = 0.05
# The share of rows that only another column tells apart, if they may be there by mistake.
FEW_TWICE = 0.05
FIRST_ROWS = 200
# What is a class of a model's and not a measurement, an identifier or free text.
MOST_CLASSES, ROWS_A_CLASS = 20, 10


@dataclass(frozen=True)
class ColumnGuess:
    """One column as it came."""

    type: ColumnType
    nullable: bool
    may_be_empty: bool


@dataclass(frozen=True)
class Clock:
    """Whose clock timestamps without an offset show, if it cannot be the source's; and what is doubtful of it."""

    timezone: str | None = None
    doubts: tuple[str, ...] = ()


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
    expectations: list[dict[str, Arguments]]
    # What becomes known only with the outcome, each with why it is thought so; the outcome itself first.
    outcome: dict[str, str]
    # Other columns that say the outcome suspiciously well, each with the words.
    telling: dict[str, str]
    # Some rows as delivered, and as they are read.
    delivered: pd.DataFrame
    read: pd.DataFrame
    # What the spelling of the file leaves open.
    doubts: tuple[str, ...] = ()
    clock: Clock = field(default_factory=Clock)
    # What the rows leave open: of the key, what is there for a few of them only; nights that have none.
    rows_doubts: tuple[str, ...] = ()

    def only(self, names: Collection[str]) -> "Inferred":
        """Return what was found of these columns."""
        kept = [
            item
            for item in self.expectations
            if all(arguments.get("column", "") in {"", *names} for arguments in item.values())
        ]
        return replace(
            self,
            columns={name: guess for name, guess in self.columns.items() if name in names},
            known_at=[name for name in self.known_at if name in names],
            targets=[name for name in self.targets if name in names],
            expectations=kept,
        )

    @property
    def known_at_by_name(self) -> str | None:
        """The first candidate, if its name says that it tells when a row became known."""
        named = [name for name in self.known_at if BECAME_KNOWN.search(name)]
        return named[0] if named else None


def infer(
    frame: pd.DataFrame,
    cutoffs: Mapping[date, datetime],
    *,
    text_is_all: bool,
    outcome: Sequence[str] = (),
    event: str | None = None,
    dialect: Dialect = PLAIN,
    zone: ZoneInfo = UTC,
) -> Inferred:
    """Return what the rows of some nights, as delivered and with their ``batch_date``, say of themselves.

    ``cutoffs``: of each night, in order. ``outcome``: columns that become known later than the rest of their row.
    They, and what gives them away, are in no key. ``event``: the column that says on which day a row happens; it is
    known beforehand. ``dialect``: how text spells values, ``zone``: whose clock timestamps without offset show.

    Raises:
        NotReady: rows repeat, so that nothing could be their key.
    """
    day, frame = frame["batch_date"], frame.drop(columns="batch_date")
    guesses, typed = {}, {}
    for name in frame.columns:
        kind = _type_of(frame[name], event, text_is_all=text_is_all, dialect=dialect)
        spelled, typed[name] = (
            coerce(plain(frame[name], kind, dialect, one), kind, text_is_all=text_is_all)[0]
            for one in (UTC, zone)
        )
        if kind == "float":
            typed[name] = typed[name].mask(np.isinf(typed[name]))  # a row with one is set aside
        # By the spelling: an hour that the clocks show twice is there, though nobody can say which it is.
        filled = spelled.notna().groupby(day).any()
        nullable = bool(spelled.isna().any()) and name != event
        guesses[name] = ColumnGuess(kind, nullable, nullable and not bool(filled.all()))
    table = pd.DataFrame(typed)
    later = dict.fromkeys(outcome, "the outcome, as asked") | given_away(table, outcome, event)
    keys = key_candidates(
        table.drop(columns=list(later)), day, _without(guesses, later), text_is_all=text_is_all
    )
    doubt = _doubted(table, day, guesses, keys[0])
    for name in keys[0]:
        if guesses[name].type == "float":
            # As the file spells it: a key is compared, never computed with.
            guesses[name] = replace(guesses[name], type="string")
            table[name] = frame[name]
    shown = sorted({0, len(table) // 2, len(table) - 1})
    return Inferred(
        nights=tuple(cutoffs),
        rows=len(table),
        columns=guesses,
        keys=keys,
        known_at=known_at_candidates(table, day, guesses, cutoffs),
        targets=target_candidates(table, guesses, keys[0]),
        expectations=list(expectations(table, day, guesses, keys[0])),
        outcome=later,
        telling=suspicious(table.drop(columns=list(later)), table[list(outcome)], event),
        delivered=frame.iloc[shown],
        read=table.iloc[shown],
        rows_doubts=(doubt,) if doubt else (),
    )


def given_away(table: pd.DataFrame, outcome: Sequence[str], event: str | None) -> dict[str, str]:
    """Return the columns that say an outcome by themselves, or as parts of a sum that it is; each with the words."""
    found: dict[str, str] = {}
    others = table.drop(columns=[*outcome, *([event] if event in table.columns else [])])
    for target in outcome:
        parts = [] if is_classes(table[target]) else summed(others, table[target])
        found |= dict.fromkeys(parts, f"{target} is a sum of {' and '.join(parts)}")
        for name in others.columns.difference(parts, sort=False):
            if gives_away(others[name], table[target]):
                found[name] = f"says {target} by itself"
            elif _days_say(table, name, event, target):
                found[name] = f"says {target} by how far from {event} it lies"
    return found


def suspicious(others: pd.DataFrame, outcomes: pd.DataFrame, event: str | None) -> dict[str, str]:
    """Return the columns that say an outcome suspiciously well, each with the words."""
    found: dict[str, str] = {}
    for target in outcomes.columns:
        for name in others.columns.difference([event], sort=False):
            if (score := telling(others[name], outcomes[target])) is not None:
                found[name] = (
                    f"says {target} by itself suspiciously well ({score:.3f} of 1, as ROC AUC or R2)"
                )
    return found


def _days_say(table: pd.DataFrame, name: str, event: str | None, target: str) -> bool:
    """Return whether the days between a date and the event's say the outcome: a cancellation lies before it."""
    if event is None or event not in table.columns or table[name].dtype.kind != "M":
        return False
    days = table[name].dt.tz_localize(None) - table[event].dt.tz_localize(None)
    return gives_away(days.dt.days.clip(-1, 1), table[target]) or gives_away(days.dt.days, table[target])


def _without(guesses: Mapping[str, ColumnGuess], names: Collection[str]) -> dict[str, ColumnGuess]:
    return {name: guess for name, guess in guesses.items() if name not in names}


def clock(frame: pd.DataFrame, source: Source) -> tuple[Clock, pd.Series]:
    """Return what timestamps say of the clock that they show, and a mask of rows whose hour it shows twice or never.

    An hour that the source's clocks skip in spring was read off another one: its winter time all year is the guess.
    """
    zone, rows = source.zone_of(""), pd.Series(False, index=frame.index)
    winter, other, doubts = _winter_time(zone), None, []
    event = getattr(source.connector, "date_column", None)
    if event in frame.columns:
        rows = undated(frame[event], source.dialect)
        doubts += [_undated(frame[event], rows)] if rows.any() else []
    for name in frame.columns:
        kind = _type_of(frame[name], event, text_is_all=source.text_is_all, dialect=source.dialect)
        if kind != "timestamp":
            continue
        shown, instants = (
            coerce(plain(frame[name], "timestamp", source.dialect, one), "timestamp", text_is_all=True)[0]
            for one in (UTC, zone)
        )
        odd = shown.notna() & instants.isna()
        rows |= odd
        if odd.any():
            wall = shown[odd].dt.tz_localize(None)
            skipped = wall.dt.tz_localize(zone, ambiguous=[True] * len(wall), nonexistent="NaT").isna()
            other = winter if skipped.any() else other
            doubts.append(_doubt(frame[name], odd, zone, winter if skipped.any() else None))
    return Clock(other, tuple(doubts)), rows


def _type_of(values: pd.Series, event: str | None, *, text_is_all: bool, dialect: Dialect) -> ColumnType:
    """Return the type of a column; of ``event``, which says a row's day, also where a few values do not read."""
    if values.name == event:
        return event_type(values, dialect)[0]
    return column_type(values, text_is_all=text_is_all, dialect=dialect)


def event_type(values: pd.Series, dialect: Dialect) -> tuple[ColumnType, pd.Series]:
    """Return which of date and timestamp reads more of the values that say a row's day, and a mask of the others."""
    kinds: tuple[ColumnType, ...] = ("date", "timestamp")
    unread = {
        kind: coerce(plain(values, kind, dialect, UTC), kind, text_is_all=True)[0].isna() for kind in kinds
    }
    best = min(kinds, key=lambda kind: int(unread[kind].sum()))
    return best, unread[best]


def undated(values: pd.Series, dialect: Dialect) -> pd.Series:
    """Return a mask of the rows without a readable day. Raises RequestError if they are more than a few."""
    kind, unread = event_type(values, dialect)
    if unread.mean() > FEW_UNDATED:
        raise RequestError(
            f"--date-column: {int(unread.sum())} of {len(values)} values of '{values.name}' do not read as {kind}, "
            f"such as {_example(values, unread)!r:.60}; a column is spelled in one way: correct the file, or name "
            "another column"
        )
    return unread


def _undated(values: pd.Series, unread: pd.Series) -> str:
    return (
        f"date_column: {int(unread.sum())} of {len(values)} rows have no day that reads, such as "
        f"{_example(values, unread)!r:.60}; each goes with the row above it and is set aside"
    )


def _example(values: pd.Series, unread: pd.Series) -> Any:
    return next(iter(values[unread].dropna()), "nothing")


def _doubt(values: pd.Series, odd: pd.Series, zone: ZoneInfo, winter: str | None) -> str:
    what = f"timezone: {int(odd.sum())} values of '{values.name}', such as {values[odd].iloc[0]}, are of an hour that"
    if winter:
        return f"{what} the clocks of {zone.key} skip; {winter}, their winter time all year, is a guess"
    return f"{what} the clocks of {zone.key} do not show once; such rows are set aside, unless timezone is another"


def _winter_time(zone: ZoneInfo) -> str | None:
    """Return the zone that has the winter time of ``zone`` all year, or None: it is no whole hour."""
    offsets = [datetime(2020, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
    hours = min(offset.total_seconds() for offset in offsets if offset is not None) / 3600
    return f"Etc/GMT{-hours:+.0f}" if hours == int(hours) else None


def column_type(values: pd.Series, *, text_is_all: bool, dialect: Dialect = PLAIN) -> ColumnType:
    """Return the narrowest type that reads every value, as validation reads it; text if none does.

    Timestamps by their spelling, whatever clocks show.
    """

    def read(some: pd.Series, kind: ColumnType) -> tuple[pd.Series, np.ndarray]:
        return coerce(plain(some, kind, dialect, UTC), kind, text_is_all=text_is_all)

    found = kind_of(values.dropna())
    numbers = plain(values, "float", dialect, UTC).dropna()
    for kind in _readable(numbers, found, text_is_all):
        if read(values.head(FIRST_ROWS), kind)[1].any():  # most kinds fail here already
            continue
        typed, wrong = read(values, kind)
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
    text = present.astype("str").str.strip()
    # 0 and 1 are numbers as well; only words are surely booleans.
    if set(text.str.lower().unique()) <= TRUTHS:
        yield "boolean"
    if text.str.match(f"{PADDED}|(?:{DIALLED}|{CODED})$").any():
        return
    whole = text.str.fullmatch(r"[+-]?\d+").astype(bool)
    # 12.0 is a measurement that happens to be whole.
    if not text.str.contains(r"[.eE]", regex=True).any():
        yield "integer"
    # As floats, whole numbers this long would be others: they are names.
    if not text[whole].str.len().gt(EXACT_DIGITS).any():
        yield "float"


def key_candidates(
    table: pd.DataFrame, day: pd.Series, guesses: Mapping[str, ColumnGuess], *, text_is_all: bool
) -> list[tuple[str, ...]]:
    """Return the smallest sets of columns that are unique, best first: over all nights, else within each.

    Raises:
        NotReady: there is none; naming what rows repeat, and what to do.
    """
    whole = [n for n, g in guesses.items() if not g.nullable and g.type not in ("float", "boolean")]
    # Of numbers with a fraction a key is made only if nothing else is left, and as the file spells them.
    fractions = [n for n, g in guesses.items() if not g.nullable and g.type == "float" and text_is_all]
    for usable in (whole, [*whole, *fractions]):
        ranked = sorted(usable, key=lambda name: -_identifies(name, guesses[name].type))
        for within in ([], [day.rename("batch_date")]):
            found = list(_unique(table, ranked, guesses, within)) or list(_long_key(table, ranked, within))
            if found:
                best = sorted(
                    found,
                    key=lambda names: (
                        -sum(_identifies(n, guesses[n].type) for n in names),
                        not _counts_up(table, names),
                    ),
                )
                # In the order of the table: a key reads as its columns do.
                return [tuple(name for name in table.columns if name in names) for names in best]
    raise NotReady(_no_key(table))


def _counts_up(table: pd.DataFrame, names: tuple[str, ...]) -> bool:
    """Return whether this is one column that numbers the rows: a customer may well come again, a booking not."""
    return len(names) == 1 and bool(table[names[0]].is_monotonic_increasing)


def _long_key(
    table: pd.DataFrame, ranked: Sequence[str], within: Sequence[pd.Series]
) -> Iterator[tuple[str, ...]]:
    """Yield the one key that is left when all columns are unique together and those are dropped that need not be."""
    needed = list(ranked)
    if not needed or _repeats(table, needed, within):
        return
    for name in reversed(ranked):
        fewer = [other for other in needed if other != name]
        if fewer and not _repeats(table, fewer, within):
            needed = fewer
    yield tuple(needed)


def _doubted(
    table: pd.DataFrame, day: pd.Series, guesses: Mapping[str, ColumnGuess], key: tuple[str, ...]
) -> str:
    """Return, in words, what would be the key but for a few rows: they may be one that was delivered twice."""
    within = [day.rename("batch_date")] if _repeats(table, key, []) else []
    named = [name for name in key if may_be_key(name) or guesses[name].type not in ("float", "integer")]
    whole = [n for n, g in guesses.items() if not g.nullable and g.type in ("string", "date", "timestamp")]
    # Without a number that is no name; else without one of its columns.
    usable = [key] if len(named) == len(key) else [named, whole[: 2 * LONGEST_KEY]]
    for some in usable:
        for size in range(1, min(len(some), LONGEST_KEY) + 1):
            for names in combinations(some, size):
                again = pd.concat([*within, table[list(names)]], axis=1).duplicated(keep=False)
                if set(names) != set(key) and 0 < again.mean() <= FEW_TWICE:
                    return _told_twice(table, names, [n for n in key if n not in names], again)
    return ""


def _told_twice(table: pd.DataFrame, names: Sequence[str], others: Sequence[str], again: pd.Series) -> str:
    row = table.loc[again, list(names)].iloc[0]
    shown = ", ".join(
        f"{name} {value.date() if isinstance(value, pd.Timestamp) and value == value.normalize() else value}"
        for name, value in row.items()
    )
    return (
        f"key: {' and '.join(others)} is in the key only to tell {int(again.sum())} of {len(table)} rows apart; "
        f"{' + '.join(names)} would do, but for {shown:.80}: if that came twice, correct the file and draft again"
    )


def _repeats(table: pd.DataFrame, names: Sequence[str], within: Sequence[pd.Series]) -> bool:
    return bool(pd.concat([*within, table[list(names)]], axis=1).duplicated().any())


def _unique(
    table: pd.DataFrame,
    ranked: Sequence[str],
    guesses: Mapping[str, ColumnGuess],
    within: Sequence[pd.Series],
) -> Iterator[tuple[str, ...]]:
    """Yield the sets of columns of the smallest size at which any is unique."""
    for size in range(1, LONGEST_KEY + 1):
        # A single column is quickly asked, however many there are.
        columns = ranked if size == 1 else ranked[:KEYS_FROM_COLUMNS]
        found = False
        for names in combinations(columns, size):
            if size == 1 and not _may_identify(table[names[0]], names[0], guesses[names[0]].type):
                continue
            if not _repeats(table, names, within):
                found = True
                yield names
        if found:
            return


def _may_identify(values: pd.Series, name: str, kind: ColumnType) -> bool:
    """Return whether a column alone may be a key: a number must be called so, or count the rows.

    A measurement is unique too, as long as few rows are looked at.
    """
    if kind not in ("integer", "float") or may_be_key(name):
        return True
    return kind == "integer" and len(values) > 1 and values.is_monotonic_increasing


def _no_key(table: pd.DataFrame) -> str:
    again = table.duplicated(keep=False)
    what = "those columns that have no nulls do not tell the rows apart"
    if again.any():
        first = table[again].iloc[0].astype("str").to_dict()
        shown = ", ".join(f"{name} {value}" for name, value in list(first.items())[:5])
        what = (
            f"{int(again.sum())} of {len(table)} rows are there more than once, in every column: {shown:.200}"
        )
    return (
        f"rows repeat: {what}. A row needs a key that is the same when it is delivered again: give a file a column "
        "that numbers its rows, a query row_number() OVER (ORDER BY ...) AS row_no over all its columns"
    )


def _identifies(name: str, kind: ColumnType) -> float:
    """Return how much a column looks like (a part of) an identifier."""
    by_type = {"string": 2.0, "date": 2.0, "timestamp": 1.0, "float": -2.0}.get(kind, 0.0)
    return by_type + 3 * may_be_key(name) - 3 * bool(BECAME_KNOWN.search(name))


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
    """Return what a model could predict: numbers and booleans that vary, and texts of a few values."""
    return [
        name
        for name, guess in guesses.items()
        if name not in key and _varies(table[name]) and (guess.type in NUMBERS or has_classes(table[name]))
    ]


NUMBERS = ("float", "integer", "boolean")


def _varies(values: pd.Series) -> bool:
    return bool(values.nunique() > 1)


def has_classes(values: pd.Series) -> bool:
    """Return whether the values are few and come often: classes, and neither free text nor identifiers."""
    found = values.nunique()
    return bool(1 < found <= MOST_CLASSES and found * ROWS_A_CLASS <= values.notna().sum())


def expectations(
    table: pd.DataFrame, day: pd.Series, guesses: Mapping[str, ColumnGuess], key: tuple[str, ...]
) -> Iterator[dict[str, Arguments]]:
    """Yield modest expectations: sets that are surely closed, ranges widened generously, numbers of rows."""
    for name, guess in guesses.items():
        values = table[name].dropna()
        if guess.type == "string" and name not in key and _is_closed(values, day):
            categories = sorted(map(str, values.unique()))
            yield {"expect_column_values_to_be_in_set": {"column": name, "value_set": categories}}
        counts_up = guess.type == "integer" and _grows(name, values, day)
        if guess.type in ("float", "integer") and name not in key and len(values) and not counts_up:
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


def _grows(name: str, values: pd.Series, day: pd.Series) -> bool:
    """Return whether numbers grow, by their name or by their nights' maxima: a range would end nights to come."""
    if is_counted(name):
        return True
    most = values.groupby(day[values.index]).max()
    # Of one night nothing says that a number of this name does not grow.
    grows = len(most) < 2 or (most.is_monotonic_increasing and most.iloc[-1] > most.iloc[0])
    return may_be_key(name) and bool(grows)


def _is_closed(values: pd.Series, day: pd.Series) -> bool:
    """Return whether the values that were seen are surely all there are.

    Few of them, each on many nights and in many rows, and none that came only after the first half of the nights:
    what has not been seen by then is rarer than any budget.
    """
    nights = day[values.index]
    if not 0 < values.nunique() <= FEW_CATEGORIES or nights.nunique() < NIGHTS_TO_CLOSE:
        return False
    seen = nights.groupby(values.astype("str")).agg(["size", "nunique", "min"])
    half = nights.drop_duplicates().sort_values().iloc[nights.nunique() // 2]
    often = (seen["size"] >= ROWS_A_CATEGORY) & (seen["nunique"] >= NIGHTS_A_CATEGORY)
    return bool((often & (seen["min"] <= half)).all())


def widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that holds ``low`` .. ``high`` with as much room again on either side, in round numbers.

    What was never negative stays so.
    """
    # As decimals: no sum is too large for them, and no step too small.
    least, most = Decimal(repr(low)), Decimal(repr(high))
    span = (most - least) or max(abs(most), Decimal(1))
    step = Decimal(1).scaleb(span.adjusted())
    bottom = ((least - span) / step).to_integral_value(ROUND_FLOOR) * step
    top = ((most + span) / step).to_integral_value(ROUND_CEILING) * step
    return _plain(Decimal(0) if low >= 0 else bottom), _plain(top)


def _plain(number: Decimal) -> float:
    tidy = min(max(float(number), -sys.float_info.max), sys.float_info.max)
    return int(number) if tidy == int(tidy) and abs(tidy) < 10**20 else tidy
