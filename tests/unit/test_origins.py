"""Which sources a column of a night comes from, asked of ``build`` itself."""

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from nightshift.errors import NotReady
from nightshift.featurise.origins import origins
from nightshift.specs import FeatureSet, Source
from nightshift.types import DTYPES

NIGHT = pd.Timestamp(date(2013, 2, 8))
SPEC = cast("FeatureSet", SimpleNamespace(entity=["trip"]))
SOURCES = cast(
    "dict[str, Source]",
    {
        "trips": SimpleNamespace(key=["trip"], known_at=None),
        "weather": SimpleNamespace(key=["place"], known_at="seen_at"),
        "vehicles": SimpleNamespace(key=["vehicle"], known_at=None),
        "idle": SimpleNamespace(key=["idle"], known_at=None),
    },
)
SEEN = {
    "trips": pd.DataFrame(
        {"trip": [1, 2, 3], "place": ["a", "b", "a"], "vehicle": [7, 8, 9], "length": [10.0, 20.0, 30.0]}
    ),
    "weather": pd.DataFrame({"place": ["a", "b"], "temp": [50.0, 60.0], "seen_at": [1, 2]}),
    "vehicles": pd.DataFrame({"vehicle": [7, 8, 9], "year": [1999, 2001, 2005]}),
    "idle": pd.DataFrame({"idle": [1], "value": [2.0]}),
}


def built(inputs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    trips = inputs["trips"]
    if trips.empty:
        raise NotReady("no trips")
    rows = trips.merge(inputs["weather"], "left", "place").merge(inputs["vehicles"], "left", "vehicle")
    rows["warm_and_long"] = rows["temp"].fillna(0.0) + rows["length"]
    rows["constant"] = 1
    return rows.assign(batch_date=NIGHT).drop(columns=["place", "vehicle", "seen_at"])


@pytest.mark.parametrize(
    ("column", "sources"),
    [
        ("temp", ["weather", "trips"]),
        ("year", ["vehicles", "trips"]),
        ("length", ["trips"]),
        ("warm_and_long", ["weather", "trips"]),
        ("constant", ["idle", "trips", "vehicles", "weather"]),
    ],
)
def test_a_column_is_told_by_whose_absence_changes_it(column: str, sources: list[str]) -> None:
    rows = built(SEEN)
    assert origins(SPEC, built, SEEN, rows, SOURCES, [column]) == {column: sources}


def test_what_adds_rows_is_no_absence_to_compare_with() -> None:
    def of_all(inputs: dict[str, pd.DataFrame]) -> pd.DataFrame:
        rows: Any = pd.concat([inputs["trips"][["trip", "length"]], inputs["more"]], ignore_index=True)
        return rows.assign(batch_date=NIGHT)

    seen = {"trips": SEEN["trips"], "more": pd.DataFrame({"trip": [4, 5], "length": [1.0, 2.0]})}
    sources = {**SOURCES, "more": SOURCES["trips"]}
    assert origins(SPEC, of_all, seen, of_all(seen), sources, ["length"]) == {"length": ["more", "trips"]}


@pytest.mark.parametrize("kind", sorted(DTYPES))
def test_an_input_without_a_row_is_no_source_of_anything(kind: str) -> None:
    """Of any type: what was not known by the cut-off is an empty input with its columns."""
    weather = pd.DataFrame(
        {"place": ["a"], "temp": [1.0], "seen_at": [1], "sky": pd.Series([None], dtype=DTYPES[kind])}
    )
    seen = {**SEEN, "weather": weather.iloc[:0]}
    assert origins(SPEC, built, seen, built(seen), SOURCES, ["length"]) == {"length": ["trips"]}
