"""Targets: what is learned of a column, compared exactly, and refused where the column's type does not fit."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from nightshift.errors import SpecError
from nightshift.root import INCLUDE
from nightshift.specs import Model, Target, class_column, load_project
from nightshift.specs.parts import build
from nightshift.train import labels, reports, require_spelled

KNOWN = pd.Timestamp("2013-02-01", tz="UTC")
BIG = 2**53 + 1


def target(**said: Any) -> Target:
    return build(Target, {"source": "meters", "column": "x", **said}, Path("m.yaml"))


def model(**said: Any) -> Model:
    task = "classification" if {"above", "equals", "classes"} & set(said) else "regression"
    metric = "log_loss" if task == "classification" else "mae"
    return Model.model_validate(
        {
            "name": "m",
            "owner": "me",
            "description": "",
            "task": task,
            "features": "f",
            "target": {"source": "meters", "column": "x", **said},
            "estimator": {"class": "sklearn.linear_model.Ridge"},
            "gates": [
                {"gate": gate, "metric": metric, "value": 0.5} for gate in ("minimum_score", "beats_champion")
            ],
        }
    )


def labels_of(values: Any, **said: Any) -> list[float]:
    """Return a label a value, NaN where it has none."""
    ids = [str(number) for number in range(len(values))]
    night = pd.Timestamp("2013-02-01")
    truth = pd.DataFrame({"id": ids, "x": values, "known_at": KNOWN, "batch_date": night})
    found = labels(model(**said), reports(model(**said), truth, ["id"]), ["id"], KNOWN)
    return found.set_index("id")["label"].reindex(ids).tolist()


NULL = float("nan")


@pytest.mark.parametrize(
    ("values", "said", "expected"),
    [
        (pd.Series(["UP", "up", "UP ", None], dtype="str"), {"equals": "UP"}, [1, 0, 0, NULL]),
        (pd.Series(["1", "01", "1.0"], dtype="str"), {"equals": "1"}, [1, 0, 0]),
        (np.array(["a", None], dtype=object), {"equals": "b"}, [0, NULL]),
        (pd.Series([1, 0, None], dtype="Int64"), {"equals": 1}, [1, 0, NULL]),
        (pd.Series([BIG, BIG - 1, None], dtype="Int64"), {"equals": BIG}, [1, 0, NULL]),
        (pd.Series([True, False, None], dtype="boolean"), {"equals": True}, [1, 0, NULL]),
        (pd.Series([True, False, None], dtype=object), {"equals": False}, [0, 1, NULL]),
        (pd.Series([BIG, BIG - 1, BIG + 1, None], dtype="Int64"), {"above": BIG}, [0, 0, 1, NULL]),
        (pd.Series([BIG, BIG - 1]), {"above": BIG - 1}, [1, 0]),
        (pd.Series([15, 16], dtype="Int64"), {"above": 15.5}, [0, 1]),
        (pd.Series([float(BIG + 3), float(BIG + 1)]), {"above": BIG + 2}, [1, 0]),
        (pd.Series([0.3, 0.1 + 0.2, np.inf]), {"above": 0.3}, [0, 1, 1]),
        (pd.Series(["C++", None, "Light Rain"], dtype="str"), {"classes": ["C", "Light Rain", "C++"]}, [2, NULL, 1]),
        (pd.Series([BIG, BIG - 1, None], dtype="Int64"), {"classes": [BIG - 1, BIG]}, [1, 0, NULL]),
        (pd.Series(["a", "z"], dtype="str"), {"classes": ["a", "b"], "other_values": "unlabelled"}, [0, NULL]),
        (pd.Series([], dtype="str"), {"classes": ["a", "b"]}, []),
        (pd.Series([7, None], dtype="Int64"), {}, [7, NULL]),
    ],
)  # fmt: skip
def test_values_are_compared_exactly_and_a_null_has_no_label(
    values: Any, said: dict[str, Any], expected: list[float]
) -> None:
    np.testing.assert_array_equal(labels_of(values, **said), np.array(expected, dtype=float))


def test_values_outside_the_classes_are_refused_by_name_with_their_rows() -> None:
    values = pd.Series(["a", "snow", "snow", "b", "fog", "who@example.com", None], dtype="str")
    with pytest.raises(SpecError) as refused:
        labels_of(values, classes=["a", "b"])
    words = str(refused.value)
    assert "model 'm': key 'target.classes': column 'x' of source 'meters' has 3 values" in words
    assert "'snow' (2 rows), 'fog' (1 rows) and 1 more" in words
    assert "other_values: unlabelled" in words
    assert "example.com" not in words


YES = ["yes"] * 30 + [" YES"] * 3 + ["Yes"] * 2 + ["no"] * 9


@pytest.mark.parametrize(
    ("values", "said", "words"),
    [
        (
            YES,
            {"equals": "Yes"},
            "key 'target.equals': 'Yes' is in 2 of 44 rows of column 'x' of source 'meters', 'yes' in 30, ' YES' in 3;",
        ),
        (
            YES,
            {"equals": "YES"},
            "' YES' in 3, 'Yes' in 2; texts are compared to the letter. Did you mean 'yes'?",
        ),
        (
            ["gold"] * 3 + ["Silver"],
            {"classes": ["Gold", "Silver"], "other_values": "unlabelled"},
            "key 'target.classes': 'Gold' is in 0 of 4 rows",
        ),
        (YES, {"equals": "yes"}, None),
        (YES, {"equals": "never said"}, None),
        (YES, {"classes": ["Yes", "yes", " YES", "no"]}, None),
        ([1, 0], {"equals": 1}, None),
    ],
)
def test_a_text_that_occurs_in_another_case_only_is_told_with_what_there_is(
    values: list[Any], said: dict[str, Any], words: str | None
) -> None:
    truth = pd.DataFrame({"id": range(len(values)), "x": values, "known_at": KNOWN})
    if words is None:
        require_spelled(model(**said), truth, KNOWN)
        return
    with pytest.raises(SpecError) as refused:
        require_spelled(model(**said), truth, KNOWN)
    assert words in str(refused.value)
    require_spelled(model(**said), truth, KNOWN - pd.Timedelta(days=1))


def test_a_value_that_is_a_class_but_for_its_case_is_told_with_the_class() -> None:
    with pytest.raises(SpecError, match=r"'A ' \(1 rows\); did you mean 'a'\? Add them to classes"):
        labels_of(pd.Series(["a", "A "], dtype="str"), classes=["a", "b"])


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"above": True}, "key 'target.above': a finite number, got True; a text, true or false is compared"),
        ({"above": "15"}, "got '15'"),
        ({"above": float("nan")}, "a finite number, got nan"),
        ({"above": 2**70}, "an integer of 64 bits"),
        ({"equals": 1.5}, "numbers with a fraction are compared with above"),
        ({"equals": [1]}, "a text, an integer, true or false, got [1]"),
        ({"equals": ""}, "a text of 1 to 200 characters"),
        ({"equals": "a\x01b"}, "none a control character"),
        ({"equals": "a\0b"}, "holds a NUL"),
        ({"classes": "ab"}, "a list of 2 to 100 texts or integers"),
        ({"classes": ["a"]}, "for one against the rest write equals"),
        ({"classes": ["a", 1]}, "all texts, or all integers"),
        ({"classes": [True, False]}, "YAML reads yes, no"),
        ({"classes": [1, True]}, "all texts, or all integers"),
        ({"classes": ["a", "b", "a"]}, "'a' is there twice"),
        ({"classes": ["a", 1.5]}, "got 1.5"),
        ({"classes": list(range(101))}, "a list of 2 to 100"),
        ({"classes": ["a", "b"], "above": 1}, "give one of above, equals and classes; got above, classes"),
        ({"equals": "a", "above": 1}, "got above, equals"),
        ({"equals": "a", "other_values": "unlabelled"}, "other_values: only with classes"),
        ({"equls": "a"}, "unknown key 'target.equls'; did you mean 'equals'?"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_target_names_its_key(said: dict[str, Any], says: str, folder: Path) -> None:
    assert says in refusal(folder, "arr_delay", **said)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of this repository's project, to break."""
    for part in ("sources", "features", "models"):
        shutil.copytree(INCLUDE / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(INCLUDE / "project.yaml", tmp_path)
    return tmp_path


def refusal(folder: Path, column: str, *, task: str = "classification", **said: Any) -> str:
    """Return what the project says of a model with this target; nothing if it loads."""
    path = folder / "models" / "late_arrival.yaml"
    content = yaml.safe_load(path.read_text())
    content["target"] = {"source": "arrivals", "column": column, **said}
    content |= {"task": task, "slices": [], "gates": content["gates"][:2]}
    del content["performance"], content["recalibrate"]
    metric = {"classification": "log_loss", "regression": "mae"}[task]
    for gate in content["gates"]:
        gate["metric"] = metric
    path.write_text(yaml.safe_dump(content))
    return load_project(folder).problems.get(path, "")


@pytest.mark.parametrize(
    ("column", "said", "says"),
    [
        ("carrier", {"above": 3}, 'is string, which has no above; write equals: "TEXT"'),
        ("flight_date", {"above": 3}, "is date, which has no above; have the source deliver a number"),
        ("reported_at", {"equals": "2013"}, "is timestamp, which has no equals; have the source deliver"),
        ("carrier", {"equals": 1}, "is string, and 1 is integer: it would equal no row"),
        ("carrier", {"equals": True}, "is string, and True is boolean: it would equal no row"),
        ("flight", {"equals": "1"}, "is integer, and '1' is string"),
        ("flight", {"equals": True}, "is integer, and True is boolean"),
        ("flight", {"classes": ["1", "2"]}, "key 'target.classes'"),
        ("arr_delay", {"equals": 15}, "is float, which has no equals; write above: NUMBER"),
        ("arr_delay", {"classes": [1, 2]}, "is float, which has no classes"),
        ("carrier", {"task": "regression"}, "key 'target.column'"),
        ("flight_date", {"task": "regression"}, "is date, which has no number to learn"),
        ("carrier", {"equals": "AA"}, ""),
        ("carrier", {"classes": ["AA", "UA"]}, ""),
        ("flight", {"classes": [1, 2]}, ""),
        ("flight", {"equals": 1}, ""),
        ("flight", {"above": 1.5}, ""),
    ],
)  # fmt: skip
def test_a_type_that_does_not_fit_is_refused_with_what_to_write_instead(
    folder: Path, column: str, said: dict[str, Any], says: str
) -> None:
    path = folder / "features" / "departure.py"  # the carrier is a feature, and here a target
    path.write_text(path.read_text().replace('"carrier": "string"', '"airline": "string"'))
    words = refusal(folder, column, **said)
    assert says in words if says else not words


def test_a_boolean_is_no_regression_and_compared_with_equals() -> None:
    with pytest.raises(SpecError, match=r"is boolean, which has no number to learn; write equals: true"):
        target().check_type("boolean")
    with pytest.raises(SpecError, match=r"has no classes; write equals: true"):
        target(classes=["true", "false"]).check_type("boolean")
    target(equals=True).check_type("boolean")


def test_a_feature_set_that_passes_its_models_target_on_is_refused(folder: Path) -> None:
    words = refusal(folder, "carrier", equals="AA")
    assert (
        "feature set 'departure' has the column 'carrier' of source 'flights', which is this model's target"
        in words
    )
    assert "carrier_7d" in words


@pytest.mark.parametrize(
    ("label", "column"),
    [
        ("late", "p_late"),
        ("very_late", "p_very_late"),
        ("1", "p_1"),
        ("Light Rain", "p_light_rain_"),
        ("C++", "p_c_"),
        ("C", "p_c_"),
        ("-1", "p_1_"),
        ("雨", "p_"),
        ('a"; DROP TABLE x', "p_a_drop_table_x_"),
        ("x" * 200, "p_" + "x" * 40 + "_"),
    ],
)
def test_a_class_has_a_column_that_follows_from_its_name_alone(label: str, column: str) -> None:
    found = class_column(label)
    assert found.startswith(column)
    assert found.replace("_", "").isascii()
    assert found == found.lower()
    assert len(found) <= 63


def test_classes_that_differ_have_columns_that_differ() -> None:
    names = ["C", "C++", "C#", "c", "c ", "light rain", "light_rain", "Light Rain", "-1", "1", "+", "++"]
    assert len({class_column(name) for name in names}) == len(names)


def test_a_spec_with_classes_survives_its_record() -> None:
    spec = model(classes=["a", "b"])
    again = Model.model_validate_json(spec.model_dump_json(by_alias=True))
    assert again == spec
    assert (again.kind, again.target.labels) == ("multiclass", ("a", "b"))
    for said in ({"equals": 1}, {"equals": "1"}, {"equals": True}, {"above": BIG}):
        kept = Model.model_validate_json(model(**said).model_dump_json(by_alias=True)).target
        (value,) = said.values()
        assert [type(each) for each in (kept.equals, kept.above) if each is not None] == [type(value)]
