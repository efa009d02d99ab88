"""OpenLineage: which datasets a task reads and writes, told to whoever collects lineage.

Not by inlets and outlets: an outlet announces the asset, and OpenLineage drops assets whose scheme it does not know.
A task says it itself, by the method that the provider looks for on an operator.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from airflow.sdk import XComArg

NAMESPACE = "nightshift"


def traced(output: Any, *, reads: Sequence[str] = (), writes: Sequence[str] = ()) -> Any:
    """Let the events of the task behind ``output`` name the datasets it reads and writes; return ``output``."""
    if isinstance(output, XComArg):
        output.operator.get_openlineage_facets_on_complete = partial(_lineage, reads, writes)
    return output


def _lineage(reads: Sequence[str], writes: Sequence[str], task_instance: Any) -> Any:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import tags_run

    from nightshift.orchestration.run import asked_for
    from nightshift.specs import load_project

    _, nights = asked_for(load_project(), task_instance.get_template_context())
    tag = tags_run.TagsRunFacetFields("batch_date", str(nights), NAMESPACE)
    return OperatorLineage(
        inputs=[Dataset(NAMESPACE, name) for name in reads],
        outputs=[Dataset(NAMESPACE, name) for name in writes],
        run_facets={"tags": tags_run.TagsRunFacet([tag])},
    )


class WholeLines:
    """What OpenLineage's file transport opens its file with: an event is one write, so that no two mix."""

    @contextmanager
    def open(self, path: str, mode: str) -> Iterator[SimpleNamespace]:
        """Yield something to write text to the end of the file with."""
        with open(path, "ab", buffering=0) as file:
            yield SimpleNamespace(write=lambda text: file.write(text.encode()))
