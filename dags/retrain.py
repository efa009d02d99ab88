"""The sensor: wait for the night's verdict, ask the guards, start training.

- **verdict** waits without a worker slot. A night without a verdict by the deadline fails here: a silence is
  an alarm.
- **decide** asks the guards (backfill, one at a time, cooldown, rollback). A request held back is a row in
  `monitoring.retrain_requests` with the guard and its reason. A calm night ends here.
- **train** triggers `train_NAME` as of this night. The run id follows from the night: it starts once.

**When it fails.** *verdict*: the night did not finish; look at `monitor_NAME`, `score_NAME`, `features_...`.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import chain, dag, task

from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import lifecycle, nightly, project
from nightshift.orchestration.sensors import VerdictSensor
from nightshift.specs import Model


def retrain_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    @task.short_circuit
    def decide() -> dict[str, Any] | None:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        answer = stages.decide_retraining(run.platform, model.name, run.night, run.asked)
        print(answer["reason"])
        return {**answer, "as_of": str(run.night)} if answer["start"] else None

    @dag(**lifecycle("retrain", model, __doc__, schedule=nightly(), params=forms.NIGHT))
    def flow() -> None:
        within = timedelta(minutes=model.retrain.verdict_within_minutes)
        train = TriggerDagRunOperator(
            task_id="train",
            trigger_dag_id=f"train_{model.name}",
            trigger_run_id="{{ ti.xcom_pull('decide')['training_id'] }}",
            conf={
                "as_of": "{{ ti.xcom_pull('decide')['as_of'] }}",
                "reason": "{{ ti.xcom_pull('decide')['reason'][:500] }}",
            },
            # None, not the default of now: what a training is as of is in its parameters.
            logical_date=None,
            skip_when_already_exists=True,
            # It would add a key of its own to the form's values, and a key that no form has is refused.
            openlineage_inject_parent_info=False,
        )
        chain(VerdictSensor(task_id="verdict", model=model.name, within=within), decide(), train)

    flow()


for each in project().models.values():
    retrain_dag(each)
