"""An estimator that a spec may not name is refused before its module is imported, a wrong one before it is fitted."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from toys import feature_set, rows, spec

from nightshift import artifacts, train
from nightshift.errors import FitFailed, SchemaMismatch, SpecError
from nightshift.platform.papers import recipe
from nightshift.specs import Estimator, FeatureSet, Model, Own
from nightshift.specs.model import Train

TREES = "sklearn.ensemble.HistGradientBoosting{}"
OWN = """
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from estimators.parts import HALF

Path("WITNESS").write_text("imported")


class Blend(RegressorMixin, BaseEstimator):
    def __init__(self, *, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y):
        self.ridge_ = Ridge(alpha=self.alpha).fit(X, y)
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return HALF * self.ridge_.predict(X) + HALF * self.mean_
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    """Return a project with an estimator of its own, allowed; importing it leaves a witness."""
    folder = tmp_path / "include"
    (folder / "estimators").mkdir(parents=True)
    (folder / "estimators" / "mine.py").write_text(OWN.replace("WITNESS", str(tmp_path / "witness")))
    (folder / "estimators" / "parts.py").write_text("HALF = 0.5\n")
    (folder / "estimators" / "other.py").write_text("")
    yield Own(("estimators.mine.Blend",), folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "estimators"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "path",
    ["this.that.Thing", "antigravity.fly", "os.system", "mlflow.pyfunc.PythonModel", "sklearnish.Ridge"],
)
def test_a_module_that_is_on_no_list_is_not_imported(path: str) -> None:
    sys.modules.pop("antigravity", None)
    with pytest.raises(
        SpecError, match=rf"estimator\.class '{path}' is not imported.*allowed_types: \[{path}\]"
    ):
        train.check(spec("classification", path, {}))
    assert "antigravity" not in sys.modules


def test_an_estimator_of_the_project_runs_only_once_it_is_allowed(own: Own, tmp_path: Path) -> None:
    model = spec("regression", "estimators.mine.Blend", {"alpha": 0.1})
    with pytest.raises(
        SpecError, match=r"allowed_types: \[estimators\.mine\.Blend\] \(.*mine\.py would be run\)"
    ):
        train.check(model, Own((), own.folder))
    assert not (tmp_path / "witness").exists()
    train.check(model, own)
    assert (tmp_path / "witness").exists()


def test_an_estimator_of_the_project_is_fitted_stored_and_tried_out_as_any_other(own: Own) -> None:
    model, frame = spec("regression", "estimators.mine.Blend", {"alpha": 0.1}), rows("regression")
    pipeline = train.fit(model, feature_set(), frame, frame["label"], own)
    content = skops.io.dumps(pipeline)
    with pytest.raises(artifacts.ArtifactRefused, match=r"estimators\.mine\.Blend.*allowed_types"):
        artifacts.seal(content)
    done = train.try_out(content, artifacts.seal(content, own.types), frame.head(20), own)
    assert done.error is None
    assert done.predictions == train.predict(pipeline, frame.head(20)).tolist()


def blended(own: Own) -> tuple[bytes, pd.DataFrame]:
    """Return a stored model of the project's own estimator, and rows."""
    frame = rows("regression")
    model = spec("regression", "estimators.mine.Blend", {})
    return skops.io.dumps(train.fit(model, feature_set(), frame, frame["label"], own)), frame.head(5)


def test_a_model_that_answers_too_late_is_told_by_cpu_time_whatever_else_the_machine_does(own: Own) -> None:
    content, frame = blended(own)
    (own.folder / "estimators" / "parts.py").write_text("while True:\n    pass\n")
    done = train.try_out(content, artifacts.seal(content, own.types), frame, own, cpu_seconds=1)
    assert done.error == "no answer within 1 s of CPU time"


def test_each_try_out_is_of_a_process_of_its_own_whatever_the_one_before_did(own: Own) -> None:
    content, frame = blended(own)
    sha256 = artifacts.seal(content, own.types)
    parts = own.folder / "estimators" / "parts.py"
    whole = train.try_out(content, sha256, frame, own)
    patched = "from sklearn.linear_model._base import LinearModel\ndel LinearModel.predict"
    for does, says in (
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "it died without a word"),
        ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos._exit(0)\n", "it died without a word"),
        ("import sys\nprint('7')\nsys.exit('enough')\n", "enough"),
        (f"{patched}\nHALF = 0.5\n", "predict"),
    ):
        parts.write_text(does)
        assert says in (train.try_out(content, sha256, frame, own).error or ""), does
    parts.write_text("HALF = 0.5\n")
    assert train.try_out(content, sha256, frame, own).predictions == whole.predictions


def test_the_code_behind_an_estimator_is_its_module_and_what_that_imports_of_the_project(own: Own) -> None:
    before = own.code(own.types)
    assert set(before) == {"estimators.mine", "estimators.parts"}
    (own.folder / "estimators" / "parts.py").write_text("HALF = 0.25\n")
    after = own.code(own.types)
    assert after["estimators.mine"] == before["estimators.mine"]
    assert after["estimators.parts"] != before["estimators.parts"]


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ("from .parts import HALF", {"parts"}),
        ("from . import parts", {"", "parts"}),
        ("from . import deep", {"", "deep", "deep.below"}),
        ("from .deep.below import parts as other", {"deep", "deep.below", "parts"}),
        ("import estimators.deep.below", {"deep", "deep.below", "parts"}),
        ("from ...beyond import nothing", set()),
    ],
)
def test_the_code_behind_an_estimator_is_followed_through_packages_and_relative_imports(
    imports: str, found: set[str], own: Own
) -> None:
    assert own.folder
    of = own.folder / "estimators"
    (of / "deep").mkdir()
    files = {
        "__init__": "",
        "mine": imports,
        "deep/__init__": "from . import below",
        "deep/below": "from .. import parts",
    }
    for name, content in files.items():
        (of / f"{name}.py").write_text(content)
    (of / "deep.py").write_text("hidden by the package of its name")
    modules = {f"estimators.{name}".rstrip(".") for name in found} | {"estimators", "estimators.mine"}
    below = {"estimators.parts"} if "deep" in imports else set()
    assert set(own.code(own.types)) == modules | below


@pytest.mark.parametrize(
    ("task", "path", "params", "says"),
    [
        ("classification", "sklearn.svm.LinearSVC", {}, "LinearSVC as declared has no predict_proba.*write sklearn"),
        ("classification", "sklearn.svm.SVC", {}, "SVC as declared has no predict_proba"),
        ("classification", "sklearn.linear_model.RidgeClassifier", {}, "has no predict_proba"),
        ("classification", "sklearn.linear_model.SGDClassifier", {"loss": "hinge"}, "has no predict_proba"),
        ("classification", "sklearn.linear_model.Ridge", {}, "Ridge is no estimator for classification; write"),
        ("regression", "sklearn.linear_model.LogisticRegression", {}, "is no estimator for regression; write"),
        ("regression", "sklearn.preprocessing.StandardScaler", {}, "is no estimator for regression"),
        ("regression", "sklearn.cluster.KMeans", {}, "is no estimator for regression"),
        ("regression", TREES.format("Regressor"), {"max_iter": 0}, r"estimator\.params': The 'max_iter' parameter"),
        ("regression", TREES.format("Regressor"), {"loss": "huber"}, "The 'loss' parameter"),
        ("classification", "sklearn.linear_model.LogisticRegression", {"C": "1"}, "The 'C' parameter"),
        ("regression", "sklearn.linear_model.Ridge", {"alpah": 1}, r"Ridge has no parameter \['alpah'\]"),
        ("regression", "sklearn.linear_model.Rigde", {}, "'sklearn.linear_model.Rigde' not found"),
        ("regression", "sklearn.utils.check_array", {}, "is no scikit-learn estimator"),
    ],
)  # fmt: skip
def test_what_would_fail_at_night_is_refused_when_the_spec_is_checked(
    task: str, path: str, params: dict, says: str
) -> None:
    model, frame = spec(task, path, params), rows(task)
    with pytest.raises(SpecError, match=f"model 'toy'.*{says}"):
        train.check(model)
    with pytest.raises(SpecError, match=says):
        train.fit(model, feature_set(), frame, frame["label"])


@pytest.mark.parametrize(
    ("path", "column", "value", "says"),
    [
        (
            TREES.format("Classifier"),
            "b",
            np.nan,
            "feature 'b' is null in all of them: take it out of FEATURES",
        ),
        ("sklearn.linear_model.LogisticRegression", "a", np.inf, "feature 'a' holds infinities"),
    ],
)
def test_rows_that_cannot_be_learned_from_name_the_feature(
    path: str, column: str, value: float, says: str
) -> None:
    model, frame = spec("classification", path, {}), rows().assign(**{column: value})
    with pytest.raises(FitFailed, match=f"model 'toy': {path} .* on 1200 rows.*{says}"):
        train.fit(model, feature_set(), frame, frame["label"])


def test_labels_of_one_class_say_so() -> None:
    frame = rows()
    for path in (TREES.format("Classifier"), "sklearn.ensemble.RandomForestClassifier"):
        with pytest.raises(FitFailed, match=r"all 1200 labels are 1: .*train\.window_days: all"):
            train.fit(spec("classification", path, {}), feature_set(), frame, frame["label"] * 0 + 1)


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.linear_model.LogisticRegression",
        TREES.format("Classifier"),
    ],
)
def test_a_class_that_only_the_last_nights_have_is_in_every_fold(path: str) -> None:
    frame = rows()
    frame["label"] = np.where(np.arange(len(frame)) > 1100, frame["label"], 0.0)
    predictions = train.out_of_fold(spec("classification", path, {}), feature_set(), frame, frame["label"])
    assert ((predictions >= 0) & (predictions <= 1)).all()
    assert predictions[frame["label"] == 1].mean() > predictions[frame["label"] == 0].mean()


def test_a_class_of_two_rows_is_too_few() -> None:
    frame = rows()
    frame["label"] = np.where(np.arange(len(frame)) >= len(frame) - 2, 1.0, 0.0)
    with pytest.raises(FitFailed, match=r"label 1 stands on 2 of 1200 rows; at least 3"):
        train.out_of_fold(
            spec("classification", TREES.format("Classifier"), {}), feature_set(), frame, frame["label"]
        )


def test_a_feature_that_began_late_is_left_out_of_the_folds_before_it() -> None:
    frame = rows("regression")
    frame.loc[frame.index < 900, "b"] = np.nan
    predictions = train.out_of_fold(
        spec("regression", TREES.format("Regressor"), {}), feature_set(), frame, frame["label"]
    )
    assert np.isfinite(predictions).all()


def test_types_of_python_itself_or_of_the_engine_are_never_allowed(tmp_path: Path) -> None:
    from nightshift.specs import load_project

    for path in ("os.system", "builtins.eval", "functools.partial", "nightshift.registry.Registry"):
        (tmp_path / "project.yaml").write_text(f"first_night: 2013-01-01\nallowed_types: [{path}]\n")
        with pytest.raises(SpecError, match=f"allowed_types.*'{path}' is"):
            load_project(tmp_path)


FUNCTION = """
from sklearn.linear_model import Ridge, LogisticRegression


def train(features, label, alpha):
    return Ridge(alpha=alpha).fit(features[["c", "a"]].fillna(0), label)


def nameless(features, label, alpha):
    return Ridge(alpha=alpha).fit(features.fillna(0).to_numpy(), label)


def other(features, label, alpha):
    return LogisticRegression().fit(features, label > 0)


def nothing(features, label, alpha):
    return None


def broken(features, label, alpha):
    return features["aa"]
"""


def by_function(name: str, params: dict | None = None) -> Model:
    model = spec("regression", TREES.format("Regressor"), {})
    return model.model_copy(
        update={
            "estimator": Estimator(function=f"estimators.functions.{name}", params=params or {"alpha": 0.5})
        }
    )


def allowing(own: Own, *names: str) -> Own:
    (own.folder / "estimators" / "functions.py").write_text(FUNCTION)
    return Own(tuple(f"estimators.functions.{name}" for name in names), own.folder)


def two_numbers() -> FeatureSet:
    return feature_set().model_copy(update={"columns": {"a": "float", "c": "integer"}})


def test_a_training_function_of_the_project_is_trained_stored_and_made_again(own: Own) -> None:
    own, model, frame = allowing(own, "train"), by_function("train"), rows("regression")
    train.check(model, own)
    pipeline = train.fit(model, two_numbers(), frame, frame["label"], own)
    content = skops.io.dumps(pipeline)
    loaded = artifacts.load(content, artifacts.seal(content), own.types)
    said = train.predict(loaded, frame)
    np.testing.assert_array_equal(said, train.predict(pipeline, frame))
    fitted = train.as_fitted(model, loaded)
    assert fitted == model
    again = train.fit(fitted, two_numbers(), frame, frame["label"], own)
    np.testing.assert_array_equal(train.predict(again, frame), said)
    assert np.isfinite(train.out_of_fold(model, two_numbers(), frame, frame["label"], own)).all()


def searched_by_function(**of_train: object) -> Model:
    model = by_function("train", {"alpha": 1e6})
    return model.model_copy(update={"train": Train.model_validate(of_train)})


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            searched_by_function(tune={"trials": 6, "space": {"alpha": {"low": 0.01, "high": 1.0}}}),
            id="its parameters",
        ),
        pytest.param(searched_by_function(automl=["linear"], tune={"trials": 3}), id="another estimator"),
    ],
)
def test_what_a_search_preferred_to_a_function_as_declared_is_made_again(own: Own, model: Model) -> None:
    own, frame = allowing(own, "train"), rows("regression")
    search = train.search(model, two_numbers(), frame, own)
    trials = search.run([], lambda trial: trial)
    won = search.winner(trials)
    assert won.estimator != model.estimator
    pipeline = train.fit(won, two_numbers(), frame, frame["label"], own)
    told = json.dumps({"trials": [asdict(trial) for trial in trials]})
    platform: Any = SimpleNamespace(registry=SimpleNamespace(file=lambda run_id, path: told))
    version: Any = SimpleNamespace(mlflow_run_id="run", brought=None)
    found = recipe(platform, version, model, pipeline)
    again = train.fit(found, two_numbers(), frame, frame["label"], own)
    np.testing.assert_array_equal(train.predict(again, frame), train.predict(pipeline, frame))
    assert found.estimator.params["alpha"] == won.estimator.params["alpha"]


@pytest.mark.parametrize(
    ("model", "allowed", "says"),
    [
        (
            by_function("train"),
            "other",
            r"'estimators\.functions\.train' is not imported: .*allowed_types: \[estim",
        ),
        (
            by_function("train", {"alhpa": 1}),
            "train",
            r"train\(features, label, alhpa\): missing a required argument",
        ),
        (by_function("Ridge"), "Ridge", "is no function, but ABCMeta; a class is given as 'class'"),
        (by_function("away"), "away", r"'estimators\.functions\.away' cannot be imported: AttributeError"),
    ],
)
def test_a_training_function_that_cannot_be_called_is_refused_first(
    model: Model, allowed: str, says: str, own: Own
) -> None:
    with pytest.raises(SpecError, match=says):
        train.check(model, allowing(own, allowed))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nameless", "does not know its features by name; fit it on a DataFrame"),
        ("other", "LogisticRegression is no estimator for regression"),
        ("nothing", "expected a fitted scikit-learn estimator, got NoneType"),
        ("broken", "KeyError: 'aa'"),
        ("train", "was not fitted on b, word of feature set 'toy'"),
    ],
)
def test_what_a_training_function_returns_is_looked_at(name: str, says: str, own: Own) -> None:
    frame, known = rows("regression"), feature_set() if name == "train" else two_numbers()
    with pytest.raises((SpecError, FitFailed), match=says):
        train.fit(by_function(name), known, frame, frame["label"], allowing(own, name))


def test_a_version_is_refused_when_the_code_behind_it_has_changed(own: Own) -> None:
    model, frame = spec("regression", "estimators.mine.Blend", {}), rows("regression")
    content = skops.io.dumps(train.fit(model, two_numbers(), frame, frame["label"], own))
    recorded = artifacts.own_code(own, content)
    artifacts.require_same_code("model 'toy', version 1", own, content, recorded)
    (own.folder / "estimators" / "other.py").write_text("# another module\n")
    artifacts.require_same_code("model 'toy', version 1", own, content, recorded)
    (own.folder / "estimators" / "parts.py").write_text("HALF = 0.25\n")
    with pytest.raises(artifacts.ArtifactRefused, match=r"version 1: .*parts\.py has sha256 .* was recorded"):
        artifacts.require_same_code("model 'toy', version 1", own, content, recorded)


def test_a_version_that_was_recorded_without_packages_goes_on_and_no_later_one_does(own: Own) -> None:
    assert own.folder
    model, frame = spec("regression", "estimators.mine.Blend", {}), rows("regression")
    content = skops.io.dumps(train.fit(model, two_numbers(), frame, frame["label"], own))
    recorded = artifacts.own_code(own, content)
    earlier = {module: digest for module, digest in recorded.items() if module}
    (own.folder / "estimators" / "__init__.py").write_text("")
    artifacts.require_same_code("model 'toy', version 1", own, content, earlier)
    for record in (recorded, {}):
        with pytest.raises(artifacts.ArtifactRefused, match=r"__init__\.py has sha256 .*, none was recorded"):
            artifacts.require_same_code("model 'toy', version 1", own, content, record)


def test_features_that_a_model_was_fitted_on_and_that_are_gone_are_named() -> None:
    model = spec("regression", "sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 5})
    frame = rows("regression")
    pipeline = train.fit(model, feature_set(), frame, frame["label"])
    with pytest.raises(
        SchemaMismatch, match=r"fitted on features that are not there: .*word.*\. Its set has lost"
    ):
        train.predict(pipeline, frame.drop(columns=["c", "word"]))


def two_columns(frame: pd.DataFrame, label: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(frame[["a", "c"]], label)


def test_a_column_of_numbers_is_one_number_a_row() -> None:
    """A label that is a table of one column makes one; by a metric each of its rows would meet every label."""
    frame = rows("regression")
    plain, table = (two_columns(frame, label) for label in (frame["label"], frame[["label"]]))
    assert table.predict(frame[["a", "c"]]).shape == (len(frame), 1)
    found = train.predict(table, frame)
    assert found.shape == (len(frame),)
    assert found == pytest.approx(train.predict(plain, frame))


def test_a_model_of_several_targets_is_refused() -> None:
    frame = rows("regression").assign(other=0.0)
    with pytest.raises(SchemaMismatch, match=r"LinearRegression says \(1200, 2\) numbers of 1200 rows"):
        train.predict(two_columns(frame, frame[["label", "other"]]), frame)
    classes = frame[["c", "a"]] > 0
    forest = RandomForestClassifier(2).fit(frame[["a", "c"]], classes)
    with pytest.raises(FitFailed, match="it was fitted on several targets; fit it on the label alone"):
        train.require_fitted(spec("classification", TREES.format("Classifier"), {}), forest, ["a", "c"])


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_predictions_that_are_no_numbers_are_refused_in_words(kind: str) -> None:
    path = {"classification": "LogisticRegression", "regression": "Ridge"}[kind]
    frame = rows(kind)
    pipeline = train.fit(spec(kind, f"sklearn.linear_model.{path}", {}), feature_set(), frame, frame["label"])
    pipeline[-1].coef_ = pipeline[-1].coef_ * np.nan
    with pytest.raises(SchemaMismatch, match=rf"predictions of {path} for 1200 rows are not finite numbers"):
        train.predict(pipeline, frame)


@pytest.mark.parametrize(
    ("change", "of", "says"),
    [
        ({}, ("Light Rain", "C++", "high"), None),
        ({"more": "float"}, ("high", "C++", "Light Rain", "another"), None),
        ({"a": "integer"}, ("Light Rain", "C++", "high"), None),
        ({"a": None}, ("Light Rain", "C++", "high"), "features that are not there: a"),
        ({"a": "string"}, ("Light Rain", "C++", "high"), "feature 'a' as float, and it is string now"),
        ({"word": "integer"}, ("Light Rain", "C++", "high"), "feature 'word' as string, and it is integer"),
        ({}, ("Light Rain", "high"), r"knows the class 'C\+\+', target.classes does not"),
        ({}, (), "one against the rest"),
    ],
)
def test_whether_a_model_can_be_asked_follows_from_what_is_declared(
    change: dict[str, str | None], of: tuple[str, ...], says: str | None
) -> None:
    frame, trained = rows("multiclass"), dict(feature_set().columns)
    model = spec("multiclass", "sklearn.naive_bayes.GaussianNB", {})
    pipeline = train.fit(model, feature_set(), frame, frame["label"])
    columns = {name: kind for name, kind in {**trained, **change}.items() if kind}
    with pytest.raises(SchemaMismatch, match=says) if says else nullcontext():
        train.require_answers(pipeline, trained, columns, of)
