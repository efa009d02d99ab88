"""From a source's spelling to the plain one: text of its dialect, and timestamps by whose clock.

What comes out is read alike everywhere: numbers with a decimal point, dates with the year first, timestamps with
their offset, nothing as nothing. What the dialect cannot read becomes a text that nothing reads as a value.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nightshift.exact import as_decimal, as_texts, to_microseconds
from nightshift.specs import Dialect
from nightshift.specs.dialect import SPACES
from nightshift.specs.parts import ColumnType
from nightshift.types import EARLIEST, LATEST

UNREADABLE = "unreadable"
PLAIN = Dialect()
ALIKE = {" ": SPACES, "'": "'\u2019", "\u2019": "'\u2019"} | dict.fromkeys(SPACES[1:], SPACES)
WORDS = r"(?i)(?:[+-]?(?:nan|inf|infinity))?"
NAIVE = r"\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
DAY = r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00:?00)?)?"
INSTANT = NAIVE + r" ?(?:Z|[+-]\d{2}(?::?\d{2})?)?"
# Rows of a night may tell of earlier events; a year holds every change of the clocks.
YEAR = timedelta(days=366)
FIRST, LAST = EARLIEST.tz_localize(None), LATEST.tz_localize(None)


def plain(values: pd.Series, kind: ColumnType, dialect: Dialect, zone: ZoneInfo) -> pd.Series:
    """Return the values of a column of type ``kind`` in the plain spelling; what is no text stays as it is.

    ``zone``: whose clock timestamps without an offset show. An hour that it shows twice or never is unreadable.
    """
    if dialect != PLAIN:
        values = _of_texts(values, lambda text: _of_dialect(text, kind, dialect))
    if kind != "timestamp" or zone.key == "UTC":
        return values
    return _of_texts(_with_zone(values, zone), lambda text: _with_offset(text, zone))


def days(
    values: pd.Series, kind: ColumnType | None, dialect: Dialect, zone: ZoneInfo, home: ZoneInfo
) -> pd.Series:
    """Return the day of each date, or the day at ``home`` of each instant, as datetime64[s]; NaT if unreadable.

    ``kind``: date or timestamp; None: whichever of the two reads more values, date of equals; the other reads the rest.
    """
    if kind == "timestamp":
        return _local_days(plain(values, "timestamp", dialect, zone), home)
    found = _own_days(plain(values, "date", dialect, zone))
    if kind == "date" or not (found.isna() & values.notna()).any():
        return found
    instants = _local_days(plain(values, "timestamp", dialect, zone), home)
    as_dates = found.notna().sum() >= instants.notna().sum()
    return found.fillna(instants) if as_dates else instants.fillna(found)


def spelled_otherwise(values: pd.Series, text: str) -> dict[str, int]:
    """Return the values that are ``text`` but for case and spaces, each with its number of rows, the most first."""

    def folded(one: str) -> str:
        return "".join(one.split()).casefold()

    counted = values.astype("str").value_counts()
    return {str(each): int(rows) for each, rows in counted.items() if folded(str(each)) == folded(text)}


def clocks_agree(one: str, other: str, first: date, last: date) -> bool:
    """Return whether the clocks of two zones agree in every hour from a year before ``first`` to a year after ``last``.

    Names do not tell: US/Eastern is America/New_York.
    """
    hours = pd.date_range(first - YEAR, last + YEAR, freq="h", tz="UTC")
    try:
        shown = [hours.tz_convert(zone).tz_localize(None) for zone in (one, other)]
    except (KeyError, ValueError):  # a name that this machine's time zones no longer have
        return False
    return shown[0].equals(shown[1])


def _of_texts(values: pd.Series, change: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """Return the values with those that are text changed."""
    if isinstance(values.dtype, pd.StringDtype):
        texts = values.dropna()
        changed = change(texts)
        return changed if len(texts) == len(values) else changed.reindex(values.index)
    if values.dtype != object:
        return values
    texts = as_texts(values[[isinstance(value, str) for value in values]])
    if not len(texts):
        return values
    values = values.copy()
    values.loc[texts.index] = change(texts).astype(object)
    return values


def _of_dialect(text: pd.Series, kind: ColumnType, dialect: Dialect) -> pd.Series:
    read = SPELLINGS.get(kind)
    spelled = read(text, dialect) if read else text
    missing = _stands_for_nothing(text, spelled, kind, dialect)
    return spelled.mask(missing) if missing.any() else spelled


def _stands_for_nothing(text: pd.Series, spelled: pd.Series, kind: ColumnType, dialect: Dialect) -> pd.Series:
    markers = list(dialect.nulls)
    if kind == "string":
        return text.isin(markers)
    found = text.str.strip().isin(markers)
    if kind in ("integer", "float") and markers:
        # -200 is -200 whether a column spells it -200 or -200,0.
        own = pd.Series(markers, dtype="str")
        numbers = pd.concat([own, _numbers(own, dialect)])
        near = pd.to_numeric(spelled, errors="coerce").isin(pd.to_numeric(numbers, errors="coerce").dropna())
        # As floats, 2**53 + 1 and its neighbour are one number.
        meant = {as_decimal(number) for number in numbers}
        found |= near & spelled.isin([text for text in spelled[near].unique() if as_decimal(text) in meant])
    return found


def number_pattern(decimal: str, thousands: str | None) -> tuple[str, str]:
    """Return what a number is, and what may stand between its digits, as regular expressions."""
    point, whole, between = re.escape(decimal), r"\d+", ""
    if thousands:
        between = f"[{ALIKE.get(thousands, thousands)}]"
        # Groups of three, or India's: three, then two. Anything else is a number that is spelled otherwise.
        whole = rf"(?:[1-9]\d{{0,2}}(?:{between}\d{{3}})+|[1-9]\d?(?:{between}\d{{2}})+{between}\d{{3}}|\d+)"
    return rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?", between


def _numbers(text: pd.Series, dialect: Dialect) -> pd.Series:
    if (dialect.decimal, dialect.thousands) == (".", None):
        return text
    text = text.str.strip()
    number, between = number_pattern(dialect.decimal, dialect.thousands)
    reads = text.str.fullmatch(number).astype(bool) | text.str.fullmatch(WORDS).astype(bool)
    bare = text.str.replace(between, "", regex=True) if between else text
    return bare.str.replace(dialect.decimal, ".", regex=False).where(reads, UNREADABLE)


def _booleans(text: pd.Series, dialect: Dialect) -> pd.Series:
    if not dialect.true_values:
        return text
    means = dict.fromkeys(dialect.true_values, "true") | dict.fromkeys(dialect.false_values, "false")
    return text.str.strip().map({"": "", **means}).fillna(UNREADABLE).astype("str")


def _dates(text: pd.Series, dialect: Dialect) -> pd.Series:
    if dialect.dates or not dialect.timestamps:
        return text if dialect.dates is None else _moments(text, dialect.dates, "D")
    # As where the year is first, midnight is a day: a spreadsheet writes its days with 0:00 behind them.
    midnight = _moments(text, dialect.timestamps, "us")
    return text.where(midnight == UNREADABLE, midnight)


def _timestamps(text: pd.Series, dialect: Dialect) -> pd.Series:
    return text if dialect.timestamps is None else _moments(text, dialect.timestamps, "us")


def _moments(text: pd.Series, form: str, unit: Any) -> pd.Series:
    codes, different = pd.factorize(text)
    each = pd.Series(different, dtype="str").str.strip()
    # pandas reads "now" and "today" in any format, and 1112013 by %d%m%Y as 11 January: it may be 1 November.
    dated = each.where(
        each.str.contains(r"\d", regex=True) & each.str.fullmatch(_in_full_width(form)).astype(bool)
    )
    before = re.search(r"([^\w%])%f", form)
    if before:  # nanoseconds in one value would end all of them in 2262
        dated = dated.str.replace(rf"({re.escape(before[1])}\d{{6}})\d+", r"\1", regex=True)
    read = pd.to_datetime(dated, format=form, errors="coerce", utc="%z" in form)
    if "%j" in form and "%z" not in form:  # pandas takes the 366th day of 2013 for the next New Year
        last = dated.str.extract(_in_full_width(form))["j"] == "366"
        read = read.mask(last & (read.dt.dayofyear == 1))
    ends = "Z" if "%z" in form else ""
    iso = np.datetime_as_string(read.to_numpy(dtype="datetime64[us]"), unit=unit, casting="unsafe").astype(
        object
    )
    spelled = pd.Series(iso + ends, dtype="str").where(read.notna(), UNREADABLE).mask(each == "", "")
    return pd.Series(spelled.to_numpy()[codes], index=text.index, dtype="str")


# How wide a number is where another touches it.
WIDTHS = {"%Y": 4, "%j": 3, "%f": 6} | dict.fromkeys(["%y", "%m", "%d", "%H", "%I", "%M", "%S"], 2)


@cache
def _in_full_width(form: str) -> str:
    """Return a regular expression of texts whose numbers that touch each other, as in %Y%m%d, are padded."""
    parts = re.findall(r"%.|[^%]", form)
    touching = [one in WIDTHS and other in WIDTHS for one, other in pairwise(parts)]
    beside = [any(pair) for pair in zip([False, *touching], [*touching, False], strict=True)]
    return "(?is)" + "".join(_pattern(part, near) for part, near in zip(parts, beside, strict=True))


def _pattern(part: str, near: bool) -> str:
    if part == "%S":  # pandas takes the 60th second of a minute for the next one, and none of ISO text
        return r"[0-5]\d" if near else r"\s*[0-5]?\d"
    if part in WIDTHS:
        digits = rf"\d{{{WIDTHS[part]}}}" if near else r"\s*\d+"
        return f"(?P<j>{digits})" if part == "%j" else digits
    return ".+" if part[0] == "%" else r"\s+" if part.isspace() else re.escape(part)


def _with_zone(values: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Return timestamps that are none of text with their zone."""
    if values.dtype == object:
        return pd.Series([_one_with_zone(value, zone) for value in values], values.index, dtype=object)
    if values.dtype.kind != "M" or getattr(values.dtype, "tz", None) is not None:
        return values
    local = _localized(values, zone).dt.tz_convert(UTC)
    lost = local.isna() & values.notna()
    return local.astype(object).mask(lost, UNREADABLE) if lost.any() else local


def _localized(values: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Return naive timestamps in a zone; NaT for an hour that it shows twice or never, or beyond the years of UTC."""
    # 9999-12-31 23:59:59, a usual end of what has none, is a year later in UTC for a zone behind it.
    ends = datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, tzinfo=zone)
    early, late = (one.utcoffset() or timedelta() for one in ends)
    first, last = FIRST + max(early, timedelta()), LAST + min(late, timedelta())
    sayable = values.where((values >= first) & (values <= last))
    return sayable.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")


def _one_with_zone(value: Any, zone: ZoneInfo) -> Any:
    if not isinstance(value, datetime) or pd.isna(value) or value.tzinfo is not None:
        return value
    early, late = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    try:
        return early.astimezone(UTC) if early.utcoffset() == late.utcoffset() else UNREADABLE
    except OverflowError:  # the first or last hours of all years
        return UNREADABLE


def _with_offset(text: pd.Series, zone: ZoneInfo) -> pd.Series:
    """Return the text with the offset of its zone at its end, where it has none."""
    bare = text.str.strip()
    naive = to_microseconds(bare[bare.str.fullmatch(NAIVE).astype(bool)].str.replace("/", "-", regex=False))
    if not len(naive):
        return text
    # What is no instant here is none anywhere: left without its offset, it would be read as UTC.
    read = pd.to_datetime(naive, format="ISO8601", errors="coerce")
    local = _localized(read, zone)
    instant = local.dt.tz_convert(UTC).dt.tz_localize(None)
    offset = read - instant
    ends = {one: _spelled(one) for one in offset.dropna().unique()}
    spelled = naive + offset.map(ends).astype("str")
    odd = offset.dt.total_seconds() % 60 != 0  # local time before there were zones
    if odd.any():
        utc = np.datetime_as_string(instant.to_numpy(dtype="datetime64[us]"), unit="us").astype(object) + "Z"
        spelled = spelled.mask(odd, pd.Series(utc, index=spelled.index, dtype="str"))
    spelled = spelled.mask(local.isna(), UNREADABLE)
    return spelled if len(spelled) == len(text) else text.mask(text.index.isin(spelled.index), spelled)


def _spelled(offset: pd.Timedelta) -> str:
    minutes = int(offset.total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _local_days(values: pd.Series, home: ZoneInfo) -> pd.Series:
    return days_at(pd.to_datetime(values, utc=True) if values.dtype.kind == "M" else _instants(values), home)


def days_at(instants: pd.Series, home: ZoneInfo) -> pd.Series:
    """Return the day that the clock of ``home`` shows at each instant of UTC, as datetime64[s].

    NaT where that is a day beyond all years: 9999-12-31 23:59:59, a usual end of what has none, is one east of UTC.
    """
    ends = datetime(1, 1, 1, tzinfo=home), datetime(9999, 12, 31, tzinfo=home)
    early, late = (one.utcoffset() or timedelta() for one in ends)
    first, last = EARLIEST - min(early, timedelta()), LATEST - max(late, timedelta())
    sayable = instants.where((instants >= first) & (instants <= last))
    return sayable.dt.tz_convert(home).dt.tz_localize(None).dt.normalize().astype("datetime64[s]")


def _instants(values: pd.Series) -> pd.Series:
    text = _stripped(values)
    read = to_microseconds(text.where(text.str.fullmatch(INSTANT).astype(bool)))
    return pd.to_datetime(read, format="ISO8601", errors="coerce", utc=True)


def _own_days(values: pd.Series) -> pd.Series:
    if values.dtype.kind == "M":
        whole = getattr(values.dtype, "tz", None) is None
        return (
            values.where(values == values.dt.normalize()).astype("datetime64[s]")
            if whole
            else _nothing(values)
        )
    text = _stripped(values)
    read = text.where(text.str.fullmatch(DAY).astype(bool)).str.slice(0, 10)
    return pd.to_datetime(read, format="%Y-%m-%d", errors="coerce").astype("datetime64[s]")


def _stripped(values: pd.Series) -> pd.Series:
    """Return each value as text, the year, month and day of a date with dashes; nothing as empty."""
    text = as_texts(values.where(values.notna(), "")).reindex(values.index, fill_value="")
    return text.str.strip().str.replace("/", "-", regex=False)


def _nothing(values: pd.Series) -> pd.Series:
    return pd.Series(pd.NaT, index=values.index, dtype="datetime64[s]")


SPELLINGS: dict[ColumnType, Callable[[pd.Series, Dialect], pd.Series]] = {
    "integer": _numbers,
    "float": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "timestamp": _timestamps,
}
