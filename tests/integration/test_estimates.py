"""What a night is expected to come to before its labels: kept, repeated to the same, held against what came true."""

from datetime import date, timedelta
from typing import Any

import pytest

from integration.conftest import MODEL, SCORED
from nightshift import kept, stages
from nightshift.stages import Platform, Try

pytestmark = pytest.mark.integration

NIGHT = SCORED.last


def measure(platform: Platform, night: date) -> Any:
    return stages.measure_performance(platform, MODEL, night, Try("night"))


def estimates(platform: Platform) -> dict[date, dict[str, Any]]:
    rows = platform.warehouse.rows(
        "SELECT batch_date, model_version, sketch_sha256, result FROM monitoring.estimates ORDER BY batch_date"
    )
    return {row.pop("batch_date"): row for row in rows}


def test_a_night_is_estimated_before_its_labels_and_held_against_them_after(loop: Platform) -> None:
    said = [measure(loop, night) for night in SCORED.dates]
    found = estimates(loop)
    assert list(found) == list(SCORED.dates)
    for night, row in found.items():
        assert row["result"]["metrics"].keys() == {"roc_auc", "average_precision", "log_loss", "brier"}
        loss = row["result"]["metrics"]["log_loss"]
        assert loss["low"] < loss["value"] < loss["high"]
        # Labels mature two nights later.
        matured = max((night - SCORED.first).days - 1, 0)
        assert row["result"]["judged"] == matured
        assert 0 <= row["result"]["right"] <= matured
    assert "no night with such an estimate has its labels yet" in said[0]["expected"]
    assert "of 7 nights" in said[-1]["expected"]
    real = loop.warehouse.rows("SELECT batch_date, metrics FROM monitoring.performance")
    held = [
        found[row["batch_date"]]["result"]["metrics"]["log_loss"]["low"]
        <= row["metrics"]["log_loss"]
        <= found[row["batch_date"]]["result"]["metrics"]["log_loss"]["high"]
        for row in real
    ]
    assert found[NIGHT]["result"]["right"] == sum(held)


def test_a_night_that_is_run_again_is_estimated_the_same_whatever_is_known_since(loop: Platform) -> None:
    for night in SCORED.dates:
        measure(loop, night)
    before = estimates(loop)
    for night in (SCORED.first, NIGHT - 2 * timedelta(days=1)):
        measure(loop, night)
    assert estimates(loop) == before


def test_the_report_and_the_verdict_of_a_night_tell_it_and_nothing_waits_for_it(loop: Platform) -> None:
    stages.decide_verdict(loop, MODEL, NIGHT, Try("night"))
    without = loop.warehouse.rows("SELECT status, retrain FROM monitoring.verdicts")
    measure(loop, NIGHT)
    stages.decide_verdict(loop, MODEL, NIGHT, Try("night"))
    assert loop.warehouse.rows("SELECT status, retrain FROM monitoring.verdicts") == without
    stages.render_report(loop, MODEL, NIGHT, Try("night"))
    page = loop.objects.get(kept.report(MODEL, NIGHT)).decode()
    assert "Before labels: log_loss 0." in page
    assert "concept drift" in page


def test_a_version_from_before_there_were_estimates_is_measured_as_before(loop: Platform) -> None:
    loop.warehouse.execute(
        "ALTER TABLE governance.versions DISABLE TRIGGER USER; "
        "UPDATE governance.versions SET profile = profile - 'estimation'"
    )
    said = measure(loop, NIGHT)
    assert said["nights_measured"] > 0
    assert "expected" not in said
    assert estimates(loop) == {}
