"""Watch the model: what came of its predictions, and whether the data has moved away from its training.

- **performance** measures past predictions whose labels have arrived.
- **verdict** compares the window of the last nights with the profile stored at training, on every row, and
  writes the night's verdict to `monitoring.verdicts`.
- **report** draws the same comparison (Evidently, on a sample); its link opens it. Nothing waits for it.

**When it fails.** The message names what is missing, nearly always the night's predictions. Clear the task.
"""

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import after, features, lifecycle, predictions, project
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.links import linked
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
        chain(performance(), decided, linked(report(), "Drift report", "url"))

    flow()


for each in project().models.values():
    monitor_dag(each)
