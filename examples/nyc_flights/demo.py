"""`nightshift demo`: the loop closes on real flights, through Airflow's own scheduler.

History is collected as ranges, a champion is trained on the winter, and then nights of late July run one by one. In
July flights run late in a way no winter shows: trained to mid February, the model has a log loss of 0.59 to 0.61 on
fortnights of that month (0.51 on March); models of the weeks before them have 0.52 to 0.54. The thresholds are the
defaults of the specs. What is done already is found in the warehouse and not done again.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from nightshift.calendar import DateRange
from nightshift.cli.handles import of_the_stack
from nightshift.errors import NightshiftError, NotReady
from nightshift.freeform import Values
from nightshift.runtime.api import Client
from nightshift.runtime.state import Runtime
from nightshift.specs import Project, load_project
from nightshift.warehouse import Warehouse

MODEL = "late_arrival"
# What the champion is trained on, and what its challenger is, with two weeks before it to look back on.
HISTORY = [
    DateRange(date(2013, 1, 2), date(2013, 3, 4)),
    DateRange(date(2013, 5, 9), date(2013, 7, 21)),
]
CHAMPION_AS_OF = date(2013, 3, 4)
# A first champion of that date has a holdout: two weeks, with the days that labels take.
REPLAYED_FROM = HISTORY[-1].first + timedelta(days=30)
# From 17 July to 4 August a fortnight is enough to be sure that the winter's champion has gone stale: a challenger of
# the weeks before has a lower log loss in 98 % of the resamples of its days. Early in July it is lower, but not surely.
NIGHTS = [date(2013, 7, 22) + timedelta(days=n) for n in range(6)]
PICTURE = "docs/images/replay.png"
RUN_SECONDS = 600
LONGEST_REASON = 240
Row = Values

# Logs have no width of their own: wide enough there for the table.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


@dataclass(frozen=True)
class Demo:
    """The running stack, and what the demo asks of it."""

    runtime: Runtime
    api: Client
    warehouse: Warehouse

    def run(self, dag_id: str, **how: Any) -> Row:
        """Start a run and wait for its end. Raises NotReady with the failed task's log."""
        run_id = self.api.trigger(dag_id, **how)
        return self.ended(dag_id, self.api.wait(dag_id, run_id, RUN_SECONDS))

    def ended(self, dag_id: str, run: Row) -> Row:
        """Return ``run`` if it succeeded. Raises NotReady with the failed task's log."""
        if run["state"] != "success":
            told = self.api.failure(dag_id, run["dag_run_id"])
            raise NotReady(f"{dag_id}, run {run['dag_run_id']}: {run['state']}\n{told}")
        return run

    def all(self, dag_ids: list[str], **how: Any) -> None:
        """Start runs of several DAGs at once and wait for all of them."""
        started = {dag_id: self.api.trigger(dag_id, **how) for dag_id in dag_ids}
        for dag_id, run_id in started.items():
            self.ended(dag_id, self.api.wait(dag_id, run_id, RUN_SECONDS))


def run(runtime: Runtime, *, started_in: float) -> None:
    """Run the demo on a running stack, which took ``started_in`` seconds to start.

    Raises:
        NightshiftError: a run failed, or the warehouse does not show that the loop closed.
    """
    took = {"start": started_in}
    with Client.of(runtime) as api:
        demo = Demo(runtime, api, Warehouse(runtime.warehouse_as("reader")))
        began = time.monotonic()
        beside, nights = _steps(demo)
        changed = any([*beside, nights])
        aside = set_aside(demo) if changed else []
        _run_all(beside, nights, took)
        if changed:
            _reports(demo)
            # Its own cron is at six in the morning: nobody waits for that to open *Catalog*.
            demo.run("catalog", conf={"batch_date": str(NIGHTS[-1]), "reason": "the demo's nights"})
        _report(demo)
        if changed:
            split = ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items())
            console.print(f"Seconds: {split}; in all {started_in + time.monotonic() - began:.0f}")
    _require_closed(demo.warehouse)
    console.print(
        "[green]The loop closed.[/]"
        if changed
        else "[green]The loop was closed already: nothing was changed.[/]"
    )
    if aside:
        console.print(
            f"Paused, as they have no champion yet: {', '.join(aside)}. To start one: switch its DAGs on, collect and "
            "build the nights to learn from (downstream: leave), then trigger its train_ DAG."
        )
    _print_where(runtime)


def set_aside(demo: Demo) -> list[str]:
    """Pause what only models without a champion need, apart from the demo's own; return those models.

    Their score and monitor DAGs would follow the same features, and fail every night.
    """
    project = load_project()
    ready = "SELECT DISTINCT model FROM governance.promotions"
    busy = {MODEL, *(row["model"] for row in demo.warehouse.rows(ready))}
    idle = sorted(project.models.keys() - busy)
    only_theirs = _dags_of(project, idle) - _dags_of(project, sorted(busy & project.models.keys()))
    demo.api.wait_for_dags(only_theirs)
    for dag_id in sorted(only_theirs):
        demo.api.unpause(dag_id, paused=True)
    return idle


def _dags_of(project: Project, models: list[str]) -> set[str]:
    """Return the DAGs that run by themselves for these models."""
    dags = set()
    for name in models:
        dags |= {f"collect_{source}" for source in project.sources_of(name)}
        dags |= {f"{stage}_{name}" for stage in ("score", "monitor", "retrain")}
        dags.add(f"features_{project.model(name).features}")
    return dags


@dataclass(frozen=True)
class Step:
    """Something to do unless the warehouse shows that it is done. ``key`` names its time in the report."""

    key: str
    title: str
    done: Callable[[], bool]
    do: Callable[[], None]


def _steps(demo: Demo) -> tuple[list[list[Step]], list[Step]]:
    """Return what is not done yet: a chain of steps, those that may run side by side after it, and the nights."""

    def history(nights: DateRange) -> Step:
        title = f"history {nights}"
        return Step(title, title, lambda: _has_history(demo, nights), lambda: load_history(demo, nights))

    def night(date_: date) -> Step:
        title = f"night of {date_}"
        return Step(str(date_), title, lambda: _has_night(demo, date_), lambda: run_night(demo, date_))

    champion = Step(
        "champion",
        f"champion as of {CHAMPION_AS_OF}",
        lambda: _has_champion(demo),
        lambda: _champion(demo),
    )
    winter, spring = HISTORY
    # In their order: what is wrong with a night is told by the nights before it.
    beside = [[history(winter)], [champion], [history(spring)]]
    return [_open(chain) for chain in beside], _open([night(n) for n in NIGHTS])


def _open(steps: list[Step]) -> list[Step]:
    return [step for step in steps if not step.done()]


def _run_all(beside: list[list[Step]], nights: list[Step], took: dict[str, float]) -> None:
    with _progress(sum(map(len, [*beside, nights]))) as advance, ThreadPoolExecutor() as threads:

        def run(steps: list[Step]) -> None:
            for step in steps:
                started = time.monotonic()
                advance(step.title, 0)
                step.do()
                took[step.key] = time.monotonic() - started
                advance(f"{step.title}: {took[step.key]:.0f} s", 1)

        run(beside[0])
        list(threads.map(run, beside[1:]))
        run(nights)


def _reports(demo: Demo) -> None:
    """Wait until the last report is drawn: every night is looked at in the end."""
    for night in NIGHTS:
        monitor = f"monitor_{MODEL}"
        demo.ended(monitor, demo.api.wait_for_run(monitor, str(night), RUN_SECONDS))


def load_history(demo: Demo, nights: DateRange) -> None:
    """Collect the model's sources and build its features of a range of nights, waking nothing."""
    project = load_project().require_sound()
    conf = {
        "batch_date": str(nights.first),
        "until": str(nights.last),
        "downstream": "leave",
        "reason": "history for the demo",
    }
    demo.all([f"collect_{source}" for source in project.sources_of(MODEL)], conf=conf)
    demo.run(f"features_{project.model(MODEL).features}", conf=conf)


def _champion(demo: Demo) -> None:
    demo.run(f"train_{MODEL}", conf={"as_of": str(CHAMPION_AS_OF), "reason": "first champion, of the winter"})


def run_night(demo: Demo, night: date) -> None:
    """Start what the cron starts, for this night; the rest follows by assets."""
    project = load_project()
    key = str(night)
    cron = [*(f"collect_{source}" for source in project.sources_of(MODEL)), f"retrain_{MODEL}"]
    # It ends with retrain's answer to the verdict; the report is drawn while the next night begins.
    demo.all(cron, partition_key=key)
    request = demo.warehouse.row(
        "SELECT training_id FROM monitoring.retrain_requests WHERE model = %s AND batch_date = %s",
        (MODEL, night),
    )
    if request and request["training_id"]:
        demo.ended(f"train_{MODEL}", demo.api.wait(f"train_{MODEL}", request["training_id"], RUN_SECONDS))


def _has_history(demo: Demo, nights: DateRange) -> bool:
    project = load_project()
    spec = project.feature_set(project.model(MODEL).features)
    row = demo.warehouse.row(
        "SELECT count(*) AS nights FROM catalog.feature_batches "
        "WHERE feature_set = %s AND feature_version = %s AND batch_date BETWEEN %s AND %s",
        (spec.set, spec.version, nights.first, nights.last),
    )
    return bool(row and row["nights"] == len(nights.dates))


def _has_champion(demo: Demo) -> bool:
    found = demo.warehouse.row("SELECT 1 FROM governance.champion_on(%s, %s)", (MODEL, CHAMPION_AS_OF))
    return found is not None


def _has_night(demo: Demo, night: date) -> bool:
    found = demo.warehouse.row(
        "SELECT 1 FROM monitoring.verdicts v LEFT JOIN monitoring.retrain_requests r USING (model, batch_date) "
        "WHERE v.model = %s AND v.batch_date = %s "
        "AND (NOT v.retrain OR r.status = 'suppressed' OR r.outcome IS NOT NULL)",
        (MODEL, night),
    )
    return found is not None


def _report(demo: Demo) -> None:
    console.print(_night_by_night(demo))
    for row in demo.warehouse.rows(REQUESTS, (MODEL,)):
        state = row["outcome"] or row["status"]
        console.print(f"[bold]{row['batch_date']}[/] retraining {state}: {_shortened(row['reason'])}")
    for row in demo.warehouse.rows(DECISIONS, (MODEL,)):
        console.print(
            f"[bold]The gate[/], on {row['holdout_first']} .. {row['holdout_last']}, which neither had seen: "
            f"{_scores(row['champion'], row['champion_metrics'])}; "
            f"{_scores(row['challenger'], row['challenger_metrics'])}"
        )
    console.print(_stale_against_current(demo))


def _night_by_night(demo: Demo) -> Table:
    project = load_project()
    limit = project.model(MODEL).retrain.when.shift
    table = Table(
        title=f"{MODEL}, night by night", caption=CAPTION.format(limit=limit), box=SIMPLE_HEAD, pad_edge=False
    )
    table.caption_justify, table.padding = "left", (0, 1, 0, 0)
    for column, wraps in COLUMNS.items():
        table.add_column(
            column, justify="left" if wraps else "right", no_wrap=not wraps, min_width=len(column)
        )
    spec = project.feature_set(project.model(MODEL).features)
    of = {"model": MODEL, "feature_set": spec.set, "version": spec.version}
    for row in demo.warehouse.rows(NIGHT_BY_NIGHT, {**of, "first": NIGHTS[0], "last": NIGHTS[-1]}):
        loss, before = ((row[name] or {}).get("log_loss") for name in ("metrics", "before"))
        table.add_row(
            str(row["batch_date"]),
            f"{row['rows']:,}",
            str(row["quarantined"]),
            row["faults"] or "none",
            *(_evidence(row["reasons"], name) for name in ("shift", "harm")),
            _decision(row),
            f"v{row['model_version']}",
            _number(loss),
            _gain(before, loss),
        )
    return table


def _evidence(reasons: Row, name: str) -> str:
    said = next((each for each in reasons["said"] if each["name"] == name), None)
    return "-" if said is None or said["value"] is None else f"{said['value']:,.0f}"


def _decision(row: Row) -> str:
    """Return what a night asked for, and what came of it."""
    if not row["retrain"]:
        return "go on"
    asking = " and ".join(each["name"] for each in row["reasons"]["said"] if each["asks"])
    answer = f"held by {row['guard']}" if row["guard"] else row["outcome"] or row["request"] or "asked"
    return f"training for {asking}: {answer}"


def _gain(before: float | None, now: float | None) -> str:
    """Return what the champion gained on the version before, on the rows of this night that both scored."""
    return "" if before is None or now is None else f"{before - now:+.3f}"


def _stale_against_current(demo: Demo) -> str:
    """Score the stale champion on the nights that the current one served, as far as their labels are in."""
    served = demo.warehouse.rows(SERVED, {"model": MODEL, "first": NIGHTS[0], "last": NIGHTS[-1]})
    if not served:
        return "No night of the new champion has its labels yet."
    from nightshift import stages

    platform = of_the_stack(demo.runtime)
    nights = DateRange(served[0]["batch_date"], served[-1]["batch_date"])
    versions = [served[0]["stale"], served[0]["current"]]
    found = stages.compare(platform, MODEL, versions, nights, as_of=NIGHTS[-1])
    told = "; ".join(_scores(facts["version"], facts["metrics"]) for facts in found)
    return f"[bold]Since then[/], on {nights}, {found[0]['labels']:,} labels: {told}"


def _scores(version: int, metrics: dict[str, float | None]) -> str:
    return f"v{version} AUC {_number(metrics['roc_auc'])}, log loss {_number(metrics['log_loss'])}"


def _shortened(reason: str) -> str:
    if len(reason) <= LONGEST_REASON:
        return reason
    return f"{reason[:LONGEST_REASON].rpartition(';')[0]}; ..."


# Whether its words may take several lines.
COLUMNS = dict.fromkeys(("night", "rows", "aside"), False) | {"fault": True, "shift": False, "harm": False}
COLUMNS |= {"decision": True, "by": False, "log loss": False, "gain": False}
CAPTION = (
    "aside: rows in quarantine. shift, harm: evidence, {limit:g} asks for a training. gain: in log loss, over the "
    "version before, which scores the nights of a probation too. pending: labels are not in yet"
)
NIGHT_BY_NIGHT = """
SELECT p.batch_date, p.row_count AS rows, p.model_version, v.retrain, v.reasons, m.metrics, before.metrics AS before,
       r.status AS request, r.guard, r.outcome,
       (SELECT coalesce(sum(b.rejected), 0) FROM catalog.batches b WHERE b.batch_date = p.batch_date) AS quarantined,
       (SELECT string_agg(DISTINCT f.column_name, ', ') FROM monitoring.faults f
        WHERE f.batch_date = p.batch_date AND f.closed_at IS NULL
        AND f.feature_set = %(feature_set)s AND f.feature_version = %(version)s) AS faults
FROM catalog.prediction_batches p
JOIN monitoring.verdicts v USING (model, batch_date, arm)
LEFT JOIN monitoring.performance m USING (model, batch_date, arm)
LEFT JOIN monitoring.performance before
ON (before.model, before.batch_date, before.arm) = (p.model, p.batch_date, 'before')
LEFT JOIN monitoring.retrain_requests r ON (r.model, r.batch_date) = (p.model, p.batch_date)
WHERE p.model = %(model)s AND p.arm = 'champion' AND p.batch_date BETWEEN %(first)s AND %(last)s ORDER BY p.batch_date
"""
REQUESTS = """
SELECT batch_date, status, reason, outcome FROM monitoring.retrain_requests WHERE model = %s ORDER BY batch_date
"""
DECISIONS = """
SELECT d.challenger, d.champion, d.challenger_metrics, d.champion_metrics, s.holdout_first, s.holdout_last
FROM governance.decisions d JOIN governance.snapshots s USING (snapshot_id)
WHERE d.model = %s AND d.champion IS NOT NULL AND d.passed ORDER BY d.decided_at
"""
SERVED = """
SELECT m.batch_date, m.model_version AS current, d.champion AS stale
FROM monitoring.performance m
JOIN governance.decisions d ON d.model = m.model AND d.challenger = m.model_version AND d.champion IS NOT NULL
WHERE m.model = %(model)s AND m.arm = 'champion' AND m.batch_date BETWEEN %(first)s AND %(last)s ORDER BY m.batch_date
"""
# Each line is a statement about the loop that the warehouse must bear out, and the query that returns one row
# if it does not.
MUST_HOLD = {
    "every night has predictions of the champion of that night": """
        SELECT 1 FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS night
        LEFT JOIN catalog.prediction_batches p
        ON p.model = %(model)s AND p.batch_date = night::date AND p.arm = 'champion'
        LEFT JOIN LATERAL governance.champion_on(%(model)s, night::date) c ON true
        WHERE p.model_version IS DISTINCT FROM c.version""",
    "every scheduled flight has exactly one prediction": """
        SELECT 1 FROM raw.flights f FULL JOIN predictions.late_arrival_champion p USING (batch_date, flight_id)
        WHERE batch_date BETWEEN %(first)s AND %(last)s AND (f.flight_id IS NULL OR p.flight_id IS NULL)""",
    "every night has a verdict": """
        SELECT 1 FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS night
        LEFT JOIN monitoring.verdicts v ON v.model = %(model)s AND v.batch_date = night::date
        WHERE v.model IS NULL""",
    "a night asked for retraining, and its challenger was promoted": """
        SELECT 1 WHERE NOT EXISTS (
            SELECT 1 FROM monitoring.retrain_requests r JOIN governance.promotions p USING (training_id)
            WHERE r.model = %(model)s AND r.status = 'started' AND r.outcome = 'promoted')""",
    "a later night was scored by the new champion": """
        SELECT 1 WHERE NOT EXISTS (
            SELECT 1 FROM catalog.prediction_batches b JOIN governance.promotions p
            ON p.model = b.model AND p.version = b.model_version AND p.effective_from <= b.batch_date
            AND b.arm = 'champion'
            JOIN monitoring.retrain_requests r USING (training_id) WHERE b.model = %(model)s)""",
}


def _require_closed(warehouse: Warehouse) -> None:
    values = {"model": MODEL, "first": NIGHTS[0], "last": NIGHTS[-1]}
    broken = [words for words, query in MUST_HOLD.items() if warehouse.row(query, values)]
    if broken:
        raise NightshiftError("the loop did not close; not true: " + "; ".join(broken))


def _print_where(runtime: Runtime) -> None:
    console.print(
        f"The year, replayed: {PICTURE} (drawn by make bench-decisions); of the nights that are here: "
        f"nightshift replay {MODEL} --from {REPLAYED_FROM} --to {NIGHTS[-1]}",
        soft_wrap=True,
    )
    console.print(f"Airflow  {runtime.airflow_url}  user admin, password {runtime.admin_password}")
    console.print(
        f"MLflow   {runtime.mlflow_url}  user {runtime.mlflow_user}, password {runtime.mlflow_password}"
    )
    console.print("The stack stays up; `make down` stops it, `make status` shows it.")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int], None]]:
    if not console.is_terminal:
        yield lambda title, done: console.print(title) if done else None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda title, done: progress.update(task, description=title, advance=done)


def _number(value: float | None) -> str:
    return "pending" if value is None else f"{value:.3f}"
