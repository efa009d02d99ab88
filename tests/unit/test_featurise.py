"""Features: a night sees what it could know, and what build() returns is held against its declaration."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from nightshift.calendar import Calendar
from nightshift.errors import BatchRejected, NotReady, SpecError
from nightshift.featurise import (
    compute,
    definition_sha256,
    definitions_sha256,
    earliest_input,
    load_build,
    visible,
)
from nightshift.specs import FeatureSet
from nightshift.specs.features import load_feature_set

NIGHT = date(2013, 2, 8)
CALENDAR = Calendar(ZoneInfo("America/New_York"), date(2013, 1, 2))
SPEC = FeatureSet.model_validate(
    {
        "name": "trips",
        "owner": "me",
        "description": "",
        "version": 1,
        "entity": ["trip"],
        "inputs": {"trips": {"look_back_days": 0}, "reports": {"look_back_days": 3}},
        "columns": {"size": "float", "count": "integer", "kind": "string", "flag": "boolean"},
        "path": Path("trips.py"),
    }
)


def batches(days: range, known_at: Callable[[date], Any]) -> pd.DataFrame:
    """Return one row a night, ``days`` from NIGHT, as the warehouse gives them."""
    dates = [NIGHT + timedelta(days=n) for n in days]
    return pd.DataFrame(
        {
            "batch_date": pd.to_datetime(dates).astype("datetime64[s]"),
            "n": list(days),
            "known_at": pd.to_datetime([known_at(day) for day in dates], utc=True),
        }
    )


def seen(source: str, frame: pd.DataFrame, night: date = NIGHT) -> list[int]:
    frames = {name: batches(range(0), CALENDAR.cutoff) for name in SPEC.inputs}
    return list(visible({**frames, source: frame}, SPEC, CALENDAR, night)[source]["n"])


def test_a_night_sees_its_look_back_and_nothing_later() -> None:
    frame = batches(range(-10, 5), CALENDAR.cutoff)
    assert seen("reports", frame) == [-3, -2, -1, 0]
    assert seen("trips", frame) == [0]


@pytest.mark.parametrize(
    "night", [date(2013, 3, 10), date(2013, 3, 11), date(2013, 11, 3), date(2013, 11, 4)]
)
def test_what_became_known_after_the_cutoff_is_not_seen(night: date) -> None:
    frame = pd.DataFrame(
        {
            "batch_date": pd.to_datetime([night] * 3).astype("datetime64[s]"),
            "n": [1, 2, 3],
            "known_at": [CALENDAR.cutoff(night) + timedelta(seconds=s) for s in (-1, 0, 1)],
        }
    )
    assert seen("trips", frame, night) == [1, 2]


def test_a_correction_of_an_old_batch_made_later_is_not_seen_by_a_replay() -> None:
    def corrected_in_may(day: date) -> pd.Timestamp:
        return (
            pd.Timestamp("2013-05-01", tz="UTC") if day == NIGHT - timedelta(days=2) else CALENDAR.cutoff(day)
        )

    assert seen("reports", batches(range(-3, 1), corrected_in_may)) == [-3, -1, 0]


def test_a_range_reads_from_the_look_back_of_its_first_night() -> None:
    assert earliest_input(SPEC, "reports", NIGHT) == NIGHT - timedelta(days=3)
    assert earliest_input(SPEC, "trips", NIGHT) == NIGHT


GOOD = {"trip": ["b", "a"], "size": [1.0, 2.0], "count": [1, 2], "kind": ["x", None], "flag": [True, False]}


def built(**changes: Any) -> pd.DataFrame:
    """Return what a build() returning GOOD with ``changes`` makes; a column changed to None is left out."""
    frame = pd.DataFrame({name: column for name, column in {**GOOD, **changes}.items() if column is not None})
    inputs = {name: batches(range(0, 1), CALENDAR.cutoff) for name in SPEC.inputs}
    return compute(SPEC, lambda _inputs, _night: frame, inputs, NIGHT)


def test_rows_come_ordered_by_entity_in_declared_columns_and_types() -> None:
    frame = built()
    assert list(frame.columns) == ["batch_date", "trip", "size", "count", "kind", "flag"]
    assert list(frame["trip"]) == ["a", "b"]
    assert set(frame["batch_date"]) == {pd.Timestamp(NIGHT)}
    assert list(map(str, frame.dtypes)) == ["datetime64[s]", "str", "float64", "Int64", "str", "boolean"]
    assert pd.isna(frame["kind"][0])


def test_what_build_returns_is_kept_to_the_bit() -> None:
    count = pd.Series([2**60 + 1, None], dtype="Int64")
    frame = built(trip=[2**60 + 1, 2**60], count=count, flag=[0.0, None], size=[True, False])
    assert list(frame["trip"]) == [str(2**60), str(2**60 + 1)]
    assert list(frame["count"]) == [pd.NA, 2**60 + 1]
    assert list(frame["flag"]) == [pd.NA, False]
    assert list(frame["size"]) == [0.0, 1.0]


def test_categories_of_whole_numbers_may_lack_one() -> None:
    of = pd.Categorical([2**60 + 1, None])
    assert sorted(built(count=of)["count"].dropna()) == [2**60 + 1]
    assert sorted(built(kind=of)["kind"].dropna()) == [str(2**60 + 1)]
    assert list(built(flag=pd.Categorical([True, None]))["flag"].dropna()) == [True]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_nothing_is_nothing_however_it_is_said(nothing: Any) -> None:
    frame = built(
        **{name: pd.Series([nothing, None], dtype=object) for name in ("size", "count", "kind", "flag")}
    )
    assert frame[["size", "count", "kind", "flag"]].isna().all(axis=None)
    assert list(map(str, frame.dtypes)) == ["datetime64[s]", "str", "float64", "Int64", "str", "boolean"]


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        (pd.Series([3, None], dtype="Int64"), "3"),
        (pd.Series([3, 4]), "3"),
        (pd.Series(["x", "y"], dtype="category"), "x"),
        (pd.to_datetime(pd.Series(["2013-02-08", "2013-02-09"])).astype("datetime64[s]"), "2013-02-08"),
        (pd.Series([NIGHT, None], dtype=object), "2013-02-08"),
        (pd.to_datetime(pd.Series(["2013-02-08T05:00:00Z", None])), "2013-02-08 05:00:00+00:00"),
        (pd.Series([NIGHT, pd.NaT], dtype=object), "2013-02-08"),
        (pd.Series([pd.Timestamp("2013-02-08T05:00"), pd.NA], dtype=object), "2013-02-08 05:00:00+00:00"),
        # As pandas reads what it is asked to with dtype_backend="pyarrow".
        (pd.Series([NIGHT, None], dtype="date32[day][pyarrow]"), "2013-02-08"),
        (
            pd.Series([pd.Timestamp("2013-02-08T05:00"), None], dtype="timestamp[us][pyarrow]"),
            "2013-02-08 05:00:00+00:00",
        ),
        (pd.Series(["x", None], dtype="string[pyarrow]"), "x"),
    ],
)
def test_text_is_spelled_by_its_value_alone(given: pd.Series, spelled: str) -> None:
    assert built(kind=given)["kind"][1] == spelled


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "expected a DataFrame, got NoneType"),
        (pd.DataFrame([["a", 1.0, 2.0]], columns=["trip", "size", "size"]), "column 'size' is there 2 times"),
    ],
)
def test_what_is_no_frame_or_has_a_column_twice_is_rejected(returned: Any, says: str) -> None:
    inputs = {name: batches(range(0, 1), CALENDAR.cutoff) for name in SPEC.inputs}
    with pytest.raises(BatchRejected, match=says):
        compute(SPEC, lambda _inputs, _night: returned, inputs, NIGHT)


def test_missing_numbers_stay_missing() -> None:
    assert np.isnan(built(size=[np.nan, 1.0])["size"]).sum() == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": None}, r"missing columns \['size'\], undeclared columns \[\]"),
        ({"extra": [1, 2]}, r"missing columns \[\], undeclared columns \['extra'\]"),
        ({"size": None, "siez": [1.0, 2.0]}, r"missing columns \['size'\], undeclared columns \['siez'\]"),
        ({"trip": ["a", "a"]}, "is not unique: 1 rows, first trip='a'"),
        ({"trip": ["a", None]}, "has nulls: 1 rows"),
        (
            {"trip": ["a", "ä" * 1400]},
            r"\['trip'\] is longer than the 2,616 bytes .*: 1 rows, first trip='ä{50,}.*or give its hash",
        ),
        ({"trip": [1.0, 2.0]}, r"column 'trip' is declared string; row 1 holds .*1.0.* \(float64\)"),
        ({"kind": [3.0, None]}, "column 'kind' is declared string; row 1 .*trip='b'.* holds .*give text"),
        ({"count": [1, 0.5]}, r"column 'count' is declared integer; row 2 \(trip='a'\) holds .*0.5"),
        ({"count": [2**63, 1]}, "column 'count' is declared integer; row 1"),
        ({"count": [1.0, 2.0**53]}, "column 'count' is declared integer; row 2"),
        ({"flag": [1, 2]}, "column 'flag' is declared boolean; row 2"),
        ({"size": [1.0, "2"]}, r"column 'size' is declared float; row 2 \(trip='a'\) holds '2' \(str\)"),
        ({"size": [[1.0], 2.0]}, "column 'size' is declared float; row 1"),
        ({"size": [1.0, np.inf]}, "feature 'size' holds infinities, first for trip='a'"),
        ({"size": [-np.inf, 1.0]}, "feature 'size' holds infinities"),
        ({name: [] for name in GOOD}, "no rows"),
    ],
)
def test_what_was_not_declared_is_rejected(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BatchRejected, match=says) as rejected:
        built(**changes)
    assert str(NIGHT) in str(rejected.value)
    assert "trips.py" in str(rejected.value)


def test_a_source_without_rows_for_the_night_is_not_ready() -> None:
    inputs = {name: batches(range(0), CALENDAR.cutoff) for name in SPEC.inputs}
    with pytest.raises(NotReady, match="source 'trips' has no rows; run collect_trips"):
        compute(SPEC, lambda *_: pd.DataFrame(GOOD), inputs, NIGHT)


MODULE = '''"""Trips."""
FEATURES = {"owner": "me", "version": 1, "entity": ["trip"], "inputs": {"trips": {}}, "columns": {"size": "float"}}
def build(inputs, batch_date):
    return inputs["trips"]
'''


def test_a_module_is_run_only_when_features_are_built(tmp_path: Path) -> None:
    path = tmp_path / "trips.py"
    path.write_text(MODULE)
    build = load_build(load_feature_set(path))
    assert build({"trips": "rows"}, NIGHT) == "rows"  # type: ignore[dict-item]


@pytest.mark.parametrize("line", ["raise RuntimeError('x')", "import no_such_module", "1 / 0"])
def test_a_module_that_does_not_import_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trips.py"
    path.write_text(f"{MODULE}\n{line}\n")
    with pytest.raises(SpecError, match=f"{path}: importing it failed: "):
        load_build(load_feature_set(path))


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ('return inputs["trips"]', "# a comment\n\n    return (inputs['trips'])", True),
        ('return inputs["trips"]', '"""Say more."""\n    return inputs["trips"]', True),
        ('"""Trips."""', '"""Trips, told otherwise."""', True),
        ('"owner": "me"', '"owner": "you", "description": "Trips."', True),
        ('inputs["trips"]', 'inputs["trips"].head()', False),
        ('inputs["trips"]', 'inputs[{"owner": "trips"}["owner"]]', False),
        ('"trips": {}', '"trips": {"look_back_days": 1}', False),
        ('"size": "float"', '"size": "integer"', False),
        ("def build", "SPEED = None\ndef build", False),
    ],
)
def test_a_definition_is_known_by_what_it_computes_not_by_its_words(
    tmp_path: Path, old: str, new: str, is_same: bool
) -> None:
    path = tmp_path / "trips.py"
    path.write_text(MODULE)
    spec = load_feature_set(path)
    before = definition_sha256(spec)
    assert old in MODULE
    path.write_text(MODULE.replace(old, new, 1))
    load_feature_set(path)
    assert (definition_sha256(spec) == before) is is_same


def test_a_declaration_with_a_type_has_words_too(tmp_path: Path) -> None:
    path = tmp_path / "trips.py"
    annotated, hashes = MODULE.replace("FEATURES =", "FEATURES: dict[str, object] =", 1), []
    for text in (annotated, annotated.replace('"owner": "me"', '"owner": "you", "description": "Trips."', 1)):
        path.write_text(text)
        hashes.append(definition_sha256(load_feature_set(path)))
    assert annotated != MODULE
    assert hashes[0] == hashes[1]


def test_nights_that_were_built_when_a_type_hid_the_words_are_of_the_same_definition(tmp_path: Path) -> None:
    path = tmp_path / "trips.py"
    path.write_text(MODULE)
    assert definitions_sha256(load_feature_set(path)) == [definition_sha256(load_feature_set(path))]
    path.write_text(MODULE.replace("FEATURES =", "FEATURES: dict[str, object] =", 1))
    spec = load_feature_set(path)
    now, before = definitions_sha256(spec)
    assert now == definition_sha256(spec)
    path.write_text(path.read_text().replace('"owner": "me"', '"owner": "you"', 1))
    assert definitions_sha256(load_feature_set(path)) == [
        now,
        *definitions_sha256(load_feature_set(path))[1:],
    ]
    assert definitions_sha256(load_feature_set(path))[1] != before


def test_the_key_owner_of_another_mapping_is_no_word(tmp_path: Path) -> None:
    path = tmp_path / "trips.py"
    hashes = []
    for value in ("1", "2"):
        path.write_text(MODULE + f'RATES = {{"owner": {value}}}\n')
        hashes.append(definition_sha256(load_feature_set(path)))
    assert hashes[0] != hashes[1]


def test_what_build_raises_names_set_night_and_the_line_of_its_module(tmp_path: Path) -> None:
    module = tmp_path / "trips.py"
    module.write_text(
        "def build(inputs, batch_date):\n    trips = inputs['trips']\n    return trips['sise']\n"
    )
    spec = SPEC.model_copy(update={"path": module})
    inputs = {name: pd.DataFrame({"size": [1]}) for name in SPEC.inputs}
    with pytest.raises(
        BatchRejected,
        match=rf"{module}:3: build\(\) of feature set 'trips' failed for {NIGHT} in `return trips\['sise'\]`: KeyError",
    ):
        compute(spec, load_build(spec), inputs, NIGHT)
