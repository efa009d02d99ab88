"""The sensor: wait for the night's verdict, ask the guards, start training.

- **verdict** waits without a worker slot. A night without a verdict by the deadline fails here: a silence is
  an alarm. Where several models are watched, one whose evidence is enough alone, but not beside the others, waits for
  their verdicts too, half an hour at most.
- **decide** asks the guards (a backfill, a fault, cooldown, budget, ...). A request held back is a row in
  `monitoring.retrain_requests` with what each guard said, and the night to wait for. A calm night ends here.
- **train** triggers `train_NAME` as of this night. The run id follows from the night: it starts once.

**When it fails.** *verdict*: the night did not finish; look at `monitor_NAME`, `score_NAME`, `features_...`. Clear it
once the verdict is there.
"""

from datetime import timedelta

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import lifecycle, nightly, project
from nightshift.orchestration.sensors import VerdictSensor
from nightshift.orchestration.trigger import start_training
from nightshift.specs import Model


def retrain_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    @task.short_circuit
    def decide() -> results.Retrain | None:
        from nightshift import stages
        from nightshift.orchestration.run import this_run
        from nightshift.orchestration.telemetry import tell_the_last

        run = this_run()
        answer = stages.decide_retraining(
            run.platform, model.name, run.night, run.asked, requested_by=run.person
        )
        print(answer["reason"])
        answer["as_of"] = str(run.night)
        if answer["start"]:
            return answer
        tell_the_last(answer)
        return None

    @dag(**lifecycle("retrain", model, __doc__, schedule=nightly(), params=forms.NIGHT))
    def flow() -> None:
        within = timedelta(minutes=model.retrain.verdict_within_minutes)
        train = start_training("train", model, decided_by="decide")
        chain(VerdictSensor(task_id="verdict", model=model.name, within=within), decide(), train)

    flow()


for each in project().models.values():
    if each.estimator.is_trained:  # another version of an imported model is brought by hand
        retrain_dag(each)
