"""`nightshift rename`: a model, source or feature set takes its history along to its new name."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import httpx

from nightshift.cli import handles
from nightshift.errors import NightshiftError, NotReady
from nightshift.runtime import state
from nightshift.runtime.api import Client
from nightshift.specs import FeatureSet, Model, Project, Source
from nightshift.specs.derived import STAGES

if TYPE_CHECKING:
    from nightshift.stages.renaming import Kind

KINDS: dict[str, type[Model] | type[Source] | type[FeatureSet]] = {
    "model": Model,
    "source": Source,
    "features": FeatureSet,
}
GOING_ON = ("queued", "running")


def run(kind: "Kind", old: str, new: str, *, reason: str, dry_run: bool) -> list[str]:
    """Return what was moved and what was left, in words.

    Of the servers that the environment names, or of the local stack, in whose Airflow nothing of ``old`` may run.

    Raises:
        NotReady: a run of ``old`` is going on, or as :func:`nightshift.stages.rename` says.
        RequestError: the specs do not say that ``old`` is ``new`` now.
    """
    platform = handles.platform(None)  # tables move: only their owner may
    if not os.environ.get(handles.WAREHOUSE):
        _require_no_runs(kind, _names(platform.project, kind, old, new))
    from nightshift import stages

    found = stages.rename(platform, kind, old, new, actor=_actor(), reason=reason, dry_run=dry_run)
    said = "would move" if dry_run else "moved"
    return [*(f"{said}  {words}" for words in found["moved"]), *(f"left  {words}" for words in found["left"])]


def _names(project: Project, kind: str, old: str, new: str) -> list[str]:
    """Return what DAGs were named after: of a set, the file of each version."""
    if kind != "features":
        return [old]
    return [old + spec.name.removeprefix(new) for spec in project.feature_sets.values() if spec.set == new]


def _require_no_runs(kind: str, names: Sequence[str]) -> None:
    try:
        with Client.of(state.load()) as api:
            for dag_id in (f"{stage}_{name}" for name in names for stage in STAGES[KINDS[kind]]):
                if running := _going_on(api, dag_id):
                    raise NotReady(
                        f"{dag_id}: run {running[0]['dag_run_id']} is {running[0]['state']}; "
                        "wait for its end, or end it, then rename"
                    )
    except httpx.TransportError:
        return  # no Airflow answers, so it runs nothing


def _going_on(api: Client, dag_id: str) -> list[dict[str, str]]:
    try:
        return list(api.runs(dag_id, state=GOING_ON))
    except NightshiftError:
        return []  # a DAG that never was


def _actor() -> str:
    return os.environ.get("USER") or "command"
