"""The run a task finds itself in: which nights, asked by whom, with what handles. For use inside tasks."""

import csv
import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

from airflow.sdk import get_current_context

from nightshift.calendar import DateRange, compared, parse_date, resolve, typed
from nightshift.errors import ClearTask, NotReady, RequestError
from nightshift.freeform import Conf
from nightshift.orchestration.forms import checked
from nightshift.orchestration.platform import platform
from nightshift.specs import Project, Source, load_project
from nightshift.specs.derived import role_of
from nightshift.stages import Choice, Platform, Question, Try, Wanted

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEDULED, STARTED_BY_A_DAG = "scheduled", "operator_triggered"


@dataclass(frozen=True)
class Undated:
    """A run that is for no night. ``actor``: the user who started it by hand, or what did. ``reason``: why.

    ``values``: the form's own fields, as they were filled in. ``person``: who started it by hand, or None. ``kind``:
    Airflow's word for how it was started.
    """

    platform: Platform
    asked: Try
    actor: str
    reason: str
    values: Conf
    person: str | None
    kind: str

    @property
    def typed(self) -> DateRange | None:
        """The nights typed into the form, if any.

        Raises:
            RequestError: they are wrong.
        """
        return typed(self.platform.project.calendar, self.values)

    @property
    def as_of(self) -> date | None:
        """The night typed into the form as the one to begin with, if any.

        Raises:
            RequestError: it is wrong.
        """
        given = self.values.get("as_of")
        return given and self.platform.project.calendar.check(parse_date(given, "as_of"))


@dataclass(frozen=True)
class Run(Undated):
    """A run that is for a night, or for a range.

    ``nightly``: it is for its own partition, as the schedule's are; neither typed by hand nor a backfill's.
    ``redefines``: the definition of features was changed on purpose.
    """

    nights: DateRange
    downstream: Choice
    nightly: bool
    redefines: bool

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
    def makes_up(self) -> bool:
        """Whether it makes up for what was missed: it is nightly, wakes who follows, and no other run is at work."""
        return (
            self.nightly and self.downstream != "leave" and runs_of(get_current_context()["dag"].dag_id) <= 1
        )

    @property
    def nights_so_far(self) -> DateRange:
        """The nights typed into the form; without them, all from the project's first to the run's own."""
        first = (
            self.nights.first if self.values.get("batch_date") else self.platform.project.settings.first_night
        )
        return DateRange(first, self.nights.last)

    @property
    def is_dry(self) -> bool:
        """Whether a run that takes things away only says what: by hand as its form says, never by the schedule."""
        return bool(self.values["dry_run"]) and self.kind != SCHEDULED

    @property
    def wanted(self) -> Wanted:
        """Which entities the form asks for.

        Raises:
            RequestError: a line of keys is none of a CSV file.
        """
        try:
            keys = [tuple(key) for key in csv.reader(self.values["keys"] or [], strict=True)]
        except csv.Error as error:
            raise RequestError(f"keys: not lines of a CSV file: {error}") from error
        return Wanted(keys, self.values["where"] or [])

    @property
    def question(self) -> Question:
        """What an exploration was asked.

        Raises:
            RequestError: the range to compare with is wrong.
        """
        return Question(
            self.nights, compared(self.platform.project.calendar, self.values), self.values["sample"]
        )


def this_run(*, newest: bool = False) -> Run:
    """Return the run of the task that calls; ``newest``: of one that looks at the newest night that there is.

    Raises:
        RequestError: its parameters are wrong.
        SpecError: a connection or a spec is missing or wrong.
    """
    context: Any = get_current_context()
    project = load_project()
    values, nights = asked_for(project, context, newest=newest)
    caller = _caller(context, values)
    log.info("night %s, asked by %s", nights, caller["actor"])
    return Run(
        platform=platform(project, role_of(context["dag"].dag_id)),
        nights=nights,
        downstream=values.get("downstream") or "changed",
        nightly=is_nightly(context["dag_run"], values),
        redefines=values.get("definition") == "changed",
        **caller,
    )


def undated_run() -> Undated:
    """Return the run of a task that is for no night, however it was started.

    Raises:
        RequestError: its parameters are wrong.
        SpecError: a connection or a spec is missing or wrong.
    """
    context: Any = get_current_context()
    values = checked(context["dag_run"].conf, context["params"], dict(context["dag"].params.items()))
    return Undated(
        platform=platform(load_project(), role_of(context["dag"].dag_id)), **_caller(context, values)
    )


def _caller(context: Any, values: Conf) -> dict[str, Any]:
    dag_run = context["dag_run"]
    kind = _kind(dag_run)
    person = getattr(dag_run, "triggering_user_name", None)
    return {
        "asked": Try(
            sound_id(dag_run.run_id), context["ti"].try_number, is_backfill=kind.startswith("backfill")
        ),
        "actor": person or _origin(dag_run, kind),
        "person": person,
        "kind": kind,
        "reason": values.get("reason") or f"{kind} run",
        "values": values,
    }


def _origin(dag_run: Any, kind: str) -> str:
    """Return who started what nobody did: the stage whose decision it was, as a run's id begins; else the kind."""
    return dag_run.run_id.partition("__")[0] if kind == STARTED_BY_A_DAG else kind


def runs_of(dag_id: str) -> int:
    """Return how many runs of a DAG are queued or running."""
    ti: Any = get_current_context()["ti"]
    return int(ti.get_dr_count(dag_id, states=["queued", "running"]))


def still_told(said: T | None, task: str) -> T:
    """Return what a task before told. Of an old run it may be gone: Airflow's tables are cleaned.

    Raises:
        NotReady: it is.
    """
    if said is None:
        raise NotReady(
            f"what task '{task}' told is gone: rows of Airflow older than `retention.airflow` are",
            remedy=ClearTask(task),
        )
    return said


def sound_id(run_id: str) -> str:
    """Return the run's id. Airflow takes one that ends in a line feed: tables and links would show another run.

    Raises:
        RequestError: it holds a sign that is not printed.
    """
    if not run_id.isprintable():
        raise RequestError(
            f"run id {run_id!r}: expected printable characters only; start the run with another id"
        )
    return run_id


def is_nightly(dag_run: Any, values: Conf) -> bool:
    """Whether a run is for its own partition, as the schedule's are. A backfill touches no other dates."""
    of_partition = getattr(dag_run, "partition_key", None) is not None and values.get("batch_date") is None
    return of_partition and not _kind(dag_run).startswith("backfill")


def _kind(dag_run: Any) -> str:
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def asked_for(project: Project, context: Any, *, newest: bool = False) -> tuple[Conf, DateRange]:
    """Return the run's checked parameters and its nights; ``newest``: as :func:`nightshift.calendar.resolve`."""
    dag_run, params = context["dag_run"], context["params"]
    values = checked(dag_run.conf, params, dict(context["dag"].params.items()))
    dates = {"batch_date": values.get("batch_date") or values.get("as_of"), "until": values.get("until")}
    nights = resolve(
        project.calendar,
        params=dates,
        partition_key=getattr(dag_run, "partition_key", None),
        logical_date=dag_run.logical_date,
        run_after=dag_run.run_after,
        newest=newest,
    )
    return values, nights
