"""What a search costs beyond its candidates: a search for the flights model against a plain loop over the same ones.

    python benchmarks/tuning.py

Builds a month of the example's shape (37,000 rows, 24 features), searches the late_arrival model with a journal in a
real PostgreSQL, then fits and scores the same candidates on the same folds in a loop that does nothing else. Prints
two ratios: CPU of the search to that of the loop, and the seconds between trials (sampler, journal, waiting for the
server) to those of the trials. The exit code is 1 where one of them exceeds 5 %.
"""

import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # as tasks have it

import numpy as np
import pandas as pd

from features import server
from nightshift import metrics, train
from nightshift.objects import Objects
from nightshift.registry import Registry
from nightshift.specs import Estimator, FeatureSet, Model, load_project
from nightshift.stages import Platform
from nightshift.stages.searching import Journal
from nightshift.train import Search, Trial, tuning
from nightshift.warehouse import Warehouse, migrate

ROWS, NIGHTS, TRIALS, BAR = 37_000, 45, 12, 0.05


def frame(feature_set: FeatureSet) -> pd.DataFrame:
    """Return rows of the shape of the flights: the set's columns, 45 nights, a fifth of them late."""
    random = np.random.default_rng(0)
    made = {
        name: random.choice(list("abcdefghijklmnop"), ROWS) if kind == "string" else random.normal(size=ROWS)
        for name, kind in feature_set.columns.items()
    }
    rows = pd.DataFrame(made)
    rows["batch_date"] = [date(2013, 1, 1) + timedelta(days=int(n)) for n in np.arange(ROWS) * NIGHTS // ROWS]
    signal_ = rows["dep_hour"] + rows["late_origin_7d"] * rows["wind_last"] + random.normal(size=ROWS) * 2
    return rows.assign(label=(signal_ > signal_.quantile(0.8)).astype(float))


def plainly(search: Search, trials: list[Trial]) -> None:
    """Fit and score what the search fitted and scored, and nothing else."""
    for trial in trials:
        estimator = Estimator.model_validate({"class": trial.estimator, "params": dict(trial.params)})
        model = tuning.with_estimator(search.model, estimator)
        for fold in search.folds[: len(trial.scores)]:
            pipeline = train.fit(model, search.feature_set, fold.earlier, fold.earlier["label"])
            metrics.score(model.task, fold.later["label"], train.predict(pipeline, fold.later))


def main() -> int:
    """Run the benchmark; return 0 if the search costs at most 5 % beyond its candidates."""
    project = load_project()
    content = project.model("late_arrival").model_dump(by_alias=True)
    content["train"]["tune"] = {"trials": TRIALS}
    model, feature_set = Model.model_validate(content), project.feature_set("departure")
    search = train.search(model, feature_set, frame(feature_set))
    plainly(
        search, [Trial(0, model.estimator.path, model.estimator.params, {}, (0.0,), "complete", 0)]
    )  # warm
    with tempfile.TemporaryDirectory(prefix="nightshift-tuning-") as folder, server(Path(folder)) as url:
        migrate(url)
        platform = Platform(project, Warehouse(url), Registry("http://unused"), Objects(""), {}.__getitem__)
        journal = Journal(platform, model, "benchmark", "0" * 64)
        start, start_cpu = time.perf_counter(), time.process_time()
        trials = search.run(journal.read(), journal.record)
        searched, searched_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    start_cpu = time.process_time()
    plainly(search, trials)
    plain_cpu = time.process_time() - start_cpu
    tried = sum(trial.seconds for trial in trials)
    cpu, between = searched_cpu / plain_cpu - 1, searched / tried - 1
    print(f"{TRIALS} trials, {sum(len(trial.scores) for trial in trials)} fits on up to {ROWS:,} rows")
    print(f"search {searched_cpu:.2f} CPU-s, plain loop {plain_cpu:.2f} CPU-s: {cpu:+.1%} (bar {BAR:.0%})")
    print(f"search {searched:.2f} s, its trials {tried:.2f} s: {between:+.1%} (bar {BAR:.0%})")
    return 0 if max(cpu, between) <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
