"""What every DAG of ours shares: who owns it, when it runs, how it retries, which assets join it to the next."""

from collections.abc import Collection
from datetime import time, timedelta
from functools import cache, reduce
from operator import and_
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import Asset, Param, PartitionedAssetTimetable

from nightshift.freeform import Arguments
from nightshift.orchestration.retries import FIRST_DELAY, LONGEST_DELAY, RETRIES, USUAL, until
from nightshift.orchestration.telemetry import tell
from nightshift.orchestration.timetable import NightlyTimetable
from nightshift.specs import FeatureSet, Model, Project, Source, load_project
from nightshift.specs.derived import dag_id


@cache
def project() -> Project:
    """Return the project's specs, read once a parse."""
    return load_project()


def nightly(cron: str | None = None) -> NightlyTimetable:
    """Return the schedule of a night: one partition a calendar date of the project's time zone.

    ``cron``: at another hour than the project's nights start.
    """
    settings = project().settings
    last = str(settings.last_night) if settings.last_night else None
    return NightlyTimetable(
        cron or settings.cron, timezone=settings.timezone, first=str(settings.first_night), last=last
    )


def patient(source: Source) -> Arguments:
    """Return the arguments of a task that asks a source's upstream: tried until somebody counts on the night."""
    settings = project().settings
    minute, hour = map(int, settings.cron.split()[:2])
    return until(source.tried_until(settings.alerts.by), ZoneInfo(settings.timezone), time(hour, minute))


def after(*assets: Asset, rebuild: Asset | None = None) -> PartitionedAssetTimetable:
    """Return the schedule that follows: once all ``assets`` have the same batch date, or ``rebuild`` names it."""
    wanted: Any = reduce(and_, assets)
    return PartitionedAssetTimetable(assets=wanted | rebuild if rebuild else wanted)


def raw(source: str) -> Asset:
    """Return the asset of a source's accepted rows."""
    return Asset(name=f"raw.{source}", uri=f"x-nightshift://warehouse/raw/{source}", group="raw")


def features(feature_set: FeatureSet) -> Asset:
    """Return the asset of one version of a feature set."""
    table = feature_set.table
    return Asset(name=f"features.{table}", uri=f"x-nightshift://warehouse/features/{table}", group="features")


def readers(source: Source) -> list[FeatureSet]:
    """Return the feature sets that read a source."""
    return [spec for spec in project().feature_sets.values() if source.name in spec.inputs]


def stale(feature_set: FeatureSet) -> Asset:
    """Return the asset that names nights of a feature set whose inputs were corrected after they were built."""
    table = feature_set.table
    return Asset(name=f"stale.{table}", uri=f"x-nightshift://warehouse/stale/{table}", group="features")


def predictions(model: str) -> Asset:
    """Return the asset of a model's predictions."""
    return Asset(
        name=f"predictions.{model}", uri=f"x-nightshift://warehouse/predictions/{model}", group="predictions"
    )


def lifecycle(
    stage: str,
    spec: Source | FeatureSet | Model,
    doc: str | None,
    *,
    params: dict[str, Param],
    tags: Collection[str] = (),
    **more: Any,
) -> Arguments:
    """Return the arguments of ``@dag`` for one stage of one source, feature set or model; ``tags``: more of them."""
    return {
        "dag_id": dag_id(stage, spec),
        "description": spec.description,
        "doc_md": runbook(doc, spec),
        "tags": {stage, spec.owner, *getattr(spec, "tags", []), *names(spec), *tags},
        **_shared(spec.owner, params),
        **more,
    }


def names(spec: Source | FeatureSet | Model) -> set[str]:
    """Return the tags that name a spec and what it reads: one of them lists all DAGs of it and of what stands on it."""
    if isinstance(spec, Source):
        return {f"source:{spec.name}"}
    if isinstance(spec, FeatureSet):
        return {f"set:{spec.name}", *(f"source:{name}" for name in spec.inputs)}
    target = {f"source:{spec.target.source}"} if spec.target else set()
    return {f"model:{spec.name}", *names(project().feature_set(spec.features)), *target}


def of_project(
    dag_id: str, description: str, doc: str | None, *, params: dict[str, Param], **more: Any
) -> Arguments:
    """Return the arguments of ``@dag`` for what the project has one of."""
    owner = project().settings.owner
    about = {"dag_id": dag_id, "description": description, "doc_md": doc, "tags": {dag_id, owner}}
    return {**about, **_shared(owner, params), **more}


def _shared(owner: str, params: dict[str, Param]) -> Arguments:
    return {
        "catchup": False,
        "max_active_runs": 4,
        "params": params,
        "render_template_as_native_obj": False,
        "default_args": {
            "owner": owner,
            "retries": USUAL,
            "retry_delay": FIRST_DELAY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_DELAY,
            "retry_policy": RETRIES,
            "execution_timeout": timedelta(hours=2),
            "post_execute": tell,
        },
    }


def runbook(doc: str | None, spec: Source | FeatureSet | Model) -> str:
    """Return the module's docstring as this DAG's runbook, with the spec's own words first."""
    # Not by words: in `train_NAME` and `NAME_champion` it is part of one.
    text = (doc or "").replace("NAME", spec.name)
    return f"**{spec.name}**: {spec.description} Owner: {spec.owner}.\n\n{text}"
