"""Write the catalog: which datasets there are, whose, what they hold, how fresh and how good they are.

- **describe** replaces `catalog.datasets` from the specs, and the page that *Catalog* in the navigation opens. A
  night older than the catalog's changes nothing.

It runs in the morning, when the nights are over. Trigger it to see now what has changed since.

**When it fails.** The message names the connection or the spec that is wrong. Clear the task. The page of the
night before stays until then; nothing else depends on it.
"""

from datetime import time

from airflow.sdk import dag, task

from nightshift import kept, results
from nightshift.orchestration import forms
from nightshift.orchestration.lifecycle import nightly, of_project
from nightshift.orchestration.links import linked

MORNING = time(6)


@task
def describe() -> results.Described:
    """Write tables and page."""
    from nightshift import stages
    from nightshift.orchestration.links import dag_url, file_url
    from nightshift.orchestration.run import this_run

    run = this_run(newest=True)
    facts = stages.describe(run.platform, run.night, run.asked, actor=run.actor, dag=dag_url)
    facts["url"] = file_url(kept.CATALOG)
    return facts


ABOUT = "What datasets there are, how fresh and how good they are."


@dag(**of_project("catalog", ABOUT, __doc__, schedule=nightly(MORNING), params=forms.NIGHT))
def flow() -> None:
    """Declare the DAG."""
    linked(describe(), "Catalog", "url")


flow()
