"""What a table, a calendar or Airflow must refuse, the spec refuses first: file, key, what was expected."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import yaml

from nightshift.errors import SpecError
from nightshift.root import INCLUDE
from nightshift.specs import load_project
from nightshift.specs.features import FeatureSet
from nightshift.specs.tables import (
    COLUMNS,
    LABEL,
    PREDICTIONS,
    RAW,
    ROW_BYTES,
    check_columns,
    check_width,
    row_bytes,
)
from nightshift.warehouse import feature_table, prediction_table, raw_table

SOURCE, MODEL, FEATURES = "sources/aircraft.yaml", "models/late_arrival.yaml", "features/departure.py"
FLOAT = {"type": "float", "nullable": True}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of this repository's project, to break."""
    for part in ("sources", "features", "models"):
        shutil.copytree(INCLUDE / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(INCLUDE / "project.yaml", tmp_path)
    return tmp_path


def spec(folder: Path, file: str, change: Callable[[dict], object], name: str | None = None) -> Path:
    """Write the file's spec, changed, under its own name or another."""
    content = yaml.safe_load((folder / file).read_text())
    change(content)
    path = folder / (name or file)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return path


def columns(**more: dict) -> Callable[[dict], object]:
    return lambda content: content["columns"].update(more)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (columns(**{"ä" * 32: FLOAT}), "key 'columns': 'ääää"),
        (columns(**{"ä" * 32: FLOAT}), "has 64 bytes; PostgreSQL keeps 63 of a name (an umlaut is two): rename it"),
        (columns(**{"x" * 64: FLOAT}), "has 64 bytes"),
        (columns(**{"": FLOAT}), "key 'columns': '' is no name; a column needs one"),
        (columns(**{" ": FLOAT}), "key 'columns': ' ' is no name"),
        (columns(**{"a\nb": FLOAT}), r"key 'columns': 'a\nb' holds a control character; rename it"),
        (columns(**{"a\x7f": FLOAT}), r"'a\x7f' holds a control character"),
        (columns(**{"a\u2028b": FLOAT}), r"'a\u2028b' holds a control character"),
        (columns(known_at=FLOAT), "key 'columns': 'known_at' is a name of ours; rename it"),
        *[
            (columns(**{name: FLOAT}), f"'{name}' is a column that PostgreSQL gives every table")
            for name in ("ctid", "tableoid", "xmin", "xmax", "cmin", "cmax")
        ],
        (columns(**{"caf\u00e9": FLOAT, "cafe\u0301": FLOAT}), r"otherwise encoded ('caf\xe9', 'cafe\u0301')"),
        (columns(ctid=FLOAT, known_at=FLOAT), "gives every table; rename it; 'known_at' is a name of ours"),
        (lambda s: s["columns"].update({2013: FLOAT}), "key 'columns': 2013 is no text; write it in quotes"),
        (lambda s: s["columns"].update({False: FLOAT}), "key 'columns': False is no text; write it in quotes"),
        (columns(**{f"f{n}": FLOAT for n in range(1100)}), "1108 columns make rows of 9,032 bytes"),
        (columns(**{f"f{n}": {"type": "boolean"} for n in range(1600)}), "room for 1598 beside ours: divide them"),
        (lambda s: s.update(key=["tailnum", "tailnum"]), "key 'key': 'tailnum' is named twice"),
        (lambda s: s.update(key=[*s["columns"], *(f"k{n}" for n in range(30))]), "keys have room for 30 beside ours"),
        (lambda s: s["columns"]["tailnum"].update(nullable=True), "key: column 'tailnum' is nullable; take"),
        (lambda s: s.update(owner="x" * 101), "key 'owner'"),
        (lambda s: s.update(owner=""), "key 'owner'"),
        (lambda s: s.update(tags=["a\nb"]), "key 'tags.0'"),
        (lambda s: s.update(tags=["x" * 101]), "key 'tags.0'"),
        (lambda s: s.update(description="a\0b"), "key 'description': holds a NUL"),
        (lambda s: s["connector"].update(endpoint="/a\0b"), "key 'connector.endpoint': holds a NUL"),
        (lambda s: s.update(look_back_days="3"), "key 'look_back_days': Input should be a valid integer, got '3'"),
        (lambda s: s.update(look_back_days=True), "key 'look_back_days': Input should be a valid integer, got True"),
        (lambda s: s["budget"].update(share=float("nan")), "key 'budget.share'"),
        (lambda s: s["columns"]["tailnum"].update(nullable="no"), "key 'columns.tailnum.nullable'"),
        (
            lambda s: s["expectations"].append({"expect_column_max_to_be_between": {"max_value": float("inf")}}),
            "key 'expectations': expected finite numbers",
        ),
        (lambda s: s.update(freshness={"column": "x", "within_hours": 1e300}), "key 'freshness.within_hours'"),
    ],
)  # fmt: skip
def test_a_source_that_no_table_could_hold_is_refused(
    folder: Path, change: Callable[[dict], object], says: str
) -> None:
    path = spec(folder, SOURCE, change)
    words = load_project(folder).problems[path]
    assert says in words
    assert all(line.startswith(f"{path}: ") for line in words.splitlines())


@pytest.mark.parametrize(
    "name", ["é" * 31, "COUNT", "select", "a b ", "100%", 'a"b', "oid", "Id", "😀", "a\u200cb"]
)
def test_a_column_may_have_any_name_that_a_table_can_hold(folder: Path, name: str) -> None:
    spec(folder, SOURCE, columns(**{name: FLOAT}))
    assert name in load_project(folder).require_sound().source("aircraft").columns


def test_a_known_at_that_may_be_null_is_refused(folder: Path) -> None:
    path = spec(folder, "sources/arrivals.yaml", lambda s: s["columns"]["reported_at"].update(nullable=True))
    assert "known_at: column 'reported_at' is nullable" in load_project(folder).problems[path]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"carrier": "string"', '"label": "string"', "key 'columns': 'label' is a name of ours; rename it"),
        *[
            ('"entity": ["flight_id"]', f'"entity": ["flight_id", "{name}"]', f"'{name}' is a name of ours")
            for name in sorted({*RAW, *PREDICTIONS, LABEL})
        ],
        ('"entity": ["flight_id"]', '"entity": ["flight_id", "flight_id"]', "key 'entity': 'flight_id' is named twice"),
        ('"entity": ["flight_id"]', '"entity": ["ctid"]', "key 'entity': 'ctid' is a column that PostgreSQL gives"),
        ('"carrier": "string"', '"xmin": "string"', "key 'columns': 'xmin' is a column that PostgreSQL gives"),
        ('"version": 1', '"version": 10000', "key 'version'"),
        ('["arrivals", "weather"]', '["arrival"]', "'arrival' is no input; did you mean 'arrivals'?"),
        ('["arrivals", "weather"]', '["flights", "arrivals", "weather"]', "`by`, ['origin']: nothing is dealt"),
        ('"by": ["origin"]', '"by": ["airport"]', "`by`, ['airport']: nothing is dealt"),
        ('"by": ["origin"]', '"by": []', "key 'shards.by'"),
        ('"by": ["origin"]', '"by": ["distance"]', "'distance' is float in source 'flights'; expected one type"),
        ('"version": 1', '"version": True', "key 'version'"),
        ('"carrier": "string"', ", ".join(f'"f{n}": "float"' for n in range(1100)), "columns make rows of 9,"),
    ],
)  # fmt: skip
def test_a_feature_set_that_no_table_could_hold_is_refused(
    folder: Path, old: str, new: str, says: str
) -> None:
    path = folder / FEATURES
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert says in load_project(folder).problems[path]


def test_every_column_that_we_add_is_reserved() -> None:
    project = load_project()
    source, model = project.source("aircraft"), project.model("late_arrival")
    features = project.feature_set("departure")
    mine = {*features.entity, *features.columns}
    added = {*feature_table(features).columns, *prediction_table(model, features).columns} - mine
    assert added | {*raw_table(source).columns} - {*source.columns} >= {*RAW, *PREDICTIONS}
    for name in added:
        with pytest.raises(ValueError, match="is a name of ours"):
            FeatureSet.model_validate({**features.model_dump(), "entity": [name]})


def test_a_row_of_a_table_that_is_let_in_fits_a_page() -> None:
    most = {f"f{n}": "float" for n in range(999)}
    check_width(most, RAW)
    assert row_bytes([*most.values(), *RAW.values()]) <= ROW_BYTES
    with pytest.raises(ValueError, match="divide them"):
        check_width({**most, **{"one_more": "float"}}, RAW)
    check_width(dict.fromkeys(map(str, range(COLUMNS - len(RAW))), "boolean"), RAW)
    check_columns(map(str, range(COLUMNS)), frozenset())


@pytest.mark.parametrize(
    ("cron", "sound"),
    [
        ("30 0 * * *", True),
        ("5  23 * *\t*", True),
        ("07 07 * * *", True),
        ("0 * * * *", False),
        ("*/5 * * * *", False),
        ("0 0,12 * * *", False),
        ("0 0-3 * * *", False),
        ("0 3 * * 1", False),
        ("0 3 * * MON-FRI", False),
        ("0 3 1 * *", False),
        ("0 3 * 1 *", False),
        ("0 3 L * *", False),
        ("60 3 * * *", False),
        ("0 24 * * *", False),
        ("0 0 3 * * *", False),
        ("0 3 * *", False),
        ("@hourly", False),
        ("@weekly", False),
        ("0 3 * * *\n", True),
        ("nightly", False),
        ("", False),
    ],
)
def test_nights_are_once_a_day(folder: Path, cron: str, sound: bool) -> None:
    path = spec(folder, "project.yaml", lambda s: s.update(cron=cron))
    if sound:
        assert load_project(folder).settings.cron == cron.strip()
        return
    with pytest.raises(SpecError) as refused:
        load_project(folder)
    assert str(refused.value).startswith(f"{path}: key 'cron': expected 'MINUTE HOUR * * *', once a day")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"last_night": "2013-01-01"}, "last_night: 2013-01-01 lies before first_night 2013-01-02"),
        ({"first_night": 20130102}, "key 'first_night': Input should be a valid date, got 20130102"),
        ({"first_night": 0}, "key 'first_night': Input should be a valid date, got 0"),
        ({"first_night": "0001-01-01"}, "key 'first_night': Input should be greater than or equal to 1900-01-01"),
        ({"last_night": "9999-12-31"}, "key 'last_night': Input should be less than or equal to 2200-12-31"),
        ({"owner": "x" * 101}, "key 'owner'"),
    ],
)  # fmt: skip
def test_a_calendar_without_nights_is_refused(folder: Path, change: dict, says: str) -> None:
    dates = {k: date.fromisoformat(v) for k, v in change.items() if k != "owner" and isinstance(v, str)}
    spec(folder, "project.yaml", lambda s: s.update({**change, **dates}))
    with pytest.raises(SpecError) as refused:
        load_project(folder)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "file",
    [
        "sources/new.yml",
        "sources/new.YAML",
        "sources/aircraft.yaml~",
        "sources/aircraft.yaml.bak",
        "sources/aircraft.yaml.orig",
        "sources/#aircraft.yaml#",
        "sources/.aircraft.yaml.swp",
        "sources/aircraft",
        "sources/aircraft.json",
        "sources/eu/aircraft.yaml",
        "features/more/departure.py",
        "features/departure.PY",
        "features/departure.ipynb",
        "models/old/late_arrival.yaml",
        "models/late_arrival.txt",
        "Sources/aircraft.yaml",
        "model/late_arrival.yaml",
        "late_arrival.yaml",
        "project.yml",
    ],
)
def test_what_may_be_meant_as_a_spec_is_not_left_out_without_a_word(folder: Path, file: str) -> None:
    sound = load_project(folder)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    shutil.copy(folder / SOURCE, path)
    project = load_project(folder)
    ((told, words),) = project.problems.items()
    assert told in (path, path.parent)
    assert words.startswith(f"{told}: ")
    assert "nothing reads it" in words
    assert project.sources == sound.sources
    with pytest.raises(SpecError, match="nothing reads it"):
        project.require_sound()


@pytest.mark.parametrize(
    "file",
    ["sources/README.md", "models/.gitkeep", "features/_shared.py", "features/__init__.py", "features/_more/a.py",
     "features/__pycache__/departure.pyc", "features/.ruff_cache/x", "estimators/own.py", "modules/a.py", "notes.md"],
)  # fmt: skip
def test_what_is_no_spec_may_lie_beside_them(folder: Path, file: str) -> None:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("x = 1\n")
    assert not load_project(folder).problems


@pytest.mark.parametrize(
    "name", ["Aircraft", "air-craft", "1st", "a b", "aircraft (copy)", "a" * 41, "", "é"]
)
def test_a_file_name_that_is_no_name_is_told_so(folder: Path, name: str) -> None:
    path = folder / f"sources/{name}.yaml"
    shutil.copy(folder / SOURCE, path)
    ((broken, words),) = load_project(folder).problems.items()
    assert broken == path
    assert "the file's name is no name: lower-case letters, digits and _" in words


def test_a_project_file_of_another_ending_is_named(folder: Path) -> None:
    (folder / "project.yaml").rename(folder / "project.yml")
    with pytest.raises(SpecError, match=r"project\.yaml: no such file; 'project\.yml' is there: rename it"):
        load_project(folder)


@pytest.mark.parametrize(
    ("file", "name", "says"),
    [
        (MODEL, "models/late_arrival_champion.yaml", "_champion would be that of 'late_arrival' too"),
        (MODEL, "models/late_arrival_pkey.yaml", "predictions.late_arrival_pkey would be that of 'late_arrival'"),
        (SOURCE, "sources/aircraft_pkey.yaml", "table raw.aircraft_pkey would be that of 'aircraft' too"),
        (SOURCE, "sources/registry.yaml", "DAG reconcile_registry would be that of the project too"),
    ],
)  # fmt: skip
def test_a_name_that_leads_to_anothers_table_or_dag_is_refused(
    folder: Path, file: str, name: str, says: str
) -> None:
    shutil.copy(folder / file, folder / name)
    project = load_project(folder)
    ((path, words),) = project.problems.items()
    assert path == folder / name
    assert says in words
    # The one that was there before stands.
    assert {*project.sources, *project.models} == {*load_project().sources, *load_project().models}


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1E5", 1e5), ("-2e+1", -20.0), ("2.5e-1", 0.25)]
)
def test_a_number_with_an_exponent_is_a_number(folder: Path, text: str, value: float) -> None:
    path = folder / MODEL
    path.write_text(path.read_text().replace("learning_rate: 0.06", f"learning_rate: {text}"))
    assert load_project(folder).model("late_arrival").estimator.params["learning_rate"] == value


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1;", None),
        ("SELECT ';' AS a, \"b;c\" FROM t -- ;\n", None),
        ("/* a; b */ SELECT $$;$$, E'it\\';' ;", None),
        ("SELECT 1; SELECT 2", "holds several statements; of them only the first would be read: give one"),
        ("SELECT 1;\nDROP TABLE x;", "holds several statements"),
        ("COMMIT; SELECT 1", "holds several statements"),
        (" ; ", "holds no statement"),
        ("-- SELECT 1", "holds no statement"),
        ("", "key 'connector.query'"),
    ],
)
def test_a_query_is_one_statement(folder: Path, query: str, says: str | None) -> None:
    path = spec(folder, "sources/arrivals.yaml", lambda s: s["connector"].update(query=query))
    words = load_project(folder).problems.get(path)
    assert (says in words) if says else words is None, words
