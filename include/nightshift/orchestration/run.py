"""The run a task finds itself in: which nights, asked by whom, with what handles. For use inside tasks."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context

from nightshift.calendar import DateRange, compared, resolve
from nightshift.errors import RequestError
from nightshift.orchestration.forms import checked
from nightshift.orchestration.platform import platform
from nightshift.specs import Project, Source, load_project
from nightshift.stages import Choice, Platform, Question, Try

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """``actor``: the user who started the run by hand, or the kind of run. ``reason``: why, in words.

    ``nightly``: the run is for its own partition, as the schedule's are; neither typed by hand nor a backfill's.
    ``redefines``: the definition of features was changed on purpose.
    ``values``: the form's own fields, as they were filled in.
    """

    platform: Platform
    nights: DateRange
    asked: Try
    actor: str
    reason: str
    downstream: Choice
    nightly: bool
    redefines: bool
    values: Mapping[str, Any]

    @property
    def night(self) -> Any:
        """The only night of a run that is for one.

        Raises:
            RequestError: the run is for a range.
        """
        if not self.nights.is_single:
            raise RequestError(f"this task is for one night, not for {self.nights}")
        return self.nights.first

    def nights_of(self, source: Source) -> DateRange:
        """Return the nights to collect: the run's own and, if it is nightly, those the source looks back on."""
        if not self.nightly:
            return self.nights
        first = self.nights.first - timedelta(days=source.look_back_days)
        return DateRange(max(first, self.platform.project.settings.first_night), self.nights.last)

    @property
    def nights_so_far(self) -> DateRange:
        """The nights typed into the form; without them, all from the project's first to the run's own."""
        first = (
            self.nights.first if self.values.get("batch_date") else self.platform.project.settings.first_night
        )
        return DateRange(first, self.nights.last)

    @property
    def question(self) -> Question:
        """What an exploration was asked.

        Raises:
            RequestError: the range to compare with is wrong.
        """
        return Question(
            self.nights, compared(self.platform.project.calendar, self.values), self.values["sample"]
        )


@dataclass(frozen=True)
class Request:
    """A run that is for no night. The fields are those of :class:`Run`."""

    platform: Platform
    asked: Try
    actor: str
    reason: str
    values: Mapping[str, Any]


def this_request() -> Request:
    """Return the run of the task that calls, of a DAG whose form has no date.

    Raises:
        RequestError: its parameters are wrong.
        SpecError: a connection or a spec is missing or wrong.
    """
    context: Any = get_current_context()
    dag_run, kind = context["dag_run"], _kind(context["dag_run"])
    values = checked(dag_run.conf, context["params"], set(context["dag"].params))
    return Request(
        platform=platform(load_project()),
        asked=Try(dag_run.run_id, context["ti"].try_number),
        actor=getattr(dag_run, "triggering_user_name", None) or kind,
        reason=values.get("reason") or f"{kind} run",
        values=values,
    )


def this_run() -> Run:
    """Return the run of the task that calls.

    Raises:
        RequestError: its parameters are wrong.
        SpecError: a connection or a spec is missing or wrong.
    """
    context: Any = get_current_context()
    project = load_project()
    values, nights = asked_for(project, context)
    dag_run = context["dag_run"]
    kind = _kind(dag_run)
    actor = getattr(dag_run, "triggering_user_name", None) or kind
    asked = Try(dag_run.run_id, context["ti"].try_number, is_backfill=kind.startswith("backfill"))
    log.info("night %s, asked by %s", nights, actor)
    return Run(
        platform=platform(project),
        nights=nights,
        asked=asked,
        actor=actor,
        reason=values.get("reason") or f"{kind} run",
        downstream=values.get("downstream") or "changed",
        nightly=is_nightly(dag_run, values),
        redefines=values.get("definition") == "changed",
        values=values,
    )


def is_nightly(dag_run: Any, values: Mapping[str, Any]) -> bool:
    """Whether a run is for its own partition, as the schedule's are. A backfill touches no other dates."""
    of_partition = getattr(dag_run, "partition_key", None) is not None and values.get("batch_date") is None
    return of_partition and not _kind(dag_run).startswith("backfill")


def _kind(dag_run: Any) -> str:
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def asked_for(project: Project, context: Any) -> tuple[dict[str, Any], DateRange]:
    """Return the run's checked parameters and its nights."""
    dag_run, params = context["dag_run"], context["params"]
    values = checked(dag_run.conf, params, set(context["dag"].params))
    dates = {"batch_date": values.get("batch_date") or values.get("as_of"), "until": values.get("until")}
    nights = resolve(
        project.calendar,
        params=dates,
        partition_key=getattr(dag_run, "partition_key", None),
        logical_date=dag_run.logical_date,
        run_after=dag_run.run_after,
    )
    return values, nights
