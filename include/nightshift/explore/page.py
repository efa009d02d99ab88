"""The page of an exploration: one self-contained HTML file, at most 2 MB, without a script and without an address.

What stands out comes first; then volumes, columns, what is missing when, pictures, and relations.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import isnan

import pandas as pd

from nightshift.explore.columns import Bars, Histogram
from nightshift.explore.examine import LABEL, Column, Exploration, Volume
from nightshift.masks import masked
from nightshift.pages import (
    Bullets,
    Cell,
    Document,
    Drawing,
    Figure,
    Legend,
    Note,
    Part,
    Section,
    Status,
    Table,
    page,
)
from nightshift.pages.charts import bars, gaps, histogram, matrix, percent, signed_bar, volumes

PAGE_BYTES = 2_000_000
LARGE_PSI, LARGE_GAP, MOSTLY_MISSING = 0.2, 0.05, 0.5
CLOSE, TOO_CLOSE = 0.9, 0.95
MOST_FINDINGS = 20
MOST_PAIRS = 15
LONGEST_NAME = 63
SAMPLED = (
    "Counts, missing values and PSI are of all rows. Pictures and correlations are of a sample: the snapshot, and as "
    "many rows of a range compared with. Texts that are rare, long or look like an identifier are not shown."
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = (
    (each - EPOCH) // timedelta(seconds=1)
    for each in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)


def render(exploration: Exploration, snapshot_sha256: str) -> bytes:
    """Return the page in UTF-8. If all columns make it too large, the later ones are named, not drawn."""
    for most in (200, 100, 50, 20):
        made = page(_document(exploration, snapshot_sha256, most)).encode()
        if len(made) <= PAGE_BYTES:
            break
    return made


def findings(e: Exploration) -> list[str]:
    """Return what a reader should know first, in plain words, the worst first."""
    empty = [v.night for v in e.volumes if not v.rows]
    found = (
        [f"Nights without rows: {len(empty)} of {len(e.volumes)}, the first is {empty[0]}."] if empty else []
    )
    failed = [v.night for v in e.volumes if v.failed]
    if failed:
        found.append(f"Nights whose last batch failed: {len(failed)}, the first is {failed[0]}.")
    rules = [words_of(column) for words_of in FINDINGS for column in e.columns if words_of(column)]
    found += [rule for rule in rules if rule]
    found += [
        f"{one} and {other} say nearly the same (rank correlation {value:.2f})."
        for one, other, value in _pairs(e.matrix)
        if abs(value) >= TOO_CLOSE
    ]
    more = len(found) - MOST_FINDINGS
    return found if more <= 0 else [*found[:MOST_FINDINGS], f"... and {more} more; see the tables."]


def _document(e: Exploration, snapshot: str, most: int) -> Document:
    shown = e.columns[:most]
    hidden = [column.name for column in e.columns[most:]] + list(e.left_out)
    left = (f"Not shown, for want of room: {masked(', '.join(hidden))}.",) if hidden else ()
    stands_out = findings(e)
    count = f"{len(stands_out)} things stand out." if len(stands_out) > 1 else "One thing stands out."
    return Document(
        title=masked(f"{e.subject.title}, {e.question.nights}"),
        about=e.subject.description,
        notes=(Note(count, "warn") if stands_out else Note("Nothing stands out.", "good"),),
        sections=(
            Section("What stands out", (Bullets(tuple(map(masked, stands_out)) or ("Nothing.",)),)),
            Section("What was looked at", (_facts(e, snapshot), SAMPLED)),
            Section("Rows a night", _volumes(e)),
            Section("Columns", (_table_of_columns(e, shown), *left)),
            Section("What is missing, and when", _missing(e, shown)),
            *_target(e, shown),
            Section("Distributions", _pictures(e, shown)),
            *_correlations(e.matrix),
        ),
    )


def _facts(e: Exploration, snapshot: str) -> Table:
    facts: list[tuple[str, Cell]] = [
        ("Rows", f"{e.rows:,}"),
        ("Nights", str(e.question.nights)),
        ("Columns", len(e.columns)),
    ]
    if e.compared_rows is not None:
        facts.append((f"Rows compared with, {e.question.compared}", f"{e.compared_rows:,}"))
    facts.append(("Rows in the snapshot", f"{e.sampled:,}"))
    if e.labelled is not None:
        facts.append((f"Rows with the label of {e.subject.target}", f"{e.labelled:,}"))
    facts += [("Snapshot (sha256)", snapshot), ("Spec (sha256)", e.subject.spec_sha256)]
    return Table((), tuple(facts))


def _legend(e: Exploration) -> tuple[Legend, ...]:
    if e.question.compared is None:
        return ()
    return (Legend((("now", str(e.question.nights)), ("then", f"{e.question.compared}, compared with"))),)


def _volumes(e: Exploration) -> tuple[Part, ...]:
    counted = any(v.rejected is not None for v in e.volumes)
    aside = sum(v.rejected or 0 for v in e.volumes)
    note = (
        f"{aside:,} rows were set aside (red, on top); a tick below marks a night whose last batch failed."
        if counted
        else ""
    )
    charts = [_volume(e.volumes, "now", note)]
    if e.compared_volumes:
        charts.append(_volume(e.compared_volumes, "then", "compared with"))
    return tuple(charts)


def _volume(nights: Sequence[Volume], kind: str, note: str) -> Figure:
    first, last = str(nights[0].night), str(nights[-1].night)
    most = max(v.rows + (v.rejected or 0) for v in nights)
    told = f"Rows a night, {first} to {last}, at most {most:,}"
    drawn = [(v.rows, v.rejected or 0, v.failed) for v in nights]
    return Figure(told, volumes(drawn, kind, told, (first, last if len(nights) > 1 else "")), note)


def _table_of_columns(e: Exploration, shown: Sequence[Column]) -> Table:
    head = ("column", "declared", "found", "missing", "distinct", "smallest", "median", "largest")
    compared = e.compared_rows is not None
    more = ("missing then", "PSI") if compared else ()
    rows = tuple((*_described(column), *(_changed(column) if compared else ())) for column in shown)
    return Table((*head, *more), rows)


def _described(column: Column) -> tuple[Cell, ...]:
    show = instant if column.declared in ("date", "timestamp") else number
    spread = [show(value) for value in column.spread] if column.spread else ["", "", ""]
    missing = _marked(f"{column.missing:.1%}", column.missing > MOSTLY_MISSING)
    return _name(column.name), column.declared, column.found, missing, f"{column.distinct:,}", *spread


def _changed(column: Column) -> tuple[Cell, ...]:
    then, psi = column.missing_then, column.psi
    moved = then is not None and abs(column.missing - then) > LARGE_GAP
    return (
        _marked(f"{then:.1%}", moved) if then is not None else "",
        _marked(f"{psi:.3f}", psi >= LARGE_PSI) if psi is not None else "",
    )


def _marked(words: str, stands_out: bool) -> Cell:
    return Status(words, "warn") if stands_out else words


def _missing(e: Exploration, shown: Sequence[Column]) -> tuple[Part, ...]:
    rows = tuple(
        (
            _name(column.name),
            f"{column.missing:.1%}",
            gaps(column.gaps, f"missing values of {_name(column.name)} over time"),
        )
        for column in shown
        if column.missing > 0
    )
    if not rows:
        return ("Nothing.",)
    nights = len(e.spans[0].dates)
    each = "a night" if nights == 1 else f"{nights} nights"
    said = f"A cell is {each}, {e.question.nights}; stronger: more missing; no cell: no rows."
    return said, Table(("column", "missing", "over time"), rows)


def _target(e: Exploration, shown: Sequence[Column]) -> tuple[Section, ...]:
    if e.subject.target is None:
        return ()
    related = [(column, column.relation) for column in shown if column.relation is not None]
    known = [(column, relation, relation.value) for column, relation in related if relation.value is not None]
    rows = tuple(
        (_name(column.name), relation.measure, f"{value:.3f}", signed_bar(value))
        for column, relation, value in sorted(known, key=lambda found: -abs(found[2]))
    )
    said = (
        f"With the label of {e.subject.target}, as it was known at the cut-off of {e.question.nights.last}. Spearman "
        "has a sign, the measures of categories have none."
    )
    table: Part = Table(("column", "measure", "value", "drawn"), rows) if rows else "Too few labels to say."
    return (Section("What goes with the target", (said, table)),)


def _pictures(e: Exploration, shown: Sequence[Column]) -> tuple[Part, ...]:
    return "Shares of the rows.", *_legend(e), *map(_picture, shown)


def _picture(column: Column) -> Figure:
    psi = f", PSI {column.psi:.3f}" if column.psi is not None else ""
    caption = f"{_name(column.name)}{psi}"
    if column.drawn is not None:
        clipped = isinstance(column.drawn, Histogram) and column.drawn.clipped
        drawn = _distribution(column, column.drawn)
        return Figure(caption, drawn, "The outer bars hold what lies beyond." if clipped else "")
    if column.hidden:
        return Figure(caption, None, f"Looks like an identifier: {column.distinct:,} values, not shown.")
    return Figure(caption, None, "No values.")


def _distribution(column: Column, drawn: Histogram | Bars) -> Drawing:
    told = f"Shares of the rows by {_name(column.name)}"
    if isinstance(drawn, Bars):
        most = ", ".join(
            f"{label} {percent(share)}" for label, share in zip(drawn.labels, drawn.now, strict=True)
        )
        return bars(drawn.labels, drawn.now, drawn.then, f"{told}: {most}")
    times = column.declared in ("date", "timestamp")
    show = instant if times else number
    # A bin of one whole number is centred on it.
    inset = 0.5 if drawn.edges[1] - drawn.edges[0] == 1 and not times else 0.0
    ends = show(drawn.edges[0] + inset), show(drawn.edges[-1] - inset)
    most = percent(max([*drawn.now, *(drawn.then or ())], default=0.0))
    return histogram(drawn.now, drawn.then, f"{told}, {ends[0]} to {ends[1]}, at most {most} in a bar", ends)


def _correlations(found: pd.DataFrame) -> tuple[Section, ...]:
    if found.empty:
        return ()
    names = [_name(str(name)) for name in found.columns]
    rows = tuple(
        (_name(one), _name(other), f"{value:.2f}", signed_bar(value))
        for one, other, value in _pairs(found)[:MOST_PAIRS]
    )
    said = f"Rank correlations; the {len(found)} columns most closely related to any other."
    drawn = matrix(names, found.to_numpy().tolist(), f"Rank correlations of {len(names)} columns")
    closest = Table(("column", "and", "value", "drawn"), rows, "The closest pairs")
    return (Section("How numbers go together", (said, Figure("Rank correlations", drawn), closest)),)


def _name(name: str) -> str:
    text = masked(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def number(value: float) -> str:
    """Return a number in a few characters: 1,234 or 0.0123."""
    if isnan(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.3g}"


def instant(seconds: float) -> str:
    """Return seconds since 1970 as a date, or a date and a time (UTC)."""
    # The edge of a bin may lie before the year 1 or after 9999, which no date says.
    when = EPOCH + timedelta(seconds=min(max(round(seconds), EARLIEST), LATEST))
    return f"{when.date()}" if (when.hour, when.minute) == (0, 0) else f"{when.date()} {when:%H:%M}"


def _pairs(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Return every pair that has a correlation, the closest first; the label is no column to compare."""
    names = [str(name) for name in matrix.columns]
    values = matrix.to_numpy()
    pairs = [
        (names[i], names[j], float(values[i, j])) for i in range(len(names)) for j in range(i + 1, len(names))
    ]
    known = [pair for pair in pairs if not isnan(pair[2]) and LABEL not in pair[:2]]
    return sorted(known, key=lambda pair: (-abs(pair[2]), pair[:2]))


def _empty(column: Column) -> str:
    return f"{column.name} has no value at all." if column.missing == 1 else ""


def _mostly_missing(column: Column) -> str:
    return (
        f"{column.name} is missing in {column.missing:.0%} of the rows."
        if MOSTLY_MISSING < column.missing < 1
        else ""
    )


def _constant(column: Column) -> str:
    return f"{column.name} has a single value." if column.distinct == 1 and not column.hidden else ""


def _moved(column: Column) -> str:
    if column.psi is None or column.psi < LARGE_PSI:
        return ""
    return f"{column.name} is spread otherwise than before (PSI {column.psi:.2f})."


def _newly_missing(column: Column) -> str:
    then = column.missing_then
    if then is None or abs(column.missing - then) <= LARGE_GAP:
        return ""
    return f"{column.name} was missing in {then:.1%} of the rows before, and is in {column.missing:.1%} now."


def _text_of_another_type(column: Column) -> str:
    return f"{column.name} holds {column.found}." if column.found.endswith("as text") else ""


def _gives_it_away(column: Column) -> str:
    value = column.relation.value if column.relation else None
    if value is None or abs(value) < CLOSE:
        return ""
    return f"{column.name} nearly is the target ({value:.2f}): does it know the outcome?"


FINDINGS = (
    _empty,
    _gives_it_away,
    _newly_missing,
    _moved,
    _mostly_missing,
    _constant,
    _text_of_another_type,
)
