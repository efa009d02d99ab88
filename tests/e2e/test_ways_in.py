"""Every way to start a night means the same partition (R12); what means none is refused, and changes nothing (S2)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import SECONDS
from examples.nyc_flights.demo import Demo
from nightshift.errors import RequestError
from nightshift.runtime.api import Json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# A night that nothing else here touches, of the source that is quickest to collect.
SOURCE, NIGHT = "weather", "2013-03-20"
COLLECT = f"collect_{SOURCE}"
LEAVE = {"downstream": "leave"}
MEGABYTE = "9" * 1_000_000
KNOWN = "known: batch_date, downstream, reason, until"
# What Airflow's API lets through: what is typed, a part of the message, and the run's partition key if it has one.
REFUSED: dict[str, tuple[Json, str, str | None]] = {
    # Today lies outside the example's year: a run without a date means its own night, and there is none.
    "no date": ({}, "outside the project's nights (2013-01-02 .. 2013-12-31", None),
    "no such night": (
        {"batch_date": "2012-02-01"},
        "batch date 2012-02-01: outside the project's nights",
        None,
    ),
    "contradiction": (
        {"batch_date": "2013-03-21"},
        f"the form says 2013-03-21, the run's partition key says {NIGHT}",
        NIGHT,
    ),
    "lax key": ({}, "partition key: expected a date YYYY-MM-DD, got '2013-3-20'", "2013-3-20"),
    "unknown key": ({"dat": NIGHT}, f"unknown parameter 'dat'; {KNOWN}", None),
    "misspelt key": ({"batch_dat": NIGHT}, "unknown parameter 'batch_dat'; did you mean 'batch_date'?", None),
    "megabyte": ({"dat": MEGABYTE}, f"unknown parameter 'dat'; {KNOWN}", None),
    "megabyte of a key": ({MEGABYTE: NIGHT}, "unknown parameter '9999", None),
}


@pytest.mark.parametrize("way", ["by hand", "with a logical date", "by partition key", "by backfill"])
def test_every_way_to_start_a_night_means_the_same_partition(stack: Demo, way: str) -> None:
    run_id = {
        "by hand": lambda: stack.api.trigger(COLLECT, conf={"batch_date": NIGHT, **LEAVE}),
        "with a logical date": lambda: with_logical_date(stack, f"{NIGHT}T12:00:00Z"),
        "by partition key": lambda: stack.api.trigger(COLLECT, partition_key=NIGHT, conf=LEAVE),
        "by backfill": lambda: by_backfill(stack),
    }[way]()
    stack.ended(COLLECT, stack.api.wait(COLLECT, run_id, SECONDS))
    landed = stack.warehouse.rows("SELECT batch_date FROM catalog.landings WHERE run_id = %s", (run_id,))
    # Only the schedule's own way looks back on the nights before.
    before = ["2013-03-18", "2013-03-19"] if way == "by partition key" else []
    assert sorted(str(row["batch_date"]) for row in landed) == [*before, NIGHT]
    rows = stack.warehouse.row("SELECT count(*) AS n FROM raw.weather WHERE batch_date = %s", (NIGHT,))
    assert rows == {"n": 72}


def with_logical_date(stack: Demo, instant: str) -> str:
    body = {"logical_date": instant, "conf": LEAVE}
    return stack.api.request("POST", f"/dags/{COLLECT}/dagRuns", json=body).json()["dag_run_id"]


def by_backfill(stack: Demo) -> str:
    body = {
        "dag_id": COLLECT,
        "from_date": f"{NIGHT}T00:00:00",
        "to_date": f"{NIGHT}T23:59:59",
        "dag_run_conf": LEAVE,
    }
    stack.api.request("POST", "/backfills", json={**body, "reprocess_behavior": "completed"})
    started = [
        r for r in stack.api.runs(COLLECT) if r["run_type"] == "backfill" and r["partition_key"] == NIGHT
    ]
    assert len(started) == 1
    return started[0]["dag_run_id"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_date", "2013-02-30"),
        ("batch_date", "2013-02-01\n"),
        ("batch_date", "x; id>{folder}/p"),
        ("batch_date", "'; DROP TABLE raw.weather; --"),
        ("batch_date", "{{{{conn}}}}"),
        ("batch_date", "../../etc/passwd"),
        ("batch_date", ["2013-02-01"]),
        ("batch_date", MEGABYTE),
        ("until", "{{{{ti}}}}"),
        ("downstream", "everything"),
        ("reason", MEGABYTE),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_value_is_refused_before_there_is_a_run(
    stack: Demo, key: str, value: Any, tmp_path: Path
) -> None:
    before = footprint(stack)
    typed = value.format(folder=tmp_path) if isinstance(value, str) else value
    with pytest.raises(RequestError, match=rf"400 (.*param )?{key}: "):
        stack.api.trigger(COLLECT, conf={"reason": "bad value", **LEAVE, key: typed})
    assert footprint(stack) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dag_id", "conf", "says"),
    [
        (COLLECT, {"batch_date": NIGHT, "until": "2013-02-01"}, "until: 2013-02-01 lies before batch_date"),
        (COLLECT, {"until": NIGHT}, "until: give batch_date too"),
        (f"replay_quarantine_{SOURCE}", {"action": "discard"}, "reason: needed to discard rows"),
        ("rollback_late_arrival", {"version": 1}, "Invalid input for param reason: No value passed"),
        ("rollback_late_arrival", {"reason": " "}, "Invalid input for param reason: "),
    ],
)
def test_a_form_that_contradicts_itself_or_gives_no_reason_is_refused_before_there_is_a_run(
    stack: Demo, dag_id: str, conf: Json, says: str
) -> None:
    before = {run["dag_run_id"] for run in stack.api.runs(dag_id)}
    with pytest.raises(RequestError, match=f": 400 {says}"):
        stack.api.trigger(dag_id, conf=conf)
    assert {run["dag_run_id"] for run in stack.api.runs(dag_id)} == before


@pytest.mark.parametrize(
    "key", ["x; id", "{{ds}}", "../2013-03-20", f"{NIGHT}\n", "2013-02-30", MEGABYTE], ids=lambda k: k[:20]
)
def test_partition_key_that_is_no_date_is_refused(stack: Demo, key: str) -> None:
    before = footprint(stack)
    with pytest.raises(RequestError, match=r": 4\d\d "):
        stack.api.trigger(COLLECT, conf=LEAVE, partition_key=key)
    assert footprint(stack) == before


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_form_cannot_check_fails_in_the_task(refused: dict[str, str], name: str) -> None:
    assert REFUSED[name][1] in refused[name]
    assert len(refused[name]) < 5_000, "the log repeats what was sent"


@pytest.fixture(scope="module")
def refused(stack: Demo) -> dict[str, str]:
    """Start all the runs that must fail; return the log of each. None of them changed anything."""
    before = footprint(stack)
    runs = {
        name: stack.api.trigger(COLLECT, conf={**LEAVE, **conf}, partition_key=key)
        for name, (conf, _, key) in REFUSED.items()
    }
    logs = {name: failure_of(stack, run_id) for name, run_id in runs.items()}
    assert footprint(stack) == before
    return logs


def footprint(stack: Demo) -> list[Any]:
    """Return what would differ if anything had been collected or overwritten."""
    tables = ["catalog.leases", "catalog.landings", "catalog.batches"]
    return [stack.warehouse.row(f"SELECT count(*), max(t::text) FROM {table} t") for table in tables]


def failure_of(stack: Demo, run_id: str) -> str:
    """Return the log of the task that failed."""
    assert stack.api.wait(COLLECT, run_id, SECONDS)["state"] == "failed"
    tasks = stack.api.task_instances(COLLECT, run_id)
    tried = [(t["task_id"], t["try_number"]) for t in tasks if t["state"] == "failed"]
    assert tried == [("collect", 1)], "a wrong date is not tried again"
    return "\n".join(stack.api.log(COLLECT, run_id, "collect"))


def by_command(stack: Demo, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "nightshift.cli", "trigger", *arguments]
    environment = os.environ | {"NIGHTSHIFT_HOME": str(stack.runtime.home)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_command_starts_a_night_and_waits_for_its_end(stack: Demo) -> None:
    before = {run["dag_run_id"] for run in stack.api.runs(COLLECT)}
    done = by_command(stack, COLLECT, "--from", NIGHT, "--leave", "--reason", "by command")
    assert done.returncode == 0, done.stderr
    assert "publish: skipped" in done.stdout
    (run,) = [run for run in stack.api.runs(COLLECT) if run["dag_run_id"] not in before]
    assert (run["state"], run["conf"]["reason"]) == ("success", "by command")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((COLLECT, "--from", "2012-02-01"), "batch date 2012-02-01: outside the project's nights"),
        ((COLLECT, "--as-of", NIGHT), f"{COLLECT} takes no 'as_of'; {KNOWN}"),
        (("colect_weather",), "DAG 'colect_weather' is unknown; did you mean 'collect_weather'?"),
    ],
)
def test_the_command_fails_with_the_reason(stack: Demo, arguments: tuple[str, ...], says: str) -> None:
    done = by_command(stack, *arguments)
    assert done.returncode == 1
    assert says in done.stderr
