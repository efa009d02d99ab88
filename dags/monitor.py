"""Watch the model: what came of its predictions, and whether the data has moved away from its training.

- **performance** derives the labels that were reported (`labels.NAME`), and measures past predictions whose labels have
  arrived: again where they or the predictions changed.
- **verdict** asks every reason of `retrain.when` (evidence of a shift or of harm, age, ...) and writes the night's
  verdict, with what each said, to `monitoring.verdicts`.
- **probation** compares a new champion with the version before, on the nights that both scored, and keeps what it finds
  in `monitoring.probations`. A champion that is surely worse is rolled back: **roll_back** triggers `rollback_NAME`.
- **report** draws the same comparison (Evidently, on a sample); its link opens it. Nothing waits for it.

**When it fails.** The message names what is missing, nearly always the night's predictions. Clear the task.
"""

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import after, features, lifecycle, predictions, project, raw
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.links import linked
from nightshift.orchestration.trigger import start_rollback
from nightshift.specs import Model


def monitor_dag(model: Model) -> None:
    """Declare the DAG of one model."""

    @task
    def performance() -> results.Measured:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.measure_performance(run.platform, model.name, run.night, run.asked)

    @task
    def verdict() -> results.Verdict:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.decide_verdict(run.platform, model.name, run.night, run.asked)

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def probation() -> results.Probation | None:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        answer = stages.judge_probation(run.platform, model.name, run.night, run.asked)
        print(answer["reason"])
        return answer if answer["roll_back"] else None

    @task
    def report() -> results.Reported:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.render_report(run.platform, model.name, run.night, run.asked)
        facts["url"] = file_url(facts["report"])
        return facts

    @dag(**lifecycle("monitor", model, __doc__, schedule=after(predictions(model.name)), params=forms.NIGHT))
    def flow() -> None:
        read = [features(project().feature_set(model.features)).name, predictions(model.name).name]
        decided = traced(verdict(), reads=read, writes=[f"verdicts.{model.name}"])
        measured = performance()
        if model.target:
            told = [raw(model.target.source).name, predictions(model.name).name]
            traced(measured, reads=told, writes=[f"labels.{model.name}"])
        chain(measured, decided, linked(report(), "Drift report", "url"))
        if model.target and model.retrain.probation_nights:
            chain(measured, probation(), start_rollback("roll_back", model, decided_by="probation"))

    flow()


for each in project().models.values():
    monitor_dag(each)
