"""Collect, validate and publish one source, every night.

- **collect** lands what the upstream delivers, untouched, as a file named by its hash.
- **validate** judges it: accepted rows replace the night in `raw.NAME`, rejected rows go to `quarantine.rows`
  with rule, column and value. A batch that breaks its contract fails here; the rows of the night stay as they
  were and nothing downstream runs. Its link opens the data docs.
- **publish** announces what is new; feature sets wait for all their sources. Nights that were corrected are
  built anew where they were built before; unchanged ones wake nobody, but for sets whose build of the night failed.

**When it fails.** *collect*: the upstream is down or changed; the message names connection and file. A night that
the schedule started tries again by itself until `retry_until`; one by hand three times. Then clear the task.
*validate*: the message names date, column and rule. Fix the upstream and clear *collect*, or change the rule in
`include/sources/NAME.yaml`.

**By hand.** Batch date, or a range with *until*. Choose `leave` to load history without waking what follows.
"""

from airflow.sdk import chain, dag, get_current_context, task

from nightshift import kept, results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import lifecycle, nightly, patient, project, raw, readers
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.links import linked
from nightshift.orchestration.publishing import left, publish
from nightshift.specs import Source


def collect_dag(source: Source) -> None:
    """Declare the DAG of one source."""

    @task(**patient(source))
    def collect() -> results.Collected:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.collect(
            run.platform, source.name, run.nights_of(source), run.asked, must_pass=run.nights
        )

    @task
    def validate() -> results.Validated:
        from nightshift import stages
        from nightshift.orchestration.links import file_url
        from nightshift.orchestration.run import this_run

        run = this_run()
        # Before the verdict: the docs of a batch that fails are those one wants to read.
        get_current_context()["ti"].xcom_push(
            "url", file_url(kept.data_docs(source.name, run.nights_of(source)))
        )
        with left(run, source.name):
            return stages.validate(
                run.platform, source.name, run.nights_of(source), run.asked, must_pass=run.nights
            )

    @dag(**lifecycle("collect", source, __doc__, schedule=nightly(), params=forms.RANGE))
    def flow() -> None:
        asset = raw(source.name)
        judged = traced(linked(validate(), "Data docs", "url"), writes=[asset.name])
        chain(collect(), judged, publish(asset, rebuilds=readers(source)))

    flow()


for each in project().sources.values():
    collect_dag(each)
