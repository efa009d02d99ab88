"""How the columns of a table of text seem to spell numbers, dates and nothing; each guess that is open is told."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from nightshift.freeform import Declared
from nightshift.spelling import number_pattern

SPREAD = 20_000  # rows, from all over the file
MOST = 0.8
NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
COMPACT = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])"
WORDS_FOR_NOTHING = frozenset(
    ["NA", "N/A", "n/a", "NULL", "null", "None", "none", "-", "--", "?", ".", "#N/A", "\\N", "missing"]
)
NUMBERS_FOR_NOTHING = (-200, -99, -99.9, -999, -999.9, -9999, -99999, 999.9, 9999, 99999)
ISO = r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|[+-]\d{2}(?::?\d{2})?))?)?"
# Of two that read everything, the first is taken unless the order of the file says otherwise.
DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y",
    "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y%m%d",
)  # fmt: skip
CLOCKS = (
    "%H:%M:%S",
    "%H:%M",
    "%H:%M:%S.%f",
    "%I:%M:%S %p",
    "%I:%M %p",
    "%H.%M.%S",
    "%H.%M",
    "%H%M%S",
    "%H%M",
)
INSTANT = (
    r"(?P<day>.*\d{2})(?P<between>T|, | )(?P<clock>\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\.\d+)?(?: [AaPp][Mm])?|\d{4}|\d{6})"
    r"(?P<zone> ?(?:Z|[+-]\d\d:?\d\d))?"
)
Guessed = tuple[Declared, list[str]]
Columns = Mapping[str, pd.Series]


def guess(table: pd.DataFrame, delimiter: str) -> Guessed:
    """Return keys of a dialect with their values, and a sentence on each that the table leaves open."""
    columns = _columns(table)
    nothing, doubts = _nothing(columns)
    found: Declared = dict(nothing)
    there = {name: values[~values.isin(nothing.get("nulls", ()))] for name, values in columns.items()}
    for keys, more in (_numbers(there, delimiter), _moments(there)):
        found |= keys
        doubts = doubts + more
    return found, doubts


def _columns(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what each column holds, in rows from all over the table."""
    places = np.unique(np.linspace(0, max(len(table) - 1, 0), SPREAD).astype(int))
    rows = table.iloc[places] if len(table) else table
    found = {}
    for n, name in enumerate(rows.columns):
        values = rows.iloc[:, n].dropna().str.strip()
        found[str(name)] = values[values != ""]
    return found


def _fits(values: pd.Series, pattern: str) -> pd.Series:
    return values.str.fullmatch(pattern).astype(bool)


def _readings(delimiter: str) -> list[tuple[str, str | None]]:
    """Return the ways to spell a number, the likeliest first; between semicolons a comma is a decimal one."""
    one_mark: list[tuple[str, str | None]] = [(".", ","), (",", None)]
    rest: list[tuple[str, str | None]] = [(",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
    return [(".", None), *(reversed(one_mark) if delimiter == ";" else one_mark), *rest]


def _numbers(columns: Columns, delimiter: str) -> Guessed:
    readings = _readings(delimiter)
    patterns = {reading: number_pattern(*reading)[0] for reading in readings}
    numbers = []
    for values in columns.values():
        read = {reading: _fits(values, pattern) for reading, pattern in patterns.items()}
        any_way = np.logical_or.reduce([mask.to_numpy() for mask in read.values()])
        if len(values) and any_way.mean() > MOST:
            numbers.append(pd.DataFrame(read, index=values.index).assign(value=values)[any_way])
    if not numbers:
        return {}, []
    every = pd.concat(numbers)
    counts = {reading: int(every[[reading]].to_numpy().sum()) for reading in readings}
    best = max(readings, key=lambda reading: counts[reading])  # the first of equals
    decimal, thousands = best
    found: Declared = {} if decimal == "." else {"decimal": decimal}
    found |= {"thousands": thousands} if thousands else {}
    return found, _doubtful_numbers(every["value"], best, counts)


def _doubtful_numbers(
    values: pd.Series, best: tuple[str, str | None], counts: Mapping[tuple[str, str | None], int]
) -> list[str]:
    doubts = []
    if counts[best] < len(values):
        odd = values[~_fits(values, number_pattern(*best)[0])]
        doubts.append(
            f"decimal: {len(odd)} of {len(values)} numbers are spelled otherwise, such as {odd.iloc[0]}"
        )
    for mark, one, other in ((",", (",", None), (".", ",")), (".", (".", None), (",", "."))):
        marked = values[values.str.contains(mark, regex=False)]
        if best in (one, other) and len(marked) and counts[one] == counts[other]:
            what = "the decimal mark" if best == one else "between thousands"
            doubts.append(f"decimal: {marked.iloc[0]} reads in two ways; '{mark}' is taken for {what}")
    return doubts


def _nothing(columns: Columns) -> Guessed:
    """Return what stands for no value: words among numbers or dates, and numbers far from all others."""
    words: set[str] = set()
    numbers: dict[str, list[str]] = {}
    for name, values in columns.items():
        odd = values[~values.str.contains(r"\d", regex=True)]
        if len(odd) < len(values) and set(odd) <= WORDS_FOR_NOTHING:
            words |= set(odd)
            for marker in _far_off(values):
                numbers.setdefault(marker, []).append(name)
    doubts = [
        f"nulls: {marker} is far from every other value of {', '.join(names[:3])}"
        f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}; taken for nothing"
        for marker, names in numbers.items()
    ]
    doubts += list(_also_text(columns, words))
    markers = (*sorted(words), *numbers)
    return ({"nulls": markers} if markers else {}), doubts


def _also_text(columns: Columns, words: Collection[str]) -> Iterator[str]:
    """Yield a sentence on each column of text that has such words: NA among numbers may be Namibia among countries."""
    for name, values in columns.items():
        there = values[values.isin(words)]
        others = values[~values.isin(WORDS_FOR_NOTHING)]
        if len(there) and len(others) and not others.str.contains(r"\d", regex=True).any():
            yield f"nulls: {there.iloc[0]} is taken for nothing in '{name}' too, in {len(there)} of {len(values)} texts"


def _far_off(values: pd.Series) -> Iterator[str]:
    """Yield the known markers that repeat, and lie further from the other values than these are apart."""
    read = pd.to_numeric(values.str.replace(",", ".", regex=False), errors="coerce")
    if read.notna().mean() <= MOST:
        return
    # Other markers are no neighbours.
    others = read[~read.isin(NUMBERS_FOR_NOTHING)].dropna()
    low, high = others.min(), others.max()
    for marker in NUMBERS_FOR_NOTHING:
        if (read == marker).sum() < 2 or others.nunique() < 3:
            continue
        gap = low - marker if marker < low else marker - high
        if gap > 0 and (marker < 0 <= low or gap > high - low):
            yield f"{marker:g}"


class Moment(NamedTuple):
    """A column of dates or timestamps, and the formats that read it; none: the year is first."""

    column: str
    key: str
    forms: list[str]
    example: str


def _moments(columns: Columns) -> Guessed:
    """Return the formats of dates and of timestamps, and where the order of day and month is a guess."""
    moments = [moment for name, values in columns.items() if (moment := _moment(name, values))]
    found: Declared = {}
    doubts = []
    for key in ("dates", "timestamps"):
        forms = Counter(moment.forms[0] for moment in moments if moment.key == key and moment.forms)
        if forms:
            found[key] = forms.most_common(1)[0][0]
            doubts += [_doubt(moment, found[key]) for moment in moments if moment.key == key]
    return found, [doubt for doubt in doubts if doubt]


def _doubt(moment: Moment, chosen: str) -> str:
    if chosen not in moment.forms[:1]:
        own = moment.forms[0] if moment.forms else "year first"
        return (
            f"{moment.key}: '{moment.column}' is spelled {own}, another column {chosen}; one format is read"
        )
    if len(moment.forms) == 1:
        return ""
    both = " and as ".join(moment.forms[:2])
    return f"{moment.key}: '{moment.column}', such as {moment.example}, reads as {both}; {chosen} is a guess"


def _moment(name: str, values: pd.Series) -> Moment | None:
    dated = values[values.str.contains(r"\d.*\D.*\d|^(?:19|20)\d{6}", regex=True)]
    numeric = _fits(dated, NUMBER) & ~_fits(dated, COMPACT)
    if len(dated) <= MOST * len(values) or numeric.mean() > MOST:
        return None
    parts = dated.str.extract(f"^{INSTANT}$")
    key = "timestamps" if parts["clock"].notna().mean() > MOST else "dates"
    if _fits(dated, ISO).mean() > MOST:
        return Moment(name, key, [], dated.iloc[0])
    forms = [form for form in _forms(dated, parts if key == "timestamps" else None) if _reads(dated, form)]
    forms.sort(key=lambda form: _unsteady(dated, form))
    return Moment(name, key, forms, dated.iloc[0]) if forms else None


def _forms(values: pd.Series, parts: pd.DataFrame | None) -> list[str]:
    """Return the formats that read a few values from all over the file; ``parts``: day, clock and zone of each."""
    if parts is None:
        few = values.iloc[:: max(len(values) // 40, 1)]
        return [form for form in DATES if _reads(few, form)]
    few_parts = parts.iloc[:: max(len(parts) // 40, 1)]
    days = [form for form in DATES if _reads(few_parts["day"], form)]
    clocks = [form for form in CLOCKS if _read(few_parts["clock"], form).notna().mean() > 0.98]
    zones = few_parts["zone"].dropna()
    zone = "" if zones.empty else "%z" if not zones.iloc[0].startswith(" ") else " %z"
    return [f"{day}{few_parts['between'].iloc[0]}{clock}{zone}" for day, clock in product(days, clocks)]


def _read(values: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(values, format=form, errors="coerce", utc="%z" in form)


def _reads(values: pd.Series, form: str) -> bool:
    read = _read(values, form)
    return bool(read.notna().mean() > 0.98) and bool(read.dropna().dt.year.between(1900, 2100).mean() > 0.95)


def _unsteady(values: pd.Series, form: str) -> float:
    """Return how often the file would go back in time, as a share of its rows (or forward, if it runs backwards)."""
    steps = _read(values, form).diff().dropna().dt.total_seconds()
    return round(min(float((steps < 0).mean()), float((steps > 0).mean())), 2) if len(steps) else 0.0
