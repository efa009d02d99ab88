"""Which nights a set's bins are made of: sound ones, as if each had come by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from nightshift.monitor.faults import find_each
from nightshift.monitor.sketches import sketch
from nightshift.platform.blocks import Blocks
from nightshift.platform.sketching import edges_for, feature_sketch, nights_of, sound_nights
from nightshift.records import faults, features, sketches
from nightshift.records.deliveries import Night
from nightshift.records.sketches import Edges, Sketched
from nightshift.types import DTYPES

FIRST = date(2013, 2, 1)
SPEC = SimpleNamespace(set="s", version=1, name="s", table="s_v1", entity=["id"], columns={"x": "float"})


class Kept:
    """A warehouse of one set: built nights, their sketches, its bins, and which nights have an open fault."""

    def __init__(self) -> None:
        self.rows, self.sketches = dict[date, pd.DataFrame](), dict[date, sketches.FeatureSketch]()
        self.edges, self.faulty = None, dict[date, list[str]]()

    @property
    def warehouse(self) -> "Kept":
        return self

    def one(self, query, **_):
        assert query is sketches.EDGES
        return self.edges

    def all(self, query, **of):
        if query is faults.NIGHTS:
            return [Night(batch_date=n) for n in sorted(self.faulty) if n <= of["last"]]
        if query is faults.OPEN:
            return [SimpleNamespace(batch_date=n, column_name=c) for n in self.faulty for c in self.faulty[n]]
        if query is features.NIGHTS:
            return [Night(batch_date=n) for n in sorted(self.rows)]
        assert query is sketches.SKETCHED
        return [self._sketched(n) for n in sorted(self.rows) if n <= of["last"]]

    def _sketched(self, night: date) -> Sketched:
        of = self.sketches.get(night)
        return Sketched(
            batch_date=night,
            built_at=pd.Timestamp(night).to_pydatetime(),
            edges_sha256=of.edges_sha256 if of else None,
            sketch_sha256=of.sketch_sha256 if of else None,
            sketch=of.sketch if of else None,
        )

    def run(self, command, row, **_):
        if command is sketches.KEEP_EDGES:
            self.edges = row
        else:
            assert command is sketches.FILL
            self.sketches[row.batch_date] = row

    @contextmanager
    def reading(self) -> Iterator["Kept"]:
        yield self

    def count(self, table, first, last):
        return len(self.rows[first])

    def blocks(self, table, first, last, rows):
        yield pa.Table.from_pandas(self.rows[first], preserve_index=False)

    def build(self, nights: dict[date, pd.DataFrame]) -> dict[date, list[str]]:
        """Build nights as a run does; return the measures that found something wrong with each."""
        edges = edges_for(self, SPEC, {night: Blocks.of(frame) for night, frame in nights.items()})
        made = {night: sketch(frame, edges) for night, frame in nights.items()}
        found = find_each(edges, sound_nights(self, SPEC, made.keys(), edges), made)
        self.rows |= nights
        for night, faults_of in found.items():
            self.sketches[night] = feature_sketch(SPEC, night, made[night], edges)
            self.faulty.pop(night, None)
            if faults_of:
                self.faulty[night] = [fault.column for fault in faults_of]
        return {night: [fault.measure for fault in each] for night, each in found.items() if each}


def at(number: int) -> date:
    """Return the date of the ``number``-th night."""
    return FIRST + timedelta(days=number - 1)


def history(nights: int, broken: set[int]) -> dict[date, pd.DataFrame]:
    """Return nights of 300 numbers; of the broken ones each twentieth is of another unit."""
    draw, found = np.random.default_rng(1), {}
    for number in range(1, nights + 1):
        numbers = draw.normal(50, 10, size=300)
        if number in broken:
            numbers[:15] = 1e9
        found[at(number)] = pd.DataFrame({"x": numbers})
    return found


def night_by_night(kept: Kept, nights: dict[date, pd.DataFrame]) -> dict[date, list[str]]:
    return {night: told for day, rows in nights.items() for night, told in kept.build({day: rows}).items()}


def at_once(kept: Kept, nights: dict[date, pd.DataFrame]) -> dict[date, list[str]]:
    return kept.build(nights)


def edges(kept: Kept) -> Edges:
    assert kept.edges
    return kept.edges.edges


@pytest.mark.parametrize("broken", [{28, 35}, {20, 27, 35}, {29, 35}, {16, 28, 29}])
@pytest.mark.parametrize("build", [night_by_night, at_once])
def test_a_broken_night_makes_no_bins_whenever_it_comes(
    build: Callable[[Kept, dict], dict], broken: set[int]
) -> None:
    kept = Kept()
    found = build(kept, history(40, broken))

    assert found == {at(number): ["outside"] for number in broken}
    assert edges(kept).columns[0].edges[-1] < 1e4
    assert edges(kept).nights >= 28


def test_the_bins_of_four_weeks_wait_for_twenty_eight_sound_nights() -> None:
    kept, nights = Kept(), list(history(29, {28}).items())
    night_by_night(kept, dict(nights[:-1]))
    assert edges(kept).nights == 7
    night_by_night(kept, dict(nights[-1:]))
    assert edges(kept).nights == 28


def test_a_night_that_a_person_finds_right_makes_bins_again() -> None:
    kept, nights = Kept(), list(history(28, {20}).items())
    night_by_night(kept, dict(nights[:-1]))
    assert kept.faulty == {at(20): ["x"]}
    kept.faulty.clear()
    night_by_night(kept, dict(nights[-1:]))
    assert edges(kept).nights == 28
    assert edges(kept).columns[0].edges[-1] > 1e9


def test_a_column_without_values_gets_no_bins_of_a_broken_night(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, nights = Kept(), history(40, set())
    for number, frame in enumerate(nights.values(), 1):
        frame["y"] = np.where(number >= 34, frame["x"] / 10, np.nan)
    nights[at(36)]["x"] = 1e9
    nights[at(36)]["y"] = 1e12
    monkeypatch.setitem(SPEC.columns, "y", "float")
    night_by_night(kept, nights)
    assert edges(kept).columns[1].edges == (), "six sound nights have values"
    night_by_night(kept, {at(41): nights[at(40)]})
    assert 10 < edges(kept).columns[1].edges[-1] < 1e3


@pytest.mark.parametrize(
    ("before", "then", "kind"),
    [("integer", "string", "category"), ("boolean", "float", "numeric"), ("integer", "boolean", "boolean")],
)
def test_bins_of_a_column_that_was_migrated_are_made_anew(
    monkeypatch: pytest.MonkeyPatch, before: str, then: str, kind: str
) -> None:
    kept, values = Kept(), [True, False] if "boolean" in (before, then) else [1, 2, 3]
    monkeypatch.setitem(SPEC.columns, "x", before)
    night_by_night(
        kept, {at(n): pd.DataFrame({"x": pd.Series(values * 50, dtype=DTYPES[before])}) for n in (1, 2)}
    )
    monkeypatch.setitem(SPEC.columns, "x", then)
    for night, frame in kept.rows.items():
        kept.rows[night] = frame.astype({"x": DTYPES[then]})
    kept.sketches.popitem()

    found = nights_of(kept, SPEC, at(2))
    assert found
    assert found.edges.columns[0].kind == kind
    assert sum(found.sketches[at(1)].columns[0].counts) == len(kept.rows[at(1)])
    night_by_night(kept, {at(3): kept.rows[at(2)]})
    assert edges(kept).columns[0].kind == kind
