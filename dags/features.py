"""Build one version of a feature set, when all its sources have the night, and again when one was corrected.

- **build** reads the inputs within their look-back, only what was known by the cut-off, runs the set's `build()`
  and replaces the night in the version's table, `features.<set>_v<version>`.
- **publish** announces the night; the models on this set score it. A night built again with the same content
  wakes nobody.

**When it fails.** The message names the night and the source that is missing, or the column that `build()` in
`include/features/NAME.py` did not return as declared. Fix it and clear the task: partitions are replaced whole.
*Built by another definition*: the module was changed in place. Make it the set's next version in a file of its own,
or rebuild all nights of this version with *definition* `changed`.
"""

from airflow.sdk import chain, dag, task

from nightshift import results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import after, features, lifecycle, project, raw, stale
from nightshift.orchestration.lineage import traced
from nightshift.orchestration.publishing import publish
from nightshift.specs import FeatureSet


def features_dag(spec: FeatureSet) -> None:
    """Declare the DAG of one feature set."""

    @task
    def build() -> results.Built:
        from nightshift import stages
        from nightshift.orchestration.run import this_run

        run = this_run()
        return stages.build_features(run.platform, spec.name, run.nights, run.asked, redefine=run.redefines)

    inputs, asset = [raw(source) for source in spec.inputs], features(spec)
    schedule = after(*inputs, rebuild=stale(spec))

    @dag(**lifecycle("features", spec, __doc__, schedule=schedule, params=forms.FEATURES))
    def flow() -> None:
        built = traced(build(), reads=[read.name for read in inputs], writes=[asset.name])
        chain(built, publish(asset))

    flow()


for each in project().feature_sets.values():
    features_dag(each)
