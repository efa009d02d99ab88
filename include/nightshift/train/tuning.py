"""The search for an estimator: a budget, candidates judged on later nights, the best of those judged to the end.

What the search does next follows from the trials that there are, and from nothing else: the sampler's seed is
their number, the time spent is the sum of theirs. So a search that is taken up again goes on as if it had never
stopped, and one that is complete stays as it is.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from nightshift import artifacts, metrics
from nightshift.errors import FitFailed, NotReady, SpecError
from nightshift.freeform import Arguments
from nightshift.specs import (
    FAMILIES,
    NOTHING,
    Estimator,
    FeatureSet,
    Model,
    Own,
    Preset,
    Values,
    preset_of,
)
from nightshift.train.estimators import estimator_class, require_estimator, training_function
from nightshift.train.fitting import NOT_ITS_OWN, fit, predict, with_values

FAMILY = "family"
# So many trials are judged to the end before one is given up for being worse than their median.
NEVER_PRUNED = 4
State = Literal["complete", "pruned", "failed"]
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

log = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)  # one line a trial, and that one is ours


@dataclass(frozen=True)
class Trial:
    """One candidate: an estimator by dotted path, and its score on each fold it came to."""

    number: int
    estimator: str
    # For people: a number as a key, say, does not come back from JSON as it was.
    params: Arguments
    # What the sampler chose, by the sampler's names; the estimator follows from it. Empty: the declared one.
    sampled: Arguments
    scores: tuple[float, ...]
    state: State
    seconds: float
    note: str = ""

    @property
    def score(self) -> float:
        """The mean over its folds; NaN without any."""
        return float(np.mean(self.scores)) if self.scores else np.nan


# Keeps a trial and returns the one that is kept under its number: another try may have been first.
Record = Callable[[Trial], Trial]


@dataclass(frozen=True)
class Fold:
    """Rows to fit on, and rows of later nights."""

    earlier: pd.DataFrame
    later: pd.DataFrame


@dataclass(frozen=True)
class Search:
    """What is searched, by name, and the folds it is judged on."""

    model: Model
    feature_set: FeatureSet
    presets: Mapping[str, Preset]
    folds: Sequence[Fold]
    own: Own = NOTHING

    def run(self, past: Sequence[Trial], record: Record) -> list[Trial]:
        """Return all trials as ``record`` has kept them, ``past`` first. Number 0 is the estimator as declared.

        Raises:
            NotReady: the metric does not exist on one of the folds.
            FitFailed: the declared estimator cannot be fitted, or not be judged.
            ArtifactRefused: the declared estimator is made of types that may not be stored.
        """
        tune, trials = self.model.train.tune, list(past)
        while len(trials) < tune.trials and _seconds(trials) < tune.seconds:
            trials.append(record(self.next(trials)))
            log.info(_told(self.model, trials))
        return trials

    def winner(self, trials: Sequence[Trial]) -> Model:
        """Return the model with the estimator of the best trial."""
        return chosen(self.model, trials, self.presets)

    def next(self, trials: Sequence[Trial]) -> Trial:
        """Return the trial that follows these."""
        asked = self._study(trials).ask()
        if trials:
            self._sample(asked)
        estimator = _estimator(self.model, self.presets, asked.params)
        tune, spent, start = self.model.train.tune, _seconds(trials), perf_counter()
        scores: list[float] = []
        state: State = "complete"
        note = ""
        try:
            for score in self._scores(estimator):
                scores.append(score)
                asked.report(float(np.mean(scores)), len(scores) - 1)
                too_late = spent + perf_counter() - start > tune.seconds
                # The declared estimator is judged to the end: without it there is nothing to be better than.
                if trials and len(scores) < len(self.folds) and (asked.should_prune() or too_late):
                    state = "pruned"
                    break
        except (SpecError, FitFailed, MemoryError) as error:
            if not trials:  # the spec is wrong, not a guess
                raise
            # Also one that asks for more memory than there is: tried again, it would again.
            state, note = "failed", f"{error or type(error).__name__}"[:500]
        return Trial(
            number=len(trials),
            estimator=estimator.named,
            params=estimator.params,
            sampled=dict(asked.params),
            scores=tuple(scores),
            state=state,
            seconds=perf_counter() - start,
            note=note,
        )

    def _study(self, trials: Sequence[Trial]) -> optuna.Study:
        number = len(trials)
        up = metrics.METRICS[judged_by(self.model)].greater_is_better
        study = optuna.create_study(
            direction="maximize" if up else "minimize",
            sampler=optuna.samplers.TPESampler(seed=number),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=NEVER_PRUNED),
        )
        study.add_trials([self._known(trial) for trial in trials])
        if len(self.presets) > 1 and 0 < number <= len(self.presets):  # each family has its turn
            study.enqueue_trial({FAMILY: list(self.presets)[number - 1]})
        return study

    def _known(self, trial: Trial) -> FrozenTrial:
        return create_trial(
            state=STATES[trial.state],
            value=trial.score if trial.state == "complete" else None,
            params=dict(trial.sampled),
            distributions={name: self._distribution(name) for name in trial.sampled},
            intermediate_values={
                step: float(np.mean(trial.scores[: step + 1])) for step in range(len(trial.scores))
            },
        )

    def _distribution(self, name: str) -> BaseDistribution:
        if name == FAMILY:
            return CategoricalDistribution(list(self.presets))
        family, _, parameter = name.partition(".")
        return _distribution(self.presets[family].space[parameter])

    def _sample(self, asked: optuna.Trial) -> None:
        families = list(self.presets)
        family = asked.suggest_categorical(FAMILY, families) if len(families) > 1 else families[0]
        for name, values in self.presets[family].space.items():
            _suggest(asked, f"{family}.{name}", values)

    def _scores(self, estimator: Estimator) -> Iterator[float]:
        model, metric = with_estimator(self.model, estimator), judged_by(self.model)
        for fold in self.folds:
            known = with_values(self.feature_set, fold.earlier)
            pipeline = fit(model, known, fold.earlier, fold.earlier["label"], self.own)
            if estimator is self.model.estimator and fold is self.folds[0]:
                artifacts.check(pipeline, self.own.types)  # now, not after an hour of trials
            yield _scored(model, metric, pipeline, fold.later)


def _scored(model: Model, metric: str, pipeline: Any, later: pd.DataFrame) -> float:
    """Return what a fitted candidate comes to on later nights.

    Raises:
        NotReady: the labels there do not differ, so ``metric`` does not exist, whatever is predicted.
        FitFailed: it cannot predict them, or nothing finite comes of it.
    """
    nights, label = later["batch_date"], later["label"]
    where = f"the fold {nights.min()}..{nights.max()} ({len(nights)} rows)"
    try:
        found = metrics.score(model.kind, label, predict(pipeline, later, model.classes))[metric]
    except NOT_ITS_OWN:
        raise
    except Exception as error:  # any estimator, any library: whatever it raises
        raise FitFailed(f"{_cannot(model)} be judged on {where}: {type(error).__name__}: {error}") from error
    if found is None and label.nunique() < 2:
        raise NotReady(
            f"model '{model.name}': {metric} does not exist on {where}: its labels do not differ. Fewer "
            "train.tune.folds make it longer"
        )
    if found is None:
        raise FitFailed(f"{_cannot(model)} be judged on {where}: its predictions come to no finite {metric}")
    return found


def _cannot(model: Model) -> str:
    return f"model '{model.name}': {model.estimator.named} was fitted, but could not"


def search(model: Model, feature_set: FeatureSet, rows: pd.DataFrame, own: Own = NOTHING) -> Search:
    """Return the search that ``model`` declares over ``rows``: the rows to fit on, never those of the holdout.

    Raises:
        SpecError: an estimator is not there, or has not a parameter that is to be searched.
        NotReady: fewer nights than the folds need.
    """
    return Search(model, feature_set, _presets(model, own), folds(model, rows), own)


# What the folds have alike: a search that was begun over others is begun anew.
FOLDS_OF = "rows"


def folds(model: Model, rows: pd.DataFrame) -> list[Fold]:
    """Return folds in the order of time: each is fitted on all nights before the nights it is judged on.

    The nights are cut into one part more than there are folds, of as many rows each as whole nights allow; the first
    part is only fitted on. Not of as many nights: of old ones ``half_life_days`` keeps almost no row.
    """
    nights, there = np.unique(rows["batch_date"].to_numpy(), return_counts=True)
    count = model.train.tune.folds
    if len(nights) <= count:
        raise NotReady(
            f"model '{model.name}': train.tune.folds: {count} folds need {count + 1} nights, there are {len(nights)}"
        )
    parts = np.split(nights, _ends(there, count + 1))[1:]
    dates = rows["batch_date"]
    return [Fold(rows[dates < part[0]], rows[(dates >= part[0]) & (dates <= part[-1])]) for part in parts]


def _ends(rows: np.ndarray, parts: int) -> np.ndarray:
    """Return where nights with these rows are cut, (parts - 1,): each part ends with the night that fills its share."""
    cut = np.arange(1, parts)
    ends = np.searchsorted(rows.cumsum() * parts, rows.sum() * cut) + 1
    ends = np.maximum.accumulate(ends - cut) + cut  # a night at least in each part
    return np.minimum(ends, len(rows) - parts + cut)


def best(model: Model, trials: Sequence[Trial]) -> Trial:
    """Return the best of the trials that were judged on every fold; of equals, the first."""
    metric = judged_by(model)
    found, *others = (trial for trial in trials if trial.state == "complete")
    for trial in others:
        if metrics.better(metric, trial.score, found.score):
            found = trial
    return found


def chosen(model: Model, trials: Sequence[Trial], presets: Mapping[str, Preset] | None = None) -> Model:
    """Return the model with the estimator that these trials of its search come to."""
    return with_estimator(model, _estimator(model, presets or _searched(model), best(model, trials).sampled))


def _estimator(model: Model, presets: Mapping[str, Preset], sampled: Arguments) -> Estimator:
    if not sampled:
        return model.estimator
    family = sampled.get(FAMILY, next(iter(presets)))
    preset = presets[family]
    values = {name: sampled[f"{family}.{name}"] for name in preset.space}
    key = "function" if preset.path == model.estimator.function else "class"
    return Estimator.model_validate({key: preset.path, "params": {**preset.fixed, **values}})


def with_estimator(model: Model, estimator: Estimator) -> Model:
    """Return ``model`` with another estimator."""
    return model.model_copy(update={"estimator": estimator})


def judged_by(model: Model) -> str:
    """Return the metric by which a search chooses: the one by which a challenger must beat the champion."""
    return next(gate.metric for gate in model.gates if gate.gate == "beats_champion")


def check(model: Model, own: Own = NOTHING) -> None:
    """Raise SpecError unless the estimator fits the task, and all that is searched is there, with good parameters."""
    if not model.estimator.is_trained:
        return
    require_estimator(model, own)
    if model.train.tune.trials:
        _presets(model, own)


def _presets(model: Model, own: Own) -> dict[str, Preset]:
    found = _searched(model)
    for preset in found.values():
        if preset.path == model.estimator.function:
            training_function(model, {**preset.fixed, **preset.space}, own)
            continue
        estimator_class(model, preset.path, preset.fixed, own=own)
        estimator_class(model, preset.path, preset.space, key="train.tune.space", own=own)
    return found


def _searched(model: Model) -> dict[str, Preset]:
    return _families(model) if model.train.automl else _declared(model)


def _declared(model: Model) -> dict[str, Preset]:
    path, own = model.estimator.named, preset_of(model.estimator.named)
    space = model.train.tune.space or (own.space if own else {})
    return {path.rpartition(".")[2]: Preset(path, model.estimator.params, space)}


def _families(model: Model) -> dict[str, Preset]:
    asked = model.train.automl
    chosen = {name: FAMILIES[name][model.task] for name in (FAMILIES if isinstance(asked, bool) else asked)}
    if not isinstance(asked, bool):
        return chosen
    there = {name: preset for name, preset in chosen.items() if find_spec(preset.path.partition(".")[0])}
    for name in chosen.keys() - there.keys():
        log.info("automl: family '%s' is left out, its library is not installed", name)
    return there


def _distribution(values: Values) -> BaseDistribution:
    if values.low is None or values.high is None:
        return CategoricalDistribution(values.choices or [])
    if values.integer:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _suggest(asked: optuna.Trial, name: str, values: Values) -> Any:
    if values.low is None or values.high is None:
        return asked.suggest_categorical(name, values.choices or [])
    if values.integer:
        return asked.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return asked.suggest_float(name, values.low, values.high, log=values.log)


def _seconds(trials: Sequence[Trial]) -> float:
    return sum(trial.seconds for trial in trials)


def _told(model: Model, trials: Sequence[Trial]) -> str:
    """Return the line of the newest trial: its number, what it came to, the best so far, what it was."""
    newest, found, metric = trials[-1], best(model, trials), judged_by(model)
    came_to = f"{metric} {newest.score:.5f}" if newest.scores else "no score"
    if newest.state == "pruned":
        came_to += f" after {len(newest.scores)} folds, given up"
    what = ", ".join(f"{name.rpartition('.')[2]}={_short(value)}" for name, value in newest.sampled.items())
    return (
        f"trial {newest.number + 1} of {model.train.tune.trials}: {came_to}{newest.note and ', ' + newest.note}; "
        f"best {found.score:.5f} (trial {found.number + 1}); {newest.estimator.rpartition('.')[2]} "
        f"{what or 'as declared'}; {newest.seconds:.1f} s"
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
