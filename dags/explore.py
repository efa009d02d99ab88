"""Look at the rows of a range: a page to read and share, a notebook to go on with.

- **explore** reads the range, counts every row, draws a sample, and sets a second range beside it if one is given.
  It keeps the sample as a file named by its hash. Its links open the page (*Report*) and download the notebook
  (*Notebook*), which opens exactly that file. Nothing else changes; the same question over the same rows gives the
  same files.

**By hand.** Always: it has no schedule. *Batch date* to *until* is the range. *Compare from* and *compare until* are
the range it is compared with. `catalog.explorations` keeps who looked, at what, and why.

**When it fails.** The message names the range without rows, or the date that is wrong. Ask for other nights, or
run what fills them first.
"""

from airflow.sdk import dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import lifecycle, project
from nightshift.orchestration.links import linked
from nightshift.specs import FeatureSet, Source

TAGS = ("explore",)  # of both kinds


def explore_source_dag(source: Source) -> None:
    """Declare the DAG that explores one source."""

    @task
    def explore() -> results.Explored:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.explore_source(
            run.platform, source.name, run.question, run.asked, actor=run.actor, reason=run.reason
        )
        facts["report_url"], facts["notebook_url"] = file_url(facts["report"]), file_url(facts["notebook"])
        return facts

    @dag(**lifecycle("explore_source", source, __doc__, schedule=None, params=forms.explore(), tags=TAGS))
    def flow() -> None:
        linked(linked(explore(), "Report", "report_url"), "Notebook", "notebook_url")

    flow()


def explore_features_dag(spec: FeatureSet) -> None:
    """Declare the DAG that explores one feature set."""

    @task
    def explore() -> results.Explored:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        facts = stages.explore_features(
            run.platform,
            spec.name,
            run.question,
            run.asked,
            target=run.values.get("target"),
            actor=run.actor,
            reason=run.reason,
        )
        facts["report_url"], facts["notebook_url"] = file_url(facts["report"]), file_url(facts["notebook"])
        return facts

    targets = [
        model.name for model in project().models.values() if model.features == spec.name and model.target
    ]
    form = forms.explore(targets)

    @dag(**lifecycle("explore_features", spec, __doc__, schedule=None, params=form, tags=TAGS))
    def flow() -> None:
        linked(linked(explore(), "Report", "report_url"), "Notebook", "notebook_url")

    flow()


for each in project().sources.values():
    explore_source_dag(each)
for spec in project().feature_sets.values():
    explore_features_dag(spec)
