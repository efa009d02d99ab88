"""Recalibration on real nights: the same offset however nights are scored, kept with them, asked of at the gate."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from integration.conftest import MODEL, SCORED, Ops, redelivered, train, with_model
from nightshift import metrics, replay, stages
from nightshift.calendar import DateRange
from nightshift.platform.fitted import load_version
from nightshift.platform.frozen import read_snapshot, split
from nightshift.platform.inputs import read_labels
from nightshift.platform.papers import decision_of, version_row
from nightshift.score.recalibration import as_served, offset, on_holdout, shifted, undone, window
from nightshift.stages import Platform, Rehearsal, Try, Wanted
from nightshift.types import content_sha256
from nightshift.warehouse import feature_table, prediction_table

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
NIGHTS = DateRange(date(2013, 2, 1), date(2013, 2, 6))
RECORDED = (
    "SELECT p.batch_date, p.model_version, p.recalibration, s.recalibration AS sketched, s.sketch_sha256 "
    "FROM catalog.prediction_batches p JOIN catalog.prediction_sketches s USING (model, batch_date, arm) "
    "WHERE p.model = %s AND p.batch_date BETWEEN %s AND %s ORDER BY p.batch_date"
)


def recalibrated(platform: Platform, **more: Any) -> Platform:
    return with_model(
        platform, lambda m: m.update(recalibrate={"window_days": 14, "shrink_nights": 7}, **more)
    )


def recorded(platform: Platform, nights: DateRange = NIGHTS) -> list[dict]:
    return platform.warehouse.rows(RECORDED, (MODEL, nights.first, nights.last))


def predictions(platform: Platform, nights: DateRange = NIGHTS) -> pd.DataFrame:
    model = platform.project.model(MODEL)
    table = prediction_table(model, platform.project.feature_set(model.features))
    return platform.warehouse.read(table, nights.first, nights.last).drop(columns="run_id")


def raw(platform: Platform, night: date) -> pd.Series:
    """Return what the version of a night says of it by itself, by flight."""
    model = platform.project.model(MODEL)
    rows = platform.warehouse.read(feature_table(platform.project.feature_set(model.features)), night, night)
    version = recorded(platform, DateRange(night, night))[0]["model_version"]
    return pd.Series(load_version(platform, model, version)(rows), index=rows["flight_id"])


def test_a_range_comes_to_what_its_nights_come_to_one_at_a_time_and_again(loop: Platform) -> None:
    month = recalibrated(loop)
    for night in NIGHTS.dates:
        stages.score(month, MODEL, DateRange(night, night), Try(f"night {night}"))
    alone, kept = predictions(month), recorded(month)
    assert {json.dumps(row["recalibration"]) for row in kept} != {json.dumps(kept[0]["recalibration"])}
    told = stages.score(month, MODEL, NIGHTS, Try("range"))
    assert content_sha256(predictions(month)) == content_sha256(alone)
    assert recorded(month) == kept
    # A night that is long past, scored again.
    stages.score(month, MODEL, DateRange(NIGHTS.first, NIGHTS.first), Try("again"))
    assert content_sha256(predictions(month)) == content_sha256(alone)
    assert recorded(month) == kept
    assert told["recalibrated"][-1].startswith(f"{NIGHTS.last}: moved by ")


def test_the_offset_is_that_of_the_nights_before_by_labels_known_then_and_is_undone_to_what_was_said(
    loop: Platform,
) -> None:
    month = recalibrated(loop)
    model = month.project.model(MODEL)
    stages.score(month, MODEL, NIGHTS, Try("range"))
    served = predictions(month)
    for row in recorded(month):
        night, kept = row["batch_date"], row["recalibration"]
        assert row["sketched"] == kept
        seen = window(model, night)
        own = [day for day in SCORED.dates if seen.first <= day <= seen.last]
        labels = read_labels(month, model, seen.first, night).set_index("flight_id")["label"]
        says = [raw(month, day) for day in own]
        expected = offset(model, [(one.to_numpy(), labels.reindex(one.index).to_numpy()) for one in says])
        assert (kept["nights"], kept["labels"]) == (expected.nights, expected.labels)
        assert expected.nights == len(own) > 0
        assert kept["offsets"] == {"prediction": pytest.approx(expected.values[0], abs=1e-6)}
        mine = served[served["batch_date"] == pd.Timestamp(night)].set_index("flight_id")["prediction"]
        by = list(kept["offsets"].values())
        said = raw(month, night).reindex(mine.index).to_numpy()
        assert (shifted("classification", said, by) == mine.to_numpy()).all()
        assert np.abs(undone("classification", mine.to_numpy(), by) - said).max() < 1e-15
        assert (said != mine.to_numpy()).any()


def test_a_correction_that_comes_later_does_not_change_a_night_of_then(loop: Platform, ops: Ops) -> None:
    """Every flight of 5 February on time after all, reported on the 7th: the night of the 7th could not know."""
    month = recalibrated(ops.serve(loop))
    night = DateRange(date(2013, 2, 7), date(2013, 2, 7))
    stages.score(month, MODEL, DateRange(date(2013, 2, 5), night.last), Try("first"))
    before = recorded(month, night), content_sha256(predictions(month, night))
    changed = ops.run(
        "UPDATE ops.arrivals SET arr_delay = -10, reported_at = '2013-02-07 12:00-05' WHERE flight_date = '2013-02-05'"
    )
    assert changed > 500
    later = DateRange(date(2013, 2, 8), date(2013, 2, 8))
    stages.collect(month, "arrivals", later, Try("corrected"))
    stages.validate(month, "arrivals", later, Try("corrected"))
    stages.score(month, MODEL, night, Try("again"))
    assert (recorded(month, night), content_sha256(predictions(month, night))) == before
    stages.score(month, MODEL, later, Try("later"))
    labels = recorded(month, later)[0]["recalibration"]
    stages.score(loop, MODEL, later, Try("off"))
    assert recorded(month, later)[0]["recalibration"] is None
    assert labels["offsets"]["prediction"] < before[0][0]["recalibration"]["offsets"]["prediction"] - 0.05


def test_a_night_whose_positives_are_not_in_yet_moves_nothing_whenever_it_is_asked(loop: Platform) -> None:
    """No late flight of 4 February and since is known: to go by what is, all flights would be likely on time."""
    month, on = recalibrated(loop), date(2013, 2, 8)
    since = DateRange(date(2013, 2, 6), on)
    stages.score(month, MODEL, since, Try("all known"))
    known = recorded(month, since)[-1]["recalibration"]
    assert known["nights"] == 10
    away = "known_at = known_at + interval '30 days' WHERE arr_delay > 15 AND flight_date >= '2013-02-04'"
    assert redelivered(loop, f"UPDATE raw.arrivals SET {away}") > 200
    stages.score(month, MODEL, since, Try("a range"))
    of_range = recorded(month, since)
    short = of_range[-1]["recalibration"]
    assert short["nights"] == 7, "28 January to 3 February"
    assert abs(short["offsets"]["prediction"] - known["offsets"]["prediction"]) < 0.1
    for night in since.dates:
        stages.measure_performance(month, MODEL, night, Try("monitored"))
        stages.score(month, MODEL, DateRange(night, night), Try(f"{night} alone"))
    assert recorded(month, since) == of_range, "it is of the reports, not of what monitoring recorded of them"


def test_another_version_has_no_nights_of_its_own_and_a_fault_leaves_its_night_out(loop: Platform) -> None:
    month = recalibrated(loop)
    night = DateRange(date(2013, 2, 6), date(2013, 2, 6))
    stages.score(month, MODEL, night, Try("plain"))
    (plain,) = recorded(month, night)
    loop.warehouse.execute(
        "INSERT INTO monitoring.faults (feature_set, feature_version, batch_date, column_name, measure, words, "
        "sources, sketch_sha256, run_id) VALUES "
        "('departure', 1, '2013-02-02', 'distance', 'outside', 'far', '{flights}', '', 'x')"
    )
    stages.score(month, MODEL, night, Try("fault"))
    (left_out,) = recorded(month, night)
    assert left_out["recalibration"]["nights"] == plain["recalibration"]["nights"] - 1
    loop.warehouse.execute(
        "UPDATE catalog.prediction_batches SET model_version = model_version + 1 WHERE batch_date <> %s",
        (night.first,),
    )
    stages.score(month, MODEL, night, Try("alone"))
    (alone,) = recorded(month, night)
    assert alone["recalibration"] == {"offsets": {"prediction": 0.0}, "nights": 0, "labels": 0, "format": 1}
    mine = predictions(month, night).set_index("flight_id")["prediction"]
    assert (mine == raw(month, night.first).reindex(mine.index)).all()


def test_who_asks_by_hand_is_told_what_the_night_says_or_will_say(loop: Platform) -> None:
    month, night = recalibrated(loop), DateRange(date(2013, 2, 7), date(2013, 2, 7))
    flights = loop.warehouse.rows("SELECT flight_id FROM raw.flights WHERE flight_date = %s", (night.first,))
    wanted = Wanted([(row["flight_id"],) for row in flights[:50]])

    def asked() -> pd.Series:
        facts, _ = stages.score_entities(month, MODEL, night.first, Try("by hand"), wanted)
        assert facts["recalibrated"].startswith("moved by ")
        return pd.DataFrame(
            loop.warehouse.rows(f"SELECT flight_id, prediction FROM adhoc.{MODEL}")
        ).set_index("flight_id")["prediction"]

    before = asked()
    stages.score(month, MODEL, night, Try("nightly"))
    nightly = predictions(month, night).set_index("flight_id")["prediction"].reindex(before.index)
    assert len(before) > 10
    assert (before == nightly).all()
    assert (asked() == nightly).all()
    assert (before != raw(month, night.first).reindex(before.index)).any()
    # Switched off meanwhile: the night stands as it is served.
    off = replace(month, project=loop.project)
    facts, _ = stages.score_entities(off, MODEL, night.first, Try("by hand"), wanted)
    assert facts["recalibrated"].startswith("moved by ")


def test_both_are_judged_as_they_would_serve_and_made_again_to_the_bit(loop: Platform) -> None:
    month = recalibrated(loop)
    model, as_of = month.project.model(MODEL), date(2013, 2, 8)
    decided = train(month, as_of, "judged", promote=False)
    row = loop.warehouse.row("SELECT * FROM governance.decisions WHERE training_id = 'judged'")
    assert row
    assert row["evaluation"]["recalibrated"] is True
    scored = [each["words"] for each in row["gates"] if each["metric"]]
    assert len(scored) == 2
    assert all(each.endswith("; as served, recalibrated") for each in scored)
    version, champion = (
        version_row(month, MODEL, each) for each in (decided["version"], decided["champion"])
    )
    snapshot, rows = read_snapshot(month, version.snapshot_id)
    _, holdout = split(snapshot, rows)
    says = load_version(month, model, version.version)(holdout)
    mine = as_served(model, holdout["batch_date"], says, holdout["label"])
    theirs = on_holdout(
        model,
        rows,
        load_version(month, model, champion.version),
        champion.train_last,
        snapshot.holdout_first,
    )
    for name, scores in (("challenger_metrics", mine), ("champion_metrics", theirs)):
        assert row[name] == metrics.score(model.kind, holdout["label"], scores)
    assert row["challenger_metrics"] != metrics.score(model.kind, holdout["label"], says)
    again = stages.reproduce(month, MODEL, version.version, Try("again"), reason="an audit")
    assert again["equal"]
    beside = stages.compare_versions(month, MODEL, version.version, champion.version)
    assert all(
        f"{row[name]['log_loss']:.4f}" in beside for name in ("challenger_metrics", "champion_metrics")
    )


def test_mlflow_shows_what_a_fit_says_by_itself_and_beside_it_what_would_be_served(loop: Platform) -> None:
    month = recalibrated(loop)
    frozen = stages.snapshot(month, MODEL, NIGHTS.last, Try("shown"))["snapshot_id"]
    fitted = stages.fit(month, MODEL, frozen, Try("shown"), reason="a test")

    def shown() -> dict[str, float]:
        return month.registry._client.get_run(fitted["mlflow_run_id"]).data.metrics

    before = shown()
    stages.evaluate(month, MODEL, NIGHTS.last, Try("shown"), reason="a test")
    after, decided = shown(), decision_of(month, MODEL, "shown")
    assert {name: after[name] for name in before} == before
    assert after["holdout_recalibrated_log_loss"] == decided.measured.metrics["log_loss"]
    assert after["holdout_recalibrated_log_loss"] != after["holdout_log_loss"]


def test_a_replay_recalibrates_and_trains_nothing_for_it(
    loop: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[date] = []
    train_one = replay.candidate

    def counting(*arguments: Any) -> replay.Candidate:
        trained.append(arguments[3])
        return train_one(*arguments)

    monkeypatch.setattr(replay, "candidate", counting)
    asked = Rehearsal(
        DateRange(date(2013, 1, 28), date(2013, 2, 5)),
        every=3,
        starts=1,
        changes=("recalibrate.window_days=14",),
    )
    stages.rehearse(loop, MODEL, asked, Try("one"), reason="a test")
    assert len(trained) == 3
    kept = loop.warehouse.rows("SELECT policy, loss FROM monitoring.replays WHERE run_id = 'one'")
    loss = {row["policy"]: row["loss"] for row in kept}
    assert loss["recalibrate.window_days=14: never"] != loss["never"]


def test_a_night_keeps_no_offset_where_none_is_asked_for(loop: Platform) -> None:
    stages.score(loop, MODEL, NIGHTS, Try("plain"))
    assert {row["recalibration"] for row in recorded(loop)} == {None}
