"""Start a run on the local stack by hand, and wait for it: what `nightshift trigger` does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nightshift.calendar import Calendar, DateRange, compared, parse_date, typed
from nightshift.cli.decided import decided
from nightshift.cli.waiting import waiting
from nightshift.database import Database
from nightshift.errors import NotReady, RequestError, did_you_mean
from nightshift.freeform import Conf
from nightshift.runtime import control
from nightshift.runtime.api import FINISHED, Client
from nightshift.specs import Project, derived, load_project
from nightshift.specs.derived import OF_THE_PROJECT, STAGES, is_of_a_spec

# A changed spec is parsed within 45 s; then its DAG is there.
SECONDS_TO_APPEAR = 120
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_RUN = 7200
SECONDS_TO_WAKE = 600
TOLD = frozenset({"running", "success", "failed", "skipped", "up_for_retry", "upstream_failed", "deferred"})
Tell = Callable[[str], None]


def start(
    dag_id: str, options: Conf, settings: Sequence[str], *, waits: bool, until: str | None, tell: Tell
) -> None:
    """Start a run on the local stack; with ``waits`` wait for its end, with ``until`` for that of the DAG it wakes.

    Raises:
        RequestError: what was asked for is not what the DAG takes, or what the project's nights allow; or a DAG is
            switched off.
        NotReady: nothing runs here; a run failed, or has not ended in time.
    """
    with Client.of(control.running()) as api:
        project = load_project()
        conf = conf_of(options, settings)
        require_nights(project.calendar, conf)
        way = (*between(project, until), until) if until else ()
        for name in (dag_id, *way):
            require_dag(api, name, declared_dags(project), tell)
            require_on(api, name)
        require_form(api, dag_id, conf)
        woken = [Woken.of(api, way, night) for night in nights_to_follow(conf)] if way else []
        if way and not woken:
            raise RequestError("--until: give --from, and not --leave: it wakes nothing")
        run_id = api.trigger(dag_id, conf=conf)
        tell(f"{dag_id}: started, run {run_id}")
        if waits:
            wait(api, dag_id, run_id, tell)
            tell(f"{dag_id}: success")
            for words in (*_waiting(project, dag_id, conf), *_decided(dag_id, run_id)):
                tell(words)
        for each in woken:
            each.wait(api, (dag_id, run_id), tell, lambda: _waiting(project, dag_id, conf))


def _waiting(project: Project, dag_id: str, conf: Conf) -> list[str]:
    """Return which sets wait for another source, after a collection of one night that was announced."""
    nights = nights_to_follow(conf)
    if len(nights) != 1 or not dag_id.startswith("collect_"):
        return []
    return waiting(
        Database(control.running().warehouse_as("reader")), project, parse_date(nights[0], "--from")
    )


def _decided(dag_id: str, run_id: str) -> list[str]:
    if not dag_id.startswith("train_"):
        return []
    return decided(Database(control.running().warehouse_as("reader")), run_id)


NUMBERS = {"every", "grace_hours", "sample", "starts", "version"}  # the forms' fields that take a number
MOST_DIGITS = 18
SWITCHES = {"dry_run"}  # and those that take true or false
LINES = {"changes", "keys", "where"}  # and those that take several values: each by a --set of its own
# The forms' fields that take a date, each with the option that gives it, if one does.
DATES = {
    "batch_date": "--from",
    "until": "--to",
    "as_of": "--as-of",
    "compare_from": "",
    "compare_until": "",
    "trained_until": "--trained-until",
    "first": "",
    "last": "",
}


def conf_of(options: Conf, settings: Sequence[str]) -> Conf:
    """Return the parameters of a run: those of ``options`` that were given, and ``KEY=VALUE`` settings.

    Raises:
        RequestError: a setting without ``=``, a key given twice, or no date where one is expected.
    """
    conf = {key: value for key, value in options.items() if value is not None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RequestError(f"--set {setting!r}: expected KEY=VALUE")
        if key in LINES:
            conf.setdefault(key, []).append(value)
            continue
        if key in conf:
            raise RequestError(f"--set {setting!r}: '{key}' is given already")
        conf[key] = _typed(key, value)
    for key in conf.keys() & DATES.keys():
        parse_date(conf[key], DATES[key] if options.get(key) else f"--set {key}")
    return conf


def _typed(key: str, value: str) -> str | int:
    if key in SWITCHES and value in ("true", "false"):
        return value == "true"
    is_number = key in NUMBERS and value.isdecimal() and len(value) <= MOST_DIGITS
    return int(value) if is_number else value  # what is none the form refuses


def require_nights(calendar: Calendar, conf: Conf) -> None:
    """Raise RequestError for dates that the run would fail on: a range that is reversed, or beyond the project's."""
    typed(calendar, conf)
    compared(calendar, conf)
    if conf.get("as_of"):
        calendar.check(parse_date(conf["as_of"], "as_of"))


def require_dag(api: Client, dag_id: str, declared: set[str], tell: Tell) -> None:
    """Return once Airflow knows the DAG; a declared one that it has not parsed yet is waited for.

    Raises:
        NotReady: it does not appear.
        RequestError: no spec declares it, or none does any more: Airflow forgets such a DAG only after a while,
            and starts none of its runs.
    """
    if dag_id not in declared and is_of_a_spec(dag_id):
        raise RequestError(
            f"DAG '{dag_id}' is declared by no spec that loads{did_you_mean(dag_id, declared)} "
            "`nightshift check` names the specs that do not load"
        )
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    told = False
    while dag_id not in (known := api.dags()):
        if dag_id not in declared:
            raise RequestError(f"DAG '{dag_id}' is unknown{did_you_mean(dag_id, [*known, *declared])}")
        if time.monotonic() > deadline:
            raise NotReady(
                f"DAG '{dag_id}' is declared, but Airflow does not show it; see `nightshift check`"
            )
        if not told:
            tell(f"waiting for Airflow to read the spec of {dag_id}")
        told = True
        time.sleep(2 * SECONDS_BETWEEN_LOOKS)


def require_on(api: Client, dag_id: str) -> None:
    """Raise RequestError for a DAG that is switched off: Airflow takes its runs, and begins none of them."""
    if api.get(f"/dags/{dag_id}")["is_paused"]:
        raise RequestError(
            f"DAG '{dag_id}' is switched off, and none of its runs would begin; switch it on in Airflow, then trigger"
        )


def require_form(api: Client, dag_id: str, conf: Conf) -> None:
    """Raise RequestError for a parameter that the DAG's form does not have: the run would fail on it."""
    form = api.get(f"/dags/{dag_id}/details")["params"] or {}
    for key in conf:
        if key not in form:
            raise RequestError(f"{dag_id} takes no '{key}'{did_you_mean(key, form)}")


def wait(api: Client, dag_id: str, run_id: str, tell: Tell, *, timeout: float = SECONDS_TO_RUN) -> None:
    """Return once the run has succeeded; each task's state is told when it changes.

    Raises:
        NotReady: the run failed (with the end of the failed task's log), or has not ended in time.
    """
    deadline = time.monotonic() + timeout
    seen: dict[str, str] = {}
    while (run := api.run(dag_id, run_id))["state"] not in FINISHED:
        _tell_news(api, dag_id, run_id, seen, tell)
        if time.monotonic() > deadline:
            raise NotReady(
                f"run {run_id} of {dag_id}: still {run['state']} after {timeout:.0f} s; it goes on"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
    _tell_news(api, dag_id, run_id, seen, tell)
    if run["state"] != "success":
        raise NotReady(f"{dag_id}, run {run_id}: {run['state']}\n{api.failure(dag_id, run_id)}")


@dataclass(frozen=True)
class Woken:
    """A DAG that the run wakes in the end: its run for the night is one that was not there before."""

    dag_id: str
    night: str
    between: tuple[str, ...]
    before: frozenset[str]

    @classmethod
    def of(cls, api: Client, way: tuple[str, ...], night: str) -> "Woken":
        """Return what to wait for, the last DAG of ``way``, and what was there before the run is started."""
        before = frozenset(run["dag_run_id"] for dag_id in way for run in _runs(api, dag_id, night))
        return cls(way[-1], night, way[:-1], before)

    def wait(self, api: Client, run: tuple[str, str], tell: Tell, missing: Callable[[], list[str]]) -> None:
        """Return once the DAG has succeeded for the night.

        ``run``: the DAG and run that wake it in the end; ``missing`` says which sets wait for what, if any do.

        Raises:
            NotReady: as :func:`wait`; it is not woken, since nothing came that is new or a DAG between has failed.
        """
        deadline = time.monotonic() + SECONDS_TO_WAKE
        while not (found := self._new(api, self.dag_id)):
            self._require_news(api, *run)
            for name in self.between:
                for each in self._new(api, name):
                    self._require_goes_on(api, name, each)
            if time.monotonic() > deadline:
                why = "; ".join(missing()) or "another source is missing, or what came was not new"
                raise NotReady(f"{self.dag_id} was not woken for {self.night}: {why}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        wait(
            api,
            self.dag_id,
            found[0]["dag_run_id"],
            lambda news: tell(f"{self.dag_id}, {self.night}, {news}"),
        )
        tell(f"{self.dag_id}, {self.night}: success")

    def _require_goes_on(self, api: Client, dag_id: str, run: Conf) -> None:
        """Raise NotReady for a run of a DAG between after which nothing will be woken: it failed, or found no news."""
        run_id = run["dag_run_id"]
        if run["state"] == "failed":
            why = f"{dag_id}, run {run_id}: failed\n{api.failure(dag_id, run_id)}"
            raise NotReady(f"{self.dag_id} was not woken for {self.night}: {why}")
        if run["state"] == "success":
            self._require_news(api, dag_id, run_id)

    def _require_news(self, api: Client, dag_id: str, run_id: str) -> None:
        """Raise NotReady for a run that has announced nothing: its content was announced before."""
        states = {task["task_id"]: task["state"] for task in api.task_instances(dag_id, run_id)}
        wakers = [state for name, state in states.items() if name.startswith(("publish", "rebuild_"))]
        if wakers and all(state == "skipped" for state in wakers):
            raise NotReady(
                f"{self.dag_id} was not woken for {self.night}: what {dag_id} found is not new; "
                "--set downstream=wake wakes what follows all the same"
            )

    def _new(self, api: Client, dag_id: str) -> list[Conf]:
        return [run for run in _runs(api, dag_id, self.night) if run["dag_run_id"] not in self.before]


def _runs(api: Client, dag_id: str, night: str) -> list[Conf]:
    """Return a DAG's runs for a night, the newest first: of a long range the newest of all may not be its."""
    found = api.runs(dag_id, partition_key_prefix_pattern=night)
    return [run for run in found if run.get("partition_key") == night]


def _tell_news(api: Client, dag_id: str, run_id: str, seen: dict[str, str], tell: Tell) -> None:
    for task in api.task_instances(dag_id, run_id):
        name, state = task["task_id"], task["state"]
        if state in TOLD and state != seen.get(name):
            seen[name] = state
            tell(f"{name}: {state}")


def declared_dags(project: Project) -> set[str]:
    """Return the ids of the DAGs that the specs declare."""
    specs: list[derived.Named] = [
        *project.sources.values(),
        *project.feature_sets.values(),
        *project.models.values(),
    ]
    untrained = {
        derived.dag_id("retrain", model)
        for model in project.models.values()
        if not model.estimator.is_trained
    }
    declared = {derived.dag_id(stage, spec) for spec in specs for stage in STAGES[type(spec)]}
    return declared - untrained | {*OF_THE_PROJECT}


def nights_to_follow(conf: Conf) -> list[str]:
    """Return the nights that a run is for and whose followers it wakes; none if it leaves them."""
    if conf.get("downstream") == "leave" or not conf.get("batch_date"):
        return []
    first = parse_date(conf["batch_date"], "--from")
    nights = DateRange(first, parse_date(conf["until"], "--to") if conf.get("until") else first)
    return [str(night) for night in nights.dates]


def between(project: Project, dag_id: str) -> tuple[str, ...]:
    """Return the DAGs that a night goes through from its sources to ``dag_id``, in their order."""
    for model in project.models.values():
        way = (
            derived.dag_id("features", project.feature_sets[model.features]),
            *(derived.dag_id(stage, model) for stage in ("score", "monitor")),
        )
        if dag_id in way:
            return way[: way.index(dag_id)]
    return ()
