"""A file of the past is corrected upstream: the next night finds it, and only the nights built from it run again."""

from datetime import timedelta

import pandas as pd
import pytest

from e2e.conftest import MODEL, NIGHTS, SECONDS
from nightshift.local.demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CORRECTED, TONIGHT = NIGHTS[1], NIGHTS[2]


def test_a_corrected_file_of_the_past_wakes_its_nights_and_no_others(loop: Demo) -> None:
    """The weather of one night is read by the features of that night and of the next."""
    chain = ["features_departure", f"score_{MODEL}", f"monitor_{MODEL}"]
    before = {dag_id: keys(loop, dag_id) for dag_id in chain}
    hashes = features(loop)
    file = loop.runtime.weather_folder / f"{CORRECTED - timedelta(days=1)}.csv"
    delivered = file.read_text()
    try:
        pd.read_csv(file, dtype=str).assign(temp="70.0").to_csv(file, index=False)
        loop.all(["collect_weather"], partition_key=str(TONIGHT))
        wait_for_two(loop, chain[-1], before[chain[-1]])
        woken = {dag_id: sorted(new(keys(loop, dag_id), before[dag_id])) for dag_id in chain}
        assert woken == {key: [str(CORRECTED), str(TONIGHT)] for key in chain}
        changed = {night for night, content in features(loop).items() if content != hashes[night]}
        assert changed == {CORRECTED, TONIGHT}
    finally:
        file.write_text(delivered)
        so_far = keys(loop, chain[-1])
        loop.all(["collect_weather"], partition_key=str(TONIGHT))
        wait_for_two(loop, chain[-1], so_far)
    assert features(loop) == hashes, "mended upstream, the nights are what they were"


def keys(loop: Demo, dag_id: str) -> list[str]:
    """Return the partition keys of a DAG's runs."""
    return [run["partition_key"] for run in loop.api.runs(dag_id) if run["partition_key"]]


def new(now: list[str], before: list[str]) -> list[str]:
    """Return the keys that are there more often than before."""
    left = list(now)
    for key in before:
        left.remove(key)
    return left


def wait_for_two(loop: Demo, dag_id: str, before: list[str]) -> None:
    """Wait until two more runs of a DAG have ended well."""
    from e2e.test_loop import wait_until

    wait_until(lambda: len(keys(loop, dag_id)) >= len(before) + 2)
    for night in (CORRECTED, TONIGHT):
        loop.ended(dag_id, loop.api.wait_for_run(dag_id, str(night), SECONDS))


def features(loop: Demo) -> dict:
    """Return the content hash of each night's features."""
    rows = loop.warehouse.rows(
        "SELECT batch_date, content_sha256 FROM catalog.feature_batches WHERE batch_date >= %s", (NIGHTS[0],)
    )
    return {row["batch_date"]: row["content_sha256"] for row in rows}
