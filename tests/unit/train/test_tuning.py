"""A search spends its budget, judges on later nights only, and goes on from the trials that there are."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline
from toys import A_NIGHT, feature_set, rows, spec

from nightshift import train
from nightshift.errors import ArtifactRefused, FitFailed, NotReady, SchemaMismatch, SpecError, Unreachable
from nightshift.specs import FAMILIES, Model
from nightshift.train import Trial, fitting, tuning

SPACE = {
    "learning_rate": {"low": 0.02, "high": 0.5, "log": True},
    "max_leaf_nodes": {"low": 3, "high": 31, "integer": True},
    "l2_regularization": {"choices": [0, 0.5, 10]},
}


def searching(*, task: str = "classification", estimator: dict | None = None, **tune: object) -> Model:
    """Return a small model that searches: ``automl`` goes to train, the rest to train.tune."""
    kind = "Classifier" if task == "classification" else "Regressor"
    declared = {
        "class": f"sklearn.ensemble.HistGradientBoosting{kind}",
        "params": {"max_iter": 5, "random_state": 0},
    }
    chosen = estimator or declared
    return spec(task, chosen["class"], chosen["params"], automl=tune.pop("automl", False), tune=tune)


def searched(model: Model, past: list[Trial] | None = None) -> list[Trial]:
    return train.search(model, feature_set(), rows(model.task)).run(past or [], lambda trial: trial)


def told(trials: list[Trial]) -> list[Trial]:
    """Return the trials without what a clock says."""
    return [replace(trial, seconds=0) for trial in trials]


def test_a_fold_is_fitted_on_earlier_nights_only_and_each_later_night_is_judged_once() -> None:
    frame = rows().sample(frac=1, random_state=0)
    cut = tuning.folds(searching(trials=1, folds=5), frame)
    assert len(cut) == 5
    for fold in cut:
        assert fold.earlier["batch_date"].max() < fold.later["batch_date"].min()
        before = frame["batch_date"] < fold.later["batch_date"].min()
        assert len(fold.earlier) == before.sum() > 0, "the window expands: all that is earlier is fitted on"
    judged = pd.concat([fold.later for fold in cut])
    assert judged.index.is_unique
    assert judged["batch_date"].nunique() == 20  # 24 nights in six parts, the first only fitted on


@given(st.lists(st.integers(1, 500), min_size=8, max_size=60), st.integers(1, 7))
def test_the_parts_hold_as_many_rows_as_whole_nights_allow(a_night: list[int], folds: int) -> None:
    nights = np.repeat([date(2013, 1, 1) + timedelta(days=n) for n in range(len(a_night))], a_night)
    frame = pd.DataFrame({"batch_date": nights})
    cut = tuning.folds(searching(trials=1, folds=folds), frame)
    parts = [cut[0].earlier, *(fold.later for fold in cut)]
    assert len(parts) == folds + 1
    assert sum(map(len, parts)) == len(frame)
    assert min(part["batch_date"].nunique() for part in parts) >= 1
    if max(a_night) * (folds + 1) <= len(frame):  # no night is more than a part
        assert max(map(len, parts)) < len(frame) / (folds + 1) + max(a_night)


def test_with_a_half_life_each_fold_has_rows_to_learn_from_and_to_be_judged_on() -> None:
    kept = [max(1, int(300 * 0.5 ** (age / 14))) for age in reversed(range(400))]
    nights = np.repeat([date(2013, 1, 1) + timedelta(days=n) for n in range(400)], kept)
    cut = tuning.folds(searching(trials=1, folds=3), pd.DataFrame({"batch_date": nights}))
    shares = [len(part) / len(nights) for part in (cut[0].earlier, *(fold.later for fold in cut))]
    assert shares == pytest.approx([0.25] * 4, abs=0.05)


def test_a_night_is_never_cut_in_two() -> None:
    cut = tuning.folds(searching(trials=1, folds=7), rows())
    assert all(set(fold.later.groupby("batch_date").size()) == {A_NIGHT} for fold in cut)


def test_too_few_nights_for_the_folds_say_so() -> None:
    two_nights = rows().head(2 * A_NIGHT)
    with pytest.raises(NotReady, match=r"train\.tune\.folds: 3 folds need 4 nights, there are 2"):
        train.search(searching(trials=1), feature_set(), two_nights)


def test_a_fold_without_the_metric_says_so() -> None:
    model = searching(trials=2)
    gates = [gate.model_copy(update={"metric": "roc_auc"}) for gate in model.gates]
    frame = rows().assign(
        label=lambda frame: frame["label"].where(frame["batch_date"] < date(2013, 1, 19), 1.0)
    )
    with pytest.raises(NotReady, match=r"roc_auc does not exist on the fold 2013-01-19\.\.2013-01-24"):
        train.search(model.model_copy(update={"gates": gates}), feature_set(), frame).run(
            [], lambda trial: trial
        )


def test_the_declared_estimator_comes_first_and_the_winner_is_the_best_of_all() -> None:
    model = searching(trials=12, space=SPACE)
    trials = searched(model)
    assert [trial.number for trial in trials] == list(range(12))
    assert (trials[0].sampled, trials[0].params) == ({}, model.estimator.params)
    ended = [trial.score for trial in trials if trial.state == "complete"]
    found = train.best(model, trials)
    assert found.score == min(ended) < trials[0].score
    won = train.search(model, feature_set(), rows()).winner(trials)
    assert won.estimator.params == found.params
    assert won.estimator.params["max_iter"] == 5, "what is declared and not searched stays"
    assert 3 <= won.estimator.params["max_leaf_nodes"] <= 31
    assert won.train == model.train


def test_an_estimator_as_good_as_the_declared_one_does_not_replace_it() -> None:
    model = searching(trials=4, space={"warm_start": {"choices": [False, True]}})
    trials = searched(model)
    assert {trial.score for trial in trials} == {trials[0].score}
    assert train.search(model, feature_set(), rows()).winner(trials) == model


def test_a_larger_score_wins_where_larger_is_better() -> None:
    model = searching(trials=2)
    gates = [gate.model_copy(update={"metric": "roc_auc"}) for gate in model.gates]
    trials = [Trial(n, "x", {}, {}, (score,), "complete", 1) for n, score in enumerate((0.6, 0.8, 0.7))]
    assert train.best(model.model_copy(update={"gates": gates}), trials).number == 1
    assert train.best(model, trials).number == 0


def test_a_search_taken_up_again_goes_on_as_if_it_had_never_stopped() -> None:
    model = searching(trials=10, space=SPACE)
    whole = searched(model)
    assert {trial.state for trial in whole} == {"complete", "pruned"}
    for kept in (1, 4, 9):
        assert told(searched(model, whole[:kept])) == told(whole)
    assert searched(model, whole) == whole, "a search that is complete stays as it is"


def test_later_trials_learn_from_earlier_ones_and_do_not_repeat_them() -> None:
    trials = searched(searching(trials=10, space=SPACE))
    assert len({tuple(trial.sampled.items()) for trial in trials}) == 10


def test_a_candidate_that_is_worse_than_the_median_is_given_up_early() -> None:
    model = searching(trials=14, space={"learning_rate": {"choices": [0.1, 0.2, 0.3, 1e-9]}})
    trials = searched(model)
    hopeless = [trial for trial in trials if trial.params.get("learning_rate") == 1e-9 and trial.number > 4]
    assert hopeless
    assert {(trial.state, len(trial.scores)) for trial in hopeless} == {("pruned", 1)}
    assert train.best(model, trials).params["learning_rate"] != 1e-9


def test_a_candidate_that_cannot_be_fitted_is_set_aside_with_its_words() -> None:
    model = searching(trials=8, space={"max_leaf_nodes": {"choices": [15, 0]}})
    failed = [trial for trial in searched(model) if trial.state == "failed"]
    assert failed
    assert all("max_leaf_nodes" in trial.note and not trial.scores for trial in failed)


def breaking(monkeypatch: pytest.MonkeyPatch, model: Model, happens: Callable[[], object]) -> list[Trial]:
    """Search where what was fitted with 7 leaves cannot be predicted by."""

    def predict(pipeline: Pipeline, later: pd.DataFrame, of: Sequence[str]) -> Any:
        return happens() if pipeline[-1].max_leaf_nodes == 7 else fitting.predict(pipeline, later, of)

    monkeypatch.setattr(tuning, "predict", predict)
    return searched(model)


def raising(error: BaseException) -> Callable[[], object]:
    def happens() -> object:
        raise error

    return happens


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        pytest.param(raising(ValueError("no such neighbour")), "ValueError: no such neighbour", id="predict"),
        pytest.param(raising(MemoryError("728 TiB")), "728 TiB", id="memory"),
        pytest.param(raising(SchemaMismatch("other classes")), "SchemaMismatch: other classes", id="classes"),
        pytest.param(lambda: np.full(300, np.nan), "ValueError", id="no number"),
        pytest.param(lambda: np.full(300, 1e300), "no finite r2", id="numbers too large"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_candidate_that_cannot_be_judged_is_set_aside_with_its_words(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object], says: str
) -> None:
    model = judged_by_r2(
        searching(task="regression", trials=6, space={"max_leaf_nodes": {"choices": [15, 7]}})
    )
    trials = breaking(monkeypatch, model, happens)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert len(trials) == 6
    assert failed
    assert all(says in trial.note for trial in failed)
    assert all("2013-01-07..2013-01-12" in trial.note or says == "728 TiB" for trial in failed)
    assert train.best(model, trials) not in failed


@pytest.mark.parametrize("error", [ConnectionResetError(), Unreachable("the warehouse")])
def test_what_another_try_can_cure_does_not_set_a_candidate_aside(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = searching(trials=6, space={"max_leaf_nodes": {"choices": [15, 7]}})
    with pytest.raises(type(error)):
        breaking(monkeypatch, model, raising(error))


def test_a_declared_estimator_that_cannot_be_judged_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {
        "class": "sklearn.ensemble.HistGradientBoostingClassifier",
        "params": {"max_iter": 5, "max_leaf_nodes": 7},
    }
    with pytest.raises(FitFailed, match=r"could not be judged on the fold 2013-01-07.*: no words"):
        breaking(monkeypatch, searching(trials=3, estimator=declared), raising(ValueError("no words")))


def judged_by_r2(model: Model) -> Model:
    gates = [gate.model_copy(update={"metric": "r2"}) for gate in model.gates]
    return model.model_copy(update={"gates": gates})


def test_a_declared_estimator_that_cannot_be_fitted_is_an_error() -> None:
    wrong = {"class": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": -1}}
    with pytest.raises(SpecError, match="max_iter"):
        searched(searching(trials=3, estimator=wrong))


def test_an_estimator_that_could_not_be_stored_is_refused_before_the_time_is_spent() -> None:
    neighbours = {"class": "sklearn.neighbors.KNeighborsClassifier", "params": {}}
    kept: list[Trial] = []
    search = train.search(
        searching(trials=3, estimator=neighbours, space={"n_neighbors": {"choices": [3, 9]}}),
        feature_set(),
        rows(),
    )
    with pytest.raises(ArtifactRefused, match="KDTree"):
        search.run([], lambda trial: kept.append(trial) or trial)
    assert kept == []


def test_time_ends_a_search_but_never_before_the_declared_estimator_is_judged() -> None:
    trials = searched(searching(trials=50, seconds=0.001, space=SPACE))
    assert [(trial.number, trial.state, len(trial.scores)) for trial in trials] == [(0, "complete", 3)]


def test_a_trial_that_runs_out_of_time_is_given_up_at_its_next_fold() -> None:
    model = searching(trials=50, seconds=100, space=SPACE)
    first = searched(searching(trials=1, space=SPACE))
    spent = [replace(first[0], seconds=100 - 1e-6)]
    trials = searched(model, spent)
    assert [(trial.number, trial.state, len(trial.scores)) for trial in trials[1:]] == [(1, "pruned", 1)]


def test_the_log_has_one_line_a_trial(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trials = searched(searching(trials=6, space=SPACE))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert lines[0].startswith(f"trial 1 of 6: log_loss {trials[0].score:.5f}; best")
    assert "as declared" in lines[0]
    assert "learning_rate=" in lines[1]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_automl_tries_every_family_and_may_choose_another_than_the_declared(task: str) -> None:
    model = searching(task=task, trials=6, automl=True)
    trials = searched(model)
    assert [trial.estimator for trial in trials[1:5]] == [preset[task].path for preset in FAMILIES.values()]
    found = train.search(model, feature_set(), rows(task)).winner(trials)
    assert found.estimator.path == FAMILIES["linear"][task].path  # the toy is linear


def test_automl_searches_only_the_families_it_is_given() -> None:
    trials = searched(searching(trials=6, automl=["linear", "hist_gradient_boosting"]))
    kinds = {trial.estimator.rpartition(".")[2] for trial in trials[1:]}
    assert kinds == {"LogisticRegression", "HistGradientBoostingClassifier"}


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_preset_names_parameters_that_its_estimator_has(family: str, task: str) -> None:
    train.check(searching(task=task, trials=1, automl=[family]))


@pytest.mark.parametrize(
    ("path", "params", "space", "says"),
    [
        ("sklearn.linear_model.Lasso", {"alpa": 1}, {"alpha": {"low": 0, "high": 1}}, r"params: Lasso.*alpa"),
        ("sklearn.linear_model.Lasso", {}, {"alpa": {"low": 0, "high": 1}}, r"train\.tune\.space: Lasso.*alpa"),
        ("lightgbm.LGBMRegressor", {}, {"num_leafs": {"low": 2, "high": 9}}, r"space: LGBMRegressor.*num_leafs"),
        ("lightgbm.LGBMRegressor", {"kwargs": 1}, {}, r"estimator\.params: LGBMRegressor.*kwargs"),
        ("sklearn.nowhere.Lasso", {}, {"alpha": {"low": 0, "high": 1}}, r"'sklearn\.nowhere\.Lasso' not found"),
    ],
)  # fmt: skip
def test_a_parameter_that_the_estimator_has_not_is_refused(
    path: str, params: dict, space: dict, says: str
) -> None:
    model = searching(task="regression", trials=2, space=space, estimator={"class": path, "params": params})
    with pytest.raises(SpecError, match=says):
        train.check(model)
    with pytest.raises(SpecError, match=says):
        searched(model)
