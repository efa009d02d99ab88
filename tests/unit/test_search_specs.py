"""What a model's spec says of its search: a mistake names the key and what was meant."""

from pathlib import Path

import pytest

from nightshift.errors import SpecError
from nightshift.root import INCLUDE
from nightshift.specs import Model, Tune
from nightshift.specs.parts import build, read_yaml

FILE = INCLUDE / "models" / "late_arrival.yaml"


def model(**train: object) -> Model:
    content = read_yaml(FILE)
    return build(Model, {**content, "name": "late_arrival", "train": train}, Path("late_arrival.yaml"))


def test_without_a_budget_nothing_is_searched() -> None:
    declared = model(window_days=45).train
    assert declared.tune == Tune()
    assert (declared.tune.trials, declared.tune.folds, declared.automl) == (0, 3, False)


def test_a_space_may_be_ranges_choices_or_the_preset() -> None:
    space = {
        "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
        "max_leaf_nodes": {"choices": [7, 15, None]},
    }
    assert set(model(tune={"trials": 5, "space": space}).train.tune.space) == set(space)
    assert model(tune={"trials": 5, "space": "preset"}) == model(tune={"trials": 5})
    assert model(tune={"trials": 5}, automl=["linear", "lightgbm"]).train.automl == ["linear", "lightgbm"]


def test_a_spec_that_searches_reads_back_as_it_was_written() -> None:
    declared = model(tune={"trials": 5, "space": {"max_iter": {"low": 10, "high": 50, "integer": True}}})
    assert Model.model_validate(declared.model_dump(by_alias=True)) == declared


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"low": 1}, "give 'low' and 'high', or 'choices'"),
        ({}, "give 'low' and 'high', or 'choices'"),
        ({"low": 2, "high": 2}, r"low \(2\) must be below high \(2\)"),
        ({"low": 0, "high": 1, "log": True}, r"log: low \(0\) must be above 0"),
        ({"low": 0.5, "high": 3, "integer": True}, "must be whole numbers"),
        ({"choices": []}, "choices: none is given"),
        ({"choices": [1], "log": True}, "'choices' stand alone"),
        ({"choices": [1], "low": 1, "high": 2}, "'choices' stand alone"),
        ({"lo": 1, "high": 2}, r"unknown key 'train\.tune\.space\.max_iter\.lo'; did you mean 'low'\?"),
        ({"low": 1, "high": float("inf")}, r"train\.tune\.space\.max_iter\.high.*finite"),
    ],
)
def test_values_that_cannot_be_searched_are_told(space: dict, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        model(tune={"trials": 1, "space": {"max_iter": space}})


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ({"automl": True}, r"automl: a search needs a budget; give tune\.trials"),
        ({"automl": ["lineal"], "tune": {"trials": 3}}, r"unknown family 'lineal'; did you mean 'linear'\?"),
        ({"automl": "yes", "tune": {"trials": 3}}, "true, false, or a list of families; known: .*lightgbm"),
        ({"automl": [], "tune": {"trials": 3}}, "true, false, or a list of families"),
        (
            {"automl": True, "tune": {"trials": 3, "space": {"C": {"low": 1, "high": 2}}}},
            r"automl: searches each family's own space; leave tune\.space out",
        ),
        ({"tune": {"trials": 3, "space": "presets"}}, "a mapping of parameters, or 'preset'; got 'presets'"),
        ({"tune": {"trials": -1}}, r"train\.tune\.trials.*greater than or equal to 0"),
        ({"tune": {"trails": 1}}, r"unknown key 'train\.tune\.trails'; did you mean 'trials'\?"),
        ({"tune": {"seconds": 0}}, r"train\.tune\.seconds.*greater than 0"),
    ],
)
def test_a_search_that_cannot_be_run_is_told(train: dict, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        model(**train)


def test_an_estimator_of_no_family_must_say_what_to_search() -> None:
    content = read_yaml(FILE) | {"name": "late_arrival", "train": {"tune": {"trials": 3}}}
    content["estimator"] = {"class": "sklearn.neural_network.MLPClassifier"}
    with pytest.raises(
        SpecError, match=r"train\.tune\.space: 'sklearn\.neural_network\.MLPClassifier' is of no family"
    ):
        build(Model, content, FILE)
