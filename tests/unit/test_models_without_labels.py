"""A model whose labels do not exist yet: what its spec must say, what it cannot have, and what still works."""

from datetime import date

import pytest
from pydantic import ValidationError

from nightshift.errors import SpecError
from nightshift.specs import Model
from nightshift.train import check, training_dates

SIGNED = {"approval": "required", "approvers": ["olga"]}
ESTIMATOR = {"class": "sklearn.linear_model.LogisticRegression"}
MINIMUM = {"gate": "minimum_score", "metric": "roc_auc", "value": 0.5}


def unlabelled(**more: object) -> Model:
    plain = {"name": "toy", "owner": "me", "description": "", "task": "classification", "features": "toy"}
    return Model.model_validate(plain | SIGNED | more)


def test_a_model_without_labels_is_signed_and_never_trained() -> None:
    model = unlabelled(gates=[{"gate": "size", "megabytes": 5}, {"gate": "latency", "milliseconds": 50}])
    assert not model.estimator.is_trained
    assert model.kind == "classification"
    check(model)
    dates = training_dates(model, date(2013, 3, 1), date(2013, 1, 1))
    assert dates.holdout_last == date(2013, 3, 1), "there is no label to wait for"
    with pytest.raises(SpecError, match="model 'toy': no labels: it has no target"):
        _ = model.truth


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"estimator": ESTIMATOR}, "nothing can be trained; give it, or leave 'estimator' out"),
        ({"approval": "auto", "approvers": []}, "a person must sign: approval: required"),
        ({"gates": [MINIMUM]}, "gate minimum_score need labels; leave out what measures"),
        ({"gates": [{"gate": "calibrated"}]}, "gate calibrated need labels"),
        ({"performance": {"metric": "roc_auc"}}, "performance need labels"),
        ({"slices": ["a"]}, "slices need labels"),
        ({"train": {"tune": {"trials": 3}}}, "train.tune: "),
        ({"encoding": {"a": "target"}}, "encoding: for an estimator.class"),
    ],
)
def test_a_model_without_labels_says_what_it_cannot_have(more: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        unlabelled(**more)


def test_an_imported_model_with_labels_keeps_its_gates() -> None:
    target = {"source": "truth", "column": "y", "above": 0}
    with pytest.raises(ValidationError, match="minimum_score is missing"):
        unlabelled(target=target)
    gates = [MINIMUM, {"gate": "beats_champion", "metric": "log_loss"}]
    assert not unlabelled(target=target, gates=gates).estimator.is_trained


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        ({"class": "sklearn.a", "function": "estimators.b"}, "give 'class' or 'function', not both"),
        ({"params": {"alpha": 1}}, "params: of what"),
    ],
)
def test_an_estimator_is_one_thing(estimator: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        unlabelled(estimator=estimator)
