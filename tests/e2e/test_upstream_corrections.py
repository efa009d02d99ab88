"""A file of the past is corrected upstream: the next night finds it, and only the nights built from it run again."""

from datetime import timedelta

import pandas as pd
import pytest

from e2e.conftest import MODEL, NIGHTS, SECONDS
from e2e.test_loop import wait_until
from examples.nyc_flights.demo import Demo
from examples.nyc_flights.local import weather_folder
from nightshift.cli.trigger import Woken, between, wait
from nightshift.errors import NotReady
from nightshift.specs import load_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CORRECTED, TONIGHT = NIGHTS[1], NIGHTS[2]


def test_a_corrected_file_of_the_past_wakes_its_nights_and_no_others(loop: Demo) -> None:
    """Two nights read the file and are built again. What comes out different goes on, and only that."""
    build, *after = ["features_departure", f"score_{MODEL}", f"monitor_{MODEL}"]
    before = {dag_id: keys(loop, dag_id) for dag_id in (build, *after)}
    hashes = features(loop)
    file = weather_folder(loop.runtime) / f"{CORRECTED - timedelta(days=1)}.csv"
    delivered = file.read_text()
    try:
        # 21.1 degrees Celsius, as all stations tell tenths of these: another number would be a fault.
        pd.read_csv(file, dtype=str).assign(temp="69.98").to_csv(file, index=False)
        collect_and_wait(loop, build, after[-1])
        woken = {dag_id: sorted(new(keys(loop, dag_id), before[dag_id])) for dag_id in before}
        assert woken == {build: [str(CORRECTED), str(TONIGHT)], **{key: [str(CORRECTED)] for key in after}}
        assert {night for night, content in features(loop).items() if content != hashes[night]} == {CORRECTED}
    finally:
        file.write_text(delivered)
        collect_and_wait(loop, build, after[-1])
    assert features(loop) == hashes, "mended upstream, the nights are what they were"


def test_who_waits_for_a_night_that_brings_nothing_new_is_told(loop: Demo) -> None:
    last = f"monitor_{MODEL}"
    way = (*between(load_project(), last), last)
    assert way == ("features_departure", f"score_{MODEL}", last)
    woken = Woken.of(loop.api, way, str(TONIGHT))
    run_id = loop.api.trigger("collect_weather", conf={"batch_date": str(TONIGHT)})
    wait(loop.api, "collect_weather", run_id, print)
    told = f"{last} was not woken for {TONIGHT}: what collect_weather found is not new; --set downstream=wake"
    with pytest.raises(NotReady, match=told):
        woken.wait(loop.api, ("collect_weather", run_id), print, list)


def collect_and_wait(loop: Demo, build: str, last: str) -> None:
    """Run the collection of tonight, which looks back, and wait for what it wakes."""
    built, watched = len(keys(loop, build)), len(keys(loop, last))
    loop.all(["collect_weather"], partition_key=str(TONIGHT))
    wait_until(lambda: len(keys(loop, build)) == built + 2 and len(keys(loop, last)) == watched + 1)
    for dag_id, night in ((build, TONIGHT), (last, CORRECTED)):
        loop.ended(dag_id, loop.api.wait_for_run(dag_id, str(night), SECONDS))


def keys(loop: Demo, dag_id: str) -> list[str]:
    """Return the partition keys of a DAG's runs."""
    return [run["partition_key"] for run in loop.api.runs(dag_id) if run["partition_key"]]


def new(now: list[str], before: list[str]) -> list[str]:
    """Return the keys that are there more often than before."""
    left = list(now)
    for key in before:
        left.remove(key)
    return left


def features(loop: Demo) -> dict:
    """Return the content hash of each night's features."""
    rows = loop.warehouse.rows(
        "SELECT batch_date, content_sha256 FROM catalog.feature_batches WHERE batch_date >= %s", (NIGHTS[0],)
    )
    return {row["batch_date"]: row["content_sha256"] for row in rows}
