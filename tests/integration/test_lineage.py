"""Lineage by ids: from a prediction to the deliveries it was made of, in one query, against what was really read."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from importlib import import_module
from typing import Any

import pandas as pd
import pytest

from nightshift import featurise, stages
from nightshift.calendar import DateRange
from nightshift.errors import BatchRejected
from nightshift.landing import stacked
from nightshift.objects import sha256
from nightshift.root import ROOT
from nightshift.stages import Platform, Try, features
from nightshift.types import content_sha256
from nightshift.warehouse import Warehouse, raw_table

pytestmark = pytest.mark.integration

collect = import_module("nightshift.stages.collect")  # `stages` has a function of this name
MODEL = "late_arrival"
NIGHT = date(2013, 2, 5)  # the last that the history has scored
ONE = DateRange(NIGHT, NIGHT)
DAY = timedelta(days=1)
# As of 28 January: trained on the 6th to the 19th, judged on the 20th to the 26th.
TRAINED = DateRange(date(2013, 1, 6), date(2013, 1, 26))
AS_OF = date(2013, 1, 28)

Batch = tuple[str, date]


def runbook_query(heading: str) -> str:
    """Return the first statement below a heading of the runbooks."""
    text = (ROOT / "docs" / "runbooks.md").read_text().partition(f"\n## {heading}\n")[2]
    found = re.search(r"```sql\n(.*?);\n```", text, re.DOTALL)
    assert found, heading
    return found[1]


def origins(platform: Platform) -> list[dict[str, Any]]:
    """Return the runbook's answer about one flight of NIGHT."""
    flight = platform.warehouse.row(
        "SELECT min(flight_id) AS id FROM predictions.late_arrival_champion WHERE batch_date = %s", (NIGHT,)
    )
    assert flight
    query = runbook_query("Lineage").replace("2013-07-24", str(NIGHT)).replace("EWR-1545-UA", flight["id"])
    assert flight["id"] in query
    return platform.warehouse.rows(query)


def batches(rows: Iterable[dict[str, Any]], role: str) -> set[Batch]:
    return {(row["source"], row["source_batch_date"]) for row in rows if row["role"] == role}


def visible(platform: Platform, nights: DateRange) -> set[Batch]:
    """Return the raw batches of which these nights see rows, found row by row."""
    project, found = platform.project, set()
    spec = project.feature_set("departure")
    for source, given in spec.inputs.items():
        frame = platform.warehouse.read(raw_table(project.source(source)), date(2012, 12, 1), nights.last)
        for night in nights.dates:
            known = frame["known_at"] <= pd.Timestamp(project.calendar.cutoff(night))
            days = frame["batch_date"].dt.date
            near = (days >= night - timedelta(days=given.look_back_days)) & (days <= night)
            found |= {(source, day) for day in days[known & near]}
    return found


def test_one_query_leads_from_a_prediction_to_every_delivery_behind_it(loop: Platform) -> None:
    rows = origins(loop)
    assert batches(rows, "scored") == visible(loop, ONE)
    assert batches(rows, "training features") == visible(loop, TRAINED)
    arrivals = loop.warehouse.rows(
        "SELECT DISTINCT batch_date AS day FROM raw.arrivals WHERE batch_date BETWEEN %s AND %s AND known_at <= %s",
        (TRAINED.first, AS_OF, loop.project.calendar.cutoff(AS_OF)),
    )
    assert batches(rows, "training labels") == {("arrivals", row["day"]) for row in arrivals}
    (version,) = loop.warehouse.rows("SELECT version, snapshot_id FROM governance.versions")
    assert {(row["model_version"], row["snapshot_id"]) for row in rows} == {tuple(version.values())}
    assert {row["rebuilt_since"] for row in rows} == {False}
    assert {row["landed_by"] for row in rows} == {"history"}
    for row in rows[::20]:
        assert sha256(loop.objects.get(row["landed_file"])) == row["landed_sha256"]


def test_a_failed_delivery_is_not_named_where_the_rows_of_an_older_one_stand(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {row["landed_sha256"] for row in origins(loop) if row["source"] == "weather"}
    monkeypatch.setattr(collect, "in_blocks", lambda frames, rows: [stacked(list(frames)).assign(temp="hot")])
    stages.collect(loop, "weather", ONE, Try("broken"))
    with pytest.raises(BatchRejected):
        stages.validate(loop, "weather", ONE, Try("broken"))
    stages.build_features(loop, "departure", ONE, Try("after"))
    rows = [row for row in origins(loop) if row["source"] == "weather"]
    assert {row["landed_sha256"] for row in rows} == before
    assert {row["landed_by"] for row in rows} == {"history"}


def test_what_is_delivered_anew_is_named_once_it_is_built_from(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def corrected(frames: Iterable[pd.DataFrame], rows: int) -> list[pd.DataFrame]:
        frame = stacked(list(frames))
        return [frame.assign(temp=frame["temp"].to_numpy()[::-1])]

    monkeypatch.setattr(collect, "in_blocks", corrected)
    stages.collect(loop, "weather", ONE, Try("corrected"))
    stages.validate(loop, "weather", ONE, Try("corrected"))
    assert {row["landed_by"] for row in origins(loop)} == {"history"}, "nothing has been built from it"
    stages.build_features(loop, "departure", ONE, Try("after"))
    scored = [row for row in origins(loop) if row["role"] == "scored"]
    assert {(r["source"], r["source_batch_date"]) for r in scored if r["landed_by"] == "corrected"} == {
        ("weather", NIGHT)
    }
    assert {row["rebuilt_since"] for row in scored} == {True}, "the predictions stand on the features before"
    stages.score(loop, MODEL, ONE, Try("after"))
    assert {row["rebuilt_since"] for row in origins(loop)} == {False}


def test_features_their_record_and_their_inputs_are_replaced_together(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> list[Any]:
        tables = ("features.departure_v1", "catalog.feature_batches", "catalog.feature_inputs")
        query = (
            "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) AS hash FROM {} t WHERE batch_date = %s"
        )
        return [loop.warehouse.row(query.format(table), (NIGHT,)) for table in tables]

    before = kept()
    real, compute = features.feature_inputs_table, featurise.compute
    monkeypatch.setattr(featurise, "compute", lambda *given: compute(*given).assign(temp_last=1.0))
    monkeypatch.setattr(features, "feature_inputs_table", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stages.build_features(loop, "departure", ONE, Try("crash"))
    assert kept() == before
    monkeypatch.setattr(features, "feature_inputs_table", real)
    stages.build_features(loop, "departure", ONE, Try("again"))
    assert all(now != then for now, then in zip(kept()[:2], before[:2], strict=True))
    assert kept()[2] == before[2]


def test_a_snapshot_names_what_it_was_frozen_from_for_good(loop: Platform) -> None:
    def frozen() -> list[dict[str, Any]]:
        return loop.warehouse.rows(
            "SELECT i.batch_date, i.content_sha256 FROM catalog.snapshot_inputs i JOIN governance.versions v "
            "USING (snapshot_id) ORDER BY 1"
        )

    before = frozen()
    assert [row["batch_date"] for row in before] == list(TRAINED.dates)
    built = loop.warehouse.rows(
        "SELECT batch_date, content_sha256 FROM catalog.feature_batches WHERE batch_date BETWEEN %s AND %s ORDER BY 1",
        (TRAINED.first, TRAINED.last),
    )
    assert before == built
    loop.warehouse.execute("UPDATE catalog.feature_batches SET content_sha256 = 'other'")
    loop.warehouse.execute("DELETE FROM catalog.feature_inputs")
    rows = origins(loop)
    assert frozen() == before
    assert batches(rows, "training features") == visible(loop, TRAINED)


def test_edges_lead_from_the_batches_to_the_predictions(loop: Platform) -> None:
    upstream = loop.warehouse.rows(
        "WITH RECURSIVE up AS (SELECT l.* FROM catalog.lineage l WHERE downstream_kind = 'predictions' "
        "AND downstream_id = %s UNION SELECT l.* FROM catalog.lineage l JOIN up "
        "ON (l.downstream_kind, l.downstream_id) = (up.upstream_kind, up.upstream_id)) SELECT * FROM up",
        (f"{MODEL}/{NIGHT}",),
    )
    steps = {(edge["upstream_kind"], edge["downstream_kind"]) for edge in upstream}
    assert steps == {
        ("batch", "features"),
        ("features", "snapshot"),
        ("batch", "snapshot"),
        ("snapshot", "model version"),
        ("model version", "predictions"),
        ("features", "predictions"),
    }
    named = {edge["upstream_id"] for edge in upstream if edge["upstream_kind"] == "batch"}
    told = {f"{r['source']}/{r['source_batch_date']}/{r['landed_sha256']}" for r in origins(loop)}
    assert named == told


def test_a_reading_sees_one_instant_whatever_is_written_meanwhile(loop: Platform) -> None:
    table = raw_table(loop.project.source("weather"))
    with loop.warehouse.reading() as reading:
        before = content_sha256(reading.read(table, NIGHT, NIGHT))
        Warehouse(loop.warehouse.url).execute("DELETE FROM raw.weather WHERE batch_date = %s", (NIGHT,))
        assert content_sha256(reading.read(table, NIGHT, NIGHT)) == before
    assert loop.warehouse.read(table, NIGHT, NIGHT).empty
