"""The page: one self-contained HTML file, at most 2 MB, without a script and without an address.

What stands out comes first; then volumes, columns, what is missing when, pictures, and relations.
"""

from collections.abc import Iterable, Sequence
from math import isnan

import pandas as pd

from nightshift.explore import drawings
from nightshift.explore.columns import Histogram
from nightshift.explore.drawings import NOW, THEN, instant, number, words
from nightshift.explore.examine import LABEL, Column, Exploration

PAGE_BYTES = 2_000_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2330; max-width: 76rem; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.5rem 0 .3rem } p { margin: .3rem 0 }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; margin: 1rem 0; padding: .7rem 1rem;
  background: #f4f6f9; border-radius: .5rem } .facts b { display: block; font-size: 1.15rem }
.facts span, .quiet, .card p { color: #5b6675; font-size: .85rem }
.hash { font-family: ui-monospace, monospace; font-size: .8rem; overflow-wrap: anywhere }
.now::before, .then::before { content: ""; display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem }
.now::before { background: NOW } .then::before { border: 2px solid THEN; box-sizing: border-box }
.findings li { margin: .15rem 0 }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e3e7ed; text-align: left; white-space: nowrap }
th { background: #f4f6f9; font-weight: 600 } .n { text-align: right; font-variant-numeric: tabular-nums }
.warn { background: #fdf0d0 }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem; margin: .8rem 0 }
.card { border: 1px solid #e3e7ed; border-radius: .5rem; padding: .7rem .9rem } .card h3 { font-size: .95rem;
  margin: 0 0 .4rem; overflow-wrap: anywhere } .card h3 i { font-weight: 400; color: #5b6675; float: right }
svg { display: block; width: 100%; overflow: visible } svg.plot { margin-top: 1.2rem }
svg text { font-size: 11px; fill: #46505e }
svg.strip { width: 22rem; height: 14px } svg.signed { width: 200px; height: 14px } svg.matrix { max-width: 100% }
svg path.then { fill: none; stroke: THEN; stroke-width: 1.8 } svg .axis { stroke: #aab3bf; stroke-width: 1 }
""".replace("NOW", NOW).replace("THEN", THEN)

LARGE_PSI, LARGE_GAP, MOSTLY_MISSING = 0.2, 0.05, 0.5
CLOSE, TOO_CLOSE = 0.9, 0.95
MOST_FINDINGS = 20
MOST_PAIRS = 15
Row = Iterable[tuple[str, str]]  # (class, content) of each cell; the content is markup of ours


def render(exploration: Exploration, snapshot_sha256: str) -> bytes:
    """Return the page in UTF-8. If all columns make it too large, the later ones are named, not drawn."""
    for most in (200, 100, 50, 20):
        page = _page(exploration, snapshot_sha256, most).encode()
        if len(page) <= PAGE_BYTES:
            break
    return page


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


def _page(e: Exploration, snapshot: str, most: int) -> str:
    title = words(f"{e.subject.title}, {e.question.nights}")
    shown = e.columns[:most]
    hidden = [column.name for column in e.columns[most:]] + list(e.left_out)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f"<h1>{words(e.subject.title)}</h1><p>{words(e.subject.description)}</p>{_facts(e, snapshot)}",
        _findings(e),
        _volumes(e),
        _table_of_columns(e, shown),
        f"<p>Not shown, for want of room: {words(', '.join(hidden), 2000)}.</p>" if hidden else "",
        _missing(e, shown),
        _target(e, shown),
        _pictures(e, shown),
        _correlations(e.matrix),
        "</body></html>",
    ]
    return "".join(parts)


def _facts(e: Exploration, snapshot: str) -> str:
    facts = [("rows", f"{e.rows:,}"), ("nights", str(e.question.nights)), ("columns", str(len(e.columns)))]
    if e.compared_rows is not None:
        facts.append((f"rows compared with, {e.question.compared}", f"{e.compared_rows:,}"))
    facts.append(("rows in the snapshot", f"{e.sampled:,}"))
    if e.labelled is not None:
        facts.append((f"rows with the label of {e.subject.target}", f"{e.labelled:,}"))
    boxes = "".join(f"<div><b>{words(value)}</b><span>{words(name)}</span></div>" for name, value in facts)
    return (
        f'<div class="facts">{boxes}</div><p class="quiet">Counts, missing values and PSI are of all rows. Pictures '
        "and correlations are of a sample: the snapshot, and as many rows of a range compared with. Texts that are "
        "rare, long or look like an identifier are not shown.</p>"
        f'<p class="quiet">snapshot <span class="hash">{words(snapshot)}</span></p>'
        f'<p class="quiet">spec <span class="hash">{words(e.subject.spec_sha256)}</span></p>{_legend(e)}'
    )


def _legend(e: Exploration) -> str:
    if e.compared_rows is None:
        return ""
    return (
        f'<p><span class="now">{words(e.question.nights)}</span> &nbsp; '
        f'<span class="then">{words(e.question.compared)}, compared with</span></p>'
    )


def _findings(e: Exploration) -> str:
    items = "".join(f"<li>{words(text)}</li>" for text in findings(e))
    return f'<h2>What stands out</h2><ul class="findings">{items or "<li>Nothing.</li>"}</ul>'


def _volumes(e: Exploration) -> str:
    aside = sum(v.rejected or 0 for v in e.volumes)
    counted = any(v.rejected is not None for v in e.volumes)
    note = (
        f"{aside:,} rows were set aside (red, on top); a tick below marks a night whose last batch failed."
        if counted
        else ""
    )
    then = drawings.volumes(e.compared_volumes, THEN) if e.compared_volumes else ""
    return f'<h2>Rows a night</h2><p class="quiet">{note}</p>{drawings.volumes(e.volumes, NOW)}{then}'


def _table_of_columns(e: Exploration, shown: Sequence[Column]) -> str:
    head = ["column", "declared", "found", "missing", "distinct", "smallest", "median", "largest"]
    compared = e.compared_rows is not None
    head += ["missing then", "PSI"] if compared else []
    rows = [[*_described(column), *(_changed(column) if compared else [])] for column in shown]
    return f"<h2>Columns</h2>{_table(head, rows, numbers=set(range(3, len(head))))}"


def _described(column: Column) -> list[tuple[str, str]]:
    show = instant if column.declared in ("date", "timestamp") else number
    spread = [show(value) for value in column.spread] if column.spread else ["", "", ""]
    return [
        ("", words(column.name, 63)),
        ("", words(column.declared)),
        ("", words(column.found)),
        ("n warn" if column.missing > MOSTLY_MISSING else "n", f"{column.missing:.1%}"),
        ("n", f"{column.distinct:,}"),
        *(("n", words(value)) for value in spread),
    ]


def _changed(column: Column) -> list[tuple[str, str]]:
    then, psi = column.missing_then, column.psi
    moved = then is not None and abs(column.missing - then) > LARGE_GAP
    return [
        ("n warn" if moved else "n", f"{then:.1%}" if then is not None else ""),
        ("n warn" if psi is not None and psi >= LARGE_PSI else "n", f"{psi:.3f}" if psi is not None else ""),
    ]


def _missing(e: Exploration, shown: Sequence[Column]) -> str:
    rows = [
        [("", words(column.name, 63)), ("n", f"{column.missing:.1%}"), ("", drawings.gaps(column.gaps))]
        for column in shown
        if column.missing > 0
    ]
    nights = len(e.spans[0].dates)
    each = "a night" if nights == 1 else f"{nights} nights"
    said = (
        f'<p class="quiet">A cell is {each}, {e.question.nights}; darker: more missing; white: no rows.</p>'
    )
    table = (
        said + _table(["column", "missing", "over time"], rows, numbers={1}) if rows else "<p>Nothing.</p>"
    )
    return f"<h2>What is missing, and when</h2>{table}"


def _target(e: Exploration, shown: Sequence[Column]) -> str:
    if e.subject.target is None:
        return ""
    related = [
        (column, column.relation, column.relation.value)
        for column in shown
        if column.relation is not None and column.relation.value is not None
    ]
    rows = [
        [
            ("", words(column.name, 63)),
            ("", words(relation.measure)),
            ("n", f"{value:.3f}"),
            ("", drawings.signed_bar(value)),
        ]
        for column, relation, value in sorted(related, key=lambda found: -abs(found[2]))
    ]
    said = (
        f'<p class="quiet">With the label of {words(e.subject.target)}, as it was known at the cut-off of '
        f"{e.question.nights.last}. Spearman has a sign, the measures of categories have none.</p>"
    )
    table = (
        _table(["column", "measure", "value", ""], rows, numbers={2})
        if rows
        else "<p>Too few labels to say.</p>"
    )
    return f"<h2>What goes with the target</h2>{said}{table}"


def _pictures(e: Exploration, shown: Sequence[Column]) -> str:
    cards = "".join(map(_card, shown))
    return f'<h2>Distributions</h2><p class="quiet">Shares of the rows.</p>{_legend(e)}<div class="cards">{cards}</div>'


def _card(column: Column) -> str:
    times = column.declared in ("date", "timestamp")
    if column.drawn is not None:
        drawing = drawings.distribution(column.drawn, times=times)
    elif column.hidden:
        drawing = f"<p>Looks like an identifier: {column.distinct:,} values, not shown.</p>"
    else:
        drawing = "<p>No values.</p>"
    clipped = isinstance(column.drawn, Histogram) and column.drawn.clipped
    note = "<p>The outer bars hold what lies beyond.</p>" if clipped else ""
    side = f"PSI {column.psi:.3f}" if column.psi is not None else ""
    return f'<div class="card"><h3>{words(column.name, 63)}<i>{side}</i></h3>{drawing}{note}</div>'


def _correlations(matrix: pd.DataFrame) -> str:
    if matrix.empty:
        return ""
    rows = [
        [
            ("", words(one, 63)),
            ("", words(other, 63)),
            ("n", f"{value:.2f}"),
            ("", drawings.signed_bar(value)),
        ]
        for one, other, value in _pairs(matrix)[:MOST_PAIRS]
    ]
    return (
        f'<h2>How numbers go together</h2><p class="quiet">Rank correlations; the {len(matrix)} columns most closely '
        f"related to any other.</p>{drawings.matrix(matrix)}{_table(['column', 'and', 'value', ''], rows, numbers={2})}"
    )


def _pairs(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Return every pair that has a correlation, the closest first; the label is no column to compare."""
    names = [str(name) for name in matrix.columns]
    values = matrix.to_numpy()
    pairs = [
        (names[i], names[j], float(values[i, j])) for i in range(len(names)) for j in range(i + 1, len(names))
    ]
    known = [pair for pair in pairs if not isnan(pair[2]) and LABEL not in pair[:2]]
    return sorted(known, key=lambda pair: (-abs(pair[2]), pair[:2]))


def _table(head: Sequence[str], rows: Sequence[Row], *, numbers: set[int]) -> str:
    """Return a table; the headings of the columns ``numbers`` stand to the right, as numbers do."""
    names = "".join(
        f'<th class="{"n" if n in numbers else ""}">{words(name)}</th>' for n, name in enumerate(head)
    )
    lines = ("".join(f'<td class="{style}">{content}</td>' for style, content in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


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
