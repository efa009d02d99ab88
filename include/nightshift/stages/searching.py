"""The search inside a training: each trial is a row at once, so a task tried again goes on where it ended."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from nightshift import train
from nightshift.freeform import Arguments, Jsonable
from nightshift.platform import Platform
from nightshift.records import versions
from nightshift.records.versions import Tried
from nightshift.specs import FeatureSet, Model
from nightshift.train import Trial


@dataclass(frozen=True)
class Found:
    """The model with the estimator to train, and the trials that led to it: none where nothing is searched."""

    model: Model
    trials: tuple[Trial, ...] = ()

    def params(self) -> dict[str, str | int]:
        """Return what MLflow shows as parameters."""
        tune = self.model.train.tune
        if not self.trials:
            return {}
        return {"search": "automl" if self.model.train.automl else "tune", "search_folds": tune.folds}

    def metrics(self) -> dict[str, float]:
        """Return what MLflow shows as metrics: how many trials, what the best and the declared one came to."""
        if not self.trials:
            return {}
        metric = train.judged_by(self.model)
        return {
            "search_trials": len(self.trials),
            "search_seconds": sum(trial.seconds for trial in self.trials),
            f"search_best_{metric}": train.best(self.model, self.trials).score,
            f"search_declared_{metric}": self.trials[0].score,
        }

    def table(self) -> Jsonable:
        """Return every trial, for a file."""
        return {"metric": train.judged_by(self.model), "trials": [asdict(trial) for trial in self.trials]}


def find(platform: Platform, model: Model, rows: pd.DataFrame, snapshot_id: str, training_id: str) -> Found:
    """Search as ``model`` declares, over the rows to fit on; without ``train.tune.trials``, its own estimator.

    Raises:
        SpecError: what is to be searched is not there.
        NotReady: fewer nights than the folds need, or a fold without the metric.
    """
    if not model.train.tune.trials:
        return Found(model)
    feature_set = platform.project.feature_set(model.features)
    searched = train.search(model, feature_set, rows, platform.project.own)
    journal = Journal(platform, model, training_id, _sha256(model, feature_set, snapshot_id))
    trials = searched.run(journal.read(), journal.record)
    return Found(searched.winner(trials), tuple(trials))


@dataclass(frozen=True)
class Journal:
    """The trials of one search in ``governance.trials``."""

    platform: Platform
    model: Model
    training_id: str
    search_sha256: str

    def read(self) -> list[Trial]:
        """Return the trials that are there, by number."""
        found = self.platform.warehouse.all(
            versions.TRIED, training_id=self.training_id, search_sha256=self.search_sha256
        )
        return [_trial(row) for row in found]

    def record(self, trial: Trial) -> Trial:
        """Keep a trial; return it, or the one of its number that another try of this task kept before."""
        mine = Tried(
            training_id=self.training_id,
            search_sha256=self.search_sha256,
            trial=trial.number,
            model=self.model.name,
            estimator=trial.estimator,
            params=_readable(trial.params),
            sampled=dict(trial.sampled),
            metric=train.judged_by(self.model),
            scores=list(trial.scores),
            state=trial.state,
            seconds=trial.seconds,
            note=trial.note,
        )
        with self.platform.warehouse.session() as session:
            session.run(versions.TRY, mine)
            kept = session.one(
                versions.TRIAL,
                training_id=self.training_id,
                search_sha256=self.search_sha256,
                trial=trial.number,
            )
        return _trial(kept or mine)


def _readable(params: Arguments) -> Any:
    """Return parameters as JSON may hold them: YAML's dates, NaN and infinity become text."""
    return json.loads(json.dumps(dict(params), default=str), parse_constant=str)


def _trial(row: Tried) -> Trial:
    return Trial(
        number=row.trial,
        estimator=row.estimator,
        params=row.params,
        sampled=row.sampled,
        scores=tuple(row.scores),
        state=row.state,
        seconds=row.seconds,
        note=row.note,
    )


def _sha256(model: Model, feature_set: FeatureSet, snapshot_id: str) -> str:
    # Not the budget: more trials or seconds carry a search on.
    searched: Any = {
        "task": True,
        "estimator": True,
        "encoding": True,
        "train": {"automl": True, "tune": {"folds", "space"}},
    }
    declared = model.model_dump(mode="json", include=searched)
    content = [declared, train.judged_by(model), feature_set.columns, snapshot_id, train.FOLDS_OF]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
