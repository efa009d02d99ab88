"""The catalog as one page: without scripts or addresses, every value escaped here.

Descriptions and reasons are other people's text; nothing of them is ever markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from nightshift.catalog.datasets import Dataset

SHOWN_NIGHTS = 30
LONGEST_TEXT = 2_000
KINDS = {"source": "Sources", "features": "Feature sets", "model": "Models"}
BAR, HEIGHT = 9, 40
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#1f2933;"
    "background:#fff}a{color:#0b5cad}table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}"
    "th,td{border-bottom:1px solid #d9dee3;padding:.3rem .6rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{background:#f4f6f8}.n{text-align:right;font-variant-numeric:tabular-nums}"
    "section{border-top:3px solid #d9dee3;margin-top:2rem}figure{display:inline-block;margin:.5rem 2rem .5rem 0}"
    "figcaption{color:#52606d}svg{display:block;background:#f4f6f8}rect{fill:#7b8794}"
    ".good{color:#18794e;fill:#18794e}.bad{color:#b42318;fill:#b42318}.some{color:#b54708;fill:#b54708}"
)
# How a night's status reads at a glance; what is not here is grey.
TONES = {
    **dict.fromkeys(("published", "built", "scored", "ok"), "good"),
    **dict.fromkeys(("failed", "breached", "drifted"), "bad"),
}

Night = Mapping[str, Any]  # a row of catalog.nights
Nights = Mapping[date, Night]


def page(
    found: Sequence[Dataset], nights: Iterable[Night], freshness: Iterable[Mapping[str, Any]], as_of: date
) -> str:
    """Return a self-contained HTML page of ``found``, with what happened in the nights up to ``as_of``."""
    history: dict[tuple[str, str], dict[date, Night]] = {}
    for night in nights:
        history.setdefault((night["kind"], night["name"]), {})[night["batch_date"]] = night
    fresh = {(row["kind"], row["name"]): row for row in freshness}
    known = {each.id for each in found}
    body = [_overview(found, history, fresh)]
    for each in found:
        own = (each.kind, each.name)
        body.append(_section(each, history.get(own, {}), fresh.get(own, {}), known, as_of))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{POLICY}<title>Catalog</title>'
        f"<style>{STYLE}</style></head><body><h1>Catalog</h1><p>As of the night of {as_of}: {len(found)} datasets, "
        f"the last {SHOWN_NIGHTS} nights.</p>{''.join(body)}</body></html>"
    )


def _overview(
    found: Sequence[Dataset], history: Mapping[tuple[str, str], Nights], fresh: Mapping[tuple[str, str], Any]
) -> str:
    parts = []
    for kind, title in KINDS.items():
        rows = []
        for each in (one for one in found if one.kind == kind):
            nights, newest = history.get((kind, each.name), {}), fresh.get((kind, each.name), {})
            last = nights[max(nights)] if nights else {}
            about = (_text(each.owner), _text(newest.get("newest_batch_date") or "never"))
            rows.append((_link(each.id, {each.id}), *about, _number(last.get("row_count")), _status(last)))
        head = ("Name", "Owner", "Newest night", "Rows in the last night", "Last night")
        parts.append(f"<h2>{title}</h2>{_table(head, rows)}")
    return "".join(parts)


def _section(each: Dataset, nights: Nights, fresh: Mapping[str, Any], known: set[str], as_of: date) -> str:
    facts = [
        ("Owner", _text(each.owner)),
        ("Newest night", _text(fresh.get("newest_batch_date") or "never")),
        ("Newest known at", _text(fresh.get("newest_known_at") or "-")),
        ("Reads", ", ".join(_link(read, known) for read in each.reads)),
        ("Read by", ", ".join(_link(reader, known) for reader in each.read_by) or "nobody here"),
        ("Specification", f"sha256 {_text(each.spec_sha256[:12])}"),
    ]
    columns = [
        (_text(c["name"]), _text(c["type"]), "yes" if c["nullable"] else "no", _text(c["description"]))
        for c in each.schema
    ]
    return (
        f'<section id="{_text(each.id)}"><h2>{_text(each.id)}</h2><p>{_text(each.description)}</p>'
        f"{_table((), facts)}{_charts(each, nights, as_of)}"
        f"<details><summary>{len(columns)} columns</summary>"
        f"{_table(('Column', 'Type', 'May be null', 'Description'), columns)}</details></section>"
    )


def _charts(each: Dataset, nights: Nights, as_of: date) -> str:
    days = [as_of - timedelta(days=n) for n in reversed(range(SHOWN_NIGHTS))]
    charts = [_bars("Rows a night", days, nights, "row_count")]
    if each.kind == "source":
        charts.append(_bars("Share set aside", days, nights, "rejected_share"))
    if each.kind == "model":
        charts.append(_bars("Drift", days, nights, "drift"))
    return "".join(charts)


def _bars(title: str, days: list[date], nights: Nights, what: str) -> str:
    """Return one bar a night. A word (a status) fills the height; a night without a value has no bar."""
    values = [nights.get(day, {}).get(what) for day in days]
    largest = max((value for value in values if isinstance(value, int | float)), default=0)
    shown = []
    for n, (day, value) in enumerate(zip(days, values, strict=True)):
        night = nights.get(day, {})
        tall = 0.0 if value is None else HEIGHT if isinstance(value, str) else HEIGHT * value / (largest or 1)
        tone = _tone(value if isinstance(value, str) else night.get("status"))
        told = f"{day}: {_value(value)}{'; ' if night.get('why') else ''}{night.get('why') or ''}"
        shown.append(
            f'<rect class="{tone}" x="{n * BAR}" y="{HEIGHT - tall:.1f}" width="{BAR - 2}" height="{tall:.1f}">'
            f"<title>{_text(told)}</title></rect>"
        )
    last = next((value for value in reversed(values) if value is not None), None)
    return (
        f"<figure><figcaption>{title}: {_text(_value(last))} (most: {_value(largest) if largest else '-'})</figcaption>"
        f'<svg width="{len(days) * BAR}" height="{HEIGHT}" role="img">{"".join(shown)}</svg></figure>'
    )


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.2%}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def _number(value: Any) -> str:
    return f'<span class="n">{_value(value)}</span>'


def _status(night: Night) -> str:
    words = [night[what] for what in ("status", "drift") if night.get(what)]
    return ", ".join(f'<span class="{_tone(word)}">{_text(word)}</span>' for word in words) or "-"


def _tone(word: Any) -> str:
    return TONES.get(word, "some")


def _link(name: str, known: set[str]) -> str:
    text = _text(name)
    return f'<a href="#{text}">{text}</a>' if name in known else text


def _table(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table of cells that are markup already."""
    if not rows:
        return "<p>None.</p>"
    names = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    return escape(str(value)[:LONGEST_TEXT], quote=True)
