"""Train a challenger, judge it fairly, promote it if it wins.

- **snapshot** freezes the rows that the night knew: features, and labels that had arrived. Named by its hash.
- **fit** trains the pipeline of the spec, after a search if that has a budget, logs it to MLflow, registers a
  version. Its link opens the run; a search shows one line a trial in the log.
- **evaluate** scores challenger and champion on the same holdout, later than anything either was trained on,
  and writes the decision with every gate's words to `governance.decisions`.
- **promote** writes the ledger, then moves the alias `champion`. Rejected challengers are not promoted; there
  is no other way in.
- **conclude** gives the request its outcome, so that the next retraining may start.

**By hand.** *As of*: train on what that night knew; the promotion takes effect on that night, or after the
last night that has been scored since. *Reason*: kept in the ledger.

**When it fails.** Clear the failed task: each step finds what it had already done. *Too few rows*: collect and
build the missing nights first. *UnfairHoldout*: train as of a later night.
"""

from typing import Any

from airflow.sdk import TriggerRule, chain, dag, task

from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import features, lifecycle, project, raw
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.links import linked
from nightshift.specs import Model


def train_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    @task
    def snapshot() -> dict[str, Any]:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.snapshot(run.platform, model.name, run.night, run.asked)

    @task(pool="training")
    def fit(frozen: dict[str, Any]) -> dict[str, Any]:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.fit(run.platform, model.name, frozen["snapshot_id"], run.asked, reason=run.reason)

    @task
    def evaluate() -> dict[str, Any]:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.evaluate(run.platform, model.name, run.night, run.asked, reason=run.reason)

    @task
    def promote() -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowSkipException

        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.promote(run.platform, model.name, run.night, run.asked, actor=run.actor)
        if facts["outcome"] == "rejected":
            raise AirflowSkipException(
                f"version {facts['version']} was rejected by its gates; the champion stays"
            )
        return facts

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def conclude() -> dict[str, Any]:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.conclude(run.platform, run.asked)

    @dag(**lifecycle("train", model, __doc__, schedule=None, params=forms.TRAIN, max_active_runs=1))
    def flow() -> None:
        read = [features(project().feature_set(model.features)).name, raw(model.target.source).name]
        frozen = traced(snapshot(), reads=read, writes=[f"snapshots.{model.name}"])
        fitted = linked(fit(frozen), "MLflow run", "url")
        traced(fitted, reads=[f"snapshots.{model.name}"], writes=[f"models.{model.name}"])
        chain(fitted, evaluate(), promote(), conclude())

    flow()


for each in project().models.values():
    train_dag(each)
