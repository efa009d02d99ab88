"""The catalog as a document: what there is, how fresh and how good, and where to read on. Stale is red."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from nightshift.catalog.datasets import Dataset
from nightshift.masks import masked
from nightshift.pages import Cell, Document, Figure, Link, Note, Section, Status, Table, Tone
from nightshift.pages.charts import night_bars
from nightshift.records.catalog import Freshness, Night

SHOWN_NIGHTS = 30
MOST_NAMED = 5
KINDS = {"source": "Sources", "features": "Feature sets", "model": "Models"}
# What of a kind stands in the overview beside owner, freshness and volume.
OWN_COLUMN = {"source": "Open in quarantine", "model": "Champion"}
# How a night's status reads at a glance; what is not here is neither.
TONES: dict[str, Tone] = {
    **dict.fromkeys(("published", "built", "scored", "ok"), "good"),
    **dict.fromkeys(("failed", "breached", "drifted"), "bad"),
}

Nights = Mapping[date, Night]


@dataclass(frozen=True)
class Standing:
    """What else is known of a dataset now. ``champion``: its version and since which night; ``links``: (words, target).

    ``open_rows``: rows in quarantine that nobody has discarded.
    """

    champion: tuple[int, date] | None = None
    open_rows: int = 0
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Known:
    """A dataset and everything recorded of it up to the night of the page."""

    dataset: Dataset
    nights: Nights
    fresh: Freshness | None
    standing: Standing
    as_of: date

    @property
    def newest(self) -> date | None:
        """The newest night with rows; None if there never was one."""
        return self.fresh.newest_batch_date if self.fresh else None

    @property
    def behind(self) -> int:
        """How many nights the newest rows are behind; 0 without any."""
        return max((self.as_of - self.newest).days, 0) if self.newest else 0


def document(
    found: Sequence[Dataset],
    nights: Iterable[Night],
    freshness: Iterable[Freshness],
    as_of: date,
    standings: Mapping[str, Standing] | None = None,
) -> Document:
    """Return the catalog of ``found``, with what happened in the nights up to ``as_of``.

    ``standings``: by a dataset's id.
    """
    history: dict[tuple[str, str], dict[date, Night]] = {}
    for night in nights:
        history.setdefault((night.kind, night.name), {})[night.batch_date] = night
    fresh = {(row.kind, row.name): row for row in freshness}
    now = standings or {}
    known = [
        _Known(each, history.get(own, {}), fresh.get(own), now.get(each.id, Standing()), as_of)
        for each in found
        for own in [(each.kind, each.name)]
    ]
    ids = {each.id for each in found}
    return Document(
        title="Catalog",
        about=f"As of the night of {as_of}: {len(found)} datasets, the last {SHOWN_NIGHTS} nights.",
        notes=(_freshness(known),),
        sections=(*_overview(known), *(_section(each, ids) for each in known)),
    )


def _freshness(known: Sequence[_Known]) -> Note:
    stale = sorted((each for each in known if each.behind), key=lambda each: -each.behind)
    if not stale:
        some = any(each.newest for each in known)
        return Note(
            "Whatever has run is up to date." if some else "Nothing has run yet.", "good" if some else "warn"
        )
    named = ", ".join(f"{each.dataset.id} ({_behind(each)})" for each in stale[:MOST_NAMED])
    more = f" and {len(stale) - MOST_NAMED} more" if len(stale) > MOST_NAMED else ""
    return Note(f"Stale: {named}{more}.", "bad")


def _behind(each: _Known) -> str:
    return f"{each.behind} night{'s' if each.behind > 1 else ''} behind"


def _overview(known: Sequence[_Known]) -> list[Section]:
    sections = []
    for kind, title in KINDS.items():
        own = OWN_COLUMN.get(kind)
        head = ("Name", "Owner", "Newest night", "Rows then", "Last night", *([own] if own else []))
        rows = tuple(_overview_row(each) for each in known if each.dataset.kind == kind)
        sections.append(Section(title, (Table(head, rows),)))
    return sections


def _overview_row(each: _Known) -> tuple[Cell, ...]:
    dataset = each.dataset
    last = each.nights.get(each.newest) if each.newest else None
    name = Link(dataset.id, f"#{dataset.id}")
    row = (name, dataset.owner, _newest(each), _value(last.row_count if last else None), _last(each))
    if dataset.kind == "source":
        return (*row, _open(each.standing))
    return (*row, _champion(each.standing)) if dataset.kind == "model" else row


def _newest(each: _Known) -> Cell:
    if each.newest is None:
        return Status("never", "quiet")
    return (str(each.newest), Status(_behind(each), "bad")) if each.behind else str(each.newest)


def _last(each: _Known) -> Cell:
    """Return how the newest night that left anything went; its status says nothing of the nights missing since."""
    if not each.nights:
        return "-"
    night = each.nights[max(each.nights)]
    words = [word for word in (night.status, night.drift) if word]
    return tuple(Status(word, _tone(word, stale=each.behind > 0)) for word in words)


def _tone(word: str, *, stale: bool) -> Tone:
    tone = TONES.get(word, "warn")
    return "quiet" if stale and tone == "good" else tone


def _open(standing: Standing) -> Cell:
    return Status(f"{standing.open_rows:,} rows", "warn") if standing.open_rows else "none"


def _champion(standing: Standing) -> Cell:
    if standing.champion is None:
        return Status("none", "quiet")
    version, since = standing.champion
    return f"version {version} since {since}"


def _section(each: _Known, ids: set[str]) -> Section:
    dataset, standing = each.dataset, each.standing
    own: list[tuple[str, Cell]] = []
    if dataset.kind == "source":
        own.append(("Open in quarantine", _open(standing)))
    if dataset.kind == "model":
        own.append(("Champion", _champion(standing)))
    facts: tuple[tuple[Cell, ...], ...] = (
        ("Owner", dataset.owner),
        ("Newest night", _newest(each)),
        ("Newest known at", each.fresh.newest_known_at if each.fresh else None),
        *own,
        ("Reads", _links(dataset.reads, ids) or "-"),
        ("Read by", _links(dataset.read_by, ids) or "nobody here"),
        ("Look at", tuple(Link(words, target) for words, target in standing.links) or "-"),
        ("Specification (sha256)", dataset.spec_sha256[:12]),
    )
    columns = tuple((c.name, c.type, c.nullable, c.description) for c in dataset.schema)
    schema = Table(("Column", "Type", "May be null", "Description"), columns)
    folded = Section(f"{len(columns)} columns of {dataset.id}", (schema,), folded=True)
    return Section(
        dataset.id, (dataset.description, Table((), facts), *_charts(each), folded), anchor=dataset.id
    )


def _links(names: Iterable[str], ids: set[str]) -> tuple[Cell, ...]:
    return tuple(Link(name, f"#{name}") if name in ids else name for name in names)


def _charts(each: _Known) -> list[Figure]:
    charts = [_bars("Rows a night", each, "row_count")]
    if each.dataset.kind == "source":
        charts.append(_bars("Share set aside", each, "rejected_share"))
    if each.dataset.kind == "model":
        charts.append(_bars("Verdict and drift", each, "drift"))
    return charts


def _bars(title: str, each: _Known, what: str) -> Figure:
    """Return one bar a night. A word (a status) fills the height; a night without a value has no bar."""
    days = [each.as_of - timedelta(days=n) for n in reversed(range(SHOWN_NIGHTS))]
    values = [getattr(each.nights.get(day), what, None) for day in days]
    largest = max((value for value in values if isinstance(value, int | float)), default=0)
    bars = [_bar(day, value, each.nights.get(day), largest) for day, value in zip(days, values, strict=True)]
    last = next((value for value in reversed(values) if value is not None), None)
    most = f" (most: {_value(largest)})" if largest else ""
    told = f"{title} of {each.dataset.id}, {days[0]} to {days[-1]}; the last: {_value(last)}{most}"
    return Figure(f"{title}: {_value(last)}{most}", night_bars(bars, told, (str(days[0]), str(days[-1]))))


def _bar(day: date, value: Any, night: Night | None, largest: float) -> tuple[float | None, str, str]:
    tall = None if value is None else 1.0 if isinstance(value, str) else value / (largest or 1)
    why = f"; {masked(night.why)}" if night and night.why else ""
    tone = TONES.get(value if isinstance(value, str) else night.status if night else "", "warn")
    return tall, tone if tone in ("good", "bad") else "some", f"{day}: {_value(value)}{why}"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.2%}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
