"""Specs: a mistake names the file, the key and what was meant; one broken file leaves the others."""

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from nightshift.errors import SpecError
from nightshift.root import INCLUDE
from nightshift.specs import FilesConnector, Project, load_project
from nightshift.specs.parts import build, read_yaml
from nightshift.specs.source import Source

MODEL, SOURCE, FEATURES = "models/late_arrival.yaml", "sources/arrivals.yaml", "features/departure.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of this repository's project, to break."""
    for part in ("sources", "features", "models"):
        shutil.copytree(INCLUDE / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(INCLUDE / "project.yaml", tmp_path)
    return tmp_path


def replace(folder: Path, file: str, old: str, new: str) -> Path:
    path = folder / file
    text = path.read_text()
    assert old in text, f"{file} has changed: this test needs {old!r} in it"
    path.write_text(text.replace(old, new, 1))
    return path


def rewrite(folder: Path, file: str, change: Callable[[dict], object]) -> Path:
    path = folder / file
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def problem(folder: Path) -> str:
    """Return the only problem of the project."""
    problems = load_project(folder).problems
    assert len(problems) == 1, problems
    (path, words), *_ = problems.items()
    assert str(path) in words
    return words


def test_the_projects_own_specs_are_sound() -> None:
    project = load_project().require_sound()
    assert project.sources
    assert project.models


def test_a_file_name_is_the_name(folder: Path) -> None:
    project = load_project(folder)
    for part, specs in (("sources", project.sources), ("features", project.feature_sets)):
        assert set(specs) == {p.stem for p in (folder / part).iterdir() if p.suffix in {".yaml", ".py"}}
    assert {name: spec.name for name, spec in project.sources.items()} == {n: n for n in project.sources}


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"mod\xe8le", r"mod\udce8le"), (b"a\nb", r"a\nb"), ("modèle".encode(), "modèle")],
)
def test_a_file_of_any_name_is_told_in_letters_that_can_be_kept(folder: Path, name: bytes, told: str) -> None:
    (folder / "models" / f"{os.fsdecode(name)}.yaml").write_text("x: 1")
    found = load_project(folder)
    assert [path.relative_to(folder).as_posix() for path in found.broken] == [f"models/{told}.yaml"]
    assert f"models/{told}.yaml: " in problem(folder).encode().decode()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (MODEL, "gates:", "gate:", "unknown key 'gate'; did you mean 'gates'?"),
        (MODEL, "window_days: all", "windw_days: all", "'train.windw_days'; did you mean 'window_days'?"),
        (MODEL, "cooldown_days", "cool_down_days", "'retrain.cool_down_days'; did you mean 'cooldown_days'?"),
        (MODEL, "params:", "parameters:", "unknown key 'estimator.parameters'; did you mean 'params'?"),
        (MODEL, "metric: roc_auc", "metrc: roc_auc", "'gates.0.metrc'; did you mean 'metric'?"),
        (MODEL, "roc_auc", "roc_acu", "key 'gates.0.metric': Input should be 'roc_auc'"),
        (MODEL, "beats_champion", "beats_champ", "key 'gates.1.gate': expected one of minimum_score, beats_champion"),
        (MODEL, "beats_champion", "beats_champ", "got 'beats_champ'; did you mean 'beats_champion'?"),
        (MODEL, "{gate: beats_champion, ", "{", "key 'gates.1.gate' is missing"),
        (MODEL, "gate: beats_champion", "gate: calibrated", "unknown key 'gates.1.metric'"),
        (MODEL, "metric: log_loss}", "metric: log_loss, confidence: 1}", "key 'gates.1.confidence'"),
        (MODEL, "metric: log_loss}", "metric: log_loss, confidnce: 1}", "did you mean 'confidence'?"),
        (MODEL, "holdout_days: 14", "holdout_days: 4", "4 days cannot tell how days differ; at least 5"),
        (MODEL, "slices: [origin", "slices: [orign", "no column 'orign'; did you mean 'origin'?"),
        (MODEL, "tags: [flights]", "approval: required", "approvers: missing"),
        (MODEL, "tags: [flights]", "approvers: [olga]", "approvers: given, but approval is auto"),
        (MODEL, "slices: [origin, carrier]", "slices: []", "no_worse_on_slices needs slices"),
        (MODEL, "owner: ", "name: x\nowner: ", "unknown key 'name'; the file name is the name"),
        (MODEL, "window_days: all", "window_days: -1", "key 'train.window_days'"),
        (MODEL, "window_days: all", "window_days: many", "expected 'all' or 1 to 3660 days, got 'many'"),
        (MODEL, "min_rows: 5000", "min_rows: 5000, max_rows: 900", "max_rows: 900 is fewer than min_rows, 5000"),
        (MODEL, "share: 0.3", "share: 0.3, breaches: 9", "breaches (9) cannot exceed of_last (3)"),
        (MODEL, "task: classification", "task: clustering", "key 'task'"),
        (MODEL, ", above: 15", "", "target.above, equals or classes: one is needed for"),
        (MODEL, "metric: log_loss}", "metric: mae}", "metric 'mae' is not for classification"),
        (MODEL, "sklearn.ensemble.", "os;", "key 'estimator.class'"),
        (SOURCE, "query:", "qery:", "'connector.qery'; did you mean 'query'?"),
        (SOURCE, "kind: sql", "kind: sequel", "key 'connector.kind': expected one of sql, files, http"),
        (SOURCE, "type: string", "type: strng", "key 'columns.flight_id.type'"),
        (SOURCE, "nullable: true", "nulable: true", "'; did you mean 'nullable'?"),
        (SOURCE, "key: [flight_id]", "key: [flight]\nkey: [flight_id]", "key 'key' is given twice"),
        (SOURCE, "key: [flight_id]", "key: [flihgt_id]", "unknown column 'flihgt_id'; did you mean 'flight_id'?"),
        (SOURCE, "known_at: reported_at", "known_at: origin", "column 'origin' must be a timestamp"),
        (SOURCE, "known_at: reported_at", "look_back_days: 1", "look_back_days: needs known_at"),
        (SOURCE, "column: dep_delay", "column: delay", "expect_column_values_to_be_between: unknown column 'delay'"),
        (SOURCE, "flight_id: {", "batch_date: {type: date}\n  flight_id: {", "'batch_date' is a name of ours"),
        (SOURCE, "owner: flight-operations", "", "key 'owner' is missing"),
        (SOURCE, "share: 0.02", "share: 2", "key 'budget.share'"),
        (SOURCE, "share: 0.02", "share: 2013-02-30", "not valid YAML"),
        (SOURCE, "budget: {", "? [a]\n: b\nbudget: {", "not valid YAML"),
        (SOURCE, "budget: {", "budget: [", "not valid YAML"),
        (SOURCE, "owner: flight", "owner: !!python/object/apply:os.getcwd []\n#", "not valid YAML"),
        (FEATURES, '"version": 1', '"verson": 1', "unknown key 'verson'; did you mean 'version'?"),
        (FEATURES, '"version": 1', '"version": 0', "key 'version'"),
        (FEATURES, '"version": 1', '"version": int("1")', "FEATURES must be a plain literal"),
        (FEATURES, '"version": 1', '[1]: 1, "version": 1', "FEATURES must be a plain literal"),
        (FEATURES, '"version": 1', '"version": 1 +', "not valid Python"),
        (FEATURES, '"version": 1', '"version": 1, "version": 2', "departure.py:12: FEATURES: key 'version' is given"),
        (FEATURES, '"carrier": "string"', '"carrier": "float", "carrier": "string"', "key 'carrier' is given twice"),
        (FEATURES, "def build(", "FEATURES = {}\n\ndef build(", "FEATURES is assigned again, after line 11: write one"),
        (FEATURES, "def build(", "FEATURES |= {}\n\ndef build(", "FEATURES is assigned again, after line 11"),
        (SOURCE, "budget: {", "<<: {tags: [a]}\nbudget: {", "merges (<<) are not supported; write the keys out"),
        (FEATURES, "FEATURES =", "FEATURE =", "no FEATURES = {...} at the top level"),
        (FEATURES, "def build(", "def built(", "no function build(inputs, batch_date)"),
        (FEATURES, '"look_back_days": 28', '"lookback": 28', "did you mean 'look_back_days'?"),
        (FEATURES, '"carrier": "string"', '"flight_id": "string"', "an identifier must not be learned"),
        (FEATURES, '"carrier": "string"', '"car\\nrier": "string"', "key 'columns': 'car\\nrier' is no name"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_by_file_and_key(folder: Path, file: str, old: str, new: str, says: str) -> None:
    replace(folder, file, old, new)
    broken = [words for path, words in load_project(folder).problems.items() if path == folder / file]
    assert broken, "the mistake went unseen"
    assert says in broken[0]
    assert str(folder / file) in broken[0]


@pytest.mark.parametrize(
    ("added", "says"),
    [
        (
            "fixes: {f: {column: arr_delay, multipy: 2}}",
            "unknown key 'fixes.f.multipy'; did you mean 'multiply'?",
        ),
        (
            "fixes: {f: {column: arr_delay}}",
            "key 'fixes.f': give exactly one of multiply, set_null, replace; got none",
        ),
        ("fixes: {f: {column: arr_delay, multiply: 2, set_null: true}}", "got multiply, set_null"),
        (
            "fixes: {f: {column: arr_dely, multiply: 2}}",
            "fixes.f: unknown column 'arr_dely'; did you mean 'arr_delay'?",
        ),
        (
            "fixes: {f: {column: origin, multiply: 2}}",
            "fixes.f: multiply needs a number; column 'origin' is string",
        ),
        (
            "fixes: {f: {column: origin, set_null: true}}",
            "set_null needs a column with nullable: true, not 'origin'",
        ),
        (
            "fixes: {discard: {column: arr_delay, multiply: 2}}",
            "fixes.discard: the name is an action of every replay",
        ),
        ("fixes: {f: {column: origin, replace: {}}}", "key 'fixes.f.replace'"),
        (
            "fixes: {f: {column: origin, replace: {NO: OSL}}}",
            "fixes.f.replace: False is not of the type of column 'origin'",
        ),
        (
            "fixes: {f: {column: origin, replace: {x: 5}}}",
            "fixes.f.replace: 5 is not of the type of column 'origin', string",
        ),
        (
            "fixes: {f: {column: arr_delay, replace: {none: none}}}",
            "fixes.f.replace: 'none' is not of the type of",
        ),
        (
            "fixes: {f: {column: arr_delay, replace: {1: true}}}",
            "fixes.f.replace: True is not of the type of",
        ),
        ("volume: {weeks: 1}", "key 'volume.weeks'"),
        ("volume: {at_lest: 0.5}", "unknown key 'volume.at_lest'; did you mean 'at_least'?"),
        ("freshness: {column: reported, within_hours: 3}", "freshness.column: unknown column 'reported'"),
        (
            "freshness: {column: origin, within_hours: 3}",
            "freshness.column: column 'origin' must be a timestamp",
        ),
        ("schema_changes: ignore", "key 'schema_changes': Input should be 'fail' or 'warn'"),
    ],
)
def test_a_mistake_in_how_bad_rows_and_odd_batches_are_met_is_told(
    folder: Path, added: str, says: str
) -> None:
    replace(folder, SOURCE, "budget: {", f"{added}\nbudget: {{")
    assert says in load_project(folder).problems[folder / SOURCE]


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (MODEL, lambda m: m.update(features="departures"), "feature set 'departures' is unknown; did you mean"),
        (MODEL, lambda m: m["target"].update(source="arivals"), "source 'arivals' is unknown; did you mean 'arri"),
        (MODEL, lambda m: m["target"].update(column="arr_dely"), "no column 'arr_dely'; did you mean 'arr_delay'"),
        (MODEL, lambda m: m["target"].update(source="weather"), "source 'weather' has no column 'arr_delay'"),
        (MODEL, lambda m: m["gates"].pop(0), "gates: minimum_score is missing"),
        (MODEL, lambda m: m["gates"].pop(1), "gates: beats_champion is missing"),
        (MODEL, lambda m: m.update(gates=[]), "gates: minimum_score is missing"),
        (MODEL, lambda m: m.pop("gates"), "gates: minimum_score is missing"),
        (MODEL, lambda m: m["gates"][0].pop("value"), "key 'gates.0.value' is missing"),
        (MODEL, lambda m: m["gates"][0].update(value=0), "roc_auc is between 0 and 1, and 0 is met by every"),
        (MODEL, lambda m: m["gates"][0].update(value=60), "60 is met by no model; give the worst that is good"),
        (MODEL, lambda m: m["gates"][0].update(metric="log_loss", value=0), "and 0 is met by no"),
        (MODEL, lambda m: m["gates"][0].update(metric="brier", value=1), "and 1 is met by every"),
    ],
)  # fmt: skip
def test_specs_are_checked_against_each_other(
    folder: Path, file: str, change: Callable[[dict], object], says: str
) -> None:
    rewrite(folder, file, change)
    assert says in problem(folder)


def test_a_feature_set_of_an_unknown_source_says_so(folder: Path) -> None:
    replace(folder, FEATURES, '"aircraft": {"look', '"aircrafts": {"look')
    project = load_project(folder)
    words = project.problems[folder / FEATURES]
    assert "source 'aircrafts' is unknown; did you mean 'aircraft'?" in words
    # and so the model that stands on it cannot be built: it says what it misses, not something else
    says = f"feature set 'departure' does not load: {folder / FEATURES} says why; mend that first"
    assert says in project.problems[folder / MODEL]


def test_what_stands_on_a_broken_source_says_so_and_does_not_call_it_unknown(folder: Path) -> None:
    replace(folder, "sources/arrivals.yaml", "owner:", "owners:")
    project = load_project(folder)
    says = f"source 'arrivals' does not load: {folder / 'sources/arrivals.yaml'} says why; mend that first"
    assert says in project.problems[folder / FEATURES]
    assert not [words for words in project.problems.values() if "is unknown" in words]
    assert project.broken == [folder / "sources/arrivals.yaml"], "the others follow from it"
    with pytest.raises(SpecError, match="does not load"):
        project.source("arrivals")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (SOURCE, b"\xff\xfe"),
        (SOURCE, b""),
        (SOURCE, b"- a\n- b\n"),
        (MODEL, b"{{ conn }}"),
        (FEATURES, b"\x00"),
        (FEATURES, b"FEATURES = " + b"-" * 5000 + b"1"),
    ],
)
def test_one_broken_file_leaves_the_others(folder: Path, file: str, content: bytes) -> None:
    whole = load_project(folder)
    (folder / file).write_bytes(content)
    broken = load_project(folder)
    assert folder / file in broken.problems
    lost = {Path(file).stem, *(path.stem for path in broken.problems)}
    assert set(broken.sources) == set(whole.sources) - lost
    assert set(broken.sources) >= {"flights", "weather", "aircraft"}
    with pytest.raises(SpecError, match=Path(file).name):
        broken.require_sound()


def test_a_folder_where_a_file_should_be_leaves_the_others(folder: Path) -> None:
    (folder / "sources" / "strange.yaml").mkdir()
    assert "cannot be read" in problem(folder)


def test_a_missing_project_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"project\.yaml: no such file"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("America/New_York", "America/New_Yrok", "key 'timezone': no such IANA time zone"),
        ("America/New_York", "../../etc/passwd", "key 'timezone': no such IANA time zone"),
        ("timezone:", "time_zone:", "unknown key 'time_zone'; did you mean 'timezone'?"),
        ("first_night: 2013-01-02", "first_night: yesterday", "key 'first_night'"),
    ],
)
def test_a_wrong_project_file_is_an_error_of_the_whole(folder: Path, old: str, new: str, says: str) -> None:
    path = replace(folder, "project.yaml", old, new)
    with pytest.raises(SpecError) as refused:
        load_project(folder)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)


def test_several_mistakes_of_a_file_are_several_lines(folder: Path) -> None:
    path = replace(folder, MODEL, "owner: ", "ownr: ")
    replace(folder, MODEL, "cooldown_days: 7", "cooldown_days: -7")
    lines = problem(folder).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


@pytest.mark.parametrize(
    "name",
    ["late\n", "\nlate", "Late", "1late", "", "late-arrival", "a" * 41, 'x"; drop table y', "../x", "é"],
)
def test_a_name_that_is_no_identifier_is_refused(folder: Path, name: str) -> None:
    content = read_yaml(folder / SOURCE)
    with pytest.raises(SpecError, match="the file's name is no name"):
        build(Source, {**content, "name": name}, folder / SOURCE)


def test_a_file_name_with_a_newline_is_refused(folder: Path) -> None:
    (folder / "sources" / "late\n.yaml").write_text((folder / SOURCE).read_text())
    assert "the file's name is no name" in problem(folder)


def test_declaring_a_feature_set_does_not_run_it(folder: Path) -> None:
    witness = folder / "was_run"
    path = folder / FEATURES
    path.write_text(path.read_text() + f"\nopen({str(witness)!r}, 'w').close()\nraise RuntimeError('run')\n")
    project = load_project(folder).require_sound()
    assert project.feature_sets["departure"].columns
    assert not witness.exists()


def test_a_module_that_begins_with_an_underscore_is_no_feature_set(folder: Path) -> None:
    (folder / "features" / "_shared.py").write_text("SPEED = 1\n")
    assert not load_project(folder).problems


def second_version(folder: Path, name: str = "departure_v2", version: int = 2) -> Path:
    """Copy the feature set to another file, as another version."""
    path = folder / f"features/{name}.py"
    path.write_text((folder / FEATURES).read_text().replace('"version": 1', f'"version": {version}', 1))
    return path


def test_versions_of_a_set_stand_side_by_side_and_a_model_keeps_its_own(folder: Path) -> None:
    second_version(folder)
    project = load_project(folder).require_sound()
    sets = project.feature_sets
    assert {name: (sets[name].set, sets[name].table) for name in ("departure", "departure_v2")} == {
        "departure": ("departure", "departure_v1"),
        "departure_v2": ("departure", "departure_v2"),
    }
    assert project.feature_set(project.model("late_arrival").features).version == 1
    replace(folder, MODEL, "features: departure", "features: departure_v2")
    moved = load_project(folder).require_sound()
    assert moved.feature_set(moved.model("late_arrival").features).version == 2


@pytest.mark.parametrize(
    ("name", "version"), [("departure_v2", 1), ("departure_v3", 2), ("departure_v12", 1)]
)
def test_a_version_in_a_file_name_is_the_declared_one(folder: Path, name: str, version: int) -> None:
    second_version(folder, name, version)
    assert f"version: the file name says {name.rpartition('v')[2]}, FEATURES says {version}" in problem(
        folder
    )


def test_two_files_of_one_version_are_named_both(folder: Path) -> None:
    first, second = folder / FEATURES, second_version(folder, "departure_v1", 1)
    project = load_project(folder)
    assert {first, second} <= {*project.broken}
    for path, other in ((first, second), (second, first)):
        words = project.problems[path]
        assert f"{path}: key 'version': {other} declares version 1 of 'departure' too" in words
        assert "departure_v2.py" in words


def test_specs_do_not_change(folder: Path) -> None:
    project: Project = load_project(folder)
    with pytest.raises(ValidationError, match="frozen"):
        project.models["late_arrival"].owner = "somebody"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("look_up", "says"),
    [
        (lambda p: p.model("late_arival"), "model 'late_arival' is unknown; did you mean 'late_arrival'?"),
        (lambda p: p.source("wether"), "source 'wether' is unknown; did you mean 'weather'?"),
        (lambda p: p.feature_set("xyz"), "feature set 'xyz' is unknown; known: "),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    look_up: Callable[[Project], object], says: str
) -> None:
    with pytest.raises(SpecError) as refused:
        look_up(load_project())
    assert says in str(refused.value)


def test_a_sources_clock_is_the_projects_if_it_says_nothing(folder: Path) -> None:
    rewrite(folder, SOURCE, lambda spec: spec["columns"]["reported_at"].update(timezone="UTC"))
    rewrite(folder, "sources/weather.yaml", lambda spec: spec.update(timezone="Europe/Rome"))
    sources = load_project(folder).require_sound().sources
    assert sources["flights"].zone_of("sched_dep_at").key == "America/New_York"
    assert sources["weather"].zone_of("observed_at").key == "Europe/Rome"
    assert sources["arrivals"].zone_of("reported_at").key == "UTC"


def test_the_column_that_picks_the_rows_of_a_night_is_declared(folder: Path) -> None:
    def one_file(spec: dict) -> None:
        spec["connector"] |= {"path": "all.csv", "date_column": "observed"}
        spec["other_columns"] = "ignore"

    path = rewrite(folder, "sources/weather.yaml", one_file)
    told = load_project(folder).problems[path]
    assert "key 'connector.date_column': unknown column 'observed'; did you mean 'observed_at'?" in told


@pytest.mark.parametrize(
    ("spelled", "read"),
    [
        ("0", 0), ("-12", -12), ("+7", 7), ("1.5", 1.5), ("-0.50", -0.5), ("1.", 1.0), (".5", 0.5), ("1e-3", 0.001),
        ("1E5", 1e5), ("1.5e3", 1500.0), ("010", "010"), ("0777", "0777"), ("-010", "-010"), ("010.5", "010.5"),
        ("1_000", "1_000"), ("1_0.5", "1_0.5"), ("1:30", "1:30"), ("190:20:30.15", "190:20:30.15"), ("0b11", "0b11"),
        ("0o17", "0o17"), ("0x1F", "0x1F"), ("2013-01-02", date(2013, 1, 2)), ("true", True), ("~", None),
    ],
)  # fmt: skip
def test_a_number_is_a_plain_decimal_and_what_is_not_stays_the_text_that_it_is(
    tmp_path: Path, spelled: str, read: object
) -> None:
    (tmp_path / "x.yaml").write_text(f"key: {spelled}\n")
    found = read_yaml(tmp_path / "x.yaml")["key"]
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize("spelled", ["10:30", "02:30", "6:00", "23:59", "0:00"])
def test_an_hour_needs_no_quotes(folder: Path, spelled: str) -> None:
    replace(folder, SOURCE, "budget: {", f"retry_until: {spelled}\nbudget: {{")
    assert load_project(folder).source("arrivals").retry_until == spelled.zfill(5)


def test_a_number_that_is_spelled_with_a_zero_before_it_is_refused(folder: Path) -> None:
    replace(folder, MODEL, "above: 15", "above: 010")
    assert "key 'target.above'" in problem(folder)
    assert "'010'" in problem(folder)


@pytest.mark.parametrize(
    ("path", "is_whole"),
    [
        ("{date}.csv", True),
        ("{date:%Y}/{date:%m-%d}.csv", True),
        ("{date:%y%j}.csv", True),
        ("{date:%Y-%m}.csv", False),
        ("{date:%Y}.csv", False),
        ("{date:%d}.csv", False),
        ("{date:%m-%d}.csv", False),
        ("{date:all}.csv", False),
        ("{{date}}.csv", False),
    ],
)
def test_a_path_that_names_no_whole_day_needs_a_date_column_and_no_other_may_have_one(
    path: str, is_whole: bool
) -> None:
    FilesConnector(folder="d", path=path, date_column=None if is_whole else "day")
    with pytest.raises(ValidationError, match="date_column"):
        FilesConnector(folder="d", path=path, date_column="day" if is_whole else None)
