"""Score the night with the champion.

- **score** resolves the champion of the night once. The ledger and the registry's alias must agree, and the
  model file must be the one that was promoted. Then it replaces the night in `predictions.NAME`; consumers read
  the view `predictions.NAME_champion`. It also scores those of the month before that were announced while this DAG
  was paused: Airflow keeps nothing for it.
- **publish** announces the night; monitoring follows. Also nights of the month before that were scored while the DAG
  of monitoring was paused.
- **beside** scores the night with the version before too, while a new champion is on probation
  (`retrain.probation_nights`): under the arm `before`, which no consumer reads. Nothing waits for it.

**When it fails.** *Ledger and alias differ*: somebody moved the alias by hand, or a promotion was cut short.
Trigger `reconcile_registry`, then clear *score*. *A fault is open*: a night's features are broken; the message names
column and sources. Mend the source and collect anew, or close it: `nightshift close-faults` (`docs/runbooks.md`).
*No champion*: trigger `train_NAME`. *The champion is bad*: trigger `rollback_NAME`.
Yesterday's predictions stand until the night is replaced.
"""

from datetime import date
from typing import TYPE_CHECKING

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import after, features, lifecycle, predictions, project
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.publishing import publish
from nightshift.specs import Model
from nightshift.specs.derived import dag_id

if TYPE_CHECKING:
    from nightshift.orchestration.run import Run


def score_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    def missed(run: "Run") -> list[str]:
        from nightshift import stages

        if not run.makes_up:
            return []
        return stages.score_missed(run.platform, model.name, run.nights.first, run.asked)

    @task
    def score() -> results.Scored:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        # An offset of `recalibrate` comes from the nights before; otherwise tonight waits for none of them.
        before = missed(run) if model.recalibrate else []
        scored = stages.score(run.platform, model.name, run.nights, run.asked)
        made_up = before if model.recalibrate else missed(run)
        return {**scored, "missed": made_up} if made_up else scored

    @task
    def beside() -> results.Beside:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.score_beside(run.platform, model.name, run.nights, run.asked)

    given, asset = features(project().feature_set(model.features)), predictions(model.name)

    def unwatched(run: "Run") -> list[date]:
        from nightshift import stages
        from nightshift.orchestration.run import runs_of

        if runs_of(dag_id("monitor", model)):
            return []
        return stages.unwatched(run.platform, model.name, run.nights.first, run.asked)

    @dag(**lifecycle("score", model, __doc__, schedule=after(given), params=forms.RANGE))
    def flow() -> None:
        scored = traced(score(), reads=[given.name, f"models.{model.name}"], writes=[asset.name])
        chain(scored, publish(asset, missed=unwatched))
        if model.target and model.retrain.probation_nights:
            chain(scored, beside())

    flow()


for each in project().models.values():
    score_dag(each)
