"""What tasks tell outside, made of what they return: metrics, by Airflow's own facility, and events as JSON lines.

Both are off until an operator switches them on in Airflow's configuration: ``[metrics] statsd_on`` or ``otel_on``, and
``[nightshift] events``. Names, dates, counts and evidence are told, never the value of a row. What cannot be sent is
lost with a line in the task's log: no task fails for it.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats

from nightshift import results
from nightshift.errors import NotReady, SpecError
from nightshift.orchestration.lineage import WholeLines
from nightshift.specs import load_project
from nightshift.specs.derived import stage_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """What a number is, by which names it is told apart, and what it means."""

    kind: Literal["gauge", "counter", "timer"]
    tags: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Sample:
    """A number of a metric; ``tags``: those that the stage and the name do not say."""

    metric: str
    value: float
    tags: Mapping[str, str]


# By the names that Airflow is given: StatsD puts its prefix before them, Prometheus makes the points underscores.
METRICS: dict[str, Metric] = {
    "nightshift.task.duration": Metric(
        "timer", ("stage", "name", "task"), "milliseconds of a task that ended well, of its last try"
    ),
    "nightshift.rows": Metric(
        "gauge",
        ("stage", "name", "what"),
        "rows of the newest run: landed, accepted, quarantined, built, scored",
    ),
    "nightshift.night": Metric(
        "gauge",
        ("stage", "name"),
        "the night that was done last, as the second of its cut-off since 1970: freshness is the time since",
    ),
    "nightshift.faults": Metric("gauge", ("name",), "faults that the newest build of a feature set found"),
    "nightshift.labels": Metric("gauge", ("name",), "labels that the performance of a model stands on"),
    "nightshift.verdicts": Metric("counter", ("name", "status"), "nights judged: ok, breached, too_few_rows"),
    "nightshift.harm": Metric(
        "gauge", ("name",), "evidence that a model's losses grew, as a share of its limit"
    ),
    "nightshift.shift": Metric(
        "gauge", ("name",), "evidence that a model's data moved, as a share of its limit"
    ),
    "nightshift.retrainings": Metric("counter", ("name",), "trainings that the reasons and guards started"),
    "nightshift.retrainings.held": Metric(
        "counter", ("name", "guard"), "nights that asked for a training, and which guard held it back"
    ),
    "nightshift.trainings": Metric(
        "counter",
        ("name", "outcome"),
        "trainings that ended: promoted, rejected, timed_out, stale, barred, failed",
    ),
    "nightshift.gates": Metric(
        "counter", ("name", "gate", "passed"), "what the gates said: passed, yes or no"
    ),
    "nightshift.retention.things": Metric(
        "counter", ("kind",), "what retention took away: files, rows of nights, runs of MLflow"
    ),
    "nightshift.retention.bytes": Metric("counter", ("kind",), "how many bytes that was"),
    "nightshift.alerts.open": Metric("gauge", (), "alerts that are open"),
    "nightshift.alerts.opened": Metric("counter", (), "alerts that were opened"),
    "nightshift.alerts.resolved": Metric("counter", (), "alerts that were resolved"),
    "nightshift.alerts.sent": Metric("counter", (), "messages that receivers took"),
    "nightshift.alerts.unsent": Metric(
        "counter", (), "messages that receivers did not take; they are sent later"
    ),
}


def tell(context: Any, result: Any) -> None:
    """Tell of a task that ended well: Airflow calls it after each of ours (``post_execute``)."""
    if not (switched_on() or event_target()):
        return
    ti, ended = context["ti"], datetime.now(UTC)
    try:
        stage, name = stage_of(context["dag"].dag_id)
    except SpecError:  # a DAG of the project's own, that borrows our arguments
        return
    seconds = (ended - ti.start_date).total_seconds()
    if switched_on():
        for sample in samples(stage, ti.task_id, result, seconds):
            send(sample, {"stage": stage, "name": name, "task": ti.task_id})
    told = counts(result)
    event("run", ended, stage=stage, name=name, task=ti.task_id, run_id=ti.run_id, try_number=ti.try_number,
          seconds=round(seconds, 3), **told)  # fmt: skip


def tell_the_last(result: Any) -> None:
    """Tell of the running task, which has all that follows skipped: Airflow calls no hook of ours after such a one."""
    tell(get_current_context(), result)


def tell_failure(context: Any) -> None:
    """Tell that a training failed: Airflow calls it when the last task found no outcome (``on_failure_callback``)."""
    if switched_on() and isinstance(context.get("exception"), NotReady):
        _, name = stage_of(context["dag"].dag_id)
        send(Sample("nightshift.trainings", 1, {"outcome": "failed"}), {"name": name})


def switched_on() -> bool:
    """Whether Airflow is configured to send metrics anywhere."""
    return any(conf.getboolean("metrics", key) for key in ("statsd_on", "otel_on", "statsd_datadog_enabled"))


def send(sample: Sample, known: Mapping[str, str]) -> None:
    """Hand a number to Airflow's metrics."""
    metric = METRICS[sample.metric]
    said = {**known, **sample.tags}
    tags = {name: stats.normalize_name_for_stats(said[name], log_warning=False) for name in metric.tags}
    if metric.kind == "counter":
        stats.incr(sample.metric, round(sample.value), tags=tags)
    elif metric.kind == "timer":
        stats.timing(sample.metric, sample.value, tags=tags)
    else:
        stats.gauge(sample.metric, sample.value, tags=tags)


def samples(stage: str, task: str, result: Any, seconds: float) -> Iterator[Sample]:
    """Yield what is measured of a task's result."""
    yield Sample("nightshift.task.duration", 1000 * seconds, {})
    told = TOLD.get((stage, task))
    if told and result is not None:
        yield from told(result)


def _collected(result: results.Collected) -> Iterator[Sample]:
    yield _rows("landed", result["rows"])


def _validated(result: results.Validated) -> Iterator[Sample]:
    yield _rows("accepted", result["accepted"])
    yield _rows("quarantined", result["quarantined"])
    yield from _night(result["nights"])


def _built(result: results.Built) -> Iterator[Sample]:
    yield _rows("built", result["rows"])
    yield Sample("nightshift.faults", len(result.get("faults", [])), {})
    yield from _night(result["nights"])


def _scored(result: results.Scored) -> Iterator[Sample]:
    yield _rows("scored", result["rows"])
    yield from _night(result["nights"])


def _measured(result: results.Measured) -> Iterator[Sample]:
    yield Sample("nightshift.labels", result["labels"], {})


def _judged(result: results.Verdict) -> Iterator[Sample]:
    yield Sample("nightshift.verdicts", 1, {"status": result["status"]})
    # Without evidence, 0: whoever keeps what he heard last would go on with that of a former champion.
    yield Sample("nightshift.harm", result.get("harm", 0.0), {})
    yield Sample("nightshift.shift", result.get("shift", 0.0), {})
    yield from _night(result["batch_date"])


def _asked(result: results.Retrain) -> Iterator[Sample]:
    if result["start"]:
        yield Sample("nightshift.retrainings", 1, {})
    elif guard := result.get("guard"):
        yield Sample("nightshift.retrainings.held", 1, {"guard": guard})


def _decided(result: results.Decided) -> Iterator[Sample]:
    for gate, passed in result["by_gate"].items():
        yield Sample("nightshift.gates", 1, {"gate": gate, "passed": "yes" if passed else "no"})


def _ended(result: results.Ended) -> Iterator[Sample]:
    yield Sample("nightshift.trainings", 1, {"outcome": result["outcome"]})


def _retained(result: results.Retained) -> Iterator[Sample]:
    if result["dry_run"]:
        return
    for kind, taken in result["kinds"].items():
        things, size = taken["things"], taken["bytes"]
        if kind == "mlflow":  # of each night that they wait they are found, and are told of once
            things, size = things - result["waiting"]["things"], size - result["waiting"]["bytes"]
        yield Sample("nightshift.retention.things", things, {"kind": kind})
        yield Sample("nightshift.retention.bytes", size, {"kind": kind})
    yield from _night(result["as_of"])


def _looked(result: results.Looked) -> Iterator[Sample]:
    yield Sample("nightshift.alerts.open", result["open"], {})
    yield Sample("nightshift.alerts.opened", result["opened"], {})
    yield Sample("nightshift.alerts.resolved", result["resolved"], {})


def _sent(result: results.Sent) -> Iterator[Sample]:
    yield Sample("nightshift.alerts.sent", result["delivered"], {})
    yield Sample("nightshift.alerts.unsent", result["failed"], {})


def _rows(what: str, rows: int) -> Sample:
    return Sample("nightshift.rows", rows, {"what": what})


def _night(nights: str) -> Iterator[Sample]:
    """Yield the last of some nights, a date or a range of two, as an instant."""
    last = date.fromisoformat(nights[-10:])
    yield Sample("nightshift.night", load_project().calendar.cutoff(last).timestamp(), {})


# What is measured of a result, by the stage of the DAG and the task.
TOLD: dict[tuple[str, str], Callable[[Any], Iterator[Sample]]] = {
    ("collect", "collect"): _collected,
    ("collect", "validate"): _validated,
    ("features", "build"): _built,
    ("score", "score"): _scored,
    ("monitor", "performance"): _measured,
    ("monitor", "verdict"): _judged,
    ("retrain", "decide"): _asked,
    ("train", "evaluate"): _decided,
    ("train", "conclude"): _ended,
    ("retention", "retain"): _retained,
    ("alerts", "evaluate"): _looked,
    ("alerts", "send"): _sent,
}


def event_target() -> str:
    """Return where events go, as ``[nightshift] events`` says: a file's path, ``stdout``, or nowhere."""
    return str(conf.get("nightshift", "events", fallback="") or "")


def event(kind: str, at: datetime, **facts: Any) -> None:
    """Write an event as a line of JSON: one write, so that lines of several processes do not mix."""
    target = event_target()
    if not target:
        return
    line = json.dumps({"at": at.isoformat(), "event": kind, **facts}) + "\n"
    try:
        if target == "stdout":
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            with WholeLines().open(target, "a") as file:
                file.write(line)
    except OSError as error:
        log.warning("event not written to %s: %s", target, error)


def counts(result: Any) -> dict[str, float]:
    """Return the numbers of a task's result, which are counts: no words, which may quote what was delivered."""
    if not isinstance(result, Mapping):
        return {}
    return {name: value for name, value in result.items() if isinstance(value, int | float)}
