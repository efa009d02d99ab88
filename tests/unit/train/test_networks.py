"""A network learns, comes out the same each time, and lies in its file as arrays. Needs the extra ``torch``."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from toys import feature_set, needs_torch, rows, spec

from nightshift import artifacts, metrics, train
from nightshift.errors import SpecError

pytestmark = needs_torch

PATHS = {
    "classification": "nightshift.train.networks.NetworkClassifier",
    "regression": "nightshift.train.networks.NetworkRegressor",
}
SMALL = {"hidden": [16], "max_epochs": 8, "lr": 0.01}


@pytest.mark.parametrize("task", PATHS)
def test_a_network_learns_and_is_the_same_after_its_file(task: str) -> None:
    frame = rows(task)
    before, after = frame.iloc[:900], frame.iloc[900:]
    pipeline = train.fit(spec(task, PATHS[task], SMALL), feature_set(), before, before["label"])
    predicted = train.predict(pipeline, after)
    found = metrics.score(task, after["label"], predicted)
    assert (found["roc_auc"] if task == "classification" else found["r2"]) > 0.7
    content = skops.io.dumps(pipeline)
    loaded = artifacts.load(content, artifacts.seal(content))
    np.testing.assert_array_equal(train.predict(loaded, after), predicted)


def test_a_network_is_arrays_in_its_file_and_nothing_that_runs() -> None:
    frame = rows()
    pipeline = train.fit(
        spec("classification", PATHS["classification"], SMALL), feature_set(), frame, frame["label"]
    )
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as archive:
        assert {Path(name).suffix for name in archive.namelist()} <= {".json", ".npy"}
        schema = archive.read("schema.json").decode()
    assert "torch" not in schema
    assert not {"ReduceNode", "FunctionNode", "PartialNode", "MethodNode"} & set(schema.split('"'))


@pytest.mark.parametrize("task", PATHS)
def test_the_same_rows_give_the_same_network_whatever_was_drawn_before(task: str) -> None:
    import torch

    from nightshift.train import networks

    kind = networks.NetworkClassifier if task == "classification" else networks.NetworkRegressor
    random = np.random.default_rng(0)
    table, target = random.normal(size=(300, 4)), random.integers(0, 2, 300)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    network = kind(**SMALL, dropout=0.2).fit(table, target)
    assert torch.equal(torch.rand(3), expected), "a fit leaves no trace in what others draw"
    torch.manual_seed(99)
    again = clone(network).fit(table, target)
    np.testing.assert_array_equal(again.predict(table), network.predict(table))


def test_a_network_can_be_tuned_and_a_parameter_it_has_not_is_refused() -> None:
    space = {"lr": {"low": 0.001, "high": 0.1, "log": True}, "dropout": {"choices": [0.0, 0.3]}}
    model = spec("classification", PATHS["classification"], SMALL, tune={"trials": 3, "space": space})
    trials = train.search(model, feature_set(), rows()).run([], lambda trial: trial)
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert 0.001 <= trials[1].params["lr"] <= 0.1
    with pytest.raises(SpecError, match=r"NetworkClassifier has no parameter .*layers"):
        train.check(spec("classification", PATHS["classification"], {"layers": [3]}))
