"""`nightshift trigger`: what it starts begins, and which runs it wakes are found among any number of others."""

from datetime import date, timedelta
from typing import Any

import pytest

from nightshift.cli.trigger import Woken, conf_of, require_on
from nightshift.errors import RequestError
from nightshift.runtime.api import PAGE

FIRST = date(2013, 1, 1)


class Airflow:
    """Airflow as its API shows it: the newest runs first, a page of them."""

    def __init__(self, *, paused: tuple[str, ...] = ()) -> None:
        self.paused = paused
        self.keys: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        return {"is_paused": path.removeprefix("/dags/") in self.paused}

    def runs(self, dag_id: str, *, partition_key_prefix_pattern: str = "", **_: Any) -> list[dict[str, Any]]:
        found = [
            {"dag_run_id": f"{dag_id} {number}", "partition_key": key, "state": "success"}
            for number, key in enumerate(self.keys)
            if key.startswith(partition_key_prefix_pattern)
        ]
        return found[::-1][:PAGE]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return {"state": "success"}

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return []


def test_a_dag_that_is_switched_off_is_not_triggered_and_waited_for() -> None:
    api = Airflow(paused=("collect_planes",))
    with pytest.raises(
        RequestError, match=r"DAG 'collect_planes' is switched off, .* switch it on in Airflow"
    ):
        require_on(api, "collect_planes")
    require_on(api, "collect_weather")


def test_each_night_of_a_long_range_is_found_among_the_runs_that_it_woke() -> None:
    api, nights = Airflow(), [str(FIRST + timedelta(days=n)) for n in range(2 * PAGE)]
    api.keys = [nights[0]]  # of before
    woken = [Woken.of(api, ("monitor_late",), night) for night in nights]
    api.keys += nights  # an announcement of a range starts them all at once
    told: list[str] = []
    for each in woken:
        each.wait(api, ("collect_weather", "by hand"), told.append, list)
    assert [line for line in told if line.endswith(": success")] == [
        f"monitor_late, {night}: success" for night in nights
    ]


def test_a_number_that_is_none_of_a_form_is_left_to_the_form() -> None:
    for value in ("9" * 5000, "-1", "1.5"):
        assert conf_of({}, [f"version={value}"]) == {"version": value}
    assert conf_of({}, ["version=7"]) == {"version": 7}
