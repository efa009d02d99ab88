"""OpenLineage through the real scheduler: the events of a night lead from the sources to the predictions."""

import json
from typing import Any

import pytest

from e2e.conftest import MODEL, NIGHTS
from examples.nyc_flights.demo import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

NIGHT = str(NIGHTS[0])


@pytest.fixture(scope="module")
def events(loop: Demo) -> list[dict[str, Any]]:
    """Return the events of all tasks that ended well, as a collector would get them."""
    text = (loop.runtime.home / "logs" / "openlineage.jsonl").read_text()
    return [event for event in map(json.loads, text.splitlines()) if event["eventType"] == "COMPLETE"]


def nights_of(event: dict[str, Any]) -> str | None:
    tags = event["run"]["facets"].get("tags", {}).get("tags", [])
    return next((tag["value"] for tag in tags if tag["key"] == "batch_date"), None)


def names(event: dict[str, Any], side: str) -> set[str]:
    assert {dataset["namespace"] for dataset in event.get(side, [])} <= {"nightshift"}
    return {dataset["name"] for dataset in event.get(side, [])}


def writers(events: list[dict[str, Any]], name: str, nights: str) -> list[dict[str, Any]]:
    return [e for e in events if name in names(e, "outputs") and nights_of(e) == nights]


def test_events_lead_from_the_sources_to_the_predictions_of_a_night(events: list[dict[str, Any]]) -> None:
    (scored,) = writers(events, f"predictions.{MODEL}", NIGHT)
    assert scored["job"]["name"] == f"score_{MODEL}.score"
    assert names(scored, "inputs") == {"features.departure_v1", f"models.{MODEL}"}
    (built,) = writers(events, "features.departure_v1", NIGHT)
    sources = {"raw.flights", "raw.arrivals", "raw.weather", "raw.aircraft"}
    assert names(built, "inputs") == sources
    for source in sources:
        (judged,) = writers(events, source, NIGHT)
        assert judged["job"] == {
            **judged["job"],
            "namespace": "nightshift",
            "name": f"{source.replace('raw.', 'collect_')}.validate",
        }
    # The run itself names the partition too.
    assert scored["run"]["facets"]["airflow"]["dagRun"]["partition_key"] == NIGHT


def test_events_lead_from_the_features_to_the_champion(events: list[dict[str, Any]]) -> None:
    (fitted,) = writers(events, f"models.{MODEL}", NIGHT)
    assert names(fitted, "inputs") == {f"snapshots.{MODEL}"}
    (frozen,) = writers(events, f"snapshots.{MODEL}", NIGHT)
    assert names(frozen, "inputs") == {"features.departure_v1", "raw.arrivals"}


def test_catalog_shows_the_nights_to_whoever_is_logged_in(loop: Demo) -> None:
    loop.run("catalog", conf={"batch_date": str(NIGHTS[-1])})
    page = (loop.runtime.home / "objects" / "catalog" / "index.html").read_text()
    assert f"As of the night of {NIGHTS[-1]}" in page
    rows = loop.warehouse.rows("SELECT kind, name, described_by FROM catalog.datasets ORDER BY 1, 2")
    assert {(row["kind"], row["name"]) for row in rows} >= {("model", MODEL), ("features", "departure_v1")}
    assert {row["described_by"] for row in rows} == {"admin"}
