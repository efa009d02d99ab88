"""A model of several classes: each probability in its own column, whatever the order, and whatever was seen to fit."""

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline
from toys import CLASSES, feature_set, needs_torch, rows, spec

from nightshift import artifacts, metrics, score, train
from nightshift.errors import SchemaMismatch, SpecError
from nightshift.monitor.profile import build_profile
from nightshift.specs import Drift, Model, class_column
from nightshift.train import fitting
from nightshift.train.classes import each, positive
from nightshift.train.plots import plots

FOREST = "sklearn.ensemble.RandomForestClassifier"
QUICK = {"n_estimators": 10, "min_samples_leaf": 5, "random_state": 0}
ESTIMATORS: dict[str, dict[str, Any]] = {
    FOREST: QUICK,
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 20, "random_state": 0},
    "sklearn.linear_model.LogisticRegression": {},
    "sklearn.naive_bayes.GaussianNB": {},
    "lightgbm.LGBMClassifier": {"n_estimators": 20, "verbosity": -1, "n_jobs": 1, "random_state": 0},
    "nightshift.train.networks.NetworkClassifier": {"hidden": [16], "max_epochs": 10, "lr": 0.01},
}
PATHS = [pytest.param(p, marks=[needs_torch] if p.startswith("nightshift.") else []) for p in ESTIMATORS]


def fitted(model: Model, frame: pd.DataFrame) -> Any:
    return train.fit(model, feature_set(), frame, frame["label"])


@pytest.mark.parametrize("path", PATHS)
def test_probabilities_stand_in_their_columns_and_sum_to_one(path: str) -> None:
    model, frame = spec("multiclass", path, ESTIMATORS[path]), rows("multiclass")
    pipeline = fitted(model, frame)
    found = train.predict(pipeline, frame, model.classes)

    assert found.shape == (len(frame), len(CLASSES))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-8)
    assert (found[:, CLASSES.index("none yet")] == 0).all()  # declared, and in no row to fit on
    scores = metrics.score("multiclass", frame["label"], found)
    assert scores["roc_auc_ovr"] > 0.8
    plain = pipeline.predict(frame[list(pipeline.feature_names_in_)])
    assert (np.array(CLASSES)[found.argmax(axis=1)] == plain).mean() > 0.99


def test_a_fold_that_lacks_a_rare_class_is_encoded_all_the_same() -> None:
    rng = np.random.default_rng(0)
    model, n = spec("multiclass", "sklearn.linear_model.LogisticRegression", {}), 600
    frame = rows("multiclass").head(n)
    text = next(name for name, kind in feature_set().columns.items() if kind == "string")
    frame[text] = [f"value {k}" for k in rng.integers(0, 80, n)]  # so many that targets encode them
    frame["label"] = rng.integers(0, 2, n).astype(float)
    frame.loc[frame.index[-1], "label"] = 2.0
    found = train.out_of_fold(model, feature_set(), frame, frame["label"])
    assert np.isfinite(np.asarray(found)).all()


LOGISTIC, LIGHTGBM = "sklearn.linear_model.LogisticRegression", "lightgbm.LGBMClassifier"
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"


@pytest.mark.parametrize(
    ("path", "target", "weights"),
    [
        (LOGISTIC, CLASSES, {"Light Rain": 1.0, "C++": 1.0, "high": 50.0}),
        (LOGISTIC, (3, 1, 2, 4), {3: 1.0, 1: 1.0, 2: 50.0}),
        (FOREST, (3, 1, 2, 4), {3: 1.0, 1: 1.0, 2: 50.0}),
        (LIGHTGBM, (3, 1, 2, 4), {"3": 1.0, "1": 1.0, "2": 50.0}),
        (LOGISTIC, None, {0: 1.0, 1: 50.0}),
        (BOOSTING, None, {0: 1.0, 1: 50.0}),
    ],
)
def test_weights_are_given_by_class_as_the_target_names_it(path: str, target: Any, weights: dict) -> None:
    kind, said = "multiclass" if target else "classification", {}
    frame = rows(kind)
    for given in (None, weights):
        declared = spec(kind, path, {**ESTIMATORS[path], "class_weight": given}).model_dump(by_alias=True)
        model = Model.model_validate({**declared, "target": {**declared["target"], "classes": target}})
        train.check(model)
        predicted = train.predict(fitted(model, frame), frame, model.classes)
        said[given is None] = (predicted[:, 2] if target else predicted).mean()
    assert said[False] > said[True] + 0.05


@pytest.mark.parametrize(
    ("path", "kind", "weights", "says"),
    [
        (
            LOGISTIC,
            "multiclass",
            {0: 1.0},
            "class_weight names 0; the classes are those of target.classes, here 'Li",
        ),
        (
            LOGISTIC,
            "classification",
            {"late": 2.0},
            r"names 'late'; .* 1 \(the positive class\) and 0 \(all else\)",
        ),
        (LOGISTIC, "classification", {"1": 2.0}, "names '1'"),
        (BOOSTING, "multiclass", {"high": 2.0}, "by the place of a class .* write class_weight: balanced"),
    ],
)
def test_weights_of_no_class_are_refused_before_a_fit(path: str, kind: str, weights: dict, says: str) -> None:
    with pytest.raises(SpecError, match=rf"key 'estimator.params': .*{says}"):
        train.check(spec(kind, path, {"class_weight": weights}))


@pytest.mark.parametrize("path", PATHS)
def test_a_file_says_what_its_columns_mean(path: str) -> None:
    model, frame = spec("multiclass", path, ESTIMATORS[path]), rows("multiclass").head(300)
    content = skops.io.dumps(fitted(model, frame))
    again = artifacts.load(content, artifacts.seal(content))
    before = train.predict(fitted(model, frame), frame, model.classes)

    assert (train.predict(again, frame, model.classes) == before).all()
    for order in list(permutations(CLASSES))[::5]:  # the spec lists its classes in another order now
        found = train.predict(again, frame, order)
        assert (found[:, [order.index(name) for name in CLASSES]] == before).all()


def test_the_same_rows_in_plain_scikit_learn_come_to_the_same_probabilities() -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass")
    pipeline = fitted(model, frame)
    plain = pipeline.named_steps["estimator"].__class__(**QUICK)
    encoded = pipeline.named_steps["columns"].transform(frame[list(pipeline.feature_names_in_)])
    plain.fit(encoded, np.array(CLASSES)[frame["label"].astype(int)])
    found = train.predict(pipeline, frame, model.classes)

    for name, column in zip(plain.classes_, plain.predict_proba(encoded).T, strict=True):
        assert (found[:, CLASSES.index(name)] == column).all()


def test_predictions_out_of_fold_importance_and_profile_know_the_classes() -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass")
    found = train.out_of_fold(model, feature_set(), frame, frame["label"])
    weights = train.importance(model, fitted(model, frame), frame, frame["label"])
    features = frame[list(feature_set().columns)]
    profile = build_profile(features, found, frame["batch_date"], weights, Drift(), classes=model.classes)

    assert found.shape == (len(frame), 4)
    assert max(weights, key=lambda name: weights[name]) == "a"
    assert profile.classes == CLASSES
    assert train.predictions_sha256(found) != train.predictions_sha256(found[:, ::-1])


@pytest.mark.parametrize("at_once", [1, 60_000], ids=["one by one", "together"])
def test_importance_is_that_of_scikit_learn(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass")
    pipeline = fitted(model, frame)
    monkeypatch.setattr(fitting, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(fitting, "SHUFFLES", 30)
    ours = train.importance(model, pipeline, frame, frame["label"])

    def scoring(known: Pipeline, shuffled: pd.DataFrame, truth: np.ndarray) -> float:
        return -metrics.log_loss(truth, train.predict(known, shuffled, model.classes))

    columns, truth = frame[list(pipeline.feature_names_in_)], frame["label"].to_numpy(dtype="float64")
    theirs = permutation_importance(pipeline, columns, truth, scoring=scoring, n_repeats=30, random_state=1)
    for name, mean, spread in zip(columns, theirs.importances_mean, theirs.importances_std, strict=True):
        # Two means of thirty shuffles each: four standard errors of their difference.
        assert abs(ours[name] - max(mean, 0.0)) <= 4 * spread * (2 / 30) ** 0.5 + 1e-9, name


def test_a_search_chooses_by_the_metric_of_several_classes() -> None:
    tune = {"trials": 3, "space": {"max_depth": {"low": 1, "high": 8, "integer": True}}}
    model = spec("multiclass", FOREST, QUICK, tune=tune)
    searched = train.search(model, feature_set(), rows("multiclass"))
    trials = searched.run([], lambda trial: trial)

    assert [trial.state for trial in trials] == ["complete"] * 3
    assert 0 < train.best(model, trials).score < np.log(4)


def test_automl_has_its_families_for_several_classes() -> None:
    model = spec("multiclass", FOREST, QUICK, tune={"trials": 2}, automl=["linear", "hist_gradient_boosting"])
    trials = train.search(model, feature_set(), rows("multiclass")).run([], lambda trial: trial)

    assert {trial.state for trial in trials} == {"complete"}
    assert trials[1].estimator == "sklearn.linear_model.LogisticRegression"


def test_a_fresh_process_says_the_same_of_several_classes() -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass").head(400)
    pipeline = fitted(model, frame)
    content = skops.io.dumps(pipeline)
    done = train.try_out(
        content, artifacts.seal(content), frame.drop(columns="batch_date"), classes=model.classes
    )

    assert done.error is None
    assert done.predictions == train.predict(pipeline, frame, model.classes).tolist()


@pytest.mark.parametrize(
    ("known", "given", "says"),
    [
        (
            ["a", "z"],
            [[0.5, 0.5]],
            "knows the class 'z', target.classes does not.*Write it back.*may go once",
        ),
        (["a", "b"], [[0.5, 0.6]], "must sum to 1; they miss it by up to 0.1"),
        (["a", "b"], [[np.nan, 0.6]], "must sum to 1"),
        (["a", "b"], [[1.3, -0.3]], "must not be below 0; the least is -0.3"),
    ],
)
def test_what_cannot_stand_in_its_column_is_refused(known: list[str], given: Any, says: str) -> None:
    with pytest.raises(SchemaMismatch, match=says):
        each(np.array(known), np.array(given), ("b", "a", "c"))


def test_sums_of_single_precision_are_mended() -> None:
    given = np.array([[0.3, 0.7 + 1e-6]])
    assert each(np.array(["a", "b"]), given, ("a", "b")).sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("known", [np.array([3, 1]), np.array([3.0, 1.0]), np.array(["3", "1"])])
def test_classes_that_are_integers_are_found_as_a_library_keeps_them(known: Any) -> None:
    assert each(known, np.array([[0.9, 0.1]]), ("1", "2", "3")).tolist() == [[0.1, 0.0, 0.9]]


@pytest.mark.parametrize("known", [np.array([0, 1]), np.array([0.0, 1.0]), np.array([False, True])])
def test_one_against_the_rest_is_the_probability_of_one(known: Any) -> None:
    assert positive(known, np.array([[0.9, 0.1]])).tolist() == [0.1]


@pytest.mark.parametrize(
    ("given", "says"),
    [([[0.0, 37.0]], "must sum to 1; they miss it by up to 36"), ([[-0.2, 1.2]], "must not be below 0")],
)
def test_one_against_the_rest_says_a_probability_too(given: Any, says: str) -> None:
    """Percent, or margins: no metric would take them, and no reader."""
    with pytest.raises(SchemaMismatch, match=says):
        positive(np.array([0, 1]), np.array(given))


def test_a_model_of_several_classes_is_never_read_as_one_against_the_rest() -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass")
    with pytest.raises(SchemaMismatch, match=r"knows the classes C\+\+, Light Rain, high"):
        train.predict(fitted(model, frame), frame)


def test_a_table_of_predictions_holds_the_likeliest_class_and_a_column_each() -> None:
    features = pd.DataFrame({"batch_date": ["n"] * 3, "id": ["a", "b", "c"]})
    given = np.array([[0.2, 0.5, 0.3, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.1, 0.1, 0.8]])
    found = score.score(features, lambda _: given, ["id"], CLASSES)

    assert found["prediction"].tolist() == ["C++", "Light Rain", "none yet"]
    assert list(found.columns) == ["batch_date", "id", "prediction", *map(class_column, CLASSES)]
    assert (score.predicted(found, CLASSES) == given).all()
    older = found.assign(**{class_column("high"): None})  # scored before the class was declared
    assert (score.predicted(older, CLASSES)[:, 2] == 0).all()
    assert score.score(features.head(0), lambda _: given, ["id"], CLASSES).empty


def test_pictures_of_several_classes_are_drawn_for_those_that_occur() -> None:
    model, frame = spec("multiclass", FOREST, QUICK), rows("multiclass")
    scores = train.predict(fitted(model, frame), frame, model.classes)
    drawn = plots(model, frame["label"].to_numpy(), scores, {"a": 1.0})

    assert set(drawn) == {"importance.png", "calibration.png", "confusion.png"}
    assert all(content.startswith(b"\x89PNG") for content in drawn.values())
